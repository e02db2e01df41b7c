package certs_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/certs"
	"github.com/breakwater-registry/breakwater/internal/core"
)

const day = 24 * time.Hour

// house is a data folder and a clock under the test's control.
type house struct {
	t     *testing.T
	dir   string
	names []string
	ticks chan time.Time
	log   bytes.Buffer

	mu  sync.Mutex
	now time.Time
}

func newHouse(t *testing.T, names ...string) *house {
	t.Helper()
	return &house{
		t: t, dir: t.TempDir(), names: names,
		ticks: make(chan time.Time),
		now:   time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
}

func (h *house) time() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) setTime(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = now
}

func (h *house) options() certs.Options {
	return certs.Options{
		DataDir: h.dir, Names: h.names, Now: h.time, Ticks: h.ticks,
		Log: slog.New(slog.NewTextHandler(&h.log, nil)),
	}
}

func (h *house) start() *certs.Manager {
	h.t.Helper()
	m, err := h.tryStart()
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

func (h *house) tryStart() (*certs.Manager, error) { return certs.New(h.options()) }

// run starts m.Run; tick then returns when Run has dealt with one tick.
func (h *house) run(m *certs.Manager) (tick func()) {
	done := make(chan struct{})
	ctx := h.t.Context()
	go func() {
		defer close(done)
		m.Run(ctx)
	}()
	h.t.Cleanup(func() { <-done })
	return func() {
		h.ticks <- h.time()
		h.ticks <- h.time() // taken only after the first was dealt with
	}
}

func (h *house) path(name string) string { return filepath.Join(h.dir, "tls", name) }

func (h *house) read(name string) []byte {
	h.t.Helper()
	data, err := os.ReadFile(h.path(name))
	if err != nil {
		h.t.Fatal(err)
	}
	return data
}

func (h *house) write(name string, data []byte) {
	h.t.Helper()
	if err := os.WriteFile(h.path(name), data, 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// snapshot returns name, mode, time and content of every file in the tls folder.
func (h *house) snapshot() map[string]string {
	h.t.Helper()
	entries, err := os.ReadDir(filepath.Join(h.dir, "tls"))
	if err != nil {
		h.t.Fatal(err)
	}
	files := map[string]string{}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			h.t.Fatal(err)
		}
		files[entry.Name()] = info.Mode().String() + info.ModTime().String() + string(h.read(entry.Name()))
	}
	return files
}

func info(t *testing.T, m *certs.Manager) certs.Info {
	t.Helper()
	i, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// handshake makes a TLS connection to m for name, with the CAs in caPEM and
// the clock of the house, and returns the server's certificate.
func (h *house) handshake(m *certs.Manager, caPEM []byte, name string) (*x509.Certificate, error) {
	h.t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(caPEM)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", m.TLSConfig())
	if err != nil {
		h.t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.(*tls.Conn).Handshake() // the client reports it
	}()
	raw, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		h.t.Fatal(err)
	}
	client := tls.Client(raw, &tls.Config{RootCAs: roots, ServerName: name, Time: h.time})
	defer client.Close()
	if err := client.HandshakeContext(h.t.Context()); err != nil {
		return nil, err
	}
	return client.ConnectionState().PeerCertificates[0], nil
}

func (h *house) mustHandshake(m *certs.Manager, caPEM []byte, name string) *x509.Certificate {
	h.t.Helper()
	cert, err := h.handshake(m, caPEM, name)
	if err != nil {
		h.t.Fatalf("handshake for %s: %v", name, err)
	}
	return cert
}

// pair makes a self-signed certificate and its key in PEM, changed by edit.
func (h *house) pair(edit func(*x509.Certificate)) (certPEM, keyPEM []byte) {
	h.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), DNSNames: []string{"mine.example.com"},
		NotBefore: h.time().Add(-day), NotAfter: h.time().Add(90 * day),
		BasicConstraintsValid: true, IsCA: true, // as "openssl req -x509" makes them
	}
	if edit != nil {
		edit(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		h.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		h.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

func wantError(t *testing.T, err error, code core.Code, parts ...string) {
	t.Helper()
	if core.ErrorCode(err) != code {
		t.Fatalf("code = %q, want %q: %v", core.ErrorCode(err), code, err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
}
