package store

import "github.com/breakwater-registry/breakwater/internal/core"

// JobsPage lists the jobs of every kind, the newest first, from a cursor of ids.
func (tx *Tx) JobsPage(filters []core.Filter, c core.Cursor) ([]core.Job, core.Beside, error) {
	return keysetPage(tx, &selection{fields: jobFields}, keyset{columns: jobColumns, source: "job", filters: filters,
		key: field{"job.id", intField}, descending: true}, c, scanJob)
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
