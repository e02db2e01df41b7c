package certs_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

func parse(t *testing.T, certPEM []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(certPEM)
	if block == nil {
		t.Fatalf("no PEM in %q", certPEM)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestFirstStartMakesCAAndCertificate(t *testing.T) {
	h := newHouse(t, "*.reg.example.com", "reg.example.com", "192.0.2.7")
	m := h.start()
	for name, mode := range map[string]os.FileMode{"ca.key": 0o600, "server.key": 0o600, "ca.crt": 0o644, "server.crt": 0o644} {
		st, err := os.Stat(h.path(name))
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, want %v", name, st.Mode().Perm(), mode)
		}
	}
	if n := len(h.snapshot()); n != 4 {
		t.Errorf("%d files, want 4: %v", n, slices.Sorted(maps.Keys(h.snapshot())))
	}
	ca := parse(t, h.read("ca.crt"))
	if ca.Subject.CommonName != "Breakwater CA reg.example.com" || !ca.IsCA || ca.NotAfter.Before(h.time().AddDate(9, 11, 0)) {
		t.Errorf("CA %s until %v", ca.Subject, ca.NotAfter)
	}
	if !bytes.Equal(m.CAPEM(), h.read("ca.crt")) {
		t.Error("CAPEM is not ca.crt")
	}
	for _, name := range []string{"reg.example.com", "a.reg.example.com", "localhost", "127.0.0.1", "::1", "192.0.2.7"} {
		cert := h.mustHandshake(m, m.CAPEM(), name)
		if got := cert.NotAfter.Sub(cert.NotBefore); got != 397*day {
			t.Errorf("lifetime = %v, want 397 days", got)
		}
	}
	if _, err := h.handshake(m, m.CAPEM(), "other.example.com"); err == nil {
		t.Error("the certificate covers a name nobody asked for")
	}
}

func TestSecondStartChangesNothing(t *testing.T) {
	h := newHouse(t, "reg.example.com")
	before := info(t, h.start())
	files := h.snapshot()
	h.setTime(h.time().Add(300 * day))
	if after := info(t, h.start()); after.Fingerprint != before.Fingerprint {
		t.Error("the second start made a new certificate")
	}
	if !maps.Equal(files, h.snapshot()) {
		t.Error("the second start wrote files")
	}
}

func TestInfo(t *testing.T) {
	h := newHouse(t, "reg.example.com")
	i := info(t, h.start())
	if i.Source != "own-ca" || i.Subject != "CN=reg.example.com" || !strings.Contains(i.Issuer, "CN=Breakwater CA reg.example.com") {
		t.Errorf("info = %+v", i)
	}
	if want := []string{"127.0.0.1", "::1", "localhost", "reg.example.com"}; !slices.Equal(i.SANs, want) {
		t.Errorf("SANs = %v, want %v", i.SANs, want)
	}
	if len(i.Fingerprint) != 32*3-1 || i.CAFingerprint == "" || i.CANotAfter.IsZero() || len(i.CAPEM) == 0 {
		t.Errorf("info = %+v", i)
	}
}

func TestRunRenewsInTime(t *testing.T) {
	h := newHouse(t, "reg.example.com")
	m := h.start()
	tick := h.run(m)
	first := info(t, m)

	h.setTime(first.NotAfter.Add(-30 * day))
	tick()
	if info(t, m).Fingerprint != first.Fingerprint {
		t.Fatal("renewed although 30 days remain")
	}
	h.setTime(first.NotAfter.Add(-30*day + time.Minute))
	tick()
	second := info(t, m)
	if second.Fingerprint == first.Fingerprint {
		t.Fatal("not renewed in its last 30 days")
	}
	if second.CAFingerprint != first.CAFingerprint {
		t.Error("the CA changed with the certificate")
	}
	h.mustHandshake(m, first.CAPEM, "reg.example.com")

	h.setTime(second.NotAfter.Add(100 * day)) // the machine slept
	tick()
	h.mustHandshake(m, first.CAPEM, "reg.example.com")
	h.setTime(first.NotBefore) // the clock was wrong and is set back
	tick()
	h.mustHandshake(m, first.CAPEM, "reg.example.com")
	if got := info(t, h.start()).Fingerprint; got != info(t, m).Fingerprint {
		t.Error("the certificate in use is not the one on disk")
	}
}

func TestChangedNamesMakeANewCertificate(t *testing.T) {
	h := newHouse(t, "a.example.com")
	first := info(t, h.start())
	h.names = []string{"b.example.com"}
	m := h.start()
	h.mustHandshake(m, first.CAPEM, "b.example.com")
	if _, err := h.handshake(m, first.CAPEM, "a.example.com"); err == nil {
		t.Error("the old name is still there")
	}
}

func TestCAIsRenewedWhileItCanSignAFullLifetime(t *testing.T) {
	h := newHouse(t, "reg.example.com")
	m := h.start()
	tick := h.run(m)
	first := info(t, m)
	h.setTime(first.CANotAfter.Add(-396 * day))
	tick()
	second := info(t, m)
	if second.CAFingerprint == first.CAFingerprint {
		t.Fatal("the CA was not renewed")
	}
	h.mustHandshake(m, first.CAPEM, "reg.example.com")
	h.mustHandshake(m, second.CAPEM, "reg.example.com")
}

func TestRenewServer(t *testing.T) {
	h := newHouse(t, "reg.example.com")
	m := h.start()
	first := info(t, m)
	if err := m.RenewServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if info(t, m).Fingerprint == first.Fingerprint {
		t.Error("the certificate is the same")
	}
	h.mustHandshake(m, first.CAPEM, "localhost")
	if got := info(t, h.start()).Fingerprint; got != info(t, m).Fingerprint {
		t.Error("the renewed certificate is lost at a restart")
	}
}

func TestRenewCAKeepsClientsOfFormerCAs(t *testing.T) {
	h := newHouse(t, "reg.example.com")
	m := h.start()
	cas := [][]byte{m.CAPEM()}
	for range 2 {
		h.setTime(h.time().Add(time.Hour))
		if err := m.RenewCA(t.Context()); err != nil {
			t.Fatal(err)
		}
		cas = append(cas, m.CAPEM())
	}
	for _, name := range []string{"running", "restarted"} {
		for i, ca := range cas {
			if i > 0 && bytes.Equal(ca, cas[i-1]) {
				t.Fatal("the CA did not change")
			}
			if _, err := h.handshake(m, ca, "reg.example.com"); err != nil {
				t.Errorf("%s: client of CA %d: %v", name, i, err)
			}
		}
		m = h.start()
	}
	if !bytes.Equal(h.read("ca.crt"), cas[2]) {
		t.Error("ca.crt is not the new CA alone")
	}
	h.setTime(parse(t, cas[0]).NotAfter.Add(time.Minute))
	m = h.start()
	if _, err := h.handshake(m, cas[0], "reg.example.com"); err == nil {
		t.Error("a client accepts a CA that has ended")
	}
	h.mustHandshake(m, m.CAPEM(), "reg.example.com")
}

func TestDamagedServerCertificateIsMadeAgain(t *testing.T) {
	for name, damage := range map[string]func(h *house){
		"key empty":   func(h *house) { h.write("server.key", nil) },
		"key missing": func(h *house) { os.Remove(h.path("server.key")) },
		"key foreign": func(h *house) { h.write("server.key", h.read("ca.key")) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			ca := h.start().CAPEM()
			damage(h)
			h.mustHandshake(h.start(), ca, "localhost")
		})
	}
}

