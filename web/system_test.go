package web_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web"
)

type settingValue struct {
	Value    any
	Editable bool
}

func TestConfigurations(t *testing.T) {
	s := newServer(t)
	const path = "/api/v2.0/configurations"
	defaults := map[string]settingValue{
		"auth_mode": {"db_auth", false}, "project_creation_restriction": {"everyone", true}, "self_registration": {false, true},
		"token_expiration": {30.0, true}, "robot_token_duration": {30.0, true}, "session_timeout": {60.0, true},
		"read_only": {false, true}, "storage_per_project": {-1.0, true}, "banner_message": {"", true},
		"audit_log_forward_endpoint": {"", true}, "audit_log_retention_hours": {0.0, true}, "anonymous_access": {true, true},
		"robot_name_prefix": {"robot$", false}, "quota_per_project_enable": {true, false}, "skip_audit_log_database": {false, false},
		"scrub_rate": {8388608.0, true}, "outgoing_proxy": {"", true}, "outgoing_no_proxy": {"", true}, "scrub_interval_days": {30.0, true},
	}
	got := get[map[string]settingValue](t, s, path, "admin")
	for key, want := range defaults {
		if got[key] != want {
			t.Errorf("%s = %v, want %v", key, got[key], want)
		}
		delete(got, key)
	}
	if len(got) != 0 {
		t.Errorf("more settings than expected: %v", got)
	}
	s.do(t, http.MethodPut, path, "admin", `{ "token_expiration" : 45 ,"robot_token_duration":"7" , "read_only": true ,"banner_message":null,"auth_mode":"db_auth"}`, 200)
	got = get[map[string]settingValue](t, s, path, "admin")
	if got["token_expiration"].Value != 45.0 || got["robot_token_duration"].Value != 7.0 || got["read_only"].Value != true {
		t.Errorf("after the change: %v", got)
	}
	if now := s.app.Settings(); !now.ReadOnly || now.TokenExpiration.Minutes() != 45 {
		t.Errorf("in force: %+v", now)
	}
}

func TestConfigurationIsAllOrNothing(t *testing.T) {
	s := newServer(t)
	before := s.app.Settings()
	tests := []struct{ body, want string }{
		{`{"read_only":true,"token_expiration":0}`, "token_expiration must be a number of minutes"},
		{`{"read_only":true,"token_expiraton":10}`, "did you mean token_expiration?"},
		{`{"read_only":true,"auth_mode":"ldap_auth"}`, "cannot be changed"},
		{`{"read_only":true,"robot_token_duration":1.5}`, "number of days"},
		{`{"read_only":true,"self_registration":1}`, "true or false"},
		{`{"read_only":true,"banner_message":{"a":1}}`, "single value"},
		{`{"read_only":true,"skip_audit_log_database":true}`, "cannot be changed"},
		{`{"read_only":true,"notification_enable":false}`, "cannot be changed"},
	}
	for _, tt := range tests {
		w := s.do(t, http.MethodPut, "/api/v2.0/configurations", "admin", tt.body, 400)
		if _, message := envelope(t, w); !strings.Contains(message, tt.want) {
			t.Errorf("%s: %q, want ...%s...", tt.body, message, tt.want)
		}
	}
	if s.app.Settings() != before {
		t.Errorf("refused changes are in force: %+v", s.app.Settings())
	}
}

// The body that Harbor's Terraform provider sends for its defaults.
func TestConfigurationFromTerraform(t *testing.T) {
	s := newServer(t)
	s.do(t, http.MethodPut, "/api/v2.0/configurations", "admin", `{"project_creation_restriction":"adminonly","read_only":false,
		"robot_token_duration":30,"token_expiration":30,"session_timeout":60,"quota_per_project_enable":true,"robot_name_prefix":"robot$",
		"storage_per_project":-1,"scanner_skip_update_pulltime":false,"skip_audit_log_database":false,
		"banner_message":"{\"closable\":true,\"message\":\"hello\",\"type\":\"info\",\"fromDate\":\"\",\"toDate\":\"\"}","notification_enable":true}`, 200)
	if !s.app.Settings().ProjectCreationAdminOnly {
		t.Error("the restriction is not in force")
	}
}

func TestSystemInfo(t *testing.T) {
	s := newServer(t, func(d *web.Deps) { d.Certificates = &certificates{} })
	anonymous := get[map[string]any](t, s, "/api/v2.0/systeminfo", "")
	if len(anonymous) != 2 || anonymous["auth_mode"] != "db_auth" || anonymous["self_registration"] != false {
		t.Errorf("the anonymous see %v", anonymous)
	}
	s.addUser(t, "amy")
	known := get[map[string]any](t, s, "/api/v2.0/systeminfo", "amy")
	want := map[string]any{"harbor_version": "v2.12.0-breakwater-1.2.3", "registry_url": "registry.test:8443",
		"external_url": "https://registry.test:8443", "has_ca_root": true, "read_only": false, "project_creation_restriction": "everyone"}
	for key, value := range want {
		if known[key] != value {
			t.Errorf("%s = %v, want %v", key, known[key], value)
		}
	}
}

