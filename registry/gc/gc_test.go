package gc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/blobs"
	"github.com/breakwater-registry/breakwater/registry/gc"
	"github.com/breakwater-registry/breakwater/store"
)

func TestOnlyGarbageGoes(t *testing.T) {
	w := newWorld(t)
	shared, own := bytesOf("shared", 2000), bytesOf("own", 3000)
	live, dead := newImage("live", shared), newImage("dead", shared, own)
	must(t, w.push("p/a", "", "v1", live))
	must(t, w.push("p/b", "", "v1", dead))
	must(t, w.pushBlob("p/c", "", bytesOf("never finished", 500)))
	if got := w.collect(t, app.GCOptions{}); got.Blobs+got.Leases+got.Repositories != 0 {
		t.Errorf("a young registry was collected: %s", got)
	}
	must(t, w.remove("p/b", dead))
	// The leases of the push still run.
	if got := w.collect(t, app.GCOptions{}); got.Blobs != 1 {
		t.Errorf("within the lease time %s went; want the manifest alone", got)
	}
	must(t, w.push("p/b", "", "v1", dead))
	must(t, w.remove("p/b", dead))
	w.dayLater(t)
	dry := w.collect(t, app.GCOptions{DryRun: true})
	got := w.collect(t, app.GCOptions{})
	want := int64(len(dead.manifest) + len(dead.parts[0]) + len(own) + 500)
	if got.Blobs != 4 || got.Bytes != want || got.Leases != 4 || got.Repositories != 1 {
		t.Errorf("%s; want 4 blobs, %d bytes, 4 leases, 1 repository", got, want)
	}
	if dry.Blobs != got.Blobs || dry.Bytes != got.Bytes || dry.Leases != got.Leases || dry.Repositories != got.Repositories {
		t.Errorf("the dry run counted %s, the real one %s", dry, got)
	}
	must(t, w.pull("p/a", live))
	w.checkTidy(t)
	if got := w.collect(t, app.GCOptions{}); got.Blobs+got.Leases+got.Repositories+got.Files != 0 {
		t.Errorf("the next run found %s", got)
	}
	if n := w.number(t, `SELECT COUNT(*) FROM audit WHERE resource_type = 'garbage-collection' AND username = 'system' AND success AND description LIKE '%4 blobs%'`); n != 2 {
		t.Errorf("%d audit rows tell of the 4 blobs, want one of the dry run and one of the real one", n)
	}
}

func TestAskingForABlobRenewsItsLease(t *testing.T) {
	w := newWorld(t)
	content := bytesOf("layer", 1000)
	must(t, w.pushBlob("p/a", "", content))
	w.dayLater(t)
	must(t, w.expect(http.StatusOK, "HEAD", "/v2/p/a/blobs/"+digestOf(content), "", nil))
	if got := w.collect(t, app.GCOptions{}); got.Blobs != 0 {
		t.Errorf("a blob that a client was just told to be there went: %s", got)
	}
	w.dayLater(t)
	must(t, w.pushBlob("p/b", "p/a", content))
	if got := w.collect(t, app.GCOptions{}); got.Leases != 1 || got.Blobs != 0 {
		t.Errorf("after a mount %s went; want the lease of the source alone", got)
	}
	must(t, w.expect(http.StatusOK, "GET", "/v2/p/b/blobs/"+digestOf(content), "", nil))
}

func TestDryRunChangesNothing(t *testing.T) {
	w := newWorld(t)
	garbageOf(t, w)
	before, files := w.tables(t), fmt.Sprint(w.files(t))
	got := w.collect(t, app.GCOptions{DryRun: true, DeleteUntagged: true})
	if got.Blobs == 0 || got.Bytes == 0 || got.Manifests == 0 || got.Leases == 0 || got.Repositories == 0 || got.Files == 0 {
		t.Errorf("the dry run found %+v; something of each is there", got)
	}
	if after := w.tables(t); after != before {
		t.Errorf("the dry run changed the database:\n%s\n%s", before, after)
	}
	if after := fmt.Sprint(w.files(t)); after != files {
		t.Errorf("the dry run changed the files:\n%s\n%s", files, after)
	}
	real := w.collect(t, app.GCOptions{DeleteUntagged: true})
	if real.Blobs != got.Blobs || real.Bytes != got.Bytes || real.Manifests != got.Manifests || real.Files != got.Files {
		t.Errorf("the dry run counted %s, the real one %s", got, real)
	}
	w.checkTidy(t)
}

