package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/breakwater-registry/breakwater/web"
)

func TestSignInAtTheBrowser(t *testing.T) {
	s := newServer(t)
	b := s.browser(t, "")
	b.get(t, "/projects?name=x").want(200, "Sign in").
		submit("Sign in", url.Values{"User name": {"admin"}, "Password": {"Wrong-Horse-1"}}).
		want(422, "The user name or the password is wrong")
	page := b.get(t, "/projects?name=x").submit("Sign in", url.Values{"User name": {"admin"}, "Password": {password}})
	if page.path != "/projects?name=x" || page.role("h1", "Projects") == nil {
		t.Errorf("after the sign-in the page is %s", page.path)
	}
	if page := b.get(t, "/login?next=/projects"); page.path != "/projects" {
		t.Errorf("who has signed in gets %s", page.path)
	}
	b.get(t, "/").submit("Sign out", nil).want(200, "You are signed out")
	b.get(t, "/").want(200, "Sign in")
}

func TestWhatWasTypedStays(t *testing.T) {
	b := newServer(t).browser(t, "")
	page := b.get(t, "/login").submit("Sign in", url.Values{"User name": {`<i>"me`}, "Password": {"x"}}).want(422)
	if got := attr(page.field("User name"), "value"); got != `<i>"me` {
		t.Errorf("the user name is %q", got)
	}
	if got := attr(page.field("Password"), "value"); got != "" {
		t.Errorf("the password %q is sent back", got)
	}
	page.submit("Sign in", url.Values{"User name": {""}}).want(422, "Fill in both fields")
}

func TestTooManyWrongPasswords(t *testing.T) {
	b := newServer(t).browser(t, "")
	for range 50 {
		page := b.get(t, "/login").submit("Sign in", url.Values{"User name": {"admin"}, "Password": {"Wrong-Horse-1"}})
		if page.status == http.StatusTooManyRequests {
			if page.header.Get("Retry-After") == "" {
				t.Error("there is no Retry-After")
			}
			page.want(429, "Too many wrong passwords", "Try again in")
			return
		}
	}
	t.Error("fifty wrong passwords were not too many")
}

// CVE-2024-22244: a link to the sign-in must not lead to another server.
func TestNextStaysHere(t *testing.T) {
	s := newServer(t)
	for _, next := range []string{"//evil.test", "/\\evil.test", "\\\\evil.test", "https://evil.test", "javascript:alert(1)", "/\t/evil.test",
		"/\n/evil.test", "///evil.test", "/%2f/evil.test\\", "evil.test", "/login", " /projects", "/%5Cevil.test", "/x\x00", "http:evil.test", "?x", ""} {
		b := s.browser(t, "")
		page := b.get(t, "/login?"+url.Values{"next": {next}}.Encode()).submit("Sign in", url.Values{"User name": {"admin"}, "Password": {password}})
		if page.path != "/" {
			t.Errorf("next=%q leads to %q", next, page.path)
		}
	}
	for _, next := range []string{"/projects", "/projects?page=2&name=a%20b", "/projects/a/repositories/b%2Fc"} {
		b := s.browser(t, "")
		w := b.send(t, http.MethodPost, "/login", url.Values{"username": {"admin"}, "password": {password}, "next": {next}}.Encode())
		if got := w.Header().Get("Location"); got != next {
			t.Errorf("next=%q leads to %q", next, got)
		}
	}
}

// Without TLS the browser would drop the cookie, and the reader would be asked
// to sign in for ever.
func TestSignInNeedsTLS(t *testing.T) {
	tests := []struct {
		name, external, host string
		header               http.Header
		blocked              bool
	}{
		{"plain HTTP", "http://registry.test", "registry.test", nil, true},
		{"plain HTTP beside a proxy with TLS", "https://registry.test", "10.0.0.5:8080", http.Header{"Upgrade-Insecure-Requests": {"1"}}, true},
		{"behind a proxy with TLS", "https://registry.test", "10.0.0.5:8080", http.Header{"Upgrade-Insecure-Requests": {"1"}, "Sec-Fetch-Mode": {"navigate"}}, false},
		{"the own machine", "http://localhost:8080", "localhost:8080", nil, false},
		{"the own machine by address", "http://127.0.0.1:8080", "[::1]:8080", nil, false},
		{"a name that only begins like the own machine", "http://registry.test", "localhost.evil.test", nil, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t, func(d *web.Deps) { d.ExternalURL = test.external })
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				r := request(t, method, "http://"+test.host+"/login", "", "username=admin&password="+password)
				r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
				for name, values := range test.header {
					r.Header[name] = values
				}
				w := s.serve(r)
				if got := strings.Contains(w.Body.String(), "This connection is not encrypted"); got != test.blocked {
					t.Errorf("%s: the page says so: %v, want %v", method, got, test.blocked)
				}
				if got := w.Header().Get("Set-Cookie") != ""; got != (!test.blocked && method == http.MethodPost) {
					t.Errorf("%s: a cookie is set: %v", method, got)
				}
			}
		})
	}
}

