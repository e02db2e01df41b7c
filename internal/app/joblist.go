package app

import (
	"context"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Jobs reads one page of the background work of every kind, the newest first,
// for a system admin.
func (a *App) Jobs(ctx context.Context, c core.Caller, filters []core.Filter, w core.Window) (jobs []core.Job, ends core.Ends, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResJobs, core.ActList); err != nil {
			return err
		}
		jobs, ends, err = s.JobsPage(filters, w)
		return err
	})
	return jobs, ends, err
}

// Running lists the jobs that run now, to a system admin.
func (a *App) Running(ctx context.Context, c core.Caller) (jobs []core.Job, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResJobs, core.ActList); err != nil {
			return err
		}
		jobs, err = s.RunningJobs()
		return err
	})
	return jobs, err
}

// AnyJob returns one job, whatever its kind.
func (a *App) AnyJob(ctx context.Context, c core.Caller, id int64) (job core.Job, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResJobs, core.ActRead); err != nil {
			return err
		}
		job, err = s.Tx.AnyJob(id)
		return noJob(err, id)
	})
	return job, err
}

// AnyJobLog returns what a job wrote, lines with their time.
func (a *App) AnyJobLog(ctx context.Context, c core.Caller, id int64) (text string, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResJobs, core.ActRead); err != nil {
			return err
		}
		text, err = s.Tx.AnyJobLog(id)
		return noJob(err, id)
	})
	return text, err
}

// StopAnyJob has a job stop soon; one that has ended stays as it is.
func (a *App) StopAnyJob(ctx context.Context, c core.Caller, id int64) error {
	return a.update(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResJobs, core.ActStop); err != nil {
			return err
		}
		job, err := s.Tx.AnyJob(id)
		if err != nil {
			return noJob(err, id)
		}
		_, err = s.stopJob(job.Kind, id)
		return err
	})
}
