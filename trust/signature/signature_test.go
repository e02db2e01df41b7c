package signature_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	sigstoresig "github.com/sigstore/sigstore/pkg/signature"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/trust/signature"
)

// image is what is signed, and other what is not.
var (
	image = core.Descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: digestOf([]byte("image")), Size: 5}
	other = core.Descriptor{MediaType: image.MediaType, Digest: digestOf([]byte("other")), Size: 5}
)

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// repository is blobs by digest, as the repository of a signature holds them.
type repository map[string][]byte

func (r repository) read(_ context.Context, digest string, max int64) ([]byte, error) {
	content, ok := r[digest]
	switch {
	case !ok:
		return nil, core.Errorf(core.CodeNotFound, "no blob %s", digest)
	case int64(len(content)) > max:
		return nil, core.Errorf(core.CodeTooLarge, "%d bytes", len(content))
	}
	return content, nil
}

func (r repository) put(mediaType string, content []byte) core.Descriptor {
	d := core.Descriptor{MediaType: mediaType, Digest: digestOf(content), Size: int64(len(content))}
	r[d.Digest] = content
	return d
}

// manifest is a manifest with these layers that refers to the subject.
func manifest(t testing.TB, artifactType string, subject core.Descriptor, layers ...core.Descriptor) core.SignatureManifest {
	t.Helper()
	body, err := json.Marshal(map[string]any{"schemaVersion": 2, "config": core.Descriptor{}, "layers": layers, "subject": subject})
	if err != nil {
		t.Fatal(err)
	}
	return core.SignatureManifest{Digest: digestOf(body), ArtifactType: artifactType, Subject: subject, Body: body}
}

// anchor is a complete trust anchor.
func anchor(t testing.TB, a core.TrustAnchor) core.TrustAnchor {
	t.Helper()
	if a.Name == "" {
		a.Name = "ci"
	}
	complete, err := a.Complete()
	if err != nil {
		t.Fatal(err)
	}
	return complete
}

// verify verifies the manifest, which must be possible.
func verify(t testing.TB, r repository, m core.SignatureManifest, anchors ...core.TrustAnchor) []core.Signature {
	t.Helper()
	v, err := signature.New(anchors, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	list, err := v.Verify(context.Background(), m, r.read)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// accepted wants one signature that counts.
func accepted(t testing.TB, list []core.Signature) core.Signature {
	t.Helper()
	if len(list) != 1 || !list[0].Verified || list[0].Reason != "" || list[0].KeyID == "" {
		t.Fatalf("signatures = %+v, want one that is verified", list)
	}
	return list[0]
}

// refused wants one signature that does not count, because of that.
func refused(t testing.TB, list []core.Signature, why string) {
	t.Helper()
	if len(list) != 1 || list[0].Verified || list[0].KeyID != "" || !strings.Contains(list[0].Reason, why) {
		t.Fatalf("signatures = %+v, want one that is refused with %q", list, why)
	}
}

const (
	simpleSigning = "application/vnd.dev.cosign.simplesigning.v1+json"
	oci11         = "application/vnd.dev.cosign.artifact.sig.v1+json"
)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// keyAnchor trusts the public key.
func keyAnchor(t testing.TB, public crypto.PublicKey, expires time.Time) core.TrustAnchor {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	return anchor(t, core.TrustAnchor{Type: core.AnchorKey, Content: text, ExpiresAt: expires})
}

// payload is what cosign signs for an image.
func payload(digest string) []byte {
	return fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":"registry.test/p/app"},"image":{"docker-manifest-digest":%q},"type":"cosign container image signature"},"optional":null}`, digest)
}

// simpleLayer is a layer as cosign makes it, signed with the key.
func simpleLayer(t testing.TB, r repository, signer crypto.Signer, payload []byte) core.Descriptor {
	t.Helper()
	s, err := sigstoresig.LoadSigner(signer, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := s.SignMessage(bytes.NewReader(payload))
	if err != nil {
		t.Fatal(err)
	}
	layer := r.put(simpleSigning, payload)
	layer.Annotations = map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(sig)}
	return layer
}
