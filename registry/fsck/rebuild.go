package fsck

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry"
	"github.com/breakwater-registry/breakwater/registry/blobs"
	"github.com/breakwater-registry/breakwater/registry/journal"
)

// Rebuilt is what was made again.
type Rebuilt struct {
	Projects, Repositories int
	Manifests, Tags        int
	Blobs                  int   // used by the manifests
	Bytes                  int64 // of these blobs
	Problems               int64 // images and files that were left out
	Kept                   int   // whole files that no image uses, and that stay for a closer look
}

// rebuild is one run of Rebuild.
type rebuild struct {
	*Checker
	jobs   int
	state  state
	result Rebuilt

	mu     sync.Mutex
	whole  map[string]core.Blob // verified files, by digest
	faults map[string]string    // why there is no whole file, by digest
	bad    []blobs.File
	double []blobs.File // files of which there is another that is whole
	used   map[string]bool
}

// Rebuild makes the images again in an empty database: the journal tells what
// there was, the files hold it. position is the last entry of the journal. All
// is made or, with an error, nothing. What cannot be made whole is reported and
// left out. jobs is how many files are read at once.
func (c *Checker) Rebuild(ctx context.Context, position uint64, jobs int) (Rebuilt, error) {
	r := &rebuild{Checker: c, jobs: max(jobs, 1), state: state{}, whole: map[string]core.Blob{}, faults: map[string]string{}, used: map[string]bool{}}
	if err := c.App.Rebuildable(ctx); err != nil {
		return r.result, err
	}
	if err := r.replay(ctx); err != nil {
		return r.result, err
	}
	if err := r.verify(ctx); err != nil {
		return r.result, err
	}
	r.Progress.Phase("images", 0, false)
	err := c.App.Rebuild(ctx, position, func(to *app.Rebuilding) (string, error) {
		if err := r.images(ctx, to); err != nil {
			return "", err
		}
		r.result.Projects = to.Projects()
		return fmt.Sprintf("rebuilt from blobs and journal: %d repositories, %d manifests, %d tags; %d problems",
			r.result.Repositories, r.result.Manifests, r.result.Tags, r.result.Problems), nil
	})
	if err != nil {
		return r.result, err
	}
	return r.result, r.tidy(ctx)
}

func (r *rebuild) replay(ctx context.Context) error {
	r.Progress.Phase("journal", 0, false)
	entries := 0
	err := journal.Replay(r.Journal, func(e core.JournalEntry) error {
		entries++
		r.Progress.Add(1)
		r.state.apply(e)
		return ctx.Err()
	})
	if err == nil && entries == 0 {
		err = core.Errorf(core.CodePrecondition, "the journal in %s tells of no image; there is nothing to make again. Is this the right data folder?", r.Journal)
	}
	return err
}

func (r *rebuild) report(p Problem) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Problems++
	r.Found(p)
}

