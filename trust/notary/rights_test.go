package notary_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Every role on every route. A denial is 403, or 401 for one who may sign in.
func TestRights(t *testing.T) {
	w := newWorld(t)
	a := w.published(t, gun)
	const base = "/v2/" + gun + "/_trust/"
	pull := map[string]bool{"admin": true, "padmin": true, "maintainer": true, "dev": true, "guest": true, "limited": true}
	push := map[string]bool{"admin": true, "padmin": true, "maintainer": true, "dev": true}
	manage := map[string]bool{"admin": true, "padmin": true, "maintainer": true}
	for _, route := range []struct {
		method, path string
		may          map[string]bool
	}{
		{"GET", base + "tuf/root.json", pull}, {"GET", base + "tuf/1.root.json", pull}, {"GET", base + "tuf/timestamp.json", pull},
		{"GET", base + "changefeed?records=1", pull}, {"GET", base + "tuf/timestamp.key", push}, {"GET", base + "tuf/snapshot.key", push},
		{"POST", base + "tuf/snapshot.key", manage}, {"GET", "/v2/_trust/changefeed?records=1", map[string]bool{"admin": true}},
		{"DELETE", "/v2/" + host + "/p/other/_trust/tuf/", manage},
	} {
		for _, who := range []string{"admin", "padmin", "maintainer", "dev", "guest", "limited", "stranger", ""} {
			res := w.do(t, basic{who}, route.method, route.path, "", nil)
			want := http.StatusForbidden
			if who == "" {
				want = http.StatusUnauthorized
			}
			if route.may[who] {
				want = http.StatusOK
			}
			if res.status != want {
				t.Errorf("%s %s as %q: %d %s, want %d", route.method, route.path, who, res.status, res.body, want)
			}
			if want == http.StatusUnauthorized && !strings.HasPrefix(res.header.Get("WWW-Authenticate"), "Bearer realm=") {
				t.Errorf("%s %s: challenge %q", route.method, route.path, res.header.Get("WWW-Authenticate"))
			}
		}
	}
	for _, who := range []string{"guest", "limited", "stranger"} {
		w.upload(t, who, gun, a.targets(t, theTargets, inAYear())).refused(t, http.StatusForbidden)
	}
	w.do(t, basic{"dev"}, "PUT", base+"tuf/root.json", "", nil).refused(t, http.StatusMethodNotAllowed)
}

// bearer asks the token service and sends the token.
type bearer struct{ token string }

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(r)
}

func (w *world) token(t *testing.T, who, scope string) (bearer, []core.Scope) {
	t.Helper()
	a := w.get(t, who, "/service/token?service=breakwater&scope="+url.QueryEscape(scope))
	a.accepted(t)
	var issued struct{ Token string }
	must(t, json.Unmarshal(a.body, &issued))
	claims := strings.Split(issued.Token, ".")[1]
	var access struct{ Access []core.Scope }
	must(t, json.Unmarshal(decode(t, claims), &access))
	return bearer{issued.Token}, access.Access
}

func decode(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	must(t, err)
	return raw
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	w.published(t, gun)
	for _, test := range []struct{ who, scope, want string }{
		{"dev", "repository:" + gun + ":push,pull", "push pull"},
		{"guest", "repository:" + gun + ":push,pull", "pull"},
		{"maintainer", "repository:" + gun + ":*", "pull push delete"},
		{"dev", "repository:" + gun + ":*", "pull push"},
		{"stranger", "repository:" + gun + ":pull", ""},
		{"dev", "repository:evil.example.com:8443/p/app:push,pull", ""},
		{"dev", "repository:" + oldHost + "/p/app:push,pull", "push pull"},
		{"dev", "repository:p/app:push,pull", "push pull"},
	} {
		_, access := w.token(t, test.who, test.scope)
		if got := strings.Join(access[0].Actions, " "); got != test.want {
			t.Errorf("%s for %s: %q, want %q", test.scope, test.who, got, test.want)
		}
	}
	path := "/v2/" + gun + "/_trust/tuf/"
	own, _ := w.token(t, "dev", "repository:"+gun+":push,pull")
	reading, _ := w.token(t, "dev", "repository:"+gun+":pull")
	other, _ := w.token(t, "dev", "repository:"+host+"/p/other:push,pull")
	images, _ := w.token(t, "dev", "repository:p/app:push,pull")
	w.do(t, own, "GET", path+"timestamp.key", "", nil).accepted(t)
	w.do(t, reading, "GET", path+"root.json", "", nil).accepted(t)
	for _, b := range []bearer{other, images} {
		w.do(t, b, "GET", path+"root.json", "", nil).refused(t, http.StatusUnauthorized)
	}
	w.do(t, reading, "GET", path+"timestamp.key", "", nil).refused(t, http.StatusUnauthorized)
	w.do(t, own, "DELETE", path, "", nil).refused(t, http.StatusUnauthorized)
	w.do(t, bearer{"x"}, "GET", path+"root.json", "", nil).refused(t, http.StatusUnauthorized)
}

// A cookie is no credential here, even where it is a session's.
func TestCookiesAreNotLookedAt(t *testing.T) {
	w := newWorld(t)
	w.published(t, gun)
	r, err := http.NewRequest("GET", w.server.URL+"/v2/"+gun+"/_trust/tuf/root.json", nil)
	must(t, err)
	r.Header.Set("Cookie", "sid=x; __Host-session=x")
	res, err := http.DefaultClient.Do(r)
	must(t, err)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("status = %d, want 401", res.StatusCode)
	}
}

