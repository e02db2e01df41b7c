package config

import (
	"errors"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Validate judges the settings together and returns every problem, each on a
// line of its own, as errors of code BAD_REQUEST that say what to change.
func (c Config) Validate() error {
	return errors.Join(
		c.checkAddresses(),
		c.checkHostnames(),
		c.checkExternalURL(),
		c.checkTLS(),
		c.checkACME(),
		c.checkMetrics(),
		c.checkRest(),
	)
}

func bad(format string, args ...any) error {
	return core.Errorf(core.CodeBadRequest, format, args...)
}

func (c Config) checkAddresses() error {
	problems := []error{checkAddress("listen", c.Listen)}
	if c.ACMEHTTPListen != "" {
		problems = append(problems, checkAddress("acme-http-listen", c.ACMEHTTPListen))
	}
	if c.NotaryListen != "" {
		problems = append(problems, checkAddress("notary-listen", c.NotaryListen))
	}
	if c.MetricsListen != "" {
		problems = append(problems, checkAddress("metrics-listen", c.MetricsListen))
	}
	return errors.Join(problems...)
}

func checkAddress(name, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return bad("%s %q is no address; write it like :8443 or 127.0.0.1:8443", name, address)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return bad("%s %q has no valid port; use a number from 0 to 65535", name, address)
	}
	host, _, _ = strings.Cut(host, "%") // the zone of a link-local IPv6 address
	if host != "" && !validHost(strings.ToLower(host)) {
		return bad("%s %q has no valid host; leave it empty to listen on every address", name, address)
	}
	return nil
}

func (c Config) checkHostnames() error {
	var problems []error
	for _, name := range c.Hostnames {
		base, wildcard := strings.CutPrefix(name, "*.")
		if !validHost(base) || wildcard && isIP(base) {
			problems = append(problems, bad("hostname %q is neither a DNS name, a wildcard like *.example.com nor an IP address; give it without scheme and port", name))
		}
	}
	return errors.Join(problems...)
}

