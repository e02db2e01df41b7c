package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/jobs"
	"github.com/breakwater-registry/breakwater/scanner/feeds"
	"github.com/breakwater-registry/breakwater/scanner/vulndb"
)

func (s *server) bundles() bundleFolder { return newBundleFolder(s.cfg.Data, s.blobs.CheckSpace) }

func userAgent() string { return "Breakwater/" + version }

// feedProgress is what the job of a run reports.
type feedProgress struct {
	feeds.Progress
	Feeds     int `json:"feeds"`      // that the run is about
	FeedsDone int `json:"feeds_done"` // of these
}

// runFeeds does the jobs of the CVE feeds: an update, or an import.
func (s *server) runFeeds(ctx context.Context, run *jobs.Run) error {
	var job app.FeedJob
	if err := run.Bind(&job); err != nil {
		return err
	}
	store, err := s.scanner.Vulnerabilities(ctx)
	if err != nil {
		return err
	}
	if job.Import != "" {
		return s.importFeeds(ctx, run, job, store)
	}
	return s.updateFeeds(ctx, run, job, store)
}

func (s *server) updateFeeds(ctx context.Context, run *jobs.Run, job app.FeedJob, store *vulndb.Store) error {
	if s.cfg.Offline {
		return core.Errorf(core.CodePrecondition, "this registry was started with the setting offline and does not ask the internet; import a bundle that breakwater feeds export has made elsewhere")
	}
	wanted, parts, err := s.app.FeedsToUpdate(ctx, job)
	if err != nil {
		return err
	}
	settings := s.app.Settings()
	runner := &feeds.Runner{Store: store, Rows: rowsOf(store), Mappings: feeds.MappingFolder(s.scanner.MappingDir()), Room: s.blobs.CheckSpace, Agent: userAgent(), Limits: feeds.DefaultLimits(), Log: s.log}
	proxy := feeds.Proxy{URL: settings.OutgoingProxy, None: settings.OutgoingNoProxy}
	var failed []string
	var sum feeds.Progress // what the job tells at its end
	for i, feed := range wanted {
		report := func(p feeds.Progress) { run.Progress(feedProgress{p, len(wanted), i}) }
		result, err := runner.Update(ctx, feeds.Wish{Feed: feed, Known: parts[feed.Name], Proxy: proxy, Force: job.Force}, report)
		if err != nil && ctx.Err() != nil {
			return err // stopped, or the end of the process: neither is the feed's fault
		}
		logFeed(run, result, &sum)
		if err := s.app.RecordFeeds(ctx, result); err != nil {
			return err
		}
		if result.Summary() != "" {
			failed = append(failed, feed.Name)
		}
	}
	if err := runner.Clean(ctx, func(p feeds.Progress) {
		p.Imported, p.Failed = sum.Imported, sum.Failed
		run.Progress(feedProgress{p, len(wanted), len(wanted)})
	}); err != nil {
		return err
	}
	if len(failed) > 0 {
		return core.Errorf(core.CodeUnavailable, "%d of %d feeds are not up to date: %s; their pages and the log of this run say why", len(failed), len(wanted), strings.Join(failed, ", "))
	}
	return nil
}

// rowsOf counts the records that readers see of a part.
func rowsOf(store *vulndb.Store) func(ctx context.Context, part string) (int64, error) {
	return func(ctx context.Context, part string) (int64, error) {
		statuses, err := store.UpdaterStatuses(ctx)
		for _, status := range statuses {
			if status.Name == part {
				return status.Rows, err
			}
		}
		return 0, err
	}
}

// logFeed writes how a run over a feed went, and adds it to the sum.
func logFeed(run *jobs.Run, result core.FeedResult, sum *feeds.Progress) {
	changed, records := 0, int64(0)
	for _, part := range result.Parts {
		if part.Changed {
			changed++
			records += part.Records
		}
		if part.Error != "" {
			sum.Failed++
			run.Logf("%s: %s: %s", result.Feed, part.Name, part.Error)
		}
	}
	sum.Imported += records
	if result.Error != "" {
		sum.Failed++
		run.Logf("%s: %s", result.Feed, result.Error)
		return
	}
	run.Logf("%s: %d of %d parts have new data, %d records", result.Feed, changed, len(result.Parts), records)
}

// importFeeds imports a bundle, which is removed unless the process ends.
func (s *server) importFeeds(ctx context.Context, run *jobs.Run, job app.FeedJob, store *vulndb.Store) (err error) {
	folder := s.bundles()
	path, err := folder.find(job.Import)
	if err != nil {
		return err
	}
	defer func() {
		if ctx.Err() == nil || errors.Is(context.Cause(ctx), jobs.ErrStopped) {
			err = errors.Join(err, folder.Discard(job.Import))
		}
	}()
	importer := &feeds.Importer{Begin: func(context.Context) (feeds.Batch, error) { return store.Begin(), nil }, Mappings: feeds.MappingFolder(s.scanner.MappingDir()),
		Room: s.blobs.CheckSpace, Pace: s.pacer.rest, Log: s.log}
	results, err := importer.Import(ctx, path, func(p feeds.Progress) { run.Progress(p) }, func(text string) { run.Logf("%s", text) })
	if err != nil {
		return err
	}
	var sum feeds.Progress
	for _, result := range results {
		logFeed(run, result, &sum)
	}
	if err := s.app.RecordFeeds(ctx, results...); err != nil {
		return err
	}
	runner := &feeds.Runner{Store: store, Log: s.log}
	if err := runner.Clean(ctx, func(p feeds.Progress) {
		p.Imported, p.Failed = sum.Imported, sum.Failed
		run.Progress(p)
	}); err != nil {
		return err
	}
	return missing(results)
}

// missing tells what the machine that exported could not read.
func missing(results []core.FeedResult) error {
	var failed []string
	for _, result := range results {
		if text := result.Summary(); text != "" {
			failed = append(failed, fmt.Sprintf("%s: %s", result.Feed, text))
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return core.Errorf(core.CodeUnavailable, "imported, but the bundle is not complete: %s", core.Clip(strings.Join(failed, "; "), 1000))
}
