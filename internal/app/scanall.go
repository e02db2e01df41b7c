package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// ScanAll has every image scanned and returns the id of the job. CodeConflict,
// as in Harbor, while an earlier run goes on.
func (a *App) ScanAll(ctx context.Context, c core.Caller) (id int64, err error) {
	err = a.update(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResScanAll, core.ActCreate); err != nil {
			return err
		}
		if _, err := a.scanning(); err != nil {
			return err
		}
		last, err := s.lastScanAll("")
		if err != nil {
			return err
		}
		if last.ID != 0 && !last.Status.Ended() {
			return core.Errorf(core.CodeConflict, "a previous scan all job aren't finished, its status is %s", last.Status)
		}
		if id, err = s.queue(newJob{kind: JobScanAll, trigger: core.JobTriggerManual, parameters: struct{}{}}); err != nil {
			return err
		}
		return s.audit(act{operation: "create", resourceType: string(core.ResScanAll), resource: "the registry"})
	})
	return id, err
}

// lastScanAll returns the newest scan of everything, of one trigger where that
// is not empty; one without an id when there is none.
func (s *session) lastScanAll(trigger core.JobTrigger) (core.Job, error) {
	q := core.Query{Page: 1, PageSize: 1}
	if trigger != "" {
		q.Filters = []core.Filter{{Field: "trigger", Values: []string{string(trigger)}}}
	}
	jobs, _, err := s.Jobs(JobScanAll, 0, q)
	if err != nil || len(jobs) == 0 {
		return core.Job{}, err
	}
	return jobs[0], nil
}

// StopScanAll has the scan of everything stop soon; where none goes on, nothing
// happens.
func (a *App) StopScanAll(ctx context.Context, c core.Caller) error {
	return a.update(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResScanAll, core.ActStop); err != nil {
			return err
		}
		last, err := s.lastScanAll("")
		if err != nil || last.ID == 0 || last.Status.Ended() {
			return err
		}
		_, err = s.stopJob(JobScanAll, last.ID)
		return err
	})
}

// ScanAllMetrics returns how far the newest scan of everything has come, or the
// newest that a schedule started; a job without an id when there was none.
func (a *App) ScanAllMetrics(ctx context.Context, c core.Caller, scheduled bool) (job core.Job, progress ScanProgress, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResScanAll, core.ActRead); err != nil {
			return err
		}
		trigger := core.JobTrigger("")
		if scheduled {
			trigger = core.JobTriggerSchedule
		}
		job, err = s.lastScanAll(trigger)
		return err
	})
	if err == nil && job.ID != 0 {
		if e := json.Unmarshal([]byte(job.Progress), &progress); e != nil {
			err = fmt.Errorf("progress of job %d: %w", job.ID, e)
		}
	}
	return job, progress, err
}

// ScanAllSchedule returns the schedule of the scan of everything; its type is
// None when there is none.
func (a *App) ScanAllSchedule(ctx context.Context, c core.Caller) (schedule core.Schedule, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResScanAll, core.ActRead); err != nil {
			return err
		}
		schedule, err = s.Schedule(JobScanAll, 0)
		if errors.Is(err, store.ErrNoRow) {
			schedule, err = core.Schedule{Kind: JobScanAll, Type: core.ScheduleNone, Parameters: "{}"}, nil
		}
		return err
	})
	return schedule, err
}

// SetScanAllSchedule replaces the schedule of the scan of everything and returns
// its id, 0 for the type None. action is ActCreate or ActUpdate, the right that
// is needed.
func (a *App) SetScanAllSchedule(ctx context.Context, c core.Caller, action core.Action, typ core.ScheduleType, cron string) (id int64, err error) {
	err = a.update(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResScanAll, action); err != nil {
			return err
		}
		id, err = s.setSchedule(JobScanAll, 0, typ, cron, struct{}{})
		return err
	})
	return id, err
}
