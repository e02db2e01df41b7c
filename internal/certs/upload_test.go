package certs_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/certs"
	"github.com/breakwater-registry/breakwater/internal/core"
)

func TestUploadIsUsedUntilRemoved(t *testing.T) {
	h := newHouse(t, "reg.example.com")
	m := h.start()
	ca := m.CAPEM()
	wantError(t, m.RemoveCustom(t.Context()), core.CodeNotFound)
	certPEM, keyPEM := h.pair(nil)
	if err := m.ReplaceServer(t.Context(), certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*certs.Manager{m, h.start()} {
		h.mustHandshake(m, certPEM, "mine.example.com")
		if i := info(t, m); i.Source != certs.SourceUploaded || i.CAPEM != nil || m.CAPEM() != nil {
			t.Errorf("info = %+v", i)
		}
		wantError(t, m.RenewServer(t.Context()), core.CodePrecondition, "remove it first")
		wantError(t, m.RenewCA(t.Context()), core.CodePrecondition, "remove it first")
	}
	if st, err := os.Stat(h.path("custom.key")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("custom.key: %v %v", st, err)
	}
	if !bytes.Equal(h.read("custom.crt"), certPEM) {
		t.Error("custom.crt is not what was uploaded")
	}
	if err := m.RemoveCustom(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*certs.Manager{m, h.start()} {
		h.mustHandshake(m, ca, "reg.example.com")
	}
	if files := h.snapshot(); files["custom.key"] != "" || files["custom.crt"] != "" {
		t.Error("files of the upload are left")
	}
}

func TestUploadIsNotRenewedByItself(t *testing.T) {
	h := newHouse(t)
	m := h.start()
	tick := h.run(m)
	certPEM, keyPEM := h.pair(nil)
	if err := m.ReplaceServer(t.Context(), certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	files := h.snapshot()
	h.setTime(h.time().Add(1000 * day))
	tick()
	if !maps.Equal(files, h.snapshot()) || info(t, m).Source != certs.SourceUploaded {
		t.Error("the upload did not stay")
	}
}

func TestUploadRefusesWhatCannotServe(t *testing.T) {
	h := newHouse(t)
	m := h.start()
	before, files := info(t, m), h.snapshot()
	good, goodKey := h.pair(nil)
	other, otherKey := h.pair(nil)
	edited := func(edit func(*x509.Certificate)) [2][]byte {
		certPEM, keyPEM := h.pair(edit)
		return [2][]byte{certPEM, keyPEM}
	}
	tests := map[string]struct {
		pair [2][]byte
		want string
	}{
		"foreign key":   {[2][]byte{good, otherKey}, "does not belong"},
		"chain first":   {[2][]byte{append(bytes.Clone(other), good...), goodKey}, "before its chain"},
		"no cert":       {[2][]byte{[]byte("hello"), goodKey}, "-----BEGIN CERTIFICATE-----"},
		"empty":         {[2][]byte{nil, nil}, "-----BEGIN CERTIFICATE-----"},
		"no key":        {[2][]byte{good, []byte("hello")}, "private key"},
		"broken cert":   {[2][]byte{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), goodKey}, "cannot be read"},
		"broken chain":  {[2][]byte{append(bytes.Clone(good), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})...), goodKey}, "chain"},
		"passphrase":    {[2][]byte{good, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")}, "passphrase"},
		"ended":         {edited(func(c *x509.Certificate) { c.NotAfter = h.time().Add(-time.Second) }), "ended"},
		"not yet":       {edited(func(c *x509.Certificate) { c.NotBefore = h.time().Add(time.Minute) }), "clock"},
		"no names":      {edited(func(c *x509.Certificate) { c.DNSNames = nil }), "alternative names"},
		"client only":   {edited(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), "serverAuth"},
		"short RSA key": {shortRSA(t, h), "2048"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			wantError(t, m.ReplaceServer(t.Context(), tt.pair[0], tt.pair[1]), core.CodeBadRequest, tt.want)
		})
	}
	wantError(t, m.ReplaceServer(t.Context(), bytes.Repeat([]byte("x"), 2<<20), goodKey), core.CodeTooLarge)
	if info(t, m).Fingerprint != before.Fingerprint || !maps.Equal(files, h.snapshot()) {
		t.Error("a refused upload changed something")
	}
}

func shortRSA(t *testing.T, h *house) [2][]byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a.example.com"}, NotBefore: h.time().Add(-day), NotAfter: h.time().Add(day)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return [2][]byte{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
	}
}

func TestDamagedUploadStopsTheStart(t *testing.T) {
	h := newHouse(t)
	certPEM, keyPEM := h.pair(nil)
	if err := h.start().ReplaceServer(t.Context(), certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	h.write("custom.key", []byte("x"))
	_, err := h.tryStart()
	wantError(t, err, core.CodeInternal, "custom.key", "backup")
}

func TestFilesOfTheUser(t *testing.T) {
	h := newHouse(t)
	opts := h.options()
	dir := t.TempDir()
	opts.CertFile, opts.KeyFile = filepath.Join(dir, "my.crt"), filepath.Join(dir, "my.key")
	put := func(path string, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := certs.New(opts)
	wantError(t, err, core.CodeBadRequest, "my.crt")

	first, firstKey := h.pair(nil)
	put(opts.CertFile, first)
	put(opts.KeyFile, firstKey)
	m, err := certs.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	h.mustHandshake(m, first, "mine.example.com")

	second, secondKey := h.pair(nil)
	put(opts.CertFile, second) // the key is still the old one
	wantError(t, m.Reload(), core.CodeBadRequest, "the one in use stays", "my.crt", "does not belong")
	h.mustHandshake(m, first, "mine.example.com")
	put(opts.KeyFile, secondKey)
	if err := m.Reload(); err != nil {
		t.Fatal(err)
	}
	h.mustHandshake(m, second, "mine.example.com")

	if info(t, m).Source != certs.SourceFiles || m.CAPEM() != nil {
		t.Errorf("info = %+v", info(t, m))
	}
	for _, err := range []error{
		m.RenewServer(t.Context()), m.RenewCA(t.Context()),
		m.ReplaceServer(t.Context(), first, firstKey), m.RemoveCustom(t.Context()),
	} {
		wantError(t, err, core.CodePrecondition, "tls-cert")
	}
	if _, err := os.Stat(h.path("")); !os.IsNotExist(err) {
		t.Error("a CA was made although the user has files")
	}
}
