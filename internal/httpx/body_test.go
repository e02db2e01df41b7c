package httpx_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/httpx"
)

// largeFile is a file of n bytes that takes no space.
func largeFile(t *testing.T, n int64) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "large"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	if err := file.Truncate(n); err != nil {
		t.Fatal(err)
	}
	return file
}

// A client that takes nothing of an answer is cut off, and its request ends.
func TestStalledReaderIsCutOff(t *testing.T) {
	for name, write := range map[string]func(http.ResponseWriter, *http.Request, *os.File) error{
		"file": func(w http.ResponseWriter, r *http.Request, file *os.File) error {
			http.ServeContent(w, r, "", time.Time{}, file)
			return r.Context().Err()
		},
		"bytes": func(w http.ResponseWriter, _ *http.Request, file *os.File) error {
			_, err := io.Copy(struct{ io.Writer }{w}, struct{ io.Reader }{file})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			file, ended := largeFile(t, 1<<30), make(chan error, 1)
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { ended <- write(w, r, file) })
			server := httptest.NewServer(httpx.Edge{Log: slog.New(slog.DiscardHandler)}.Wrap(httpx.PatientFor(200*time.Millisecond, handler)))
			defer server.Close()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close() //nolint:errcheck // the server cuts it
			if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ended:
			case <-time.After(time.Minute):
				t.Fatal("the request of a client that takes nothing goes on")
			}
			if n, _ := io.Copy(io.Discard, conn); n >= 1<<30 {
				t.Error("the client got all of it")
			}
		})
	}
}

// deadlines records what a handler does with its connection.
type deadlines struct {
	http.ResponseWriter
	set []time.Time
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

// Each part of a large file has its own time, what another answer left behind
// is lifted at the start, and the end has time too.
func TestDeadlineMovesWithTheBytes(t *testing.T) {
	const parts = 5
	file := largeFile(t, parts*httpx.PatientStep-1)
	conn := &deadlines{ResponseWriter: httptest.NewRecorder()}
	began := time.Now()
	httpx.Patient(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n, err := io.Copy(w, io.LimitReader(file, 1<<40)); n != parts*httpx.PatientStep-1 || err != nil {
			t.Errorf("copied %d bytes, %v", n, err)
		}
	})).ServeHTTP(conn, httptest.NewRequest(http.MethodGet, "/", nil))
	if len(conn.set) != parts+2 || !conn.set[0].IsZero() {
		t.Fatalf("the deadlines are %v", conn.set)
	}
	for i, deadline := range conn.set[1:] {
		if deadline.Before(began.Add(time.Minute)) || deadline.Before(conn.set[i]) {
			t.Errorf("the deadlines are %v", conn.set)
		}
	}
}

// The next request on a connection is not ended by the deadline of the one before.
func TestDeadlineEndsWithItsRequest(t *testing.T) {
	const limit = 100 * time.Millisecond
	server := httptest.NewServer(httpx.PatientFor(limit, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			time.Sleep(3 * limit) // the time that the work takes is the point
		}
		w.WriteHeader(http.StatusNoContent)
	})))
	defer server.Close()
	for _, path := range []string{"/", "/slow", "/slow", "/"} {
		res, err := server.Client().Get(server.URL + path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusNoContent {
			t.Errorf("%s answers %s, %v", path, res.Status, err)
		}
	}
}
