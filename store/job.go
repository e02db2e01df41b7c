package store

import (
	"github.com/breakwater-registry/breakwater/internal/core"
)

const jobColumns = `job.id, job.kind, job.target, job.parameters, job.status, job.cause, job.created_by, job.attempts,
	job.stopping, job.progress, job.message, job.created_at, job.started_at, job.ended_at, job.updated_at`

func scanJob(row scanner) (core.Job, error) {
	var j core.Job
	var created, started, ended, updated int64
	err := row.Scan(&j.ID, &j.Kind, &j.Target, &j.Parameters, &j.Status, &j.Trigger, &j.CreatedBy, &j.Attempts,
		&j.Stopping, &j.Progress, &j.Message, &created, &started, &ended, &updated)
	j.CreatedAt, j.StartedAt, j.EndedAt, j.UpdatedAt = at(created), at(started), at(ended), at(updated)
	return j, err
}

var jobFields = fields{
	"id": {"job.id", intField}, "kind": {"job.kind", textField}, "status": {"job.status", textField}, "job_status": {"job.status", textField},
	"trigger": {"job.cause", textField}, "creation_time": {"job.created_at", timeField}, "update_time": {"job.updated_at", timeField},
	"start_time": {"job.started_at", timeField}, "end_time": {"job.ended_at", timeField},
}

// maxJobLog bounds the log of one job in characters; what comes after is dropped.
const maxJobLog = 256 << 10

// QueueJob adds a job of j's kind, target, parameters, trigger and creator and
// returns its id. One like it that still waits is enough: then that is returned.
func (tx *Tx) QueueJob(j core.Job) (id int64, err error) {
	err = tx.get(`SELECT id FROM job WHERE status = $1 AND kind = $2 AND target = $3 AND parameters = $4 ORDER BY id LIMIT 1`,
		[]any{string(core.JobPending), j.Kind, j.Target, j.Parameters}, &id)
	if err != ErrNoRow {
		return id, err
	}
	err = tx.get(`INSERT INTO job (kind, target, parameters, status, cause, created_by, attempts, stopping, progress, message, log,
			created_at, started_at, ended_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, 0, FALSE, '{}', '', '', $7, 0, 0, $7) RETURNING id`,
		[]any{j.Kind, j.Target, j.Parameters, string(core.JobPending), string(j.Trigger), j.CreatedBy, micros(tx.now)}, &id)
	return id, err
}

// Job returns a job of that kind; ErrNoRow when there is none such.
func (tx *Tx) Job(kind string, id int64) (core.Job, error) {
	return one(tx, `SELECT `+jobColumns+` FROM job WHERE kind = $1 AND id = $2`, []any{kind, id}, scanJob)
}

// JobLog returns what a job of that kind wrote; ErrNoRow when there is none such.
func (tx *Tx) JobLog(kind string, id int64) (log string, err error) {
	err = tx.get(`SELECT log FROM job WHERE kind = $1 AND id = $2`, []any{kind, id}, &log)
	return log, err
}

// Jobs lists the jobs of a kind about one target, by default the newest first,
// and counts all that match.
func (tx *Tx) Jobs(kind string, target int64, q core.Query) ([]core.Job, int64, error) {
	s := &selection{fields: jobFields}
	s.where("job.kind = ?", kind)
	s.where("job.target = ?", target)
	return listPage(tx, s, jobColumns, "job", q, "job.id DESC", "job.id", scanJob)
}

// PendingKinds lists the kinds of which a job waits.
func (tx *Tx) PendingKinds() ([]string, error) {
	return list(tx, `SELECT DISTINCT kind FROM job WHERE status = $1 ORDER BY kind`, []any{string(core.JobPending)}, scanText)
}

// StoppingJobs lists the running jobs that somebody asked to stop.
func (tx *Tx) StoppingJobs() ([]int64, error) {
	return list(tx, `SELECT id FROM job WHERE status = $1 AND stopping`, []any{string(core.JobRunning)}, scanID)
}

