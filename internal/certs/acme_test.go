package certs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/certs"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/testenv"
)

const (
	pebbleVersion = "v2.10.1"
	acmeName      = "registry.acme.test"
)

func TestACMEBeforeTheFirstCertificate(t *testing.T) {
	h := newHouse(t)
	opts := h.options()
	opts.ACME = &certs.ACMEOptions{Email: "me@example.com", Names: []string{acmeName}, Directory: "https://127.0.0.1:1/dir", Listen: "127.0.0.1:8443"}
	m, err := certs.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Info()
	wantError(t, err, core.CodeUnavailable, "no certificate yet")
	if m.CAPEM() != nil || m.Reload() != nil {
		t.Error("ACME has no own CA and needs no reload")
	}
	if got := m.TLSConfig().NextProtos; !slices.Equal(got, []string{"http/1.1", "h2", "acme-tls/1"}) {
		t.Errorf("protocols = %v", got)
	}
	wantError(t, m.RenewCA(t.Context()), core.CodePrecondition, "ACME")
	wantError(t, m.RemoveCustom(t.Context()), core.CodePrecondition, "acme-email")
	if _, err := h.handshake(m, nil, acmeName); err == nil {
		t.Error("a handshake worked without a certificate")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m.Run(ctx) // ends certmagic's own goroutines
}

func TestACMEOptionsAreChecked(t *testing.T) {
	h := newHouse(t)
	notPEM := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(notPEM, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := certs.ACMEOptions{Email: "me@example.com", Names: []string{acmeName}, Directory: "https://127.0.0.1:1/dir", Listen: ":8443"}
	for want, edit := range map[string]func(*certs.ACMEOptions){
		"--hostname":   func(o *certs.ACMEOptions) { o.Names = nil },
		"address":      func(o *certs.ACMEOptions) { o.Listen = "x" },
		":443":         func(o *certs.ACMEOptions) { o.HTTPListen = "x:y" },
		"cannot read":  func(o *certs.ACMEOptions) { o.RootFile = notPEM + "x" },
		"acme-ca-root": func(o *certs.ACMEOptions) { o.RootFile = notPEM },
	} {
		acme := good
		edit(&acme)
		opts := h.options()
		opts.ACME = &acme
		_, err := certs.New(opts)
		wantError(t, err, core.CodeBadRequest, want)
	}
}

// TestPebble gets certificates from Let's Encrypt's own test server.
func TestPebble(t *testing.T) {
	bin := pebbleTools(t)
	t.Run("TLS-ALPN-01", func(t *testing.T) { testPebbleALPN(t, bin) })
	t.Run("HTTP-01", func(t *testing.T) { testPebbleHTTP(t, bin) })
	t.Run("ended while the server was down", func(t *testing.T) { testPebbleEnded(t, bin) })
}

func testPebbleALPN(t *testing.T, bin string) {
	ln := listen(t)
	p := startPebble(t, bin, port(t, ln.Addr()), freePort(t), 90*day)
	opts := certs.Options{
		DataDir: t.TempDir(), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		ACME: &certs.ACMEOptions{Email: "me@example.com", Names: []string{acmeName}, Directory: p.directory, RootFile: p.rootFile, Listen: ln.Addr().String()},
	}
	m, stop := serveACME(t, opts, ln)
	first := waitForCertificate(t, m)
	if first.Source != certs.SourceACME || !slices.Equal(first.SANs, []string{acmeName}) {
		t.Errorf("info = %+v", first)
	}
	p.get(t, ln.Addr().String(), acmeName)
	p.get(t, ln.Addr().String(), "") // no SNI, as by address

	if err := m.RenewServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	second, err := m.Info()
	if err != nil || second.Fingerprint == first.Fingerprint {
		t.Fatalf("not renewed: %v", err)
	}
	p.get(t, ln.Addr().String(), acmeName)
	stop()

	// A restart has the certificate from its folder, without a second order.
	ln = listen(t)
	opts.ACME.Listen = ln.Addr().String()
	m, _ = serveACME(t, opts, ln)
	if got := waitForCertificate(t, m); got.Fingerprint != second.Fingerprint {
		t.Error("the restart did not use the stored certificate")
	}
}

func testPebbleHTTP(t *testing.T, bin string) {
	ln, challenges := listen(t), listen(t)
	// Pebble looks for TLS-ALPN-01 on a closed port, so only HTTP-01 can work.
	p := startPebble(t, bin, freePort(t), port(t, challenges.Addr()), 90*day)
	m, _ := serveACME(t, certs.Options{
		DataDir: t.TempDir(), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		ACME: &certs.ACMEOptions{
			Email: "me@example.com", Names: []string{acmeName}, Directory: p.directory, RootFile: p.rootFile,
			Listen: ln.Addr().String(), HTTPListen: challenges.Addr().String(),
		},
	}, ln)
	server := &http.Server{Handler: m.HTTPChallengeHandler(http.NotFoundHandler()), ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(challenges)
	t.Cleanup(func() { server.Close() })
	waitForCertificate(t, m)
	p.get(t, ln.Addr().String(), acmeName)
}

func testPebbleEnded(t *testing.T, bin string) {
	first := listen(t)
	p := startPebble(t, bin, port(t, first.Addr()), freePort(t), 3*time.Second)
	opts := certs.Options{
		DataDir: t.TempDir(), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		ACME: &certs.ACMEOptions{Email: "me@example.com", Names: []string{acmeName}, Directory: p.directory, RootFile: p.rootFile, Listen: first.Addr().String()},
	}
	m, stop := serveACME(t, opts, first)
	old := waitForCertificate(t, m)
	stop()
	waitFor(t, "the end of the certificate", func() error {
		if time.Now().Before(old.NotAfter) {
			return errors.New("it is still valid")
		}
		return nil
	})
	again, err := net.Listen("tcp", first.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	m, _ = serveACME(t, opts, again)
	waitFor(t, "a new certificate", func() error {
		if waitForCertificate(t, m).Fingerprint == old.Fingerprint {
			return errors.New("it is still the old one")
		}
		return nil
	})
}

// serveACME serves HTTPS on ln and runs the manager, in the order main has to.
func serveACME(t *testing.T, opts certs.Options, ln net.Listener) (m *certs.Manager, stop func()) {
	t.Helper()
	m, err := certs.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "served") }),
		TLSConfig: m.TLSConfig(), ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(opts.Log.Handler(), slog.LevelDebug),
	}
	go server.ServeTLS(ln, "", "")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
		server.Close()
	}
	t.Cleanup(stop)
	return m, stop
}

