package web_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// object is a JSON object as a client sees it.
type object = map[string]any

// addProject makes a project as user and returns its path.
func (s *server) addProject(t *testing.T, user, name string) string {
	t.Helper()
	return s.do(t, http.MethodPost, "/api/v2.0/projects", user, object{"project_name": name}, http.StatusCreated).Header().Get("Location")
}

func TestProjectOverHTTP(t *testing.T) {
	s := newServer(t)
	s.addUser(t, "ada")
	w := s.do(t, http.MethodPost, "/api/v2.0/projects", "ada", object{"project_name": "team", "metadata": object{"public": "true"}}, http.StatusCreated)
	if got := w.Header().Get("Location"); got != "/api/v2.0/projects/1" || w.Body.Len() != 0 {
		t.Errorf("Location = %q, body %q", got, w.Body)
	}
	r := request(t, http.MethodPost, "/api/v2.0/projects", "ada", object{"project_name": "other"})
	r.Header.Set("X-Resource-Name-In-Location", "true")
	if got := s.serve(r).Header().Get("Location"); got != "/api/v2.0/projects/other" {
		t.Errorf("Location by name = %q", got)
	}
	s.do(t, http.MethodPost, "/api/v2.0/projects", "ada", object{"project_name": "team"}, http.StatusConflict)
	s.do(t, http.MethodPost, "/api/v2.0/projects", "", object{"project_name": "x"}, http.StatusUnauthorized)

	project := get[object](t, s, "/api/v2.0/projects/team", "ada")
	fields := []string{"creation_time", "current_user_role_id", "current_user_role_ids", "cve_allowlist", "deleted", "metadata", "name", "owner_id",
		"owner_name", "project_id", "repo_count", "togglable", "update_time"}
	if got := slices.Sorted(maps.Keys(project)); !slices.Equal(got, fields) {
		t.Errorf("fields = %v", got)
	}
	if project["current_user_role_id"] != 1.0 || project["owner_name"] != "ada" || project["metadata"].(object)["public"] != "true" {
		t.Errorf("project = %v", project)
	}
	if anyone := get[object](t, s, "/api/v2.0/projects/1", ""); anyone["current_user_role_id"] != 0.0 || anyone["togglable"] != false {
		t.Errorf("to anyone = %v", anyone)
	}
	// A number is an id unless the header says that it is a name.
	r = request(t, http.MethodGet, "/api/v2.0/projects/1", "ada", nil)
	r.Header.Set("X-Is-Resource-Name", "true")
	if w := s.serve(r); w.Code != http.StatusForbidden {
		t.Errorf("the project named 1 = %d", w.Code)
	}
	s.do(t, http.MethodPut, "/api/v2.0/projects/1", "ada", object{"project_name": "team", "storage_limit": 5, "metadata": object{"public": false}}, http.StatusOK)
	s.do(t, http.MethodGet, "/api/v2.0/projects/1", "", nil, http.StatusUnauthorized)
	if got := get[object](t, s, "/api/v2.0/projects/1/_deletable", "ada"); got["deletable"] != true {
		t.Errorf("_deletable = %v", got)
	}
	s.do(t, http.MethodDelete, "/api/v2.0/projects/1", "ada", nil, http.StatusOK)
	s.do(t, http.MethodGet, "/api/v2.0/projects/1", "admin", nil, http.StatusNotFound)
	s.do(t, http.MethodDelete, "/api/v2.0/projects/1", "ada", nil, http.StatusForbidden)
}

func TestHeadProject(t *testing.T) {
	s := newServer(t)
	s.addUser(t, "ada")
	s.addUser(t, "zoe")
	s.addProject(t, "ada", "team")
	for _, tt := range []struct {
		query, user string
		want        int
	}{
		{"?project_name=team", "ada", 200}, {"?project_name=team", "admin", 200}, {"?project_name=nope", "admin", 404},
		{"?project_name=team", "zoe", 404}, {"?project_name=nope", "zoe", 404}, {"?project_name=team", "", 401}, {"", "ada", 400},
	} {
		if w := s.do(t, http.MethodHead, "/api/v2.0/projects"+tt.query, tt.user, nil, tt.want); w.Body.Len() != 0 {
			t.Errorf("HEAD %s has the body %q", tt.query, w.Body)
		}
	}
}

