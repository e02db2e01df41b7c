package fsck_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/fsck"
)

// reports keeps what a pass tells.
type reports struct {
	mu    sync.Mutex
	lines []string
	each  func(fsck.Scrubbed)
}

func (r *reports) Progress(v any) {
	if r.each != nil {
		r.each(v.(fsck.Scrubbed))
	}
}

func (r *reports) Logf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

func (w *world) scrub(ctx context.Context, r *reports) (fsck.Scrubbed, error) {
	return fsck.NewScrubber(w.app, w.blobs, slog.New(slog.DiscardHandler)).Run(ctx, r)
}

func (w *world) setRate(t *testing.T, bytes string) {
	t.Helper()
	must(t, w.app.Configure(t.Context(), system, map[string]string{"scrub_rate": bytes}))
}

const fast = "107374182400"

func TestScrubSetsDamagedAside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newCollection(t, w)
	w.setRate(t, fast)
	if result, err := w.scrub(t.Context(), &reports{}); err != nil || result.Damaged != 0 || result.Blobs != 14 {
		t.Errorf("of a clean registry: %+v, %v", result, err)
	}
	file := w.file(t, c.base)
	flip(t, file)
	gone := w.file(t, c.other.parts[1])
	must(t, os.Remove(gone))
	r := &reports{}
	result, err := w.scrub(t.Context(), r)
	if err != nil || result.Damaged != 2 || !strings.Contains(strings.Join(r.lines, "\n"), digestOf(c.base)+": its content has the digest") {
		t.Errorf("%+v, %v: %q", result, err, r.lines)
	}
	if _, err := os.Stat(filepath.Join(w.data, "quarantine", "sha256."+filepath.Base(file))); err != nil {
		t.Error(err)
	}
	body := w.expect(t, http.StatusNotFound, "GET", "/v2/p/a/blobs/"+digestOf(c.base), "", nil)
	if !strings.Contains(body, "is damaged; push it again") {
		t.Errorf("a pull answers %s", body)
	}
	if n := w.number(t, `SELECT COUNT(*) FROM audit WHERE description LIKE 'damaged: its %'`); n != 2 {
		t.Errorf("%d audit rows", n)
	}
	if result, err := w.scrub(t.Context(), &reports{}); err != nil || result.Damaged != 0 || result.Healed != 0 {
		t.Errorf("the next pass: %+v, %v", result, err)
	}
	must(t, os.WriteFile(gone, c.other.parts[1], 0o640)) // from a backup
	if result, err := w.scrub(t.Context(), &reports{}); err != nil || result.Healed != 1 {
		t.Errorf("the next pass: %+v, %v", result, err)
	}
	w.push(t, "p/b", "1", c.amd)
	c.pull(t, w)
	w.clean(t)
}

// A file that the disk cannot read is left to an administrator.
func TestScrubLeavesUnreadable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newCollection(t, w)
	w.setRate(t, fast)
	file := w.file(t, c.base)
	must(t, os.Remove(file))
	must(t, os.Mkdir(file, 0o700))
	before := w.number(t, `SELECT COUNT(*) FROM blob WHERE damaged_at > 0`)
	result, err := w.scrub(t.Context(), &reports{})
	if after := w.number(t, `SELECT COUNT(*) FROM blob WHERE damaged_at > 0`); err != nil || result.Unreadable != 1 || result.Damaged != 0 || after != before {
		t.Errorf("%+v, %v; %d are marked", result, err, after)
	}
}

// A pass that is interrupted goes on where it was, and is not faster than it may be.
func TestScrubIsSlowAndGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	newCollection(t, w)
	w.setRate(t, "2621440") // ten parts a second
	ctx, cancel := context.WithCancel(t.Context())
	begun := time.Now()
	first, err := w.scrub(ctx, &reports{each: func(s fsck.Scrubbed) {
		if s.Blobs == 4 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || first.Blobs != 4 {
		t.Fatalf("%+v, %v", first, err)
	}
	if took := time.Since(begun); took < 390*time.Millisecond {
		t.Errorf("four parts took %s", took)
	}
	w.setRate(t, "0")
	r := &reports{}
	if result, err := w.scrub(t.Context(), r); err != nil || result.Blobs != 0 || !strings.Contains(strings.Join(r.lines, "\n"), "switched off") {
		t.Errorf("switched off: %+v, %v, %q", result, err, r.lines)
	}
	w.setRate(t, fast)
	if rest, err := w.scrub(t.Context(), &reports{}); err != nil || rest.Blobs != 10 {
		t.Errorf("the rest: %+v, %v", rest, err)
	}
	if again, err := w.scrub(t.Context(), &reports{}); err != nil || again.Blobs != 14 {
		t.Errorf("the next pass: %+v, %v", again, err)
	}
}

func TestScrubIsQueuedWhenDue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	newCollection(t, w)
	waiting := func() int64 {
		t.Helper()
		must(t, w.app.QueueScrub(t.Context()))
		return w.number(t, `SELECT COUNT(*) FROM job WHERE kind = ? AND status = 'Pending'`, app.JobScrub)
	}
	if n := waiting(); n != 0 {
		t.Errorf("%d are queued over a new registry", n)
	}
	w.sql(t, `UPDATE schema_version SET applied_at = 1`)
	w.setRate(t, "0")
	if n := waiting(); n != 0 {
		t.Errorf("%d are queued although it is switched off", n)
	}
	w.setRate(t, fast)
	waiting()
	if n := waiting(); n != 1 {
		t.Errorf("%d are queued when it is due, want 1", n)
	}
	job, err := w.app.StartJob(t.Context(), app.JobScrub)
	must(t, err)
	if n := waiting(); n != 0 {
		t.Errorf("%d are queued while one runs", n)
	}
	_, err = w.scrub(t.Context(), &reports{})
	must(t, err)
	must(t, w.app.EndJob(t.Context(), job, core.JobSuccess, ""))
	if n := waiting(); n != 0 {
		t.Errorf("%d are queued right after a pass", n)
	}
	must(t, w.app.Checks().SetScrubPosition(t.Context(), 3))
	if n := waiting(); n != 1 {
		t.Errorf("%d are queued to end an interrupted pass, want 1", n)
	}
}