func TestChangefeed(t *testing.T) {
	w := newWorld(t)
	a := w.published(t, gun)
	w.published(t, host+"/p/other")
	w.upload(t, "dev", gun, a.targets(t, theTargets, inAYear())).accepted(t)
	w.do(t, basic{"maintainer"}, "DELETE", "/v2/"+host+"/p/other/_trust/tuf/", "", nil).accepted(t)
	feed := func(who, path string) string {
		var answer struct {
			Count   int
			Records []struct{ ID, GUN, Category, SHA256 string }
		}
		res := w.get(t, who, path)
		res.accepted(t)
		must(t, json.Unmarshal(res.body, &answer))
		if answer.Count != len(answer.Records) {
			t.Errorf("count = %d of %d", answer.Count, len(answer.Records))
		}
		var parts []string
		for _, r := range answer.Records {
			parts = append(parts, r.ID+" "+r.Category)
		}
		return strings.Join(parts, ", ")
	}
	for path, want := range map[string]string{
		"/v2/" + gun + "/_trust/changefeed?records=9":             "1 update, 3 update",
		"/v2/_trust/changefeed?records=9&change_id=1":             "2 update, 3 update, 4 deletion",
		"/v2/_trust/changefeed?records=2&change_id=-1":            "3 update, 4 deletion",
		"/v2/_trust/changefeed?records=-1&change_id=3":            "2 update",
		"/v2/" + gun + "/_trust/changefeed?records=0&change_id=3": "",
	} {
		if got := feed("admin", path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	w.get(t, "admin", "/v2/_trust/changefeed?records=x").refused(t, http.StatusBadRequest, "INVALID_PARAMETERS")
}

// After a move the old names stay readable, and are listed to be signed again.
func TestRenamedHost(t *testing.T) {
	w := newWorld(t)
	a := w.newAuthor(t, gun)
	a.sign("a", "v1", theTargets)
	w.upload(t, "dev", gun, a.root(t, inAYear()), a.targets(t, theTargets, inAYear())).accepted(t)
	wantFacts(t, w, "a", "v1 by Repo Admin")

	w.hosts = []string{"new.example.com"}
	w.restart(t)
	must(t, w.app.NoteTrustHosts(t.Context()))
	w.look(t)
	w.stillServed(t)
	wantFacts(t, w, "a")
	w.upload(t, "dev", gun, a.targets(t, theTargets, inAYear())).refused(t, http.StatusBadRequest, "new.example.com")
	w.get(t, "dev", "/v2/"+gun+"/_trust/tuf/timestamp.key").refused(t, http.StatusBadRequest)
	again, err := w.app.SignAgain(t.Context(), admin)
	if err != nil || len(again) != 1 || again[0] != "p/app" {
		t.Errorf("to be signed again = %q, %v", again, err)
	}

	w.hosts = []string{"new.example.com", host}
	w.restart(t)
	must(t, w.app.NoteTrustHosts(t.Context()))
	w.look(t)
	wantFacts(t, w, "a", "v1 by Repo Admin")
	b := w.newAuthor(t, "new.example.com/p/app")
	b.sign("b", "v1", theTargets)
	w.upload(t, "dev", b.gun, b.root(t, inAYear()), b.targets(t, theTargets, inAYear())).accepted(t)
	wantFacts(t, w, "a") // the new name decides
	wantFacts(t, w, "b", "v1 by Repo Admin")
	w.do(t, basic{"padmin"}, "DELETE", "/v2/"+b.gun+"/_trust/tuf/", "", nil).accepted(t)
	w.look(t)
	wantFacts(t, w, "a", "v1 by Repo Admin")
}

// look has what is due looked at, by reading the timestamp.
func (w *world) look(t *testing.T) {
	t.Helper()
	w.get(t, "guest", "/v2/"+gun+"/_trust/tuf/timestamp.json").accepted(t)
}

func (w *world) stillServed(t *testing.T) {
	t.Helper()
	if _, err := w.client(t, "guest", gun).GetTargetByName("v1"); err != nil {
		t.Errorf("a client after the move: %v", err)
	}
}

func TestMasterKeyIsChanged(t *testing.T) {
	w := newWorld(t)
	a := w.published(t, gun)
	old := w.key
	w.key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"
	w.restart(t) // without the old one nothing can be signed
	w.upload(t, "dev", gun, a.targets(t, theTargets, inAYear())).refused(t, http.StatusInternalServerError)
	w.key += old
	w.restart(t)
	must(t, w.notary.Reseal(t.Context()))
	w.key = strings.SplitAfter(w.key, "\n")[0]
	w.restart(t)
	w.upload(t, "dev", gun, a.targets(t, theTargets, inAYear())).accepted(t)
	if _, err := w.client(t, "guest", gun).ListTargets(); err != nil {
		t.Error(err)
	}
}

func TestDeletedRepositoryTakesItsTrustData(t *testing.T) {
	w := newWorld(t)
	w.published(t, gun)
	must(t, w.app.DeleteProject(t.Context(), admin, core.ProjectRef{Name: "p"}))
	w.get(t, "admin", "/v2/"+gun+"/_trust/tuf/root.json").refused(t, http.StatusNotFound)
}
