package vulndb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/quay/claircore"
	"github.com/quay/claircore/libvuln/driver"

	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

// diffRows are the rows that are in the first operation and whose content is
// not in the second.
const diffRows = `SELECT ` + vulnColumns + ` FROM vuln v
	WHERE v.stream = ?1 AND v.first_op <= ?2 AND (v.end_op IS NULL OR v.end_op > ?2)
		AND NOT EXISTS (SELECT 1 FROM vuln w WHERE w.stream = ?3 AND w.hash = v.hash AND w.first_op <= ?4 AND (w.end_op IS NULL OR w.end_op > ?4)) ORDER BY v.id`

// GetUpdateDiff implements datastore.Updater. With uuid.Nil as prev, all rows of
// cur are new.
func (s *Store) GetUpdateDiff(ctx context.Context, prev, cur uuid.UUID) (*driver.UpdateDiff, error) {
	if cur == uuid.Nil {
		return nil, errors.New("the nil reference is no current update")
	}
	var diff driver.UpdateDiff
	err := s.file.Read(ctx, func(c *dbfile.Conn) error {
		from, to := endpoint{}, endpoint{}
		if err := to.find(c, cur, &diff.Cur); err != nil {
			return err
		}
		if prev != uuid.Nil {
			if err := from.find(c, prev, &diff.Prev); err != nil {
				return err
			}
		}
		dists, err := s.dists.load(c)
		if err != nil {
			return err
		}
		g := &getter{conn: c, dists: dists, shared: newShared(c), rows: map[int64]*claircore.Vulnerability{}}
		if diff.Added, err = g.without(to, from); err != nil || prev == uuid.Nil {
			return err
		}
		diff.Removed, err = g.without(from, to)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("compare updates: %w", err)
	}
	return &diff, nil
}

// endpoint is an operation and its stream.
type endpoint struct{ op, stream int64 }

func (e *endpoint) find(c *dbfile.Conn, ref uuid.UUID, op *driver.UpdateOperation) error {
	var date int64
	err := c.Get(`SELECT o.id, s.id, s.name, s.kind, o.fingerprint, o.date FROM operation o JOIN stream s ON s.id = o.stream WHERE o.ref = ? AND o.state = ?`,
		[]any{ref.String(), stateDone}, &e.op, &e.stream, &op.Updater, (*string)(&op.Kind), (*string)(&op.Fingerprint), &date)
	if errors.Is(err, dbfile.ErrNoRow) {
		return fmt.Errorf("update %v does not exist", ref)
	}
	if err == nil && op.Kind != driver.VulnerabilityKind {
		return fmt.Errorf("update %v has no vulnerabilities", ref)
	}
	op.Ref, op.Date = ref, time.UnixMicro(date).UTC()
	return err
}

func (g *getter) without(a, b endpoint) ([]claircore.Vulnerability, error) {
	rows, err := dbfile.List(g.conn, diffRows, []any{a.stream, a.op, b.stream, b.op}, scanVuln)
	if err != nil {
		return nil, err
	}
	found, err := g.vulnerabilities(rows)
	if err != nil {
		return nil, err
	}
	var all []claircore.Vulnerability
	for _, v := range found {
		all = append(all, *v)
	}
	return all, nil
}
