package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// stock is a project with a repository and some blobs.
type stock struct {
	project, repository int64
	blobs               []core.Blob
}

func newStock(t *testing.T, s *store.Store, digests ...string) stock {
	t.Helper()
	var k stock
	update(t, s, func(tx *store.Tx) (err error) {
		if k.project, err = tx.CreateProject(core.Project{Name: "p", QuotaHard: -1}); err != nil {
			return err
		}
		if k.repository, err = tx.EnsureRepository(k.project, "p/a"); err != nil {
			return err
		}
		for i, digest := range digests {
			b := core.Blob{Digest: digest, Generation: int64(i + 1), Size: 10}
			if b.ID, err = tx.CreateBlob(b); err != nil {
				return err
			}
			k.blobs = append(k.blobs, b)
		}
		return nil
	})
	return k
}

// manifest makes a manifest that uses the blobs, the first of them its own.
func (k stock) manifest(tx *store.Tx, subject string, blobs ...core.Blob) (core.Artifact, error) {
	a := core.Artifact{RepositoryID: k.repository, ProjectID: k.project, Digest: blobs[0].Digest, Blob: blobs[0], Subject: subject}
	var err error
	if a.ID, err = tx.CreateManifest(a); err != nil {
		return a, err
	}
	for _, b := range blobs {
		if err := tx.UseBlob(a, b.ID); err != nil {
			return a, err
		}
	}
	return a, nil
}

func ids(blobs []core.Blob) []int64 {
	var all []int64
	for _, b := range blobs {
		all = append(all, b.ID)
	}
	return all
}

func TestLeasesEndOnlyWhenOverAndUnused(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		k := newStock(t, s, "m", "used", "over", "running")
		past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		update(t, s, func(tx *store.Tx) error {
			for i, until := range []time.Time{past, past, past, future} {
				if err := tx.LinkBlob(k.repository, k.blobs[i].ID, until); err != nil {
					return err
				}
			}
			_, err := k.manifest(tx, "", k.blobs[0], k.blobs[1])
			return err
		})
		var seen []int64
		view(t, s, func(tx *store.Tx) error {
			for page, err := tx.ExpiredLeases(nil, 1); ; page, err = tx.ExpiredLeases(page.Last, 1) {
				if err != nil || page.Last == nil {
					return err
				}
				for _, l := range page.Leases {
					seen = append(seen, l.BlobID)
				}
			}
		})
		if !slices.Equal(seen, []int64{k.blobs[2].ID}) {
			t.Errorf("the leases that are over are of the blobs %v, want %d", seen, k.blobs[2].ID)
		}
		update(t, s, func(tx *store.Tx) error {
			for i, want := range []bool{false, false, true, false} {
				if ended, err := tx.EndLease(store.Lease{RepositoryID: k.repository, BlobID: k.blobs[i].ID}); err != nil || ended != want {
					t.Errorf("EndLease of %s = %t, %v", k.blobs[i].Digest, ended, err)
				}
			}
			return nil
		})
	})
}

func TestOnlyUnusedBlobsAreCondemned(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		k := newStock(t, s, "m", "used", "linked", "over", "free")
		update(t, s, func(tx *store.Tx) error {
			if _, err := k.manifest(tx, "", k.blobs[0], k.blobs[1]); err != nil {
				return err
			}
			if err := tx.LinkBlob(k.repository, k.blobs[3].ID, time.Now().Add(-time.Hour)); err != nil {
				return err
			}
			return tx.LinkBlob(k.repository, k.blobs[2].ID, time.Now().Add(time.Hour))
		})
		view(t, s, func(tx *store.Tx) error {
			for leased, want := range map[bool][]int64{true: {k.blobs[4].ID}, false: {k.blobs[3].ID, k.blobs[4].ID}} {
				page, err := tx.UnusedBlobs(0, leased, 100)
				if err != nil || !slices.Equal(ids(page.Blobs), want) || page.Last != k.blobs[4].ID {
					t.Errorf("UnusedBlobs(leased %t) = %+v, %v; want %v", leased, page, err, want)
				}
			}
			return nil
		})
		update(t, s, func(tx *store.Tx) error {
			for i, b := range k.blobs {
				if marked, err := tx.CondemnBlob(b.ID); err != nil || marked != (i == 4) {
					t.Errorf("CondemnBlob of %s = %t, %v", b.Digest, marked, err)
				}
			}
			return nil
		})
		// What is condemned is not there for a push, which makes the next generation.
		update(t, s, func(tx *store.Tx) error {
			if b, err := tx.LiveBlob("free"); err != store.ErrNoRow {
				t.Errorf("LiveBlob of a condemned one = %+v, %v", b, err)
			}
			if _, err := tx.CreateBlob(core.Blob{Digest: "free", Generation: 99, Size: 10}); err != nil {
				t.Errorf("the next generation: %v", err)
			}
			return nil
		})
		update(t, s, func(tx *store.Tx) error {
			begun, err := tx.CondemnedBlobs(0, 10)
			if err != nil || !slices.Equal(ids(begun), []int64{k.blobs[4].ID}) {
				t.Errorf("CondemnedBlobs = %v, %v", begun, err)
			}
			for _, b := range k.blobs[3:] { // the one that is not condemned stays
				if err := tx.ForgetBlob(b.ID); err != nil {
					return err
				}
			}
			for _, f := range []struct {
				digest     string
				generation int64
				known      bool
			}{{"over", 4, true}, {"free", 5, false}, {"free", 99, true}, {"free", 4, false}} {
				if known, err := tx.HasFile(f.digest, f.generation); err != nil || known != f.known {
					t.Errorf("HasFile(%s, %d) = %t, %v", f.digest, f.generation, known, err)
				}
			}
			return nil
		})
	})
}