func TestProjectLists(t *testing.T) {
	s := newServer(t)
	s.addUser(t, "ada")
	for _, name := range []string{"blue", "green", "light-blue"} {
		s.addProject(t, "ada", name)
	}
	s.addProject(t, "admin", "red")
	s.do(t, http.MethodPut, "/api/v2.0/projects/green", "ada", object{"metadata": object{"public": "true"}}, http.StatusOK)
	names := func(query, user string) (names []string) {
		t.Helper()
		for _, p := range get[[]object](t, s, "/api/v2.0/projects"+query, user) {
			names = append(names, p["name"].(string))
		}
		return names
	}
	for _, tt := range []struct {
		query, user string
		want        []string
	}{
		{"?with_detail=true", "admin", []string{"blue", "green", "light-blue", "red"}},
		{"", "ada", []string{"blue", "green", "light-blue"}},
		{"", "", []string{"green"}},
		{"?name=BLUE", "admin", []string{"blue", "light-blue"}},
		{"?q=name=blue", "admin", []string{"blue"}},
		{"?q=name%3D~blue&sort=-name", "admin", []string{"light-blue", "blue"}},
		{"?owner=ada&public=false", "admin", []string{"blue", "light-blue"}},
		{"?public=true", "ada", []string{"green"}},
		{"?public=false", "", nil},
		{"?page=2&page_size=3", "admin", []string{"red"}},
	} {
		if got := names(tt.query, tt.user); !slices.Equal(got, tt.want) {
			t.Errorf("%s as %q = %v, want %v", tt.query, tt.user, got, tt.want)
		}
	}
	for _, bad := range []string{"?sort=name%3Bdrop", "?q=quota_hard=1", "?public=maybe", "?page=0", "?page_size=101"} {
		s.do(t, http.MethodGet, "/api/v2.0/projects"+bad, "admin", nil, http.StatusBadRequest)
	}
}

func TestUnbuiltFeaturesAreRefused(t *testing.T) {
	s := newServer(t)
	for _, body := range []string{
		`{"project_name":"x","registry_id":3}`,
		`{"project_name":"x","cve_allowlist":{"items":[{"cve_id":"CVE-2026-1 OR 1=1"}]}}`,
		`{"project_name":"x","metadata":{"proxy_cache_local_on_not_found":true}}`,
		`{"project_name":"x","metadata":{"public":7}}`,
		`{"project_name":"x","metadata":{"public":"true","public":"false"}}`,
	} {
		s.do(t, http.MethodPost, "/api/v2.0/projects", "admin", body, http.StatusBadRequest)
	}
	// What terraform's provider sends for a plain project.
	s.do(t, http.MethodPost, "/api/v2.0/projects", "admin", `{"project_name":"x","cve_allowlist":{},"storage_limit":-1,"metadata":{
		"enable_content_trust":"false","enable_content_trust_cosign":"false","auto_scan":"false","severity":"low","reuse_sys_cve_allowlist":"true",
		"public":"true","prevent_vul":"false","auto_sbom_generation":"false","proxy_speed_kb":"-1","proxy_cache_local_on_not_found":"false"}}`, http.StatusCreated)
	s.do(t, http.MethodPost, "/api/v2.0/projects", "admin", `{"project_name":"y","public":true,"metadata":{"public":null}}`, http.StatusCreated)
	if p := get[object](t, s, "/api/v2.0/projects/y", ""); p["metadata"].(object)["public"] != "true" {
		t.Errorf("the old form of public: %v", p)
	}
}

func TestSummaryOverHTTP(t *testing.T) {
	s := newServer(t)
	path := s.addProject(t, "admin", "team")
	sum := get[object](t, s, path+"/summary", "admin")
	want := object{"repo_count": 0.0, "project_admin_count": 1.0, "maintainer_count": 0.0, "developer_count": 0.0, "guest_count": 0.0, "limited_guest_count": 0.0}
	quota := sum["quota"].(object)
	delete(sum, "quota")
	if !maps.Equal(sum, want) || quota["hard"].(object)["storage"] != -1.0 || quota["used"].(object)["storage"] != 0.0 {
		t.Errorf("summary = %v, quota %v", sum, quota)
	}
	s.do(t, http.MethodPut, path, "admin", object{"metadata": object{"public": "true"}}, http.StatusOK)
	if sum := get[object](t, s, path+"/summary", ""); len(sum) != 1 {
		t.Errorf("summary for anyone = %v", sum)
	}
}

func TestMetadataOverHTTP(t *testing.T) {
	s := newServer(t)
	path := s.addProject(t, "admin", "team") + "/metadatas"
	for _, p := range []string{path, path + "/", path + "/public"} {
		if got := get[object](t, s, p, "admin"); !maps.Equal(got, object{"public": "false"}) {
			t.Errorf("%s = %v", p, got)
		}
	}
	s.do(t, http.MethodPost, path+"/", "admin", object{"public": "true"}, http.StatusOK)
	s.do(t, http.MethodPut, path+"/public", "admin", object{"public": "false"}, http.StatusOK)
	s.do(t, http.MethodPut, path+"/public", "admin", object{"public": true}, http.StatusOK)
	s.do(t, http.MethodPut, path+"/public", "admin", object{"auto_scan": "false"}, http.StatusBadRequest)
	s.do(t, http.MethodPut, path+"/auto_scan", "admin", object{"auto_scan": "yes"}, http.StatusBadRequest)
	s.do(t, http.MethodPost, path, "admin", object{"public": "true", "auto_scan": "false"}, http.StatusBadRequest)
	s.do(t, http.MethodPost, path, "admin", object{}, http.StatusBadRequest)
	s.do(t, http.MethodGet, path+"/auto_scan", "admin", nil, http.StatusNotFound)
	s.do(t, http.MethodDelete, path+"/auto_scan", "admin", nil, http.StatusNotFound)
	s.do(t, http.MethodDelete, path+"/public", "admin", nil, http.StatusOK)
	if got := get[object](t, s, path, "admin"); got["public"] != "false" {
		t.Errorf("after the deletion = %v", got)
	}
}