func waitForCertificate(t *testing.T, m *certs.Manager) (got certs.Info) {
	t.Helper()
	waitFor(t, "a certificate", func() error {
		var err error
		got, err = m.Info()
		return err
	})
	return got
}

// waitFor polls until try succeeds, for at most some minutes.
func waitFor(t *testing.T, what string, try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for err := try(); err != nil; err = try() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited for %s: %v", what, err)
		case <-poll.C:
		}
	}
}

// pebbleTools builds Pebble and its DNS server once per machine.
func pebbleTools(t *testing.T) string {
	t.Helper()
	testenv.RequireE2E(t)
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(cache, "breakwater-e2e", "pebble-"+pebbleVersion)
	for _, tool := range []string{"pebble", "pebble-challtestsrv"} {
		if _, err := os.Stat(filepath.Join(bin, tool)); err == nil {
			continue
		}
		cmd := exec.CommandContext(t.Context(), "go", "install", "github.com/letsencrypt/pebble/v2/cmd/"+tool+"@"+pebbleVersion)
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "GOBIN="+bin, "CGO_ENABLED=0", "GOFLAGS=")
		out, err := cmd.CombinedOutput()
		if err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("cannot build %s: %v\n%s", tool, err, out)
		}
		t.Skipf("cannot build %s: %v\n%s", tool, err, out)
	}
	return bin
}

type pebble struct {
	directory string
	rootFile  string         // CA of the ACME server itself
	issued    *x509.CertPool // CA of the certificates it gives
}

// startPebble starts an ACME server that looks for challenges on these ports
// of 127.0.0.1, where its DNS server sends every name.
func startPebble(t *testing.T, bin string, tlsPort, httpPort int, validity time.Duration) *pebble {
	t.Helper()
	dns := net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
	start(t, filepath.Join(bin, "pebble-challtestsrv"), "-dnsserver", dns, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-management", net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t))))

	// The certificate of Pebble's own listener comes from this package too.
	own := newHouse(t)
	own.setTime(time.Now())
	own.start()
	api, management := freePort(t), freePort(t)
	settings, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress":           fmt.Sprintf("127.0.0.1:%d", api),
		"managementListenAddress": fmt.Sprintf("127.0.0.1:%d", management),
		"certificate":             own.path("server.crt"), "privateKey": own.path("server.key"),
		"tlsPort": tlsPort, "httpPort": httpPort,
		"profiles": map[string]any{"default": map[string]any{"description": "test", "validityPeriod": int(validity.Seconds())}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pebble.json")
	if err := os.WriteFile(file, settings, 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, filepath.Join(bin, "pebble"), "-config", file, "-dnsserver", dns)
	p := &pebble{directory: fmt.Sprintf("https://127.0.0.1:%d/dir", api), rootFile: own.path("ca.crt"), issued: x509.NewCertPool()}
	p.readRoot(t, own.read("ca.crt"), management)
	return p
}

// readRoot waits for Pebble and asks it for the CA that it issues from.
func (p *pebble) readRoot(t *testing.T, caPEM []byte, management int) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(caPEM)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	waitFor(t, "Pebble", func() error {
		if resp, err := client.Get(p.directory); err != nil {
			return err
		} else {
			resp.Body.Close()
		}
		resp, err := client.Get(fmt.Sprintf("https://127.0.0.1:%d/roots/0", management))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		root, err := io.ReadAll(resp.Body)
		if err == nil && !p.issued.AppendCertsFromPEM(root) {
			err = errors.New("no root certificate yet")
		}
		return err
	})
}

// get asks the server at addr for a page over TLS and checks its certificate
// against Pebble's CA.
func (p *pebble) get(t *testing.T, addr, serverName string) {
	t.Helper()
	config := &tls.Config{RootCAs: p.issued, ServerName: serverName}
	if serverName == "" {
		config = &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(state tls.ConnectionState) error {
			return state.PeerCertificates[0].VerifyHostname(acmeName)
		}}
	}
	http2 := new(http.Protocols)
	http2.SetHTTP2(true) // one that speaks both would get HTTP/1.1
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, Protocols: http2}}
	resp, err := client.Get("https://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "served" || resp.ProtoMajor != 2 {
		t.Errorf("got %q by %s: %v", body, resp.Proto, err)
	}
}

func start(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1")
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Wait() }) // the context of the test has killed it
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func port(t *testing.T, addr net.Addr) int {
	t.Helper()
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		t.Fatalf("%v is no TCP address", addr)
	}
	return tcp.Port
}

func freePort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return port(t, ln.Addr())
}
