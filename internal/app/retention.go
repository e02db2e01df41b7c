package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// JobRetention is the kind of the jobs that run retention policies, Harbor's
// name of them. The target of such a job is the policy.
const JobRetention = "RETENTION"

// metaRetention is the metadata key that tells the id of a project's policy.
const metaRetention = "retention_id"

// retentionOptions are the parameters of a job.
type retentionOptions struct {
	DryRun bool   `json:"dry_run"`
	Actor  string `json:"actor,omitempty"` // the subject that started it; empty for the registry itself
}

func optionsOf(job core.Job) (o retentionOptions, err error) {
	if err := json.Unmarshal([]byte(job.Parameters), &o); err != nil {
		return o, fmt.Errorf("parameters of job %d: %w", job.ID, err)
	}
	return o, nil
}

// RetentionExecution is one run of a retention policy.
type RetentionExecution struct {
	core.Job
	DryRun bool
}

// retentionFor returns the policy when the caller may do action on it. A policy
// is named by its id alone, so what is hidden from the caller is answered like
// what does not exist (CVE-2022-31670).
func (s *session) retentionFor(id int64, action core.Action) (core.RetentionPolicy, core.Project, error) {
	name := fmt.Sprintf("retention policy %d", id)
	if s.caller.Kind == core.KindAnonymous {
		return core.RetentionPolicy{}, core.Project{}, s.deny(name, 0, core.Permission{Resource: core.ResTagRetention, Action: action})
	}
	absent := core.Errorf(core.CodeNotFound, "%s not found", name)
	policy, err := s.Tx.Retention(id)
	if errors.Is(err, store.ErrNoRow) {
		return policy, core.Project{}, absent
	}
	if err != nil {
		return policy, core.Project{}, err
	}
	ref := core.ProjectRef{ID: policy.ProjectID}
	project, err := s.onProject(ref, core.ResTagRetention, action)
	if d, denied := errors.AsType[*denial](err); denied {
		_, unreadable := s.onProject(ref, core.ResTagRetention, core.ActRead)
		if action == core.ActRead || unreadable != nil {
			d.cause = absent
		}
	}
	return policy, project, err
}

// Retention returns a policy by its id.
func (a *App) Retention(ctx context.Context, c core.Caller, id int64) (policy core.RetentionPolicy, err error) {
	err = a.view(ctx, c, func(s *session) error {
		policy, _, err = s.retentionFor(id, core.ActRead)
		return err
	})
	return policy, err
}

// ProjectRetention returns the policy of a project; one without an id when the
// project has none yet.
func (a *App) ProjectRetention(ctx context.Context, c core.Caller, ref core.ProjectRef) (policy core.RetentionPolicy, err error) {
	err = a.view(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResTagRetention, core.ActRead)
		if err != nil {
			return err
		}
		policy.ProjectID = project.ID
		ids, err := s.RetentionIDs(project.ID)
		if id, ok := ids[project.ID]; err == nil && ok {
			policy, err = s.Tx.Retention(id)
		}
		return err
	})
	return policy, err
}

// CreateRetention gives the project that p names its retention policy and
// returns the id; CodeBadRequest, as in Harbor, when it has one.
func (a *App) CreateRetention(ctx context.Context, c core.Caller, p core.RetentionPolicy) (id int64, err error) {
	err = a.update(ctx, c, func(s *session) error {
		project, err := s.onProject(core.ProjectRef{ID: p.ProjectID}, core.ResTagRetention, core.ActCreate)
		if err != nil {
			return err
		}
		if err := p.Validate(); err != nil {
			return err
		}
		others, err := s.RetentionIDs(project.ID)
		if err != nil {
			return err
		}
		if other, ok := others[project.ID]; ok {
			return core.Errorf(core.CodeBadRequest, "project %d already has retention policy %d", project.ID, other)
		}
		if p.ID, err = s.Tx.CreateRetention(p); err != nil {
			return err
		}
		id = p.ID
		return s.schedule(project, p, "create")
	})
	return id, err
}

