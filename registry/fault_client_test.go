package registry_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// patience bounds what a test waits for; a healthy run needs a fraction of it.
const patience = 2 * time.Minute

var system = core.Caller{Subject: core.System}

// partial is a request of which a part is sent, over a connection of its own.
type partial struct {
	name    string
	method  string
	path    func(t *testing.T, w *world, content []byte) string
	chunked bool // transfer coding, without the end; else less than Content-Length
}

func partials() []partial {
	session := func(t *testing.T, w *world, content []byte) string {
		return w.want(t, http.StatusAccepted, http.MethodPost, "/v2/"+repo+"/blobs/uploads/", nil).header.Get("Location")
	}
	ended := func(t *testing.T, w *world, content []byte) string {
		return session(t, w, content) + "?digest=" + digestOf(content)
	}
	whole := func(t *testing.T, w *world, content []byte) string {
		return "/v2/" + repo + "/blobs/uploads/?digest=" + digestOf(content)
	}
	manifest := func(*testing.T, *world, []byte) string { return "/v2/" + repo + "/manifests/latest" }
	return []partial{
		{"POST", http.MethodPost, whole, false}, {"POST chunked", http.MethodPost, whole, true},
		{"PATCH", http.MethodPatch, session, false}, {"PATCH chunked", http.MethodPatch, session, true},
		{"PUT", http.MethodPut, ended, false}, {"PUT chunked", http.MethodPut, ended, true},
		{"manifest", http.MethodPut, manifest, false}, {"manifest chunked", http.MethodPut, manifest, true},
	}
}

// dial connects and sends the header of the request and n bytes of the body.
func (p partial) dial(t *testing.T, w *world, path string, body []byte, n int) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", w.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	length := fmt.Sprintf("Content-Length: %d", len(body))
	if p.chunked {
		length = "Transfer-Encoding: chunked"
	}
	mediaType := "application/octet-stream"
	if strings.Contains(path, "/manifests/") {
		mediaType = ociManifest
	}
	_, err = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: registry.test\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\n%s\r\n\r\n",
		p.method, path, w.token, mediaType, length)
	if err != nil {
		t.Fatal(err)
	}
	part := string(body[:n])
	if p.chunked && n > 0 {
		part = fmt.Sprintf("%x\r\n%s\r\n", n, part)
	}
	if _, err := io.WriteString(conn, part); err != nil {
		t.Fatal(err)
	}
	return conn
}

// A client hangs up at every stage of every request with a body: nothing is
// visible, an image that was there stays, and no space is kept.
func TestClientDrops(t *testing.T) {
	for _, p := range partials() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel() // net/http waits half a second before it hangs up
			w := newWorld(t)
			old := randomBytes(100)
			w.push(t, "latest", old)
			for _, n := range []int{0, 300_000} {
				w.drop(t, p, n)
				w.whole(t, "latest", old)
			}
		})
	}
}

// drop has a client hang up after n bytes of the body.
func (w *world) drop(t *testing.T, p partial, n int) {
	t.Helper()
	what, content := fmt.Sprintf("%d bytes", n), randomBytes(600_000)
	body := content
	if strings.HasPrefix(p.name, "manifest") {
		body = document(content)
		n = min(n, len(body)-1)
	}
	path := p.path(t, w, content)
	w.cut(t, what, p.dial(t, w, path, body, n))
	w.absent(t, what, content)
	w.resume(t, what, p, path, content, n)
	w.reclaimed(t, what)
}

// cut closes the connection and waits until the server has given it up.
func (w *world) cut(t *testing.T, what string, conn net.Conn) {
	t.Helper()
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if _, closed := w.closed.Load(conn.LocalAddr().String()); closed {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: the server still serves the connection that was cut", what)
		}
	}
}

// resume continues an upload by PATCH where it broke off.
func (w *world) resume(t *testing.T, what string, p partial, location string, content []byte, sent int) {
	t.Helper()
	if p.method != http.MethodPatch {
		return
	}
	a := w.want(t, http.StatusNoContent, http.MethodGet, location, nil)
	last := 0
	if _, err := fmt.Sscanf(a.header.Get("Range"), "0-%d", &last); err != nil {
		t.Fatal(err)
	}
	there := last + 1
	if sent == 0 || (sent == 1 && last == 0) {
		there = sent // an empty upload is told as 0-0 too
	}
	if there > sent {
		t.Fatalf("%s: the server has %d of %d bytes", what, there, sent)
	}
	w.want(t, http.StatusCreated, http.MethodPut, location+"?digest="+digestOf(content), content[there:])
	if a := w.want(t, http.StatusOK, http.MethodGet, "/v2/"+repo+"/blobs/"+digestOf(content), nil); a.body != string(content) {
		t.Errorf("%s: the blob has other bytes", what)
	}
}

// A client that sends nothing more holds up nobody but itself.
func TestClientStalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := randomBytes(100)
	w.push(t, "latest", old)
	for _, p := range partials() {
		content := randomBytes(600_000)
		body := content
		if strings.HasPrefix(p.name, "manifest") {
			w.want(t, http.StatusCreated, http.MethodPost, "/v2/"+repo+"/blobs/uploads/?digest="+digestOf(content), content)
			body = document(content)
		}
		path := p.path(t, w, content)
		conn := p.dial(t, w, path, body, len(body)/2)
		if p.method == http.MethodPatch {
			w.busy(t, p.name, path)
		}
		w.push(t, "latest", content)
		w.whole(t, "latest", content)
		p.end(t, conn, body)
		w.whole(t, "latest", content)
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		w.reclaimed(t, p.name)
	}
}

// busy waits until the stalled request has the session, and checks that others
// are told so.
func (w *world) busy(t *testing.T, what, location string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		a := w.do(t, http.MethodGet, location, nil)
		if a.status == http.StatusConflict {
			a.refused(t, what, http.StatusConflict, "in use")
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: a session in use answers %d %s", what, a.status, a.body)
		}
	}
}

// end sends the rest after all and reads the answer.
func (p partial) end(t *testing.T, conn net.Conn, body []byte) {
	t.Helper()
	rest := string(body[len(body)/2:])
	if p.chunked {
		rest = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(rest), rest)
	}
	if _, err := io.WriteString(conn, rest); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
	want := http.StatusCreated
	if p.method == http.MethodPatch {
		want = http.StatusAccepted
	}
	if res.StatusCode != want {
		t.Errorf("%s: a late end is answered %s, want %d", p.name, res.Status, want)
	}
}
