package vulndb

import (
	"context"
	"fmt"
	"time"

	"github.com/quay/claircore/libvuln/driver"

	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

// UpdaterStatus is how the runs of one updater went.
type UpdaterStatus struct {
	Name        string
	LastAttempt time.Time
	LastSuccess time.Time // zero: never
	Succeeded   bool      // the last attempt
	Fingerprint driver.Fingerprint
	Error       string // of the last attempt that failed, "" after a success
	Rows        int64  // of the update that readers see
	LastUpdate  time.Time
}

// RecordUpdaterStatus implements datastore.Updater.
func (s *Store) RecordUpdaterStatus(ctx context.Context, updater string, at time.Time, fingerprint driver.Fingerprint, failure error) error {
	return s.file.Write(ctx, func(c *dbfile.Conn) error {
		if failure == nil {
			_, err := c.Exec(`INSERT INTO updater_status (name, last_attempt, last_success, succeeded, fingerprint, error) VALUES (?1, ?2, ?2, 1, ?3, '')
				ON CONFLICT (name) DO UPDATE SET last_attempt = ?2, last_success = ?2, succeeded = 1, fingerprint = ?3, error = ''`,
				updater, at.UnixMicro(), string(fingerprint))
			return err
		}
		_, err := c.Exec(`INSERT INTO updater_status (name, last_attempt, succeeded, fingerprint, error) VALUES (?1, ?2, 0, ?3, ?4)
			ON CONFLICT (name) DO UPDATE SET last_attempt = ?2, succeeded = 0, fingerprint = ?3, error = ?4`,
			updater, at.UnixMicro(), string(fingerprint), failure.Error())
		return err
	})
}

// RecordUpdaterSetStatus implements datastore.Updater: all updaters whose names
// begin with the set's are up to date.
func (s *Store) RecordUpdaterSetStatus(ctx context.Context, set string, at time.Time) error {
	return s.file.Write(ctx, func(c *dbfile.Conn) error {
		_, err := c.Exec(`UPDATE updater_status SET last_attempt = ?1, last_success = ?1, succeeded = 1, error = '' WHERE substr(name, 1, length(?2)) = ?2`,
			at.UnixMicro(), set)
		return err
	})
}

// UpdaterStatuses lists every updater that ever reported or brought an update,
// by name.
func (s *Store) UpdaterStatuses(ctx context.Context) (list []UpdaterStatus, err error) {
	const query = `SELECT n.name, COALESCE(u.last_attempt, 0), u.last_success, COALESCE(u.succeeded, 1), COALESCE(u.fingerprint, ''), COALESCE(u.error, ''),
			COALESCE(SUM(o.rows), 0), MAX(o.date)
		FROM (SELECT name FROM updater_status UNION SELECT name FROM stream) n
		LEFT JOIN updater_status u ON u.name = n.name
		LEFT JOIN stream s ON s.name = n.name LEFT JOIN operation o ON o.id = s.latest
		GROUP BY n.name ORDER BY n.name`
	err = s.file.Read(ctx, func(c *dbfile.Conn) (err error) {
		list, err = dbfile.List(c, query, nil, scanStatus)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the updaters: %w", err)
	}
	return list, nil
}

func scanStatus(row dbfile.Row) (u UpdaterStatus, err error) {
	var attempt int64
	var success, update *int64
	if err := row.Scan(&u.Name, &attempt, &success, &u.Succeeded, (*string)(&u.Fingerprint), &u.Error, &u.Rows, &update); err != nil {
		return u, err
	}
	if attempt != 0 {
		u.LastAttempt = time.UnixMicro(attempt).UTC()
	}
	u.LastSuccess, u.LastUpdate = timeAt(success), timeAt(update)
	return u, nil
}
