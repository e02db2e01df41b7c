package notary_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/theupdateframework/notary"
	"github.com/theupdateframework/notary/tuf/data"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// BenchmarkGet is one client that reads a timestamp over HTTP.
func BenchmarkGet(b *testing.B) {
	w := newWorld(b)
	w.published(b, gun)
	for b.Loop() {
		w.get(b, "guest", "/v2/"+gun+"/_trust/tuf/timestamp.json").accepted(b)
	}
}

// BenchmarkPublish is one client that signs a tag, with the work of the client.
func BenchmarkPublish(b *testing.B) {
	w := newWorld(b)
	a := w.published(b, gun)
	for i := 0; b.Loop(); i++ {
		a.sign("a", fmt.Sprintf("v%d", i%100), theTargets)
		w.upload(b, "dev", gun, a.targets(b, theTargets, inAYear())).accepted(b)
	}
}

// BenchmarkPull reads an image of three layers of 8 MiB over HTTP, with and without
// content trust in the project; the difference is what the policy costs.
func BenchmarkPull(b *testing.B) {
	w := newWorld(b)
	image, err := random.Image(8<<20, 3)
	must(b, err)
	ref, err := name.NewTag(strings.TrimPrefix(w.server.URL, "http://")+"/p/app:v1", name.Insecure)
	must(b, err)
	must(b, remote.Write(ref, image, remote.WithAuth(authn.FromConfig(authn.AuthConfig{Username: "dev", Password: password}))))
	sum, err := image.Digest()
	must(b, err)
	a := w.newAuthor(b, gun)
	hash := make([]byte, 32)
	_, err = fmt.Sscanf(sum.Hex, "%x", &hash)
	must(b, err)
	a.repo.Targets[theTargets].Signed.Targets["v1"] = data.FileMeta{Length: 1, Hashes: data.Hashes{notary.SHA256: hash}}
	w.upload(b, "dev", gun, a.root(b, inAYear()), a.targets(b, theTargets, inAYear())).accepted(b)
	manifest, err := image.Manifest()
	must(b, err)
	paths := []string{"/v2/p/app/manifests/v1", "/v2/p/app/blobs/" + manifest.Config.Digest.String()}
	for _, layer := range manifest.Layers {
		paths = append(paths, "/v2/p/app/blobs/"+layer.Digest.String())
	}
	for _, value := range []string{"false", "true"} {
		must(b, w.app.UpdateProject(b.Context(), admin, core.ProjectRef{Name: "p"}, map[string]string{"enable_content_trust": value}, nil))
		b.Run("content-trust="+value, func(b *testing.B) {
			for b.Loop() {
				for _, path := range paths {
					w.read(b, path)
				}
			}
		})
	}
}

func (w *world) read(b *testing.B, path string) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), "GET", w.server.URL+path, nil)
	must(b, err)
	r.Header.Set("Accept", "*/*")
	res, err := basic{"guest"}.RoundTrip(r)
	must(b, err)
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
		b.Fatalf("GET %s: %d, %v", path, res.StatusCode, err)
	}
}
