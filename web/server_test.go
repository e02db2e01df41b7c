package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/httpx"
	"github.com/breakwater-registry/breakwater/store"
	"github.com/breakwater-registry/breakwater/web"
)

// password is that of every account of these tests.
const password = "Correct-Horse-1"

// noJournal is for tests that push no images.
type noJournal struct{}

func (noJournal) Append(entries []core.JournalEntry) (from, to uint64, err error) {
	return 1, uint64(len(entries)), nil
}

func (noJournal) Abort(uint64, uint64) error { return nil }

// noContent has no blobs either.
type noContent struct{}

func (noContent) ReadBlob(context.Context, core.Blob, int64) ([]byte, error) {
	return nil, core.Errorf(core.CodeNotFound, "there are no blobs")
}

// server is the whole handler over a store of its own, with the account admin.
type server struct {
	app     *app.App
	store   *store.Store
	handler http.Handler
	log     *logBuffer
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func newServer(t testing.TB, change ...func(*web.Deps)) *server {
	t.Helper()
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), noJournal{})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{store: st, log: &logBuffer{}}
	log := slog.New(slog.NewTextHandler(s.log, nil))
	if s.app, err = app.New(t.Context(), st, noContent{}, log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.app.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.app.Bootstrap(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	deps := web.Deps{App: s.app, Log: log, Version: "1.2.3", ExternalURL: "https://registry.test:8443", DataDir: t.TempDir()}
	for _, fn := range change {
		fn(&deps)
	}
	handler, err := web.New(deps)
	if err != nil {
		t.Fatal(err)
	}
	s.handler = httpx.Edge{Log: log}.Wrap(handler)
	return s
}

// request makes a request as user, with the password of the tests; an empty
// user sends no credentials.
func request(t testing.TB, method, path, user string, body any) *http.Request {
	t.Helper()
	var payload io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		payload = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		payload = bytes.NewReader(data)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, path, payload)
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	return r
}

func (s *server) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// do demands a status of a request and returns the answer.
func (s *server) do(t *testing.T, method, path, user string, body any, want int) *httptest.ResponseRecorder {
	t.Helper()
	w := s.serve(request(t, method, path, user, body))
	if w.Code != want {
		t.Fatalf("%s %s as %q = %d, want %d\n%s", method, path, user, w.Code, want, w.Body)
	}
	return w
}

// get demands 200 and decodes the answer.
func get[T any](t *testing.T, s *server, path, user string) T {
	t.Helper()
	var v T
	w := s.do(t, http.MethodGet, path, user, nil, http.StatusOK)
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("GET %s: %v\n%s", path, err, w.Body)
	}
	return v
}

// addUser makes an account and returns the path of it.
func (s *server) addUser(t *testing.T, name string) string {
	t.Helper()
	body := map[string]string{"username": name, "email": name + "@example.com", "password": password}
	return s.do(t, http.MethodPost, "/api/v2.0/users", "admin", body, http.StatusCreated).Header().Get("Location")
}