func TestMembersOverHTTP(t *testing.T) {
	s := newServer(t)
	s.addUser(t, "ada")
	s.addUser(t, "zoe")
	path := s.addProject(t, "ada", "team") + "/members"
	w := s.do(t, http.MethodPost, path, "ada", `{"role_id":2,"member_user":{"username":"zoe"},"member_group":{}}`, http.StatusCreated)
	location := w.Header().Get("Location")
	if !strings.HasPrefix(location, path+"/") {
		t.Errorf("Location = %q", location)
	}
	m := get[object](t, s, location, "zoe")
	delete(m, "id")
	if !maps.Equal(m, object{"project_id": 1.0, "entity_name": "zoe", "role_name": "developer", "role_id": 2.0, "entity_id": 3.0, "entity_type": "u"}) {
		t.Errorf("member = %v", m)
	}
	if list := get[[]object](t, s, path+"?entityname=ZO", "ada"); len(list) != 1 || list[0]["entity_name"] != "zoe" {
		t.Errorf("list = %v", list)
	}
	s.do(t, http.MethodPost, path, "ada", `{"role_id":2,"member_user":{"user_id":3}}`, http.StatusConflict)
	s.do(t, http.MethodPost, path, "ada", `{"role_id":2,"member_group":{"group_name":"all"}}`, http.StatusBadRequest)
	s.do(t, http.MethodPost, path, "ada", `{"role_id":2}`, http.StatusBadRequest)
	s.do(t, http.MethodPut, location, "zoe", object{"role_id": 1}, http.StatusForbidden)
	s.do(t, http.MethodPut, location, "ada", object{"role_id": 4}, http.StatusOK)
	s.do(t, http.MethodGet, path+"/0", "ada", nil, http.StatusBadRequest)
	s.do(t, http.MethodDelete, location, "ada", nil, http.StatusOK)
	s.do(t, http.MethodGet, location, "ada", nil, http.StatusNotFound)
	s.do(t, http.MethodGet, location, "zoe", nil, http.StatusForbidden)
	s.do(t, http.MethodGet, location, "", nil, http.StatusUnauthorized)
}

func TestQuotasOverHTTP(t *testing.T) {
	s := newServer(t)
	s.addUser(t, "ada")
	s.addProject(t, "ada", "one")
	s.addProject(t, "ada", "two")
	s.do(t, http.MethodPut, "/api/v2.0/quotas/2", "admin", object{"hard": object{"storage": 1 << 30}}, http.StatusOK)
	for _, path := range []string{"/api/v2.0/quotas", "/api/v2.0/quotas/"} {
		list := get[[]object](t, s, path+"?reference=project&sort=-hard.storage", "admin")
		if len(list) != 2 || list[0]["id"] != 2.0 || list[0]["hard"].(object)["storage"] != float64(1<<30) || list[0]["used"].(object)["storage"] != 0.0 ||
			!maps.Equal(list[0]["ref"].(object), object{"id": 2.0, "name": "two", "owner_name": "ada"}) {
			t.Errorf("quotas = %v", list)
		}
	}
	if list := get[[]object](t, s, "/api/v2.0/quotas?reference_id=1", "admin"); len(list) != 1 || list[0]["id"] != 1.0 {
		t.Errorf("quota of one = %v", list)
	}
	for _, body := range []string{`{}`, `{"hard":{}}`, `{"hard":{"count":1}}`, `{"hard":{"storage":1,"count":1}}`, `{"hard":{"storage":0}}`, `{"hard":{"storage":"1"}}`} {
		s.do(t, http.MethodPut, "/api/v2.0/quotas/2", "admin", body, http.StatusBadRequest)
	}
	s.do(t, http.MethodGet, "/api/v2.0/quotas/9", "admin", nil, http.StatusNotFound)
	s.do(t, http.MethodGet, "/api/v2.0/quotas/1", "ada", nil, http.StatusForbidden)
	s.do(t, http.MethodGet, "/api/v2.0/quotas?reference=user", "admin", nil, http.StatusBadRequest)
	s.do(t, http.MethodGet, "/api/v2.0/quotas?sort=owner", "admin", nil, http.StatusBadRequest)
}

func TestSearchOverHTTP(t *testing.T) {
	s := newServer(t)
	s.addProject(t, "admin", "team")
	got := get[map[string][]object](t, s, "/api/v2.0/search?q=EA", "admin")
	if len(got["project"]) != 1 || got["project"][0]["name"] != "team" || got["repository"] == nil {
		t.Errorf("search = %v", got)
	}
	if got = get[map[string][]object](t, s, "/api/v2.0/search?q=ea", ""); len(got["project"]) != 0 || got["project"] == nil {
		t.Errorf("search by anyone = %v", got)
	}
}
