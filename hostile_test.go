package main

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

// attack is a request that no honest client sends, byte for byte.
type attack struct {
	name   string
	line   string // method and target
	header []string
	body   string
	want   int    // status
	code   string // in the envelope; "" is any
	bare   bool   // refused by net/http, which knows no envelope
	nobody bool   // sent without the administrator's credentials
}

const hostilePassword = "Hostile-Password-1"

// fortress is the server under attack.
type fortress struct {
	*instance
	roots *x509.CertPool
}

func newFortress(t *testing.T) *fortress {
	t.Helper()
	dir := t.TempDir()
	env := plainEnv(dir)
	if err := os.WriteFile(filepath.Join(dir, "breakwater.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	server, err := launch(dir, append(env, "BREAKWATER_ADMIN_PASSWORD="+hostilePassword))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.end(syscall.SIGKILL) })
	pem, err := os.ReadFile(filepath.Join(server.data, "tls", "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	f := &fortress{instance: server, roots: x509.NewCertPool()}
	f.roots.AppendCertsFromPEM(pem)
	f.mustAnswer(t, attack{line: "POST /api/v2.0/projects", body: `{"project_name":"lib"}`, want: http.StatusCreated})
	return f
}

func (f *fortress) dial(t *testing.T) *tls.Conn {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", f.addr, &tls.Config{RootCAs: f.roots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// raw is the request as it goes over the wire.
func (a attack) raw() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s HTTP/1.1\r\n", a.line)
	given := strings.ToLower("\n" + strings.Join(a.header, "\n"))
	if !strings.Contains(given, "\nhost:") {
		b.WriteString("Host: 127.0.0.1\r\n")
	}
	if !a.nobody && !strings.Contains(given, "\nauthorization:") {
		b.WriteString("Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+hostilePassword)) + "\r\n")
	}
	if a.body != "" && !strings.Contains(given, "\ncontent-length:") && !strings.Contains(given, "\ntransfer-encoding:") {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(a.body))
	}
	for _, line := range a.header {
		b.WriteString(line + "\r\n")
	}
	return b.String() + "\r\n" + a.body
}

// answer sends the attack on a connection of its own and reads what comes back.
func (f *fortress) answer(t *testing.T, a attack) (*http.Response, []byte) {
	t.Helper()
	conn := f.dial(t)
	sent := make(chan struct{})
	go func() { // the answer may come before everything is sent
		defer close(sent)
		_, _ = io.WriteString(conn, a.raw())
	}()
	method, _, _ := strings.Cut(a.line, " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("the answer is cut off: %v", err)
	}
	_ = conn.Close()
	<-sent
	return res, body
}

func (f *fortress) mustAnswer(t *testing.T, a attack) {
	t.Helper()
	if res, body := f.answer(t, a); res.StatusCode != a.want {
		t.Fatalf("%s answered %s, want %d\n%s", a.line, res.Status, a.want, body)
	}
}

// checkEnvelope demands exactly the error envelope of the specification.
func (f *fortress) checkEnvelope(t *testing.T, a attack, res *http.Response, body []byte) {
	t.Helper()
	if got := res.Header.Get("Content-Type"); got != "application/json; charset=utf-8" {
		t.Errorf("the error comes as %q\n%s", got, body)
	}
	var envelope struct {
		Errors []struct {
			Code    string          `json:"code"`
			Message string          `json:"message"`
			Detail  json.RawMessage `json:"detail"`
		} `json:"errors"`
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&envelope); err != nil || d.More() || len(envelope.Errors) != 1 {
		t.Fatalf("not the error envelope: %v\n%s", err, body)
	}
	e := envelope.Errors[0]
	if e.Code == "" || e.Message == "" || (a.code != "" && e.Code != a.code) {
		t.Errorf("code %q, want %q; message %q", e.Code, a.code, e.Message)
	}
	for _, leak := range []string{f.data, "goroutine", ".go:", "SELECT", "sqlite", "strconv.", "json:", "runtime error"} {
		if strings.Contains(string(body), leak) {
			t.Errorf("the answer tells of the house: %q in\n%s", leak, body)
		}
	}
	if len(body) > 4096 {
		t.Errorf("the error has %d bytes", len(body))
	}
}

// TestHostileRequests sends each attack, demands its refusal and nothing else,
// and a server that is as healthy as before.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	f := newFortress(t)
	for _, table := range [][]attack{hostilePaths(), hostileHeaders(), hostileCredentials(), hostileJSON(), hostileQueries(), hostileMethods(), hostilePushes()} {
		for _, a := range table {
			t.Run(a.name, func(t *testing.T) {
				res, body := f.answer(t, a)
				if res.StatusCode != a.want {
					t.Fatalf("%.120s answered %s, want %d\n%.1000s", a.line, res.Status, a.want, body)
				}
				if !a.bare && !strings.HasPrefix(a.line, "HEAD ") {
					f.checkEnvelope(t, a, res, body)
				}
			})
		}
	}
	f.checkHealth(t)
}

// checkHealth demands that the server works and saw no failure of its own.
func (f *fortress) checkHealth(t *testing.T) {
	t.Helper()
	f.mustAnswer(t, attack{line: "GET /api/v2.0/health", want: http.StatusOK})
	f.mustAnswer(t, attack{line: "GET /v2/", want: http.StatusOK})
	f.mustAnswer(t, attack{line: "GET /v2/_catalog", want: http.StatusOK})
	for line := range strings.Lines(f.log.String()) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "panic") {
			t.Errorf("the log has: %s", line)
		}
	}
	if err := f.end(syscall.SIGTERM); err != nil {
		t.Errorf("the server does not end well: %v", err)
	}
}

// TestPlainHTTPToTLS gets an answer that a person understands.
func TestPlainHTTPToTLS(t *testing.T) {
	t.Parallel()
	f := newFortress(t)
	conn, err := net.DialTimeout("tcp", f.addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /v2/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(text), "HTTP/1.0 400 ") || !strings.Contains(string(text), "HTTPS server") {
		t.Errorf("the answer is %q, %v", text, err)
	}
	f.checkHealth(t)
}

// TestOddButAnswered sends what is allowed and must not grow, echo or lead astray.
func TestOddButAnswered(t *testing.T) {
	t.Parallel()
	f := newFortress(t)
	content := strings.Repeat("0123456789", 100)
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(content)))
	f.mustAnswer(t, attack{line: "POST /v2/lib/app/blobs/uploads/?digest=" + digest, body: content, want: http.StatusCreated})
	ranges := strings.TrimSuffix(strings.Repeat("0-,", 5000), ",")
	res, body := f.answer(t, attack{line: "GET /v2/lib/app/blobs/" + digest, header: []string{"Range: bytes=" + ranges}})
	if len(body) > 2*len(content) {
		t.Errorf("5000 overlapping ranges answer %s with %d bytes of a blob of %d", res.Status, len(body), len(content))
	}
	for _, header := range []string{"Range: bytes=a-b", "Range: bytes=5-1", "Range: bytes=99999-"} {
		if res, _ := f.answer(t, attack{line: "GET /v2/lib/app/blobs/" + digest, header: []string{header}}); res.StatusCode != statusRange {
			t.Errorf("%s answers %s", header, res.Status)
		}
	}
	// A client that asks before it sends a body is refused without the body.
	res, body = f.answer(t, attack{nobody: true, line: "POST /v2/lib/app/blobs/uploads/?digest=" + digest, header: []string{"Expect: 100-continue", "Content-Length: 1000"}})
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("an upload by nobody is answered with %s before its body was sent\n%s", res.Status, body)
	}
	for _, id := range []string{strings.Repeat("i", 5000), `<script>`, "a b", "a\tb"} {
		res, _ := f.answer(t, attack{line: "GET /v2/", header: []string{"X-Request-Id: " + id}})
		if got := res.Header.Get("X-Request-Id"); got == id || len(got) > 64 || got == "" {
			t.Errorf("the request id %.20q comes back as %q", id, got)
		}
	}
	for _, host := range []string{"evil.example.com", "localhost:@evil.example.com", "127.0.0.1:1@evil.example.com", "127.0.0.1:x"} {
		res, _ := f.answer(t, attack{nobody: true, line: "GET /v2/", header: []string{"Host: " + host}})
		if got := res.Header.Get("Www-Authenticate"); strings.Contains(got, "evil") || strings.Contains(got, ":x/") {
			t.Errorf("with Host %s the client is sent to %s", host, got)
		}
	}
	f.checkHealth(t)
}

// TestStalledClients keeps connections open with half a header and with half a
// body: both are cut, and the upload goes on where it was.
func TestStalledClients(t *testing.T) {
	testenv.RequireE2E(t)
	t.Parallel()
	f := newFortress(t)
	res, _ := f.answer(t, attack{line: "POST /v2/lib/app/blobs/uploads/"})
	upload := res.Header.Get("Location")
	body := attack{line: "PATCH " + upload, header: []string{"Content-Length: 100"}, body: "only ten b"}
	for name, text := range map[string]string{
		"header": "GET /v2/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
		"body":   body.raw(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := f.dial(t)
			if err := conn.SetDeadline(time.Now().Add(4 * patience)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(conn); err != nil {
				t.Errorf("the connection was not closed by the server: %v", err)
			}
		})
	}
	t.Cleanup(func() { f.checkStalled(t, upload) })
}

func (f *fortress) checkStalled(t *testing.T, upload string) {
	res, _ := f.answer(t, attack{line: "GET " + upload})
	if res.StatusCode != http.StatusNoContent || res.Header.Get("Range") != "0-9" {
		t.Errorf("the stalled upload answers %s with the range %q", res.Status, res.Header.Get("Range"))
	}
	f.checkHealth(t)
}