func TestLostSession(t *testing.T) {
	s := newServer(t)
	b := s.browser(t, "admin")
	form := b.get(t, "/projects/new")
	s.do(t, http.MethodPut, "/api/v2.0/users/1/password", "admin", map[string]string{"old_password": password, "new_password": password + "2"}, 200)
	b.header.Set("Referer", "http://example.com/projects/new")
	page := form.submit("Create project", url.Values{"Project name": {"lost"}}).want(200, "Your session has ended")
	if next := page.successful(page.role("button", "Sign in").Parent).Get("next"); next != "/projects/new" {
		t.Errorf("after the sign-in one is led to %q", next)
	}
	// A part of a page that htmx asks for must not become the form.
	b.header.Set("HX-Request", "true")
	b.header.Set("HX-Request-Type", "partial")
	w := b.send(t, http.MethodGet, "/projects?name=a", "")
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("HX-Redirect"), "/login?") || w.Body.Len() != 0 {
		t.Errorf("htmx gets %d %q %s", w.Code, w.Header().Get("HX-Redirect"), w.Body)
	}
}

func TestPagesKeepTheirPolicy(t *testing.T) {
	s := newServer(t)
	b := s.browser(t, "admin")
	for _, path := range []string{"/login", "/", "/projects", "/projects/new", "/nothing"} {
		w := b.send(t, http.MethodGet, path, "")
		policy := w.Header().Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: the policy lacks %s: %s", path, part, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, w.Header())
		}
	}
	r := request(t, http.MethodPost, "/projects", "", "name=evil")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Accept", "text/html")
	if w := s.serve(r); w.Code != 403 || !strings.Contains(w.Body.String(), "another web site") {
		t.Errorf("a form of another site = %d %s", w.Code, w.Body)
	}
}

func TestErrorPages(t *testing.T) {
	s := newServer(t)
	b := s.browser(t, "admin")
	page := b.get(t, "/no/such/page").want(404, "There is nothing here", "Back to the overview", "admin")
	if page.role("nav", "Main") == nil {
		t.Error("the page has no navigation")
	}
	s.browser(t, "").get(t, "/no/such/page").want(404, "There is nothing here", "Sign in")
	b.get(t, "/projects?name=%zz").want(400, "The request cannot be understood")
	b.open(t, http.MethodPut, "/projects", "").want(405, "This address does not take that")
	w := b.send(t, http.MethodGet, "/api/v2.0/nothing", "")
	if !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		t.Errorf("the API answers a browser with %s", w.Header().Get("Content-Type"))
	}
	r := request(t, http.MethodGet, "/nothing", "", nil)
	r.Header.Set("Accept", "*/*")
	if w := s.serve(r); !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		t.Errorf("curl gets %s", w.Header().Get("Content-Type"))
	}
}

