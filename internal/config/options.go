package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/spf13/pflag"
)

const (
	envPrefix  = "BREAKWATER_"
	fileSuffix = "_FILE"
	configName = "config"
)

// option is one row of the table of settings. The type that field points to is
// the option's kind: a flag, the environment and the file all carry texts, and
// set turns them into that type.
type option struct {
	name     string
	fallback string
	help     string
	secret   bool // never a flag or a key of the file; may come from a file of its own
	field    func(*Config) any
}

// options returns the table that flags, environment, file and help come from.
func options() []option {
	return []option{
		{name: configName, help: "settings `file` in YAML (default " + DefaultFile + " when it exists)",
			field: func(c *Config) any { return &c.File }},
		{name: "data", help: "data `folder` (default /var/lib/breakwater for the system user breakwater, else $XDG_DATA_HOME/breakwater or ~/.local/share/breakwater)",
			field: func(c *Config) any { return &c.Data }},
		{name: "disk-reserve", fallback: "512MiB,1%", help: "`space` of the data folder's disk that is kept free: with less, pushes are refused; like 2GiB or 5%, of several the largest, 0 for none",
			field: func(c *Config) any { return &c.DiskReserve }},
		{name: "listen", fallback: ":8443", help: "`address` to listen on, host:port",
			field: func(c *Config) any { return &c.Listen }},
		{name: "hostname", help: "`name` or IP address clients use, may be *.example.com; repeatable",
			field: func(c *Config) any { return &c.Hostnames }},
		{name: "external-url", help: "canonical `URL` clients use (default https:// with the first hostname and the port of --listen)",
			field: func(c *Config) any { return &c.ExternalURL }},
		{name: "tls-cert", help: "`file` with your own certificate and its chain in PEM; needs --tls-key",
			field: func(c *Config) any { return &c.TLSCert }},
		{name: "tls-key", help: "`file` with the private key of --tls-cert in PEM",
			field: func(c *Config) any { return &c.TLSKey }},
		{name: "http", fallback: "false", help: "plain HTTP without TLS: only on loopback or behind a proxy that adds TLS",
			field: func(c *Config) any { return &c.HTTP }},
		{name: "acme-email", help: "get certificates by ACME with an account for this `address`; you agree to the terms of the ACME server. Its servers must reach --listen on port 443 (TLS-ALPN-01)",
			field: func(c *Config) any { return &c.ACMEEmail }},
		{name: "acme-ca", fallback: LetsEncrypt, help: "directory `URL` of the ACME server",
			field: func(c *Config) any { return &c.ACMECA }},
		{name: "acme-ca-root", help: "`file` with the CA certificates in PEM that are trusted for a private ACME server",
			field: func(c *Config) any { return &c.ACMECARoot }},
		{name: "acme-http-listen", help: "also answer HTTP-01 challenges on this `address`, usually :80 (default off)",
			field: func(c *Config) any { return &c.ACMEHTTPListen }},
		{name: "notary-listen", help: "also serve content trust (Notary) on this `address` of its own, such as :4443; it is on --listen anyway (default off)",
			field: func(c *Config) any { return &c.NotaryListen }},
		{name: "trust-alias", help: "one more `host` or host:port, such as the name before a move, under which images may be signed; repeatable",
			field: func(c *Config) any { return &c.TrustAliases }},
		{name: "metrics-listen", help: "serve /metrics on this `address` of its own, over HTTP (default: on --listen)",
			field: func(c *Config) any { return &c.MetricsListen }},
		{name: "metrics-token-file", help: "`file` with the bearer token that /metrics asks for",
			field: func(c *Config) any { return &c.MetricsTokenFile }},
		{name: "offline", fallback: "false", help: "never ask the internet for CVE feeds; they come with breakwater feeds import or an upload",
			field: func(c *Config) any { return &c.Offline }},
		{name: "trusted-proxies", help: "`networks` (CIDR) of proxies whose X-Forwarded-* headers are believed; repeatable",
			field: func(c *Config) any { return &c.TrustedProxies }},
		{name: "log-format", fallback: LogText, help: "`format` of the log: text or json",
			field: func(c *Config) any { return &c.LogFormat }},
		{name: "log-level", fallback: "info", help: "lowest `level` that is logged: debug, info, warn or error",
			field: func(c *Config) any { return &c.LogLevel }},
		{name: "shutdown-timeout", fallback: "10s", help: "how long open requests may take to end after SIGTERM",
			field: func(c *Config) any { return &c.ShutdownTimeout }},
		{name: "admin-password", help: "password of the first administrator, read at the very first start only; without it a random one is made and printed once",
			secret: true, field: func(c *Config) any { return &c.AdminPassword }},
		{name: "master-key", help: "what the keys in the database are encrypted with: 32 random bytes in base64 (openssl rand -base64 32); after a change the old one stays as a second line. Default: the systemd credential master-key, else keys/master in the data folder, which is made",
			secret: true, field: func(c *Config) any { return &c.MasterKey }},
	}
}

