package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// A damaged blob can neither be pulled nor referred to; a new file of the same
// content takes its place in all that uses it.
func TestDamagedBlobIsHealedByANewFile(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		k := newStock(t, s, "m", "layer")
		layer := k.blobs[1]
		update(t, s, func(tx *store.Tx) error {
			if _, err := k.manifest(tx, "", k.blobs...); err != nil {
				return err
			}
			if err := tx.LinkBlob(k.repository, layer.ID, time.Now()); err != nil {
				return err
			}
			for _, want := range []bool{true, false} { // the second time it is marked
				if marked, err := tx.MarkDamaged(layer); marked != want || err != nil {
					t.Errorf("MarkDamaged = %v, %v", marked, err)
				}
			}
			_, err := tx.MarkDamaged(core.Blob{ID: k.blobs[0].ID, Generation: 99})
			return err
		})
		view(t, s, func(tx *store.Tx) error {
			if _, err := tx.LiveBlob("layer"); err != store.ErrNoRow {
				t.Errorf("LiveBlob = %v", err)
			}
			if _, err := tx.BlobForManifest(k.repository, k.project, "layer"); err != store.ErrNoRow {
				t.Errorf("BlobForManifest = %v", err)
			}
			if b, err := tx.LinkedBlob("p/a", "layer"); err != nil || !b.Damaged {
				t.Errorf("LinkedBlob = %+v, %v", b, err)
			}
			m, err := tx.ManifestByDigest("p/a", "m")
			if m.Damaged {
				t.Error("a blob that has another generation was marked")
			}
			return err
		})
		update(t, s, func(tx *store.Tx) error {
			if id, err := tx.CreateBlob(core.Blob{Digest: "layer", Generation: 50, Size: 10}); id != layer.ID || err != nil {
				t.Errorf("CreateBlob = %d, %v; want the row %d", id, err, layer.ID)
			}
			b, err := tx.LinkedBlob("p/a", "layer")
			if b.Damaged || b.Generation != 50 || !b.Referenced {
				t.Errorf("after the push: %+v", b)
			}
			return err
		})
	})
}

func TestBlobUsesFollowIndexes(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		k := newStock(t, s, "image", "layer", "index", "outer")
		var uses []store.BlobUse
		update(t, s, func(tx *store.Tx) error {
			image, err := k.manifest(tx, "", k.blobs[0], k.blobs[1])
			if err != nil {
				return err
			}
			index, err := k.manifest(tx, "", k.blobs[2])
			if err != nil {
				return err
			}
			outer, err := k.manifest(tx, "", k.blobs[3])
			if err != nil {
				return err
			}
			if err := tx.AddChild(index.ID, image.ID, core.Descriptor{}); err != nil {
				return err
			}
			if err := tx.AddChild(outer.ID, index.ID, core.Descriptor{}); err != nil {
				return err
			}
			for name, id := range map[string]int64{"v1": outer.ID, "latest": outer.ID, "plain": image.ID} {
				if _, err := tx.SetTag(k.repository, id, name); err != nil {
					return err
				}
			}
			uses, err = tx.BlobUses(k.blobs[1].ID, 10)
			return err
		})
		want := []store.BlobUse{{Repository: "p/a", Digest: "index"}, {Repository: "p/a", Digest: "outer", Tag: "latest"},
			{Repository: "p/a", Digest: "image", Tag: "plain"}, {Repository: "p/a", Digest: "outer", Tag: "v1"}}
		if !slices.Equal(uses, want) {
			t.Errorf("uses\n%v, want\n%v", uses, want)
		}
	})
}

// Everything that a check asks is understood by both engines, and finds nothing
// in a sound database.
func TestChecksOfASoundDatabase(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		k := newStock(t, s, "m", "layer")
		update(t, s, func(tx *store.Tx) error {
			if err := tx.LinkBlob(k.repository, k.blobs[1].ID, time.Now()); err != nil {
				return err
			}
			m, err := k.manifest(tx, "", k.blobs...)
			if err != nil {
				return err
			}
			if _, err := tx.SetTag(k.repository, m.ID, "v1"); err != nil {
				return err
			}
			if _, err := tx.AddUsage(k.project, 20); err != nil {
				return err
			}
			if _, err := tx.PublishRepository(k.repository); err != nil {
				return err
			}
			return tx.CountArtifacts(k.repository, 1)
		})
		faults, err := s.Integrity(t.Context())
		if len(faults) != 0 || err != nil {
			t.Errorf("Integrity = %v, %v", faults, err)
		}
		view(t, s, func(tx *store.Tx) error {
			for name, count := range map[string]func() (int, error){
				"quotas":    func() (int, error) { l, err := tx.WrongQuotas(); return len(l), err },
				"artifacts": func() (int, error) { l, err := tx.WrongArtifactCounts(); return len(l), err },
				"hidden":    func() (int, error) { l, err := tx.HiddenRepositories(); return len(l), err },
				"links":     func() (int, error) { l, err := tx.MissingLinks(); return len(l), err },
				"misplaced": func() (int, error) { l, err := tx.MisplacedUses(); return len(l), err },
				"detached":  func() (int, error) { l, err := tx.DetachedManifests(); return len(l), err },
			} {
				if n, err := count(); n != 0 || err != nil {
					t.Errorf("%s: %d, %v", name, n, err)
				}
			}
			manifests, err := tx.ManifestsToCheck(0, 10)
			if err != nil || len(manifests) != 1 || len(manifests[0].Blobs) != 2 || manifests[0].Repository != "p/a" {
				t.Errorf("ManifestsToCheck = %+v, %v", manifests, err)
			}
			tags, err := tx.TagsToCheck(0, 10)
			if err != nil || len(tags) != 1 || tags[0].Digest != "m" || tags[0].Elsewhere {
				t.Errorf("TagsToCheck = %+v, %v", tags, err)
			}
			if n, bytes, err := tx.CountBlobs(); n != 2 || bytes != 20 || err != nil {
				t.Errorf("CountBlobs = %d, %d, %v", n, bytes, err)
			}
			if some, err := tx.HasImages(); !some || err != nil {
				t.Errorf("HasImages = %v, %v", some, err)
			}
			return nil
		})
		update(t, s, (*store.Tx).RemoveStrayLinks)
	})
}

