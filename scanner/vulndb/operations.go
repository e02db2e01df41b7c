package vulndb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/quay/claircore/libvuln/driver"

	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

const selectOperations = `SELECT o.ref, s.name, s.kind, o.fingerprint, o.date
	FROM operation o JOIN stream s ON s.id = o.stream WHERE o.state = 2 AND ($1 = '' OR s.kind = $1)`

func scanOperation(row dbfile.Row) (op driver.UpdateOperation, err error) {
	var ref string
	var date int64
	if err := row.Scan(&ref, &op.Updater, (*string)(&op.Kind), (*string)(&op.Fingerprint), &date); err != nil {
		return op, err
	}
	op.Date = time.UnixMicro(date).UTC()
	op.Ref, err = uuid.Parse(ref)
	return op, err
}

func (s *Store) operations(ctx context.Context, query string, args ...any) (list []driver.UpdateOperation, err error) {
	err = s.file.Read(ctx, func(c *dbfile.Conn) (err error) {
		list, err = dbfile.List(c, query, args, scanOperation)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list update operations: %w", err)
	}
	return list, nil
}

// GetUpdateOperations implements datastore.Updater.
func (s *Store) GetUpdateOperations(ctx context.Context, kind driver.UpdateKind, updaters ...string) (map[string][]driver.UpdateOperation, error) {
	query, args := selectOperations, []any{string(kind)}
	if len(updaters) > 0 {
		query += ` AND s.name IN (?` + strings.Repeat(", ?", len(updaters)-1) + `)`
		for _, name := range updaters {
			args = append(args, name)
		}
	}
	list, err := s.operations(ctx, query+` ORDER BY o.id DESC`, args...)
	if err != nil {
		return nil, err
	}
	out := map[string][]driver.UpdateOperation{}
	for _, op := range list {
		out[op.Updater] = append(out[op.Updater], op)
	}
	return out, nil
}

// GetLatestUpdateRefs implements datastore.Updater.
func (s *Store) GetLatestUpdateRefs(ctx context.Context, kind driver.UpdateKind) (map[string][]driver.UpdateOperation, error) {
	list, err := s.operations(ctx, selectOperations+` AND o.id = s.latest ORDER BY o.id`, string(kind))
	if err != nil {
		return nil, err
	}
	out := map[string][]driver.UpdateOperation{}
	for _, op := range list {
		out[op.Updater] = []driver.UpdateOperation{op}
	}
	return out, nil
}

// GetLatestUpdateRef implements datastore.Updater. Without any update it
// returns uuid.Nil and dbfile.ErrNoRow.
func (s *Store) GetLatestUpdateRef(ctx context.Context, kind driver.UpdateKind) (uuid.UUID, error) {
	list, err := s.operations(ctx, selectOperations+` ORDER BY o.id DESC LIMIT 1`, string(kind))
	if err != nil {
		return uuid.Nil, err
	}
	if len(list) == 0 {
		return uuid.Nil, fmt.Errorf("latest update: %w", dbfile.ErrNoRow)
	}
	return list[0].Ref, nil
}

// Generation is a number that grows whenever what readers see changes; 0 is a
// database without feeds. It begins with the time of the first update, so that a
// database built anew does not repeat the numbers of its predecessor.
func (s *Store) Generation(ctx context.Context) (generation int64, err error) {
	err = s.file.Read(ctx, func(c *dbfile.Conn) error {
		return c.Get(`SELECT n FROM generation`, nil, &generation)
	})
	return generation, err
}

// DeleteUpdateOperations implements datastore.Updater. When the latest operation
// of an updater goes, readers see the one before it, which may be none.
func (s *Store) DeleteUpdateOperations(ctx context.Context, refs ...uuid.UUID) (deleted int64, err error) {
	err = s.file.Write(ctx, func(c *dbfile.Conn) error {
		for _, ref := range refs {
			n, err := deleteOperation(c, ref)
			if err != nil {
				return err
			}
			deleted += n
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("delete update operations: %w", err)
	}
	return deleted, nil
}

func deleteOperation(c *dbfile.Conn, ref uuid.UUID) (int64, error) {
	var id, stream, latest int64
	err := c.Get(`SELECT o.id, o.stream, s.latest FROM operation o JOIN stream s ON s.id = o.stream WHERE o.ref = ? AND o.state = ?`,
		[]any{ref.String(), stateDone}, &id, &stream, &latest)
	if errors.Is(err, dbfile.ErrNoRow) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if _, err := c.Exec(`DELETE FROM operation WHERE id = ?`, id); err != nil {
		return 0, err
	}
	if id != latest {
		return 1, nil
	}
	var before int64
	if err := c.Get(`SELECT COALESCE(MAX(id), 0) FROM operation WHERE stream = ? AND state = ?`, []any{stream, stateDone}, &before); err != nil {
		return 0, err
	}
	return 1, showOperation(c, stream, before)
}

// showOperation makes readers see op of the stream.
func showOperation(c *dbfile.Conn, stream, op int64) error {
	if _, err := c.Exec(`UPDATE stream SET latest = ? WHERE id = ?`, op, stream); err != nil {
		return err
	}
	_, err := c.Exec(`UPDATE generation SET n = MAX(n + 1, ?)`, time.Now().Unix())
	return err
}

// Initialized implements datastore.Updater.
func (s *Store) Initialized(ctx context.Context) (ok bool, err error) {
	err = s.file.Read(ctx, func(c *dbfile.Conn) error {
		return c.Get(`SELECT EXISTS (SELECT 1 FROM stream WHERE kind = 'vulnerability' AND latest > 0)`, nil, &ok)
	})
	return ok, err
}
