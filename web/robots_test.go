package web_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

const pullHere = `[{"kind":"project","namespace":"team","access":[{"resource":"repository","action":"pull","effect":"allow"}]}]`

func robotBody(name, level, permissions string) string {
	return fmt.Sprintf(`{"name":%q,"level":%q,"duration":-1,"description":"d","permissions":%s}`, name, level, permissions)
}

func decode(t *testing.T, w *httptest.ResponseRecorder) object {
	t.Helper()
	var body object
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return body
}

// asRobot makes a request with a robot account's secret.
func (s *server) asRobot(t *testing.T, name, secret, method, path string, body any) *httptest.ResponseRecorder {
	t.Helper()
	r := request(t, method, path, "", body)
	r.SetBasicAuth(name, secret)
	return s.serve(r)
}

func TestRobotsOverHTTP(t *testing.T) {
	s := newServer(t)
	s.addUser(t, "ada")
	s.addProject(t, "ada", "team")
	w := s.do(t, http.MethodPost, "/api/v2.0/robots", "ada", robotBody("ci", "project", pullHere), http.StatusCreated)
	location, made := w.Header().Get("Location"), decode(t, w)
	if location != "/api/v2.0/robots/1" || made["id"] != 1.0 || made["name"] != "robot$team+ci" || made["expires_at"] != -1.0 ||
		!slices.Equal(slices.Sorted(maps.Keys(made)), []string{"creation_time", "expires_at", "id", "name", "secret"}) {
		t.Errorf("created %q: %v", location, made)
	}
	secret := made["secret"].(string)
	if w := s.asRobot(t, "robot$team+ci", secret, http.MethodGet, "/api/v2.0/projects", nil); w.Code != http.StatusOK {
		t.Errorf("login = %d %s", w.Code, w.Body)
	}

	w = s.do(t, http.MethodGet, location, "ada", nil, http.StatusOK)
	if strings.Contains(w.Body.String(), "secret") || strings.Contains(w.Body.String(), secret) {
		t.Errorf("the secret is told again: %s", w.Body)
	}
	robot := decode(t, w)
	want := object{"level": "project", "duration": -1.0, "editable": true, "disable": false, "expires_at": -1.0,
		"description": "d", "creator_type": "local", "creator_ref": 2.0}
	for key, want := range want {
		if robot[key] != want {
			t.Errorf("%s = %v, want %v", key, robot[key], want)
		}
	}
	if permissions, err := json.Marshal(robot["permissions"]); err != nil ||
		string(permissions) != `[{"access":[{"action":"pull","resource":"repository"}],"kind":"project","namespace":"team"}]` {
		t.Errorf("permissions = %s, %v", permissions, err)
	}

	list := get[[]object](t, s, "/api/v2.0/robots?q=Level%3Dproject%2CProjectID%3D1", "ada")
	if len(list) != 1 || list[0]["name"] != "robot$team+ci" {
		t.Errorf("list = %v", list)
	}
	if list = get[[]object](t, s, "/api/v2.0/robots", "admin"); len(list) != 0 {
		t.Errorf("system robots = %v", list)
	}

	renewed := decode(t, s.do(t, http.MethodPatch, location, "ada", `{"secret":""}`, http.StatusOK))["secret"].(string)
	if w := s.asRobot(t, "robot$team+ci", secret, http.MethodGet, "/api/v2.0/projects", nil); w.Code != http.StatusUnauthorized {
		t.Errorf("the old secret = %d", w.Code)
	}
	if w := s.asRobot(t, "robot$team+ci", renewed, http.MethodGet, "/api/v2.0/projects", nil); w.Code != http.StatusOK {
		t.Errorf("the new secret = %d", w.Code)
	}
	s.do(t, http.MethodPatch, location, "ada", `{"secret":"weak"}`, http.StatusBadRequest)
	body := strings.Replace(robotBody("robot$team+ci", "project", pullHere), `"duration":-1`, `"duration":5,"disable":true`, 1)
	s.do(t, http.MethodPut, location, "ada", body, http.StatusOK)
	if robot = get[object](t, s, location, "ada"); robot["disable"] != true || robot["duration"] != 5.0 || robot["expires_at"].(float64) < 1e9 {
		t.Errorf("updated = %v", robot)
	}
	if w := s.asRobot(t, "robot$team+ci", renewed, http.MethodGet, "/api/v2.0/projects", nil); w.Code != http.StatusUnauthorized {
		t.Errorf("while disabled = %d", w.Code)
	}
	s.do(t, http.MethodDelete, location, "ada", nil, http.StatusOK)
	s.do(t, http.MethodGet, location, "ada", nil, http.StatusNotFound)
}