// The database knows the last entry of the journal that belongs to what it has.
func TestJournalPosition(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, j *memoryJournal) {
		position := func() (last uint64, err error) {
			e := s.View(t.Context(), func(tx *store.Tx) error {
				last, err = tx.JournalPosition()
				return nil
			})
			if e != nil {
				t.Fatal(e)
			}
			return last, err
		}
		if _, err := position(); err != store.ErrNoRow {
			t.Errorf("before the first entry: %v", err)
		}
		record := func(n int) error {
			return s.Update(t.Context(), func(tx *store.Tx) error { tx.Record(make([]core.JournalEntry, n)...); return nil })
		}
		for _, n := range []int{1, 3} {
			if err := record(n); err != nil {
				t.Fatal(err)
			}
			if last, err := position(); last != uint64(len(j.entries)) || err != nil {
				t.Errorf("position = %d, %v; the journal has %d entries", last, err, len(j.entries))
			}
		}
		if err := record(0); err != nil {
			t.Fatal(err)
		}
		if last, _ := position(); last != uint64(len(j.entries)) {
			t.Errorf("a change without an entry moved the position to %d", last)
		}
	})
}

// Two processes write one database at the same time, as the registry and the
// command line do, while many requests read and write: all succeed, none sees
// that the database is busy.
func TestTwoProcessesUnderLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	s, _ := openSQLite(t, path)
	other, _ := openSQLite(t, path)
	const clients, rounds = 64, 10
	var group, beside sync.WaitGroup
	var written, longest atomic.Int64
	timed := func(fn func() error) {
		begun := time.Now()
		if err := fn(); err != nil {
			t.Error(err)
		}
		for took := int64(time.Since(begun)); ; {
			if old := longest.Load(); old >= took || longest.CompareAndSwap(old, took) {
				return
			}
		}
	}
	project := func(s *store.Store, name string) func() error {
		return func() error {
			return s.Update(context.Background(), func(tx *store.Tx) error {
				_, err := tx.CreateProject(core.Project{Name: name, QuotaHard: -1})
				written.Add(1)
				return err
			})
		}
	}
	for client := range clients {
		group.Go(func() {
			for round := range rounds {
				timed(project(s, fmt.Sprintf("c%d-%d", client, round)))
				timed(func() error {
					return s.View(context.Background(), func(tx *store.Tx) error {
						_, err := tx.Project(core.ProjectRef{Name: fmt.Sprintf("c%d-%d", client, round)})
						return err
					})
				})
			}
		})
	}
	done := make(chan struct{})
	beside.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			default:
				timed(project(other, fmt.Sprintf("other-%d", n)))
			}
		}
	})
	group.Wait()
	close(done)
	beside.Wait()
	t.Logf("%d transactions of two processes; the longest took %s", written.Load()+clients*rounds, time.Duration(longest.Load()).Round(time.Millisecond))
	view(t, s, func(tx *store.Tx) error {
		_, total, err := tx.Projects(store.Visibility{All: true}, core.Query{Page: 1, PageSize: 1})
		if total != written.Load() {
			t.Errorf("%d projects, want %d", total, written.Load())
		}
		return err
	})
}

// A row whose reference leads nowhere, which no statement of the registry can make.
func TestIntegrityFindsStrayRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	s, _ := openSQLite(t, path)
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `INSERT INTO blob_link VALUES (7, 8, 0); INSERT INTO tag (repository_id, manifest_id, name, pushed_at, pulled_at) VALUES (7, 8, 'x', 0, 0)`); err != nil {
		t.Fatal(err)
	}
	faults, err := s.Integrity(t.Context())
	if err != nil || len(faults) != 4 {
		t.Fatalf("Integrity = %v, %v", faults, err)
	}
	update(t, s, (*store.Tx).RemoveStrayLinks)
	if faults, err = s.Integrity(t.Context()); err != nil || len(faults) != 2 || faults[0].Link {
		t.Errorf("after the repair: %v, %v", faults, err)
	}
}