// UpdateRetention replaces the rules and the schedule of the policy p.ID, whose
// project stays what it is. Where p.UpdatedAt is not zero it is when the editor
// saw the policy change last; CodeConflict when that was not the last time.
func (a *App) UpdateRetention(ctx context.Context, c core.Caller, p core.RetentionPolicy) error {
	return a.update(ctx, c, func(s *session) error {
		old, project, err := s.retentionFor(p.ID, core.ActUpdate)
		if err != nil {
			return err
		}
		if p.ProjectID != old.ProjectID {
			return core.Errorf(core.CodeBadRequest, "the retention policy %d belongs to project %d and cannot move to another", p.ID, old.ProjectID)
		}
		if !p.UpdatedAt.IsZero() && !p.UpdatedAt.Equal(old.UpdatedAt) {
			return changedMeanwhile("the retention rules of " + project.Name)
		}
		if err := p.Validate(); err != nil {
			return err
		}
		if err := s.SetRetention(p); err != nil {
			return err
		}
		return s.schedule(project, p, "update")
	})
}

// schedule has the policy run by its cron, and writes the audit row of the
// change that led here.
func (s *session) schedule(project core.Project, p core.RetentionPolicy, operation string) error {
	if p.Cron == "" {
		if err := s.DeleteSchedule(JobRetention, p.ID); err != nil {
			return err
		}
	} else {
		wanted, err := ParseSchedule(core.ScheduleCustom, p.Cron, s.Now())
		if err != nil {
			return err
		}
		wanted.Kind, wanted.Target, wanted.Parameters = JobRetention, p.ID, `{"dry_run":false}`
		if _, err := s.SetSchedule(wanted); err != nil {
			return err
		}
		s.AfterCommit(s.app.wakeJobs)
	}
	return s.audit(act{operation: operation, resourceType: string(core.ResTagRetention), resource: fmt.Sprintf("%s policy %d", project.Name, p.ID),
		project: project.ID, description: fmt.Sprintf("%d rules, schedule %q", len(p.Rules), p.Cron)})
}

// DeleteRetention removes a policy with its schedule and its executions; one
// that runs is stopped.
func (a *App) DeleteRetention(ctx context.Context, c core.Caller, id int64) error {
	return a.update(ctx, c, func(s *session) error {
		_, project, err := s.retentionFor(id, core.ActDelete)
		if err != nil {
			return err
		}
		if err := s.forgetRetention(id); err != nil {
			return err
		}
		return s.audit(act{operation: "delete", resourceType: string(core.ResTagRetention),
			resource: fmt.Sprintf("%s policy %d", project.Name, id), project: project.ID})
	})
}

func (s *session) forgetRetention(id int64) error {
	if err := s.DeleteSchedule(JobRetention, id); err != nil {
		return err
	}
	if err := s.DeleteJobs(JobRetention, id); err != nil {
		return err
	}
	s.AfterCommit(s.app.wakeJobs)
	return s.Tx.DeleteRetention(id)
}

// forgetRetentionOf removes the policy of a project that is to be deleted.
func (s *session) forgetRetentionOf(project core.Project) error {
	ids, err := s.RetentionIDs(project.ID)
	if err != nil {
		return err
	}
	if id, ok := ids[project.ID]; ok {
		return s.forgetRetention(id)
	}
	return nil
}

// withoutRetention leaves the policy's id out of metadata to be written when it
// is what it is already: clients send back all that they have read.
func (s *session) withoutRetention(project core.Project, values map[string]string) (map[string]string, error) {
	id, given := values[metaRetention]
	if !given {
		return values, nil
	}
	ids, err := s.RetentionIDs(project.ID)
	if current, has := ids[project.ID]; err != nil || !has || id != strconv.FormatInt(current, 10) {
		return values, err
	}
	values = maps.Clone(values)
	delete(values, metaRetention)
	return values, nil
}

// StartRetention queues a run of a policy and returns the id of the execution.
// A dry run decides as any other and deletes nothing.
func (a *App) StartRetention(ctx context.Context, c core.Caller, id int64, dryRun bool) (execution int64, err error) {
	err = a.update(ctx, c, func(s *session) error {
		_, project, err := s.retentionFor(id, core.ActUpdate)
		if err != nil {
			return err
		}
		options := retentionOptions{DryRun: dryRun, Actor: s.caller.Subject.String()}
		if execution, err = s.queue(newJob{kind: JobRetention, target: id, trigger: core.JobTriggerManual, parameters: options}); err != nil {
			return err
		}
		return s.audit(act{operation: string(core.ActOperate), resourceType: string(core.ResTagRetention),
			resource: fmt.Sprintf("%s policy %d", project.Name, id), project: project.ID,
			description: fmt.Sprintf("execution %d, dry run: %t", execution, dryRun)})
	})
	return execution, err
}

