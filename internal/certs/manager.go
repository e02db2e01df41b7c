// Package certs gives the server its TLS certificate. It comes from one of
// three places: an own CA in the data folder, files of the user, or an ACME
// server. An administrator may upload a certificate in place of the own CA's.
// Certificates change while the server runs, without a restart.
package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// checkInterval is the time between two looks at the certificate's age. The
// look costs nothing, and a clock that jumps is noticed within a minute.
const checkInterval = time.Minute

// expiryWarning is how long before the end a certificate that the server
// cannot renew itself is worth a warning.
const expiryWarning = 30 * 24 * time.Hour

// Source says where the certificate in use comes from.
type Source string

// The sources of a certificate.
const (
	SourceOwnCA    Source = "own-ca"
	SourceFiles    Source = "files"
	SourceUploaded Source = "uploaded"
	SourceACME     Source = "acme"
)

// Options are what New needs to know.
type Options struct {
	// DataDir is the data folder; certificates live in its tls and acme.
	DataDir string
	// Names are the DNS names, wildcards and IP addresses the own
	// certificate carries beside localhost, 127.0.0.1 and ::1.
	Names []string
	// CertFile and KeyFile are the user's pair in PEM, both or none.
	CertFile, KeyFile string
	// ACME asks for certificates by ACME.
	ACME *ACMEOptions
	// Log gets what happens to certificates, never a key.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Ticks tells Run when to look at the age of the certificate; nil means
	// once a minute.
	Ticks <-chan time.Time
}

// active is what connections are served with.
type active struct {
	cert   *tls.Certificate // with Leaf
	source Source
	ca     *authority // only for SourceOwnCA
}

// Manager owns the server's certificate. Its methods may be called at any time
// from several goroutines.
type Manager struct {
	opts    Options
	dir     string     // DataDir/tls
	mu      sync.Mutex // serialises changes of files and of current
	current atomic.Pointer[active]
	acme    *acmeSource // nil unless the source is ACME
}

// New loads the certificate, or makes a CA and a certificate at the very first
// start. It fails, rather than replacing anything, when a CA, an uploaded pair
// or the user's files are there but cannot be used.
func New(opts Options) (*Manager, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	m := &Manager{opts: opts, dir: filepath.Join(opts.DataDir, "tls")}
	if opts.ACME != nil {
		source, err := newACME(opts)
		if err != nil {
			return nil, err
		}
		m.acme = source
		m.warnIgnoredUpload("acme-email")
		return m, nil
	}
	return m, m.Reload()
}

// TLSConfig returns the configuration for the server's listener: TLS 1.2 or
// newer, HTTP/1.1 and HTTP/2 and, with ACME, the protocol of its TLS-ALPN-01
// challenge (RFC 8737). Later changes of the certificate need no new one.
// A client that speaks both gets HTTP/1.1, which moves large blobs twice as
// fast with half the processor time and makes small requests cheaper.
func (m *Manager) TLSConfig() *tls.Config {
	protocols := []string{"http/1.1", "h2"}
	if m.acme != nil {
		protocols = append(protocols, acmeProtocol)
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     protocols,
		GetCertificate: m.GetCertificate,
	}
}

// GetCertificate returns the certificate for a handshake, for use in tls.Config.
func (m *Manager) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if m.acme != nil {
		return m.acme.config.GetCertificate(hello)
	}
	return m.current.Load().cert, nil
}

// Run keeps the certificate fresh until ctx ends. With ACME it obtains the
// certificates, so it must start after the server began to listen.
func (m *Manager) Run(ctx context.Context) {
	if m.acme != nil {
		m.acme.run(ctx)
		return
	}
	ticks := m.opts.Ticks
	if ticks == nil {
		ticker := time.NewTicker(checkInterval)
		defer ticker.Stop()
		ticks = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
			m.maintain()
		}
	}
}

// maintain renews the own CA's certificate when it is due.
func (m *Manager) maintain() {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.current.Load()
	if old.source != SourceOwnCA {
		return
	}
	if m.caDue(old.ca) == "" && m.serverDue(old.cert.Leaf, old.ca) == "" {
		return
	}
	if err := m.useOwn(); err != nil {
		m.opts.Log.Error("cannot renew the certificate, the old one stays in use", "error", err)
	}
}

// Reload reads the certificate from disk again, as SIGHUP asks for. When that
// fails the certificate in use stays, and the error says so. Certificates from
// ACME need no reload.
func (m *Manager) Reload() error {
	if m.acme != nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.load()
	if err != nil && m.current.Load() != nil {
		return &core.Error{Code: core.CodeBadRequest, Err: err,
			Message: "the certificate was not reloaded, the one in use stays; correct the problem and reload again"}
	}
	return err
}

// load picks the source: files of the user before an uploaded pair before the
// own CA.
func (m *Manager) load() error {
	if m.opts.CertFile != "" {
		m.warnIgnoredUpload("tls-cert")
		return m.useFiles()
	}
	uploaded, err := m.hasUpload()
	if err != nil {
		return err
	}
	if uploaded {
		return m.useUpload()
	}
	return m.useOwn()
}

func (m *Manager) useFiles() error {
	cert, err := readPair(m.opts.CertFile, m.opts.KeyFile)
	if err != nil {
		return err
	}
	m.use(&active{cert: cert, source: SourceFiles})
	return nil
}

func (m *Manager) useUpload() error {
	stored, err := m.readBundle(uploadBase)
	if err != nil {
		return &core.Error{Code: core.CodeInternal, Err: err,
			Message: "the uploaded certificate is damaged; restore " + m.path(uploadBase+keySuffix) + " from a backup, or delete it to use the own CA again"}
	}
	m.use(&active{cert: stored.pair, source: SourceUploaded})
	return nil
}

// use serves next from the following handshake on.
func (m *Manager) use(next *active) {
	leaf := next.cert.Leaf
	old := m.current.Swap(next)
	if old != nil && old.cert.Leaf.Equal(leaf) {
		return
	}
	log := m.opts.Log.With("source", next.source, "fingerprint", fingerprint(leaf), "not_after", leaf.NotAfter)
	if next.source != SourceOwnCA && leaf.NotAfter.Sub(m.opts.Now()) < expiryWarning {
		log.Warn("the certificate ends soon or has ended, replace it")
		return
	}
	log.Info("certificate in use")
}

func (m *Manager) hasUpload() (bool, error) {
	_, err := os.Stat(m.path(uploadBase + keySuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, &core.Error{Code: core.CodeInternal, Err: err, Message: "cannot look for an uploaded certificate"}
	}
	return true, nil
}

func (m *Manager) warnIgnoredUpload(setting string) {
	if there, err := m.hasUpload(); err != nil || there {
		m.opts.Log.Warn("the uploaded certificate is not used because of a setting", "setting", setting, "file", m.path(uploadBase+keySuffix))
	}
}

func (m *Manager) path(name string) string { return filepath.Join(m.dir, name) }
