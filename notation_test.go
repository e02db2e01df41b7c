package main

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/notation-go/signer"
	oras "oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// authority is one whose signing certificate ends after a while.
type authority struct {
	root, leaf *x509.Certificate
	rootKey    *ecdsa.PrivateKey
	key        *ecdsa.PrivateKey
}

func newNotary(t *testing.T, lasts time.Duration) authority {
	t.Helper()
	n := authority{rootKey: newSigningKey(t), key: newSigningKey(t)}
	name := pkix.Name{CommonName: "root", Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"acme"}}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: name, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	n.root = issue(t, template, template, n.rootKey, n.rootKey)
	name.CommonName = "builder"
	n.leaf = issue(t, &x509.Certificate{SerialNumber: big.NewInt(2), Subject: name, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lasts),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}}, n.root, n.key, n.rootKey)
	return n
}

func issue(t *testing.T, template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// add adds a trust anchor with PEM content.
func (s *signing) add(t *testing.T, kind, block string, der []byte) {
	t.Helper()
	text, err := json.Marshal(map[string]string{"type": kind, "name": "acme", "content": string(pem.EncodeToMemory(&pem.Block{Type: block, Bytes: der}))})
	if err != nil {
		t.Fatal(err)
	}
	s.api(t, http.StatusCreated, "POST", anchors, string(text))
}

// newNotation is a registry whose project "signed" wants notation's signatures
// by certificates of the authority.
func newNotation(t *testing.T, n authority) *signing {
	t.Helper()
	s := &signing{pusher: newPusher(t)}
	s.api(t, http.StatusCreated, "POST", "/api/v2.0/projects", `{"project_name":"signed","metadata":{"enable_content_trust_notation":"true"}}`)
	s.add(t, "notation-certificate", "CERTIFICATE", n.root.Raw)
	return s
}

// notate signs as the notation command does.
func (s *signing) notate(t *testing.T, n authority, mediaType string, digest v1.Hash) {
	t.Helper()
	repository, err := oras.NewRepository(s.addr + "/signed/app")
	if err != nil {
		t.Fatal(err)
	}
	repository.Client = &auth.Client{Client: &http.Client{Transport: s.client.Transport}, Header: http.Header{"User-Agent": {"notation/2.0.0"}},
		Credential: auth.StaticCredential(s.addr, auth.Credential{Username: "admin", Password: pusherPassword})}
	signs, err := signer.NewGenericSigner(n.key, []*x509.Certificate{n.leaf, n.root})
	if err != nil {
		t.Fatal(err)
	}
	_, err = notation.Sign(t.Context(), signs, registry.NewRepository(repository), notation.SignOptions{
		SignerSignOptions: notation.SignerSignOptions{SignatureMediaType: mediaType}, ArtifactReference: digest.String()})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNotationSignedImageCanBePulled(t *testing.T) {
	for name, mediaType := range map[string]string{"JWS": "application/jose+json", "COSE": "application/cose"} {
		t.Run(name, func(t *testing.T) {
			n := newNotary(t, time.Hour)
			s := newNotation(t, n)
			digest := s.image(t, 1, "signed/app:v1")
			s.refuses(t, "signed/app:v1")
			s.notate(t, newNotary(t, time.Hour), mediaType, digest)
			s.shows(t, "app", "v1", "invalid")
			s.refuses(t, "signed/app:v1")
			s.notate(t, n, mediaType, digest)
			s.allows(t, "signed/app:v1")

			// Who is revoked has signed nothing any more.
			list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
				RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: n.leaf.SerialNumber, RevocationTime: time.Now()}}}, n.root, n.rootKey)
			if err != nil {
				t.Fatal(err)
			}
			s.add(t, "notation-crl", "X509 CRL", list)
			becomes(t, "the revoked certificate counts no more", soon, func() bool { return s.pull(t, "signed/app:v1") != "" })
		})
	}
}

func TestNotationCertificateThatExpires(t *testing.T) {
	n := newNotary(t, 6*time.Second)
	s := newNotation(t, n)
	digest := s.image(t, 1, "signed/app:v1")
	s.notate(t, n, "application/jose+json", digest)
	s.shows(t, "app", "v1", "verified CN=builder")
	becomes(t, "the certificate has expired", soon, func() bool { return s.pull(t, "signed/app:v1") != "" })
	s.shows(t, "app", "v1", "expired CN=builder")
}