func (c Config) checkExternalURL() error {
	if c.ExternalURL == "" {
		return nil // Listen has port 0, or is refused by checkAddresses
	}
	u, err := url.Parse(c.ExternalURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || !validHost(u.Hostname()) {
		return bad("external-url %q is not understood; write it like https://registry.example.com or https://registry.example.com:8443", c.ExternalURL)
	}
	if u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.HasSuffix(u.Host, ":") {
		return bad("external-url %q must be only scheme, host and port; Breakwater cannot live below a path, because docker expects /v2/ at the root", c.ExternalURL)
	}
	if port := u.Port(); port != "" && portOf(u.Host) == 0 {
		return bad("external-url %q has no valid port", c.ExternalURL)
	}
	if u.Scheme == "http" && !c.HTTP {
		return bad("external-url %q says http, but Breakwater serves TLS; write https:// or give --http", c.ExternalURL)
	}
	return nil
}

func (c Config) checkTLS() error {
	switch {
	case c.HTTP && (c.TLSCert != "" || c.TLSKey != ""):
		return bad("http and tls-cert contradict each other; remove http to serve TLS with your certificate")
	case c.TLSCert != "" && c.TLSKey == "":
		return bad("tls-cert needs tls-key, the file with the private key of this certificate")
	case c.TLSKey != "" && c.TLSCert == "":
		return bad("tls-key needs tls-cert, the file with the certificate of this key")
	}
	return nil
}

func (c Config) checkACME() error {
	if c.ACMEEmail == "" {
		return c.checkNoACME()
	}
	problems := []error{c.checkACMENames()}
	if c.HTTP {
		problems = append(problems, bad("http and acme-email contradict each other; remove http to serve TLS with a certificate from ACME"))
	}
	if c.TLSCert != "" {
		problems = append(problems, bad("tls-cert and acme-email contradict each other; keep the one that shall give the certificate"))
	}
	if a, err := mail.ParseAddress(c.ACMEEmail); err != nil || a.Address != c.ACMEEmail {
		problems = append(problems, bad("acme-email %q is no mail address; write it like admin@example.com", c.ACMEEmail))
	}
	if u, err := url.Parse(c.ACMECA); err != nil || u.Scheme != "https" || u.Host == "" {
		problems = append(problems, bad("acme-ca %q is no https:// URL; give the directory URL of the ACME server", c.ACMECA))
	}
	return errors.Join(append(problems, checkReadable("acme-ca-root", c.ACMECARoot))...)
}

// checkNoACME refuses settings that would be ignored silently.
func (c Config) checkNoACME() error {
	name := ""
	switch {
	case c.ACMECARoot != "":
		name = "acme-ca-root"
	case c.ACMEHTTPListen != "":
		name = "acme-http-listen"
	case c.ACMECA != LetsEncrypt:
		name = "acme-ca"
	default:
		return nil
	}
	return bad("%s does nothing without acme-email; give the mail address for the ACME account", name)
}

// checkACMENames holds the names against what ACME can prove without DNS-01:
// no wildcards (RFC 8555 section 7.1.3) and, for the public CA, public names.
func (c Config) checkACMENames() error {
	if len(c.Hostnames) == 0 {
		return bad("acme-email needs a hostname to get a certificate for; give --hostname with the public name of this server")
	}
	var problems []error
	for _, name := range c.Hostnames {
		switch {
		case strings.HasPrefix(name, "*"):
			problems = append(problems, bad("hostname %q: ACME gives no wildcard certificates without DNS challenges, which Breakwater does not have; list each name, or use tls-cert", name))
		case isIP(name):
			problems = append(problems, bad("hostname %q: ACME is only used for names here, not for addresses; remove it or use tls-cert", name))
		case c.ACMECA == LetsEncrypt && !publicName(name):
			problems = append(problems, bad("hostname %q is not a public name, so Let's Encrypt gives no certificate for it; use a public name, your own acme-ca, or leave acme-email out", name))
		}
	}
	return errors.Join(problems...)
}

func (c Config) checkMetrics() error { return checkReadable("metrics-token-file", c.MetricsTokenFile) }

// checkReadable finds a wrong path at the start instead of at the first use.
func checkReadable(name, path string) error {
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return &core.Error{Code: core.CodeBadRequest, Message: name + " cannot be read; check the path and its permissions", Err: err}
	}
	return f.Close()
}

func (c Config) checkRest() error {
	var problems []error
	for _, alias := range c.TrustAliases {
		if u, err := url.Parse("https://" + alias); err != nil || u.Host != alias || !validHost(u.Hostname()) {
			problems = append(problems, bad("trust-alias %q is no host; write it as in the names of images, like registry.example.com or registry.example.com:8443", alias))
		}
	}
	if c.LogFormat != LogText && c.LogFormat != LogJSON {
		problems = append(problems, bad("log-format %q is not known; use text or json", c.LogFormat))
	}
	if c.ShutdownTimeout <= 0 {
		problems = append(problems, bad("shutdown-timeout must be longer than nothing; the default is 10s"))
	}
	return errors.Join(problems...)
}

// validHost says whether text is an IP address or a DNS name in lower case
// (RFC 1123 section 2.1). Internationalised names have their xn-- form here.
func validHost(text string) bool {
	if isIP(text) {
		return true
	}
	if len(text) > 253 {
		return false
	}
	label := regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	labels := strings.Split(text, ".")
	for _, l := range labels {
		if !label.MatchString(l) {
			return false
		}
	}
	// Resolvers read a name with a numeric last label as an IPv4 address.
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

// isIP says whether text is an IP address without a zone.
func isIP(text string) bool {
	addr, err := netip.ParseAddr(text)
	return err == nil && addr.Zone() == ""
}

// publicName says whether a public CA could know the name: it has a dot and
// is not below a name reserved for private use (RFC 2606, 6761, 6762, 7686,
// 8375, ICANN's .internal and the common private habits).
func publicName(name string) bool {
	labels := strings.Split(name, ".")
	private := []string{"local", "localhost", "localdomain", "internal", "intranet", "lan", "home", "corp", "private", "test", "example", "invalid", "onion"}
	return len(labels) > 1 && !slices.Contains(private, labels[len(labels)-1]) && !strings.HasSuffix(name, ".home.arpa")
}