// RetentionExecutions lists the runs of a policy, by default the newest first,
// and counts all that match.
func (a *App) RetentionExecutions(ctx context.Context, c core.Caller, id int64, q core.Query) (runs []RetentionExecution, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if _, _, err := s.retentionFor(id, core.ActList); err != nil {
			return err
		}
		jobs, n, err := s.Jobs(JobRetention, id, q)
		total = n
		for _, job := range jobs {
			options, e := optionsOf(job)
			err = errors.Join(err, e)
			runs = append(runs, RetentionExecution{job, options.DryRun})
		}
		return err
	})
	return runs, total, err
}

// retentionExecution returns a run that must be the policy's.
func (s *session) retentionExecution(policy core.RetentionPolicy, id int64) (core.Job, error) {
	job, err := s.Job(JobRetention, id)
	if errors.Is(err, store.ErrNoRow) || (err == nil && job.Target != policy.ID) {
		return core.Job{}, core.Errorf(core.CodeNotFound, "retention policy %d has no execution %d; the oldest are forgotten", policy.ID, id)
	}
	return job, err
}

// StopRetention has an execution stop soon; what it deleted stays deleted. One
// that has ended stays as it is.
func (a *App) StopRetention(ctx context.Context, c core.Caller, id, execution int64) error {
	return a.update(ctx, c, func(s *session) error {
		policy, project, err := s.retentionFor(id, core.ActUpdate)
		if err != nil {
			return err
		}
		if _, err := s.retentionExecution(policy, execution); err != nil {
			return err
		}
		stopped, err := s.StopJob(execution)
		if err != nil || !stopped {
			return err
		}
		s.AfterCommit(s.app.wakeJobs)
		return s.audit(act{operation: string(core.ActStop), resourceType: string(core.ResTagRetention),
			resource: fmt.Sprintf("%s policy %d", project.Name, id), project: project.ID, description: fmt.Sprintf("execution %d", execution)})
	})
}

// RetentionTasks lists the repositories that an execution is about, as far as
// it has come, and counts all that match.
func (a *App) RetentionTasks(ctx context.Context, c core.Caller, id, execution int64, q core.Query) (tasks []core.RetentionTask, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		policy, _, err := s.retentionFor(id, core.ActList)
		if err != nil {
			return err
		}
		job, err := s.retentionExecution(policy, execution)
		if err != nil {
			return err
		}
		tasks, total, err = s.Tx.RetentionTasks(job.ID, q)
		for i := range tasks {
			tasks[i] = ended(tasks[i], job)
		}
		return err
	})
	return tasks, total, err
}

// ended gives a task whose job was cut off the end of the job.
func ended(t core.RetentionTask, job core.Job) core.RetentionTask {
	if job.Status.Ended() && !t.Status.Ended() {
		t.Status, t.EndedAt = job.Status, job.EndedAt
	}
	return t
}

// RetentionTask returns one task of an execution with what happened, or in a
// dry run would have happened, to each tag of the repository.
func (a *App) RetentionTask(ctx context.Context, c core.Caller, id, execution, task int64) (t core.RetentionTask, results []core.RetentionResult, err error) {
	err = a.view(ctx, c, func(s *session) error {
		policy, _, err := s.retentionFor(id, core.ActRead)
		if err != nil {
			return err
		}
		job, err := s.retentionExecution(policy, execution)
		if err != nil {
			return err
		}
		t, results, err = s.Tx.RetentionTask(job.ID, task)
		if errors.Is(err, store.ErrNoRow) {
			return core.Errorf(core.CodeNotFound, "execution %d has no task %d", execution, task)
		}
		t = ended(t, job)
		return err
	})
	return t, results, err
}

// SeeRetentionTemplates authorises the list of what a policy can be made of,
// which is for every account.
func (a *App) SeeRetentionTemplates(ctx context.Context, c core.Caller) error {
	return a.view(ctx, c, func(s *session) error { return s.signedIn("see the retention templates") })
}
