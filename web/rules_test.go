package web_test

import (
	"encoding/json"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

// terraform's provider for Harbor sends these, and checks the status exactly.
const (
	terraformRule = `{"disabled":false,"scope_selectors":{"repository":[{"kind":"doublestar","decoration":"repoMatches","pattern":"**"}]},` +
		`"tag_selectors":[{"kind":"doublestar","decoration":"matches","pattern":"v*"}],"action":"immutable","template":"immutable_template"}`
	terraformPolicy = `{"algorithm":"or","rules":[{"disabled":false,"action":"retain","scope_selectors":{"repository":[{"kind":"doublestar","decoration":"repoMatches","pattern":"**"}]},` +
		`"tag_selectors":[{"kind":"doublestar","decoration":"matches","pattern":"latest","extras":"{\"untagged\":false}"}],"params":{},"template":"always"},` +
		`{"disabled":true,"action":"retain","scope_selectors":{"repository":[{"kind":"doublestar","decoration":"repoExcludes","pattern":"{a,b}"}]},` +
		`"tag_selectors":[{"kind":"doublestar","decoration":"excludes","pattern":"x*","extras":"{\"untagged\":true}"}],"params":{"latestPushedK":5},"template":"latestPushedK"}],` +
		`"trigger":{"kind":"Schedule","references":{},"settings":{"cron":"0 0 0 * * 0"}},"scope":{"level":"project","ref":PROJECT}}`
	terraformEmpty = `{"id":1,"algorithm":"or","rules":null,"trigger":{"kind":"Schedule","references":{},"settings":{"cron":""}},"scope":{"level":"project","ref":PROJECT}}`
)

func TestImmutableRulesAsTerraformUsesThem(t *testing.T) {
	s := newServer(t)
	s.do(t, "POST", "/api/v2.0/projects", "admin", `{"project_name":"p"}`, 201)
	const path = "/api/v2.0/projects/1/immutabletagrules"
	location := s.do(t, "POST", path, "admin", terraformRule, 201).Header().Get("Location")
	if location != path+"/1" {
		t.Errorf("Location = %q", location)
	}
	s.do(t, "POST", path, "admin", terraformRule, 409)
	s.do(t, "PUT", location, "admin", `{"id":1,`+strings.Replace(terraformRule[1:], "false", "true", 1), 200)
	s.do(t, "PUT", location, "admin", `{"id":2,`+terraformRule[1:], 400)
	type rule struct {
		ID             int64
		ProjectID      int64 `json:"project_id"`
		Disabled       bool
		Action         string
		Template       string
		TagSelectors   []core.Selector            `json:"tag_selectors"`
		ScopeSelectors map[string][]core.Selector `json:"scope_selectors"`
	}
	w := s.do(t, "GET", path+"?page=1&page_size=15", "admin", nil, 200)
	var rules []rule
	if err := json.Unmarshal(w.Body.Bytes(), &rules); err != nil || w.Header().Get("X-Total-Count") != "1" {
		t.Fatalf("%v: %s", err, w.Body)
	}
	r := rules[0]
	if r.ID != 1 || r.ProjectID != 1 || !r.Disabled || r.Action != "immutable" || r.Template != "immutable_template" ||
		r.TagSelectors[0].Pattern != "v*" || r.ScopeSelectors["repository"][0].Decoration != "repoMatches" {
		t.Errorf("rule = %+v", r)
	}
	for name, body := range map[string]string{
		"another action":    strings.Replace(terraformRule, `"immutable"`, `"retain"`, 1),
		"no selector":       `{"tag_selectors":[],"scope_selectors":{}}`,
		"a scope of others": strings.Replace(terraformRule, `"repository"`, `"project"`, 1),
		"a broken pattern":  strings.Replace(terraformRule, `v*`, `{v`, 1),
	} {
		if code, message := envelope(t, s.do(t, "POST", path, "admin", body, 400)); code != "BAD_REQUEST" || message == "" {
			t.Errorf("%s: %s %s", name, code, message)
		}
	}
	s.do(t, "DELETE", location, "admin", nil, 200)
	s.do(t, "DELETE", location, "admin", nil, 404)
}

func TestRetentionAsTerraformUsesIt(t *testing.T) {
	s := newServer(t)
	s.do(t, "POST", "/api/v2.0/projects", "admin", `{"project_name":"p"}`, 201)
	fill := func(body string) string { return strings.Replace(body, "PROJECT", "1", 1) }
	location := s.do(t, "POST", "/api/v2.0/retentions", "admin", fill(terraformPolicy), 201).Header().Get("Location")
	if location != "/api/v2.0/retentions/1" {
		t.Errorf("Location = %q", location)
	}
	code, message := envelope(t, s.do(t, "POST", "/api/v2.0/retentions", "admin", fill(terraformPolicy), 400))
	if code != "BAD_REQUEST" || message != "project 1 already has retention policy 1" {
		t.Errorf("%s: %s", code, message)
	}
	project := get[struct{ Metadata map[string]string }](t, s, "/api/v2.0/projects/1", "admin")
	if project.Metadata["retention_id"] != "1" {
		t.Errorf("metadata = %v", project.Metadata)
	}
	var sent, got map[string]any
	if err := json.Unmarshal([]byte(fill(terraformPolicy)), &sent); err != nil {
		t.Fatal(err)
	}
	got = get[map[string]any](t, s, location, "admin")
	for i, rule := range got["rules"].([]any) { // Harbor adds these
		r := rule.(map[string]any)
		if r["id"] != float64(i) || r["priority"] != float64(0) {
			t.Errorf("rule = %v", r)
		}
		delete(r, "id")
		delete(r, "priority")
	}
	delete(got, "id")
	if a, b := asJSON(t, sent), asJSON(t, got); a != b {
		t.Errorf("sent %s\n got %s", a, b)
	}
	s.do(t, "PUT", location, "admin", fill(terraformEmpty), 200) // terraform destroy
	if rules := get[struct{ Rules []any }](t, s, location, "admin").Rules; rules == nil || len(rules) != 0 {
		t.Errorf("rules = %v", rules)
	}
	s.do(t, "DELETE", location, "admin", nil, 200)
	s.do(t, "GET", location, "admin", nil, 404)
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v) // with sorted keys
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRetentionPoliciesThatAreRefused(t *testing.T) {
	s := newServer(t)
	s.do(t, "POST", "/api/v2.0/projects", "admin", `{"project_name":"p"}`, 201)
	good := strings.Replace(terraformPolicy, "PROJECT", "1", 1)
	rule := good[strings.Index(good, `{"disabled":false`) : strings.Index(good, `,{"disabled":true`)+1]
	tests := []struct {
		name, old, new string
		want           int
		text           string
	}{
		{"algorithm", `"or"`, `"and"`, 400, "algorithm"},
		{"scope", `"level":"project"`, `"level":"system"`, 400, "scope system is not support"},
		{"no project", `"ref":1`, `"ref":0`, 400, "invalid Project id 0"},
		{"an absent project", `"ref":1`, `"ref":99`, 404, "project 99 not found"},
		{"trigger", `"kind":"Schedule"`, `"kind":"Event"`, 400, "trigger"},
		{"cron", `0 0 0 * * 0`, `0 0 * * 0`, 400, "six fields"},
		{"cron every second", `0 0 0 * * 0`, `* 0 0 * * 0`, 400, "seconds"},
		{"template", `"template":"always"`, `"template":"never"`, 400, "retention template"},
		{"no number", `"params":{"latestPushedK":5}`, `"params":{"latestPulledN":5}`, 400, "latestPushedK"},
		{"a text", `"params":{"latestPushedK":5}`, `"params":{"latestPushedK":"5"}`, 400, "latestPushedK"},
		{"a fraction", `"params":{"latestPushedK":5}`, `"params":{"latestPushedK":5.5}`, 400, "latestPushedK"},
		{"negative", `"params":{"latestPushedK":5}`, `"params":{"latestPushedK":-5}`, 400, "latestPushedK"},
		{"huge", `"params":{"latestPushedK":5}`, `"params":{"latestPushedK":1e300}`, 400, "latestPushedK"},
		{"action", `"action":"retain"`, `"action":"delete"`, 400, "action"},
		{"pattern", `"pattern":"latest"`, `"pattern":"{"`, 400, "pattern"},
		{"extras", `{\"untagged\":false}`, `untagged`, 400, "extras"},
		{"scope selector", `"repository":[`, `"project":[`, 400, "scope_selectors"},
		{"twice", rule, rule + rule, 409, "rule 1 is conflict with rule 0"},
	}
	for _, tt := range tests {
		body := strings.Replace(good, tt.old, tt.new, 1)
		if body == good {
			t.Fatalf("%s changes nothing", tt.name)
		}
		_, message := envelope(t, s.do(t, "POST", "/api/v2.0/retentions", "admin", body, tt.want))
		if !strings.Contains(message, tt.text) {
			t.Errorf("%s: %s", tt.name, message)
		}
	}
	s.do(t, "POST", "/api/v2.0/retentions", "admin", good, 201)
}

func TestRetentionMetadata(t *testing.T) {
	s := newServer(t)
	s.do(t, "GET", "/api/v2.0/retentions/metadatas", "", nil, 401)
	m := get[struct {
		Templates []struct {
			RuleTemplate string `json:"rule_template"`
			Params       []struct{ Unit string }
		}
		ScopeSelectors []struct{ Decorations []string } `json:"scope_selectors"`
	}](t, s, "/api/v2.0/retentions/metadatas", "admin")
	if len(m.Templates) != 5 || m.Templates[0].RuleTemplate != "latestPushedK" || m.Templates[0].Params[0].Unit != "COUNT" ||
		m.Templates[4].Params == nil || m.ScopeSelectors[0].Decorations[0] != "repoMatches" {
		t.Errorf("metadata = %+v", m)
	}
}

// TestRulesOverHTTP pushes and pulls through the registry, as docker does.
func TestRulesOverHTTP(t *testing.T) {
	w := newWorld(t, nil)
	keeper := w.sysadmin
	own := w.own
	const projectURL = "/api/v2.0/projects/own-project"
	send := func(method, url, body string, want int) string {
		t.Helper()
		form := "application/json"
		if strings.HasPrefix(url, "/v2/") {
			form = manifestType
		}
		rec := w.send(t, keeper, method, own.fill(url), form, body)
		if rec.Code != want {
			t.Fatalf("%s %s = %d, want %d: %s", method, url, rec.Code, want, rec.Body)
		}
		return rec.Body.String()
	}
	send("POST", projectURL+"/immutabletagrules", strings.Replace(terraformRule, "v*", "v1", 1), 201)
	const moved = `"code":"PRECONDITION","message":"Failed to process request due to 'app:v1' configured as immutable."`
	const deleted = `"code":"PRECONDITION","message":"the tag v1 configured as immutable, cannot be deleted"`
	for _, tt := range []struct{ method, url, body, text string }{
		{"PUT", "/v2/own-project/app/manifests/v1", own.fill(manifestOf("other", "")), moved},
		{"DELETE", "/v2/own-project/app/manifests/v1", "", deleted},
		{"DELETE", "/v2/own-project/app/manifests/{reference}", "", deleted},
		{"DELETE", projectURL + "/repositories/app/artifacts/{reference}/tags/v1", "", deleted},
		{"DELETE", projectURL + "/repositories/app/artifacts/v1", "", deleted},
		{"DELETE", projectURL + "/repositories/app", "", deleted},
		{"POST", projectURL + "/repositories/app/artifacts?from=open-project/app:v1", "", moved},
	} {
		if got := send(tt.method, tt.url, tt.body, 412); !strings.Contains(got, tt.text) {
			t.Errorf("%s %s: %s", tt.method, tt.url, got)
		}
	}
	send("PUT", "/v2/own-project/app/manifests/v1", own.fill(manifestOf("v1", "")), 201) // the same again
	if got := send("GET", projectURL+"/repositories/app/artifacts/v1/tags", "", 200); !strings.Contains(got, `"immutable":true`) {
		t.Errorf("tags: %s", got)
	}
	if got := send("GET", projectURL+"/repositories/app/artifacts?page_size=100", "", 200); strings.Count(got, `"immutable":true`) != 1 {
		t.Errorf("artifacts: %s", got)
	}
	policy := own.fill("/api/v2.0/retentions/{retention_id}")
	send("PUT", policy, own.fill(strings.Replace(strings.Replace(terraformPolicy, "PROJECT", "{project_id}", 1), "latest", "none", 1)), 200)
	w.runJobs(t) // those that the world has queued, dry runs
	send("POST", policy+"/executions", `{"dry_run":false}`, 201)
	execution := w.runJobs(t)
	var tasks []struct {
		ID, Total, Retained int64
		Repository, Status  string
		StatusCode          int `json:"status_code"`
	}
	text := send("GET", policy+"/executions/"+execution+"/tasks", "", 200)
	if err := json.Unmarshal([]byte(text), &tasks); err != nil || len(tasks) != 1 || tasks[0].Repository != "app" || tasks[0].Status != "Success" ||
		tasks[0].StatusCode != 3 || tasks[0].Total != 2 || tasks[0].Retained != 1 {
		t.Fatalf("tasks: %v %s", err, text)
	}
	log := own.but(map[string]string{"execution_id": execution, "task_id": strconv.FormatInt(tasks[0].ID, 10)}).fill(policy + "/executions/{execution_id}/tasks/{task_id}")
	if got := send("GET", log, "", 200); !strings.Contains(got, "| sibling-v1 |") || !strings.Contains(got, "| DEL\n") || !strings.Contains(got, "| IMMUTABLE\n") {
		t.Errorf("log:\n%s", got)
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", log, nil)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Authorization", keeper.header)
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	var results []core.RetentionResult
	if err := json.Unmarshal(rec.Body.Bytes(), &results); err != nil || len(results) != 2 || results[0].Tag != "v1" || results[0].Fate != core.FateImmutable ||
		results[1].Fate != core.FateDeleted || results[1].PushedAt.IsZero() {
		t.Errorf("results: %v %s", err, rec.Body)
	}
	if got := send("GET", "/v2/own-project/app/tags/list", "", 200); strings.Contains(got, "sibling") {
		t.Errorf("tags: %s", got)
	}
}

// runJobs does the retention jobs that wait and returns the id of the last.
func (w *world) runJobs(t *testing.T) (id string) {
	t.Helper()
	for {
		job, err := w.app.StartJob(t.Context(), app.JobRetention)
		if core.IsNotFound(err) {
			return id
		}
		if err == nil {
			err = w.app.RunRetention(t.Context(), job, func(app.RetentionProgress, string) {})
		}
		if err == nil {
			err = w.app.EndJob(t.Context(), job, core.JobSuccess, "")
		}
		if err != nil {
			t.Fatal(err)
		}
		id = strconv.FormatInt(job.ID, 10)
	}
}
