package web_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

type user struct {
	ID           int64  `json:"user_id"`
	Username     string `json:"username"`
	Email        string `json:"email"`
	Realname     string `json:"realname"`
	Comment      string `json:"comment"`
	SysadminFlag bool   `json:"sysadmin_flag"`
}

func TestUserLifecycle(t *testing.T) {
	s := newServer(t)
	body := map[string]any{"username": "amy", "email": "amy@example.com", "realname": "Amy A", "comment": "first", "password": password}
	path := s.do(t, http.MethodPost, "/api/v2.0/users", "admin", body, 201).Header().Get("Location")
	if path != "/api/v2.0/users/2" {
		t.Fatalf("Location = %q", path)
	}
	want := user{2, "amy", "amy@example.com", "Amy A", "first", false}
	if got := get[user](t, s, path, "admin"); got != want {
		t.Errorf("created %+v, want %+v", got, want)
	}
	if got := get[user](t, s, "/api/v2.0/users/current", "AMY"); got != want {
		t.Errorf("current = %+v, want %+v", got, want)
	}
	s.do(t, http.MethodPut, path, "amy", map[string]string{"email": "a@example.com", "realname": "A"}, 200)
	want.Email, want.Realname, want.Comment = "a@example.com", "A", ""
	if got := get[user](t, s, path, "amy"); got != want {
		t.Errorf("updated %+v, want %+v", got, want)
	}
	s.do(t, http.MethodPut, path+"/sysadmin", "admin", map[string]bool{"sysadmin_flag": true}, 200)
	if got := get[user](t, s, path, "amy"); !got.SysadminFlag {
		t.Error("amy is not a system admin")
	}
	s.do(t, http.MethodDelete, path, "admin", nil, 200)
	s.do(t, http.MethodGet, path, "admin", nil, 404)
	s.do(t, http.MethodGet, "/api/v2.0/users/current", "amy", nil, 401)
}

func TestUserFieldsAreHarbors(t *testing.T) {
	s := newServer(t)
	got := get[map[string]any](t, s, "/api/v2.0/users/1", "admin")
	for _, name := range []string{"user_id", "username", "email", "realname", "comment", "sysadmin_flag", "admin_role_in_auth", "creation_time", "update_time",
		"disabled"} { // the last is our own
		if _, ok := got[name]; !ok {
			t.Errorf("there is no %s", name)
		}
		delete(got, name)
	}
	if len(got) != 0 {
		t.Errorf("fields that Harbor does not have: %v", got)
	}
}

func TestUserConflictsAndRules(t *testing.T) {
	s := newServer(t)
	s.addUser(t, "amy")
	tests := []struct {
		body map[string]string
		want int
	}{
		{map[string]string{"username": "AMY", "email": "new@example.com", "password": password}, 409},
		{map[string]string{"username": "amy2", "email": "Amy@Example.com", "password": password}, 409},
		{map[string]string{"username": "robot$x", "password": password}, 400},
		{map[string]string{"username": "a:b", "password": password}, 400},
		{map[string]string{"username": "System", "password": password}, 400},
		{map[string]string{"username": "anonymous", "password": password}, 400},
		{map[string]string{"username": "weak", "password": "password"}, 400},
		{map[string]string{"username": "bob", "email": "not an address", "password": password}, 400},
	}
	for _, tt := range tests {
		if w := s.serve(request(t, http.MethodPost, "/api/v2.0/users", "admin", tt.body)); w.Code != tt.want {
			t.Errorf("POST %v = %d, want %d\n%s", tt.body, w.Code, tt.want, w.Body)
		}
	}
}

// CVE-2019-16097: self-registration with the admin flag set.
func TestSelfRegistrationNeverMakesAdmins(t *testing.T) {
	s := newServer(t)
	body := func(name, extra string) string {
		return `{"username":"` + name + `","email":"` + name + `@example.com","password":"` + password + `"` + extra + `}`
	}
	s.do(t, http.MethodPost, "/api/v2.0/users", "", body("eve", ""), 401)
	s.do(t, http.MethodPut, "/api/v2.0/configurations", "admin", `{"self_registration":true}`, 200)
	s.do(t, http.MethodPost, "/api/v2.0/users", "", body("eve", `,"has_admin_role":true`), 401)
	s.do(t, http.MethodPost, "/api/v2.0/users", "", body("eve", `,"sysadmin_flag":true`), 401)
	s.do(t, http.MethodPost, "/api/v2.0/users", "", body("eve", `,"SysAdmin_Flag":true`), 401)
	s.do(t, http.MethodPost, "/api/v2.0/users", "", body("eve", `,"user_id":1,"role_id":1,"admin_role_in_auth":true`), 201)
	if got := get[user](t, s, "/api/v2.0/users/current", "eve"); got.SysadminFlag || got.ID != 2 {
		t.Errorf("eve registered as %+v", got)
	}
	s.do(t, http.MethodPost, "/api/v2.0/users", "eve", body("eve2", `,"sysadmin_flag":true`), 403)
	s.do(t, http.MethodPut, "/api/v2.0/users/2", "eve", `{"email":"e@example.com","sysadmin_flag":true,"has_admin_role":true}`, 200)
	if got := get[user](t, s, "/api/v2.0/users/current", "eve"); got.SysadminFlag {
		t.Error("eve promoted herself by her profile")
	}
	s.do(t, http.MethodPost, "/api/v2.0/users", "admin", body("root", `,"sysadmin_flag":true`), 201)
	if got := get[user](t, s, "/api/v2.0/users/current", "root"); !got.SysadminFlag {
		t.Error("a system admin could not create another")
	}
}

