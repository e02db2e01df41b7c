package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// signing is a registry with a project "signed" whose images must have a cosign
// signature of the key.
type signing struct {
	*pusher
	key *ecdsa.PrivateKey
}

func newSigning(t *testing.T) *signing {
	t.Helper()
	s := &signing{newPusher(t), newSigningKey(t)}
	s.api(t, http.StatusCreated, "POST", "/api/v2.0/projects", `{"project_name":"signed","metadata":{"enable_content_trust_cosign":"true"}}`)
	s.trust(t, "ci", s.key, time.Time{})
	return s
}

func newSigningKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

const anchors = "/api/v2.0/projects/signed/trust/anchors"

// trust has the project trust the key and returns the path of the anchor.
func (s *signing) trust(t *testing.T, name string, key *ecdsa.PrivateKey, until time.Time) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	anchor := map[string]any{"type": "cosign-key", "name": name, "content": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
	if !until.IsZero() {
		anchor["expires_at"] = until
	}
	text, err := json.Marshal(anchor)
	if err != nil {
		t.Fatal(err)
	}
	s.api(t, http.StatusCreated, "POST", anchors, string(text))
	return s.header.Get("Location")
}

func (s *signing) ref(t *testing.T, reference string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(s.addr + "/" + reference)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// image pushes the image of that number and returns its digest.
func (s *signing) image(t *testing.T, number int64, reference string) v1.Hash {
	t.Helper()
	img, err := image(options{numbers: map[string]int64{"seed": number}})
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(s.ref(t, reference), img, s.options()...); err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// signature is what cosign pushes below the .sig tag.
func signatureImage(t *testing.T, key *ecdsa.PrivateKey, digest v1.Hash) v1.Image {
	t.Helper()
	payload := fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":""},"image":{"docker-manifest-digest":%q},"type":"cosign container image signature"},"optional":null}`, digest)
	sum := sha256.Sum256(payload)
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{
		Layer:       static.NewLayer(payload, "application/vnd.dev.cosign.simplesigning.v1+json"),
		Annotations: map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(sig)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return mutate.ConfigMediaType(img, types.OCIConfigJSON)
}

func sigTag(digest v1.Hash) string { return digest.Algorithm + "-" + digest.Hex + ".sig" }

// sign signs the digest with the key, below the repository's .sig tag of named.
func (s *signing) sign(t *testing.T, key *ecdsa.PrivateKey, repository string, digest, named v1.Hash) {
	t.Helper()
	if err := remote.Write(s.ref(t, repository+":"+sigTag(named)), signatureImage(t, key, digest), s.options()...); err != nil {
		t.Fatal(err)
	}
}

// pull says what a client is told that may only pull: "" when it gets the image.
func (s *signing) pull(t *testing.T, reference string) string {
	t.Helper()
	_, err := remote.Get(s.ref(t, reference), s.options()...)
	if refusal, ok := errors.AsType[*transport.Error](err); ok && refusal.StatusCode == http.StatusPreconditionFailed {
		return refusal.Errors[0].Message
	}
	if err != nil {
		t.Fatalf("pull of %s: %v", reference, err)
	}
	return ""
}

// refuses wants the pull to be refused.
func (s *signing) refuses(t *testing.T, reference string) {
	t.Helper()
	if s.pull(t, reference) == "" {
		t.Errorf("%s can be pulled", reference)
	}
}

// becomes waits until the condition holds.
func becomes(t *testing.T, what string, within time.Duration, condition func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !condition() {
		if time.Since(start) > within {
			t.Fatalf("it took more than %s until %s", within, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(start)
}

const soon = 20 * time.Second // on a machine that does a lot beside

// allows waits until the pull is not refused any more.
func (s *signing) allows(t *testing.T, reference string) {
	t.Helper()
	took := becomes(t, reference+" can be pulled", soon, func() bool { return s.pull(t, reference) == "" })
	t.Logf("%s could be pulled %s after it was signed", reference, took)
}

// signatures are the statuses of the signatures of an image, each with its reason.
func (s *signing) signatures(t *testing.T, repository, reference string) (all []string) {
	t.Helper()
	s.api(t, http.StatusOK, "GET", "/api/v2.0/projects/signed/repositories/"+repository+"/artifacts/"+reference+"/signatures", "")
	var list []struct{ Status, Reason, Signer string }
	if err := json.Unmarshal(s.body, &list); err != nil {
		t.Fatal(err)
	}
	for _, each := range list {
		all = append(all, strings.TrimSpace(each.Status+" "+each.Signer+each.Reason))
	}
	return all
}

// shows waits until the one signature of the image is shown like that.
func (s *signing) shows(t *testing.T, repository, reference, want string) {
	t.Helper()
	var last []string
	becomes(t, repository+"@"+reference+" shows "+want, soon, func() bool {
		last = s.signatures(t, repository, reference)
		return len(last) == 1 && strings.HasPrefix(last[0], want)
	})
}

func TestSignedImageCanBePulled(t *testing.T) {
	s := newSigning(t)
	digest := s.image(t, 1, "signed/app:v1")
	if why := s.pull(t, "signed/app:v1"); !strings.Contains(why, "cosign") || !strings.Contains(why, "ci") {
		t.Errorf("the refusal names neither kind nor key: %q", why)
	}
	s.sign(t, s.key, "signed/app", digest, digest)
	s.allows(t, "signed/app:v1")
	s.allows(t, "signed/app@"+digest.String())
	s.shows(t, "app", "v1", "verified ci")

	// The signature is an accessory and no artifact of its own.
	artifact := "/api/v2.0/projects/signed/repositories/app/artifacts"
	s.api(t, http.StatusOK, "GET", artifact, "")
	var artifacts []struct {
		Digest string
		Tags   []struct {
			Name   string
			Signed bool
		}
	}
	if err := json.Unmarshal(s.body, &artifacts); err != nil {
		t.Fatal(err)
	}
	if len(artifacts) != 1 || artifacts[0].Digest != digest.String() || len(artifacts[0].Tags) != 1 || !artifacts[0].Tags[0].Signed {
		t.Errorf("artifacts: %s", s.body)
	}
	s.api(t, http.StatusOK, "GET", artifact+"/v1/accessories", "")
	if !bytes.Contains(s.body, []byte(`"signature.cosign"`)) || !bytes.Contains(s.body, []byte(`"subject_artifact_digest":"`+digest.String())) {
		t.Errorf("accessories: %s", s.body)
	}
	s.api(t, http.StatusOK, "GET", "/api/v2.0/projects/signed/logs?q=resource_type=signature", "")
	if !bytes.Contains(s.body, []byte("signed/app@"+digest.String())) {
		t.Errorf("the log of the project does not tell that a signature verified: %s", s.body)
	}

	s.api(t, http.StatusOK, "GET", artifact+"?with_accessory=true", "")
	if !bytes.Contains(s.body, []byte(`"signature.cosign"`)) {
		t.Errorf("artifacts with accessories: %s", s.body)
	}

	// A copy takes its signature along.
	s.api(t, http.StatusCreated, "POST", "/api/v2.0/projects/signed/repositories/copy/artifacts?from=signed/app:v1", "")
	s.allows(t, "signed/copy:v1")

	// Without its signature it is what it was before.
	if err := remote.Delete(s.ref(t, "signed/app:"+sigTag(digest)), s.options()...); err != nil {
		t.Fatal(err)
	}
	becomes(t, "the image without a signature is refused", soon, func() bool { return s.pull(t, "signed/app:v1") != "" })
	if list := s.signatures(t, "app", "v1"); len(list) != 0 {
		t.Errorf("signatures that are gone: %v", list)
	}
}

// The signature may come before the image, as a mirror may bring them.
func TestSignatureBeforeItsImage(t *testing.T) {
	s := newSigning(t)
	img, err := image(options{numbers: map[string]int64{"seed": 1}})
	if err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	s.sign(t, s.key, "signed/app", digest, digest)
	s.image(t, 1, "signed/app:v1")
	s.allows(t, "signed/app:v1")
}

func TestSignatureAsReferrer(t *testing.T) {
	s := newSigning(t)
	digest := s.image(t, 1, "signed/app:v1")
	subject, err := remote.Head(s.ref(t, "signed/app@"+digest.String()), s.options()...)
	if err != nil {
		// Refused like a GET: this client may only pull.
		subject = &v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digest}
	}
	img := mutate.ConfigMediaType(signatureImage(t, s.key, digest), "application/vnd.dev.cosign.artifact.sig.v1+json")
	referrer, ok := mutate.Subject(img, *subject).(v1.Image)
	if !ok {
		t.Fatal("not an image")
	}
	hash, err := referrer.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(s.ref(t, "signed/app@"+hash.String()), referrer, s.options()...); err != nil {
		t.Fatal(err)
	}
	s.allows(t, "signed/app:v1")
	s.api(t, http.StatusAccepted, "DELETE", "/v2/signed/app/manifests/"+hash.String(), "")
	becomes(t, "the image without a signature is refused", soon, func() bool { return s.pull(t, "signed/app:v1") != "" })
}

func TestMovedTagAfterSigning(t *testing.T) {
	s := newSigning(t)
	good := s.image(t, 1, "signed/app:v1")
	s.sign(t, s.key, "signed/app", good, good)
	s.allows(t, "signed/app:v1")
	bad := s.image(t, 2, "signed/app:v1")
	s.refuses(t, "signed/app:v1")
	s.refuses(t, "signed/app@"+bad.String())
	s.allows(t, "signed/app@"+good.String())
}

func TestSignatureCopiedFromAnotherImage(t *testing.T) {
	s := newSigning(t)
	good, bad := s.image(t, 1, "signed/app:good"), s.image(t, 2, "signed/app:bad")
	s.sign(t, s.key, "signed/app", good, bad)
	s.shows(t, "app", "bad", "invalid it was made for "+good.String())
	s.refuses(t, "signed/app:bad")
}

func TestSignatureOfAnotherRepositoryDoesNotCount(t *testing.T) {
	s := newSigning(t)
	digest := s.image(t, 1, "signed/app:v1")
	s.image(t, 1, "signed/other:v1")
	s.sign(t, s.key, "signed/other", digest, digest)
	s.allows(t, "signed/other:v1")
	s.refuses(t, "signed/app:v1")
	s.api(t, http.StatusOK, "GET", "/api/v2.0/projects/signed/artifacts", "")
	if marks := strings.Count(string(s.body), `"signed":true`); marks != 1 {
		t.Errorf("%d of the two images are marked as signed: %s", marks, s.body)
	}
	if list := s.signatures(t, "app", "v1"); len(list) != 0 {
		t.Errorf("signatures = %v", list)
	}
}

func TestUnverifiedAccessoryNeverCounts(t *testing.T) {
	s := newSigning(t)
	digest := s.image(t, 1, "signed/app:v1")
	stranger := newSigningKey(t)
	s.sign(t, stranger, "signed/app", digest, digest)
	s.shows(t, "app", "v1", "invalid no key that the project trusts")
	s.api(t, http.StatusOK, "GET", "/api/v2.0/projects/signed/repositories/app/artifacts/v1/accessories", "")
	if !bytes.Contains(s.body, []byte(`"signature.cosign"`)) {
		t.Errorf("accessories: %s", s.body)
	}
	s.refuses(t, "signed/app:v1")

	// It counts from when its key is trusted until it is not any more.
	anchor := s.trust(t, "stranger", stranger, time.Time{})
	s.allows(t, "signed/app:v1")
	s.api(t, http.StatusOK, "DELETE", anchor, "")
	s.refuses(t, "signed/app:v1") // at once
	s.shows(t, "app", "v1", "invalid no key that the project trusts")
}

func TestSignatureOfAKeyThatExpires(t *testing.T) {
	s := newSigning(t)
	digest := s.image(t, 1, "signed/app:v1")
	temporary := newSigningKey(t)
	s.trust(t, "temporary", temporary, time.Now().Add(4*time.Second))
	s.sign(t, temporary, "signed/app", digest, digest)
	s.shows(t, "app", "v1", "verified temporary")
	becomes(t, "the key has expired", soon, func() bool { return s.pull(t, "signed/app:v1") != "" })
	s.shows(t, "app", "v1", "expired temporary")
}

// cosign reads the manifest that it signs. That it calls itself so opens
// nothing to those who may only pull, and to others nothing that runs.
func TestSignerReadsWhatMayNotBePulled(t *testing.T) {
	s := newSigning(t)
	s.image(t, 1, "signed/app:v1")
	s.api(t, http.StatusCreated, "POST", "/api/v2.0/users", `{"username":"guest","email":"guest@example.test","realname":"guest","password":"Guest-Password-1"}`)
	s.api(t, http.StatusCreated, "POST", "/api/v2.0/projects/signed/members", `{"role_id":3,"member_user":{"username":"guest"}}`)
	for _, client := range []string{"cosign/v3.1.3", "notation/2.0.0"} {
		agent := remote.WithUserAgent(client)
		img, err := remote.Image(s.ref(t, "signed/app:v1"), append(s.options(), agent)...)
		if err != nil {
			t.Fatalf("%s: %v", client, err)
		}
		layers, err := img.Layers()
		if err != nil {
			t.Fatal(err)
		}
		for _, layer := range layers {
			wantRefused(t, client+" and a layer", readLayer(layer))
		}
		_, err = img.RawConfigFile()
		wantRefused(t, client+" and the config", err)
		guest := s.remoteOptions(options{user: "guest", password: "Guest-Password-1"})
		_, err = remote.Get(s.ref(t, "signed/app:v1"), append(guest, agent)...)
		wantRefused(t, client+" of a guest", err)
	}
}

func wantRefused(t *testing.T, what string, err error) {
	t.Helper()
	if refusal, ok := errors.AsType[*transport.Error](err); !ok || refusal.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("%s: %v, want a refusal", what, err)
	}
}

// The signature of an index vouches for what is in it.
func TestPlatformOfASignedIndex(t *testing.T) {
	s := newSigning(t)
	img, err := image(options{numbers: map[string]int64{"seed": 1}})
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{Add: img,
		Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	if err := remote.WriteIndex(s.ref(t, "signed/app:v1"), index, s.options()...); err != nil {
		t.Fatal(err)
	}
	child, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	s.refuses(t, "signed/app@"+child.String())
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	s.sign(t, s.key, "signed/app", digest, digest)
	s.allows(t, "signed/app:v1")
	s.allows(t, "signed/app@"+child.String())
}

// Another key in an anchor's place takes the mark off what the old one signed, at
// once; another name is shown when all was verified anew.
func TestTrustAnchorIsChanged(t *testing.T) {
	s := newSigning(t)
	digest := s.image(t, 1, "signed/app:v1")
	s.sign(t, s.key, "signed/app", digest, digest)
	s.allows(t, "signed/app:v1")
	anchor := s.trust(t, "release", newSigningKey(t), time.Time{})
	var old struct{ Content, Type, Name string }
	s.api(t, http.StatusOK, "GET", anchor, "")
	if err := json.Unmarshal(s.body, &old); err != nil || old.Name != "release" {
		t.Fatalf("anchor: %s, %v", s.body, err)
	}
	change := func(status int, path string, fields map[string]any) {
		t.Helper()
		text, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		s.api(t, status, "PUT", path, string(text))
	}
	first := strings.TrimSuffix(anchor, "/2") + "/1"
	s.api(t, http.StatusOK, "GET", first, "")
	var ci struct{ Content string }
	if err := json.Unmarshal(s.body, &ci); err != nil {
		t.Fatal(err)
	}
	change(http.StatusOK, first, map[string]any{"type": "cosign-key", "name": "builder", "content": ci.Content})
	s.shows(t, "app", "v1", "verified builder")
	change(http.StatusConflict, first, map[string]any{"type": "cosign-key", "name": "release", "content": ci.Content})
	change(http.StatusConflict, first, map[string]any{"type": "cosign-key", "name": "builder", "content": old.Content})
	change(http.StatusBadRequest, first, map[string]any{"type": "sigstore-root", "name": "builder", "content": "{}"})
	change(http.StatusBadRequest, first, map[string]any{"type": "cosign-key", "name": "builder", "content": ci.Content, "expires_at": time.Now().Add(-time.Hour)})
	s.api(t, http.StatusOK, "DELETE", anchor, "")
	change(http.StatusOK, first, map[string]any{"type": "cosign-key", "name": "builder", "content": old.Content})
	s.refuses(t, "signed/app:v1")
	change(http.StatusNotFound, anchor, map[string]any{"type": "cosign-key", "name": "gone", "content": old.Content})
}

func TestTrustAnchorsThatCannotBeUsed(t *testing.T) {
	s := newSigning(t)
	for name, body := range map[string]string{
		"private key":   `{"type":"cosign-key","name":"x","content":"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"}`,
		"no key":        `{"type":"cosign-key","name":"x","content":"hello"}`,
		"unknown type":  `{"type":"gpg","name":"x","content":"hello"}`,
		"no name":       `{"type":"cosign-identity","name":" ","issuer":"https://i.test","subject":"s"}`,
		"bad pattern":   `{"type":"cosign-identity","name":"x","issuer":"https://i.test","subject":"(","subject_is_regexp":true}`,
		"no root":       `{"type":"sigstore-root","name":"x","content":"{}"}`,
		"bad subject":   `{"type":"notation-subject","name":"x","content":"x509.subject: CN=only"}`,
		"bad list":      `{"type":"notation-crl","name":"x","content":"AAAA"}`,
		"in the past":   `{"type":"cosign-identity","name":"x","issuer":"https://i.test","subject":"s","expires_at":"2020-01-01T00:00:00Z"}`,
		"unknown store": `{"type":"notation-certificate","name":"x","store":"tpm","content":"hello"}`,
	} {
		t.Run(name, func(t *testing.T) { s.api(t, http.StatusBadRequest, "POST", anchors, body) })
	}
}
