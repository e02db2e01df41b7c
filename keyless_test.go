package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
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
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
)

const (
	keylessIssuer  = "https://issuer.test"
	keylessBuilder = "builder@example.test"
)

// keyless is a sigstore of the test's own, with its trusted root as a file.
type keyless struct {
	*ca.VirtualSigstore
	root string
}

func newKeyless(t *testing.T) keyless {
	t.Helper()
	virtual, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	logs := virtual.RekorLogs()
	for id, log := range logs { // the id is bytes, not their digits
		if log.ID, err = hex.DecodeString(id); err != nil {
			t.Fatal(err)
		}
	}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01, virtual.FulcioCertificateAuthorities(), nil, nil, logs)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(trusted)
	if err != nil {
		t.Fatal(err)
	}
	return keyless{virtual, string(text)}
}

// sign is what cosign makes without a key: the certificate and the promise of
// the log go along.
func (k keyless) sign(t *testing.T, digest v1.Hash) v1.Image {
	t.Helper()
	payload := fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":""},"image":{"docker-manifest-digest":%q},"type":"cosign container image signature"},"optional":null}`, digest)
	entity, err := k.Sign(keylessBuilder, keylessIssuer, payload)
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
	entries, err := entity.TlogEntries()
	if err != nil {
		t.Fatal(err)
	}
	e := entries[0].TransparencyLogEntry()
	entry := tlog.RekorPayload{Body: base64.StdEncoding.EncodeToString(e.CanonicalizedBody), IntegratedTime: e.IntegratedTime,
		LogIndex: e.LogIndex, LogID: hex.EncodeToString(e.LogId.KeyId)}
	promise, err := k.RekorSignPayload(entry)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := json.Marshal(map[string]any{"SignedEntryTimestamp": promise, "Payload": map[string]any{
		"body": entry.Body, "integratedTime": entry.IntegratedTime, "logIndex": entry.LogIndex, "logID": entry.LogID}})
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{
		Layer: static.NewLayer(payload, "application/vnd.dev.cosign.simplesigning.v1+json"),
		Annotations: map[string]string{
			"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(content.Signature()),
			"dev.sigstore.cosign/certificate":    string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: material.Certificate().Raw})),
			"dev.sigstore.cosign/bundle":         string(bundle),
		},
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
	ours, theirs := newKeyless(t), newKeyless(t)
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
	trusted := anchor(map[string]any{"type": "sigstore-root", "name": "sigstore", "content": ours.root})
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