// env returns the name of the option's environment variable.
func (o option) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(o.name, "-", "_"))
}

// Flags registers one flag for each setting that may be a flag. Secrets may
// not: arguments are visible to every user of the machine.
func Flags(fs *pflag.FlagSet) {
	for _, o := range options() {
		if !o.secret {
			o.register(fs)
		}
	}
}

func (o option) register(fs *pflag.FlagSet) {
	switch o.field(new(Config)).(type) {
	case *bool:
		fs.Bool(o.name, o.fallback == "true", o.help)
	case *[]string, *[]netip.Prefix:
		fs.StringSlice(o.name, nil, o.help)
	default:
		fs.String(o.name, o.fallback, o.help)
	}
}

// EnvironmentHelp explains the other ways to set what the flags set, for the
// help text of a command.
func EnvironmentHelp() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Every flag may also be set as an environment variable (--tls-cert is %sTLS_CERT)\n", envPrefix)
	fmt.Fprintf(&b, "and as a key of %s (tls-cert). A flag beats the\n", DefaultFile)
	b.WriteString("environment, the environment beats the file; empty variables count as not set.\n")
	b.WriteString("Only by environment:\n")
	for _, o := range options() {
		if o.secret {
			fmt.Fprintf(&b, "  %s, or %s with the name of a file:\n    %s\n", o.env(), o.env()+fileSuffix, o.help)
		}
	}
	return b.String()
}

// set stores values in what field points to. Kinds with one value take the last.
func set(field any, values []string) error {
	last := ""
	if len(values) > 0 {
		last = values[len(values)-1]
	}
	var err error
	switch p := field.(type) {
	case *string:
		*p = last
	case *Secret:
		*p = NewSecret(last)
	case *bool:
		if *p, err = strconv.ParseBool(last); err != nil {
			err = core.Errorf(core.CodeBadRequest, "%q is neither true nor false", last)
		}
	case *time.Duration:
		if *p, err = time.ParseDuration(last); err != nil {
			err = core.Errorf(core.CodeBadRequest, "%q is no duration; write it like 10s or 2m", last)
		}
	case *Reserve:
		*p, err = parseReserve(last)
	case *slog.Level:
		*p, err = parseLevel(last)
	case *[]string:
		*p = splitList(values)
	case *[]netip.Prefix:
		*p, err = parsePrefixes(splitList(values))
	default:
		err = core.Errorf(core.CodeInternal, "settings cannot have the type %T", field)
	}
	return err
}

// splitList splits each value at its commas, because an environment variable
// and a YAML text have no other way to hold a list.
func splitList(values []string) []string {
	var list []string
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
	}
	return list
}

func parseLevel(text string) (slog.Level, error) {
	switch strings.ToLower(text) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, core.Errorf(core.CodeBadRequest, "%q is no log level; use debug, info, warn or error", text)
}

// parsePrefixes reads networks; a bare address stands for itself alone.
func parsePrefixes(list []string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, text := range list {
		prefix, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); addrErr == nil {
			prefix, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			return nil, core.Errorf(core.CodeBadRequest, "%q is no network; write it like 10.0.0.0/8 or 192.0.2.1", text)
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, nil
}
