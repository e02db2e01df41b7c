package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/config"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/spf13/pflag"
)

// load runs Load as main does, with a home folder so that data has a default.
func load(t *testing.T, args, environ []string, defaultFile string) (config.Config, error) {
	t.Helper()
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.Flags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return config.Load(fs, append([]string{"HOME=/home/me"}, environ...), defaultFile)
}

func mustLoad(t *testing.T, args, environ []string, defaultFile string) config.Config {
	t.Helper()
	c, err := load(t, args, environ, defaultFile)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "breakwater.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantError fails unless err contains every part and is the user's to correct.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	if code := core.ErrorCode(err); code != core.CodeBadRequest {
		t.Errorf("code = %s, want BAD_REQUEST: %v", code, err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
}

func TestDefaults(t *testing.T) {
	c := mustLoad(t, nil, nil, filepath.Join(t.TempDir(), "absent.yaml"))
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	want := config.Config{
		Data: "/home/me/.local/share/breakwater", DiskReserve: config.Reserve{Bytes: 512 << 20, Percent: 1}, Listen: ":8443", ACMECA: config.LetsEncrypt,
		LogFormat: config.LogText, LogLevel: slog.LevelInfo, ShutdownTimeout: 10 * time.Second,
		MachineName: c.MachineName, ExternalURL: "https://" + c.MachineName + ":8443",
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("defaults\n got %+v\nwant %+v", c, want)
	}
}

func TestPrecedence(t *testing.T) {
	file := write(t, "listen: :1\nlog-level: debug\nhostname: [file.example.com]\nhttp: true\ndata: /file\n")
	c := mustLoad(t,
		[]string{"--listen=:3", "--http=false"},
		[]string{"BREAKWATER_LISTEN=:2", "BREAKWATER_HOSTNAME=a.example.com, B.example.com", "BREAKWATER_DATA="},
		file)
	if c.Listen != ":3" || c.HTTP {
		t.Errorf("flags lost: listen %q http %v", c.Listen, c.HTTP)
	}
	if got := fmt.Sprint(c.Hostnames); got != "[a.example.com b.example.com]" {
		t.Errorf("hostnames = %s, want those of the environment in lower case", got)
	}
	if c.LogLevel != slog.LevelDebug || c.Data != "/file" {
		t.Errorf("file lost: level %s data %s", c.LogLevel, c.Data)
	}
	if c.File != file {
		t.Errorf("file = %q, want %q", c.File, file)
	}
}

func TestNamedFileReplacesDefaultFile(t *testing.T) {
	first, second := write(t, "listen: :1\n"), write(t, "listen: :2\n")
	for name, c := range map[string]config.Config{
		"flag": mustLoad(t, []string{"--config", second}, []string{"BREAKWATER_CONFIG=" + first}, first),
		"env":  mustLoad(t, nil, []string{"BREAKWATER_CONFIG=" + second}, first),
	} {
		if c.Listen != ":2" || c.File != second {
			t.Errorf("%s: listen %q from %q", name, c.Listen, c.File)
		}
	}
	_, err := load(t, []string{"--config", "/nonexistent/x.yaml"}, nil, first)
	wantError(t, err, "/nonexistent/x.yaml", "--config")
}

func TestEveryKindFromTheFile(t *testing.T) {
	c := mustLoad(t, nil, nil, write(t, `# comment
data: /srv/bw
hostname:
  - reg.example.com
  - "*.reg.example.com"
  - 192.0.2.7
trusted-proxies: 10.1.2.3/8, 192.0.2.1
shutdown-timeout: 1m30s
log-format: json
tls-cert:
`))
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(c.Hostnames); got != "[reg.example.com *.reg.example.com 192.0.2.7]" {
		t.Errorf("hostnames = %s", got)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32")}
	if !reflect.DeepEqual(c.TrustedProxies, want) {
		t.Errorf("proxies = %v", c.TrustedProxies)
	}
	if c.ShutdownTimeout != 90*time.Second || c.LogFormat != config.LogJSON || c.TLSCert != "" {
		t.Errorf("got %+v", c)
	}
}

func TestEmptyFileIsFine(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "{}\n"} {
		mustLoad(t, nil, nil, write(t, text))
	}
}

func TestFileErrorsNameTheLine(t *testing.T) {
	tests := map[string]struct {
		text string
		want []string
	}{
		"typing error":     {"listen: :1\n\ntls-crt: /a\n", []string{"line 3", `"tls-crt"`, "did you mean tls-cert?"}},
		"unknown":          {"zzzzzzzz: 1\n", []string{"line 1", `unknown key "zzzzzzzz"`}},
		"env spelling":     {"tls_cert: /a\n", []string{"line 1", "tls-cert?"}},
		"twice":            {"listen: :1\nlisten: :2\n", []string{"line 2", "twice"}},
		"secret":           {"admin-password: x\n", []string{"line 1", "BREAKWATER_ADMIN_PASSWORD_FILE"}},
		"config in config": {"config: /b\n", []string{"line 1", `unknown key "config"`}},
		"nested":           {"listen:\n  host: a\n", []string{"line 1", "listen"}},
		"nested list":      {"hostname:\n - a\n - [b]\n", []string{"line 3"}},
		"bad bool":         {"\nhttp: maybe\n", []string{"line 2: http", "true nor false"}},
		"bad duration":     {"shutdown-timeout: 10\n", []string{"line 1: shutdown-timeout", "10s"}},
		"no mapping":       {"- listen\n", []string{"line 1"}},
		"no YAML":          {"listen: [\n", []string{"yaml"}},
		"two documents":    {"listen: :1\n---\nlisten: :2\n", []string{"more than one document"}},
		"self reference":   {"hostname: &a [*a]\n", []string{"line 1"}},
		"too large":        {strings.Repeat("#", 2<<20), []string{"1 MiB"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, nil, nil, write(t, tt.text))
			wantError(t, err, tt.want...)
		})
	}
}

