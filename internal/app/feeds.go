package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// JobFeeds is the kind of the jobs that bring CVE feeds up to date, or import
// them.
const JobFeeds = "FEED_UPDATE"

// FeedJob are the parameters of such a job.
type FeedJob struct {
	// Feeds are the feeds to update; none: all that are on.
	Feeds []string `json:"feeds,omitempty"`
	// Force reads also what has not changed.
	Force bool `json:"force,omitempty"`
	// Import is the name of an uploaded bundle that is to be imported.
	Import string `json:"import,omitempty"`
	// Title is how the one who brought the bundle calls it.
	Title string `json:"title,omitempty"`
}

// String tells what is asked for.
func (j FeedJob) String() string {
	what := "all feeds that are on"
	switch {
	case j.Import != "":
		return "import of " + core.Clip(j.Title, 128)
	case len(j.Feeds) > 0:
		what = strings.Join(j.Feeds, ", ")
	}
	if j.Force {
		what += ", also what has not changed"
	}
	return "update of " + what
}

func (s *session) onFeeds(action core.Action) error { return s.onSystem(core.ResFeed, action) }

// feed returns a feed as it is now.
func feed(tx *store.Tx, name string) (core.Feed, error) {
	set, err := core.FindFeedSet(name)
	if err != nil {
		return core.Feed{}, err
	}
	f, err := tx.Feed(name)
	if errors.Is(err, store.ErrNoRow) {
		return core.Feed{FeedSet: set, Enabled: set.Default}, nil
	}
	f.FeedSet = set
	return f, err
}

func feeds(tx *store.Tx) (all []core.Feed, err error) {
	rows, err := tx.Feeds()
	if err != nil {
		return nil, err
	}
	for _, set := range core.FeedSets() {
		f := core.Feed{FeedSet: set, Enabled: set.Default}
		if i := slices.IndexFunc(rows, func(row core.Feed) bool { return row.Name == set.Name }); i >= 0 {
			f = rows[i]
			f.FeedSet = set
		}
		all = append(all, f)
	}
	return all, nil
}

// Feeds lists all feeds with their state, in the order in which they are shown.
func (a *App) Feeds(ctx context.Context, c core.Caller) (all []core.Feed, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onFeeds(core.ActList); err != nil {
			return err
		}
		all, err = feeds(s.Tx)
		return err
	})
	return all, err
}

// Feed returns one feed with its parts.
func (a *App) Feed(ctx context.Context, c core.Caller, name string) (f core.Feed, parts []core.FeedPart, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onFeeds(core.ActRead); err != nil {
			return err
		}
		if f, err = feed(s.Tx, name); err != nil {
			return err
		}
		parts, err = s.FeedParts(name)
		return err
	})
	return f, parts, err
}

// FeedChange is what is to be changed of a feed's settings; nil stays.
type FeedChange struct {
	Enabled *bool
	// URLs are addresses by the name of the source; an empty one is upstream's.
	URLs map[string]string
}

// ChangeFeed changes the settings of a feed. They are in force from its next
// run on.
func (a *App) ChangeFeed(ctx context.Context, c core.Caller, name string, change FeedChange) error {
	return a.update(ctx, c, func(s *session) error {
		if err := s.onFeeds(core.ActUpdate); err != nil {
			return err
		}
		f, err := feed(s.Tx, name)
		if err != nil {
			return err
		}
		told, err := applyFeedChange(&f, change)
		if err != nil || len(told) == 0 {
			return err
		}
		if err := s.SetFeed(f); err != nil {
			return err
		}
		return s.audit(act{operation: "update", resourceType: string(core.ResFeed), resource: name, description: strings.Join(told, "; ")})
	})
}

// applyFeedChange changes f and tells what is different.
func applyFeedChange(f *core.Feed, change FeedChange) (told []string, err error) {
	if change.Enabled != nil && *change.Enabled != f.Enabled {
		f.Enabled = *change.Enabled
		told = append(told, map[bool]string{true: "switched on", false: "switched off"}[f.Enabled])
	}
	urls := map[string]string{}
	maps.Copy(urls, f.URLs)
	for _, name := range slices.Sorted(maps.Keys(change.URLs)) {
		source, err := f.Source(name)
		if err != nil {
			return nil, err
		}
		before, to := f.URL(source), strings.TrimSpace(change.URLs[name])
		if to == "" || to == source.URL {
			delete(urls, name)
			to = source.URL
		} else if err := core.CheckFeedURL(to); err != nil {
			return nil, err
		} else {
			urls[name] = to
		}
		if to != before {
			told = append(told, fmt.Sprintf("%s: %q -> %q", name, before, to))
		}
	}
	f.URLs = urls
	return told, nil
}

