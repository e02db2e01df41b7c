package signature_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"testing"
	"time"

	v1 "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/testenv/sigstore"
)

const (
	bundleType    = "application/vnd.dev.sigstore.bundle.v0.3+json"
	predicateSign = "https://sigstore.dev/cosign/sign/v1"
	issuer        = "https://issuer.test"
	builder       = "builder@example.test"
)

// statement is what a bundle says about an image.
func statement(digest, predicateType string) []byte {
	return fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":%q}}],"predicateType":%q,"predicate":{}}`,
		digest[len("sha256:"):], predicateType)
}

// keyBundle is a bundle that was made with a new key, and an anchor for the key.
func keyBundle(t *testing.T, statement []byte) ([]byte, core.TrustAnchor) {
	t.Helper()
	key, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := sign.Bundle(&sign.DSSEData{Data: statement, PayloadType: "application/vnd.in-toto+json"}, key, sign.BundleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return encode(t, b), keyAnchor(t, key.GetPublicKey(), time.Time{})
}

func encode(t *testing.T, b *v1.Bundle) []byte {
	t.Helper()
	text, err := protojson.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func bundleManifest(t *testing.T, r repository, bundle []byte) core.SignatureManifest {
	t.Helper()
	return manifest(t, bundleType, image, r.put(bundleType, bundle))
}

func TestBundleWithKey(t *testing.T) {
	r := repository{}
	bundle, trusted := keyBundle(t, statement(image.Digest, predicateSign))
	m := bundleManifest(t, r, bundle)
	if s := accepted(t, verify(t, r, m, trusted)); s.KeyID != trusted.KeyID || s.Format != bundleType {
		t.Errorf("signature = %+v", s)
	}
	refused(t, verify(t, r, m, keyAnchor(t, newKey(t).Public(), time.Time{})), "did not make it")
	refused(t, verify(t, r, m), "no key that the project trusts")
}

func TestBundleCopiedFromAnotherDigest(t *testing.T) {
	r := repository{}
	bundle, trusted := keyBundle(t, statement(other.Digest, predicateSign))
	refused(t, verify(t, r, bundleManifest(t, r, bundle), trusted), "did not make it")
}

// The report of a scanner, signed with a key that the project trusts, does not
// say that anybody approves of the image.
func TestAttestationIsNoSignature(t *testing.T) {
	r := repository{}
	bundle, trusted := keyBundle(t, statement(image.Digest, "https://cosign.sigstore.dev/attestation/vuln/v1"))
	if list := verify(t, r, bundleManifest(t, r, bundle), trusted); len(list) > 0 {
		t.Errorf("signatures = %+v", list)
	}
}

func TestBundleThatIsNone(t *testing.T) {
	r := repository{}
	_, trusted := keyBundle(t, statement(image.Digest, predicateSign))
	refused(t, verify(t, r, bundleManifest(t, r, []byte("{}")), trusted), "cannot be read")
	refused(t, verify(t, r, manifest(t, bundleType, image), trusted), "has 0 layers")
}

// A signature by which a file was signed is none of the image of that digest.
func TestBundleOfAMessageIsNoSignatureOfAnImage(t *testing.T) {
	r := repository{}
	key, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := sign.Bundle(&sign.PlainData{Data: []byte("image")}, key, sign.BundleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, verify(t, r, bundleManifest(t, r, encode(t, b)), keyAnchor(t, key.GetPublicKey(), time.Time{})), "no statement about an image")
}

// keyless is a sigstore of our own with its root as an anchor.
type keyless struct {
	sigstore.Sigstore
	root core.TrustAnchor
}

func newKeyless(t *testing.T) keyless {
	t.Helper()
	own := sigstore.New(t)
	return keyless{own, anchor(t, core.TrustAnchor{Type: core.AnchorRoot, Content: own.Root})}
}

func identity(t *testing.T, issuer, subject string, pattern bool) core.TrustAnchor {
	t.Helper()
	return anchor(t, core.TrustAnchor{Type: core.AnchorIdentity, Issuer: issuer, Subject: subject, Pattern: pattern})
}

// bundle is what cosign makes of the statement without a key.
func (k keyless) bundle(t *testing.T, statement []byte) []byte {
	t.Helper()
	entity, err := k.AttestAtTime(builder, issuer, statement, time.Now().Add(5*time.Minute), true)
	if err != nil {
		t.Fatal(err)
	}
	material, err := entity.VerificationContent()
	if err != nil {
		t.Fatal(err)
	}
	content, err := entity.SignatureContent()
	if err != nil {
		t.Fatal(err)
	}
	envelope := content.EnvelopeContent().RawEnvelope()
	body, err := envelope.DecodeB64Payload()
	if err != nil {
		t.Fatal(err)
	}
	return encode(t, &v1.Bundle{
		MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
		VerificationMaterial: &v1.VerificationMaterial{
			Content:     &v1.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: material.Certificate().Raw}},
			TlogEntries: []*protorekor.TransparencyLogEntry{k.Entry(t, entity)},
		},
		Content: &v1.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{Payload: body, PayloadType: envelope.PayloadType,
			Signatures: []*protodsse.Signature{{Sig: content.Signature()}}}},
	})
}

