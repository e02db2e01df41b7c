package jobs_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/jobs"
	"github.com/breakwater-registry/breakwater/store"
)

var system = core.Caller{Subject: core.System}

// patience bounds what a test waits for.
const patience = 2 * time.Minute

type noJournal struct{}

func (noJournal) Append(entries []core.JournalEntry) (from, to uint64, err error) {
	return 1, uint64(len(entries)), nil
}

func (noJournal) Abort(uint64, uint64) error { return nil }

// queue is a queue with the process that works on it.
type queue struct {
	*app.App
	store *store.Store
	path  string
	stop  func() // ends the process in good order; safe to call twice
}

func newQueue(t *testing.T) *queue {
	t.Helper()
	q := &queue{path: filepath.Join(t.TempDir(), "test.db"), stop: func() {}}
	var err error
	if q.store, err = store.Open(t.Context(), q.path, noJournal{}); err != nil {
		t.Fatal(err)
	}
	if q.App, err = app.New(t.Context(), q.store, nil, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		q.stop()
		q.App.Close()
		if err := q.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return q
}

// work starts a process with these handlers.
func (q *queue) work(t *testing.T, handlers map[string]jobs.Handler) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- jobs.New(q.App, slog.New(slog.DiscardHandler), handlers).Run(ctx) }()
	var done atomic.Bool
	q.stop = func() {
		cancel()
		if done.CompareAndSwap(false, true) {
			if err := <-ended; err != nil {
				t.Errorf("Run = %v", err)
			}
		}
	}
}

