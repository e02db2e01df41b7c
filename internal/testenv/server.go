package testenv

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// serverStart and serverStop bound how long the binary may take.
const (
	serverStart = 2 * time.Minute
	serverStop  = time.Minute
)

// ServerOptions says how to start the binary. The zero value is a fresh data
// folder on a free port of 127.0.0.1.
type ServerOptions struct {
	Netns    *Netns   // where it runs; nil: where the test runs
	Hostname string   // its --hostname; empty: its address, which every client finds
	Data     string   // its --data; empty: a fresh folder
	Args     []string // more arguments of serve
	Env      []string // more environment, such as BREAKWATER_LOG_LEVEL=debug
}

// Server is a running `breakwater serve`. Its fields stay the same over a Restart.
type Server struct {
	URL           string         // https://HOSTNAME:PORT
	Addr          string         // HOSTNAME:PORT, as in an image's name
	Data          string         // its data folder
	CA            []byte         // PEM of the authority that signed its certificate
	CAPool        *x509.CertPool // the same authority
	CADir         string         // a folder with nothing but ca.crt, as skopeo's --cert-dir wants
	Client        *http.Client   // trusts CA, reaches the server also in its namespace, follows no redirects
	AdminUser     string         // "admin"
	AdminPassword string         // made at random

	opts   ServerOptions
	listen string // IP:PORT
	binary string
	log    string
	proc   *process
}

// StartServer starts the real binary and waits until it answers over TLS.
func StartServer(t testing.TB, opts ServerOptions) *Server {
	t.Helper()
	s := &Server{
		AdminUser: "admin", AdminPassword: "Bw1-" + rand.Text(), Data: opts.Data,
		opts: opts, listen: listenAddr(t, opts.Netns), binary: Binary(t), CADir: t.TempDir(),
		log: filepath.Join(t.TempDir(), "log"),
	}
	if s.Data == "" {
		s.Data = filepath.Join(t.TempDir(), "data")
	}
	host, port, _ := net.SplitHostPort(s.listen)
	if opts.Hostname != "" {
		host = opts.Hostname
	}
	s.Addr = net.JoinHostPort(host, port)
	s.URL = "https://" + s.Addr
	t.Cleanup(func() { s.cleanup(t) })
	s.start(t)
	return s
}

// Stop ends the server with SIGTERM and demands exit code 0.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if err := s.proc.signalAndWait(syscall.SIGTERM, serverStop); err != nil {
		t.Fatalf("stop breakwater: %v\n%s", err, s.Log())
	}
}

// Kill ends the server with SIGKILL, as a power cut would end its process.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	_ = s.proc.signalAndWait(syscall.SIGKILL, serverStop)
}

// Restart starts the server again over the same data and on the same port; one
// that still runs is stopped first.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if !s.proc.exited() {
		s.Stop(t)
	}
	s.Client.CloseIdleConnections()
	s.start(t)
}

// Log returns the last part of the server's log, over all its starts.
func (s *Server) Log() string { return s.proc.output() }

func (s *Server) start(t testing.TB) {
	t.Helper()
	host, _, _ := net.SplitHostPort(s.Addr)
	args := append([]string{s.binary, "serve", "--data", s.Data, "--listen", s.listen, "--hostname", host}, s.opts.Args...)
	cmd := inNetns(context.Background(), s.opts.Netns, args...)
	cmd.Env = append(plainEnv(s.CADir, "BREAKWATER_ADMIN_PASSWORD="+s.AdminPassword, "BREAKWATER_OFFLINE=true"), s.opts.Env...)
	s.proc = startProcess(t, "breakwater", s.log, cmd)
	s.proc.waitReady(t, serverStart, s.ping)
	if err := os.WriteFile(filepath.Join(s.CADir, "ca.crt"), s.CA, 0o644); err != nil {
		t.Fatal(err)
	}
}

// ping reads the certificate authority that the first start makes and asks the
// server for a sign of life.
func (s *Server) ping() error {
	ca, err := os.ReadFile(filepath.Join(s.Data, "tls", "ca.crt"))
	if err != nil {
		return err
	}
	if s.Client == nil || string(ca) != string(s.CA) {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(ca) {
			return fmt.Errorf("no certificate in %s/tls/ca.crt", s.Data)
		}
		s.CA, s.CAPool, s.Client = ca, pool, s.newClient(pool)
	}
	res, err := s.Client.Get(s.URL + "/api/v2.0/ping")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET /api/v2.0/ping answered %s", res.Status)
	}
	return nil
}

// newClient makes a client whose every connection goes to this server, whatever
// name the URL has, so that a hostname needs no DNS.
func (s *Server) newClient(pool *x509.CertPool) *http.Client {
	dial := new(net.Dialer).DialContext
	if s.opts.Netns != nil {
		dial = s.opts.Netns.DialContext
	}
	return &http.Client{
		Timeout:       time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			ForceAttemptHTTP2: true,
			TLSClientConfig:   &tls.Config{RootCAs: pool},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return dial(ctx, network, s.listen)
			},
		},
	}
}

func (s *Server) cleanup(t testing.TB) {
	if s.proc == nil {
		return
	}
	if !s.proc.exited() {
		if err := s.proc.signalAndWait(syscall.SIGTERM, serverStop); err != nil {
			t.Errorf("stop breakwater: %v", err)
		}
	}
	s.proc.dumpOnFailure(t)
}

// listenAddr picks where the server listens: a namespace is the test's alone, on
// the machine a free port is asked for.
func listenAddr(t testing.TB, ns *Netns) string {
	t.Helper()
	if ns != nil {
		return net.JoinHostPort(ns.Addr.String(), strconv.Itoa(8443))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