// garbageOf makes something of each kind of garbage.
func garbageOf(t *testing.T, w *world) {
	t.Helper()
	shared := bytesOf("shared", 1000)
	untagged, tagged, deleted := newImage("untagged", shared, bytesOf("one", 100)), newImage("tagged", shared), newImage("deleted", bytesOf("two", 200))
	must(t, w.push("p/a", "", "v1", untagged))
	must(t, w.push("p/a", "", "v1", tagged))
	must(t, w.push("p/b", "", "v1", deleted))
	must(t, w.remove("p/b", deleted))
	must(t, w.pushBlob("p/c", "", bytesOf("three", 300)))
	orphan(t, w, "four", 25*time.Hour, 25*time.Hour)
	w.dayLater(t)
	w.sql(t, `UPDATE manifest SET pushed_at = 1, untagged_at = 1`)
	w.sql(t, `UPDATE schema_version SET applied_at = 1`)
	must(t, w.app.SetProjectMetadata(t.Context(), system, core.ProjectRef{Name: "p"}, core.ActUpdate, map[string]string{"untagged_days": "0"}))
}

// orphan makes a file of which the database does not know, and returns its path.
func orphan(t *testing.T, w *world, seed string, made, modified time.Duration) (string, int64) {
	t.Helper()
	content := bytesOf(seed, 400)
	generation := time.Now().Add(-made).UnixMicro()
	d := digest.FromBytes(content)
	must(t, w.blobs.Put(t.Context(), blobs.File{Digest: d, Generation: generation}, content))
	path := filepath.Join(w.data, "blobs", "sha256", d.Encoded()[:2], fmt.Sprintf("%s.%d", d.Encoded(), generation))
	at := time.Now().Add(-modified)
	must(t, os.Chtimes(path, at, at))
	return path, generation
}

func TestFilesWithoutARowGoWhenOld(t *testing.T) {
	w := newWorld(t)
	const old, young = 25 * time.Hour, 23 * time.Hour
	w.sql(t, `UPDATE schema_version SET applied_at = $1`, time.Now().Add(-30*time.Hour).UnixMicro())
	known := newImage("known")
	must(t, w.push("p/a", "", "v1", known))
	gone, _ := orphan(t, w, "gone", old, old)
	kept := map[string]string{}
	kept["whose upload paused before its end"], _ = orphan(t, w, "paused", young, old)
	kept["that was written a while ago"], _ = orphan(t, w, "young", old, young)
	kept["older than the database"], _ = orphan(t, w, "lost database", 31*time.Hour, 31*time.Hour)
	var pushing int64
	kept["that a push is about to tell of"], pushing = orphan(t, w, "clock", 26*time.Hour, 26*time.Hour)
	w.collector = gc.New(w.app, w.blobs, func(generation int64) bool { return generation == pushing })
	said := &reports{}
	got, err := w.collector.Run(t.Context(), app.GCOptions{}, said)
	if err != nil || got.Files != 1 || got.Bytes != 400 {
		t.Errorf("Run = %s, %v; want 1 file of 400 bytes", got, err)
	}
	if _, err := os.Stat(gone); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old file is still there: %v", err)
	}
	for what, path := range kept {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("a file %s is gone: %v", what, err)
		}
	}
	if text := strings.Join(said.lines, "\n"); !strings.Contains(text, "1 files that the database does not know") {
		t.Errorf("nothing was said of the file that is older than the database: %s", text)
	}
	must(t, w.pull("p/a", known))
}

// A file has its name before the database knows it. Whatever its age is by the
// clock, it is not taken for a leftover until the push is over.
func TestTheRegistryKnowsWhatIsBeingWritten(t *testing.T) {
	w := newWorld(t)
	var named []int64
	w.layer.named = func(name string) {
		generation, err := strconv.ParseInt(strings.TrimPrefix(filepath.Ext(name), "."), 10, 64)
		if err != nil || !w.images.Writing(generation) {
			t.Errorf("%s is not known to be written: %v", name, err)
		}
		named = append(named, generation)
	}
	must(t, w.push("p/a", "", "v1", newImage("i", bytesOf("layer", 100))))
	if len(named) != 3 {
		t.Errorf("%d files were named, want 3", len(named))
	}
	for _, generation := range named {
		if w.images.Writing(generation) {
			t.Errorf("%d is still said to be written", generation)
		}
	}
}

