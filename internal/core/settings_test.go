package core_test

import (
	"strings"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

func TestSettingValues(t *testing.T) {
	tests := []struct {
		key, text string
		ok        bool
	}{
		{"token_expiration", "1", true}, {"token_expiration", "1440", true}, {"token_expiration", "0", false},
		{"token_expiration", "1441", false}, {"token_expiration", "1e2", false}, {"token_expiration", "", false},
		{"session_timeout", "60", true}, {"session_timeout", "-1", false},
		{"audit_log_retention_hours", "0", true}, {"audit_log_retention_hours", "720", true}, {"audit_log_retention_hours", "-1", false},
		{"robot_token_duration", "-1", true}, {"robot_token_duration", "0", false}, {"robot_token_duration", "36501", false},
		{"storage_per_project", "-1", true}, {"storage_per_project", "1073741824", true}, {"storage_per_project", "0", false},
		{"storage_per_project", "1152921504606846977", false}, {"storage_per_project", "99999999999999999999", false},
		{"read_only", "true", true}, {"read_only", "True", false}, {"read_only", "1", false},
		{"project_creation_restriction", "adminonly", true}, {"project_creation_restriction", "nobody", false},
		{"banner_message", "two\nlines", true}, {"banner_message", "bell\a", false}, {"banner_message", strings.Repeat("a", 4097), false},
		{"audit_log_forward_endpoint", "", true}, {"audit_log_forward_endpoint", "syslog+tls://log.example.com:6514", true},
		{"audit_log_forward_endpoint", "http://log.example.com", false},
		{"scrub_rate", "0", true}, {"scrub_rate", "65536", true}, {"scrub_rate", "65535", false}, {"scrub_rate", "-1", false},
		{"scrub_interval_days", "1", true}, {"scrub_interval_days", "0", false}, {"scrub_interval_days", "366", false},
		{"auth_mode", "db_auth", true}, {"auth_mode", "ldap_auth", false}, {"robot_name_prefix", "robot-", false},
		{"outgoing_proxy", "http://proxy.example.com:3128", true}, {"outgoing_proxy", "", true}, {"outgoing_proxy", "socks5://proxy", false},
		{"outgoing_proxy", "http://user:secret@proxy", false}, {"outgoing_proxy", "http://proxy/path", false},
		{"outgoing_no_proxy", ".example.com, 10.0.0.0/8,localhost:8080", true}, {"outgoing_no_proxy", "a\nb", false},
		{"no_such_key", "1", false},
	}
	for _, tt := range tests {
		next, err := core.DefaultSettings().With(tt.key, tt.text)
		if (err == nil) != tt.ok {
			t.Errorf("%s = %q: %v, want it to be allowed: %v", tt.key, core.Clip(tt.text, 32), err, tt.ok)
			continue
		}
		if !tt.ok {
			if core.ErrorCode(err) != core.CodeBadRequest || !strings.HasPrefix(err.Error(), tt.key) && tt.key != "no_such_key" {
				t.Errorf("%s = %q: error %v", tt.key, core.Clip(tt.text, 32), err)
			}
			if next != core.DefaultSettings() {
				t.Errorf("%s = %q was refused and changed the settings", tt.key, core.Clip(tt.text, 32))
			}
			continue
		}
		if got, err := next.Get(tt.key); err != nil || got != tt.text {
			t.Errorf("%s = %q reads back as %q, %v", tt.key, tt.text, got, err)
		}
	}
}

func TestSettingsReachTheirFields(t *testing.T) {
	s := core.DefaultSettings()
	for key, text := range map[string]string{
		"anonymous_access": "false", "audit_log_forward_endpoint": "syslog://h:1", "audit_log_retention_hours": "2",
		"banner_message": "b", "project_creation_restriction": "adminonly", "read_only": "true", "robot_token_duration": "3",
		"self_registration": "true", "session_timeout": "4", "storage_per_project": "5", "token_expiration": "6", "scrub_rate": "70000", "scrub_interval_days": "8",
		"outgoing_proxy": "http://p:1", "outgoing_no_proxy": "localhost",
	} {
		var err error
		if s, err = s.With(key, text); err != nil {
			t.Fatal(err)
		}
	}
	want := core.Settings{ProjectCreationAdminOnly: true, SelfRegistration: true, TokenExpiration: 6 * time.Minute, RobotDurationDays: 3,
		SessionTimeout: 4 * time.Minute, ReadOnly: true, StoragePerProject: 5, Banner: "b", AuditForwardEndpoint: "syslog://h:1",
		AuditRetention: 2 * time.Hour, ScrubRate: 70000, ScrubInterval: 8 * 24 * time.Hour, OutgoingProxy: "http://p:1", OutgoingNoProxy: "localhost"}
	if s != want {
		t.Errorf("settings = %+v\nwant       %+v", s, want)
	}
}

func TestParseSyslogTarget(t *testing.T) {
	tests := map[string]core.SyslogTarget{
		"syslog://log.example.com":             {Network: "tcp", Address: "log.example.com:514"},
		"log.example.com:1514":                 {Network: "tcp", Address: "log.example.com:1514"},
		"syslog+udp://192.0.2.1":               {Network: "udp", Address: "192.0.2.1:514"},
		"syslog+tls://[2001:db8::1]":           {Network: "tls", Address: "[2001:db8::1]:6514"},
		"syslog+tcp://log.example.com:601":     {Network: "tcp", Address: "log.example.com:601"},
		"ftp://h:1":                            {},
		"syslog://":                            {},
		"syslog://h:0":                         {},
		"syslog://h:65536":                     {},
		"syslog://h:1/path":                    {},
		"syslog://user:secret@h:1":             {},
		"syslog://h:1?x=y":                     {},
		"syslog://" + strings.Repeat("a", 400): {},
	}
	for endpoint, want := range tests {
		got, err := core.ParseSyslogTarget(endpoint)
		if got != want || (err == nil) != (want.Address != "") {
			t.Errorf("%s = %+v, %v, want %+v", core.Clip(endpoint, 40), got, err, want)
		}
	}
}