func TestEnvironmentErrors(t *testing.T) {
	tests := map[string]struct {
		environ []string
		want    []string
	}{
		"typing error": {[]string{"BREAKWATER_LISTN=:1"}, []string{"BREAKWATER_LISTN", "did you mean BREAKWATER_LISTEN?"}},
		"port guess":   {[]string{"BREAKWATER_PORT=443"}, []string{"BREAKWATER_PORT"}},
		"bad level":    {[]string{"BREAKWATER_LOG_LEVEL=loud"}, []string{"BREAKWATER_LOG_LEVEL", "debug, info, warn or error"}},
		"bad proxy":    {[]string{"BREAKWATER_TRUSTED_PROXIES=10.0.0.0/99"}, []string{"BREAKWATER_TRUSTED_PROXIES", "10.0.0.0/99"}},
		"file variant": {[]string{"BREAKWATER_LISTEN_FILE=/x"}, []string{"BREAKWATER_LISTEN_FILE"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, nil, tt.environ, "/nonexistent")
			wantError(t, err, tt.want...)
		})
	}
}

func TestKubernetesServiceVariablesAreIgnored(t *testing.T) {
	mustLoad(t, nil, []string{
		"BREAKWATER_SERVICE_HOST=10.96.0.1",
		"BREAKWATER_SERVICE_PORT=443",
		"BREAKWATER_SERVICE_PORT_HTTPS=443",
		"BREAKWATER_PORT=tcp://10.96.0.1:443",
		"BREAKWATER_PORT_443_TCP=tcp://10.96.0.1:443",
		"BREAKWATER_PORT_443_TCP_ADDR=10.96.0.1",
		"BREAKWATER_METRICS_SERVICE_HOST=10.96.0.2",
	}, "/nonexistent")
}

