package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// halfUpload is a blob of which a half has been sent.
type halfUpload struct {
	*pusher
	path   string
	rest   *io.PipeWriter
	answer chan error
}

const uploadedText = "hello, registry"

// beginUpload sends the first half and waits until the server has the request.
func beginUpload(t *testing.T, p *pusher) *halfUpload {
	t.Helper()
	p.api(t, http.StatusCreated, http.MethodPost, "/api/v2.0/projects", `{"project_name":"lib"}`)
	p.api(t, http.StatusAccepted, http.MethodPost, "/v2/lib/app/blobs/uploads/", "")
	u := &halfUpload{pusher: p, path: p.header.Get("Location"), answer: make(chan error, 1)}
	body, rest := io.Pipe()
	u.rest = rest
	go func() { u.answer <- u.send(body) }()
	if _, err := io.WriteString(rest, uploadedText[:5]); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		status, err := p.do(http.MethodGet, u.path, options{user: "admin", password: pusherPassword, header: http.Header{}})
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("the upload never began: %d, %v", status, err)
		}
		if status == http.StatusConflict {
			return u
		}
	}
}

func (u *halfUpload) send(body io.Reader) error {
	r, err := http.NewRequest(http.MethodPatch, u.url+u.path, body)
	if err != nil {
		return err
	}
	r.SetBasicAuth("admin", pusherPassword)
	res, err := u.client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusAccepted || res.Header.Get("Range") != "0-14" {
		return errors.New("the upload was answered " + res.Status + " " + res.Header.Get("Range"))
	}
	return nil
}

// A request that has begun when SIGTERM comes is answered; new ones are not
// taken any more, and then the process ends well.
func TestTermDrains(t *testing.T) {
	t.Parallel()
	u := beginUpload(t, newPusher(t))
	if err := u.server.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := u.server.await(u.server.log, regexp.MustCompile("msg=stopping")); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", u.server.addr)
		if err != nil {
			break
		}
		conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("a registry that stops still takes connections")
		}
	}
	if _, err := io.WriteString(u.rest, uploadedText[5:]); err != nil {
		t.Error(err)
	}
	if err := errors.Join(u.rest.Close(), <-u.answer, u.server.end(syscall.SIGTERM)); err != nil {
		t.Errorf("%v\n%s", err, u.server.log)
	}
	if strings.Contains(u.server.log.String(), "cut off") {
		t.Error(u.server.log)
	}
}

// A request that does not end is cut off at the timeout, and what had arrived
// is there at the next start.
func TestTermCutsOffWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	u := beginUpload(t, newPusher(t, "--shutdown-timeout", "1s"))
	if err := u.server.end(syscall.SIGTERM); err != nil {
		t.Errorf("%v\n%s", err, u.server.log)
	}
	if !strings.Contains(u.server.log.String(), "requests were cut off at the shutdown timeout") {
		t.Error(u.server.log)
	}
	_ = u.rest.Close()
	if err := <-u.answer; err == nil {
		t.Error("the request that was cut off has an answer")
	}
	u.start(t)
	u.api(t, http.StatusNoContent, http.MethodGet, u.path, "")
	if got := u.header.Get("Range"); got != "0-4" {
		t.Errorf("the upload has the range %q, want 0-4", got)
	}
}

// systemd is told when the registry is ready, reloads, lives and stops.
func TestSystemdIsNotified(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	next := func(want string) {
		t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatalf("waiting for %s: %v", want, err)
			}
			state, _, _ := strings.Cut(string(buf[:n]), "\n")
			if state == want {
				return
			}
			if state != "WATCHDOG=1" {
				t.Fatalf("systemd is told %q, want %s", state, want)
			}
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "breakwater.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	server, err := launch(dir, append(plainEnv(dir), "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=400000"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.end(syscall.SIGKILL) })
	next("READY=1")
	next("WATCHDOG=1")
	next("WATCHDOG=1")
	if err := server.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	next("RELOADING=1")
	next("READY=1")
	if err := server.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	next("STOPPING=1")
	if err := server.end(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}
