package certs

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"slices"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// The files in the tls folder, without suffix.
const (
	caBase     = "ca"
	serverBase = "server"
	uploadBase = "custom"
)

// useOwn serves a certificate of the own CA. It makes or renews the CA and the
// certificate as far as they are missing or due, and otherwise writes nothing.
func (m *Manager) useOwn() error {
	ca, err := m.ensureCA()
	if err != nil {
		return err
	}
	if reason := m.caDue(ca); reason != "" {
		m.opts.Log.Warn("renewing the CA; give its new certificate to clients before the old one ends", "reason", reason, "old_not_after", ca.cert.NotAfter)
		if ca, err = m.makeCA(ca); err != nil {
			return err
		}
	}
	return m.useServer(ca)
}

// useServer serves the stored certificate while it is good, else a new one.
// One that cannot be read is not worth stopping for: nobody pins it.
func (m *Manager) useServer(ca *authority) error {
	server, err := m.readBundle(serverBase)
	if errors.Is(err, fs.ErrNotExist) {
		return m.issueServer(ca)
	}
	if err != nil {
		m.opts.Log.Warn("the server certificate cannot be read, making a new one", "error", err)
		return m.issueServer(ca)
	}
	if reason := m.serverDue(server.chain[0], ca); reason != "" {
		m.opts.Log.Info("renewing the server certificate", "reason", reason)
		return m.issueServer(ca)
	}
	m.use(&active{cert: server.pair, source: SourceOwnCA, ca: ca})
	return nil
}

// ensureCA loads the CA and makes one only when there is no trace of any: a CA
// that is damaged is never replaced silently, because every client trusts it.
func (m *Manager) ensureCA() (*authority, error) {
	stored, err := m.readBundle(caBase)
	if errors.Is(err, fs.ErrNotExist) {
		if _, statErr := os.Stat(m.path(caBase + certSuffix)); errors.Is(statErr, fs.ErrNotExist) {
			return m.makeCA(nil)
		}
	}
	if err == nil {
		var ca *authority
		if ca, err = stored.authority(); err == nil {
			return ca, nil
		}
	}
	return nil, &core.Error{Code: core.CodeInternal, Err: err,
		Message: "the CA of this server is damaged; restore " + m.path(caBase+keySuffix) + " from a backup, or delete the ca.* files beside it to make a new CA, which every client then has to trust"}
}

func (b bundle) authority() (*authority, error) {
	key, ok := b.pair.PrivateKey.(crypto.Signer)
	if !ok || !b.chain[0].IsCA {
		return nil, errors.New("the certificate is not that of a CA")
	}
	return &authority{cert: b.chain[0], key: key, crossed: b.chain[1:]}, nil
}

// makeCA makes and stores a CA, vouched for by old unless that is nil.
func (m *Manager) makeCA(old *authority) (*authority, error) {
	now := m.opts.Now()
	ca, err := newAuthority(caHost(m.opts.Names), now)
	if err == nil && old != nil {
		err = ca.succeed(old, now)
	}
	if err != nil {
		return nil, &core.Error{Code: core.CodeInternal, Message: "cannot make a CA", Err: err}
	}
	if err := m.writeBundle(caBase, ca.key, append([]*x509.Certificate{ca.cert}, ca.crossed...)); err != nil {
		return nil, err
	}
	m.opts.Log.Info("made a CA", "file", m.path(caBase+certSuffix), "fingerprint", fingerprint(ca.cert))
	return ca, nil
}

// issueServer makes, stores and serves a new certificate.
func (m *Manager) issueServer(ca *authority) error {
	chain, key, err := ca.issue(wantedNames(m.opts.Names), m.opts.Now())
	if err != nil {
		return &core.Error{Code: core.CodeInternal, Message: "cannot make a server certificate", Err: err}
	}
	if err := m.writeBundle(serverBase, key, chain); err != nil {
		return err
	}
	cert := &tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, c := range chain {
		cert.Certificate = append(cert.Certificate, c.Raw)
	}
	m.use(&active{cert: cert, source: SourceOwnCA, ca: ca})
	return nil
}

// caDue says why the CA must be renewed, "" when it need not. It is renewed
// while it can still sign a server certificate of full lifetime. A clock
// before its start is no reason: then the clock is wrong, not the CA.
func (m *Manager) caDue(ca *authority) string {
	if ca.cert.NotAfter.Sub(m.opts.Now()) < serverLifetime {
		return "it ends within the lifetime of a server certificate"
	}
	return ""
}

// serverDue says why the server certificate must be renewed, "" when it need not.
func (m *Manager) serverDue(leaf *x509.Certificate, ca *authority) string {
	now := m.opts.Now()
	wanted := wantedNames(m.opts.Names)
	slices.Sort(wanted)
	switch {
	case leaf.CheckSignatureFrom(ca.cert) != nil:
		return "the CA has changed"
	case !slices.Equal(namesOf(leaf), wanted):
		return "the names have changed"
	case now.After(leaf.NotAfter):
		return "it has ended"
	case leaf.NotAfter.Sub(now) < renewBefore:
		return "it ends soon"
	case now.Before(leaf.NotBefore):
		return "it is not valid yet, so the clock was set back"
	}
	return ""
}

// RenewServer makes a new server certificate now: by the own CA, or by ACME.
// For certificates that the server did not make it returns a Precondition error.
func (m *Manager) RenewServer(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.acme != nil {
		return m.acme.renew(ctx)
	}
	if err := m.needOwnCA(); err != nil {
		return err
	}
	ca, err := m.ensureCA()
	if err != nil {
		return err
	}
	return m.issueServer(ca)
}

// RenewCA makes a new CA and a server certificate by it. The old CA signs the
// new one, so clients that trust only the old CA keep working until that ends;
// up to three former CAs are kept valid in this way. Without an own CA it
// returns a Precondition error.
func (m *Manager) RenewCA(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.needOwnCA(); err != nil {
		return err
	}
	ca, err := m.ensureCA()
	if err == nil {
		ca, err = m.makeCA(ca)
	}
	if err != nil {
		return err
	}
	return m.issueServer(ca)
}

// needOwnCA refuses an operation that only makes sense with the own CA.
func (m *Manager) needOwnCA() error {
	switch {
	case m.acme != nil:
		return core.Errorf(core.CodePrecondition, "the certificate comes from ACME, so there is no own CA here; restart without acme-email to use one")
	case m.current.Load().source == SourceFiles:
		return core.Errorf(core.CodePrecondition, "the certificate comes from the files of tls-cert and tls-key; replace these files and send SIGHUP, or restart without these settings to use the own CA")
	case m.current.Load().source == SourceUploaded:
		return core.Errorf(core.CodePrecondition, "an uploaded certificate is in use; remove it first to use the own CA again")
	}
	return nil
}
