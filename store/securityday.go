package store

import "time"

// SecurityDay is what was known of all images on one day.
type SecurityDay struct {
	Day time.Time // its midnight, UTC
	SecurityCounts
}

func dayOf(at time.Time) time.Time { return at.UTC().Truncate(24 * time.Hour) }

// KeepSecurityDay keeps the counts as those of today.
func (tx *Tx) KeepSecurityDay(c SecurityCounts) error {
	_, err := tx.exec(`INSERT INTO security_day (day, images, scanned, critical, high, medium, low, negligible, unknown, fixable, kev)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (day) DO UPDATE SET images = excluded.images, scanned = excluded.scanned, critical = excluded.critical, high = excluded.high,
			medium = excluded.medium, low = excluded.low, negligible = excluded.negligible, unknown = excluded.unknown,
			fixable = excluded.fixable, kev = excluded.kev`,
		micros(dayOf(tx.now)), c.Images, c.Scanned, c.Critical, c.High, c.Medium, c.Low, c.Negligible, c.Unknown, c.Fixable, c.KEV)
	return err
}

// SecurityDays lists the days that were kept since the one of that time, in order.
func (tx *Tx) SecurityDays(since time.Time) ([]SecurityDay, error) {
	return list(tx, `SELECT day, images, scanned, critical, high, medium, low, negligible, unknown, fixable, kev FROM security_day
		WHERE day >= $1 ORDER BY day`, []any{micros(dayOf(since))}, func(row scanner) (d SecurityDay, err error) {
		var day int64
		err = row.Scan(&day, &d.Images, &d.Scanned, &d.Critical, &d.High, &d.Medium, &d.Low, &d.Negligible, &d.Unknown, &d.Fixable, &d.KEV)
		d.Day = at(day)
		return d, err
	})
}

// TrimSecurityDays removes the days before that of the time.
func (tx *Tx) TrimSecurityDays(before time.Time) error {
	_, err := tx.exec(`DELETE FROM security_day WHERE day < $1`, micros(dayOf(before)))
	return err
}
