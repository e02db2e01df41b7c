// Package gc collects garbage while the registry runs: pushes and pulls go on.
//
// A blob that a repository may use has a link there. A link that no manifest of
// the repository uses is a lease that ends after a day unless a push renews it.
// The collection ends what is over and then removes the blobs without any link
// or manifest, each in three steps that survive a kill between them:
//
//  1. a transaction asks again whether nothing uses the blob and marks its row;
//     from then on no push can use the row, and one that brings the same
//     content makes a file of the next generation,
//  2. the file is unlinked,
//  3. a transaction removes the row.
//
// All transactions of the registry pass through one writer, so that a push
// either links the blob before step 1, which then leaves it alone, or after it
// and finds nothing to link.
package gc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/blobs"
)

// Collector collects the garbage of one blob store.
type Collector struct {
	garbage app.Garbage
	blobs   *blobs.FileStore
	writing func(generation int64) bool
	step    func(ctx context.Context, name string) error // between any two steps
	mu      sync.Mutex                                   // one run at a time
}

// New makes a Collector. writing says whether a push is about to tell the
// database of a file of that generation (registry.Registry.Writing); nil where
// nothing can be pushed.
func New(a *app.App, files *blobs.FileStore, writing func(generation int64) bool) *Collector {
	if writing == nil {
		writing = func(int64) bool { return false }
	}
	return &Collector{garbage: a.Garbage(), blobs: files, writing: writing,
		step: func(ctx context.Context, _ string) error { return ctx.Err() }}
}

// Result is what a run has freed so far or, in a dry run, would free. The JSON
// names of the first three are Harbor's.
type Result struct {
	Bytes        int64   `json:"freed_space"`
	Blobs        int64   `json:"purged_blobs"`
	Manifests    int64   `json:"purged_manifests"`
	Leases       int64   `json:"ended_leases"`
	Repositories int64   `json:"purged_repositories"` // that were never published
	Files        int64   `json:"purged_files"`        // without a row, left by a crash; their bytes count
	Phase        string  `json:"phase"`
	Seconds      float64 `json:"duration_seconds"`
}

// Reporter is told how a run goes; *jobs.Run is one.
type Reporter interface {
	Progress(v any)
	Logf(format string, args ...any)
}

// run is one collection.
type run struct {
	*Collector
	options app.GCOptions
	report  Reporter
	began   time.Time
	result  Result
}

// Run collects garbage once and has it audited. It ends with ctx's error soon
// after ctx is done; the next run, or Resume, takes up what was begun.
func (c *Collector) Run(ctx context.Context, o app.GCOptions, report Reporter) (Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &run{Collector: c, options: o, report: report, began: time.Now()}
	err := r.phases(ctx)
	r.enter("done")
	description := fmt.Sprintf("%s: %s", o, r.result)
	if err != nil {
		description += ", not finished: " + core.ErrorMessage(err)
	}
	report.Logf("%s", r.result)
	// What was removed is audited although ctx may be done.
	return r.result, errors.Join(err, c.garbage.Record(context.WithoutCancel(ctx), err == nil, description))
}

// String tells the result in words.
func (r Result) String() string {
	return fmt.Sprintf("%d bytes in %d blobs and %d files without owner; %d manifests, %d leases, %d unused repositories; %.1f s",
		r.Bytes, r.Blobs, r.Files, r.Manifests, r.Leases, r.Repositories, r.Seconds)
}

func (r *run) phases(ctx context.Context) error {
	for _, phase := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"resume", r.resume}, {"untagged", r.untagged}, {"leases", r.leases},
		{"repositories", r.repositories}, {"blobs", r.unused}, {"files", r.orphans},
	} {
		r.enter(phase.name)
		if err := phase.do(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) enter(phase string) {
	r.result.Phase = phase
	r.progress()
}

func (r *run) progress() {
	r.result.Seconds = time.Since(r.began).Seconds()
	r.report.Progress(r.result)
}

// Resume finishes the removal of blobs that an earlier process had begun. The
// registry does it when it starts.
func (c *Collector) Resume(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return (&run{Collector: c, report: silent{}, began: time.Now()}).resume(ctx)
}

type silent struct{}

func (silent) Progress(any)        {}
func (silent) Logf(string, ...any) {}

// resume is steps 2 and 3 for the blobs that were marked before this run.
func (r *run) resume(ctx context.Context) error {
	for after := int64(0); ; {
		if err := r.step(ctx, "condemned"); err != nil {
			return err
		}
		begun, err := r.garbage.Condemned(ctx, after)
		if err != nil || len(begun) == 0 {
			return err
		}
		after = begun[len(begun)-1].ID
		if err := r.finish(ctx, begun); err != nil {
			return err
		}
	}
}

func (r *run) leases(ctx context.Context) error {
	found, err := r.garbage.Leases(ctx, nil, r.options.DryRun)
	for ; err == nil; found, err = r.garbage.Leases(ctx, found.Next, r.options.DryRun) {
		r.result.Leases += found.N
		r.progress()
		if err := r.step(ctx, "leases"); err != nil || found.Next == nil {
			return err
		}
	}
	return err
}

func (r *run) repositories(ctx context.Context) error {
	found, err := r.garbage.Repositories(ctx, 0, r.options.DryRun)
	for ; err == nil; found, err = r.garbage.Repositories(ctx, *found.Next, r.options.DryRun) {
		r.result.Repositories += found.N
		if err := r.step(ctx, "repositories"); err != nil || found.Next == nil {
			return err
		}
	}
	return err
}

// unused removes the blobs that nothing uses.
func (r *run) unused(ctx context.Context) error {
	for after := int64(0); ; {
		if err := r.step(ctx, "look"); err != nil {
			return err
		}
		page, err := r.garbage.Unused(ctx, after, r.options.DryRun)
		if err != nil || page.Last == 0 {
			return err
		}
		after = page.Last
		for batch := range batchesOf(page.Blobs, app.SweepBatch) {
			if err := r.remove(ctx, batch); err != nil {
				return err
			}
		}
	}
}

// remove is steps 1 to 3 for blobs that seemed unused when they were looked at.
func (r *run) remove(ctx context.Context, unused []core.Blob) error {
	if r.options.DryRun {
		r.count(unused)
		return nil
	}
	if err := r.step(ctx, "before condemn"); err != nil {
		return err
	}
	condemned, err := r.garbage.Condemn(ctx, unused)
	if err != nil {
		return err
	}
	return r.finish(ctx, condemned)
}

// finish unlinks the files of condemned blobs and removes their rows.
func (r *run) finish(ctx context.Context, condemned []core.Blob) error {
	if r.options.DryRun {
		r.count(condemned)
		return nil
	}
	for _, b := range condemned {
		if err := r.step(ctx, "before unlink"); err != nil {
			return err
		}
		if err := r.blobs.Remove(ctx, fileOf(b)); err != nil {
			return err
		}
	}
	if err := r.step(ctx, "before forget"); err != nil {
		return err
	}
	if err := r.garbage.Forget(ctx, condemned); err != nil {
		return err
	}
	r.count(condemned)
	return nil
}

func (r *run) count(freed []core.Blob) {
	for _, b := range freed {
		r.result.Bytes += b.Size
	}
	r.result.Blobs += int64(len(freed))
	r.progress()
}

func fileOf(b core.Blob) blobs.File {
	return blobs.File{Digest: digest.Digest(b.Digest), Generation: b.Generation}
}
