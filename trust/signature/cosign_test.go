package signature_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/trust/signature"
)

func TestCosignWithEverySortOfKey(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"P-256": newKey(t), "P-384": p384, "Ed25519": edwards, "RSA": rsaKey} {
		t.Run(name, func(t *testing.T) {
			r := repository{}
			trusted := keyAnchor(t, key.Public(), time.Time{})
			m := manifest(t, "", image, simpleLayer(t, r, key, payload(image.Digest)))
			s := accepted(t, verify(t, r, m, trusted))
			if s.Kind != core.TrustCosign || s.KeyID != trusted.KeyID || s.Signer != "ci" || s.Subject != image.Digest || s.Manifest != m.Digest {
				t.Errorf("signature = %+v", s)
			}
			m.ArtifactType = oci11 // the same as a referrer
			accepted(t, verify(t, r, m, trusted))
		})
	}
}

func TestEachSignatureOfAManifestIsVerified(t *testing.T) {
	r, ours, theirs := repository{}, newKey(t), newKey(t)
	m := manifest(t, "", image, simpleLayer(t, r, theirs, payload(image.Digest)), simpleLayer(t, r, ours, payload(image.Digest)))
	list := verify(t, r, m, keyAnchor(t, ours.Public(), time.Time{}))
	if len(list) != 2 || list[0].Verified || !list[1].Verified || list[1].Entry != 1 {
		t.Fatalf("signatures = %+v", list)
	}
}

// Somebody who may push takes a signature of one image for another.
func TestCosignSignatureCopiedFromAnotherDigest(t *testing.T) {
	r, key := repository{}, newKey(t)
	m := manifest(t, "", image, simpleLayer(t, r, key, payload(other.Digest)))
	refused(t, verify(t, r, m, keyAnchor(t, key.Public(), time.Time{})), "it was made for "+other.Digest)
}

func TestCosignPayloadThatWasChanged(t *testing.T) {
	r, key := repository{}, newKey(t)
	layer := simpleLayer(t, r, key, payload(other.Digest))
	changed := r.put(simpleSigning, payload(image.Digest))
	changed.Annotations = layer.Annotations
	refused(t, verify(t, r, manifest(t, "", image, changed), keyAnchor(t, key.Public(), time.Time{})), "no key that the project trusts")
}

func TestCosignWrongKey(t *testing.T) {
	r := repository{}
	m := manifest(t, "", image, simpleLayer(t, r, newKey(t), payload(image.Digest)))
	refused(t, verify(t, r, m, keyAnchor(t, newKey(t).Public(), time.Time{})), "no key that the project trusts")
	refused(t, verify(t, r, m), "no key that the project trusts")
}

func TestCosignExpiredKey(t *testing.T) {
	r, key := repository{}, newKey(t)
	m := manifest(t, "", image, simpleLayer(t, r, key, payload(image.Digest)))
	ends := time.Now().Add(-time.Minute)
	s := accepted(t, verify(t, r, m, keyAnchor(t, key.Public(), ends)))
	if s.Status(time.Now()) != core.SignatureExpired || s.Status(ends.Add(-time.Second)) != core.SignatureVerified {
		t.Errorf("a signature of a key that ended at %s counts until %s", ends, s.ValidUntil)
	}
}

// What is signed must be cosign's, whatever the layer or the payload call it.
func TestCosignPayloadMediaTypeConfusion(t *testing.T) {
	key := newKey(t)
	trusted := keyAnchor(t, key.Public(), time.Time{})
	good := string(payload(image.Digest))
	for name, test := range map[string]struct{ mediaType, payload, why string }{
		"layer of another type":  {"application/vnd.oci.image.layer.v1.tar", good, "the layer is a"},
		"bundle as layer":        {"application/vnd.dev.sigstore.bundle.v0.3+json", good, "the layer is a"},
		"another claim":          {simpleSigning, strings.Replace(good, "cosign container image signature", "atomic container signature", 1), "what is signed is a"},
		"no claim":               {simpleSigning, `{"docker-manifest-digest":"` + image.Digest + `"}`, "what is signed is a"},
		"digest claimed twice":   {simpleSigning, strings.Replace(good, `"docker-manifest-digest"`, `"docker-manifest-digest":"`+other.Digest+`","docker-manifest-digest"`, 1), "cannot be read"},
		"something after it":     {simpleSigning, good + `{}`, "cannot be read"},
		"the image itself":       {simpleSigning, `{"schemaVersion":2,"mediaType":"` + image.MediaType + `"}`, "what is signed is a"},
		"no JSON":                {simpleSigning, "image", "cannot be read"},
		"digest of another sort": {simpleSigning, strings.Replace(good, `"`+image.Digest+`"`, `["`+image.Digest+`"]`, 1), "is not cosign's JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			r := repository{}
			layer := simpleLayer(t, r, key, []byte(test.payload))
			layer.MediaType = test.mediaType
			refused(t, verify(t, r, manifest(t, "", image, layer), trusted), test.why)
		})
	}
	t.Run("signed layer as bundle", func(t *testing.T) {
		r := repository{}
		layer := simpleLayer(t, r, key, payload(image.Digest))
		refused(t, verify(t, r, manifest(t, bundleType, image, layer), trusted), "not a sigstore bundle")
		refused(t, verify(t, r, manifest(t, notationType, image, layer), trusted), "neither a JWS nor a COSE envelope")
	})
}

