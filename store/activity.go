package store

import (
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// dayMicros is a day in the unit of the column time.
const dayMicros = 24 * 60 * 60 * 1_000_000

// Activity counts the pulls and pushes that the scope has in its audit rows,
// per day of UTC from the day of since on; days without any are left out.
func (tx *Tx) Activity(v AuditScope, since time.Time) ([]core.DayCount, error) {
	s := &selection{}
	day := s.value(int64(dayMicros))
	v.add(s, "audit.project_id")
	s.where("audit.time >= ?", micros(since)/dayMicros*dayMicros)
	s.where("audit.resource_type = 'artifact'")
	s.where("audit.operation IN ('pull', 'create')")
	s.where("audit.success")
	query := `SELECT audit.time / ` + day + ` AS day, SUM(CASE WHEN audit.operation = 'pull' THEN audit.repeats ELSE 0 END),
		SUM(CASE WHEN audit.operation = 'create' THEN audit.repeats ELSE 0 END) FROM audit` + s.clause() + ` GROUP BY day ORDER BY day`
	return list(tx, query, s.args, func(row scanner) (c core.DayCount, err error) {
		var number int64
		err = row.Scan(&number, &c.Pulls, &c.Pushes)
		c.Day = at(number * dayMicros).UTC()
		return c, err
	})
}