// add queues a job; those with dry are different from those without.
func (q *queue) add(t *testing.T, dry bool) int64 {
	t.Helper()
	id, err := q.StartGC(t.Context(), system, app.GCOptions{DryRun: dry})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// until waits until the job is in that state.
func (q *queue) until(t *testing.T, id int64, status core.JobStatus) core.Job {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		job, err := q.GCRun(t.Context(), system, id)
		if err != nil {
			t.Fatal(err)
		}
		if job.Status == status {
			return job
		}
		if time.Now().After(end) {
			t.Fatalf("job %d is %+v; it should be %s", id, job, status)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (q *queue) sql(t *testing.T, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+q.path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func one(handler jobs.Handler) map[string]jobs.Handler {
	return map[string]jobs.Handler{app.JobGC: handler}
}

func TestJobRunsAtOnceAndTellsHowItGoes(t *testing.T) {
	q := newQueue(t)
	q.work(t, one(func(_ context.Context, run *jobs.Run) error {
		var options app.GCOptions
		if err := run.Bind(&options); err != nil || !options.DryRun {
			t.Errorf("Bind = %+v, %v", options, err)
		}
		run.Logf("looking at %s", "things")
		run.Progress(map[string]int{"n": 1})
		run.Progress(map[string]int{"n": 2})
		return nil
	}))
	began := time.Now()
	var id int64
	var job core.Job
	const rounds = 15
	for range rounds { // without a signal each but the first would wait for the next look, every 2 s
		id = q.add(t, true)
		job = q.until(t, id, core.JobSuccess)
	}
	if took := time.Since(began); took > (rounds-2)*2*time.Second {
		t.Errorf("%d jobs took %s: the signal did not wake the runner", rounds, took)
	}
	if job.Progress != `{"n":2}` || job.Trigger != core.JobTriggerManual || job.CreatedBy != "system" || job.EndedAt.IsZero() {
		t.Errorf("the job is %+v", job)
	}
	log, err := q.GCLog(t.Context(), system, id)
	if err != nil || !strings.Contains(log, "looking at things\n") || !strings.Contains(log, "Success") {
		t.Errorf("the log is %q, %v", log, err)
	}
}

func TestJobThatFails(t *testing.T) {
	for name, test := range map[string]struct {
		handler jobs.Handler
		want    string
	}{
		"with words for the user": {func(context.Context, *jobs.Run) error { return core.Errorf(core.CodeNoSpace, "the disk is full") }, "the disk is full"},
		"inside":                  {func(context.Context, *jobs.Run) error { return errors.New("secret detail") }, "internal server error"},
		"with a panic":            {func(context.Context, *jobs.Run) error { panic("secret detail") }, "internal server error"},
	} {
		t.Run(name, func(t *testing.T) {
			q := newQueue(t)
			q.work(t, one(test.handler))
			id := q.add(t, false)
			if job := q.until(t, id, core.JobError); job.Message != test.want {
				t.Errorf("the message is %q, want %q", job.Message, test.want)
			}
			if log, err := q.GCLog(t.Context(), system, id); err != nil || strings.Contains(log, "secret") {
				t.Errorf("the log is %q, %v", log, err)
			}
			next := q.add(t, false)
			q.until(t, next, core.JobError) // the runner goes on
		})
	}
}

// patient is a handler that waits for its end, and tells when it began.
func patient(began chan<- int64) jobs.Handler {
	return func(ctx context.Context, run *jobs.Run) error {
		began <- run.ID
		<-ctx.Done()
		return ctx.Err()
	}
}

func TestOneOfAKindAndStop(t *testing.T) {
	q := newQueue(t)
	began := make(chan int64, 10)
	other := make(chan int64, 10)
	handlers := one(patient(began))
	handlers["other"] = patient(other)
	q.work(t, handlers)
	first, second := q.add(t, false), q.add(t, true)
	if again := q.add(t, true); again != second {
		t.Errorf("a waiting job was queued twice: %d and %d", second, again)
	}
	if got := <-began; got != first {
		t.Errorf("job %d began, want %d", got, first)
	}
	err := q.store.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.QueueJob(core.Job{Kind: "other", Parameters: "{}"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := func(id int64) {
		t.Helper()
		if err := q.StopGC(t.Context(), system, id); err != nil {
			t.Fatal(err)
		}
	}
	third := q.add(t, false) // equal to the first, which does not wait any more
	stop(third)
	q.until(t, third, core.JobStopped) // and wakes the runner
	<-other
	if job := q.until(t, second, core.JobPending); job.Attempts != 0 {
		t.Errorf("two jobs of a kind ran at once: %+v", job)
	}
	stop(first)
	q.until(t, first, core.JobStopped)
	if got := <-began; got != second {
		t.Errorf("job %d began, want %d", got, second)
	}
	stop(second)
	q.until(t, second, core.JobStopped)
	stop(second) // an end is an end
	if err := q.StopGC(t.Context(), system, 999); !core.IsNotFound(err) {
		t.Errorf("an absent job was stopped: %v", err)
	}
}

func TestJobOutlivesTheProcess(t *testing.T) {
	q := newQueue(t)
	began := make(chan int64, 10)
	q.work(t, one(patient(began)))
	id := q.add(t, false)
	<-began
	q.stop()
	if job := q.until(t, id, core.JobPending); job.Attempts != 0 {
		t.Errorf("an orderly end was counted: %+v", job)
	}
	// Killed: the row says Running and nobody is there.
	for attempt := range 4 {
		if _, err := q.StartJob(t.Context(), app.JobGC); err != nil {
			t.Fatal(err)
		}
		if err := q.ResumeJobs(t.Context()); err != nil {
			t.Fatal(err)
		}
		if job := q.until(t, id, core.JobPending); job.Attempts != int64(attempt+1) {
			t.Errorf("attempts = %d, want %d", job.Attempts, attempt+1)
		}
	}
	q.work(t, one(func(context.Context, *jobs.Run) error { return nil }))
	q.until(t, id, core.JobSuccess)
}

func TestJobThatTakesTheProcessDownIsGivenUp(t *testing.T) {
	q := newQueue(t)
	id := q.add(t, false)
	for range 5 {
		if _, err := q.StartJob(t.Context(), app.JobGC); err != nil {
			t.Fatal(err)
		}
		if err := q.ResumeJobs(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if job := q.until(t, id, core.JobError); !strings.Contains(job.Message, "ended 5 times") {
		t.Errorf("the job is %+v", job)
	}
}

func TestStoppedWhileNobodyWorked(t *testing.T) {
	q := newQueue(t)
	id := q.add(t, false)
	if _, err := q.StartJob(t.Context(), app.JobGC); err != nil {
		t.Fatal(err)
	}
	if err := q.StopGC(t.Context(), system, id); err != nil {
		t.Fatal(err)
	}
	q.work(t, one(func(context.Context, *jobs.Run) error { t.Error("it ran"); return nil }))
	q.until(t, id, core.JobStopped)
}

func TestScheduleQueuesItsJobOnce(t *testing.T) {
	q := newQueue(t)
	if _, err := q.SetGCSchedule(t.Context(), system, core.ScheduleDaily, "", app.GCOptions{DryRun: true}); err != nil {
		t.Fatal(err)
	}
	q.sql(t, `UPDATE schedule SET next_at = 1`) // missed many times
	ran := make(chan int64, 10)
	q.work(t, one(func(_ context.Context, run *jobs.Run) error { ran <- run.ID; return nil }))
	job := q.until(t, <-ran, core.JobSuccess)
	if job.Trigger != core.JobTriggerSchedule || !strings.Contains(job.Parameters, `"dry_run":true`) {
		t.Errorf("the job is %+v", job)
	}
	schedule, err := q.GCSchedule(t.Context(), system)
	if err != nil || schedule.Type != core.ScheduleDaily || schedule.Cron != "0 0 0 * * *" || !schedule.NextAt.After(time.Now()) || schedule.NextAt.After(time.Now().Add(25*time.Hour)) {
		t.Errorf("the schedule is %+v, %v", schedule, err)
	}
	if _, total, err := q.GCRuns(t.Context(), system, core.Query{Page: 1, PageSize: 10}); err != nil || total != 1 {
		t.Errorf("%d jobs were queued, %v; want one for all that was missed", total, err)
	}
	if _, err := q.SetGCSchedule(t.Context(), system, core.ScheduleNone, "", app.GCOptions{}); err != nil {
		t.Fatal(err)
	}
	if schedule, err := q.GCSchedule(t.Context(), system); err != nil || schedule.Type != core.ScheduleNone {
		t.Errorf("after None the schedule is %+v, %v", schedule, err)
	}
}

func TestParseSchedule(t *testing.T) {
	now := time.Date(2026, 2, 28, 23, 30, 0, 0, time.FixedZone("east", 3600))
	for _, test := range []struct {
		typ  core.ScheduleType
		cron string
		want string // empty: refused
	}{
		{core.ScheduleHourly, "", "2026-02-28T23:00:00Z"},
		{core.ScheduleDaily, "", "2026-03-01T00:00:00Z"},
		{core.ScheduleWeekly, "", "2026-03-01T00:00:00Z"},
		{core.ScheduleWeekly, "0 15 3 * * 1", "2026-03-02T03:15:00Z"},
		{core.ScheduleCustom, "0 */15 * * * *", "2026-02-28T22:45:00Z"},
		{core.ScheduleCustom, "", ""},
		{core.ScheduleCustom, "0 0 0 30 2 *", ""}, // never
		{core.ScheduleCustom, "* 0 0 * * *", ""},
		{core.ScheduleCustom, "0 * * * * *", ""},
		{core.ScheduleCustom, "0 0 * * *", ""},
		{core.ScheduleCustom, "TZ=Asia/Tokyo 0 0 0 * *", ""},
		{core.ScheduleCustom, "TZ=0", ""},
		{core.ScheduleCustom, "@every 1s", ""},
		{core.ScheduleCustom, "0 61 * * * *", ""},
		{core.ScheduleCustom, "0 0 0 * * *" + strings.Repeat(" ", 300), ""},
		{"Manual", "", ""},
		{"Yearly", "0 0 0 1 1 *", ""},
	} {
		got, err := app.ParseSchedule(test.typ, test.cron, now)
		if test.want == "" {
			if core.ErrorCode(err) != core.CodeBadRequest {
				t.Errorf("%s %q was taken: %+v, %v", test.typ, test.cron, got, err)
			}
			continue
		}
		if err != nil || got.NextAt.Format(time.RFC3339) != test.want {
			t.Errorf("%s %q is due at %s, %v; want %s", test.typ, test.cron, got.NextAt.Format(time.RFC3339), err, test.want)
		}
	}
}
