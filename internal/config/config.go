// Package config holds the settings that "breakwater serve" needs before it
// can open its database: where the data is, where to listen, which certificate
// to use. What an administrator changes at run time lives in the database.
//
// One table (options.go) describes every setting. The same name is a flag, a
// key of the YAML file and, in upper case behind BREAKWATER_, an environment
// variable. A flag beats the environment, the environment beats the file and
// the file beats the default.
package config

import (
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DefaultFile is the settings file that is read when it exists and no other
// is named.
const DefaultFile = "/etc/breakwater/breakwater.yaml"

// LetsEncrypt is the directory URL of the default ACME server (RFC 8555).
const LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// The values of log-format.
const (
	LogText = "text"
	LogJSON = "json"
)

// Config is the complete, resolved set of settings. Load makes it.
type Config struct {
	// File is the settings file that was read, "" when there was none.
	File string
	// Data is the absolute path of the data folder.
	Data string
	// DiskReserve is the free space below which nothing can be pushed.
	DiskReserve Reserve
	// Listen is the host:port of the registry; the host may be empty.
	Listen string
	// Hostnames are the names and addresses clients use, in lower case; a
	// name may be a wildcard.
	Hostnames []string
	// ExternalURL is the canonical address, scheme://host[:port] without a
	// path and without the scheme's own port. It is empty only when it was
	// not set and Listen has port 0; see DefaultExternalURL.
	ExternalURL string
	// TLSCert and TLSKey are PEM files of the user's own certificate.
	TLSCert, TLSKey string
	// HTTP asks for plain HTTP instead of TLS.
	HTTP bool
	// ACMEEmail switches ACME on; the other ACME settings need it.
	ACMEEmail, ACMECA, ACMECARoot, ACMEHTTPListen string
	// NotaryListen is the host:port of a listener of its own for content trust.
	NotaryListen string
	// TrustAliases are hosts, with their ports, in whose names images may be
	// signed beside that of ExternalURL.
	TrustAliases []string
	// MetricsListen is the host:port of a listener of its own for /metrics.
	MetricsListen string
	// MetricsTokenFile names the file with the bearer token for /metrics;
	// ReadSecret reads it.
	MetricsTokenFile string
	// Offline says that CVE feeds are imported only.
	Offline bool
	// TrustedProxies are the networks whose X-Forwarded-* headers count.
	TrustedProxies []netip.Prefix
	// LogFormat is LogText or LogJSON.
	LogFormat string
	LogLevel  slog.Level
	// ShutdownTimeout is how long open requests may take after SIGTERM.
	ShutdownTimeout time.Duration
	// AdminPassword is the password of the first administrator; only the
	// very first start reads it.
	AdminPassword Secret
	// MasterKey encrypts the secrets in the database; unset: a credential of
	// systemd or a file of the data folder.
	MasterKey Secret
	// MachineName is the host name of this machine in lower case, "localhost"
	// when it has none that may stand in a certificate.
	MachineName string
}

// DefaultExternalURL returns the address clients use when external-url is not
// set: the first hostname that is no wildcard, else the machine's name, and
// the port, a TCP port number, unless it is the scheme's own.
func (c Config) DefaultExternalURL(port int) string {
	host := c.MachineName
	if i := slices.IndexFunc(c.Hostnames, func(h string) bool { return !strings.HasPrefix(h, "*") }); i >= 0 {
		host = c.Hostnames[i]
	}
	scheme, own := "https", 443
	if c.HTTP {
		scheme, own = "http", 80
	}
	u := url.URL{Scheme: scheme, Host: net.JoinHostPort(host, strconv.Itoa(port))}
	if port == own {
		u.Host = bracketed(host)
	}
	return u.String()
}

// CertificateNames returns the names and addresses which the server's own
// certificate should carry: the hostnames, the host of the external URL and
// the machine's name, each once and in this order.
func (c Config) CertificateNames() []string {
	names := slices.Clone(c.Hostnames)
	if u, err := url.Parse(c.ExternalURL); err == nil && u.Hostname() != "" {
		names = append(names, u.Hostname())
	}
	names = append(names, c.MachineName)
	var unique []string
	for _, name := range names {
		if !slices.Contains(unique, name) {
			unique = append(unique, name)
		}
	}
	return unique
}

// bracketed puts an IPv6 address into brackets, as a URL wants it.
func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}