// verify reads all blob files and finds for each digest one that is whole.
func (r *rebuild) verify(ctx context.Context) error {
	files, total := map[string][]blobs.File{}, int64(0)
	err := r.Blobs.Walk(ctx, func(f blobs.File, size int64, _ time.Time) error {
		files[f.Digest.String()] = append(files[f.Digest.String()], f)
		total += size
		return nil
	})
	if err != nil {
		return err
	}
	r.Progress.Phase("blobs", total, true)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(r.jobs)
	for digest, copies := range files {
		group.Go(func() error { return r.choose(groupCtx, digest, copies) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return r.quarantined(ctx)
}

// choose takes the newest of the files that is whole.
func (r *rebuild) choose(ctx context.Context, digest string, copies []blobs.File) error {
	slices.SortFunc(copies, func(a, b blobs.File) int { return cmp.Compare(b.Generation, a.Generation) })
	pace := func(_ context.Context, n int) error { r.Progress.Add(int64(n)); return nil }
	for i, f := range copies {
		found, err := r.Blobs.Inspect(ctx, f, pace)
		if err != nil {
			return err
		}
		r.mu.Lock()
		if found.Whole() {
			r.whole[digest] = core.Blob{Digest: digest, Generation: f.Generation, Size: found.Size}
			r.double = append(r.double, copies[i+1:]...)
			r.mu.Unlock()
			return nil
		}
		r.faults[digest] = found.Fault
		r.bad = append(r.bad, f)
		r.mu.Unlock()
	}
	return nil
}

// quarantined takes files back that were set aside and are whole all the same.
func (r *rebuild) quarantined(ctx context.Context) error {
	return r.Blobs.WalkQuarantine(ctx, func(f blobs.File, _ int64, _ time.Time) error {
		digest := f.Digest.String()
		if _, ok := r.whole[digest]; ok {
			return nil
		}
		found, err := r.Blobs.InspectQuarantined(ctx, f)
		if err != nil || !found.Whole() {
			return err
		}
		r.whole[digest] = core.Blob{Digest: digest, Generation: f.Generation, Size: found.Size}
		r.bad = slices.DeleteFunc(r.bad, func(b blobs.File) bool { return b == f }) // it is replaced
		return r.Blobs.Restore(ctx, f)
	})
}

// images makes all repositories, in the order in which they were made.
func (r *rebuild) images(ctx context.Context, to *app.Rebuilding) error {
	for _, name := range r.state.names() {
		there := r.state[name]
		if err := to.Repository(name, there.put.Time); err != nil {
			return err
		}
		r.result.Repositories++
		placed, err := r.manifests(ctx, to, there)
		if err != nil {
			return err
		}
		for _, e := range inOrder(there.tags) {
			if !placed[e.Digest] {
				continue // reported with the manifest
			}
			if err := to.Tag(e); err != nil {
				return err
			}
			r.result.Tags++
		}
	}
	return r.rest(to)
}

// manifests makes the manifests of a repository, what an index lists before it,
// and returns which are there.
func (r *rebuild) manifests(ctx context.Context, to *app.Rebuilding, there *images) (placed map[string]bool, err error) {
	placed = map[string]bool{}
	waiting, why := inOrder(there.manifests), map[string]string{}
	for again := true; again; {
		again = false
		var deferred []core.JournalEntry
		for _, e := range waiting {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			m, lack, err := r.load(ctx, e, placed)
			if err != nil {
				return nil, err
			}
			if lack != "" {
				why[e.Digest] = lack
				deferred = append(deferred, e)
				continue
			}
			if err := r.place(to, e, m); err != nil {
				return nil, err
			}
			placed[e.Digest], again = true, true
		}
		waiting = deferred
	}
	for _, e := range waiting {
		r.report(Problem{Subject: entryName(e), Text: "left out: " + why[e.Digest], Uses: there.tagged(e)})
	}
	for _, e := range inOrder(there.tags) {
		if _, known := there.manifests[e.Digest]; !known {
			r.report(Problem{Subject: entryName(e), Text: "left out: it names " + e.Digest + ", which the journal does not know"})
		}
	}
	return placed, nil
}

// tagged names the tags of a manifest.
func (there *images) tagged(m core.JournalEntry) (names []string) {
	for _, e := range inOrder(there.tags) {
		if e.Digest == m.Digest {
			names = append(names, entryName(e))
		}
	}
	return names
}

// load reads a manifest. lack tells what is missing of it, empty when nothing is.
func (r *rebuild) load(ctx context.Context, e core.JournalEntry, placed map[string]bool) (m core.Manifest, lack string, err error) {
	file, ok := r.whole[e.Digest]
	if !ok {
		return m, r.fault("its content", e.Digest), nil
	}
	body, err := readManifest(ctx, r.Checker, file)
	if err != nil {
		return m, "", err
	}
	if m, err = parse(body, e.MediaType); err != nil {
		return m, "its content is not a manifest", nil
	}
	m.Digest = e.Digest
	for _, d := range m.Blobs {
		if _, ok := r.whole[d.Digest]; !ok {
			return m, r.fault("the blob "+d.Digest, d.Digest), nil
		}
	}
	for _, d := range m.Children {
		if !placed[d.Digest] {
			return m, "the manifest " + d.Digest + ", which it lists, is missing", nil
		}
	}
	m.Platform, err = r.platform(ctx, m)
	return m, "", err
}

func (r *rebuild) fault(what, digest string) string {
	if fault, ok := r.faults[digest]; ok {
		return what + " is damaged: " + fault
	}
	return what + " is missing"
}

func (r *rebuild) platform(ctx context.Context, m core.Manifest) (*core.Platform, error) {
	file := r.whole[m.Config]
	if !registry.IsImageConfig(m.ConfigType) || file.Size > registry.MaxConfig {
		return nil, nil
	}
	text, err := registry.Content{Blobs: r.Blobs}.ReadBlob(ctx, file, registry.MaxConfig)
	if err != nil {
		return nil, err
	}
	return registry.PlatformOf(text), nil
}

// place makes one manifest with the rows of its blobs.
func (r *rebuild) place(to *app.Rebuilding, e core.JournalEntry, m core.Manifest) error {
	for _, d := range append(slices.Clone(m.Blobs), core.Descriptor{Digest: m.Digest}) {
		if r.used[d.Digest] {
			continue
		}
		r.used[d.Digest] = true
		file := r.whole[d.Digest]
		if err := to.Blob(file); err != nil {
			return err
		}
		r.result.Blobs++
		r.result.Bytes += file.Size
	}
	if err := to.Manifest(e, m); err != nil {
		return fmt.Errorf("%s: %w", entryName(e), err)
	}
	r.result.Manifests++
	r.Progress.Add(1)
	return nil
}

// rest gives the files that no image uses to the garbage collection. When an
// image was left out they may be parts of it: then they stay without a row,
// which the garbage collection leaves alone.
func (r *rebuild) rest(to *app.Rebuilding) error {
	for digest, file := range r.whole {
		if r.used[digest] {
			continue
		}
		if r.result.Problems > 0 {
			r.result.Kept++
			continue
		}
		if err := to.Blob(file); err != nil {
			return err
		}
	}
	return nil
}

// tidy moves damaged files to the quarantine and removes surplus copies.
func (r *rebuild) tidy(ctx context.Context) error {
	for _, f := range r.bad {
		if err := r.Blobs.Quarantine(ctx, f); err != nil {
			return err
		}
		r.report(Problem{Subject: "blob " + f.Digest.String(), Text: r.faults[f.Digest.String()], Repair: "its file is in the quarantine"})
	}
	for _, f := range r.double {
		if err := r.Blobs.Remove(ctx, f); err != nil {
			return err
		}
	}
	return nil
}
