package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

const (
	// keptJobs is how many jobs of one kind and target stay in the history.
	keptJobs = 200
	// maxAttempts is how often a job is started: one that takes the process
	// down with it must not do so for ever.
	maxAttempts = 5
)

// newJob is work to be queued.
type newJob struct {
	kind       string
	target     int64 // such as a project's id; 0: the registry
	trigger    core.JobTrigger
	parameters any // becomes a JSON object
}

// queue adds a job that starts once the transaction is durable, and returns
// its id. Where an equal one waits already, that one is enough.
func (s *session) queue(n newJob) (int64, error) {
	parameters, err := json.Marshal(n.parameters)
	if err != nil {
		return 0, fmt.Errorf("parameters of %s: %w", n.kind, err)
	}
	s.AfterCommit(s.app.wakeJobs)
	return s.QueueJob(core.Job{Kind: n.kind, Target: n.target, Parameters: string(parameters), Trigger: n.trigger, CreatedBy: s.username})
}

// stopJob ends a waiting job and has a running one stopped soon; one that has
// ended stays as it is. CodeNotFound when there is no such job.
func (s *session) stopJob(kind string, id int64) (core.Job, error) {
	job, err := s.Job(kind, id)
	if err != nil {
		return job, noJob(err, id)
	}
	stopped, err := s.StopJob(id)
	if err != nil || !stopped {
		return job, err
	}
	s.AfterCommit(s.app.wakeJobs)
	return job, s.audit(act{operation: "stop", resourceType: "job", resource: fmt.Sprintf("%s %d", kind, id)})
}

func noJob(err error, id int64) error {
	if errors.Is(err, store.ErrNoRow) {
		return core.Errorf(core.CodeNotFound, "there is no such job %d; the oldest are forgotten, the list shows the others", id)
	}
	return err
}

func (a *App) wakeJobs() {
	select {
	case a.jobs <- struct{}{}:
	default: // a signal waits already
	}
}

// ParseSchedule makes a schedule of Harbor's type and cron: six fields, seconds
// first, in UTC. As in Harbor the seconds must be 0 and the minutes no *. The
// named types have a usual cron that stands in for an empty one.
func ParseSchedule(typ core.ScheduleType, expression string, now time.Time) (core.Schedule, error) {
	usual, known := map[core.ScheduleType]string{core.ScheduleHourly: "0 0 * * * *", core.ScheduleDaily: "0 0 0 * * *",
		core.ScheduleWeekly: "0 0 0 * * 0", core.ScheduleCustom: ""}[typ]
	if !known {
		return core.Schedule{}, core.Errorf(core.CodeBadRequest, "the schedule type %q is not known; use Hourly, Daily, Weekly, Custom or None", core.Clip(string(typ), 32))
	}
	if expression == "" {
		expression = usual
	}
	next, err := nextTime(expression, now)
	return core.Schedule{Type: typ, Cron: expression, NextAt: next}, err
}

// nextTime is when the cron expression is due for the first time after now.
func nextTime(expression string, now time.Time) (time.Time, error) {
	wrong := func(why string) error {
		return core.Errorf(core.CodeBadRequest, "the cron %q cannot be used: %s. It has six fields in UTC: seconds (0), minutes, hours, day of month, month, day of week, such as 0 0 2 * * *",
			core.Clip(expression, 64), why)
	}
	fields := strings.Fields(expression)
	if len(fields) != 6 || len(expression) > 255 {
		return time.Time{}, wrong("it does not have six fields")
	}
	if fields[0] != "0" || fields[1] == "*" {
		return time.Time{}, wrong("the seconds must be 0 and the minutes no *, so that it is not due all the time")
	}
	parser := cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	schedule, err := parser.Parse(expression)
	if err != nil {
		return time.Time{}, wrong(core.Clip(err.Error(), 100))
	}
	next := schedule.Next(now.UTC())
	if next.IsZero() {
		return time.Time{}, wrong("it is never due")
	}
	return next, nil
}