func TestDamagedCAIsNeverReplaced(t *testing.T) {
	for name, damage := range map[string]func(h *house){
		"key empty":   func(h *house) { h.write("ca.key", nil) },
		"key missing": func(h *house) { os.Remove(h.path("ca.key")) },
		"key cut":     func(h *house) { h.write("ca.key", h.read("ca.key")[:300]) },
		"not a CA":    func(h *house) { h.write("ca.key", h.read("server.key")) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			m := h.start()
			server := info(t, m).Fingerprint
			damage(h)
			_, err := os.ReadFile(h.path("ca.key"))
			if (err == nil) == (name == "key missing") {
				t.Fatal("the damage is not there")
			}
			wantError(t, m.Reload(), core.CodeBadRequest, "the one in use stays", "ca.key")
			wantError(t, m.RenewCA(t.Context()), core.CodeInternal, "backup")
			if info(t, m).Fingerprint != server {
				t.Error("the certificate in use changed")
			}
			if _, err = h.tryStart(); err == nil {
				t.Fatal("started with a damaged CA")
			}
			wantError(t, err, core.CodeInternal, "ca.key", "backup")
		})
	}
}

func TestCopyIsRepairedAfterACrash(t *testing.T) {
	h := newHouse(t)
	m := h.start()
	old := h.read("ca.crt")
	if err := m.RenewCA(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := h.read("ca.crt")
	h.write("ca.crt", old) // the crash came between ca.key and ca.crt
	h.start()
	if !bytes.Equal(h.read("ca.crt"), want) {
		t.Error("ca.crt is still the old CA")
	}
}

func TestFailedWriteKeepsTheOldCertificate(t *testing.T) {
	h := newHouse(t)
	m := h.start()
	before, files := info(t, m), h.snapshot()
	if err := os.Mkdir(h.path("server.key.tmp"), 0o700); err != nil { // root may write anywhere, but not into a folder
		t.Fatal(err)
	}
	wantError(t, m.RenewServer(t.Context()), core.CodeInternal, "data folder")
	if err := os.RemoveAll(h.path("server.key.tmp")); err != nil {
		t.Fatal(err)
	}
	if info(t, m).Fingerprint != before.Fingerprint || !maps.Equal(files, h.snapshot()) {
		t.Error("a failed renewal changed something")
	}
}

func TestHandshakesDuringRenewal(t *testing.T) {
	h := newHouse(t)
	m := h.start()
	ca := m.CAPEM()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				if _, err := h.handshake(m, ca, "localhost"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if err := m.RenewCA(t.Context()); err != nil {
		t.Error(err)
	}
	for range 10 {
		if err := m.Reload(); err != nil {
			t.Error(err)
		}
		if err := m.RenewServer(t.Context()); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

func TestKeysAreNotLogged(t *testing.T) {
	h := newHouse(t)
	m := h.start()
	if err := m.RenewCA(t.Context()); err != nil {
		t.Fatal(err)
	}
	key := strings.Split(string(h.read("ca.key")), "\n")[1]
	if strings.Contains(h.log.String(), key) || strings.Contains(h.log.String(), "PRIVATE") {
		t.Error("the log has a key in it")
	}
}
