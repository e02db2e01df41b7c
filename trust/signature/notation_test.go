package signature_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	coresig "github.com/notaryproject/notation-core-go/signature"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const notationType = "application/vnd.cncf.notary.signature"

// envelopes are the formats of notation.
var envelopes = []string{"application/jose+json", "application/cose"}

// chain is a root with a signing certificate.
type chain struct {
	root, leaf *x509.Certificate
	rootKey    *ecdsa.PrivateKey
	key        *ecdsa.PrivateKey
}

// newChain makes a chain of which the signing certificate has been valid for a
// day and is for another one.
func newChain(t testing.TB) chain {
	t.Helper()
	return chainUntil(t, time.Now().Add(24*time.Hour))
}

func chainUntil(t testing.TB, end time.Time) chain {
	t.Helper()
	c := chain{rootKey: newKey(t), key: newKey(t)}
	c.root = certificate(t, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root", Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"acme"}},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, MaxPathLen: 1, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, nil, c.rootKey, c.rootKey)
	c.leaf = certificate(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "builder", Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"acme"}},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}, c.root, c.key, c.rootKey)
	return c
}

func certificate(t testing.TB, template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func caAnchor(t testing.TB, c *x509.Certificate) core.TrustAnchor {
	t.Helper()
	return anchor(t, core.TrustAnchor{Type: core.AnchorCertificate, Content: certificatePEM(c)})
}

// sign makes an envelope as notation does.
func (c chain) sign(t testing.TB, mediaType string, target core.Descriptor, change func(*coresig.SignRequest)) []byte {
	t.Helper()
	signer, err := coresig.NewLocalSigner([]*x509.Certificate{c.leaf, c.root}, c.key)
	if err != nil {
		t.Fatal(err)
	}
	content, err := json.Marshal(map[string]any{"targetArtifact": target})
	if err != nil {
		t.Fatal(err)
	}
	request := &coresig.SignRequest{
		Payload: coresig.Payload{ContentType: "application/vnd.cncf.notary.payload.v1+json", Content: content},
		Signer:  signer, SigningTime: time.Now().Add(-12 * time.Hour).Truncate(time.Second), SigningScheme: coresig.SigningSchemeX509,
	}
	if change != nil {
		change(request)
	}
	envelope, err := coresig.NewEnvelope(mediaType)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := envelope.Sign(request)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// envelopeManifest is the manifest with an envelope of the chain for the target.
func (c chain) manifest(t testing.TB, r repository, mediaType string, target core.Descriptor, change func(*coresig.SignRequest)) core.SignatureManifest {
	t.Helper()
	return manifest(t, notationType, image, r.put(mediaType, c.sign(t, mediaType, target, change)))
}

// forEnvelopes runs the test for each format.
func forEnvelopes(t *testing.T, test func(t *testing.T, r repository, mediaType string)) {
	for _, mediaType := range envelopes {
		t.Run(mediaType, func(t *testing.T) { test(t, repository{}, mediaType) })
	}
}

func TestNotation(t *testing.T) {
	forEnvelopes(t, func(t *testing.T, r repository, mediaType string) {
		c := newChain(t)
		m := c.manifest(t, r, mediaType, image, nil)
		trusted := caAnchor(t, c.root)
		s := accepted(t, verify(t, r, m, trusted))
		if s.Kind != core.TrustNotation || s.KeyID != trusted.KeyID || s.Signer != c.leaf.Subject.String() || !s.ValidUntil.Equal(c.leaf.NotAfter) ||
			!s.SignedAt.Before(time.Now().Add(-11*time.Hour)) {
			t.Errorf("signature = %+v", s)
		}
		accepted(t, verify(t, r, m, caAnchor(t, c.leaf)))
		accepted(t, verify(t, r, m, trusted, subject(t, "x509.subject: C=US, ST=WA, O=acme")))
		refused(t, verify(t, r, m, trusted, subject(t, "x509.subject: C=US, ST=WA, O=other")), "trusted identities")
		refused(t, verify(t, r, m, caAnchor(t, newChain(t).root)), "not")
		refused(t, verify(t, r, m), "trusts no certificate")
		// Trusted to sign the time of another scheme is not trusted for this one.
		authority := trusted
		authority.Store = core.StoreSigningAuthority
		refused(t, verify(t, r, m, authority), "")
	})
}

func subject(t testing.TB, pattern string) core.TrustAnchor {
	t.Helper()
	return anchor(t, core.TrustAnchor{Type: core.AnchorSubject, Content: pattern})
}

func TestNotationEnvelopeForAnotherDigest(t *testing.T) {
	forEnvelopes(t, func(t *testing.T, r repository, mediaType string) {
		c := newChain(t)
		refused(t, verify(t, r, c.manifest(t, r, mediaType, other, nil), caAnchor(t, c.root)), "mismatch")
		resized := image
		resized.Size++
		refused(t, verify(t, r, c.manifest(t, r, mediaType, resized, nil), caAnchor(t, c.root)), "mismatch")
	})
}

func TestNotationExpiredCertificate(t *testing.T) {
	forEnvelopes(t, func(t *testing.T, r repository, mediaType string) {
		c := chainUntil(t, time.Now().Add(-time.Hour))
		refused(t, verify(t, r, c.manifest(t, r, mediaType, image, nil), caAnchor(t, c.root)), "expired")
	})
}

func TestNotationExpiry(t *testing.T) {
	forEnvelopes(t, func(t *testing.T, r repository, mediaType string) {
		c := newChain(t)
		ends := time.Now().Add(time.Hour).Truncate(time.Second)
		s := accepted(t, verify(t, r, c.manifest(t, r, mediaType, image, func(q *coresig.SignRequest) { q.Expiry = ends }), caAnchor(t, c.root)))
		if !s.ValidUntil.Equal(ends) {
			t.Errorf("it counts until %s, not %s", s.ValidUntil, ends)
		}
		over := c.manifest(t, r, mediaType, image, func(q *coresig.SignRequest) { q.Expiry = time.Now().Add(-time.Hour).Truncate(time.Second) })
		refused(t, verify(t, r, over, caAnchor(t, c.root)), "expired")
		early := caAnchor(t, c.root)
		early.ExpiresAt = time.Now().Add(time.Minute)
		if s := accepted(t, verify(t, r, c.manifest(t, r, mediaType, image, nil), early)); !s.ValidUntil.Equal(early.ExpiresAt) {
			t.Errorf("it counts until %s, not %s", s.ValidUntil, early.ExpiresAt)
		}
	})
}

// revocation is a list of the serial numbers that the root revoked.
func (c chain) revocation(t testing.TB, serials ...int64) core.TrustAnchor {
	t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-72 * time.Hour), NextUpdate: time.Now().Add(-time.Hour)}
	for _, serial := range serials {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: time.Now().Add(-71 * time.Hour)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, c.root, c.rootKey)
	if err != nil {
		t.Fatal(err)
	}
	return anchor(t, core.TrustAnchor{Type: core.AnchorRevocation, Content: string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))})
}