func TestSystemRobotsOverHTTP(t *testing.T) {
	s := newServer(t)
	s.addProject(t, "admin", "team")
	permissions := `[{"kind":"system","namespace":"/","access":[{"resource":"project","action":"create"}]},
		{"kind":"project","namespace":"*","access":[{"resource":"repository","action":"pull"},{"resource":"repository","action":"push"}]},
		{"kind":"project","namespace":"team","access":[{"resource":"repository","action":"delete"}]}]`
	w := s.do(t, http.MethodPost, "/api/v2.0/robots", "admin", robotBody("ops", "system", permissions), http.StatusCreated)
	robot := get[object](t, s, w.Header().Get("Location"), "admin")
	var kept []string
	for _, p := range robot["permissions"].([]any) {
		p := p.(object)
		kept = append(kept, fmt.Sprintf("%s %s %d", p["kind"], p["namespace"], len(p["access"].([]any))))
	}
	if slices.Sort(kept); !slices.Equal(kept, []string{"project * 2", "project team 1", "system / 1"}) || robot["level"] != "system" || robot["name"] != "robot$ops" {
		t.Errorf("robot = %v", robot)
	}
	secret := decode(t, w)["secret"].(string)
	if w := s.asRobot(t, "robot$ops", secret, http.MethodPost, "/api/v2.0/projects", `{"project_name":"new"}`); w.Code != http.StatusCreated {
		t.Errorf("project by robot = %d %s", w.Code, w.Body)
	}
	if w := s.asRobot(t, "robot$ops", secret, http.MethodDelete, "/api/v2.0/projects/new", nil); w.Code != http.StatusForbidden {
		t.Errorf("deletion by robot = %d %s", w.Code, w.Body)
	}
}

func TestRobotRequestsOverHTTP(t *testing.T) {
	s := newServer(t)
	s.addProject(t, "admin", "team")
	for _, body := range []string{
		`{}`,
		robotBody("a+b", "project", pullHere),
		robotBody("ci", "galaxy", pullHere),
		robotBody("ci", "project", `[]`),
		robotBody("ci", "project", strings.Replace(pullHere, "allow", "deny", 1)),
		strings.Replace(robotBody("ci", "project", pullHere), `"level"`, `"secret":"x","level"`, 1),
	} {
		s.do(t, http.MethodPost, "/api/v2.0/robots", "admin", body, http.StatusBadRequest)
	}
	if _, text := envelope(t, s.do(t, http.MethodGet, "/api/v2.0/robots?q=Level%3Dproject", "admin", nil, http.StatusBadRequest)); text != "must with project ID when to query project robots" {
		t.Errorf("text = %q", text)
	}
	for query, want := range map[string]int{
		"q=Level%3Dproject":                 http.StatusBadRequest,
		"q=Level%3Dgalaxy":                  http.StatusBadRequest,
		"q=Level%3Dproject,ProjectID%3Dx":   http.StatusBadRequest,
		"q=Level%3Dsystem,ProjectID%3D1":    http.StatusBadRequest,
		"q=secret_hash%3Dx":                 http.StatusBadRequest,
		"q=Level%3Dsystem":                  http.StatusOK,
		"q=Level%3Dproject,ProjectID%3D77":  http.StatusNotFound,
		"q=Level%3Dproject,ProjectID%3D1":   http.StatusOK,
		"q=level%3Dproject,project_id%3D1":  http.StatusOK,
		"q=name%3D~ci&sort=-creation_time":  http.StatusOK,
		"q=Level%3Dproject,ProjectID%3D-1":  http.StatusBadRequest,
		"q=Level%3D%7Bproject+system%7D&x=": http.StatusBadRequest,
	} {
		if w := s.serve(request(t, http.MethodGet, "/api/v2.0/robots?"+query, "admin", nil)); w.Code != want {
			t.Errorf("%s = %d, want %d: %s", query, w.Code, want, w.Body)
		}
	}
}
