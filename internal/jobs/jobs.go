// Package jobs does the background work that is queued in the database: jobs,
// which the use cases of internal/app queue at once or by a schedule.
//
// A kind of job is a name with a Handler, which main registers. At most one job
// of a kind runs at a time, the oldest first; different kinds run side by side.
// A job that waits is not queued twice. A job survives the end of the process:
// it starts again from the beginning, so a Handler must be able to run twice
// over the same thing. After five starts that ended with the process it is
// given up.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

const (
	// pollEvery is how often the queue is looked at without a signal: for
	// schedules, and for what another process such as the command line queued.
	pollEvery = 2 * time.Second
	// reportEvery is how often the progress of a job is written when it changes.
	reportEvery = time.Second
	// aliveEvery is how often a job gives a sign of life when nothing changes.
	aliveEvery = 10 * time.Second
)

// Handler does the work of one job. It returns soon after ctx is done, with
// any error: the job then is Stopped or, when the process ends, waits for the
// next start. Otherwise nil is Success, and an error is Error with
// core.ErrorMessage as the message.
type Handler func(ctx context.Context, run *Run) error

// Runner works on the queue.
type Runner struct {
	app      *app.App
	log      *slog.Logger
	handlers map[string]Handler
	ended    chan string // kinds of which the job has ended
	running  map[string]*Run
	group    sync.WaitGroup
}

// New makes a Runner with the handler of each kind. Jobs of other kinds wait.
func New(a *app.App, log *slog.Logger, handlers map[string]Handler) *Runner {
	return &Runner{app: a, log: log, handlers: handlers, ended: make(chan string, len(handlers)), running: map[string]*Run{}}
}

// ErrStopped is why the context of a job is done that somebody stopped.
var ErrStopped = errors.New("stopped")

// Run works until ctx ends and the running jobs have returned. Only one Runner
// may run over one data folder.
func (r *Runner) Run(ctx context.Context) error {
	if err := r.app.ResumeJobs(ctx); err != nil && ctx.Err() != nil {
		return nil // stopped just after the start; the next one resumes them
	} else if err != nil {
		return fmt.Errorf("resume the jobs: %w", err)
	}
	defer r.group.Wait()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if err := r.look(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("the queue of jobs could not be read", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.app.JobsChanged():
		case kind := <-r.ended:
			delete(r.running, kind)
		case <-tick.C:
		}
	}
}

// look starts and stops what there is to start and stop now.
func (r *Runner) look(ctx context.Context) error {
	if err := r.app.QueueDueJobs(ctx); err != nil {
		return err
	}
	queue, err := r.app.JobQueue(ctx)
	if err != nil {
		return err
	}
	for _, id := range queue.Stopping {
		for _, run := range r.running {
			if run.ID == id {
				run.cancel(ErrStopped)
			}
		}
	}
	for _, kind := range queue.Kinds {
		if _, busy := r.running[kind]; busy || r.handlers[kind] == nil {
			continue
		}
		if err := r.start(ctx, kind); err != nil {
			return err
		}
	}
	return nil
}

func (r *Runner) start(ctx context.Context, kind string) error {
	job, err := r.app.StartJob(ctx, kind)
	if core.IsNotFound(err) {
		return nil // it was stopped just now
	}
	if err != nil {
		return err
	}
	jobCtx, cancel := context.WithCancelCause(ctx)
	run := &Run{Job: job, app: r.app, log: r.log.With("job", job.ID, "kind", kind), cancel: cancel, progress: job.Progress}
	r.running[kind] = run
	r.group.Go(func() {
		defer func() { r.ended <- kind }() // it has room for every kind
		defer cancel(nil)
		run.work(jobCtx, r.handlers[kind])
	})
	return nil
}

// work runs the handler and writes down how it went.
func (run *Run) work(ctx context.Context, handle Handler) {
	run.log.Info("job started", "attempt", run.Attempts, "by", run.CreatedBy)
	run.Logf("started by %s, attempt %d", run.CreatedBy, run.Attempts)
	reported := make(chan struct{})
	reporting, stop := context.WithCancel(context.WithoutCancel(ctx))
	go func() { defer close(reported); run.reports(reporting) }()
	err := guard(ctx, run, handle)
	stop()
	<-reported
	status, message := outcome(ctx, err)
	run.Logf("%s %s", status, message)
	if status == core.JobError {
		run.log.Error("job failed", "error", err)
	} else {
		run.log.Info("job ended", "status", status)
	}
	// The end is written although ctx may be done.
	last := context.WithoutCancel(ctx)
	run.report(last, true)
	if err := run.app.EndJob(last, run.Job, status, message); err != nil {
		run.log.Error("the end of the job could not be written; it starts again with the registry", "error", err)
	}
}

// guard turns a panic of the handler into an error: one broken kind of job must
// not end the registry.
func guard(ctx context.Context, run *Run, handle Handler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return handle(ctx, run)
}

// outcome tells how a job ended whose handler returned err.
func outcome(ctx context.Context, err error) (core.JobStatus, string) {
	switch {
	case err == nil:
		return core.JobSuccess, ""
	case errors.Is(context.Cause(ctx), ErrStopped):
		return core.JobStopped, ""
	case ctx.Err() != nil:
		return core.JobPending, ""
	}
	return core.JobError, core.ErrorMessage(err)
}
