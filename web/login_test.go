package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// login posts the form and returns the session cookie, nil when there is none.
func (s *server) login(t *testing.T, user, secret string, want int) *http.Cookie {
	t.Helper()
	form := url.Values{"principal": {user}, "password": {secret}}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/c/login", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := s.serve(r)
	if w.Code != want {
		t.Fatalf("login of %s = %d, want %d\n%s", user, w.Code, want, w.Body)
	}
	for _, cookie := range w.Result().Cookies() {
		return cookie
	}
	return nil
}

// as sends a request with the cookie.
func (s *server) as(t *testing.T, cookie *http.Cookie, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value})
	return s.serve(r)
}

func (s *server) wantSession(t *testing.T, cookie *http.Cookie, alive bool) {
	t.Helper()
	want := http.StatusUnauthorized
	if alive {
		want = http.StatusOK
	}
	if w := s.as(t, cookie, http.MethodGet, "/api/v2.0/users/current"); w.Code != want {
		t.Errorf("the session answers %d, want %d", w.Code, want)
	}
}

func TestLoginAndLogout(t *testing.T) {
	s := newServer(t)
	cookie := s.login(t, "admin", password, 200)
	if cookie == nil || cookie.Name != "__Host-breakwater" || !cookie.HttpOnly || !cookie.Secure ||
		cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" || cookie.MaxAge != 0 {
		t.Fatalf("cookie = %+v", cookie)
	}
	s.wantSession(t, cookie, true)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		cookie := s.login(t, "admin", password, 200)
		w := s.as(t, cookie, method, "/c/log_out")
		if cookies := w.Result().Cookies(); w.Code != 200 || len(cookies) != 1 || cookies[0].MaxAge >= 0 {
			t.Errorf("%s /c/log_out = %d %v, want the cookie to be removed", method, w.Code, cookies)
		}
		s.wantSession(t, cookie, false)
	}
	s.wantSession(t, cookie, true)
}

func TestLoginFailures(t *testing.T) {
	s := newServer(t)
	if cookie := s.login(t, "admin", "Wrong-Horse-1", 401); cookie != nil {
		t.Errorf("a failed login set %v", cookie)
	}
	s.login(t, "nobody", password, 401)
	s.login(t, "robot$nobody", password, 401)
	s.login(t, "", "", 400)
	const secret = "Docker-Secret-0123456789"
	s.do(t, http.MethodPut, "/api/v2.0/users/1/cli_secret", "admin", map[string]string{"secret": secret}, 200)
	s.login(t, "admin", secret, 401) // it is for programs
	r := request(t, http.MethodPost, "/c/login?principal=admin&password="+password, "", nil)
	if w := s.serve(r); w.Code != 400 {
		t.Errorf("credentials in the URL = %d, want 400", w.Code)
	}
}

func TestLogoutFromAnotherSite(t *testing.T) {
	s := newServer(t)
	cookie := s.login(t, "admin", password, 200)
	for _, site := range []string{"cross-site", "same-site"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/c/log_out", nil)
		r.AddCookie(cookie)
		r.Header.Set("Sec-Fetch-Site", site)
		if w := s.serve(r); w.Code != 403 {
			t.Errorf("sign-out by a %s request = %d, want 403", site, w.Code)
		}
	}
	s.wantSession(t, cookie, true)
}

func TestForgedCookieIsNobody(t *testing.T) {
	s := newServer(t)
	for _, value := range []string{"x", strings.Repeat("a", 43), strings.Repeat("a", 4000)} {
		s.wantSession(t, &http.Cookie{Name: "__Host-breakwater", Value: value}, false)
	}
}

func TestChangesOfTheAccountEndItsSessions(t *testing.T) {
	s := newServer(t)
	path := s.addUser(t, "amy")
	other := s.login(t, "admin", password, 200)
	changes := []struct {
		name, method, path, user string
		body                     any
	}{
		{"promotion", http.MethodPut, path + "/sysadmin", "admin", map[string]bool{"sysadmin_flag": true}},
		{"demotion", http.MethodPut, path + "/sysadmin", "admin", map[string]bool{"sysadmin_flag": false}},
		{"reset", http.MethodPut, path + "/password", "admin", map[string]string{"new_password": password}},
		{"deletion", http.MethodDelete, path, "admin", nil},
	}
	for _, change := range changes {
		cookie := s.login(t, "amy", password, 200)
		s.wantSession(t, cookie, true)
		s.do(t, change.method, change.path, change.user, change.body, 200)
		t.Log(change.name)
		s.wantSession(t, cookie, false)
	}
	s.wantSession(t, other, true)
}