// envelope decodes an error answer and demands the form of all of them.
func envelope(t *testing.T, w *httptest.ResponseRecorder) (code, message string) {
	t.Helper()
	var body struct {
		Errors []struct{ Code, Message string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || len(body.Errors) != 1 {
		t.Fatalf("not an error envelope (%v): %s", err, w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json; charset=utf-8" {
		t.Errorf("Content-Type of an error = %q", got)
	}
	return body.Errors[0].Code, body.Errors[0].Message
}

func TestErrorsHaveHarborsEnvelope(t *testing.T) {
	s := newServer(t)
	tests := []struct {
		method, path, user string
		status             int
		code               string
	}{
		{"GET", "/api/v2.0/nothing", "", 404, "NOT_FOUND"},
		{"GET", "/api/v2.0/nothing", "admin", 404, "NOT_FOUND"},
		{"GET", "/api/v1/projects", "", 404, "NOT_FOUND"},
		{"GET", "/api/v2.0/users/", "admin", 404, "NOT_FOUND"},
		{"GET", "/api/v2.0//users", "admin", 404, "NOT_FOUND"},
		{"GET", "/api/v2.0/Users", "admin", 404, "NOT_FOUND"},
		{"PATCH", "/api/v2.0/users", "admin", 405, "METHOD_NOT_ALLOWED"},
		{"GET", "/api/v2.0/users", "", 401, "UNAUTHORIZED"},
		{"GET", "/api/v2.0/users/zero", "admin", 400, "BAD_REQUEST"},
		{"GET", "/api/v2.0/users/-1", "admin", 400, "BAD_REQUEST"},
		{"GET", "/api/v2.0/users/99999999999999999999", "admin", 400, "BAD_REQUEST"},
		{"GET", "/api/v2.0/users/4711", "admin", 404, "NOT_FOUND"},
		{"GET", "/api/v2.0/users?page_size=101", "admin", 400, "BAD_REQUEST"},
		{"GET", "/api/v2.0/users?sort=password_hash", "admin", 400, "BAD_REQUEST"},
		{"GET", "/api/v2.0/users?q=password_hash=~a", "admin", 400, "BAD_REQUEST"},
	}
	for _, tt := range tests {
		w := s.do(t, tt.method, tt.path, tt.user, nil, tt.status)
		if code, message := envelope(t, w); code != tt.code || message == "" {
			t.Errorf("%s %s = %s %q, want %s", tt.method, tt.path, code, message, tt.code)
		}
	}
}

func TestChallengeIsForScriptsOnly(t *testing.T) {
	s := newServer(t)
	tests := []struct {
		header, value, want string
	}{
		{"Accept", "*/*", `Basic realm="breakwater"`},
		{"X-Requested-With", "XMLHttpRequest", ""},
		{"Sec-Fetch-Site", "same-origin", ""},
		{"Sec-Fetch-Site", "none", `Basic realm="breakwater"`},
	}
	for _, tt := range tests {
		r := request(t, http.MethodGet, "/api/v2.0/users/current", "", nil)
		r.Header.Set(tt.header, tt.value)
		if w := s.serve(r); w.Code != 401 || w.Header().Get("WWW-Authenticate") != tt.want {
			t.Errorf("with %s: %s: %d, challenge %q, want %q", tt.header, tt.value, w.Code, w.Header().Get("WWW-Authenticate"), tt.want)
		}
	}
}

func TestServerErrorsDoNotLeak(t *testing.T) {
	s := newServer(t, func(d *web.Deps) { d.Certificates = &certificates{err: errors.New("open /secret/place: denied")} })
	w := s.do(t, http.MethodGet, "/api/v2.0/system/certificate", "admin", nil, 500)
	if code, message := envelope(t, w); code != "UNKNOWN" || message != "internal server error" {
		t.Errorf("a server error tells %s %q", code, message)
	}
	if !strings.Contains(s.log.String(), "/secret/place") {
		t.Error("the cause is not in the log")
	}
}

func TestSecurityHeaders(t *testing.T) {
	s := newServer(t)
	header := s.do(t, http.MethodGet, "/api/v2.0/ping", "", nil, 200).Header()
	want := map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Strict-Transport-Security": "max-age=31536000",
	}
	for name, value := range want {
		if header.Get(name) != value {
			t.Errorf("%s = %q, want %q", name, header.Get(name), value)
		}
	}
	plain := newServer(t, func(d *web.Deps) { d.ExternalURL = "http://registry.test" })
	if got := plain.do(t, http.MethodGet, "/api/v2.0/ping", "", nil, 200).Header().Get("Strict-Transport-Security"); got != "" {
		t.Errorf("plain HTTP promises TLS: %q", got)
	}
}

func TestCrossOriginWritesAreRefused(t *testing.T) {
	s := newServer(t)
	tests := []struct {
		site, origin string
		want         int
	}{
		{"", "", 200},
		{"same-origin", "https://example.com", 200},
		{"cross-site", "https://evil.test", 403},
		{"same-site", "https://other.registry.test", 403},
		{"", "https://evil.test", 403},
		{"", "https://registry.test:8443", 200}, // the external URL, behind a proxy that changes Host
	}
	for _, tt := range tests {
		r := request(t, http.MethodPut, "/api/v2.0/configurations", "admin", `{"read_only":false}`)
		if tt.site != "" {
			r.Header.Set("Sec-Fetch-Site", tt.site)
		}
		if tt.origin != "" {
			r.Header.Set("Origin", tt.origin)
		}
		if w := s.serve(r); w.Code != tt.want {
			t.Errorf("site %q, origin %q: %d, want %d", tt.site, tt.origin, w.Code, tt.want)
		}
	}
}

func TestWrongCredentialsAreNeverAnonymous(t *testing.T) {
	s := newServer(t)
	for name, set := range map[string]func(*http.Request){
		"wrong password": func(r *http.Request) { r.SetBasicAuth("admin", "Wrong-Horse-1") },
		"unknown user":   func(r *http.Request) { r.SetBasicAuth("nobody", password) },
		"unknown robot":  func(r *http.Request) { r.SetBasicAuth("robot$nobody", password) },
		"invalid name":   func(r *http.Request) { r.SetBasicAuth("a\x00\xff", password) },
		"bearer":         func(r *http.Request) { r.Header.Set("Authorization", "Bearer abc") },
		"empty":          func(r *http.Request) { r.Header.Set("Authorization", "") },
	} {
		r := request(t, http.MethodGet, "/api/v2.0/systeminfo", "", nil)
		set(r)
		if w := s.serve(r); w.Code != 401 {
			t.Errorf("%s: %d, want 401", name, w.Code)
		}
	}
}

func TestGuessingIsThrottled(t *testing.T) {
	s := newServer(t)
	guess := func(password string) int {
		r := request(t, http.MethodGet, "/api/v2.0/users/current", "", nil)
		r.SetBasicAuth("admin", password)
		w := s.serve(r)
		if w.Code == 429 && w.Header().Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
		return w.Code
	}
	for i := range 5 {
		if code := guess("Wrong-Horse-1"); code != 401 {
			t.Fatalf("guess %d = %d, want 401", i, code)
		}
	}
	// A machine that is busy may let the second pass which the client has to wait.
	for range 50 {
		if guess(password) == 429 {
			return
		}
		for range 5 {
			guess("Wrong-Horse-1")
		}
	}
	t.Error("after five wrong guesses the right one was never refused")
}

func TestSecretsAreNotLogged(t *testing.T) {
	s := newServer(t)
	s.addUser(t, "amy")
	s.do(t, http.MethodGet, "/api/v2.0/users/search?username=canary-query", "amy", nil, 200)
	s.login(t, "amy", password, 200)
	r := request(t, http.MethodGet, "/api/v2.0/users/current", "", nil)
	r.SetBasicAuth("amy", "canary-Password-1")
	r.AddCookie(&http.Cookie{Name: "__Host-breakwater", Value: "canary-cookie"})
	s.serve(r)
	log := s.log.String()
	if strings.Contains(log, "canary") || strings.Contains(log, password) {
		t.Errorf("a secret is in the log:\n%s", log)
	}
	if !strings.Contains(log, "actor=user:2") {
		t.Errorf("the access log does not name the actor:\n%s", log)
	}
}

func TestListHeaders(t *testing.T) {
	s := newServer(t)
	for _, name := range []string{"amy", "bob", "cat"} {
		s.addUser(t, name)
	}
	w := s.do(t, http.MethodGet, "/api/v2.0/users?page=2&page_size=1&sort=-username", "admin", nil, 200)
	if got := w.Header().Get("X-Total-Count"); got != "4" {
		t.Errorf("X-Total-Count = %q, want 4", got)
	}
	want := `</api/v2.0/users?page=1&page_size=1&sort=-username>; rel="prev" , </api/v2.0/users?page=3&page_size=1&sort=-username>; rel="next"`
	if got := w.Header().Get("Link"); got != want {
		t.Errorf("Link = %s\nwant   %s", got, want)
	}
	if !strings.Contains(w.Body.String(), `"bob"`) {
		t.Errorf("page 2 of users in reverse order = %s, want bob", w.Body)
	}
	w = s.do(t, http.MethodGet, "/api/v2.0/users?q=username=nobody", "admin", nil, 200)
	if got := strings.TrimSpace(w.Body.String()); got != "[]" || w.Header().Get("Link") != "" {
		t.Errorf("an empty list = %s, Link %q", got, w.Header().Get("Link"))
	}
}

func TestAPIVersion(t *testing.T) {
	s := newServer(t)
	if got := get[map[string]string](t, s, "/api/version", ""); got["version"] != "v2.0" {
		t.Errorf("/api/version = %v", got)
	}
}

// certificates stands for the owner of the TLS certificate.
type certificates struct {
	err   error
	calls []string
}

func (c *certificates) Info() (web.CertificateInfo, error) {
	return web.CertificateInfo{Source: "own-ca", Subject: "CN=registry.test"}, c.err
}

func (c *certificates) CAPEM() []byte { return []byte("-----BEGIN CERTIFICATE-----\n") }

func (c *certificates) call(name string) error {
	c.calls = append(c.calls, name)
	return c.err
}

func (c *certificates) RenewServer(context.Context) error { return c.call("renew") }
func (c *certificates) RenewCA(context.Context) error     { return c.call("renew-ca") }
func (c *certificates) ReplaceServer(_ context.Context, cert, key []byte) error {
	return c.call("replace " + string(cert) + " " + string(key))
}
func (c *certificates) RemoveCustom(context.Context) error { return c.call("remove") }
