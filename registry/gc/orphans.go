package gc

import (
	"context"
	"iter"
	"time"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/blobs"
)

// orphans removes files of which the database does not know: a crash came
// between the file and its row. A young file may belong to a push that is not
// done. One that is older than the database was not left by a crash: the
// database was lost, and fsck makes it again from these files.
func (r *run) orphans(ctx context.Context) error {
	var batch []core.Blob
	older := 0
	check := func() error {
		n, err := r.removeUnknown(ctx, batch)
		batch, older = batch[:0], older+n
		return err
	}
	err := r.blobs.Walk(ctx, func(f blobs.File, size int64, modified time.Time) error {
		// The time of the last byte says nothing of an upload that paused
		// before its end; the generation is the time of that.
		since := time.UnixMicro(f.Generation)
		if modified.After(since) {
			since = modified
		}
		if time.Since(since) < app.LeaseTime || r.writing(f.Generation) {
			return nil
		}
		batch = append(batch, core.Blob{Digest: f.Digest.String(), Generation: f.Generation, Size: size})
		if len(batch) < app.SweepBatch {
			return nil
		}
		return check()
	})
	if err != nil {
		return err
	}
	if err := check(); err != nil {
		return err
	}
	if older > 0 {
		r.report.Logf("%d files that the database does not know are older than the database itself and stay; run breakwater fsck", older)
	}
	return nil
}

// removeUnknown removes those of the files that the database does not know. It
// returns how many stay because they are older than the database.
func (r *run) removeUnknown(ctx context.Context, files []core.Blob) (older int, err error) {
	unknown, since, err := r.garbage.Unknown(ctx, files)
	if err != nil {
		return 0, err
	}
	for _, f := range unknown {
		if err := r.step(ctx, "before orphan"); err != nil {
			return older, err
		}
		if time.UnixMicro(f.Generation).Before(since) {
			older++
			continue
		}
		if !r.options.DryRun {
			if err := r.blobs.Remove(ctx, fileOf(f)); err != nil {
				return older, err
			}
		}
		r.result.Files++
		r.result.Bytes += f.Size
	}
	r.progress()
	return older, nil
}

// batchesOf cuts the list into parts of at most n.
func batchesOf[T any](list []T, n int) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for len(list) > 0 {
			part := list[:min(n, len(list))]
			list = list[len(part):]
			if !yield(part) {
				return
			}
		}
	}
}