func TestRegistrationIsSlowedDown(t *testing.T) {
	s := newServer(t)
	s.do(t, http.MethodPut, "/api/v2.0/configurations", "admin", `{"self_registration":true}`, 200)
	for i := range 50 {
		body := map[string]string{"username": "user" + strconv.Itoa(i), "password": password}
		code := s.serve(request(t, http.MethodPost, "/api/v2.0/users", "", body)).Code
		if code == 429 && i >= 5 {
			return // the sixth, or a later one where the machine is too busy to be fast
		}
		if code != 201 {
			t.Fatalf("registration %d of one address = %d", i, code)
		}
	}
	t.Error("fifty registrations of one address were not too many")
}

// Every operation on users by everyone who may not do it.
func TestUserAuthorization(t *testing.T) {
	s := newServer(t)
	amy, bob := s.addUser(t, "amy"), s.addUser(t, "bob")
	absent := "/api/v2.0/users/4711"
	secret := map[string]string{"secret": "Docker-Secret-0123456789"}
	newPassword := map[string]string{"new_password": "Other-Horse-1", "old_password": password}
	operations := []struct {
		method, path string
		body         any
	}{
		{"GET", "/api/v2.0/users", nil},
		{"GET", bob, nil}, {"GET", absent, nil},
		{"PUT", bob, map[string]string{"email": "x@example.com"}}, {"PUT", absent, map[string]string{}},
		{"DELETE", bob, nil}, {"DELETE", absent, nil}, {"DELETE", amy, nil},
		{"PUT", bob + "/password", newPassword}, {"PUT", absent + "/password", newPassword},
		{"PUT", bob + "/sysadmin", map[string]bool{"sysadmin_flag": true}},
		{"PUT", amy + "/sysadmin", map[string]bool{"sysadmin_flag": true}},
		{"PUT", absent + "/sysadmin", map[string]bool{"sysadmin_flag": true}},
		{"PUT", bob + "/cli_secret", secret}, {"PUT", absent + "/cli_secret", secret},
		{"GET", "/api/v2.0/configurations", nil},
		{"PUT", "/api/v2.0/configurations", map[string]bool{"read_only": true}},
		{"GET", "/api/v2.0/systeminfo/volumes", nil},
		{"GET", "/api/v2.0/permissions", nil},
		{"GET", "/api/v2.0/system/certificate", nil},
		{"PUT", "/api/v2.0/system/certificate", map[string]string{"certificate": "a", "key": "b"}},
		{"DELETE", "/api/v2.0/system/certificate", nil},
		{"POST", "/api/v2.0/system/certificate/renew", nil},
		{"POST", "/api/v2.0/system/certificate/renew-ca", nil},
	}
	for _, op := range operations {
		s.do(t, op.method, op.path, "", op.body, 401)
		s.do(t, op.method, op.path, "amy", op.body, 403)
	}
	for _, path := range []string{"/api/v2.0/users/current", "/api/v2.0/users/search?username=a", "/api/v2.0/users/current/permissions", "/api/v2.0/statistics"} {
		s.do(t, "GET", path, "", nil, 401)
	}
	// What is refused tells nothing about what exists.
	hidden := s.do(t, "GET", bob, "amy", nil, 403).Body.String()
	if gone := s.do(t, "GET", absent, "amy", nil, 403).Body.String(); gone != hidden {
		t.Errorf("an absent user answers %s and one of others %s", gone, hidden)
	}
}

