package core

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Settings is what an administrator changes while the registry runs. It is a
// snapshot: a copy never changes.
type Settings struct {
	ProjectCreationAdminOnly bool          // only system admins create projects
	SelfRegistration         bool          // anyone may make an account
	TokenExpiration          time.Duration // of a bearer token of the registry
	RobotDurationDays        int64         // of a robot account made without a duration; -1 is for ever
	SessionTimeout           time.Duration // how long a browser's session may be idle
	ReadOnly                 bool          // nothing may be pushed or deleted
	StoragePerProject        int64         // quota of a new project in bytes, -1 is unlimited
	Banner                   string        // shown to everyone
	AuditForwardEndpoint     string        // syslog://, syslog+udp:// or syslog+tls://HOST:PORT; empty is none
	AuditRetention           time.Duration // how long audit rows are kept; 0 is for ever
	AnonymousAccess          bool          // public projects are open to all; without it one must sign in
	OutgoingProxy            string        // through which CVE feeds are read; empty is what the environment says
	OutgoingNoProxy          string        // hosts and networks that are reached without it, with commas between
	ScrubRate                int64         // bytes a second at which stored blobs are read again in the background; 0 is off
	ScrubInterval            time.Duration // from the end of one such pass to the start of the next
}

// DefaultSettings are those of a new installation.
func DefaultSettings() Settings {
	return Settings{
		TokenExpiration:   30 * time.Minute,
		RobotDurationDays: 30,
		SessionTimeout:    60 * time.Minute,
		StoragePerProject: -1,
		AnonymousAccess:   true,
		ScrubRate:         8 << 20,
		ScrubInterval:     30 * 24 * time.Hour,
	}
}

// settingKind says how a setting's value is written in JSON.
type settingKind int

const (
	settingText settingKind = iota
	settingNumber
	settingBool
)

// setting describes one key of Harbor's configurations API.
type setting struct {
	key    string
	kind   settingKind
	get    func(Settings) string
	set    func(*Settings, string) error // nil: the value never changes
	hidden bool                          // not listed, see below
}

func always(text string) func(Settings) string { return func(Settings) string { return text } }

// settingTable has every key; its order is that of SettingKeys. The hidden ones
// are Harbor's switches of what this registry does not have: tools that write
// all of Harbor's defaults (its Terraform provider does) are not refused, while
// any other value is.
var settingTable = []setting{
	{key: "anonymous_access", kind: settingBool,
		get: func(s Settings) string { return strconv.FormatBool(s.AnonymousAccess) },
		set: setBool(func(s *Settings) *bool { return &s.AnonymousAccess })},
	{key: "audit_log_forward_endpoint",
		get: func(s Settings) string { return s.AuditForwardEndpoint },
		set: setForwardEndpoint},
	{key: "audit_log_retention_hours", kind: settingNumber,
		get: func(s Settings) string { return formatUnits(s.AuditRetention, time.Hour) },
		set: setUnits(time.Hour, 0, 100*365*24, func(s *Settings) *time.Duration { return &s.AuditRetention })},
	{key: "auth_mode", get: always("db_auth")},
	{key: "banner_message",
		get: func(s Settings) string { return s.Banner },
		set: setBanner},
	{key: "notification_enable", kind: settingBool, hidden: true, get: always("true")},
	{key: "outgoing_no_proxy",
		get: func(s Settings) string { return s.OutgoingNoProxy },
		set: setNoProxy},
	{key: "outgoing_proxy",
		get: func(s Settings) string { return s.OutgoingProxy },
		set: setProxy},
	{key: "project_creation_restriction",
		get: func(s Settings) string {
			if s.ProjectCreationAdminOnly {
				return "adminonly"
			}
			return "everyone"
		},
		set: setProjectCreation},
	{key: "quota_per_project_enable", kind: settingBool, get: always("true")},
	{key: "read_only", kind: settingBool,
		get: func(s Settings) string { return strconv.FormatBool(s.ReadOnly) },
		set: setBool(func(s *Settings) *bool { return &s.ReadOnly })},
	{key: "robot_name_prefix", get: always(RobotPrefix)},
	{key: "robot_token_duration", kind: settingNumber,
		get: func(s Settings) string { return strconv.FormatInt(s.RobotDurationDays, 10) },
		set: setRobotDuration},
	{key: "scanner_skip_update_pulltime", kind: settingBool, hidden: true, get: always("false")},
	{key: "scrub_interval_days", kind: settingNumber,
		get: func(s Settings) string { return formatUnits(s.ScrubInterval, day) },
		set: setUnits(day, 1, 365, func(s *Settings) *time.Duration { return &s.ScrubInterval })},
	{key: "scrub_rate", kind: settingNumber,
		get: func(s Settings) string { return strconv.FormatInt(s.ScrubRate, 10) },
		set: setScrubRate},
	{key: "self_registration", kind: settingBool,
		get: func(s Settings) string { return strconv.FormatBool(s.SelfRegistration) },
		set: setBool(func(s *Settings) *bool { return &s.SelfRegistration })},
	{key: "session_timeout", kind: settingNumber,
		get: func(s Settings) string { return formatUnits(s.SessionTimeout, time.Minute) },
		set: setUnits(time.Minute, 1, 24*60, func(s *Settings) *time.Duration { return &s.SessionTimeout })},
	{key: "skip_audit_log_database", kind: settingBool, get: always("false")},
	{key: "storage_per_project", kind: settingNumber,
		get: func(s Settings) string { return strconv.FormatInt(s.StoragePerProject, 10) },
		set: setStorage},
	{key: "token_expiration", kind: settingNumber,
		get: func(s Settings) string { return formatUnits(s.TokenExpiration, time.Minute) },
		set: setUnits(time.Minute, 1, 24*60, func(s *Settings) *time.Duration { return &s.TokenExpiration })},
}

