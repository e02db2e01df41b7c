package app

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// LeaseTime is how long a push has to finish. Nothing younger is garbage.
const LeaseTime = leaseTime

const (
	// sweepPage is how many rows one read of the garbage collection looks at.
	sweepPage = 1000
	// sweepBatch is how many rows one transaction of it changes, so that no
	// push ever waits long.
	sweepBatch = 200
)

// Garbage is what the garbage collection does in the database, in steps that
// are each a small transaction. It is for registry/gc; no caller is asked for
// its rights.
type Garbage struct{ app *App }

// Garbage returns the steps of the garbage collection.
func (a *App) Garbage() Garbage { return Garbage{a} }

// Swept is what one step found: N rows that went, or would go in a dry run,
// and where the next step begins; Next is nil at the end.
type Swept[T any] struct {
	N    int64
	Next *T
}

// Leases ends leases whose time is over: links that no manifest uses.
func (g Garbage) Leases(ctx context.Context, after *store.Lease, dry bool) (Swept[store.Lease], error) {
	var page store.LinkPage
	err := g.app.store.View(ctx, func(tx *store.Tx) (err error) {
		page, err = tx.ExpiredLeases(after, sweepPage)
		return err
	})
	if err != nil || dry {
		return Swept[store.Lease]{int64(len(page.Leases)), page.Last}, err
	}
	n, err := batches(ctx, g.app.store, page.Leases, func(tx *store.Tx, l store.Lease) (bool, error) { return tx.EndLease(l) })
	return Swept[store.Lease]{n, page.Last}, err
}

// batches changes the items in transactions of at most sweepBatch, and counts
// those for which change says true.
func batches[T any](ctx context.Context, st *store.Store, items []T, change func(*store.Tx, T) (bool, error)) (n int64, err error) {
	for len(items) > 0 {
		batch := items[:min(len(items), sweepBatch)]
		items = items[len(batch):]
		var changed int64
		err := st.Update(ctx, func(tx *store.Tx) error {
			for _, item := range batch {
				did, err := change(tx, item)
				if err != nil {
					return err
				}
				if did {
					changed++
				}
			}
			return nil
		})
		if err != nil {
			return n, err
		}
		n += changed
	}
	return n, nil
}

// Repositories removes those that were never published, hold nothing and are
// older than a lease: what is left of pushes that did not end.
func (g Garbage) Repositories(ctx context.Context, after int64, dry bool) (Swept[int64], error) {
	var ids []int64
	err := g.app.store.View(ctx, func(tx *store.Tx) (err error) {
		ids, err = tx.EmptyRepositories(after, tx.Now().Add(-leaseTime), !dry, sweepPage)
		return err
	})
	if err != nil || len(ids) == 0 {
		return Swept[int64]{}, err
	}
	found := Swept[int64]{int64(len(ids)), &ids[len(ids)-1]}
	if !dry {
		found.N, err = batches(ctx, g.app.store, ids, func(tx *store.Tx, id int64) (bool, error) {
			return tx.RemoveEmptyRepository(id, tx.Now().Add(-leaseTime))
		})
	}
	return found, err
}

// Unused looks at a part of the blobs, after the id, for those that nothing
// uses. In a dry run leases whose time is over do not count.
func (g Garbage) Unused(ctx context.Context, after int64, dry bool) (page store.BlobPage, err error) {
	err = g.app.store.View(ctx, func(tx *store.Tx) error {
		page, err = tx.UnusedBlobs(after, !dry, sweepPage)
		return err
	})
	return page, err
}

// SweepBatch is how many blobs Condemn and Forget take at most.
const SweepBatch = sweepBatch

// Condemn marks those of the blobs that still nothing uses as being deleted and
// returns them: no repository can use them any more, and a push of the same
// content makes a new file.
func (g Garbage) Condemn(ctx context.Context, blobs []core.Blob) (condemned []core.Blob, err error) {
	err = g.app.store.Update(ctx, func(tx *store.Tx) error {
		condemned = nil
		for _, b := range blobs {
			marked, err := tx.CondemnBlob(b.ID)
			if err != nil {
				return err
			}
			if marked {
				condemned = append(condemned, b)
			}
		}
		return nil
	})
	return condemned, err
}

