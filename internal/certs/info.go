package certs

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Info describes the certificate in use.
type Info struct {
	Source Source
	// Subject and Issuer are distinguished names as in RFC 2253.
	Subject, Issuer string
	// SANs are the DNS names and IP addresses, sorted.
	SANs                []string
	NotBefore, NotAfter time.Time
	// Fingerprint is the SHA-256 of the certificate as openssl prints it:
	// AB:CD:...
	Fingerprint string
	// CAPEM is the certificate of the own CA, nil for other sources, as are
	// the fingerprint and the end of the CA.
	CAPEM         []byte
	CAFingerprint string
	CANotAfter    time.Time
}

// Info describes the certificate in use; with ACME that of the first name. It
// returns SERVICE_UNAVAILABLE while ACME has given none yet.
func (m *Manager) Info() (Info, error) {
	if m.acme != nil {
		leaf := m.acme.leaf()
		if leaf == nil {
			return Info{}, core.Errorf(core.CodeUnavailable, "the ACME server has given no certificate yet; the log says why")
		}
		return describe(leaf, SourceACME), nil
	}
	current := m.current.Load()
	info := describe(current.cert.Leaf, current.source)
	if ca := current.ca; ca != nil {
		info.CAPEM = encodeCerts([]*x509.Certificate{ca.cert})
		info.CAFingerprint = fingerprint(ca.cert)
		info.CANotAfter = ca.cert.NotAfter
	}
	return info, nil
}

// CAPEM returns the certificate of the own CA that clients have to trust, nil
// when the certificate in use is not from the own CA.
func (m *Manager) CAPEM() []byte {
	if current := m.current.Load(); current != nil && current.ca != nil {
		return encodeCerts([]*x509.Certificate{current.ca.cert})
	}
	return nil
}

func describe(leaf *x509.Certificate, source Source) Info {
	return Info{
		Source:      source,
		Subject:     leaf.Subject.String(),
		Issuer:      leaf.Issuer.String(),
		SANs:        namesOf(leaf),
		NotBefore:   leaf.NotBefore,
		NotAfter:    leaf.NotAfter,
		Fingerprint: fingerprint(leaf),
	}
}

func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":")
}
