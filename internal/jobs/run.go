package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

// maxLines bounds the part of a job's log that waits to be written, in bytes;
// what comes above it until the next second is dropped.
const maxLines = 64 << 10

// Run is a job while it runs. Its methods may be called concurrently.
type Run struct {
	core.Job
	app    *app.App
	log    *slog.Logger
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	progress string
	lines    strings.Builder
	changed  bool
	reported time.Time
}

// Bind reads the parameters of the job into dst, a pointer.
func (run *Run) Bind(dst any) error {
	if err := json.Unmarshal([]byte(run.Parameters), dst); err != nil {
		return fmt.Errorf("parameters of job %d: %w", run.ID, err)
	}
	return nil
}

// Progress keeps how far the job is: v, which must become a JSON object, takes
// the place of what was kept before. It is cheap: the database is told at most
// once a second.
func (run *Run) Progress(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		run.log.Error("the progress of a job could not be written", "error", err)
		return
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	run.progress, run.changed = string(text), true
}

// Logf adds a line to the log of the job, which administrators read: no
// secrets. A log of more than 256 KiB is cut.
func (run *Run) Logf(format string, args ...any) {
	run.mu.Lock()
	defer run.mu.Unlock()
	if run.lines.Len() < maxLines {
		fmt.Fprintf(&run.lines, "%s "+format+"\n", append([]any{time.Now().UTC().Format(time.RFC3339)}, args...)...)
		run.changed = true
	}
}

// reports writes what changes, and signs of life, until ctx ends.
func (run *Run) reports(ctx context.Context) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			run.report(ctx, false)
		}
	}
}

func (run *Run) report(ctx context.Context, last bool) {
	run.mu.Lock()
	due := run.changed || last || time.Since(run.reported) > aliveEvery
	progress, lines := run.progress, run.lines.String()
	if due {
		run.lines.Reset()
		run.changed, run.reported = false, time.Now()
	}
	run.mu.Unlock()
	if !due {
		return
	}
	if err := run.app.ReportJob(ctx, run.ID, progress, lines); err != nil && ctx.Err() == nil {
		run.log.Error("the progress of a job could not be written", "error", err)
	}
}