// The list is out of date, too; who was revoked stays revoked.
func TestNotationRevokedCertificate(t *testing.T) {
	forEnvelopes(t, func(t *testing.T, r repository, mediaType string) {
		c := newChain(t)
		m := c.manifest(t, r, mediaType, image, nil)
		refused(t, verify(t, r, m, caAnchor(t, c.root), c.revocation(t, 7, 2)), "is revoked")
		accepted(t, verify(t, r, m, caAnchor(t, c.root), c.revocation(t, 7)))
		accepted(t, verify(t, r, m, caAnchor(t, c.root), newChain(t).revocation(t, 2))) // of another root
	})
}

func TestNotationEnvelopeConfusion(t *testing.T) {
	r, c := repository{}, newChain(t)
	trusted := caAnchor(t, c.root)
	jws := c.sign(t, envelopes[0], image, nil)
	refused(t, verify(t, r, manifest(t, notationType, image, r.put(envelopes[1], jws)), trusted), "")
	refused(t, verify(t, r, manifest(t, notationType, image, r.put("application/json", jws)), trusted), "neither a JWS nor a COSE")
	refused(t, verify(t, r, manifest(t, notationType, image, r.put(envelopes[0], []byte("{}"))), trusted), "")
	refused(t, verify(t, r, manifest(t, notationType, image, r.put(envelopes[0], jws), r.put(envelopes[0], jws)), trusted), "has 2 layers")
	forEnvelopes(t, func(t *testing.T, r repository, mediaType string) {
		payload := func(q *coresig.SignRequest) { q.Payload.ContentType = "application/json" }
		refused(t, verify(t, r, c.manifest(t, r, mediaType, image, payload), trusted), "payload")
	})
}

// A plugin that the signer asks for is code that we do not have.
func TestNotationSignatureThatNeedsAPlugin(t *testing.T) {
	forEnvelopes(t, func(t *testing.T, r repository, mediaType string) {
		c := newChain(t)
		m := c.manifest(t, r, mediaType, image, func(q *coresig.SignRequest) {
			q.ExtendedSignedAttributes = []coresig.Attribute{{Key: "io.cncf.notary.verificationPlugin", Critical: true, Value: "anything"}}
		})
		refused(t, verify(t, r, m, caAnchor(t, c.root)), "plugin")
	})
}