func TestProjectsAtTheBrowser(t *testing.T) {
	s := newServer(t)
	b := s.browser(t, "admin")
	page := b.get(t, "/projects").want(200, "No projects yet").click("New project").want(200)
	page = page.submit("Create project", url.Values{"Project name": {"Not A Name"}, "Storage limit in GiB": {"ten"}}).
		want(422, "Nothing was saved", "2 fields need a change")
	name := page.field("Project name")
	if attr(name, "aria-invalid") != "true" || attr(name, "value") != "Not A Name" || !strings.Contains(page.describedBy(name), "lower-case letters") {
		t.Errorf("the field is %v, described by %q", name.Attr, page.describedBy(name))
	}
	page.submit("Create project", url.Values{"Project name": {"team-a"}, "Storage limit in GiB": {"5"}}).
		want(200, "Project team-a was created", "Project admin", "No images here yet", "docker push registry.test:8443/team-a/ubuntu:24.04")
	if text := b.get(t, "/projects").text(); strings.Contains(text, "was created") {
		t.Error("the message is shown twice")
	}
	b.get(t, "/projects/new").submit("Create project", url.Values{"Project name": {"team-a"}}).want(422, "There is a project with this name already")
	b.get(t, "/projects?name=eam").want(200, "5 GiB").click("team-a").want(200, "No images here yet")
	b.get(t, "/projects?name=nothing").want(200, "No project matches").click("Show all projects").want(200, "team-a")
	b.get(t, "/projects").click("Public").want(200, "No project matches").click("Private").want(200, "team-a")
	for _, odd := range []string{"?page=x", "?page=-1", "?page=999999999999", "?sort=evil", "?visibility=evil", "?page=7"} {
		b.get(t, "/projects"+odd).want(200)
	}
}

// The second click sends the same form again: it must not fail, and not make
// two of a thing.
func TestSecondClick(t *testing.T) {
	s := newServer(t)
	b := s.browser(t, "admin")
	form := b.get(t, "/projects/new")
	fields := url.Values{"Project name": {"twice"}}
	for range 2 {
		form.submit("Create project", fields).want(200, "Project twice was created")
	}
	// Another one with the same value has a form of their own.
	s.addUser(t, "amy")
	other := s.browser(t, "amy")
	once := form.successful(form.role("button", "Create project").Parent.Parent)
	once.Set("name", "twice")
	if w := other.send(t, http.MethodPost, "/projects", once.Encode()); w.Code != 422 {
		t.Errorf("the form of somebody else = %d, want 422", w.Code)
	}
}

func TestPartialIsTheMainPart(t *testing.T) {
	b := newServer(t).browser(t, "admin")
	b.header.Set("HX-Request", "true")
	b.header.Set("HX-Request-Type", "partial")
	w := b.send(t, http.MethodGet, "/projects", "")
	text := w.Body.String()
	if !strings.HasPrefix(text, "<title>Projects") || strings.Contains(text, "<html") || !strings.Contains(text, `<main class="main" id="main">`) {
		t.Errorf("htmx gets %.300s", text)
	}
}

func TestPreferences(t *testing.T) {
	s := newServer(t)
	b := s.browser(t, "admin")
	root := func(page *screen) *html.Node { return page.all(func(n *html.Node) bool { return n.Data == "html" })[0] }
	if got := attr(root(b.get(t, "/")), "data-theme"); got != "" {
		t.Errorf("without a choice the theme is %q", got)
	}
	page := b.get(t, "/projects?name=a").submit("Dark", nil)
	if page.path != "/projects?name=a" || attr(root(page), "data-theme") != "dark" {
		t.Errorf("after the choice %s is %q", page.path, attr(root(page), "data-theme"))
	}
	page = page.submit("Deutsch", nil).want(200, "Projekte")
	if attr(root(page), "lang") != "de" {
		t.Errorf("the language is %q", attr(root(page), "lang"))
	}
	if got := attr(root(page.submit("System", nil)), "data-theme"); got != "" {
		t.Errorf("the system's theme is %q", got)
	}
	b.header.Set("Accept-Language", "en")
	b.get(t, "/").want(200, "Übersicht") // the choice counts more than the header
	other := s.browser(t, "")
	other.header.Set("Accept-Language", "fr, de-CH;q=0.8, en;q=0.5")
	other.get(t, "/login").want(200, "Anmelden")
	other.cookies["__Host-breakwater-theme"] = `"><script>`
	other.cookies["__Host-breakwater-toast"] = "eyJrIjoiZXJyb3IuNDA0In0"
	if got := attr(root(other.get(t, "/login")), "data-theme"); got != "" {
		t.Errorf("a forged theme is %q", got)
	}
	w := other.send(t, http.MethodPost, "/preferences", "theme=light&back=//evil.test")
	if got := w.Header().Get("Location"); got != "/" {
		t.Errorf("back leads to %q", got)
	}
}
