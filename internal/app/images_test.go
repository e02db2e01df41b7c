package app_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

var system = core.Caller{Subject: core.System}

func digestOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// images is the use cases with one project named "p".
type images struct {
	*accounts
	project    int64
	generation int64
	mu         sync.Mutex
}

func newImages(t *testing.T) *images {
	t.Helper()
	i := &images{accounts: newAccounts(t)}
	i.bootstrap(t)
	i.project = i.newProject(t, "p")
	return i
}

func (i *images) newProject(t *testing.T, name string) int64 {
	t.Helper()
	id, err := i.CreateProject(t.Context(), system, app.NewProject{Name: name, StorageLimit: -1})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (i *images) file(content string, size int64) core.Blob {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.generation++
	return core.Blob{Digest: digestOf(content), Size: size, Generation: i.generation}
}

func (i *images) blob(t *testing.T, repository, content string, size int64) core.Descriptor {
	t.Helper()
	if _, err := i.LinkBlob(t.Context(), system, repository, i.file(content, size)); err != nil {
		t.Fatal(err)
	}
	return core.Descriptor{Digest: digestOf(content), Size: size}
}

// push publishes a manifest of 100 bytes.
func (i *images) push(t *testing.T, repository, content, tag string, m core.Manifest) error {
	t.Helper()
	m.Digest, m.Size, m.MediaType, m.Kind = digestOf(content), 100, "m", core.KindImage
	var tags []string
	if tag != "" {
		tags = []string{tag}
	}
	_, err := i.PutManifest(t.Context(), system, repository, m, tags, i.file(content, 100))
	return err
}

func (i *images) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (i *images) used(t *testing.T) int64 {
	t.Helper()
	p, err := i.Quota(t.Context(), system, i.project)
	i.must(t, err)
	return p.QuotaUsed
}

func TestProjectIsChargedEachBlobOnce(t *testing.T) {
	i := newImages(t)
	layer := core.Manifest{Blobs: []core.Descriptor{i.blob(t, "p/a", "layer", 1000)}}
	i.must(t, i.push(t, "p/a", "one", "v1", layer))
	if got := i.used(t); got != 1100 {
		t.Fatalf("used %d bytes, want 1100", got)
	}
	// The same layer twice in a manifest, in another repository, under another tag.
	i.blob(t, "p/b", "layer", 1000)
	i.must(t, i.push(t, "p/b", "two", "v1", core.Manifest{Blobs: append(layer.Blobs, layer.Blobs...)}))
	i.must(t, i.push(t, "p/a", "one", "v2", layer))
	if got := i.used(t); got != 1200 {
		t.Errorf("used %d bytes, want 1200: the layer counts once", got)
	}
	i.must(t, i.DeleteManifest(t.Context(), system, "p/a", digestOf("one")))
	if got := i.used(t); got != 1100 {
		t.Errorf("used %d bytes after a delete, want 1100: the layer is still in p/b", got)
	}
	i.must(t, i.DeleteRepository(t.Context(), system, "p/b"))
	if got := i.used(t); got != 0 {
		t.Errorf("used %d bytes in an empty project", got)
	}
}

func TestQuotaIsExactUnderConcurrentPushes(t *testing.T) {
	i := newImages(t)
	const pushes, fit = 20, 7
	manifests := make([]core.Manifest, pushes)
	for n := range pushes {
		name := fmt.Sprintf("layer %d", n)
		manifests[n] = core.Manifest{Blobs: []core.Descriptor{i.blob(t, "p/a", name, 900)}}
	}
	i.must(t, i.SetQuota(t.Context(), system, i.project, fit*1000+999))
	var group sync.WaitGroup
	errs := make([]error, pushes)
	for n := range pushes {
		group.Go(func() { errs[n] = i.push(t, "p/a", fmt.Sprintf("image %d", n), fmt.Sprintf("v%d", n), manifests[n]) })
	}
	group.Wait()
	passed := 0
	for _, err := range errs {
		switch {
		case err == nil:
			passed++
		case core.ErrorCode(err) != core.CodeDenied || !strings.Contains(err.Error(), "will exceed the configured upper limit of"):
			t.Errorf("unexpected refusal: %v", err)
		}
	}
	if passed != fit || i.used(t) != fit*1000 {
		t.Errorf("%d pushes passed and %d bytes are used, want %d and %d", passed, i.used(t), fit, fit*1000)
	}
}

func TestBlobsThatCannotFitAreRefusedEarly(t *testing.T) {
	i := newImages(t)
	i.must(t, i.push(t, "p/a", "one", "v1", core.Manifest{Blobs: []core.Descriptor{i.blob(t, "p/a", "layer", 1000)}}))
	i.must(t, i.SetQuota(t.Context(), system, i.project, 1500))
	if _, err := i.LinkBlob(t.Context(), system, "p/b", i.file("big", 1000)); core.ErrorCode(err) != core.CodeDenied {
		t.Errorf("a blob that cannot fit was taken: %v", err)
	}
	if _, err := i.LinkBlob(t.Context(), system, "p/b", i.file("layer", 1000)); err != nil {
		t.Errorf("a blob that the project pays for already was refused: %v", err)
	}
}

func TestManifestNeedsItsContentInTheSameRepository(t *testing.T) {
	i := newImages(t)
	blob := i.blob(t, "p/other", "layer", 10)
	err := i.push(t, "p/a", "image", "v1", core.Manifest{Blobs: []core.Descriptor{blob}})
	if missing, ok := errors.AsType[*app.MissingContentError](err); !ok || missing.Digest != blob.Digest {
		t.Errorf("push with a blob of another repository: %v", err)
	}
	i.must(t, i.push(t, "p/other", "child", "", core.Manifest{}))
	err = i.push(t, "p/a", "index", "v1", core.Manifest{Children: []core.Descriptor{{Digest: digestOf("child")}}})
	if _, ok := errors.AsType[*app.MissingContentError](err); !ok {
		t.Errorf("push of an index with a child of another repository: %v", err)
	}
	if list, _, err := i.Repositories(t.Context(), system, core.ProjectRef{Name: "p"}, core.Query{Page: 1, PageSize: 10}); err != nil || len(list) != 1 {
		t.Errorf("repositories = %v, %v; one that was never published must not show", list, err)
	}
}

func TestIndexProtectsItsChildren(t *testing.T) {
	i := newImages(t)
	i.must(t, i.push(t, "p/a", "child", "", core.Manifest{}))
	i.must(t, i.push(t, "p/a", "index", "v1", core.Manifest{Children: []core.Descriptor{{Digest: digestOf("child")}}}))
	i.must(t, i.push(t, "p/a", "signature", "", core.Manifest{Subject: digestOf("index")}))
	if err := i.DeleteManifest(t.Context(), system, "p/a", digestOf("child")); core.ErrorCode(err) != core.CodeConflict {
		t.Errorf("a child of an index was deleted: %v", err)
	}
	list, total, err := i.Artifacts(t.Context(), system, "p/a", nil, core.Query{Page: 1, PageSize: 10})
	if err != nil || total != 1 || list[0].Digest != digestOf("index") || len(list[0].Children) != 1 || len(list[0].Tags) != 1 {
		t.Errorf("artifacts = %+v, %d, %v; want the index alone", list, total, err)
	}
	i.must(t, i.DeleteArtifact(t.Context(), system, "p/a", "v1"))
	for _, name := range []string{"index", "child", "signature"} {
		if _, err := i.Artifact(t.Context(), system, "p/a", digestOf(name)); !core.IsNotFound(err) {
			t.Errorf("%s is left after its index was deleted: %v", name, err)
		}
	}
	if got := i.used(t); got != 0 {
		t.Errorf("used %d bytes, want 0", got)
	}
}

func TestCopyTakesChildrenReferrersAndTag(t *testing.T) {
	i := newImages(t)
	i.newProject(t, "q")
	layer := i.blob(t, "p/a", "layer", 1000)
	i.must(t, i.push(t, "p/a", "child", "", core.Manifest{Blobs: []core.Descriptor{layer}}))
	i.must(t, i.push(t, "p/a", "index", "v1", core.Manifest{Children: []core.Descriptor{{Digest: digestOf("child"), Platform: &core.Platform{OS: "linux"}}}}))
	i.must(t, i.push(t, "p/a", "signature", "", core.Manifest{Subject: digestOf("index")}))
	digest, err := i.CopyArtifact(t.Context(), system, "q/b", "p/a:v1")
	if err != nil || digest != digestOf("index") {
		t.Fatalf("CopyArtifact = %s, %v", digest, err)
	}
	copied, err := i.Artifact(t.Context(), system, "q/b", "v1")
	if err != nil || len(copied.Children) != 1 || copied.Children[0].Platform.OS != "linux" {
		t.Errorf("the copy is %+v, %v", copied, err)
	}
	referrers, _, err := i.Referrers(t.Context(), system, "q/b", digestOf("index"), "", 0, 10)
	if err != nil || len(referrers) != 1 {
		t.Errorf("the copy has the referrers %v, %v", referrers, err)
	}
	i.must(t, i.DeleteRepository(t.Context(), system, "p/a"))
	if _, err := i.Blob(t.Context(), system, "q/b", layer.Digest); err != nil {
		t.Errorf("the copy lost its layer with the source: %v", err)
	}
}

func TestTagsMoveAndEndWithTheirManifest(t *testing.T) {
	i := newImages(t)
	i.must(t, i.push(t, "p/a", "one", "latest", core.Manifest{}))
	i.must(t, i.push(t, "p/a", "two", "latest", core.Manifest{}))
	if m, err := i.Manifest(t.Context(), system, "p/a", "latest", false); err != nil || m.Digest != digestOf("two") {
		t.Errorf("latest is %s, %v", m.Digest, err)
	}
	if err := i.CreateTag(t.Context(), system, "p/a", digestOf("one"), "latest"); core.ErrorCode(err) != core.CodeConflict {
		t.Errorf("a taken tag was created: %v", err)
	}
	i.must(t, i.CreateTag(t.Context(), system, "p/a", digestOf("one"), "old"))
	if err := i.RemoveTagOf(t.Context(), system, "p/a", digestOf("two"), "old"); !core.IsNotFound(err) {
		t.Errorf("the tag of another artifact was removed: %v", err)
	}
	i.must(t, i.DeleteManifest(t.Context(), system, "p/a", digestOf("two")))
	names, _, err := i.TagNames(t.Context(), system, "p/a", "", 10)
	if err != nil || len(names) != 1 || names[0] != "old" {
		t.Errorf("tags are %v, %v; want old alone", names, err)
	}
}