// SettingKeys lists the keys of the settings in order.
func SettingKeys() []string {
	keys := make([]string, 0, len(settingTable))
	for _, s := range settingTable {
		if !s.hidden {
			keys = append(keys, s.key)
		}
	}
	return keys
}

func findSetting(key string) (setting, error) {
	if i := slices.IndexFunc(settingTable, func(s setting) bool { return s.key == key }); i >= 0 {
		return settingTable[i], nil
	}
	return setting{}, Errorf(CodeBadRequest, "there is no setting %q%s", Clip(key, 64), nearestSetting(key))
}

// Get returns the value of key as text.
func (s Settings) Get(key string) (string, error) {
	known, err := findSetting(key)
	if err != nil {
		return "", err
	}
	return known.get(s), nil
}

// Value returns the value of key as a bool, an int64 or a string, and whether
// it can be changed; both are what Harbor's configurations API tells.
func (s Settings) Value(key string) (value any, editable bool, err error) {
	known, err := findSetting(key)
	if err != nil {
		return nil, false, err
	}
	text := known.get(s)
	switch known.kind {
	case settingBool:
		return text == "true", known.set != nil, nil
	case settingNumber:
		n, err := strconv.ParseInt(text, 10, 64)
		return n, known.set != nil, err
	}
	return text, known.set != nil, nil
}

// With returns the settings with key set to the value that text writes. An
// unknown key, a value that is not allowed and a change of what is fixed are
// CodeBadRequest.
func (s Settings) With(key, text string) (Settings, error) {
	known, err := findSetting(key)
	if err != nil {
		return s, err
	}
	if known.set == nil {
		if text != known.get(s) {
			return s, Errorf(CodeBadRequest, "%s is always %s and cannot be changed", key, known.get(s))
		}
		return s, nil
	}
	if err := known.set(&s, text); err != nil {
		return s, Errorf(CodeBadRequest, "%s %v", key, err)
	}
	return s, nil
}

func setBool(field func(*Settings) *bool) func(*Settings, string) error {
	return func(s *Settings, text string) error {
		if text != "true" && text != "false" {
			return fmt.Errorf("must be true or false")
		}
		*field(s) = text == "true"
		return nil
	}
}

func setUnits(unit time.Duration, low, high int64, field func(*Settings) *time.Duration) func(*Settings, string) error {
	return func(s *Settings, text string) error {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < low || n > high {
			return fmt.Errorf("must be a number of %s from %d to %d", unitName(unit), low, high)
		}
		*field(s) = time.Duration(n) * unit
		return nil
	}
}

const day = 24 * time.Hour

func unitName(unit time.Duration) string {
	return map[time.Duration]string{time.Minute: "minutes", time.Hour: "hours", day: "days"}[unit]
}

func formatUnits(d, unit time.Duration) string { return strconv.FormatInt(int64(d/unit), 10) }

func setProjectCreation(s *Settings, text string) error {
	if text != "everyone" && text != "adminonly" {
		return fmt.Errorf("must be everyone or adminonly")
	}
	s.ProjectCreationAdminOnly = text == "adminonly"
	return nil
}