// The file of a manifest may be collected between a push's first look, which
// finds it there, and its transaction.
func TestVanishedFileOfAManifestIsWrittenAgain(t *testing.T) {
	w := newWorld(t)
	i := newImage("i", bytesOf("layer", 100))
	must(t, w.push("p/a", "", "v1", i))
	must(t, w.remove("p/a", i))
	page, err := w.app.Garbage().Unused(t.Context(), 0, false)
	if err != nil || len(page.Blobs) != 1 {
		t.Fatalf("Unused = %+v, %v; want the manifest's file", page, err)
	}
	// While the writer is busy, the collection queues up and the push behind it.
	busy, free := make(chan struct{}), make(chan struct{})
	var group errgroup.Group
	group.Go(func() error {
		return w.store.Update(t.Context(), func(*store.Tx) error { close(busy); <-free; return nil })
	})
	<-busy
	group.Go(func() error { _, err := w.app.Garbage().Condemn(t.Context(), page.Blobs); return err })
	untilUpdating(t, 2)
	group.Go(func() error {
		return w.expect(http.StatusCreated, "PUT", "/v2/p/a/manifests/v1", manifestType, i.manifest)
	})
	untilUpdating(t, 3)
	close(free)
	must(t, group.Wait())
	must(t, w.collector.Resume(t.Context()))
	must(t, w.pull("p/a", i))
	w.checkTidy(t)
}

// untilUpdating waits until n goroutines are in or wait for a write transaction.
func untilUpdating(t *testing.T, n int) {
	t.Helper()
	stacks := make([]byte, 4<<20)
	for end := time.Now().Add(2 * time.Minute); ; runtime.Gosched() {
		if got := bytes.Count(stacks[:runtime.Stack(stacks, true)], []byte("store.(*Store).Update(")); got == n {
			return
		} else if time.Now().After(end) {
			t.Fatalf("%d goroutines write, want %d", got, n)
		}
	}
}

func TestUntaggedManifests(t *testing.T) {
	w := newWorld(t)
	meta := func(days string) {
		t.Helper()
		must(t, w.app.SetProjectMetadata(t.Context(), system, core.ProjectRef{Name: "p"}, core.ActUpdate, map[string]string{"untagged_days": days}))
	}
	older := func(age time.Duration) {
		t.Helper()
		at := time.Now().Add(-age).UnixMicro()
		w.sql(t, `UPDATE manifest SET pushed_at = $1, untagged_at = $1`, at)
		w.dayLater(t)
	}
	put := func(tag string, document map[string]any) string {
		t.Helper()
		text := document["mediaType"].(string)
		body := mustJSON(t, document)
		if tag == "" {
			tag = digestOf(body)
		}
		must(t, w.expect(http.StatusCreated, "PUT", "/v2/p/a/manifests/"+tag, text, body))
		return digestOf(body)
	}
	child, layer := newImage("child"), bytesOf("layer", 5000)
	plain := newImage("plain", layer)
	must(t, w.push("p/a", "", "", child))
	must(t, w.push("p/a", "", "", plain))
	index := put("v1", indexOf(digestOf(child.manifest), len(child.manifest)))
	signature := put("", referrerOf(index))
	attestation := put("", referrerOf(digestOf(child.manifest)))
	stray := put("", referrerOf(digestOf([]byte("nothing"))))
	there := func(want ...string) {
		t.Helper()
		names := map[string]string{"child": digestOf(child.manifest), "plain": digestOf(plain.manifest), "index": index,
			"signature": signature, "attestation": attestation, "stray": stray}
		for name, d := range names {
			is := w.request("GET", "/v2/p/a/manifests/"+d, "", nil).Code == http.StatusOK
			if should := strings.Contains(" "+strings.Join(want, " ")+" ", " "+name+" "); is != should {
				t.Errorf("%s is there: %t", name, is)
			}
		}
	}
	collect := func() gc.Result { t.Helper(); return w.collect(t, app.GCOptions{DeleteUntagged: true}) }

	older(30 * 24 * time.Hour)
	collect() // the project has not asked for it
	there("child", "plain", "index", "signature", "attestation", "stray")
	meta("40")
	collect()
	there("child", "plain", "index", "signature", "attestation", "stray")
	meta("0")
	older(23 * time.Hour)
	collect() // within the lease time
	there("child", "plain", "index", "signature", "attestation", "stray")
	older(30 * 24 * time.Hour)
	w.collect(t, app.GCOptions{}) // was not asked for
	there("child", "plain", "index", "signature", "attestation", "stray")

	meta("7")
	must(t, w.expect(http.StatusOK, "HEAD", "/v2/p/a/manifests/"+digestOf(plain.manifest), "", nil))
	collect() // the client is told that it is there
	there("child", "plain", "index", "signature", "attestation")
	older(30 * 24 * time.Hour)
	must(t, w.push("p/a", "", "", plain))
	collect() // pushed again
	there("child", "plain", "index", "signature", "attestation")

	older(30 * 24 * time.Hour)
	if dry := w.collect(t, app.GCOptions{DeleteUntagged: true, DryRun: true}); dry.Manifests != 1 {
		t.Errorf("the dry run counted %s, want 1 manifest: what hangs on the tagged index stays", dry)
	}
	used := w.number(t, `SELECT quota_used FROM project WHERE name = 'p'`)
	got := collect()
	there("child", "index", "signature", "attestation")
	if freed := used - w.number(t, `SELECT quota_used FROM project WHERE name = 'p'`); freed != int64(len(plain.manifest)+len(plain.parts[0])+5000) || got.Manifests != 1 || got.Bytes != freed {
		t.Errorf("%s; the quota got %d bytes back", got, freed)
	}
	if !w.journal.has(core.JournalDeleteManifest, digestOf(plain.manifest)) {
		t.Error("the journal does not tell of the removal")
	}
	if n := w.number(t, `SELECT COUNT(*) FROM audit WHERE operation = 'delete' AND resource_type = 'artifact' AND username = 'system' AND digest = '`+digestOf(plain.manifest)+`'`); n != 1 {
		t.Errorf("%d audit rows tell of the removal", n)
	}

	// The tag moves: the index goes, and all that hangs on it.
	must(t, w.push("p/a", "", "v1", newImage("new")))
	collect() // untagged just now
	there("child", "index", "signature", "attestation")
	w.sql(t, `UPDATE manifest SET untagged_at = 1`)
	must(t, w.app.Configure(t.Context(), system, map[string]string{"read_only": "true"}))
	collect()
	there("child", "index", "signature", "attestation")
	must(t, w.app.Configure(t.Context(), system, map[string]string{"read_only": "false"}))
	if dry := w.collect(t, app.GCOptions{DeleteUntagged: true, DryRun: true}); dry.Manifests != 4 {
		t.Errorf("the dry run counted %s, want 4 manifests", dry)
	}
	if got := collect(); got.Manifests != 4 {
		t.Errorf("%s, want 4 manifests", got)
	}
	there()
	if n := w.number(t, `SELECT artifact_count FROM repository WHERE name = 'p/a'`); n != 1 {
		t.Errorf("%d artifacts are counted, want the new one", n)
	}
	must(t, w.pull("p/a", newImage("new")))
	w.checkTidy(t)
}