// setSchedule replaces the schedule of the kind about the target and returns
// its id; with type None there is none any more.
func (s *session) setSchedule(kind string, target int64, typ core.ScheduleType, expression string, parameters any) (id int64, err error) {
	text, err := json.Marshal(parameters)
	if err != nil {
		return 0, fmt.Errorf("parameters of %s: %w", kind, err)
	}
	description := string(typ)
	if typ == core.ScheduleNone {
		err = s.DeleteSchedule(kind, target)
	} else {
		var wanted core.Schedule
		if wanted, err = ParseSchedule(typ, expression, s.Now()); err != nil {
			return 0, err
		}
		wanted.Kind, wanted.Target, wanted.Parameters = kind, target, string(text)
		description = fmt.Sprintf("%s %s %s", typ, wanted.Cron, text)
		id, err = s.SetSchedule(wanted)
	}
	if err != nil {
		return 0, err
	}
	return id, s.audit(act{operation: "update", resourceType: "schedule", resource: kind, description: description})
}

// The rest is for internal/jobs, which does the work; no caller is asked for
// its rights there.

// JobsChanged receives after a job was queued or is to be stopped by this
// process. It is for one receiver.
func (a *App) JobsChanged() <-chan struct{} { return a.jobs }

// ResumeJobs has the jobs wait again that ran when an earlier process died. It
// must be called before any other job starts, by the one process that works on
// the data folder.
func (a *App) ResumeJobs(ctx context.Context) error {
	return a.store.Update(ctx, func(tx *store.Tx) error {
		running, err := tx.RunningJobs()
		for _, job := range running {
			switch {
			case err != nil:
			case job.Stopping:
				err = tx.EndJob(job.ID, core.JobStopped, "")
			case job.Attempts >= maxAttempts:
				err = tx.EndJob(job.ID, core.JobError, fmt.Sprintf("given up: the registry ended %d times while this job ran", job.Attempts))
			default:
				err = tx.ResumeJob(job.ID)
			}
		}
		return err
	})
}

// QueueDueJobs queues the jobs of all schedules whose time has come. What was
// missed while nothing ran is made up for once.
func (a *App) QueueDueJobs(ctx context.Context) error {
	var due []core.Schedule
	list := func(tx *store.Tx) (err error) {
		due, err = tx.DueSchedules()
		return err
	}
	if err := a.store.View(ctx, list); err != nil || len(due) == 0 {
		return err
	}
	return a.store.Update(ctx, func(tx *store.Tx) error {
		if err := list(tx); err != nil {
			return err
		}
		for _, schedule := range due {
			if err := queueDue(tx, schedule); err != nil {
				return err
			}
		}
		return nil
	})
}

func queueDue(tx *store.Tx, s core.Schedule) error {
	next, err := nextTime(s.Cron, tx.Now())
	if err != nil {
		return fmt.Errorf("the schedule of %s: %w", s.Kind, err)
	}
	if err := tx.MoveSchedule(s.ID, next); err != nil {
		return err
	}
	_, err = tx.QueueJob(core.Job{Kind: s.Kind, Target: s.Target, Parameters: s.Parameters, Trigger: core.JobTriggerSchedule,
		CreatedBy: string(core.KindSystem)})
	return err
}

// JobQueue is what there is to do.
type JobQueue struct {
	Kinds    []string // a job of each waits
	Stopping []int64  // running jobs that are to be stopped
}

// JobQueue tells what there is to do.
func (a *App) JobQueue(ctx context.Context) (q JobQueue, err error) {
	err = a.store.View(ctx, func(tx *store.Tx) error {
		if q.Kinds, err = tx.PendingKinds(); err != nil {
			return err
		}
		q.Stopping, err = tx.StoppingJobs()
		return err
	})
	return q, err
}

// StartJob makes the oldest waiting job of the kind a running one; CodeNotFound
// when none waits or one runs.
func (a *App) StartJob(ctx context.Context, kind string) (job core.Job, err error) {
	err = a.store.Update(ctx, func(tx *store.Tx) error {
		job, err = tx.StartJob(kind)
		return err
	})
	return job, a.result(itself, err)
}

// ReportJob keeps the progress of a running job, a JSON object, and appends to
// its log.
func (a *App) ReportJob(ctx context.Context, id int64, progress, log string) error {
	return a.store.Update(ctx, func(tx *store.Tx) error { return tx.ReportJob(id, progress, log) })
}

// EndJob gives a running job its end. With JobPending it waits again: it was
// interrupted by the end of the process. Old jobs leave the history.
func (a *App) EndJob(ctx context.Context, job core.Job, status core.JobStatus, message string) error {
	return a.store.Update(ctx, func(tx *store.Tx) error {
		if status == core.JobPending {
			return tx.RequeueJob(job.ID)
		}
		if err := tx.EndJob(job.ID, status, message); err != nil {
			return err
		}
		return tx.TrimJobs(job.Kind, job.Target, keptJobs)
	})
}
