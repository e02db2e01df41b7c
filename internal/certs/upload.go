package certs

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const minRSABits = 2048

// ReplaceServer serves an uploaded certificate from now on, also after a
// restart, until RemoveCustom. certPEM holds the server's certificate first and
// its chain behind it, keyPEM its private key without a passphrase; each may
// have 1 MiB. What cannot serve is refused with BAD_REQUEST: a key that does
// not match, a certificate that has ended, has not begun, has no names (RFC
// 6125 section 6.4.4 ended the common name) or is not for servers. Where a
// setting names the source of the certificate the error is a Precondition.
func (m *Manager) ReplaceServer(_ context.Context, certPEM, keyPEM []byte) error {
	if err := m.mayUpload(); err != nil {
		return err
	}
	pair, err := parsePair(certPEM, keyPEM)
	if err != nil {
		return err
	}
	if err := checkUpload(pair.Leaf, m.opts.Now()); err != nil {
		return err
	}
	chain, err := chainOf(pair)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.writeBundle(uploadBase, pair.PrivateKey, chain); err != nil {
		return err
	}
	m.use(&active{cert: pair, source: SourceUploaded})
	return nil
}

// RemoveCustom removes the uploaded certificate and serves one of the own CA
// again. Without an uploaded certificate it returns NOT_FOUND.
func (m *Manager) RemoveCustom(context.Context) error {
	if err := m.mayUpload(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current.Load().source != SourceUploaded {
		return core.Errorf(core.CodeNotFound, "no uploaded certificate is in use")
	}
	for _, suffix := range []string{keySuffix, certSuffix} {
		if err := removeFile(m.path(uploadBase + suffix)); err != nil {
			return storeError(err)
		}
	}
	return m.useOwn()
}

func (m *Manager) mayUpload() error {
	if m.acme != nil || m.opts.CertFile != "" {
		return core.Errorf(core.CodePrecondition, "the settings tls-cert or acme-email name the source of the certificate; remove them and restart to upload one")
	}
	return nil
}

// readPair reads the user's own files.
func readPair(certFile, keyFile string) (*tls.Certificate, error) {
	certPEM, err := readLimited(certFile)
	if err != nil {
		return nil, &core.Error{Code: core.CodeBadRequest, Message: "cannot read the certificate of tls-cert", Err: err}
	}
	keyPEM, err := readLimited(keyFile)
	if err != nil {
		return nil, &core.Error{Code: core.CodeBadRequest, Message: "cannot read the private key of tls-key", Err: err}
	}
	pair, err := parsePair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", certFile, keyFile, err)
	}
	return pair, nil
}

// parsePair reads a certificate chain and its key, whose parts must match.
func parsePair(certPEM, keyPEM []byte) (*tls.Certificate, error) {
	if len(certPEM) > maxPEM || len(keyPEM) > maxPEM {
		return nil, core.Errorf(core.CodeTooLarge, "the certificate or the key is larger than 1 MiB; send only the chain and the key")
	}
	if encrypted(keyPEM) {
		return nil, core.Errorf(core.CodeBadRequest, "the private key has a passphrase; remove it with \"openssl pkey -in old.key -out new.key\"")
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, &core.Error{Code: core.CodeBadRequest, Err: err, Message: pairProblem(certPEM, err)}
	}
	if key, ok := pair.Leaf.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < minRSABits {
		return nil, core.Errorf(core.CodeBadRequest, "the RSA key has only %d bits; make one with at least %d", key.N.BitLen(), minRSABits)
	}
	return &pair, nil
}

func encrypted(keyPEM []byte) bool {
	return bytes.Contains(keyPEM, []byte("ENCRYPTED PRIVATE KEY")) || bytes.Contains(keyPEM, []byte("Proc-Type: 4,ENCRYPTED"))
}

// pairProblem finds words for what crypto/tls refused.
func pairProblem(certPEM []byte, err error) string {
	block, _ := pem.Decode(certPEM)
	switch {
	case block == nil:
		return "there is no PEM certificate; it starts with -----BEGIN CERTIFICATE-----"
	case strings.Contains(err.Error(), "does not match"):
		return "the private key does not belong to the first certificate; put the server's certificate before its chain and use its key"
	case strings.Contains(err.Error(), "key"):
		return "there is no usable PEM private key; use an unencrypted RSA, ECDSA or Ed25519 key"
	}
	return "the certificate cannot be read; use PEM, the server's certificate first and its chain behind it"
}

// checkUpload refuses a certificate that no client would accept.
func checkUpload(leaf *x509.Certificate, now time.Time) error {
	serves := len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) == 0 ||
		slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) || slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny)
	const layout = time.RFC3339
	switch {
	case now.After(leaf.NotAfter):
		return core.Errorf(core.CodeBadRequest, "the certificate ended at %s; get a new one", leaf.NotAfter.UTC().Format(layout))
	case now.Before(leaf.NotBefore):
		return core.Errorf(core.CodeBadRequest, "the certificate is not valid before %s; wait, or check the clock of this server", leaf.NotBefore.UTC().Format(layout))
	case len(namesOf(leaf)) == 0:
		return core.Errorf(core.CodeBadRequest, "the certificate has no subject alternative names, so no client accepts it; get one with the names of this server")
	case !serves:
		return core.Errorf(core.CodeBadRequest, "the certificate is not for TLS servers; its extended key usage needs serverAuth")
	}
	return nil
}

func chainOf(pair *tls.Certificate) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for _, der := range pair.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, &core.Error{Code: core.CodeBadRequest, Message: "the chain behind the certificate cannot be read", Err: err}
		}
		chain = append(chain, cert)
	}
	return chain, nil
}
