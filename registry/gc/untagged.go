package gc

import (
	"context"
	"maps"
	"slices"

	"github.com/breakwater-registry/breakwater/internal/app"
)

// untagged removes old untagged manifests in the projects that ask for it.
func (r *run) untagged(ctx context.Context) error {
	if !r.options.DeleteUntagged {
		return nil
	}
	if r.garbage.ReadOnly() {
		r.report.Logf("the registry is read-only: untagged manifests stay")
		return nil
	}
	uses := map[int64]int64{}
	for after := int64(0); ; {
		if err := r.step(ctx, "untagged"); err != nil {
			return err
		}
		found, next, err := r.garbage.Loose(ctx, after)
		if err != nil {
			return err
		}
		if next == 0 {
			break
		}
		after = next
		if r.options.DryRun {
			r.result.Manifests += int64(len(found.Manifests))
			err = r.garbage.Uses(ctx, found.Manifests, uses)
		} else {
			err = r.removeLoose(ctx, found)
		}
		if err != nil {
			return err
		}
		r.progress()
	}
	return r.countFreed(ctx, uses)
}

// removeLoose removes the manifests, in as many passes as they hang on each
// other.
func (r *run) removeLoose(ctx context.Context, found app.LooseManifests) error {
	for before := -1; len(found.Manifests) > 0 && len(found.Manifests) != before; {
		before = len(found.Manifests)
		rest := found.Manifests[:0:0]
		for batch := range batchesOf(found.Manifests, app.LooseBatch) {
			if err := r.step(ctx, "before loose"); err != nil {
				return err
			}
			removed, left, err := r.garbage.RemoveLoose(ctx, found, batch)
			if err != nil {
				return err
			}
			r.result.Manifests += removed
			rest = append(rest, left...)
			r.progress()
		}
		found.Manifests = rest
	}
	return nil
}

// countFreed counts, in a dry run, the blobs that only the manifests use that
// would go.
func (r *run) countFreed(ctx context.Context, uses map[int64]int64) error {
	for ids := range batchesOf(slices.Sorted(maps.Keys(uses)), app.SweepBatch) {
		if err := r.step(ctx, "count"); err != nil {
			return err
		}
		freed, err := r.garbage.Freed(ctx, ids, uses)
		if err != nil {
			return err
		}
		r.count(freed)
	}
	return nil
}
