package store

import (
	"encoding/json"
	"fmt"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const retentionColumns = `retention.id, retention.project_id, retention.rules, retention.cron, retention.created_at, retention.updated_at`

func scanRetention(row scanner) (core.RetentionPolicy, error) {
	var p core.RetentionPolicy
	var rules string
	var created, updated int64
	if err := row.Scan(&p.ID, &p.ProjectID, &rules, &p.Cron, &created, &updated); err != nil {
		return p, err
	}
	p.CreatedAt, p.UpdatedAt = at(created), at(updated)
	if err := json.Unmarshal([]byte(rules), &p.Rules); err != nil {
		return p, fmt.Errorf("rules of retention policy %d: %w", p.ID, err)
	}
	return p, nil
}

// Retention returns the retention policy with that id; ErrNoRow when there is none.
func (tx *Tx) Retention(id int64) (core.RetentionPolicy, error) {
	return one(tx, `SELECT `+retentionColumns+` FROM retention WHERE id = $1`, []any{id}, scanRetention)
}

// RetentionIDs returns the ids of the retention policies of those of the
// projects that have one, by project id.
func (tx *Tx) RetentionIDs(projectIDs ...int64) (map[int64]int64, error) {
	s := &selection{}
	in(s, "project_id", projectIDs)
	all := map[int64]int64{}
	err := tx.each(`SELECT project_id, id FROM retention`+s.clause(), s.args, func(row scanner) error {
		var project, id int64
		err := row.Scan(&project, &id)
		all[project] = id
		return err
	})
	return all, err
}

// CreateRetention adds the one retention policy of its project and returns its
// id; ErrDuplicate when the project has one.
func (tx *Tx) CreateRetention(p core.RetentionPolicy) (id int64, err error) {
	rules, err := json.Marshal(p.Rules)
	if err != nil {
		return 0, err
	}
	err = tx.get(`INSERT INTO retention (project_id, rules, cron, created_at, updated_at) VALUES ($1, $2, $3, $4, $4) RETURNING id`,
		[]any{p.ProjectID, string(rules), p.Cron, micros(tx.now)}, &id)
	return id, err
}

// SetRetention replaces the rules and the schedule of the policy; ErrNoRow when
// there is none such.
func (tx *Tx) SetRetention(p core.RetentionPolicy) error {
	rules, err := json.Marshal(p.Rules)
	if err != nil {
		return err
	}
	return tx.execOne(`UPDATE retention SET rules = $2, cron = $3, updated_at = $4 WHERE id = $1`,
		p.ID, string(rules), p.Cron, micros(tx.now))
}

// DeleteRetention removes the policy; ErrNoRow when there is none such.
func (tx *Tx) DeleteRetention(id int64) error {
	return tx.execOne(`DELETE FROM retention WHERE id = $1`, id)
}

// DeleteJobs removes the jobs of the kind about the target. One that runs stays
// until it has stopped, which it is told to do.
func (tx *Tx) DeleteJobs(kind string, target int64) error {
	if _, err := tx.exec(`DELETE FROM job WHERE kind = $1 AND target = $2 AND status <> $3`, kind, target, string(core.JobRunning)); err != nil {
		return err
	}
	_, err := tx.exec(`UPDATE job SET stopping = TRUE WHERE kind = $1 AND target = $2 AND status = $3`, kind, target, string(core.JobRunning))
	return err
}

// RepositoryNames lists the full names of all published repositories of the project.
func (tx *Tx) RepositoryNames(projectID int64) ([]string, error) {
	return list(tx, `SELECT name FROM repository WHERE project_id = $1 AND published_at > 0 ORDER BY name`, []any{projectID}, scanText)
}

// RetentionCandidates lists what a retention policy decides about in the
// repository: artifacts with a tag, and those without one that neither refer to
// another nor are part of an index. With a digest it lists that one at most.
func (tx *Tx) RetentionCandidates(repositoryID int64, digest string) ([]core.RetentionCandidate, error) {
	s := &selection{}
	s.where("manifest.repository_id = ?", repositoryID)
	s.where(`(EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = manifest.id)
		OR (manifest.subject = '' AND NOT EXISTS (SELECT 1 FROM manifest_child c WHERE c.child_id = manifest.id)))`)
	if digest != "" {
		s.where("manifest.digest = ?", digest)
	}
	candidates, err := list(tx, `SELECT manifest.id, manifest.digest, manifest.subject, manifest.pushed_at, manifest.pulled_at
		FROM manifest`+s.clause()+` ORDER BY manifest.id`, s.args, scanCandidate)
	if err != nil {
		return nil, err
	}
	positions := make(map[int64]int, len(candidates))
	for i, c := range candidates {
		positions[c.ID] = i
	}
	return candidates, tx.addTags(repositoryID, digest, candidates, positions)
}

func scanCandidate(row scanner) (core.RetentionCandidate, error) {
	var c core.RetentionCandidate
	var pushed, pulled int64
	err := row.Scan(&c.ID, &c.Digest, &c.Subject, &pushed, &pulled)
	c.PushedAt, c.PulledAt = at(pushed), at(pulled)
	return c, err
}

// addTags gives the candidates, by id, their tags and the times of the latest.
func (tx *Tx) addTags(repositoryID int64, digest string, candidates []core.RetentionCandidate, positions map[int64]int) error {
	s := &selection{}
	s.where("tag.repository_id = ?", repositoryID)
	if digest != "" {
		s.where("manifest.digest = ?", digest)
	}
	return tx.each(`SELECT `+tagColumns+` FROM `+tagSource+s.clause()+` ORDER BY tag.name`, s.args, func(row scanner) error {
		t, err := scanTag(row)
		if err != nil {
			return err
		}
		i, ok := positions[t.ArtifactID]
		if !ok {
			return nil
		}
		c := &candidates[i]
		c.Tags = append(c.Tags, t)
		if t.PushedAt.After(c.PushedAt) {
			c.PushedAt = t.PushedAt
		}
		if t.PulledAt.After(c.PulledAt) {
			c.PulledAt = t.PulledAt
		}
		return nil
	})
}

const retentionTaskColumns = `retention_task.id, retention_task.job_id, retention_task.repository, retention_task.status,
	retention_task.total, retention_task.retained, retention_task.message, retention_task.started_at, retention_task.ended_at`

func scanRetentionTask(row scanner) (core.RetentionTask, error) {
	var t core.RetentionTask
	var started, ended int64
	err := row.Scan(&t.ID, &t.ExecutionID, &t.Repository, &t.Status, &t.Total, &t.Retained, &t.Message, &started, &ended)
	t.StartedAt, t.EndedAt = at(started), at(ended)
	return t, err
}

var retentionTaskFields = fields{
	"id": {"retention_task.id", intField}, "repository": {"retention_task.repository", textField},
	"status":     {"retention_task.status", textField},
	"start_time": {"retention_task.started_at", timeField}, "end_time": {"retention_task.ended_at", timeField},
}

// BeginRetentionTask makes the task of the job about the repository, which runs
// from now on, or lets one that did not come to its end run again.
func (tx *Tx) BeginRetentionTask(jobID int64, repository string) (core.RetentionTask, error) {
	return one(tx, `INSERT INTO retention_task (job_id, repository, status, total, retained, message, results, started_at, ended_at)
		VALUES ($1, $2, $3, 0, 0, '', '[]', $4, 0)
		ON CONFLICT (job_id, repository) DO UPDATE SET status = excluded.status RETURNING `+retentionTaskColumns,
		[]any{jobID, repository, string(core.JobRunning), micros(tx.now)}, scanRetentionTask)
}

// EndRetentionTask gives the task its end, with what it did.
func (tx *Tx) EndRetentionTask(t core.RetentionTask, results []core.RetentionResult) error {
	text, err := json.Marshal(results)
	if err != nil {
		return err
	}
	return tx.execOne(`UPDATE retention_task SET status = $2, total = $3, retained = $4, message = $5, results = $6, ended_at = $7 WHERE id = $1`,
		t.ID, string(t.Status), t.Total, t.Retained, t.Message, string(text), micros(tx.now))
}

// EndedRetentionTasks lists the repositories that the job is done with.
func (tx *Tx) EndedRetentionTasks(jobID int64) ([]string, error) {
	return list(tx, `SELECT repository FROM retention_task WHERE job_id = $1 AND ended_at > 0 ORDER BY repository`, []any{jobID}, scanText)
}

// RetentionTasks lists the tasks of a job and counts all that match.
func (tx *Tx) RetentionTasks(jobID int64, q core.Query) ([]core.RetentionTask, int64, error) {
	s := &selection{fields: retentionTaskFields}
	s.where("retention_task.job_id = ?", jobID)
	return listPage(tx, s, retentionTaskColumns, "retention_task", q, "retention_task.repository", "retention_task.id", scanRetentionTask)
}

// RetentionTask returns a task of the job with what it did; ErrNoRow when the
// job has none such.
func (tx *Tx) RetentionTask(jobID, id int64) (t core.RetentionTask, results []core.RetentionResult, err error) {
	t, err = one(tx, `SELECT `+retentionTaskColumns+` FROM retention_task WHERE job_id = $1 AND id = $2`, []any{jobID, id}, scanRetentionTask)
	if err != nil {
		return t, nil, err
	}
	var text string
	if err := tx.get(`SELECT results FROM retention_task WHERE id = $1`, []any{id}, &text); err != nil {
		return t, nil, err
	}
	err = json.Unmarshal([]byte(text), &results)
	return t, results, err
}

// TrimRetentionTasks removes the tasks of all but the newest keep jobs of the
// kind about the target.
func (tx *Tx) TrimRetentionTasks(kind string, target, keep int64) error {
	_, err := tx.exec(`DELETE FROM retention_task WHERE job_id IN (SELECT id FROM job WHERE kind = $1 AND target = $2 AND id <= (
			SELECT id FROM job WHERE kind = $1 AND target = $2 ORDER BY id DESC LIMIT 1 OFFSET $3))`, kind, target, keep)
	return err
}
