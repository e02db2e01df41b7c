package vulndb

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

// gcOperations bounds how many operations one GC removes, as claircore's does.
const gcOperations = 50

// GC implements datastore.Updater: it removes all but the newest keep operations
// of each updater, at most 50 a call, and the rows that no operation left has.
// It waits for running imports.
func (s *Store) GC(ctx context.Context, keep int) (remaining int64, err error) {
	s.cleaning.Lock()
	defer s.cleaning.Unlock()
	refs, err := s.surplus(ctx, keep)
	if err != nil {
		return 0, err
	}
	deleted, err := s.DeleteUpdateOperations(ctx, refs[:min(gcOperations, len(refs))]...)
	remaining = int64(len(refs)) - deleted
	if err != nil {
		return remaining, err
	}
	for _, kind := range []rowKind{vulnRows, enrichmentRows} {
		if err := s.deleteUnseen(ctx, kind); err != nil {
			return remaining, fmt.Errorf("remove rows of old updates: %w", err)
		}
	}
	return remaining, nil
}

// surplus lists the operations that are not among the newest keep of their updater.
func (s *Store) surplus(ctx context.Context, keep int) (refs []uuid.UUID, err error) {
	all, err := s.operations(ctx, selectOperations+` ORDER BY o.id DESC`, "")
	if err != nil {
		return nil, err
	}
	seen := map[string]int{}
	for _, op := range all {
		if seen[op.Updater]++; seen[op.Updater] > keep {
			refs = append(refs, op.Ref)
		}
	}
	return refs, nil
}

// deleteUnseen deletes, stream by stream, the rows that ended before the oldest
// operation, and all rows when there is no operation.
func (s *Store) deleteUnseen(ctx context.Context, kind rowKind) error {
	type oldest struct{ stream, op int64 }
	var list []oldest
	err := s.file.Read(ctx, func(c *dbfile.Conn) (err error) {
		list, err = dbfile.List(c, `SELECT id, COALESCE((SELECT MIN(o.id) FROM operation o WHERE o.stream = s.id AND o.state = 2), 0)
			FROM stream s WHERE kind = ?`, []any{string(kind.kind)}, func(row dbfile.Row) (o oldest, err error) {
			return o, row.Scan(&o.stream, &o.op)
		})
		return err
	})
	if err != nil {
		return err
	}
	for _, o := range list {
		if o.op == 0 {
			if err := s.deleteRows(ctx, kind, `stream = ? AND end_op IS NULL`, o.stream); err != nil {
				return err
			}
			o.op = 1 << 62
		}
		if err := s.deleteRows(ctx, kind, `stream = ? AND end_op IS NOT NULL AND end_op <= ?`, o.stream, o.op); err != nil {
			return err
		}
	}
	return nil
}

// forgetShared removes the advisories and packages that only these rows have.
func forgetShared(c *dbfile.Conn, ids []int64, pace func()) error {
	if len(ids) == 0 {
		return nil
	}
	doomed := make(map[int64]int64, len(ids)) // advisory to rows among ids
	packages := make(map[int64]int64, len(ids))
	for _, id := range ids {
		pace()
		var advisory, pkg int64
		if err := c.Get(`SELECT advisory, package FROM vuln WHERE id = ?`, []any{id}, &advisory, &pkg); err != nil {
			return err
		}
		doomed[advisory]++
		packages[pkg]++
	}
	for _, shared := range []struct {
		rows                map[int64]int64
		count, removeShared string
	}{
		{doomed, `SELECT COUNT(*) FROM (SELECT 1 FROM vuln WHERE advisory = ? LIMIT ?)`, `DELETE FROM advisory WHERE id = ?`},
		{packages, `SELECT COUNT(*) FROM (SELECT 1 FROM vuln WHERE package = ? LIMIT ?)`, `DELETE FROM package WHERE id = ?`},
	} {
		for id, going := range shared.rows {
			pace()
			var rows int64
			if err := c.Get(shared.count, []any{id, going + 1}, &rows); err != nil {
				return err
			}
			if rows > going {
				continue
			}
			if _, err := c.Exec(shared.removeShared, id); err != nil {
				return err
			}
		}
	}
	return nil
}