// Condemned lists blobs that are being deleted, by id after the given one: an
// earlier run was interrupted after Condemn.
func (g Garbage) Condemned(ctx context.Context, after int64) (blobs []core.Blob, err error) {
	err = g.app.store.View(ctx, func(tx *store.Tx) error {
		blobs, err = tx.CondemnedBlobs(after, sweepBatch)
		return err
	})
	return blobs, err
}

// Forget removes condemned blobs whose files are gone.
func (g Garbage) Forget(ctx context.Context, blobs []core.Blob) error {
	return g.app.store.Update(ctx, func(tx *store.Tx) error {
		for _, b := range blobs {
			if err := tx.ForgetBlob(b.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// Unknown returns those of the files that the database does not know, and when
// the database was made: a file that is older was not left by a crash.
func (g Garbage) Unknown(ctx context.Context, files []core.Blob) (unknown []core.Blob, since time.Time, err error) {
	err = g.app.store.View(ctx, func(tx *store.Tx) error {
		for _, f := range files {
			known, err := tx.HasFile(f.Digest, f.Generation)
			if err != nil {
				return err
			}
			if !known {
				unknown = append(unknown, f)
			}
		}
		since, err = tx.CreatedAt()
		return err
	})
	return unknown, since, err
}

// Record writes the audit row of a run.
func (g Garbage) Record(ctx context.Context, success bool, description string) error {
	return g.app.update(ctx, itself, func(s *session) error {
		event := s.event(act{operation: "delete", resourceType: string(core.ResGarbageCollection), resource: "the registry", description: description})
		event.Success = success
		return s.AppendAudit(event)
	})
}

// maxUntaggedDays is a hundred years.
const maxUntaggedDays = 36500

// untaggedDays reads the metadata untagged_days; collect is false where
// untagged manifests are kept.
func untaggedDays(value string) (age time.Duration, collect bool, err error) {
	if value == "-1" {
		return 0, false, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > maxUntaggedDays || strconv.Itoa(n) != value {
		return 0, false, core.Errorf(core.CodeBadRequest, "%s must be a number of days from 0 to %d, or -1 to keep untagged manifests", metaUntagged, maxUntaggedDays)
	}
	return max(time.Duration(n)*24*time.Hour, leaseTime), true, nil
}

func checkUntagged(value string) error {
	_, _, err := untaggedDays(value)
	return err
}

// LooseManifests are the untagged manifests of one repository that may go.
type LooseManifests struct {
	repository store.RepositoryWithSetting
	Manifests  []store.LooseManifest
}

// Loose looks at the next repository after the id, of the projects that ask
// for it, for manifests that have been untagged long enough and that nothing
// else keeps. next is 0 at the end.
func (g Garbage) Loose(ctx context.Context, after int64) (found LooseManifests, next int64, err error) {
	err = g.app.store.View(ctx, func(tx *store.Tx) error {
		repositories, err := tx.RepositoriesWithSetting(metaUntagged, after, 1)
		if err != nil || len(repositories) == 0 {
			return err
		}
		found.repository, next = repositories[0], repositories[0].ID
		age, collect, err := untaggedDays(found.repository.Value)
		if err != nil || !collect {
			return err
		}
		loose, err := tx.LooseManifests(next, tx.Now().Add(-age))
		if err != nil || len(loose) == 0 {
			return err
		}
		parents, err := tx.ChildLinks(next)
		found.Manifests = unkept(loose, parents)
		return err
	})
	return found, next, err
}

// unkept returns the manifests without a tag that neither their age nor another
// manifest keeps. An index keeps its children, parents by the id of the child,
// and a subject its referrers, as long as they are kept themselves.
func unkept(loose []store.LooseManifest, parents map[int64][]int64) []store.LooseManifest {
	byID, byDigest := map[int64]store.LooseManifest{}, map[string]store.LooseManifest{}
	for _, m := range loose {
		byID[m.ID], byDigest[m.Digest] = m, m
	}
	known := map[int64]bool{} // holds false while a manifest is being looked at
	var kept func(store.LooseManifest) bool
	kept = func(m store.LooseManifest) bool {
		if answer, ok := known[m.ID]; ok {
			return answer
		}
		known[m.ID] = false
		answer := !m.Old || m.Anchored
		for _, id := range parents[m.ID] {
			parent, untagged := byID[id]
			answer = answer || !untagged || kept(parent)
		}
		if subject, ok := byDigest[m.Subject]; ok {
			answer = answer || kept(subject)
		}
		known[m.ID] = answer
		return answer
	}
	var rest []store.LooseManifest
	for _, m := range loose {
		if !kept(m) {
			rest = append(rest, m)
		}
	}
	return rest
}

// RemoveLoose removes those of the manifests, at most LooseBatch, that nothing
// holds at this moment. It returns how many, and the others that may still go:
// each after the index or the subject that it hangs on, in a later call.
func (g Garbage) RemoveLoose(ctx context.Context, in LooseManifests, manifests []store.LooseManifest) (removed int64, left []store.LooseManifest, err error) {
	err = g.app.update(ctx, itself, func(s *session) error {
		removed, left = 0, nil
		repo, project, age, err := s.stillCollected(in.repository)
		if err != nil || age == 0 {
			return err
		}
		for _, m := range manifests {
			loose, err := s.IsLoose(repo.ID, m.ID, s.Now().Add(-age))
			if err != nil {
				return err
			}
			if !loose {
				left = append(left, m)
				continue
			}
			if err := s.removeLoose(project, repo, m.ID, m.Digest); err != nil {
				return err
			}
			removed++
		}
		return nil
	})
	return removed, left, err
}

// LooseBatch is how many manifests one transaction removes: each has many rows.
const LooseBatch = 25

// stillCollected reads again what Loose saw; age is 0 where nothing may be
// collected any more.
func (s *session) stillCollected(seen store.RepositoryWithSetting) (repo core.Repository, project core.Project, age time.Duration, err error) {
	if err := s.app.writable(); err != nil {
		return repo, project, 0, err
	}
	repo, err = s.RepositoryByName(seen.Name)
	if errors.Is(err, store.ErrNoRow) || (err == nil && repo.ID != seen.ID) {
		return repo, project, 0, nil
	}
	if err != nil {
		return repo, project, 0, err
	}
	if project, err = s.Tx.Project(core.ProjectRef{ID: repo.ProjectID}); err != nil {
		return repo, project, 0, err
	}
	kept, err := s.Tx.ProjectMetadata(project.ID)
	if err != nil {
		return repo, project, 0, err
	}
	value, ok := kept[project.ID][metaUntagged]
	if !ok {
		return repo, project, 0, nil
	}
	age, _, err = untaggedDays(value)
	return repo, project, age, err
}

func (s *session) removeLoose(project core.Project, repo core.Repository, id int64, digest string) error {
	if err := s.removeManifest(project, repo, id, digest); err != nil {
		return err
	}
	return s.audit(act{operation: "delete", resourceType: "artifact", resource: repo.Name + "@" + digest, project: project.ID, digest: digest,
		description: "garbage collection of untagged manifests"})
}

// Uses counts by how many of the manifests each blob is used, for a dry run.
func (g Garbage) Uses(ctx context.Context, manifests []store.LooseManifest, uses map[int64]int64) error {
	return g.app.store.View(ctx, func(tx *store.Tx) error {
		for _, m := range manifests {
			blobs, err := tx.ManifestBlobs(m.ID)
			if err != nil {
				return err
			}
			for _, b := range blobs {
				uses[b.ID]++
			}
		}
		return nil
	})
}

// Freed returns those of the blobs, at most SweepBatch, that nothing would use
// without the manifests that Uses has counted.
func (g Garbage) Freed(ctx context.Context, ids []int64, uses map[int64]int64) (freed []core.Blob, err error) {
	err = g.app.store.View(ctx, func(tx *store.Tx) error {
		shared, err := tx.SharedBlobs(ids)
		for _, b := range shared {
			if !b.Leased && b.Uses == uses[b.ID] {
				freed = append(freed, b.Blob)
			}
		}
		return err
	})
	return freed, err
}

// ReadOnly says whether nothing may be deleted from the repositories now. What
// no repository holds can go all the same: the disk may be full.
func (g Garbage) ReadOnly() bool { return g.app.writable() != nil }
