package web_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// As in Harbor, a list that is put over the API replaces the one before,
// whoever changed that meanwhile: what went is in the audit log. A change of a
// project that names no list leaves it.
func TestAllowlistsOverTheAPI(t *testing.T) {
	s := newServer(t)
	const system, project = "/api/v2.0/system/CVEAllowlist", "/api/v2.0/projects/team"
	s.do(t, http.MethodPost, "/api/v2.0/projects", "admin", `{"project_name":"team"}`, http.StatusCreated)
	type list struct {
		Items []struct {
			ID string `json:"cve_id"`
		} `json:"items"`
		ExpiresAt int64 `json:"expires_at"`
	}
	want := func(what string, got list, expires int64, ids ...string) {
		t.Helper()
		var have []string
		for _, item := range got.Items {
			have = append(have, item.ID)
		}
		if !slices.Equal(have, ids) || got.ExpiresAt != expires {
			t.Errorf("%s: %+v", what, got)
		}
	}
	projectList := func() list {
		return get[struct {
			CVEAllowlist list `json:"cve_allowlist"`
		}](t, s, project, "admin").CVEAllowlist
	}

	s.do(t, http.MethodPut, project, "admin", `{"cve_allowlist":{"items":[{"cve_id":"CVE-2026-1"}],"expires_at":4102444800}}`, http.StatusOK)
	s.do(t, http.MethodPut, project, "admin", `{"metadata":{"severity":"high"}}`, http.StatusOK)
	want("after another change", projectList(), 4102444800, "CVE-2026-1")
	const stale = `"update_time":"2020-01-01T00:00:00Z","items":[{"cve_id":"CVE-2026-2"}]`
	s.do(t, http.MethodPut, project, "admin", `{"cve_allowlist":{`+stale+`}}`, http.StatusOK)
	want("replaced", projectList(), 0, "CVE-2026-2")
	s.do(t, http.MethodPut, system, "admin", `{"items":[{"cve_id":"CVE-2026-1"}]}`, http.StatusOK)
	s.do(t, http.MethodPut, system, "admin", "{"+stale+"}", http.StatusOK)
	want("of the registry", get[list](t, s, system, "admin"), 0, "CVE-2026-2")

	rows := get[[]struct {
		Description string `json:"operation_description"`
	}](t, s, "/api/v2.0/audit-logs?q=resource_type%3Dcve-allowlist", "admin")
	replaced := 0
	for _, row := range rows {
		if strings.Contains(row.Description, "added [CVE-2026-2], removed [CVE-2026-1]") {
			replaced++
		}
	}
	if len(rows) != 4 || replaced != 2 {
		t.Errorf("the audit log has %+v", rows)
	}
}
