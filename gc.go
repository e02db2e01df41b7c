package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/config"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/jobs"
	"github.com/breakwater-registry/breakwater/registry/fsck"
	"github.com/breakwater-registry/breakwater/registry/gc"
)

// work does the jobs until ctx ends, and first what a garbage collection had
// begun when an earlier process ended.
func (s *server) work(ctx context.Context) error {
	collector := s.collector()
	if err := collector.Resume(ctx); err != nil && ctx.Err() == nil {
		s.log.Error("blobs that were being removed at the last end are still there; the next garbage collection takes them", "error", err)
	}
	handlers := s.jobHandlers(collector)
	handlers[app.JobRetention] = runRetention(s.app)
	handlers[app.JobSignatures] = runSignatures(s.app)
	handlers[app.JobFeeds] = s.runFeeds
	if s.images != nil {
		handlers[app.JobSBOM] = s.makeSBOM
	}
	for _, kind := range app.ScanKinds() {
		handlers[kind] = runScan(s.app)
	}
	handlers[app.JobScrub] = runScrub(fsck.NewScrubber(s.app, s.blobs, s.log))
	return jobs.New(s.app, s.log, handlers).Run(ctx)
}

// collector collects beside the registry that the server has, if any.
func (s *server) collector() *gc.Collector {
	if s.images == nil {
		return gc.New(s.app, s.blobs, nil)
	}
	return gc.New(s.app, s.blobs, s.images.Writing)
}

// jobHandlers are all kinds of background work.
func (s *server) jobHandlers(collector *gc.Collector) map[string]jobs.Handler {
	return map[string]jobs.Handler{
		app.JobGC: func(ctx context.Context, run *jobs.Run) error {
			var options app.GCOptions
			if err := run.Bind(&options); err != nil {
				return err
			}
			_, err := collector.Run(ctx, options, run)
			if err == nil && !options.DryRun {
				err = s.app.PruneScans(ctx) // what is known of images that are gone is garbage too
			}
			return err
		},
	}
}

func gcCommand() *cobra.Command {
	var options app.GCOptions
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Free the space of what no image uses; it works while the registry runs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			cmd.SetContext(ctx)
			return collectGarbage(cmd, options)
		},
	}
	config.Flags(cmd.Flags())
	cmd.Flags().BoolVar(&options.DryRun, "dry-run", false, "count what would be freed and change nothing")
	cmd.Flags().BoolVar(&options.DeleteUntagged, "delete-untagged", false,
		"also remove old untagged manifests, in projects whose metadata untagged_days says so")
	return cmd
}

func collectGarbage(cmd *cobra.Command, options app.GCOptions) error {
	return byRegistry(cmd, func(ctx context.Context, a *app.App) error {
		return follow(ctx, cmd.OutOrStdout(), gcWatch(a, options))
	})
}

// byRegistry lets work queue jobs and wait for them. The running registry does
// them or, when none runs over the data folder, this process.
func byRegistry(cmd *cobra.Command, work func(context.Context, *app.App) error) (err error) {
	cfg, err := settings(cmd)
	if err != nil {
		return err
	}
	if err := hasDatabase(cfg); err != nil {
		return err
	}
	s := &server{cfg: cfg, log: logger(cfg, cmd.ErrOrStderr()), out: cmd.OutOrStdout()}
	defer func() { err = errors.Join(err, s.close()) }()
	err = s.lockData()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return withApp(cmd, work)
	}
	if err != nil {
		return err
	}
	if err := s.openData(cmd.Context()); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	worked := make(chan error, 1)
	go func() { worked <- s.work(ctx) }()
	err = work(cmd.Context(), s.app)
	cancel()
	return errors.Join(err, <-worked)
}

const (
	followEvery = 200 * time.Millisecond
	printEvery  = 5 * time.Second
	// deadAfter is how long a job may give no sign of life.
	deadAfter = time.Minute
)

// watched is a job that a command waits for.
type watched struct {
	what     string // as in "the registry does not work on WHAT 7"
	start    func(context.Context) (id int64, err error)
	read     func(ctx context.Context, id int64) (core.Job, error)
	list     func(context.Context, core.Query) ([]core.Job, int64, error)
	progress func(core.Job) string
	end      func(io.Writer, core.Job) error
}

// follow queues the job and prints how it goes until its end.
func follow(ctx context.Context, out io.Writer, w watched) error {
	id, err := w.start(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	printed := time.Now()
	for {
		job, err := w.read(ctx, id)
		if err != nil {
			return err
		}
		if job.Status.Ended() {
			return w.end(out, job)
		}
		if err := w.working(ctx, job); err != nil {
			return err
		}
		if time.Since(printed) > printEvery {
			printed = time.Now()
			fmt.Fprintf(out, "%s: %s\n", job.Status, w.progress(job))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no longer watched; %s %d goes on in the registry, or when that starts", w.what, id)
		case <-tick.C:
		}
	}
}

var theSystem = core.Caller{Subject: core.System}

// working says whether the job, or the one that it waits for, gives signs of life.
func (w watched) working(ctx context.Context, job core.Job) error {
	latest := job.UpdatedAt
	runs, _, err := w.list(ctx, core.Query{Page: 1, PageSize: 1,
		Filters: []core.Filter{{Field: "status", Values: []string{string(core.JobRunning)}}}})
	if err != nil {
		return err
	}
	for _, run := range runs {
		if run.UpdatedAt.After(latest) {
			latest = run.UpdatedAt
		}
	}
	if time.Since(latest) > deadAfter {
		return fmt.Errorf("the registry does not work on %s %d; it stays queued until the registry starts again", w.what, job.ID)
	}
	return nil
}

func gcWatch(a *app.App, options app.GCOptions) watched {
	return watched{
		what:  "garbage collection",
		start: func(ctx context.Context) (int64, error) { return a.StartGC(ctx, theSystem, options) },
		read:  func(ctx context.Context, id int64) (core.Job, error) { return a.GCRun(ctx, theSystem, id) },
		list: func(ctx context.Context, q core.Query) ([]core.Job, int64, error) {
			return a.GCRuns(ctx, theSystem, q)
		},
		progress: func(job core.Job) string { return resultOf(job).String() },
		end:      func(out io.Writer, job core.Job) error { return printGC(out, options, job) },
	}
}

func resultOf(job core.Job) gc.Result {
	var result gc.Result
	_ = json.Unmarshal([]byte(job.Progress), &result) // before the first report there is none
	return result
}

func printGC(out io.Writer, options app.GCOptions, job core.Job) error {
	verb := "Freed"
	if options.DryRun {
		verb = "Would free"
	}
	if job.Status == core.JobSuccess {
		_, err := fmt.Fprintf(out, "%s %s\n", verb, resultOf(job))
		return err
	}
	return fmt.Errorf("garbage collection %d: %s %s; %s so far", job.ID, job.Status, job.Message, resultOf(job))
}