// A manifest with thousands of signatures costs nothing, and neither does one
// that is said to be small, or said to be huge.
func TestOversizedSignatures(t *testing.T) {
	r, key := repository{}, newKey(t)
	trusted := keyAnchor(t, key.Public(), time.Time{})
	layer := simpleLayer(t, r, key, payload(image.Digest))
	many := make([]core.Descriptor, 5000)
	for i := range many {
		many[i] = layer
	}
	reads := 0
	v, err := signature.New([]core.TrustAnchor{trusted}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	list, err := v.Verify(context.Background(), manifest(t, "", image, many...), func(context.Context, string, int64) ([]byte, error) {
		reads++
		return nil, errors.New("nothing is read")
	})
	if err != nil || reads > 0 {
		t.Fatalf("%d blobs were read of a manifest that has too many; %v", reads, err)
	}
	refused(t, list, "holds 5000 signatures")
	refused(t, verify(t, r, manifest(t, "", image), trusted), "holds 0 signatures")
	for _, artifactType := range []string{"", bundleType, notationType} {
		mediaType := map[string]string{"": simpleSigning, bundleType: bundleType, notationType: "application/jose+json"}[artifactType]
		huge := r.put(mediaType, make([]byte, 2<<20))
		huge.Annotations = layer.Annotations
		refused(t, verify(t, r, manifest(t, artifactType, image, huge), trusted, caAnchor(t, newChain(t).root)), "are not read")
		huge.Size = 10 // a lie
		refused(t, verify(t, r, manifest(t, artifactType, image, huge), trusted, caAnchor(t, newChain(t).root)), "are not read")
	}
	layer.Annotations["dev.sigstore.cosign/chain"] = strings.Repeat("x", 1<<20)
	refused(t, verify(t, r, manifest(t, "", image, layer), trusted), "has more than")
}

// What is told about a signature quotes what somebody pushed.
func TestHostileTextsAreTidied(t *testing.T) {
	r, key := repository{}, newKey(t)
	layer := simpleLayer(t, r, key, payload(image.Digest))
	layer.MediaType = "text/\x00\x1b[31m" + strings.Repeat("x", 1000)
	broken := r.put(bundleType, []byte("\x00\xff{\x1b"))
	for _, m := range []core.SignatureManifest{manifest(t, "", image, layer), manifest(t, bundleType, image, broken)} {
		s := verify(t, r, m, keyAnchor(t, key.Public(), time.Time{}))[0]
		if text := s.Format + s.Reason; strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || len(text) > 410 || s.Verified {
			t.Errorf("signature = %q %q %t", s.Format, s.Reason, s.Verified)
		}
	}
}

func TestSignatureWithoutItsContent(t *testing.T) {
	r, key := repository{}, newKey(t)
	layer := simpleLayer(t, r, key, payload(image.Digest))
	delete(r, layer.Digest)
	refused(t, verify(t, r, manifest(t, "", image, layer), keyAnchor(t, key.Public(), time.Time{})), "is missing")
}

// A store that fails says nothing about the signature: it must be tried again.
func TestFailureToReadIsNoVerdict(t *testing.T) {
	r, key := repository{}, newKey(t)
	m := manifest(t, "", image, simpleLayer(t, r, key, payload(image.Digest)))
	v, err := signature.New([]core.TrustAnchor{keyAnchor(t, key.Public(), time.Time{})}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the disk is gone")
	if list, err := v.Verify(context.Background(), m, func(context.Context, string, int64) ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("signatures = %+v, %v", list, err)
	}
}

// One signature that breaks a parser must not keep the others from being looked at.
func TestPanicIsARefusal(t *testing.T) {
	r, key := repository{}, newKey(t)
	m := manifest(t, "", image, simpleLayer(t, r, key, payload(image.Digest)))
	v, err := signature.New([]core.TrustAnchor{keyAnchor(t, key.Public(), time.Time{})}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	list, err := v.Verify(context.Background(), m, func(context.Context, string, int64) ([]byte, error) { panic("index out of range") })
	if err != nil {
		t.Fatal(err)
	}
	refused(t, list, "index out of range")
}

func TestAnchorsThatCannotBeUsed(t *testing.T) {
	for name, a := range map[string]core.TrustAnchor{
		"root that is no root":   {Type: core.AnchorRoot, Content: `{"mediaType":"application/json"}`},
		"root without authority": {Type: core.AnchorRoot, Content: `{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`},
		"subject without state":  {Type: core.AnchorSubject, Content: "x509.subject: CN=me"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := signature.Check(anchor(t, a), nil); core.ErrorCode(err) != core.CodeBadRequest {
				t.Errorf("error = %v", err)
			}
		})
	}
	if err := signature.Check(anchor(t, core.TrustAnchor{Type: core.AnchorSubject, Content: "x509.subject: C=US, ST=WA, O=acme"}), nil); err != nil {
		t.Error(err)
	}
}