// StartFeedUpdate queues an update of the named feeds, or of all that are on,
// and returns the id of its job.
func (a *App) StartFeedUpdate(ctx context.Context, c core.Caller, job FeedJob) (id int64, err error) {
	job.Import, job.Title = "", ""
	for _, name := range job.Feeds {
		if _, err := core.FindFeedSet(name); err != nil {
			return 0, &core.Error{Code: core.CodeBadRequest, Message: core.ErrorMessage(err), Err: err}
		}
	}
	slices.Sort(job.Feeds)
	job.Feeds = slices.Compact(job.Feeds)
	return a.startFeedJob(ctx, c, job)
}

// StartFeedImport queues the import of a bundle that lies in the folder for
// uploads under the name file; title is how the user calls it.
func (a *App) StartFeedImport(ctx context.Context, c core.Caller, file, title string) (id int64, err error) {
	return a.startFeedJob(ctx, c, FeedJob{Import: file, Title: core.Clip(title, 128)})
}

func (a *App) startFeedJob(ctx context.Context, c core.Caller, job FeedJob) (id int64, err error) {
	err = a.update(ctx, c, func(s *session) error {
		if err := s.onFeeds(core.ActCreate); err != nil {
			return err
		}
		if id, err = s.queue(newJob{kind: JobFeeds, trigger: core.JobTriggerManual, parameters: job}); err != nil {
			return err
		}
		return s.audit(act{operation: "create", resourceType: string(core.ResFeed), resource: "the registry", description: job.String()})
	})
	return id, err
}

// FeedRuns lists the updates and imports, by default the newest first.
func (a *App) FeedRuns(ctx context.Context, c core.Caller, q core.Query) (runs []core.Job, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onFeeds(core.ActList); err != nil {
			return err
		}
		runs, total, err = s.Jobs(JobFeeds, 0, q)
		return err
	})
	return runs, total, err
}

// FeedRun returns one update or import.
func (a *App) FeedRun(ctx context.Context, c core.Caller, id int64) (run core.Job, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onFeeds(core.ActRead); err != nil {
			return err
		}
		run, err = s.Job(JobFeeds, id)
		return noJob(err, id)
	})
	return run, err
}

// FeedLog returns what an update or import wrote, lines with their time.
func (a *App) FeedLog(ctx context.Context, c core.Caller, id int64) (text string, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onFeeds(core.ActRead); err != nil {
			return err
		}
		text, err = s.JobLog(JobFeeds, id)
		return noJob(err, id)
	})
	return text, err
}

// StopFeedRun has an update or import stop soon. The parts of feeds that are
// complete stay; of an import nothing stays.
func (a *App) StopFeedRun(ctx context.Context, c core.Caller, id int64) error {
	return a.update(ctx, c, func(s *session) error {
		if err := s.onFeeds(core.ActStop); err != nil {
			return err
		}
		_, err := s.stopJob(JobFeeds, id)
		return err
	})
}

// FeedSchedule returns when the feeds are updated; its type is None when they
// are not.
func (a *App) FeedSchedule(ctx context.Context, c core.Caller) (schedule core.Schedule, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onFeeds(core.ActRead); err != nil {
			return err
		}
		schedule, err = s.Schedule(JobFeeds, 0)
		if errors.Is(err, store.ErrNoRow) {
			schedule, err = core.Schedule{Kind: JobFeeds, Type: core.ScheduleNone, Parameters: "{}"}, nil
		}
		return err
	})
	return schedule, err
}

// SetFeedSchedule replaces the times at which all feeds that are on are updated
// and returns the id of the schedule, 0 for the type None.
func (a *App) SetFeedSchedule(ctx context.Context, c core.Caller, typ core.ScheduleType, cron string) (id int64, err error) {
	err = a.update(ctx, c, func(s *session) error {
		if err := s.onFeeds(core.ActUpdate); err != nil {
			return err
		}
		id, err = s.setSchedule(JobFeeds, 0, typ, cron, FeedJob{})
		return err
	})
	return id, err
}