func TestAdminPassword(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("from file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	direct, byFile := "BREAKWATER_ADMIN_PASSWORD=a,b =c ", "BREAKWATER_ADMIN_PASSWORD_FILE="+file
	if got := mustLoad(t, nil, []string{direct}, "/nonexistent").AdminPassword.Reveal(); got != "a,b =c " {
		t.Errorf("password = %q", got)
	}
	if got := mustLoad(t, nil, []string{byFile}, "/nonexistent").AdminPassword.Reveal(); got != "from file" {
		t.Errorf("password from file = %q", got)
	}
	_, err := load(t, nil, []string{direct, byFile}, "/nonexistent")
	wantError(t, err, "both set")
	_, err = load(t, nil, []string{byFile + "x"}, "/nonexistent")
	wantError(t, err, "BREAKWATER_ADMIN_PASSWORD_FILE", file+"x")
	if err := os.WriteFile(file, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = load(t, nil, []string{byFile}, "/nonexistent")
	wantError(t, err, "is empty")
}

func TestSecretIsNeverPrinted(t *testing.T) {
	const canary = "hunter2-canary"
	c := config.Config{AdminPassword: config.NewSecret(canary)}
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "config", c, "secret", c.AdminPassword)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "config", c, "secret", c.AdminPassword)
	fmt.Fprintf(&out, "%v %+v %#v %s %q", c, c, c, c.AdminPassword, c.AdminPassword)
	if err := json.NewEncoder(&out).Encode(c); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), canary) {
		t.Errorf("the secret was printed:\n%s", out.String())
	}
}

func TestDataDefault(t *testing.T) {
	for _, tt := range []struct{ environ, want string }{
		{"XDG_DATA_HOME=/xdg", "/xdg/breakwater"},
		{"XDG_DATA_HOME=relative", "/home/me/.local/share/breakwater"},
	} {
		if c := mustLoad(t, nil, []string{tt.environ}, "/nonexistent"); c.Data != tt.want {
			t.Errorf("%s: data = %s, want %s", tt.environ, c.Data, tt.want)
		}
	}
	_, err := load(t, nil, []string{"HOME="}, "/nonexistent")
	wantError(t, err, "--data")
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if c := mustLoad(t, []string{"--data", "here"}, nil, "/nonexistent"); c.Data != filepath.Join(wd, "here") {
		t.Errorf("data = %s, want an absolute path", c.Data)
	}
}

func TestExternalURL(t *testing.T) {
	tests := map[string]struct {
		args []string
		want string
	}{
		"first name":        {[]string{"--hostname=a.example.com", "--hostname=b.example.com"}, "https://a.example.com:8443"},
		"not the wildcard":  {[]string{"--hostname=*.a.example.com,b.example.com"}, "https://b.example.com:8443"},
		"own port":          {[]string{"--hostname=a.example.com", "--listen=:443"}, "https://a.example.com"},
		"IPv6":              {[]string{"--hostname=2001:db8::1", "--listen=:443"}, "https://[2001:db8::1]"},
		"IPv6 with port":    {[]string{"--hostname=2001:db8::1"}, "https://[2001:db8::1]:8443"},
		"plain":             {[]string{"--http", "--hostname=localhost", "--listen=127.0.0.1:80"}, "http://localhost"},
		"given":             {[]string{"--external-url=HTTPS://Reg.Example.com:443/"}, "https://reg.example.com"},
		"behind a proxy":    {[]string{"--http", "--external-url=https://reg.example.com"}, "https://reg.example.com"},
		"port not yet open": {[]string{"--listen=127.0.0.1:0"}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := mustLoad(t, tt.args, nil, "/nonexistent")
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
			if c.ExternalURL != tt.want {
				t.Errorf("external URL = %q, want %q", c.ExternalURL, tt.want)
			}
		})
	}
}

func TestCertificateNames(t *testing.T) {
	c := config.Config{
		Hostnames:   []string{"*.example.com", "a.example.com"},
		ExternalURL: "https://reg.example.com:8443", MachineName: "a.example.com",
	}
	if got := fmt.Sprint(c.CertificateNames()); got != "[*.example.com a.example.com reg.example.com]" {
		t.Errorf("names = %s", got)
	}
}