func TestKeylessBundle(t *testing.T) {
	r, k := repository{}, newKeyless(t)
	m := bundleManifest(t, r, k.bundle(t, statement(image.Digest, predicateSign)))
	trusted := identity(t, issuer, builder, false)
	s := accepted(t, verify(t, r, m, k.root, trusted))
	if s.Signer != builder || s.KeyID != trusted.KeyID || s.SignedAt.IsZero() || !s.ValidUntil.IsZero() {
		t.Errorf("signature = %+v", s)
	}
	accepted(t, verify(t, r, m, k.root, identity(t, issuer, `.*@example\.test`, true)))
	refused(t, verify(t, r, m, k.root, identity(t, issuer, `example\.test`, true)), "whom the project does not trust")
	refused(t, verify(t, r, m, k.root, identity(t, "https://other.test", builder, false)), "whom the project does not trust")
	refused(t, verify(t, r, m, newKeyless(t).root, trusted), "failed to verify")
	refused(t, verify(t, r, m, trusted), "trusts no sigstore root")
	refused(t, verify(t, r, m, k.root), "trusts no sigstore root")
	elsewhere := manifest(t, bundleType, other, r.put(bundleType, k.bundle(t, statement(image.Digest, predicateSign))))
	refused(t, verify(t, r, elsewhere, k.root, trusted), "failed to verify signature")
}

// A certificate lives for minutes; that it was used in time must be attested.
func TestKeylessBundleOutsideOfTheLog(t *testing.T) {
	r, k := repository{}, newKeyless(t)
	var b v1.Bundle
	if err := protojson.Unmarshal(k.bundle(t, statement(image.Digest, predicateSign)), &b); err != nil {
		t.Fatal(err)
	}
	b.VerificationMaterial.TlogEntries = nil
	refused(t, verify(t, r, bundleManifest(t, r, encode(t, &b)), k.root, identity(t, issuer, builder, false)), "log")
}

// layer is what cosign made without a key before there were bundles.
func (k keyless) layer(t *testing.T, r repository, payload []byte) core.Descriptor {
	t.Helper()
	layer := r.put(simpleSigning, payload)
	layer.Annotations = k.Annotations(t, builder, issuer, payload)
	return layer
}

func certificatePEM(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func TestKeylessLayer(t *testing.T) {
	r, k := repository{}, newKeyless(t)
	trusted := identity(t, issuer, builder, false)
	layer := k.layer(t, r, payload(image.Digest))
	if s := accepted(t, verify(t, r, manifest(t, "", image, layer), k.root, trusted)); s.Signer != builder || s.SignedAt.IsZero() {
		t.Errorf("signature = %+v", s)
	}
	refused(t, verify(t, r, manifest(t, "", image, layer), newKeyless(t).root, trusted), "failed to verify")
	refused(t, verify(t, r, manifest(t, "", image, layer), trusted), "trusts no sigstore root")
	refused(t, verify(t, r, manifest(t, "", image, k.layer(t, r, payload(other.Digest))), k.root, trusted), "it was made for "+other.Digest)
	// The log entry of another signature does not stand in for its own.
	borrowed := k.layer(t, r, payload(image.Digest))
	borrowed.Annotations["dev.sigstore.cosign/bundle"] = layer.Annotations["dev.sigstore.cosign/bundle"]
	refused(t, verify(t, r, manifest(t, "", image, borrowed), k.root, trusted), "does not match")
	delete(borrowed.Annotations, "dev.sigstore.cosign/bundle")
	refused(t, verify(t, r, manifest(t, "", image, borrowed), k.root, trusted), "log")
}
