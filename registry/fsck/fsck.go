// Package fsck verifies that the files, the rows and the journal of a registry
// agree, repairs what can be repaired, and makes a lost database again from
// blobs and journal. It also reads the blobs slowly in the background.
//
// Nothing that could be needed is ever deleted: a damaged file moves to the
// quarantine, and its row stays, marked, so that a push of the same content
// makes all images whole that use it.
package fsck

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/blobs"
	"github.com/breakwater-registry/breakwater/store"
)

// Options say how to check.
type Options struct {
	// Repair mends what can be mended. No registry may run then.
	Repair bool
	// Fast looks at names and sizes of blob files only, not at their content.
	Fast bool
	// Beside says that a registry may be running: what changes during the
	// check is no problem, and the journal is not compared with the database.
	Beside bool
	// Jobs is how many files are read at once; 0 is a number that suits the machine.
	Jobs int
}

// Problem is one thing that is wrong.
type Problem struct {
	Subject string   // such as "blob sha256:..." or "project lib"
	Text    string   // what is wrong with it
	Uses    []string // images, or their parts, that it touches: most cannot be pulled as a whole
	More    bool     // there are more uses than these
	Repair  string   // what was done about it; empty: nothing
}

// Progress shows how a check goes. Its methods may be called concurrently.
type Progress interface {
	// Phase begins the next part of the work: total units of it, bytes or things.
	Phase(name string, total int64, bytes bool)
	// Add tells that n more units are done.
	Add(n int64)
}

// Parts are what a Checker works on.
type Parts struct {
	App     *app.App
	Blobs   *blobs.FileStore
	Journal string // its folder
	// Resume ends the removal of blobs that was begun, before a repair.
	Resume   func(context.Context) error
	Progress Progress
	Found    func(Problem) // told of each problem, one at a time
}

// Checker checks one registry.
type Checker struct {
	Parts
	checks  app.Checks
	garbage app.Garbage
}

// New makes a Checker.
func New(p Parts) *Checker {
	return &Checker{Parts: p, checks: p.App.Checks(), garbage: p.App.Garbage()}
}

// Result is what a check has seen.
type Result struct {
	Blobs, Bytes    int64
	Manifests, Tags int64
	AuditRows       int64
	AuditBroken     bool
	JournalEntries  int64
	Problems        int64
	Repaired        int64 // of the problems
	Orphans         int64 // files that no row knows, of pushes that did not end
	OrphanBytes     int64
	Older           int64 // files that no row knows and that are older than the database
}

// run is one check.
type run struct {
	*Checker
	Options
	mu      sync.Mutex
	result  Result
	orphans map[string][]blobs.File // by digest; not changed after the files were listed
}

// Run checks everything once. An error means that the check did not come to
// its end; the problems found until then were reported.
func (c *Checker) Run(ctx context.Context, o Options) (Result, error) {
	if o.Jobs <= 0 {
		o.Jobs = min(8, runtime.NumCPU())
	}
	r := &run{Checker: c, Options: o, orphans: map[string][]blobs.File{}}
	err := r.phases(ctx)
	if o.Repair && r.result.Problems > 0 {
		description := fmt.Sprintf("fsck --repair: %d problems, %d repaired", r.result.Problems, r.result.Repaired)
		err = errors.Join(err, c.checks.Record(context.WithoutCancel(ctx), err == nil, description))
	}
	return r.result, err
}

func (r *run) phases(ctx context.Context) error {
	phases := []func(context.Context) error{r.database, r.files, r.blobFiles, r.manifests, r.tags, r.sums, r.journaled, r.audit}
	if r.Repair {
		phases = append([]func(context.Context) error{r.Resume}, phases...)
	}
	for _, phase := range phases {
		if err := phase(ctx); err != nil {
			return err
		}
	}
	return nil
}

// report counts the problem and tells it.
func (r *run) report(p Problem) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Problems++
	if p.Repair != "" {
		r.result.Repaired++
	}
	r.Found(p)
}

// database has the engine check itself.
func (r *run) database(ctx context.Context) error {
	r.Progress.Phase("database", 0, false)
	faults, err := r.checks.Integrity(ctx)
	stray := slices.ContainsFunc(faults, func(f store.Fault) bool { return f.Link })
	if err == nil && stray && r.Repair {
		err = r.checks.RemoveStrayLinks(ctx)
	}
	for _, fault := range faults {
		p := Problem{Subject: "database", Text: fault.Text}
		if fault.Link && r.Repair && err == nil {
			p.Repair = "the row is removed"
		}
		r.report(p)
	}
	return err
}

// audit verifies the chain of the audit log.
func (r *run) audit(ctx context.Context) error {
	r.Progress.Phase("audit log", 0, false)
	rows, err := r.checks.Audit(ctx)
	r.result.AuditRows = rows
	if core.ErrorCode(err) == core.CodePrecondition {
		r.result.AuditBroken = true
		r.report(Problem{Subject: "audit log", Text: core.ErrorMessage(err)})
		return nil
	}
	return err
}

// files looks for files that no row knows.
func (r *run) files(ctx context.Context) error {
	r.Progress.Phase("files", 0, false)
	var batch []core.Blob
	err := r.Blobs.Walk(ctx, func(f blobs.File, size int64, modified time.Time) error {
		r.Progress.Add(1)
		if r.Beside && time.Since(modified) < app.LeaseTime {
			return nil // its push may not be done
		}
		batch = append(batch, core.Blob{Digest: f.Digest.String(), Generation: f.Generation, Size: size})
		if len(batch) < app.CheckPage {
			return nil
		}
		err := r.unknown(ctx, batch)
		batch = batch[:0]
		return err
	})
	if err != nil {
		return err
	}
	return r.unknown(ctx, batch)
}

func (r *run) unknown(ctx context.Context, files []core.Blob) error {
	unknown, since, err := r.garbage.Unknown(ctx, files)
	for _, f := range unknown {
		r.orphans[f.Digest] = append(r.orphans[f.Digest], fileOf(f))
		if time.UnixMicro(f.Generation).Before(since) {
			r.result.Older++
			continue
		}
		r.result.Orphans++
		r.result.OrphanBytes += f.Size
	}
	return err
}

// each calls do for all pages of a list, several items at a time.
func each[T any](ctx context.Context, r *run, page func(ctx context.Context, after int64) ([]T, error), id func(T) int64, do func(context.Context, T) error) error {
	for after := int64(0); ; {
		items, err := page(ctx, after)
		if err != nil || len(items) == 0 {
			return err
		}
		after = id(items[len(items)-1])
		group, groupCtx := errgroup.WithContext(ctx)
		group.SetLimit(r.Jobs)
		for _, item := range items {
			group.Go(func() error { return do(groupCtx, item) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
}

func fileOf(b core.Blob) blobs.File {
	return blobs.File{Digest: digest.Digest(b.Digest), Generation: b.Generation}
}
