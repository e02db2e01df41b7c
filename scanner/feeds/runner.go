package feeds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/quay/claircore"
	"github.com/quay/claircore/datastore"
	"github.com/quay/claircore/libvuln/driver"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Runner reads feeds into a database. It does one thing at a time.
type Runner struct {
	// Store is the database of the scanner.
	Store datastore.Updater
	// Rows counts the records of a part that readers see; nil: it is not known.
	Rows func(ctx context.Context, part string) (int64, error)
	// Mappings takes Red Hat's two mapping files.
	Mappings Mappings
	// Room says why nothing more may be written to the disk; nil: there is room.
	Room func() error
	// Agent is sent as User-Agent.
	Agent  string
	Limits Limits
	Log    *slog.Logger
}

// Wish is what Update is asked for.
type Wish struct {
	Feed  core.Feed
	Known []core.FeedPart // the state of its parts
	Proxy Proxy
	Force bool // read also what has not changed
}

// Update brings one feed up to date. What fails is in the result, and leaves
// the data as it was; an error is returned only when ctx ends.
func (r *Runner) Update(ctx context.Context, wish Wish, report func(Progress)) (core.FeedResult, error) {
	run := &run{Runner: r, wish: wish, watch: newWatch(report), result: core.FeedResult{Feed: wish.Feed.Name, Origin: core.FeedFetched}}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer r.watchRoom(ctx, cancel)()
	if err := run.all(ctx); err != nil {
		run.result.Error = err.Error()
	}
	debug.FreeOSMemory() // a large file was in memory
	return run.result, context.Cause(ctx)
}

const roomEvery = time.Second

// watchRoom cancels when there is no room left, until the returned function is
// called. Claircore unpacks what it downloads without a bound.
func (r *Runner) watchRoom(ctx context.Context, cancel context.CancelCauseFunc) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(roomEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-done:
				return
			case <-tick.C:
				if r.Room == nil {
					continue
				}
				if err := r.Room(); err != nil {
					cancel(err)
				}
			}
		}
	}()
	return func() { close(done); <-ended }
}

// run is one Update.
type run struct {
	*Runner
	wish   Wish
	gate   *gate
	client *http.Client
	watch  *watch
	result core.FeedResult
}

func (r *run) all(ctx context.Context) (err error) {
	feed := r.wish.Feed
	r.watch.set(func(p *Progress) { *p = Progress{Feed: feed.Name, Step: StepLook} })
	if r.gate, err = newGate(feed, nil, r.Agent, r.Limits, r.watch); err != nil {
		return err
	}
	transport := newTransport(r.wish.Proxy, r.gate.hostnames())
	defer transport.CloseIdleConnections()
	r.gate.next = transport
	r.client = &http.Client{Transport: r.gate, CheckRedirect: r.gate.redirect}
	limited, cancel := context.WithTimeoutCause(ctx, r.Limits.Part, errTimeout(r.Limits.Part))
	list, err := updaters(limited, feed.Name, r.client, r.watch)
	cancel()
	if err != nil {
		return because(limited, err)
	}
	r.watch.set(func(p *Progress) { p.Total = len(list) })
	if feed.Name == "redhat" {
		r.add(r.mappings(ctx))
	}
	for _, u := range list {
		if ctx.Err() != nil {
			return nil
		}
		r.add(r.part(ctx, u))
	}
	return r.empty()
}

func errTimeout(d time.Duration) error { return fmt.Errorf("it took longer than %s", d) }

func (r *run) add(part core.FeedPartResult) {
	r.result.Parts = append(r.result.Parts, part)
	r.watch.set(func(p *Progress) {
		p.Done++
		if part.Error != "" {
			p.Failed++
		}
	})
	level, attrs := slog.LevelInfo, []any{"feed", r.wish.Feed.Name, "part", part.Name, "changed", part.Changed, "records", part.Records}
	if part.Error != "" {
		level, attrs = slog.LevelWarn, append(attrs, "error", part.Error)
	}
	r.Log.Log(context.Background(), level, "CVE feed read", attrs...)
}

