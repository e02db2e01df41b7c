package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/spf13/pflag"
)

const (
	serviceUser = "breakwater"
	serviceData = "/var/lib/breakwater"
)

// setting is what one source says about one option. Origin names the source
// and the place in it, for errors.
type setting struct {
	values []string
	origin string
}

// Load resolves all settings from flags, environ (as by os.Environ) and the
// settings file: the one that --config or BREAKWATER_CONFIG names, else
// defaultFile when it exists. It does not judge the values together; that is
// Validate. All errors are of code BAD_REQUEST and name the place to correct.
func Load(fs *pflag.FlagSet, environ []string, defaultFile string) (Config, error) {
	var c Config
	env, err := readEnvironment(environ)
	if err != nil {
		return c, err
	}
	byFlag := readFlags(fs)
	path, byFile, err := openFile(byFlag, env, defaultFile)
	if err != nil {
		return c, err
	}
	for _, o := range options() {
		s := firstOf(o, byFlag, env, byFile)
		if err := set(o.field(&c), s.values); err != nil {
			return c, fmt.Errorf("%s: %w", s.origin, err)
		}
	}
	c.File = path
	return c, c.complete(environ)
}

// firstOf returns what the strongest source says about o, else the default.
func firstOf(o option, sources ...map[string]setting) setting {
	for _, source := range sources {
		if s, ok := source[o.name]; ok {
			return s
		}
	}
	return setting{values: []string{o.fallback}, origin: "default of " + o.name}
}

func readFlags(flags *pflag.FlagSet) map[string]setting {
	found := map[string]setting{}
	flags.Visit(func(f *pflag.Flag) {
		s := setting{values: []string{f.Value.String()}, origin: "--" + f.Name}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			s.values = list.GetSlice()
		}
		found[f.Name] = s
	})
	return found
}

// readEnvironment collects the BREAKWATER_ variables. Empty ones count as not
// set, unknown ones are refused: a typing error must not become a default.
func readEnvironment(environ []string) (map[string]setting, error) {
	found := map[string]setting{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) || setByKubernetes(name, value) {
			continue
		}
		o, fromFile, ok := optionByEnv(name)
		if !ok {
			return nil, core.Errorf(core.CodeBadRequest, "unknown environment variable %s%s; correct or unset it", name, didYouMean(name, envNames()))
		}
		if value == "" {
			continue
		}
		if _, twice := found[o.name]; twice && o.secret {
			return nil, core.Errorf(core.CodeBadRequest, "%s and %s are both set; unset one of them", o.env(), o.env()+fileSuffix)
		}
		s, err := envSetting(name, value, fromFile)
		if err != nil {
			return nil, err
		}
		found[o.name] = s
	}
	return found, nil
}

func envSetting(name, value string, fromFile bool) (setting, error) {
	if !fromFile {
		return setting{values: []string{value}, origin: name}, nil
	}
	secret, err := ReadSecret(value)
	if err != nil {
		return setting{}, fmt.Errorf("%s: %w", name, err)
	}
	return setting{values: []string{secret.Reveal()}, origin: name}, nil
}

// optionByEnv finds the option of a variable; fromFile says that the variable
// is the _FILE variant of a secret.
func optionByEnv(name string) (o option, fromFile, ok bool) {
	for _, o := range options() {
		if name == o.env() {
			return o, false, true
		}
		if o.secret && name == o.env()+fileSuffix {
			return o, true, true
		}
	}
	return option{}, false, false
}

func envNames() []string {
	var names []string
	for _, o := range options() {
		names = append(names, o.env())
		if o.secret {
			names = append(names, o.env()+fileSuffix)
		}
	}
	return names
}

// setByKubernetes recognises the variables that Kubernetes puts into every
// container of a namespace with a service called "breakwater" or
// "breakwater-something" ("Discovering services" in its manual).
func setByKubernetes(name, value string) bool {
	if ok, _ := regexp.MatchString(`_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$`, name); ok {
		return true
	}
	if ok, _ := regexp.MatchString(`_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`, name); ok {
		return true
	}
	ok, _ := regexp.MatchString(`^(tcp|udp|sctp)://`, value)
	return ok && strings.HasSuffix(name, "_PORT")
}

// openFile picks the settings file and reads it. Only the default file may be
// absent.
func openFile(byFlag, env map[string]setting, defaultFile string) (string, map[string]setting, error) {
	path := firstOf(option{name: configName}, byFlag, env).values[0]
	if path == "" {
		if _, err := os.Stat(defaultFile); errors.Is(err, fs.ErrNotExist) {
			return "", nil, nil
		}
		path = defaultFile
	}
	found, err := readFile(path)
	return path, found, err
}

// complete fills in what depends on the machine and on other settings, and
// gives names and addresses their one spelling.
func (c *Config) complete(environ []string) error {
	c.MachineName = machineName()
	for i, name := range c.Hostnames {
		c.Hostnames[i] = strings.ToLower(name)
	}
	for i, name := range c.TrustAliases {
		c.TrustAliases[i] = strings.ToLower(name)
	}
	c.ExternalURL = normalURL(c.ExternalURL)
	if port := portOf(c.Listen); c.ExternalURL == "" && port > 0 {
		c.ExternalURL = c.DefaultExternalURL(port)
	}
	if c.Data == "" {
		c.Data = defaultData(environ)
	}
	if c.Data == "" {
		return core.Errorf(core.CodeBadRequest, "there is no home folder to keep the data in; name a data folder with --data or BREAKWATER_DATA")
	}
	abs, err := filepath.Abs(c.Data)
	if err != nil {
		return fmt.Errorf("data folder %q: %w", c.Data, err)
	}
	c.Data = abs
	return nil
}

// machineName returns a name that may stand in a certificate and a URL.
func machineName() string {
	name, err := os.Hostname()
	name = strings.ToLower(name)
	if err != nil || !validHost(name) {
		return "localhost"
	}
	return name
}

func defaultData(environ []string) string {
	if u, err := user.Current(); err == nil && u.Username == serviceUser {
		return serviceData
	}
	// The XDG Base Directory Specification says to ignore relative paths.
	if dir := lookup(environ, "XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "breakwater")
	}
	if home := lookup(environ, "HOME"); home != "" {
		return filepath.Join(home, ".local", "share", "breakwater")
	}
	return ""
}

func lookup(environ []string, name string) string {
	for _, entry := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// normalURL writes scheme and host in lower case and drops the root path and
// the scheme's own port. A text it cannot read stays, for Validate to refuse.
func normalURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return text
	}
	u.Host = strings.ToLower(u.Host)
	if u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
		u.Host = bracketed(u.Hostname())
	}
	if u.Path == "/" {
		u.Path = ""
	}
	return u.String()
}

// portOf returns the port of a host:port, 0 when there is none.
func portOf(address string) int {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return int(port)
}