func TestUserSearchShowsLittle(t *testing.T) {
	s := newServer(t)
	s.addUser(t, "amy")
	s.addUser(t, "amanda")
	w := s.do(t, http.MethodGet, "/api/v2.0/users/search?username=AM&page_size=1", "amy", nil, 200)
	var found []map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &found); err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || len(found[0]) != 2 || found[0]["username"] != "amanda" || w.Header().Get("X-Total-Count") != "2" {
		t.Errorf("search = %v of %s, want amanda's id and name of 2", found, w.Header().Get("X-Total-Count"))
	}
	s.do(t, http.MethodGet, "/api/v2.0/users/search?username=%20", "amy", nil, 400)
	s.do(t, http.MethodGet, "/api/v2.0/users/search", "amy", nil, 400)
	w = s.do(t, http.MethodGet, "/api/v2.0/users/search?username=%25", "amy", nil, 200)
	if w.Header().Get("X-Total-Count") != "0" {
		t.Error("% in a search matches everyone")
	}
	// The filters of the full list must not reach this one.
	w = s.do(t, http.MethodGet, "/api/v2.0/users/search?username=am&q=email=amy@example.com", "amy", nil, 200)
	if w.Header().Get("X-Total-Count") != "2" {
		t.Error("a search can be filtered by the e-mail address")
	}
}

func TestPasswordChange(t *testing.T) {
	s := newServer(t)
	path := s.addUser(t, "amy")
	const next = "Next-Horse-1"
	put := func(old, new string, want int) {
		t.Helper()
		s.do(t, http.MethodPut, path+"/password", "amy", map[string]string{"old_password": old, "new_password": new}, want)
	}
	put("", next, 403)
	put("Wrong-Horse-1", next, 403)
	put(password, "short", 400)
	put(password, password, 400)
	s.do(t, http.MethodPut, path+"/cli_secret", "amy", map[string]string{"secret": "Docker-Secret-0123456789"}, 200)
	put(password, next, 200)
	s.do(t, http.MethodGet, "/api/v2.0/users/current", "amy", nil, 401) // though it was remembered
	for secret, want := range map[string]int{next: 200, "Docker-Secret-0123456789": 200} {
		r := request(t, http.MethodGet, "/api/v2.0/users/current", "", nil)
		r.SetBasicAuth("amy", secret)
		if w := s.serve(r); w.Code != want {
			t.Errorf("with %s: %d, want %d", secret, w.Code, want)
		}
	}
	// A reset by an administrator needs no old password and removes the CLI secret.
	s.do(t, http.MethodPut, path+"/password", "admin", map[string]string{"new_password": password}, 200)
	s.do(t, http.MethodGet, "/api/v2.0/users/current", "amy", nil, 200)
	r := request(t, http.MethodGet, "/api/v2.0/users/current", "", nil)
	r.SetBasicAuth("amy", "Docker-Secret-0123456789")
	if w := s.serve(r); w.Code != 401 {
		t.Errorf("the CLI secret outlived the reset: %d", w.Code)
	}
}

func TestCLISecretRules(t *testing.T) {
	s := newServer(t)
	for secret, want := range map[string]int{
		"": 400, "Short-Secret-1": 400, strings.Repeat("a", 30): 400, "Docker-Secret-0123456789": 200,
	} {
		s.do(t, http.MethodPut, "/api/v2.0/users/1/cli_secret", "admin", map[string]string{"secret": secret}, want)
	}
}

func TestTheLastAdminStays(t *testing.T) {
	s := newServer(t)
	s.do(t, http.MethodPut, "/api/v2.0/users/1/sysadmin", "admin", map[string]bool{"sysadmin_flag": false}, 412)
	s.do(t, http.MethodPut, "/api/v2.0/users/1/sysadmin", "admin", map[string]string{}, 400)
	s.do(t, http.MethodDelete, "/api/v2.0/users/1", "admin", nil, 403)
	amy := s.addUser(t, "amy")
	s.do(t, http.MethodPut, amy+"/sysadmin", "admin", map[string]bool{"sysadmin_flag": true}, 200)
	s.do(t, http.MethodDelete, "/api/v2.0/users/1", "amy", nil, 403)
	s.do(t, http.MethodDelete, amy, "amy", nil, 403)
	s.do(t, http.MethodPut, "/api/v2.0/users/1/sysadmin", "amy", map[string]bool{"sysadmin_flag": false}, 200)
	s.do(t, http.MethodPut, amy+"/sysadmin", "amy", map[string]bool{"sysadmin_flag": false}, 412)
	s.do(t, http.MethodGet, "/api/v2.0/users", "admin", nil, 403)
}

func TestOwnPermissions(t *testing.T) {
	s := newServer(t)
	s.addUser(t, "amy")
	const path = "/api/v2.0/users/current/permissions"
	for _, query := range []string{"", "?scope=/project/1", "?scope=/project/x", "?scope=/system", "?scope=../project/1"} {
		if got := get[[]map[string]string](t, s, path+query, "amy"); len(got) != 0 {
			t.Errorf("amy has %v in %q", got, query)
		}
	}
}
