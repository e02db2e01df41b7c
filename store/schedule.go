package store

import (
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const scheduleColumns = `id, kind, target, type, cron, parameters, next_at, created_at, updated_at`

func scanSchedule(row scanner) (core.Schedule, error) {
	var s core.Schedule
	var next, created, updated int64
	err := row.Scan(&s.ID, &s.Kind, &s.Target, &s.Type, &s.Cron, &s.Parameters, &next, &created, &updated)
	s.NextAt, s.CreatedAt, s.UpdatedAt = at(next), at(created), at(updated)
	return s, err
}

// Schedule returns the schedule of the kind about the target; ErrNoRow when
// there is none.
func (tx *Tx) Schedule(kind string, target int64) (core.Schedule, error) {
	return one(tx, `SELECT `+scheduleColumns+` FROM schedule WHERE kind = $1 AND target = $2`, []any{kind, target}, scanSchedule)
}

// SetSchedule makes or replaces the schedule of s's kind and target and
// returns its id.
func (tx *Tx) SetSchedule(s core.Schedule) (id int64, err error) {
	err = tx.get(`INSERT INTO schedule (kind, target, type, cron, parameters, next_at, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
		ON CONFLICT (kind, target) DO UPDATE SET type = excluded.type, cron = excluded.cron,
			parameters = excluded.parameters, next_at = excluded.next_at, updated_at = excluded.updated_at
		RETURNING id`,
		[]any{s.Kind, s.Target, string(s.Type), s.Cron, s.Parameters, micros(s.NextAt), micros(tx.now)}, &id)
	return id, err
}

// DeleteSchedule removes the schedule of the kind about the target, if any.
func (tx *Tx) DeleteSchedule(kind string, target int64) error {
	_, err := tx.exec(`DELETE FROM schedule WHERE kind = $1 AND target = $2`, kind, target)
	return err
}

// DueSchedules lists the schedules whose time has come.
func (tx *Tx) DueSchedules() ([]core.Schedule, error) {
	return list(tx, `SELECT `+scheduleColumns+` FROM schedule WHERE next_at <= $1 ORDER BY next_at, id`, []any{micros(tx.now)}, scanSchedule)
}

// MoveSchedule sets when the schedule is due again.
func (tx *Tx) MoveSchedule(id int64, next time.Time) error {
	return tx.execOne(`UPDATE schedule SET next_at = $2 WHERE id = $1`, id, micros(next))
}