// FirstFeedSchedule has a new registry update its feeds once a day: for the
// first time in a minute, and then at a time that is another for each registry,
// so that they do not all ask at once.
func (a *App) FirstFeedSchedule(ctx context.Context) error {
	return a.update(ctx, itself, func(s *session) error {
		minute := rand.IntN(24 * 60)
		daily, err := ParseSchedule(core.ScheduleCustom, fmt.Sprintf("0 %d %d * * *", minute%60, minute/60), s.Now())
		if err != nil {
			return err
		}
		daily.Kind, daily.Parameters, daily.NextAt = JobFeeds, "{}", s.Now().Add(time.Minute)
		_, err = s.SetSchedule(daily)
		return err
	})
}

// The rest is for the job itself; no caller is asked for its rights there.

// FeedsToUpdate returns the feeds that the job is about, with their parts by
// the name of the feed.
func (a *App) FeedsToUpdate(ctx context.Context, job FeedJob) (wanted []core.Feed, parts map[string][]core.FeedPart, err error) {
	parts = map[string][]core.FeedPart{}
	err = a.store.View(ctx, func(tx *store.Tx) error {
		all, err := feeds(tx)
		if err != nil {
			return err
		}
		for _, f := range all {
			if len(job.Feeds) == 0 && !f.Enabled || len(job.Feeds) > 0 && !slices.Contains(job.Feeds, f.Name) {
				continue
			}
			wanted = append(wanted, f)
			if parts[f.Name], err = tx.FeedParts(f.Name); err != nil {
				return err
			}
		}
		return nil
	})
	return wanted, parts, err
}

// RecordFeeds keeps how runs over feeds went, in one transaction. New data has
// every image matched again.
func (a *App) RecordFeeds(ctx context.Context, results ...core.FeedResult) error {
	return a.update(ctx, itself, func(s *session) error {
		changed := false
		for _, result := range results {
			c, err := s.recordFeed(result)
			if err != nil {
				return err
			}
			changed = changed || c
		}
		if !changed {
			return nil
		}
		_, err := s.queue(newJob{kind: JobRematch, trigger: core.JobTriggerEvent, parameters: struct{}{}})
		return err
	})
}

func (s *session) recordFeed(result core.FeedResult) (changed bool, err error) {
	f, err := feed(s.Tx, result.Feed)
	if err != nil {
		return false, err
	}
	parts, err := s.FeedParts(result.Feed)
	if err != nil {
		return false, err
	}
	read := result.ReadAt
	if read.IsZero() {
		read = s.Now()
	}
	for _, part := range result.Parts {
		changed = changed || part.Changed
		if err := s.SetFeedPart(f.Name, s.nextPart(parts, part, read)); err != nil {
			return false, err
		}
	}
	before := f.Error
	f.AttemptedAt, f.Error = s.Now(), result.Summary()
	if f.Error == "" {
		f.SucceededAt = read
	}
	if changed {
		f.ChangedAt, f.Origin = s.Now(), result.Origin
	}
	if err := s.SetFeed(f); err != nil {
		return false, err
	}
	return changed, s.auditFeed(f, before, changed)
}

// nextPart is the state of a part after a run.
func (s *session) nextPart(parts []core.FeedPart, result core.FeedPartResult, read time.Time) core.FeedPart {
	part := core.FeedPart{Name: result.Name}
	if i := slices.IndexFunc(parts, func(p core.FeedPart) bool { return p.Name == result.Name }); i >= 0 {
		part = parts[i]
	}
	part.AttemptedAt, part.Error = s.Now(), result.Error
	if result.Error == "" {
		part.SucceededAt = read
	}
	if result.Changed {
		part.Records, part.Fingerprint, part.ChangedAt = result.Records, result.Fingerprint, s.Now()
	}
	return part
}

// auditFeed tells of new data, and of an error that was not there before.
func (s *session) auditFeed(f core.Feed, before string, changed bool) error {
	if !changed && (f.Error == "" || f.Error == before) {
		return nil
	}
	description := string(f.Origin)
	if f.Error != "" {
		description = core.Clip(f.Error, 500)
	}
	event := s.event(act{operation: "update", resourceType: string(core.ResFeed), resource: f.Name, description: description})
	event.Success = f.Error == ""
	return s.AppendAudit(event)
}
