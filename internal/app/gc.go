package app

import (
	"context"
	"errors"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// JobGC is the kind of the garbage collection's jobs, Harbor's name of them.
const JobGC = "GARBAGE_COLLECTION"

// GCOptions are the parameters of a garbage collection, in Harbor's words.
type GCOptions struct {
	// DryRun counts what would be freed and changes nothing.
	DryRun bool `json:"dry_run"`
	// DeleteUntagged also removes old untagged manifests, in the projects
	// whose metadata untagged_days asks for it.
	DeleteUntagged bool `json:"delete_untagged"`
}

func (s *session) onGC(action core.Action) error {
	return s.onSystem(core.ResGarbageCollection, action)
}

// StartGC queues a garbage collection and returns the id of its job.
func (a *App) StartGC(ctx context.Context, c core.Caller, o GCOptions) (id int64, err error) {
	err = a.update(ctx, c, func(s *session) error {
		if err := s.onGC(core.ActCreate); err != nil {
			return err
		}
		if id, err = s.queue(newJob{kind: JobGC, trigger: core.JobTriggerManual, parameters: o}); err != nil {
			return err
		}
		return s.audit(act{operation: "create", resourceType: string(core.ResGarbageCollection), resource: "the registry", description: o.String()})
	})
	return id, err
}

// String tells what is asked for.
func (o GCOptions) String() string {
	text := "garbage collection"
	if o.DeleteUntagged {
		text += " with untagged manifests"
	}
	if o.DryRun {
		text += ", dry run"
	}
	return text
}

// GCRuns lists the garbage collections, by default the newest first.
func (a *App) GCRuns(ctx context.Context, c core.Caller, q core.Query) (runs []core.Job, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onGC(core.ActList); err != nil {
			return err
		}
		runs, total, err = s.Jobs(JobGC, 0, q)
		return err
	})
	return runs, total, err
}

// GCRun returns one garbage collection.
func (a *App) GCRun(ctx context.Context, c core.Caller, id int64) (run core.Job, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onGC(core.ActRead); err != nil {
			return err
		}
		run, err = s.Job(JobGC, id)
		return noJob(err, id)
	})
	return run, err
}

// GCLog returns what a garbage collection wrote, lines with their time.
func (a *App) GCLog(ctx context.Context, c core.Caller, id int64) (text string, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onGC(core.ActRead); err != nil {
			return err
		}
		text, err = s.JobLog(JobGC, id)
		return noJob(err, id)
	})
	return text, err
}

// StopGC has a garbage collection stop soon; what it freed stays freed. One
// that has ended stays as it is.
func (a *App) StopGC(ctx context.Context, c core.Caller, id int64) error {
	return a.update(ctx, c, func(s *session) error {
		if err := s.onGC(core.ActStop); err != nil {
			return err
		}
		_, err := s.stopJob(JobGC, id)
		return err
	})
}

// GCSchedule returns the schedule of the garbage collection; its type is None
// when there is none.
func (a *App) GCSchedule(ctx context.Context, c core.Caller) (schedule core.Schedule, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onGC(core.ActRead); err != nil {
			return err
		}
		schedule, err = s.Schedule(JobGC, 0)
		if errors.Is(err, store.ErrNoRow) {
			schedule, err = core.Schedule{Kind: JobGC, Type: core.ScheduleNone, Parameters: "{}"}, nil
		}
		return err
	})
	return schedule, err
}

// SetGCSchedule replaces the schedule of the garbage collection and returns its
// id, 0 for the type None.
func (a *App) SetGCSchedule(ctx context.Context, c core.Caller, typ core.ScheduleType, cron string, o GCOptions) (id int64, err error) {
	err = a.update(ctx, c, func(s *session) error {
		if err := s.onGC(core.ActUpdate); err != nil {
			return err
		}
		id, err = s.setSchedule(JobGC, 0, typ, cron, o)
		return err
	})
	return id, err
}
