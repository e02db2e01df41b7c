package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the scripts run this test binary as breakwater.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"breakwater": func() { os.Exit(run()) }})
}

// patience bounds what a test waits for; a healthy run needs a fraction of it.
const patience = 2 * time.Minute

// transcript keeps what a process prints and lets others wait for it.
type transcript struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{} // closed at the next write
}

func newTranscript() *transcript { return &transcript{grown: make(chan struct{})} }

func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	close(l.grown)
	l.grown = make(chan struct{})
	return len(p), nil
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// find waits until the pattern matches what was printed.
func (l *transcript) find(ctx context.Context, pattern *regexp.Regexp) ([]string, error) {
	for over := false; ; {
		l.mu.Lock()
		match, grown := pattern.FindStringSubmatch(l.text.String()), l.grown
		l.mu.Unlock()
		if match != nil {
			return match, nil
		}
		if over {
			return nil, fmt.Errorf("nothing like %q was printed: %w", pattern, context.Cause(ctx))
		}
		select {
		case <-grown:
		case <-ctx.Done():
			over = true // after one last look
		}
	}
}

// instance is a running `breakwater serve`.
type instance struct {
	cmd       *exec.Cmd
	out, log  *transcript // standard output and error
	ended     context.Context
	err       error  // of the process, once ended is done
	data      string // its data folder
	addr, url string // where it listens, and its external URL
}

var (
	readyLine  = regexp.MustCompile(`(?:msg=ready|"msg":"ready").*listen"?[=:]"?([^\s",]+).*url"?[=:]"?([^\s",]+)`)
	welcomeEnd = regexp.MustCompile(`(?m)^  Docker: .*\n`)
)

// launch starts the program with a free port of 127.0.0.1, unless args say
// otherwise, and waits until it is ready.
func launch(dir string, env []string, args ...string) (*instance, error) {
	data := filepath.Join(dir, "data")
	args = append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--hostname", "127.0.0.1"}, args...)
	s := &instance{cmd: exec.Command("breakwater", args...), out: newTranscript(), log: newTranscript(), data: data}
	s.cmd.Dir, s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = dir, env, s.out, s.log
	if err := s.start(); err != nil {
		return nil, err
	}
	match, err := s.await(s.log, readyLine)
	if err == nil {
		_, err = s.await(s.out, welcomeEnd) // it was written before, to another pipe
	}
	if err != nil {
		_ = s.end(syscall.SIGKILL)
		return s, fmt.Errorf("breakwater is not ready: %w\n%s%s", err, s.out, s.log)
	}
	s.addr, s.url = match[1], match[2]
	return s, nil
}

// start runs the child from a thread of its own: the kernel's signal at the
// death of the test is tied to the thread that started the child.
func (s *instance) start() error {
	ended, end := context.WithCancelCause(context.Background())
	s.ended, s.cmd.SysProcAttr = ended, diesWithParent()
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			s.err = s.cmd.Wait()
			end(fmt.Errorf("the process has ended: %v", s.err))
		}
	}()
	return <-started
}

// await waits until the pattern was printed.
func (s *instance) await(in *transcript, pattern *regexp.Regexp) ([]string, error) {
	ctx, cancel := context.WithTimeout(s.ended, patience)
	defer cancel()
	return in.find(ctx, pattern)
}

// end sends the signal and waits for the process; its error is that of the exit.
func (s *instance) end(signal os.Signal) error {
	if s.ended.Err() == nil {
		_ = s.cmd.Process.Signal(signal) // it may have just ended
	}
	select {
	case <-s.ended.Done():
		return s.err
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		<-s.ended.Done()
		return fmt.Errorf("breakwater did not end within %s of %s and was killed\n%s", patience, signal, s.log)
	}
}

// plainEnv has nothing of the user's own settings.
func plainEnv(dir string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "BREAKWATER_CONFIG=" + filepath.Join(dir, "breakwater.yaml"),
		"BREAKWATER_OFFLINE=true"}
}

// newClient makes a client that trusts the authority in the PEM file, when there
// is one, connects to addr whatever the URL says, and follows no redirects.
func newClient(addr, caFile string) *http.Client {
	roots := x509.NewCertPool()
	if pem, err := os.ReadFile(caFile); err == nil {
		roots.AppendCertsFromPEM(pem)
	}
	return &http.Client{
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			ForceAttemptHTTP2: true,
			TLSClientConfig:   &tls.Config{RootCAs: roots},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, addr)
			},
		},
	}
}