// empty says that a feed has no data at all, which no feed is like.
func (r *run) empty() error {
	for _, part := range r.result.Parts {
		if !part.Changed || part.Records > 0 || part.Error != "" {
			return nil
		}
	}
	return errors.New("the source answers, but holds no data; is the address right?")
}

// known returns the state of the part before.
func (r *run) known(name string) core.FeedPart {
	if i := slices.IndexFunc(r.wish.Known, func(p core.FeedPart) bool { return p.Name == name }); i >= 0 {
		return r.wish.Known[i]
	}
	return core.FeedPart{Name: name}
}

// part brings one part up to date.
func (r *run) part(ctx context.Context, u driver.Updater) core.FeedPartResult {
	result := core.FeedPartResult{Name: u.Name()}
	r.watch.forget()
	r.watch.set(func(p *Progress) { p.Part, p.Step, p.Records = u.Name(), StepDownload, 0 })
	limited, cancel := context.WithTimeoutCause(ctx, r.Limits.Part, errTimeout(r.Limits.Part))
	defer cancel()
	err := r.drive(limited, u, &result)
	if err != nil {
		failure, missing := r.watch.cause()
		if cause := context.Cause(limited); cause != nil {
			err = cause
		} else if failure != nil {
			err = failure
		} else {
			err = explain(err, missing)
		}
		result.Error = core.Clip(err.Error(), maxError)
		result.Changed = false
		r.sweep()
	}
	return result
}

// maxError bounds an error that is kept, in bytes.
const maxError = 1000

// sweep removes the temporary files that claircore leaves behind when the
// download of an OSV file fails.
func (r *run) sweep() {
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "osv.fetch.*"))
	if err != nil || r.wish.Feed.Name != "osv" {
		return
	}
	for _, name := range left {
		if err := os.Remove(name); err != nil {
			r.Log.Warn("a temporary file could not be removed", "error", err)
		}
	}
}

// fetch downloads the part unless it is as it was. The content is a file.
func (r *run) fetch(ctx context.Context, u driver.Updater, before driver.Fingerprint) (content io.ReadCloser, after driver.Fingerprint, err error) {
	if e, ok := u.(driver.EnrichmentUpdater); ok {
		content, after, err = e.FetchEnrichment(ctx, before)
	} else {
		content, after, err = u.Fetch(ctx, before)
	}
	switch {
	case err != nil && content != nil:
		err = errors.Join(err, content.Close())
		content = nil
	case err == nil && content == nil: // as claircore's EPSS says it
		err = driver.Unchanged
	}
	if err != nil {
		return nil, "", err
	}
	return content, after, r.checkSize(content)
}

func (r *run) checkSize(content io.ReadCloser) error {
	file, ok := content.(interface{ Stat() (os.FileInfo, error) })
	if !ok {
		return nil
	}
	info, err := file.Stat()
	if err == nil && info.Size() > r.Limits.Unpacked {
		err = fmt.Errorf("unpacked it has %d bytes, more than the limit of %d", info.Size(), r.Limits.Unpacked)
	}
	if err != nil {
		return errors.Join(err, content.Close())
	}
	return nil
}

func kindOf(u driver.Updater) driver.UpdateKind {
	if _, ok := u.(driver.EnrichmentUpdater); ok {
		return driver.EnrichmentKind
	}
	return driver.VulnerabilityKind
}

// drive fetches, reads and writes a part.
func (r *run) drive(ctx context.Context, u driver.Updater, result *core.FeedPartResult) (err error) {
	before, err := r.fingerprint(ctx, u)
	if err != nil {
		return err
	}
	if r.wish.Force {
		before = ""
	}
	content, after, err := r.fetch(ctx, u, before)
	if errors.Is(err, driver.Unchanged) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeOnce(content)) }()
	r.watch.set(func(p *Progress) { p.Step = StepWrite })
	result.Changed, result.Fingerprint = true, string(after)
	if e, ok := u.(driver.EnrichmentUpdater); ok {
		rows := counted(r, result, enrichments(ctx, e, content))
		_, err := r.Store.UpdateEnrichmentsIter(ctx, u.Name(), after, datastore.EnrichmentIter(rows))
		return err
	}
	if u.Name() == vexPart && !wholeVEX(before, after) {
		return r.delta(ctx, u, content, after, result)
	}
	rows := counted(r, result, vulnerabilities(ctx, u, content))
	_, err = r.Store.UpdateVulnerabilitiesIter(ctx, u.Name(), after, datastore.VulnerabilityIter(rows))
	return err
}