func TestGetCert(t *testing.T) {
	s := newServer(t)
	s.do(t, http.MethodGet, "/api/v2.0/systeminfo/getcert", "", nil, 404)
	s = newServer(t, func(d *web.Deps) { d.Certificates = &certificates{} })
	w := s.do(t, http.MethodGet, "/api/v2.0/systeminfo/getcert", "", nil, 200)
	if !strings.HasPrefix(w.Body.String(), "-----BEGIN CERTIFICATE") || !strings.Contains(w.Header().Get("Content-Disposition"), "ca.crt") {
		t.Errorf("getcert = %s %v", w.Body, w.Header())
	}
}

func TestVolumesAndStatistics(t *testing.T) {
	s := newServer(t)
	volumes := get[struct {
		Storage []struct{ Total, Free uint64 }
	}](t, s, "/api/v2.0/systeminfo/volumes", "admin")
	if len(volumes.Storage) != 1 || volumes.Storage[0].Total == 0 || volumes.Storage[0].Free > volumes.Storage[0].Total {
		t.Errorf("volumes = %+v", volumes)
	}
	statistics := get[map[string]int64](t, s, "/api/v2.0/statistics", "admin")
	for _, key := range []string{"private_project_count", "private_repo_count", "public_project_count", "public_repo_count",
		"total_project_count", "total_repo_count", "total_storage_consumption"} {
		if n, ok := statistics[key]; !ok || n != 0 {
			t.Errorf("%s = %d %v, want 0", key, n, ok)
		}
	}
}

func TestPermissionsOfRobots(t *testing.T) {
	s := newServer(t)
	got := get[struct{ System, Project []map[string]string }](t, s, "/api/v2.0/permissions", "admin")
	push := map[string]string{"resource": "repository", "action": "push"}
	if len(got.System) == 0 || !slices.ContainsFunc(got.Project, func(p map[string]string) bool {
		return p["resource"] == push["resource"] && p["action"] == push["action"]
	}) {
		t.Errorf("permissions = %+v", got)
	}
}

type healthReport struct {
	Status     string
	Components []struct{ Name, Status string }
}

func TestHealth(t *testing.T) {
	var probes atomic.Int64
	s := newServer(t, func(d *web.Deps) {
		d.Checks = []web.Check{{Name: "storage", Probe: func(context.Context) error { probes.Add(1); return errors.New("canary") }}}
	})
	report := get[healthReport](t, s, "/api/v2.0/health", "")
	if report.Status != "unhealthy" || len(report.Components) != 2 {
		t.Fatalf("health = %+v", report)
	}
	for _, c := range report.Components {
		if want := map[string]string{"database": "healthy", "storage": "unhealthy"}[c.Name]; want != "" && c.Status != want {
			t.Errorf("%s is %s, want %s", c.Name, c.Status, want)
		}
	}
	if w := s.do(t, http.MethodGet, "/api/v2.0/health", "", nil, 200); strings.Contains(w.Body.String(), "canary") {
		t.Error("health tells everyone why")
	}
	if n := probes.Load(); n != 1 {
		t.Errorf("two requests ran the probe %d times, want once", n)
	}
	if w := s.do(t, http.MethodGet, "/api/v2.0/ping", "", nil, 200); w.Body.String() != "Pong" {
		t.Errorf("ping = %q", w.Body)
	}
}

func TestCertificateManagement(t *testing.T) {
	owner := &certificates{}
	s := newServer(t, func(d *web.Deps) { d.Certificates = owner })
	const path = "/api/v2.0/system/certificate"
	if info := get[web.CertificateInfo](t, s, path, "admin"); info.Source != "own-ca" {
		t.Errorf("certificate = %+v", info)
	}
	s.do(t, http.MethodPost, path+"/renew", "admin", nil, 200)
	s.do(t, http.MethodPost, path+"/renew-ca", "admin", nil, 200)
	s.do(t, http.MethodPut, path, "admin", map[string]string{"certificate": "C", "key": "K"}, 200)
	s.do(t, http.MethodPut, path, "admin", map[string]string{"certificate": "C"}, 400)
	s.do(t, http.MethodDelete, path, "admin", nil, 200)
	if want := []string{"renew", "renew-ca", "replace C K", "remove"}; !slices.Equal(owner.calls, want) {
		t.Errorf("calls = %v, want %v", owner.calls, want)
	}
	owner.err = core.Errorf(core.CodeBadRequest, "the key does not fit")
	w := s.do(t, http.MethodPut, path, "admin", map[string]string{"certificate": "C", "key": "K"}, 400)
	if _, message := envelope(t, w); message != "the key does not fit" {
		t.Errorf("message = %q", message)
	}
	plain := newServer(t)
	plain.do(t, http.MethodGet, path, "admin", nil, 404)
}
