package testenv_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/testenv"
	"github.com/google/go-containerregistry/pkg/registry"
)

func TestNetnsIsOnItsOwn(t *testing.T) {
	testenv.RequireE2E(t)
	a, b := testenv.NewNetns(t), testenv.NewNetns(t)
	addr := net.JoinHostPort(a.Addr.String(), "8080")
	l, err := a.Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := a.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatalf("dial inside the namespace: %v", err)
	}
	conn.Close()
	if conn, err := b.DialContext(t.Context(), "tcp", addr); err == nil {
		conn.Close()
		t.Error("the other namespace reaches the listener")
	}
	out, err := a.Exec(t.Context(), "ip", "-o", "addr").CombinedOutput()
	if err != nil || !strings.Contains(string(out), addr[:strings.Index(addr, ":")]) {
		t.Errorf("ip addr in the namespace: %v\n%s", err, out)
	}
	here, err := exec.CommandContext(t.Context(), "ip", "-o", "addr").CombinedOutput()
	if err != nil || strings.Contains(string(here), "198.18.") {
		t.Errorf("the namespace's address is on the machine: %v\n%s", err, here)
	}
}

// TestDockerdPushPull moves an image through a registry of another make, over
// TLS, from one docker command line to the next.
func TestDockerdPushPull(t *testing.T) {
	testenv.RequireE2E(t)
	ns := testenv.NewNetns(t)
	addr := net.JoinHostPort(ns.Addr.String(), "5000")
	ca := serveTLS(t, ns, addr, registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	d := testenv.StartDockerd(t, testenv.DockerdOptions{Netns: ns})
	ref := addr + "/library/app:1"
	d.ImportImage(t, ref, map[string]string{"hello": "hello from a layer\n"})
	if out, err := d.CLI().Try(t.Context(), "push", ref); err == nil || !strings.Contains(err.Error(), "x509") {
		t.Fatalf("push without trust in the CA: %q, %v", out, err)
	}
	d.TrustCA(t, addr, ca)
	d.Docker(t, "push", ref)
	for _, cli := range d.CLIs() {
		cli.Run(t, "rmi", "--force", ref)
		cli.Run(t, "pull", ref)
		out := cli.Run(t, "run", "--rm", "--network=none", ref, "/bin/busybox", "cat", "/hello")
		if !strings.Contains(out, "hello from a layer") {
			t.Errorf("docker %s: the container printed %q", cli.Version, out)
		}
	}
	if _, err := os.Stat("/etc/docker/certs.d/" + addr); !os.IsNotExist(err) {
		t.Errorf("the machine's own /etc/docker has the test's CA: %v", err)
	}
}

func TestPostgresDatabases(t *testing.T) {
	first, second := testenv.Postgres(t), testenv.Postgres(t)
	if first == second {
		t.Fatalf("two calls gave one database: %s", first)
	}
	psql := func(dsn, sql string) string {
		out, err := exec.CommandContext(t.Context(), "psql", "-XAtc", sql, dsn).CombinedOutput()
		if err != nil {
			t.Fatalf("psql: %v\n%s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	psql(first, "create table x (a text)")
	if got := psql(second, "select count(*) from pg_tables where tablename = 'x'"); got != "0" {
		t.Errorf("the second database has the first one's table: %s", got)
	}
	if got := psql(first, "select pg_encoding_to_char(encoding) || ' ' || datcollate from pg_database where datname = current_database()"); got != "UTF8 C" {
		t.Errorf("encoding and collation are %q", got)
	}
}

// TestConformanceCounts runs the suite against a registry that is known to fail
// a part of it, so that every kind of count is seen.
func TestConformanceCounts(t *testing.T) {
	testenv.RequireE2E(t)
	ns := testenv.NewNetns(t)
	addr := net.JoinHostPort(ns.Addr.String(), "5000")
	ca := serveTLS(t, ns, addr, registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	got := testenv.RunConformance(t, testenv.ConformanceOptions{Registry: addr, CA: ca, Netns: ns})
	t.Logf("%d tests, %d passed, %d failed, %d skipped, %d disabled", got.Tests, got.Passed, got.Failed, got.Skipped, got.Disabled)
	if got.Passed < 100 || got.Failed == 0 || got.Passed+got.Failed+got.Skipped+got.Disabled != got.Tests {
		t.Errorf("the counts do not add up: %+v", got)
	}
	if len(got.Failures) == 0 || !strings.Contains(got.Failures[0], "/") {
		t.Errorf("failures have no names: %q", got.Failures)
	}
	if !strings.Contains(got.Report, "Blob upload cancel............:   Disabled\n") {
		t.Error("the report does not count by API")
	}
	if _, err := os.Stat(got.Dir + "/report.html"); err != nil {
		t.Error(err)
	}
}

func TestToolsRun(t *testing.T) {
	testenv.RequireE2E(t)
	for _, args := range [][]string{{testenv.Crane(t), "version"}, {testenv.Skopeo(t), "--version"}} {
		out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", args, err, out)
		}
		t.Logf("%s", out)
	}
}

// serveTLS serves h at addr inside the namespace until the test ends and returns
// the PEM of its certificate, which signs itself.
func serveTLS(t *testing.T, ns *testenv.Netns, addr string, h http.Handler) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ := net.SplitHostPort(addr)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.ParseIP(host)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ns.Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	t.Cleanup(func() { _ = srv.Shutdown(context.Background()) })
	go func() {
		_ = srv.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}))
	}()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
