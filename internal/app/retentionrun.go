package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

const (
	// retentionBatch is how many artifacts one transaction deletes, so that a
	// run never holds up a push for long.
	retentionBatch = 20
	// keptRetentionTasks is of how many executions the tasks are kept.
	keptRetentionTasks = 20
)

// RetentionProgress is how far a run has come.
type RetentionProgress struct {
	Repositories int   `json:"repositories"`
	Done         int   `json:"done"`
	Artifacts    int64 `json:"artifacts"`
	Deleted      int64 `json:"deleted"` // in a dry run: that would be
}

// RunRetention does the work of a job of the kind JobRetention. It acts with
// the rights of the registry itself, on behalf of who started it: whoever may
// write a policy may have it run. report is told of every repository that is
// done. Interrupted, it leaves off between two transactions; called again with
// the same job it goes on with the repositories that are left. Its error is
// that of ctx, or tells that not all could be done.
func (a *App) RunRetention(ctx context.Context, job core.Job, report func(progress RetentionProgress, line string)) error {
	options, err := optionsOf(job)
	if err != nil {
		return err
	}
	run := retentionRun{app: a, job: job, options: options}
	names, err := run.plan(ctx)
	if err != nil {
		return err
	}
	progress := RetentionProgress{Repositories: len(names)}
	failed := 0
	for _, name := range names {
		task, err := run.repository(ctx, name)
		if err != nil {
			return err
		}
		if task.Status == core.JobError {
			failed++
		}
		progress.Done++
		progress.Artifacts += task.Total
		progress.Deleted += task.Total - task.Retained
		report(progress, fmt.Sprintf("%s: %s, %d of %d artifacts retained%s", name, task.Status, task.Retained, task.Total, prefixed("; ", task.Message)))
	}
	err = a.store.Update(ctx, func(tx *store.Tx) error { return tx.TrimRetentionTasks(JobRetention, job.Target, keptRetentionTasks) })
	if failed > 0 {
		err = errors.Join(core.Errorf(core.CodeUnavailable, "%d of %d repositories failed; their tasks tell why", failed, len(names)), err)
	}
	return err
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

// retentionRun is one execution.
type retentionRun struct {
	app     *App
	job     core.Job
	options retentionOptions
	policy  core.RetentionPolicy
	project core.Project
}

// plan reads the policy and returns the repositories that are to be done.
func (r *retentionRun) plan(ctx context.Context) (names []string, err error) {
	err = r.app.view(ctx, itself, func(s *session) error {
		if r.policy, r.project, err = s.retentionFor(r.job.Target, core.ActOperate); err != nil {
			return err
		}
		all, err := s.RepositoryNames(r.project.ID)
		if err != nil {
			return err
		}
		done, err := s.EndedRetentionTasks(r.job.ID)
		if err != nil {
			return err
		}
		for _, name := range all {
			_, applies, err := r.policy.For(name)
			if err != nil {
				return err
			}
			if _, found := slices.BinarySearch(done, name); applies && !found {
				names = append(names, name)
			}
		}
		return nil
	})
	return names, err
}

// repository does one repository. What goes wrong in it is told in its task;
// an error is that of the run.
func (r *retentionRun) repository(ctx context.Context, name string) (task core.RetentionTask, err error) {
	err = r.app.store.Update(ctx, func(tx *store.Tx) error {
		task, err = tx.BeginRetentionTask(r.job.ID, name)
		return err
	})
	if err != nil {
		return task, err
	}
	candidates, fates, err := r.decide(ctx, name)
	if err == nil && !r.options.DryRun {
		err = r.remove(ctx, name, candidates, fates)
	}
	if ctx.Err() != nil {
		return task, ctx.Err()
	}
	task.Status = core.JobSuccess
	if err != nil {
		r.app.log.Error("tag retention failed in a repository", "repository", name, "execution", r.job.ID, "error", err)
		task.Status, task.Message = core.JobError, core.ErrorMessage(err)
	}
	results := []core.RetentionResult{}
	for i, c := range candidates {
		task.Total++
		if fates[i] != core.FateDeleted {
			task.Retained++
		}
		results = append(results, c.Results(fates[i])...)
	}
	err = r.app.store.Update(ctx, func(tx *store.Tx) error { return tx.EndRetentionTask(task, results) })
	return task, err
}

// decide reads the repository and decides about it as it is at one moment.
func (r *retentionRun) decide(ctx context.Context, name string) (candidates []core.RetentionCandidate, fates []core.Fate, err error) {
	err = r.app.view(ctx, itself, func(s *session) error {
		repo, err := s.RepositoryByName(name)
		if errors.Is(err, store.ErrNoRow) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		if candidates, err = s.RetentionCandidates(repo.ID, ""); err != nil {
			return err
		}
		digests, err := s.ArtifactDigests(repo.ID)
		if err != nil {
			return err
		}
		immutable, err := s.immutability(r.project.ID, name)
		if err != nil {
			return err
		}
		rules, _, err := r.policy.For(name)
		fates = rules.Decide(candidates, setOf(digests), immutable, s.Now())
		return err
	})
	return candidates, fates, err
}

func setOf(texts []string) map[string]bool {
	set := make(map[string]bool, len(texts))
	for _, t := range texts {
		set[t] = true
	}
	return set
}

// remove deletes what is to be deleted, some artifacts at a time, and corrects
// the fates of those that have changed since the decision. With an error, the
// rest is left as it is.
func (r *retentionRun) remove(ctx context.Context, name string, candidates []core.RetentionCandidate, fates []core.Fate) error {
	var doomed []int
	for i, fate := range fates {
		if fate == core.FateDeleted {
			doomed = append(doomed, i)
		}
	}
	// What belongs to another artifact goes after it, if that really went.
	slices.SortStableFunc(doomed, func(a, b int) int {
		return min(len(candidates[a].Follows()), 1) - min(len(candidates[b].Follows()), 1)
	})
	for batch := range slices.Chunk(doomed, retentionBatch) {
		really := make([]core.Fate, len(batch))
		err := r.app.update(ctx, itself, func(s *session) error { return r.removeBatch(s, name, candidates, batch, really) })
		if err != nil {
			for _, i := range doomed[slices.Index(doomed, batch[0]):] {
				fates[i] = core.FateFailed
			}
			return err
		}
		for n, i := range batch {
			fates[i] = really[n]
		}
	}
	return nil
}

func (r *retentionRun) removeBatch(s *session, name string, candidates []core.RetentionCandidate, batch []int, really []core.Fate) error {
	if err := s.app.writable(); err != nil {
		return err
	}
	// A policy that was deleted meanwhile deletes nothing any more.
	if _, _, err := s.retentionFor(r.policy.ID, core.ActOperate); err != nil {
		return err
	}
	repo, err := s.RepositoryByName(name)
	if err != nil && !errors.Is(err, store.ErrNoRow) {
		return err
	}
	immutable, err := s.immutability(r.project.ID, name)
	if err != nil {
		return err
	}
	r.actAsStarter(s)
	for n, i := range batch {
		if really[n], err = r.retire(s, repo, candidates[i], immutable); err != nil {
			return err
		}
	}
	return nil
}

// actAsStarter names who started the run in the audit log and the journal.
func (r *retentionRun) actAsStarter(s *session) {
	if subject, ok := core.ParseSubject(r.options.Actor); ok {
		s.caller.Subject, s.username = subject, r.job.CreatedBy
	}
}

// retire deletes the artifact if it is still as it was when that was decided.
func (r *retentionRun) retire(s *session, repo core.Repository, c core.RetentionCandidate, immutable core.Immutability) (core.Fate, error) {
	now, err := s.RetentionCandidates(repo.ID, c.Digest)
	if err != nil {
		return "", err
	}
	switch {
	case len(now) == 0:
		return r.absent(s, repo, c)
	case !now[0].Same(c):
		return core.FateRetained, nil
	case immutable.HoldsAny(c.Tags):
		return core.FateImmutable, nil
	}
	if follows := c.Follows(); follows != "" && follows != c.Digest {
		if _, err := s.ManifestID(repo.ID, follows); !errors.Is(err, store.ErrNoRow) {
			return core.FateRetained, err
		}
	}
	parent, err := s.ParentOf(c.ID)
	if err != nil {
		return "", err
	}
	if parent != "" { // the index needs the manifest; only its names go
		for _, tag := range c.Tags {
			if err := s.removeTag(r.project, repo, tag); err != nil {
				return "", err
			}
		}
		return core.FateDeleted, nil
	}
	if err := s.removeDeep(r.project, repo, c.ID, c.Digest); err != nil {
		return "", err
	}
	return core.FateDeleted, s.audit(act{operation: "delete", resourceType: "artifact", resource: repo.Name + "@" + c.Digest,
		project: r.project.ID, digest: c.Digest, description: r.reason(c)})
}

// absent is the fate of what is no candidate any more: it went with an index
// or by other hands, or it became part of an index.
func (r *retentionRun) absent(s *session, repo core.Repository, c core.RetentionCandidate) (core.Fate, error) {
	_, err := s.ManifestID(repo.ID, c.Digest)
	if errors.Is(err, store.ErrNoRow) {
		return core.FateDeleted, nil
	}
	return core.FateRetained, err
}

func (r *retentionRun) reason(c core.RetentionCandidate) string {
	names := make([]string, len(c.Tags))
	for i, t := range c.Tags {
		names[i] = t.Name
	}
	return fmt.Sprintf("tag retention policy %d, execution %d%s", r.policy.ID, r.job.ID,
		core.Clip(prefixed(", tags ", strings.Join(names, ", ")), 200))
}
