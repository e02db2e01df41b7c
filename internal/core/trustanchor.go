package core

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"regexp"
	"strings"
	"unicode"
)

// MaxAnchorName is how long the name of a trust anchor may be, in bytes.
const MaxAnchorName = 64

// The bounds of a trust anchor.
const (
	maxAnchorContent = 512 << 10
	maxAnchorSubject = 1024
	minRSABits       = 2048
)

// Complete checks an anchor that is to be added and fills in what follows from
// its content. What only the library that verifies can know is not checked.
func (a TrustAnchor) Complete() (TrustAnchor, error) {
	a.Name = strings.TrimSpace(a.Name)
	if a.Name == "" || len(a.Name) > MaxAnchorName || strings.ContainsFunc(a.Name, unicode.IsControl) {
		return a, Errorf(CodeBadRequest, "the name of a trust anchor must have 1 to %d printable characters", MaxAnchorName)
	}
	if len(a.Content) > maxAnchorContent {
		return a, Errorf(CodeBadRequest, "the content of a trust anchor must have at most %d bytes", maxAnchorContent)
	}
	if len(a.Subject) > maxAnchorSubject || len(a.Issuer) > maxAnchorSubject {
		return a, Errorf(CodeBadRequest, "issuer and subject must have at most %d characters", maxAnchorSubject)
	}
	complete, known := map[AnchorType]func(*TrustAnchor) error{
		AnchorKey: (*TrustAnchor).completeKey, AnchorIdentity: (*TrustAnchor).completeIdentity, AnchorRoot: (*TrustAnchor).completeRoot,
		AnchorCertificate: (*TrustAnchor).completeCertificate, AnchorSubject: (*TrustAnchor).completeSubject,
		AnchorRevocation: (*TrustAnchor).completeRevocation,
	}[a.Type]
	if !known {
		return a, Errorf(CodeBadRequest, "the type %q of a trust anchor is not known; use %s, %s, %s, %s, %s or %s", Clip(string(a.Type), 32),
			AnchorKey, AnchorIdentity, AnchorRoot, AnchorCertificate, AnchorSubject, AnchorRevocation)
	}
	if err := complete(&a); err != nil {
		return a, &Error{Code: CodeBadRequest, Message: "the trust anchor cannot be used: " + err.Error(), Err: err}
	}
	return a, nil
}

func (a *TrustAnchor) completeKey() error {
	key, err := ParsePublicKey(a.Content)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return errors.New("the key is of a type that cannot be used")
	}
	a.Issuer, a.Subject, a.Pattern, a.Store, a.KeyID = "", "", false, "", fingerprint(der)
	a.Content = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	return nil
}

func (a *TrustAnchor) completeIdentity() error {
	if a.Issuer == "" || a.Subject == "" || strings.ContainsFunc(a.Issuer+a.Subject, unicode.IsControl) {
		return errors.New("an identity needs the issuer, such as https://token.actions.githubusercontent.com, and the subject of its certificates")
	}
	mark := " "
	if a.Pattern {
		if _, err := regexp.Compile(a.Subject); err != nil {
			return errors.New("the subject is no regular expression (RE2)")
		}
		mark = " ~"
	}
	a.Content, a.Store, a.KeyID = "", "", a.Issuer+mark+a.Subject
	return nil
}

func (a *TrustAnchor) completeRoot() error {
	if err := CheckJSON([]byte(a.Content)); err != nil {
		return errors.New("the content is no trusted root of sigstore: " + err.Error())
	}
	a.Issuer, a.Subject, a.Pattern, a.Store, a.KeyID = "", "", false, "", fingerprint([]byte(a.Content))
	return nil
}

func (a *TrustAnchor) completeCertificate() error {
	certificate, err := ParseCertificate(a.Content)
	if err != nil {
		return err
	}
	switch a.Store {
	case "":
		a.Store = StoreCA
	case StoreCA, StoreSigningAuthority, StoreTSA:
	default:
		return errors.New("the store must be ca, signingAuthority or tsa")
	}
	a.Issuer, a.Subject, a.Pattern = certificate.Issuer.String(), certificate.Subject.String(), false
	a.NotAfter, a.KeyID = certificate.NotAfter, fingerprint(certificate.Raw)
	a.Content = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
	return nil
}

func (a *TrustAnchor) completeSubject() error {
	a.Content = strings.TrimSpace(a.Content)
	if !strings.HasPrefix(a.Content, "x509.subject:") || len(a.Content) > maxAnchorSubject {
		return errors.New("write the subject as in notation's trust policy, such as x509.subject: C=US, ST=WA, O=acme")
	}
	a.Issuer, a.Subject, a.Pattern, a.Store, a.KeyID = "", "", false, "", a.Content
	return nil
}

func (a *TrustAnchor) completeRevocation() error {
	list, err := ParseRevocationList(a.Content)
	if err != nil {
		return err
	}
	a.Issuer, a.Subject, a.Pattern, a.Store = "", list.Issuer.String(), false, ""
	a.NotAfter, a.KeyID = list.NextUpdate, fingerprint(list.Raw)
	a.Content = string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list.Raw}))
	return nil
}

func fingerprint(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// ParsePublicKey reads a PEM public key: ECDSA on a NIST curve, Ed25519, or RSA
// of at least 2048 bits. Its error is for people.
func ParsePublicKey(text string) (crypto.PublicKey, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(strings.TrimSpace(string(rest))) > 0 {
		return nil, errors.New("the content must be one public key in PEM, from -----BEGIN PUBLIC KEY----- to its end")
	}
	if strings.Contains(block.Type, "PRIVATE") {
		return nil, errors.New("the content is a private key; keep it secret and upload the public one")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the PEM holds no public key that can be read")
	}
	switch k := key.(type) {
	case *ecdsa.PublicKey, ed25519.PublicKey:
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSABits {
			return nil, errors.New("the RSA key has fewer than 2048 bits")
		}
	default:
		return nil, errors.New("the key must be ECDSA, Ed25519 or RSA")
	}
	return key, nil
}

// ParseCertificate reads one PEM certificate. Its error is for people.
func ParseCertificate(text string) (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || len(strings.TrimSpace(string(rest))) > 0 {
		return nil, errors.New("the content must be one certificate in PEM, from -----BEGIN CERTIFICATE----- to its end; add each of several by itself")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, errors.New("the PEM holds no certificate that can be read")
	}
	return certificate, nil
}

// oidDelta marks a list that only changes another one (RFC 5280, 5.2.4).
var oidDelta = asn1.ObjectIdentifier{2, 5, 29, 27}

// ParseRevocationList reads a certificate revocation list, PEM or base64 DER.
// Its error is for people.
func ParseRevocationList(text string) (*x509.RevocationList, error) {
	der := []byte(nil)
	if block, rest := pem.Decode([]byte(text)); block != nil && len(strings.TrimSpace(string(rest))) == 0 {
		der = block.Bytes
	} else if plain, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err == nil {
		der = plain
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, errors.New("the content must be one certificate revocation list, in PEM or as base64 of its DER")
	}
	for _, extension := range list.Extensions {
		if extension.Id.Equal(oidDelta) {
			return nil, errors.New("the list only changes another one (a delta CRL); upload the whole list")
		}
	}
	return list, nil
}