func TestStopEndsSoonAndIsAudited(t *testing.T) {
	w := newWorld(t)
	garbageOf(t, w)
	ctx, cancel := context.WithCancel(t.Context())
	w.collector.SetStep(func(ctx context.Context, name string) error {
		if name == "before unlink" {
			cancel()
		}
		return ctx.Err()
	})
	if _, err := w.collector.Run(ctx, app.GCOptions{}, &reports{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("Run = %v", err)
	}
	if n := w.number(t, `SELECT COUNT(*) FROM audit WHERE resource_type = 'garbage-collection' AND NOT success AND description LIKE '%not finished%'`); n != 1 {
		t.Errorf("%d audit rows tell of the stop", n)
	}
	if n := w.number(t, `SELECT COUNT(*) FROM blob WHERE deleting`); n == 0 {
		t.Error("nothing was being deleted when it stopped")
	}
	w.collector.SetStep(func(ctx context.Context, _ string) error { return ctx.Err() })
	must(t, w.collector.Resume(t.Context()))
	if n := w.number(t, `SELECT COUNT(*) FROM blob WHERE deleting`); n != 0 {
		t.Errorf("%d blobs are still being deleted after Resume", n)
	}
}

func indexOf(child string, size int) map[string]any {
	const mediaType = "application/vnd.oci.image.index.v1+json"
	return map[string]any{"schemaVersion": 2, "mediaType": mediaType,
		"manifests": []map[string]any{{"mediaType": manifestType, "digest": child, "size": size}}}
}

// referrerOf is a manifest without content that refers to another.
func referrerOf(subject string) map[string]any {
	return map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "artifactType": "application/x.signature",
		"manifests": []any{}, "subject": map[string]any{"mediaType": manifestType, "digest": subject, "size": 10}}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, json.NewEncoder(&b).Encode(v))
	return b.Bytes()
}