// closeOnce closes what a parser may have closed before.
func closeOnce(c io.Closer) error {
	if err := c.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// fingerprint returns that of the data in the database, "" when there is none.
func (r *run) fingerprint(ctx context.Context, u driver.Updater) (driver.Fingerprint, error) {
	operations, err := r.Store.GetUpdateOperations(ctx, kindOf(u), u.Name())
	if err != nil || len(operations[u.Name()]) == 0 {
		return "", err
	}
	return operations[u.Name()][0].Fingerprint, nil
}

// counted counts the rows of a part, and fails at the end when there were none
// where there were some before.
func counted[T any](r *run, result *core.FeedPartResult, rows func(func(T, error) bool)) func(func(T, error) bool) {
	return func(yield func(T, error) bool) {
		stopped := false
		rows(func(row T, err error) bool {
			if err == nil {
				result.Records++
				r.watch.count(func(p *Progress) { p.Records = result.Records })
			}
			stopped = !yield(row, err) || err != nil
			return !stopped
		})
		if was := r.known(result.Name).Records; !stopped && result.Records == 0 && was > 0 {
			var none T
			yield(none, fmt.Errorf("the source has no data any more; the %d records of before stay", was))
		}
	}
}

// maxDelta is how many changed rows are written as changes, in memory; with
// more the whole archive is read.
const maxDelta = 200_000

// delta writes the documents that changed since the last run.
func (r *run) delta(ctx context.Context, u driver.Updater, content io.Reader, after driver.Fingerprint, result *core.FeedPartResult) error {
	var changed []*claircore.Vulnerability
	var deleted []string
	var failure error
	eachVEX(ctx, content, func(id string, rows []*claircore.Vulnerability, err error) bool {
		failure = err
		if err == nil && len(rows) == 0 {
			deleted = append(deleted, id)
		}
		changed = append(changed, rows...)
		return err == nil && len(changed) <= maxDelta
	})
	switch {
	case failure != nil:
		return failure
	case len(changed) == 0 && len(deleted) == 0:
		result.Changed = false
		return nil
	case len(changed) > maxDelta:
		return r.whole(ctx, u, result)
	}
	result.Records = max(r.known(u.Name()).Records, int64(len(changed)))
	if _, err := r.Store.DeltaUpdateVulnerabilities(ctx, u.Name(), after, changed, deleted); err != nil || r.Rows == nil {
		return err
	}
	rows, err := r.Rows(ctx, u.Name())
	result.Records = rows
	return err
}

// whole reads the part as if there was nothing yet.
func (r *run) whole(ctx context.Context, u driver.Updater, result *core.FeedPartResult) (err error) {
	content, after, err := r.fetch(ctx, u, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeOnce(content)) }()
	result.Fingerprint = string(after)
	rows := counted(r, result, vulnerabilities(ctx, u, content))
	_, err = r.Store.UpdateVulnerabilitiesIter(ctx, u.Name(), after, datastore.VulnerabilityIter(rows))
	return err
}

const (
	// keptOperations is how many operations of a part the database keeps.
	keptOperations = 2
	maxCleanings   = 10_000
)

// Clean removes what no operation shows any more.
func (r *Runner) Clean(ctx context.Context, report func(Progress)) error {
	newWatch(report).set(func(p *Progress) { p.Step = StepClean })
	for range maxCleanings {
		left, err := r.Store.GC(ctx, keptOperations)
		if err != nil || left == 0 {
			return err
		}
	}
	return errors.New("the old data could not be removed in a reasonable number of steps")
}