// maxRobotDays is a hundred years.
const maxRobotDays = 36500

func setRobotDuration(s *Settings, text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n != -1 && (n < 1 || n > maxRobotDays) {
		return fmt.Errorf("must be a number of days from 1 to %d, or -1 for ever", maxRobotDays)
	}
	s.RobotDurationDays = n
	return nil
}

// maxStorage is what Harbor takes at most: 1 EiB.
const maxStorage = 1 << 60

func setStorage(s *Settings, text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n != -1 && (n < 1 || n > maxStorage) {
		return fmt.Errorf("must be a number of bytes from 1 to %d, or -1 for no limit", int64(maxStorage))
	}
	s.StoragePerProject = n
	return nil
}

const (
	minScrubRate = 64 << 10
	maxScrubRate = 100 << 30
)

func setScrubRate(s *Settings, text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n != 0 && (n < minScrubRate || n > maxScrubRate) {
		return fmt.Errorf("must be a number of bytes a second from %d to %d, or 0 for off", minScrubRate, int64(maxScrubRate))
	}
	s.ScrubRate = n
	return nil
}

const maxBanner = 4096

func setBanner(s *Settings, text string) error {
	plain := func(r rune) bool { return unicode.IsControl(r) && r != '\n' }
	if len(text) > maxBanner || !utf8.ValidString(text) || strings.ContainsFunc(text, plain) {
		return fmt.Errorf("must be text of at most %d bytes without control characters", maxBanner)
	}
	s.Banner = text
	return nil
}

// SyslogTarget is where audit events are forwarded to.
type SyslogTarget struct {
	Network string // "tcp", "udp" or "tls"
	Address string // host:port
}

// ParseSyslogTarget reads an audit_log_forward_endpoint: syslog://HOST:PORT or
// syslog+tcp:// for TCP, syslog+udp:// and syslog+tls://. The port may be left
// out; it is 514, or 6514 for TLS (RFC 5425). Harbor's HOST:PORT means TCP.
func ParseSyslogTarget(endpoint string) (SyslogTarget, error) {
	problem := fmt.Errorf("must look like syslog+tls://HOST:6514, syslog+tcp://HOST:514, syslog+udp://HOST:514 or HOST:514")
	if !strings.Contains(endpoint, "://") {
		endpoint = "syslog://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || len(endpoint) > 300 || u.Hostname() == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return SyslogTarget{}, problem
	}
	networks := map[string]string{"syslog": "tcp", "syslog+tcp": "tcp", "syslog+udp": "udp", "syslog+tls": "tls"}
	network, ok := networks[u.Scheme]
	if !ok {
		return SyslogTarget{}, problem
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"tcp": "514", "udp": "514", "tls": "6514"}[network]
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return SyslogTarget{}, problem
	}
	return SyslogTarget{network, net.JoinHostPort(u.Hostname(), port)}, nil
}

// setProxy takes no password: everybody would see it who may see the settings.
func setProxy(s *Settings, text string) error {
	u, err := url.Parse(text)
	if text != "" && (err != nil || len(text) > 300 || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" ||
		u.RawQuery != "" || u.Fragment != "") {
		return fmt.Errorf("must look like http://HOST:PORT")
	}
	if text != "" && u.User != nil {
		return fmt.Errorf("cannot hold a password; for a proxy with one leave it empty and set HTTPS_PROXY in the environment of the service")
	}
	s.OutgoingProxy = text
	return nil
}

const maxNoProxy = 1000

func setNoProxy(s *Settings, text string) error {
	odd := func(r rune) bool { return !unicode.IsPrint(r) || strings.ContainsRune(`@\"'`, r) }
	if len(text) > maxNoProxy || strings.ContainsFunc(text, odd) {
		return fmt.Errorf("must be hosts, .domains and networks such as 10.0.0.0/8 with commas between, of at most %d bytes", maxNoProxy)
	}
	s.OutgoingNoProxy = text
	return nil
}

func setForwardEndpoint(s *Settings, text string) error {
	if text != "" {
		if _, err := ParseSyslogTarget(text); err != nil {
			return err
		}
	}
	s.AuditForwardEndpoint = text
	return nil
}

// nearestSetting asks whether the known key that is most like word was meant.
func nearestSetting(word string) string {
	if best := Nearest(word, SettingKeys()); best != "" {
		return fmt.Sprintf("; did you mean %s?", best)
	}
	return "; GET /api/v2.0/configurations lists all"
}