func TestHiddenRepositoriesGoWhenOldAndEmpty(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		k := newStock(t, s, "b")
		before := time.Now().Add(time.Minute)
		var linked, published, empty int64
		update(t, s, func(tx *store.Tx) (err error) {
			for name, id := range map[string]*int64{"p/linked": &linked, "p/published": &published, "p/empty": &empty} {
				if *id, err = tx.EnsureRepository(k.project, name); err != nil {
					return err
				}
			}
			if _, err := tx.PublishRepository(published); err != nil {
				return err
			}
			return tx.LinkBlob(linked, k.blobs[0].ID, time.Now().Add(-time.Hour))
		})
		update(t, s, func(tx *store.Tx) error {
			want := []int64{k.repository, empty}
			if got, err := tx.EmptyRepositories(0, before, true, 10); err != nil || !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
				t.Errorf("EmptyRepositories = %v, %v; want %v", got, err, want)
			}
			if got, err := tx.EmptyRepositories(0, time.Now().Add(-time.Hour), true, 10); err != nil || len(got) != 0 {
				t.Errorf("young repositories were listed: %v, %v", got, err)
			}
			if got, err := tx.EmptyRepositories(0, before, false, 10); err != nil || len(got) != 3 {
				t.Errorf("without leases that are over, EmptyRepositories = %v, %v", got, err)
			}
			for id, want := range map[int64]bool{linked: false, published: false, empty: true} {
				if removed, err := tx.RemoveEmptyRepository(id, before); err != nil || removed != want {
					t.Errorf("RemoveEmptyRepository(%d) = %t, %v", id, removed, err)
				}
			}
			return nil
		})
	})
}