func scanID(row scanner) (id int64, err error) {
	err = row.Scan(&id)
	return id, err
}

// StartJob makes the oldest waiting job of the kind Running and returns it;
// ErrNoRow when none waits or one runs already.
func (tx *Tx) StartJob(kind string) (core.Job, error) {
	return one(tx, `UPDATE job SET status = $2, attempts = attempts + 1, started_at = $4, updated_at = $4
		WHERE id = (SELECT MIN(id) FROM job WHERE status = $3 AND kind = $1)
		AND NOT EXISTS (SELECT 1 FROM job other WHERE other.status = $2 AND other.kind = $1) RETURNING `+jobColumns,
		[]any{kind, string(core.JobRunning), string(core.JobPending), micros(tx.now)}, scanJob)
}

// ReportJob keeps the progress of a running job, appends to its log and notes
// that it is alive.
func (tx *Tx) ReportJob(id int64, progress, log string) error {
	_, err := tx.exec(`UPDATE job SET progress = $2, updated_at = $5,
		log = CASE WHEN length(log) < $4 THEN log || $3 ELSE log END WHERE id = $1 AND status = $6`,
		id, progress, log, maxJobLog, micros(tx.now), string(core.JobRunning))
	return err
}

// EndJob gives a running job its end.
func (tx *Tx) EndJob(id int64, status core.JobStatus, message string) error {
	return tx.execOne(`UPDATE job SET status = $2, message = $3, ended_at = $4, updated_at = $4 WHERE id = $1 AND status = $5`,
		id, string(status), message, micros(tx.now), string(core.JobRunning))
}

// RequeueJob has a running job that was interrupted in good order wait again.
func (tx *Tx) RequeueJob(id int64) error {
	return tx.execOne(`UPDATE job SET status = $2, attempts = attempts - 1, updated_at = $3 WHERE id = $1 AND status = $4`,
		id, string(core.JobPending), micros(tx.now), string(core.JobRunning))
}

// RunningJobs lists the jobs that run or were running when their process died.
func (tx *Tx) RunningJobs() ([]core.Job, error) {
	return list(tx, `SELECT `+jobColumns+` FROM job WHERE status = $1 ORDER BY id`, []any{string(core.JobRunning)}, scanJob)
}

// ResumeJob has a job whose process died wait again; unlike after RequeueJob
// the start counts.
func (tx *Tx) ResumeJob(id int64) error {
	return tx.execOne(`UPDATE job SET status = $2, updated_at = $3 WHERE id = $1 AND status = $4`,
		id, string(core.JobPending), micros(tx.now), string(core.JobRunning))
}

// StopJob ends a waiting job as Stopped and marks a running one to be stopped.
// It says false where the job had ended before.
func (tx *Tx) StopJob(id int64) (bool, error) {
	n, err := tx.exec(`UPDATE job SET status = $2, stopping = TRUE, ended_at = $4, updated_at = $4 WHERE id = $1 AND status = $3`,
		id, string(core.JobStopped), string(core.JobPending), micros(tx.now))
	if err != nil || n == 1 {
		return n == 1, err
	}
	n, err = tx.exec(`UPDATE job SET stopping = TRUE WHERE id = $1 AND status = $2`, id, string(core.JobRunning))
	return n == 1, err
}

// TrimJobs removes all but the newest keep jobs of the kind about the target
// that have ended.
func (tx *Tx) TrimJobs(kind string, target, keep int64) error {
	_, err := tx.exec(`DELETE FROM job WHERE kind = $1 AND target = $2 AND status NOT IN ($3, $4) AND id <= (
			SELECT id FROM job WHERE kind = $1 AND target = $2 ORDER BY id DESC LIMIT 1 OFFSET $5)`,
		kind, target, string(core.JobPending), string(core.JobRunning), keep)
	return err
}
