package store

import "github.com/breakwater-registry/breakwater/internal/core"

var byQueue = ordering{columns: []field{{"job.id", intField}}, descending: true}

// JobsPage reads one page of the jobs of every kind, the newest first.
func (tx *Tx) JobsPage(filters []core.Filter, w core.Window) ([]core.Job, core.Ends, error) {
	s := &selection{fields: jobFields}
	if err := s.filter(filters); err != nil {
		return nil, core.Ends{}, err
	}
	return windowPage(tx, s, jobColumns, "job", byQueue, w, scanJob, func(j core.Job) []any { return []any{j.ID} })
}

// AnyJob returns a job of whatever kind; ErrNoRow when there is none.
func (tx *Tx) AnyJob(id int64) (core.Job, error) {
	return one(tx, `SELECT `+jobColumns+` FROM job WHERE id = $1`, []any{id}, scanJob)
}

// AnyJobLog returns what a job of whatever kind wrote; ErrNoRow when there is none.
func (tx *Tx) AnyJobLog(id int64) (log string, err error) {
	err = tx.get(`SELECT log FROM job WHERE id = $1`, []any{id}, &log)
	return log, err
}
