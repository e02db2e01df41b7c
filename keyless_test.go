package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/breakwater-registry/breakwater/internal/testenv/sigstore"
)

const (
	keylessIssuer  = "https://issuer.test"
	keylessBuilder = "builder@example.test"
)

// keyless is a sigstore of the test's own.
type keyless struct{ sigstore.Sigstore }

// sign is what cosign makes without a key: the certificate and the promise of
// the log go along.
func (k keyless) sign(t *testing.T, digest v1.Hash) v1.Image {
	t.Helper()
	payload := fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":""},"image":{"docker-manifest-digest":%q},"type":"cosign container image signature"},"optional":null}`, digest)
	img, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{
		Layer:       static.NewLayer(payload, "application/vnd.dev.cosign.simplesigning.v1+json"),
		Annotations: k.Annotations(t, keylessBuilder, keylessIssuer, payload),
	})
	if err != nil {
		t.Fatal(err)
	}
	return mutate.ConfigMediaType(img, types.OCIConfigJSON)
}

// An image that a trusted identity signed without a key can be pulled, by a
// trusted root that was uploaded: no server is asked.
func TestKeylessSignature(t *testing.T) {
	s := &signing{pusher: newPusher(t)}
	s.api(t, http.StatusCreated, "POST", "/api/v2.0/projects", `{"project_name":"signed","metadata":{"enable_content_trust_cosign":"true"}}`)
	ours, theirs := keyless{sigstore.New(t)}, keyless{sigstore.New(t)}
	anchor := func(fields map[string]any) string {
		t.Helper()
		text, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		s.api(t, http.StatusCreated, "POST", anchors, string(text))
		return s.header.Get("Location")
	}
	push := func(k keyless, repository string, number int64) name.Reference {
		t.Helper()
		digest := s.image(t, number, repository+":v1")
		ref := s.ref(t, repository+":"+sigTag(digest))
		if err := remote.Write(ref, k.sign(t, digest), s.options()...); err != nil {
			t.Fatal(err)
		}
		return ref
	}
	push(ours, "signed/app", 1)
	push(theirs, "signed/other", 2)
	s.shows(t, "app", "v1", "invalid")
	trusted := anchor(map[string]any{"type": "sigstore-root", "name": "sigstore", "content": ours.Root})
	builder := anchor(map[string]any{"type": "cosign-identity", "name": "builder", "issuer": keylessIssuer, "subject": keylessBuilder})
	s.allows(t, "signed/app:v1")
	s.shows(t, "app", "v1", "verified "+keylessBuilder)
	s.refuses(t, "signed/other:v1")
	s.shows(t, "other", "v1", "invalid")

	s.api(t, http.StatusOK, "DELETE", builder, "")
	s.refuses(t, "signed/app:v1")
	anchor(map[string]any{"type": "cosign-identity", "name": "anybody", "issuer": keylessIssuer, "subject": ".*@example[.]test", "subject_is_regexp": true})
	s.allows(t, "signed/app:v1")
	s.api(t, http.StatusOK, "DELETE", trusted, "")
	becomes(t, "without the root nothing verifies", soon, func() bool { return s.pull(t, "signed/app:v1") != "" })
}
