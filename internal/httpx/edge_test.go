package httpx_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/httpx"
)

func TestClientAddress(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	tests := []struct {
		peer      string
		forwarded []string
		want      string
	}{
		{"203.0.113.5:1", nil, "203.0.113.5"},
		{"203.0.113.5:1", []string{"192.0.2.1"}, "203.0.113.5"}, // not a proxy of ours
		{"10.1.1.1:1", []string{"192.0.2.1"}, "192.0.2.1"},
		{"10.1.1.1:1", []string{"192.0.2.66, 192.0.2.1"}, "192.0.2.1"}, // the first is the client's own claim
		{"10.1.1.1:1", []string{"192.0.2.66", "192.0.2.1"}, "192.0.2.1"},
		{"10.1.1.1:1", []string{"192.0.2.1, 10.2.2.2"}, "192.0.2.1"},
		{"10.1.1.1:1", []string{"10.3.3.3, 10.2.2.2"}, "10.3.3.3"},
		{"10.1.1.1:1", []string{"192.0.2.1, nonsense"}, "10.1.1.1"},
		{"10.1.1.1:1", []string{""}, "10.1.1.1"},
		{"10.1.1.1:1", []string{"192.0.2.1:4711"}, "192.0.2.1"},
		{"10.1.1.1:1", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"[fd00::1]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"[fd00::1%eth0]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"[::ffff:10.1.1.1]:1", []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		{"@", nil, "invalid IP"},
	}
	for _, tt := range tests {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = tt.peer
		r.Header["X-Forwarded-For"] = tt.forwarded
		if got := httpx.ClientAddress(r, trusted).String(); got != tt.want {
			t.Errorf("%s with %q = %s, want %s", tt.peer, tt.forwarded, got, tt.want)
		}
	}
}

// edge serves next once and returns the answer and the log.
func edge(t *testing.T, r *http.Request, next http.HandlerFunc) (*httptest.ResponseRecorder, string) {
	t.Helper()
	var log bytes.Buffer
	w := httptest.NewRecorder()
	httpx.Edge{Log: slog.New(slog.NewTextHandler(&log, nil))}.Wrap(next).ServeHTTP(w, r)
	return w, log.String()
}

func TestRequestID(t *testing.T) {
	tests := []struct {
		sent string
		kept bool
	}{
		{"abc-1.2_3", true}, {strings.Repeat("a", 64), true}, {strings.Repeat("a", 65), false},
		{"", false}, {"a b", false}, {"a\nb", false}, {"a\"b", false}, {"é", false},
	}
	for _, tt := range tests {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("X-Request-Id", tt.sent)
		var seen core.Origin
		w, log := edge(t, r, func(_ http.ResponseWriter, r *http.Request) { seen = httpx.Origin(r) })
		got := w.Header().Get("X-Request-Id")
		if (got == tt.sent) != tt.kept || got == "" || seen.RequestID != got || !strings.Contains(log, "request_id="+got) {
			t.Errorf("%q: sent back %q, seen %q, want it kept: %v\n%s", tt.sent, got, seen.RequestID, tt.kept, log)
		}
	}
}

// Whatever is logged for a request, by any part and with any logger that was
// derived, names it once; what is not for a request does not.
func TestEveryLineNamesItsRequest(t *testing.T) {
	var text bytes.Buffer
	log := slog.New(httpx.LogHandler(slog.NewTextHandler(&text, nil)))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Request-Id", "canary")
	httpx.Edge{Log: log}.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		log.WarnContext(context.WithoutCancel(r.Context()), "one")
		log.With("part", "deep").ErrorContext(r.Context(), "two")
		log.Info("three")
	})).ServeHTTP(httptest.NewRecorder(), r)
	for line, want := range map[string]int{"one": 1, "two": 1, "three": 0, "request": 1} {
		_, rest, found := strings.Cut(text.String(), "msg="+line)
		rest, _, _ = strings.Cut(rest, "\n")
		if n := strings.Count(rest, "request_id=canary"); !found || n != want {
			t.Errorf("the line %q names its request %d times, want %d:\n%s", line, n, want, text.String())
		}
	}
}

