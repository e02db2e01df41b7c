package notary_test

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
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

// BenchmarkPull pulls over HTTP from a project that asks for content trust and
// from one that asks for nothing, in turns, and tells the medians: the difference
// is what the policy costs. Each iteration is one pull of both. CPU is that of
// the whole process, client and server.
func BenchmarkPull(b *testing.B) {
	for _, image := range []struct {
		name string
		size int64
	}{{"3x8MiB", 8 << 20}, {"small", 1 << 10}} {
		b.Run(image.name, func(b *testing.B) {
			w := newWorld(b)
			content, err := random.Image(image.size, 3)
			must(b, err)
			asks, free := w.pullPaths(b, "p", content), w.pullPaths(b, "q", content)
			w.signImage(b, content)
			must(b, w.app.UpdateProject(b.Context(), admin, core.ProjectRef{Name: "p"}, map[string]string{"enable_content_trust": "true"}, nil))
			var on, off costs
			for range 5 { // the first pulls fill caches
				w.pull(b, asks)
				w.pull(b, free)
			}
			for b.Loop() {
				off.take(func() { w.pull(b, free) })
				on.take(func() { w.pull(b, asks) })
			}
			on.report(b, "on")
			off.report(b, "off")
			b.ReportMetric(on.wall()/off.wall(), "wall-ratio")
			b.ReportMetric(on.cpu()/off.cpu(), "cpu-ratio")
		})
	}
}

// costs are those of pulls, in microseconds.
type costs struct{ walls, cpus []float64 }

func (c *costs) take(do func()) {
	start, used := time.Now(), cpuTime()
	do()
	c.walls = append(c.walls, float64(time.Since(start).Microseconds()))
	c.cpus = append(c.cpus, float64((cpuTime() - used).Microseconds()))
}

func (c *costs) wall() float64 { return median(c.walls) }

// cpu is the mean: the kernel counts too coarsely for a median.
func (c *costs) cpu() float64 {
	sum := 0.0
	for _, each := range c.cpus {
		sum += each
	}
	return sum / float64(len(c.cpus))
}

func (c *costs) report(b *testing.B, name string) {
	b.ReportMetric(c.wall(), name+"-wall-us")
	b.ReportMetric(c.cpu(), name+"-cpu-us")
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// cpuTime is what the process has used.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// pullPaths pushes the image as app:v1 and returns what a pull of it asks for.
func (w *world) pullPaths(b *testing.B, project string, image v1.Image) []string {
	b.Helper()
	ref, err := name.NewTag(strings.TrimPrefix(w.server.URL, "http://")+"/"+project+"/app:v1", name.Insecure)
	must(b, err)
	must(b, remote.Write(ref, image, remote.WithAuth(authn.FromConfig(authn.AuthConfig{Username: "admin", Password: password}))))
	manifest, err := image.Manifest()
	must(b, err)
	below := "/v2/" + project + "/app/"
	paths := []string{below + "manifests/v1", below + "blobs/" + manifest.Config.Digest.String()}
	for _, layer := range manifest.Layers {
		paths = append(paths, below+"blobs/"+layer.Digest.String())
	}
	return paths
}

// signImage signs v1 of the repository p/app for the image.
func (w *world) signImage(b *testing.B, image v1.Image) {
	b.Helper()
	sum, err := image.Digest()
	must(b, err)
	hash, err := hex.DecodeString(sum.Hex)
	must(b, err)
	a := w.newAuthor(b, gun)
	a.repo.Targets[theTargets].Signed.Targets["v1"] = data.FileMeta{Length: 1, Hashes: data.Hashes{notary.SHA256: hash}}
	w.upload(b, "dev", gun, a.root(b, inAYear()), a.targets(b, theTargets, inAYear())).accepted(b)
}

func (w *world) pull(b *testing.B, paths []string) {
	b.Helper()
	for _, path := range paths {
		w.read(b, path)
	}
}

func (w *world) read(b *testing.B, path string) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), "GET", w.server.URL+path, nil)
	must(b, err)
	r.Header.Set("Accept", "*/*")
	res, err := basic{"admin"}.RoundTrip(r)
	must(b, err)
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
		b.Fatalf("GET %s: %d, %v", path, res.StatusCode, err)
	}
}
