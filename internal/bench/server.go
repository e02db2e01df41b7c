package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is a running peer.
type server struct {
	peer
	home      string
	url       string
	transport string
	keys      keyPair
	cmd       *exec.Cmd
	done      chan error
	took      time.Duration // from the start of the process to its first answer
	idle      float64       // bytes after the start
	prepared  map[string]bool
	clients   []*client
	robot     string // the Authorization header of a robot account
}

// startLimit is how long a server may take to answer at all.
const startLimit = 30 * time.Second

// start runs a peer over a fresh folder.
func (b *bench) start(ctx context.Context, p peer, transport string) (*server, error) {
	home, err := os.MkdirTemp(b.dir, p.name+"-")
	if err != nil {
		return nil, err
	}
	s := &server{peer: p, home: home, transport: transport, keys: b.keys, prepared: map[string]bool{}}
	if err := s.launch(ctx); err != nil {
		return nil, err
	}
	time.Sleep(2 * time.Second) // what a start has to do is over
	if s.idle, err = s.memory("VmRSS"); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	if s.secured {
		err = s.createProject(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// launch starts the process and waits for its first answer.
func (s *server) launch(ctx context.Context) error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	keys, scheme := (*keyPair)(nil), "http://"
	if s.transport != "plain" {
		keys, scheme = &s.keys, "https://"
	}
	s.url = scheme + address
	if s.cmd, err = s.command(s.home, address, keys); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(s.home, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.done = make(chan error, 1)
	go func() { s.done <- s.cmd.Wait() }()
	if err := s.awaitAnswer(ctx, began); err != nil {
		text, _ := os.ReadFile(filepath.Join(s.home, "log"))
		return errors.Join(fmt.Errorf("%s did not start: %w\n%s", s.name, err, text), s.stop())
	}
	return nil
}

func (s *server) awaitAnswer(ctx context.Context, began time.Time) error {
	client := &http.Client{Transport: s.newTransport(), Timeout: startLimit}
	defer client.CloseIdleConnections()
	for time.Since(began) < startLimit {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/v2/", nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err == nil {
			s.took = time.Since(began)
			return res.Body.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-s.done:
			s.done <- err
			return fmt.Errorf("it ended: %w", err)
		case <-time.After(time.Millisecond):
		}
	}
	return errors.New("no answer")
}

// roundTripper returns the cheapest way to send requests that speaks what the
// transport is about.
func (s *server) roundTripper() http.RoundTripper {
	if s.transport == "plain" || s.transport == "tls1" {
		return &direct{server: s}
	}
	return s.newTransport()
}

func (s *server) newTransport() *http.Transport {
	t := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: s.keys.pool},
		MaxIdleConnsPerHost: 4,
		WriteBufferSize:     256 << 10,
		ReadBufferSize:      64 << 10,
		DisableCompression:  true,
	}
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(s.transport != "tls2")
	t.Protocols.SetHTTP2(s.transport == "tls2" || s.transport == "tls")
	return t
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// hangUp closes the connections of the clients so far.
func (s *server) hangUp() {
	for _, c := range s.clients {
		c.http.CloseIdleConnections()
	}
	s.clients = nil
}

// stop ends the process with SIGTERM, or SIGKILL where that does not help.
func (s *server) stop() error {
	s.hangUp()
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-s.done:
	case <-time.After(15 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
	return nil
}

// sample makes one measurement and adds what the server's processor did.
func (s *server) sample(ctx context.Context, m measurement) (sample, error) {
	before, err := s.cpu()
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	result, err := m.run(ctx, s)
	s.hangUp()
	if err != nil {
		return result, err
	}
	if result.took == 0 {
		result.took = time.Since(began)
	}
	if result.cpu == 0 {
		after, err := s.cpu()
		if err != nil {
			return result, err
		}
		result.cpu = after - before
	}
	return result, nil
}

// cpu is the processor time of the server so far.
func (s *server) cpu() (time.Duration, error) { return processorTime(s.cmd.Process.Pid) }

// processorTime is what a process has used so far.
func processorTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name in brackets may hold spaces; utime and stime are the 14th and
	// 15th field (proc(5)), in units of 1/100 s.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat has too few fields")
	}
	user, err := strconv.ParseInt(string(fields[11]), 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, err
}

// memory reads a figure in bytes from /proc/PID/status.
func (s *server) memory(name string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("no %s in /proc/PID/status", name)
}

// hugeFile is the size from which a file is one of a large blob.
const hugeFile = 64 << 20

// settle removes what the large blobs of the last measurement left behind,
// which nothing reads again, and has everything written, so that one server's
// writing does not slow the other.
func (s *server) settle() error {
	err := filepath.WalkDir(filepath.Join(s.home, "data"), func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return ignoreAbsent(err)
		}
		info, err := entry.Info()
		if err != nil {
			return ignoreAbsent(err)
		}
		if info.Size() >= hugeFile && filepath.Ext(name) != ".db" && filepath.Ext(name) != ".jsonl" {
			return os.Remove(name)
		}
		return nil
	})
	syscall.Sync()
	return err
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