func TestUntaggedManifestsAreKeptByTagIndexSubjectAndTime(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		k := newStock(t, s, "tagged", "index", "child", "signature", "plain", "dangling")
		made := map[string]core.Artifact{}
		later := time.Now().Add(time.Minute)
		update(t, s, func(tx *store.Tx) error {
			for i, subject := range []string{"", "", "", "tagged", "", "gone"} {
				a, err := k.manifest(tx, subject, k.blobs[i])
				if err != nil {
					return err
				}
				made[a.Digest] = a
			}
			if err := tx.AddChild(made["index"].ID, made["child"].ID, core.Descriptor{}); err != nil {
				return err
			}
			_, err := tx.SetTag(k.repository, made["tagged"].ID, "v1")
			return err
		})
		loose := func(name string, before time.Time, want bool) {
			t.Helper()
			view(t, s, func(tx *store.Tx) error {
				got, err := tx.IsLoose(k.repository, made[name].ID, before)
				if got != want {
					t.Errorf("IsLoose(%s) = %t, want %t", name, got, want)
				}
				return err
			})
		}
		for name, want := range map[string]bool{"tagged": false, "index": true, "child": false, "signature": false, "plain": true, "dangling": true} {
			loose(name, later, want)
		}
		loose("plain", time.Now().Add(-time.Minute), false)
		view(t, s, func(tx *store.Tx) error {
			found, err := tx.LooseManifests(k.repository, later)
			if err != nil || len(found) != 5 {
				t.Fatalf("LooseManifests = %+v, %v", found, err)
			}
			for _, m := range found {
				if m.Anchored != (m.Digest == "signature") || !m.Old {
					t.Errorf("%+v", m)
				}
			}
			parents, err := tx.ChildLinks(k.repository)
			if err != nil || len(parents) != 1 || !slices.Equal(parents[made["child"].ID], []int64{made["index"].ID}) {
				t.Errorf("ChildLinks = %v, %v", parents, err)
			}
			return nil
		})
		// A tag that leaves notes the time, a move to another manifest too.
		var moved time.Time
		update(t, s, func(tx *store.Tx) error {
			moved = tx.Now()
			if is, err := tx.SetTag(k.repository, made["plain"].ID, "v1"); !is || err != nil {
				t.Errorf("SetTag = %t, %v", is, err)
			}
			if is, err := tx.SetTag(k.repository, made["plain"].ID, "v1"); is || err != nil {
				t.Errorf("SetTag again = %t, %v", is, err)
			}
			return nil
		})
		loose("tagged", moved, false)
		loose("tagged", moved.Add(time.Millisecond), true)
		loose("plain", later, false)
		update(t, s, func(tx *store.Tx) error { moved = tx.Now(); return tx.DeleteTag(k.repository, "v1") })
		loose("plain", moved, false)
		loose("plain", later, true)
		// So does a client that is about to use it.
		var held time.Time
		update(t, s, func(tx *store.Tx) error { held = tx.Now(); return tx.HoldManifest(made["dangling"].ID, held) })
		loose("dangling", held, false)
		view(t, s, func(tx *store.Tx) error {
			for name, want := range map[string]bool{"dangling": true, "index": false} {
				if is, err := tx.HeldManifest(made[name].ID, held); err != nil || is != want {
					t.Errorf("HeldManifest(%s) = %t, %v", name, is, err)
				}
			}
			return nil
		})
	})
}

func TestSharedBlobsCountTheirUses(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		k := newStock(t, s, "m1", "m2", "layer", "leased")
		update(t, s, func(tx *store.Tx) error {
			for _, own := range k.blobs[:2] {
				if _, err := k.manifest(tx, "", own, k.blobs[2]); err != nil {
					return err
				}
			}
			return tx.LinkBlob(k.repository, k.blobs[3].ID, time.Now().Add(time.Hour))
		})
		view(t, s, func(tx *store.Tx) error {
			shared, err := tx.SharedBlobs(ids(k.blobs))
			if err != nil || len(shared) != 4 {
				t.Fatalf("SharedBlobs = %+v, %v", shared, err)
			}
			for _, b := range shared {
				want := map[string]int64{"m1": 1, "m2": 1, "layer": 2, "leased": 0}[b.Digest]
				if b.Uses != want || b.Leased != (b.Digest == "leased") {
					t.Errorf("%+v, want %d uses", b, want)
				}
			}
			return nil
		})
	})
}

func TestProjectMetadataAndItsRepositories(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		k := newStock(t, s)
		update(t, s, func(tx *store.Tx) error {
			for _, step := range []struct {
				value string
				is    bool
			}{{"7", true}, {"7", false}, {"8", true}} {
				if is, err := tx.SetProjectMetadata(k.project, "untagged_days", step.value); err != nil || is != step.is {
					t.Errorf("SetProjectMetadata(%s) = %t, %v", step.value, is, err)
				}
			}
			return nil
		})
		update(t, s, func(tx *store.Tx) error {
			if all, err := tx.ProjectMetadata(k.project); err != nil || len(all) != 1 || all[k.project]["untagged_days"] != "8" {
				t.Errorf("ProjectMetadata = %v, %v", all, err)
			}
			found, err := tx.RepositoriesWithSetting("untagged_days", 0, 10)
			if err != nil || len(found) != 1 || found[0].ID != k.repository || found[0].Name != "p/a" || found[0].Value != "8" {
				t.Errorf("RepositoriesWithSetting = %+v, %v", found, err)
			}
			if err := tx.DeleteProjectMetadata(k.project, "untagged_days"); err != nil {
				return err
			}
			if err := tx.DeleteProjectMetadata(k.project, "untagged_days"); err != store.ErrNoRow {
				t.Errorf("deleted twice: %v", err)
			}
			if created, err := tx.CreatedAt(); err != nil || time.Since(created) > time.Hour {
				t.Errorf("CreatedAt = %v, %v", created, err)
			}
			return nil
		})
	})
}
