package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

const (
	day = 24 * time.Hour
	// caLifetime is about ten years.
	caLifetime = 3652 * day
	// serverLifetime stays below the 398 days that Apple's and other clients
	// accept at most (CA/Browser Forum ballot SC31).
	serverLifetime = 397 * day
	// renewBefore is how long before its end a server certificate is renewed.
	renewBefore = 30 * day
	// backdate forgives clients whose clock is late.
	backdate = time.Hour
	// maxCommonName is ub-common-name of RFC 5280 appendix A.1.
	maxCommonName = 64
	// maxCrossed bounds how many former CAs stay valid for their clients.
	maxCrossed = 3
)

// authority is a CA: its certificate and key, and certificates for the same
// key signed by the CAs before it. Sent along with a server certificate, they
// let clients that still trust only a former CA verify it.
type authority struct {
	cert    *x509.Certificate
	key     crypto.Signer
	crossed []*x509.Certificate
}

// newAuthority makes a CA for ten years. The serial number in its name keeps
// two CAs of one host apart.
func newAuthority(host string, now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make CA key: %w", err)
	}
	unique := make([]byte, 8)
	rand.Read(unique) // never fails, see crypto/rand
	common := "Breakwater CA " + host
	common = common[:min(len(common), maxCommonName)]
	name := pkix.Name{CommonName: common, SerialNumber: hex.EncodeToString(unique)}
	template := caTemplate(name, now, now.Add(caLifetime))
	cert, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key}, nil
}

func caTemplate(name pkix.Name, now, end time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject:               name,
		NotBefore:             now.Add(-backdate),
		NotAfter:              end,
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

// succeed lets old vouch for a, so that clients of old accept what a signs for
// as long as they would have accepted old.
func (a *authority) succeed(old *authority, now time.Time) error {
	if !old.cert.NotAfter.After(now) {
		return nil
	}
	end := a.cert.NotAfter
	if old.cert.NotAfter.Before(end) {
		end = old.cert.NotAfter
	}
	cross, err := sign(caTemplate(a.cert.Subject, now, end), old.cert, a.key.Public(), old.key)
	if err != nil {
		return err
	}
	a.crossed = append([]*x509.Certificate{cross}, old.crossed...)
	a.crossed = a.crossed[:min(len(a.crossed), maxCrossed)]
	return nil
}

// issue makes a server certificate for names and its key. The chain has the
// cross-signed certificates behind it, and never the CA itself.
func (a *authority) issue(names []string, now time.Time) (chain []*x509.Certificate, key crypto.Signer, err error) {
	key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make server key: %w", err)
	}
	start := now.Add(-backdate)
	end := start.Add(serverLifetime)
	if a.cert.NotAfter.Before(end) {
		end = a.cert.NotAfter
	}
	template := &x509.Certificate{
		NotBefore:   start,
		NotAfter:    end,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if len(names[0]) <= maxCommonName {
		template.Subject.CommonName = names[0]
	}
	template.DNSNames, template.IPAddresses = splitNames(names)
	leaf, err := sign(template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	return append([]*x509.Certificate{leaf}, a.crossed...), key, nil
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate of %s: %w", template.Subject, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read back certificate of %s: %w", template.Subject, err)
	}
	return cert, nil
}

func splitNames(names []string) (dns []string, ips []net.IP) {
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			ips = append(ips, ip)
		} else {
			dns = append(dns, name)
		}
	}
	return dns, ips
}

// namesOf returns the subject alternative names of a certificate, sorted.
func namesOf(cert *x509.Certificate) []string {
	names := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	slices.Sort(names)
	return names
}

// wantedNames returns names and those every server certificate has, each once
// and in one spelling.
func wantedNames(names []string) []string {
	var wanted []string
	for _, name := range append(slices.Clone(names), "localhost", "127.0.0.1", "::1") {
		name = strings.ToLower(name)
		if ip := net.ParseIP(name); ip != nil {
			name = ip.String()
		}
		if !slices.Contains(wanted, name) {
			wanted = append(wanted, name)
		}
	}
	return wanted
}

// caHost picks the name that the CA's own name shows.
func caHost(names []string) string {
	for _, name := range names {
		if !strings.HasPrefix(name, "*") {
			return name
		}
	}
	return "localhost"
}