func TestValidateRefuses(t *testing.T) {
	acme := []string{"--acme-email=me@example.com", "--hostname=reg.example.com"}
	tests := map[string]struct {
		args []string
		want string
	}{
		"listen without port":  {[]string{"--listen=8443"}, "listen"},
		"listen port":          {[]string{"--listen=:70000"}, "listen"},
		"listen host":          {[]string{"--listen=a b:1"}, "listen"},
		"metrics-listen":       {[]string{"--metrics-listen=x"}, "metrics-listen"},
		"notary-listen":        {[]string{"--notary-listen=4443"}, "notary-listen"},
		"trust-alias":          {[]string{"--trust-alias=https://old.example.com"}, "trust-alias"},
		"hostname with scheme": {[]string{"--hostname=https://a"}, "without scheme"},
		"hostname with port":   {[]string{"--hostname=a:1"}, "hostname"},
		"inner wildcard":       {[]string{"--hostname=a.*.com"}, "hostname"},
		"wildcard of address":  {[]string{"--hostname=*.10.0.0.1"}, "hostname"},
		"half an address":      {[]string{"--hostname=10.0.0"}, "hostname"},
		"URL path":             {[]string{"--external-url=https://a.example.com/registry"}, "root"},
		"URL user":             {[]string{"--external-url=https://me@a.example.com"}, "only scheme"},
		"URL query":            {[]string{"--external-url=https://a.example.com?x=1"}, "only scheme"},
		"URL scheme":           {[]string{"--external-url=ftp://a.example.com"}, "external-url"},
		"URL without scheme":   {[]string{"--external-url=a.example.com"}, "external-url"},
		"URL port":             {[]string{"--external-url=https://a.example.com:99999"}, "port"},
		"URL http":             {[]string{"--external-url=http://a.example.com"}, "--http"},
		"cert without key":     {[]string{"--tls-cert=/a"}, "needs tls-key"},
		"key without cert":     {[]string{"--tls-key=/a"}, "needs tls-cert"},
		"http and cert":        {[]string{"--http", "--tls-cert=/a", "--tls-key=/b"}, "contradict"},
		"acme without name":    {[]string{"--acme-email=me@example.com"}, "--hostname"},
		"acme with http":       {append(acme, "--http"), "contradict"},
		"acme with cert":       {append(acme, "--tls-cert=/a", "--tls-key=/b"), "contradict"},
		"acme mail":            {[]string{"--acme-email=me", "--hostname=reg.example.com"}, "mail address"},
		"acme private name":    {[]string{"--acme-email=me@example.com", "--hostname=registry.lan"}, "not a public name"},
		"acme short name":      {[]string{"--acme-email=me@example.com", "--hostname=registry"}, "not a public name"},
		"acme wildcard":        {[]string{"--acme-email=me@example.com", "--hostname=*.example.com"}, "wildcard"},
		"acme address":         {[]string{"--acme-email=me@example.com", "--hostname=192.0.2.1"}, "addresses"},
		"acme-ca":              {append(acme, "--acme-ca=http://ca.example.com"), "https://"},
		"acme-ca-root":         {append(acme, "--acme-ca-root=/nonexistent"), "acme-ca-root"},
		"acme-ca alone":        {[]string{"--acme-ca=https://ca.example.com"}, "without acme-email"},
		"acme-http alone":      {[]string{"--acme-http-listen=:80"}, "without acme-email"},
		"token file":           {[]string{"--metrics-token-file=/nonexistent"}, "metrics-token-file"},
		"log format":           {[]string{"--log-format=xml"}, "text or json"},
		"timeout":              {[]string{"--shutdown-timeout=0s"}, "shutdown-timeout"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			wantError(t, mustLoad(t, tt.args, nil, "/nonexistent").Validate(), tt.want)
		})
	}
}

func TestValidateAccepts(t *testing.T) {
	for _, args := range [][]string{
		{"--tls-cert=/a", "--tls-key=/b"},
		{"--http", "--listen=127.0.0.1:8080"},
		{"--listen=[fe80::1%eth0]:443"},
		{"--acme-email=me@example.com", "--hostname=reg.example.com", "--acme-http-listen=:80"},
		{"--acme-email=me@example.com", "--hostname=registry.lan", "--acme-ca=https://ca.lan/dir"},
	} {
		if err := mustLoad(t, args, nil, "/nonexistent").Validate(); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestValidateReportsEverything(t *testing.T) {
	err := mustLoad(t, []string{"--listen=x", "--log-format=y", "--tls-cert=z"}, nil, "/nonexistent").Validate()
	wantError(t, err, "listen", "log-format", "tls-key")
}

func TestFlagsKeepSecretsOut(t *testing.T) {
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.Flags(fs)
	if fs.Lookup("admin-password") != nil {
		t.Error("the password is a flag, so every user of the machine sees it")
	}
	if help := config.EnvironmentHelp(); !strings.Contains(help, "BREAKWATER_ADMIN_PASSWORD_FILE") {
		t.Errorf("help lacks the password variable:\n%s", help)
	}
}