func TestAccessLine(t *testing.T) {
	r := httptest.NewRequest(http.MethodPut, "/a%20b%0Ac?token=canary", nil)
	r.Header.Set("Authorization", "Basic canary")
	r.Header.Set("Cookie", "canary=canary")
	r.Header.Set("User-Agent", "docker/28")
	_, log := edge(t, r, func(w http.ResponseWriter, r *http.Request) {
		httpx.SetActor(r, core.Subject{Kind: core.KindRobot, ID: 7})
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "12345")
	})
	for _, want := range []string{"method=PUT", `path=/a%20b%0Ac `, "status=418", "bytes=5", "actor=robot:7", "address=192.0.2.1", "duration="} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s in %s", want, log)
		}
	}
	if strings.Contains(log, "canary") || strings.Count(log, "\n") != 1 {
		t.Errorf("log = %s", log)
	}
}

func TestPanicBeforeTheAnswer(t *testing.T) {
	w, log := edge(t, httptest.NewRequest(http.MethodGet, "/", nil), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		panic("canary")
	})
	if w.Code != 500 || strings.Contains(w.Body.String(), "canary") || !strings.Contains(w.Body.String(), `"UNKNOWN"`) || w.Header().Get("Content-Length") != "" {
		t.Errorf("answer = %d %v %s", w.Code, w.Header(), w.Body)
	}
	if !strings.Contains(log, "panic=canary") || !strings.Contains(log, "edge_test.go") || !strings.Contains(log, "status=500") {
		t.Errorf("log = %s", log)
	}
}

// A client must not take half an answer for a whole one.
func TestPanicWithinTheAnswerCutsTheConnection(t *testing.T) {
	server := httptest.NewServer(httpx.Edge{Log: slog.New(slog.DiscardHandler)}.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic("boom")
	})))
	defer server.Close()
	res, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	if body, err := io.ReadAll(res.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read %q, %v, want an unexpected end", body, err)
	}
}

// readerFrom stands for the ResponseWriter of net/http, which sends files with
// sendfile in ReadFrom.
type readerFrom struct {
	http.ResponseWriter
	src io.Reader
}

func (w *readerFrom) ReadFrom(src io.Reader) (int64, error) {
	w.src = src
	return io.Copy(struct{ io.Writer }{w.ResponseWriter}, src)
}

func TestFilesReachReadFrom(t *testing.T) {
	name := filepath.Join(t.TempDir(), "blob")
	if err := os.WriteFile(name, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // only read
	under := &readerFrom{ResponseWriter: httptest.NewRecorder()}
	var log bytes.Buffer
	httpx.Edge{Log: slog.New(slog.NewTextHandler(&log, nil))}.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n, err := io.Copy(w, io.LimitReader(file, 7)); n != 7 || err != nil {
			t.Errorf("copied %d, %v", n, err)
		}
	})).ServeHTTP(under, httptest.NewRequest(http.MethodGet, "/", nil))
	limited, ok := under.src.(*io.LimitedReader)
	if !ok || limited.R != file {
		t.Errorf("ReadFrom got %T, want the file itself", under.src)
	}
	if !strings.Contains(log.String(), "bytes=7") || !strings.Contains(log.String(), "status=200") {
		t.Errorf("log = %s", log.String())
	}
}

func TestHijackAndFlushStillWork(t *testing.T) {
	server := httptest.NewServer(httpx.Edge{Log: slog.New(slog.DiscardHandler)}.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.Close()
	})))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // closed by the peer
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
		t.Errorf("answer %q, %v", answer, err)
	}
}

func TestInformationalStatusIsNotTheAnswer(t *testing.T) {
	var log bytes.Buffer
	handler := httpx.Edge{Log: slog.New(slog.NewTextHandler(&log, nil))}.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusTeapot)
	}))
	server := httptest.NewServer(handler)
	res, err := http.Get(server.URL)
	server.Close() // waits for the handler and its line
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusTeapot || !strings.Contains(log.String(), "status=418") {
		t.Errorf("status %d, log = %s", res.StatusCode, log.String())
	}
}
