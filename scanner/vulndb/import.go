package vulndb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/quay/claircore/libvuln/driver"

	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

const (
	// batchRows are committed together: enough to make commits cheap, few enough
	// that another writer waits for milliseconds only.
	batchRows = 5000
	// settleFrom changed rows an import is followed by Settle.
	settleFrom = 1000
)

// States of an operation.
const (
	stateWriting = iota // rows are written that nobody sees yet
	stateEnding         // rows of earlier operations are ended
	stateDone
)

// rowKind is one of the two tables that operations fill.
type rowKind struct {
	kind  driver.UpdateKind
	table string
	// forget removes what else there is of a row, before the row.
	forget func(c *dbfile.Conn, ids []int64, pace func()) error
}

var (
	vulnRows       = rowKind{driver.VulnerabilityKind, "vuln", forgetShared}
	enrichmentRows = rowKind{driver.EnrichmentKind, "enrichment", forgetTags}
)

// importing is one update on its way.
type importing struct {
	*Store
	rowKind
	stream, op int64
	ref        uuid.UUID
	empty      bool // the stream had no rows before
	intern     *interner
	seen       bitmap // rows, old and new, that the update has
	rows       int64  // that the update has
	changed    int64  // that were written or ended
}

// begin makes a new operation, after undoing what an earlier one of the same
// stream left half done. end must be called.
func (s *Store) begin(ctx context.Context, kind rowKind, updater string, fingerprint driver.Fingerprint) (im *importing, end func(), err error) {
	s.cleaning.RLock()
	im, unlock, err := s.start(ctx, kind, updater, fingerprint)
	if err != nil {
		s.cleaning.RUnlock()
		return nil, nil, err
	}
	return im, func() { unlock(); s.cleaning.RUnlock() }, nil
}

// start is begin for a caller that keeps the database from being cleaned.
func (s *Store) start(ctx context.Context, kind rowKind, updater string, fingerprint driver.Fingerprint) (_ *importing, unlock func(), err error) {
	unlock, err = s.streams.lock(ctx, string(kind.kind)+"/"+updater)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			unlock()
		}
	}()
	im := &importing{Store: s, rowKind: kind, ref: uuid.New(), intern: newInterner()}
	if err := s.undoUnfinished(ctx, kind, updater); err != nil {
		return nil, nil, err
	}
	err = s.file.Write(ctx, func(c *dbfile.Conn) error {
		if im.stream, err = findOrMake(c, `SELECT id FROM stream WHERE name = ? AND kind = ?`, `INSERT INTO stream (name, kind) VALUES (?, ?)`,
			[]any{updater, string(kind.kind)}, []any{updater, string(kind.kind)}); err != nil {
			return err
		}
		var alive bool
		if err := c.Get(`SELECT EXISTS (SELECT 1 FROM `+kind.table+` WHERE stream = ? AND end_op IS NULL)`, []any{im.stream}, &alive); err != nil {
			return err
		}
		im.empty = !alive
		im.op, err = c.Insert(`INSERT INTO operation (stream, ref, fingerprint, date, state, after)
			VALUES (?, ?, ?, ?, ?, (SELECT COALESCE(MAX(id), 0) FROM `+kind.table+`))`,
			im.stream, im.ref.String(), string(fingerprint), time.Now().UnixMicro(), stateWriting)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return im, unlock, nil
}

// write commits one batch of rows.
func (im *importing) write(ctx context.Context, n int, insert func(c *dbfile.Conn, i int) error) error {
	return im.file.Write(ctx, func(c *dbfile.Conn) error {
		for i := range n {
			if im.pace(ctx); ctx.Err() != nil {
				return ctx.Err()
			}
			if err := insert(c, i); err != nil {
				return err
			}
		}
		return nil
	})
}

// put notes that the update has the row with this digest, and writes it when it
// is not there yet. What insert gets is the operation to write it for; it
// returns 0 when the row exists.
func (im *importing) put(c *dbfile.Conn, key digest, insert func() (int64, error)) error {
	find := `SELECT id FROM ` + im.table + ` WHERE stream = ? AND hash = ? AND end_op IS NULL`
	var id int64
	if !im.empty {
		if err := c.Get(find, []any{im.stream, key[:]}, &id); err != nil && !errors.Is(err, dbfile.ErrNoRow) {
			return err
		}
	}
	if id == 0 {
		var err error
		if id, err = insert(); err != nil {
			return err
		}
		if id == 0 {
			return nil // the update has the same row twice
		}
		im.changed++
	}
	if !im.seen.set(id) {
		im.rows++
	}
	return nil
}

// finish ends the rows that the update does not have. gone lists the rows that
// may be ended.
func (im *importing) finish(ctx context.Context, gone func(ctx context.Context, c *dbfile.Conn, keep *bitmap) ([]int64, error)) error {
	var ids []int64
	if err := im.file.Read(ctx, func(c *dbfile.Conn) (err error) {
		ids, err = gone(ctx, c, &im.seen)
		return err
	}); err != nil {
		return err
	}
	im.changed += int64(len(ids))
	if len(ids) > 0 {
		if err := im.setState(ctx, stateEnding); err != nil {
			return err
		}
	}
	for len(ids) > 0 {
		batch := ids[:min(batchRows, len(ids))]
		ids = ids[len(batch):]
		if err := im.write(ctx, len(batch), func(c *dbfile.Conn, i int) error {
			_, err := c.Exec(`UPDATE `+im.table+` SET end_op = ? WHERE id = ?`, im.op, batch[i])
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

func (im *importing) setState(ctx context.Context, state int) error {
	return im.file.Write(ctx, func(c *dbfile.Conn) error {
		_, err := c.Exec(`UPDATE operation SET state = ? WHERE id = ?`, state, im.op)
		return err
	})
}

// show is the moment at which readers see the update.
func (im *importing) show(ctx context.Context) error {
	if err := im.file.Write(ctx, im.showIn); err != nil {
		return err
	}
	im.settleAfter(ctx, im.changed)
	return nil
}

// showIn is show within a transaction.
func (im *importing) showIn(c *dbfile.Conn) error {
	if _, err := c.Exec(`UPDATE operation SET state = ?, rows = ? WHERE id = ?`, stateDone, im.rows, im.op); err != nil {
		return err
	}
	if im.changed == 0 {
		_, err := c.Exec(`UPDATE stream SET latest = ? WHERE id = ?`, im.op, im.stream)
		return err
	}
	return showOperation(c, im.stream, im.op)
}

// settleAfter tidies the file after an import that changed many rows.
func (s *Store) settleAfter(ctx context.Context, changed int64) {
	if changed < settleFrom {
		return
	}
	if err := s.file.Settle(ctx); err != nil {
		s.log.Warn("the CVE database could not be tidied after an import", "error", err)
	}
}

// undo removes an update that failed; when that fails too, the next update of
// the same updater does it.
func (im *importing) undo(cause error) error {
	ctx := context.Background() // the caller's may be why it failed
	if err := im.undoOperation(ctx, im.rowKind, unfinished{im.op, im.stream, 0, 0}); err != nil {
		im.log.Warn("a failed import could not be undone yet; the next one does it", "error", err)
	}
	return cause
}

type unfinished struct{ op, stream, state, after int64 }

// undoUnfinished undoes what a crash left of the updater's operations.
func (s *Store) undoUnfinished(ctx context.Context, kind rowKind, updater string) error {
	var list []unfinished
	err := s.file.Read(ctx, func(c *dbfile.Conn) (err error) {
		list, err = dbfile.List(c, `SELECT o.id, o.stream, o.state, o.after FROM operation o JOIN stream s ON s.id = o.stream
			WHERE s.name = ? AND s.kind = ? AND o.state <> ?`, []any{updater, string(kind.kind), stateDone},
			func(row dbfile.Row) (u unfinished, err error) {
				return u, row.Scan(&u.op, &u.stream, &u.state, &u.after)
			})
		return err
	})
	for _, u := range list {
		err = errors.Join(err, s.undoOperation(ctx, kind, u))
	}
	return err
}

// undoOperation takes back what an operation wrote: first its own rows, then
// the ends it gave to others.
func (s *Store) undoOperation(ctx context.Context, kind rowKind, u unfinished) error {
	if err := s.file.Read(ctx, func(c *dbfile.Conn) error {
		return c.Get(`SELECT state, after FROM operation WHERE id = ?`, []any{u.op}, &u.state, &u.after)
	}); err != nil {
		return err
	}
	if err := s.deleteRows(ctx, kind, `id > ? AND stream = ? AND first_op = ?`, u.after, u.stream, u.op); err != nil {
		return err
	}
	return s.file.Write(ctx, func(c *dbfile.Conn) error {
		if u.state == stateEnding {
			if _, err := c.Exec(`UPDATE `+kind.table+` SET end_op = NULL WHERE stream = ? AND end_op = ?`, u.stream, u.op); err != nil {
				return err
			}
		}
		_, err := c.Exec(`DELETE FROM operation WHERE id = ?`, u.op)
		return err
	})
}

// deleteRows deletes the rows of a table for which the condition holds, in
// batches, with what only they needed.
func (s *Store) deleteRows(ctx context.Context, kind rowKind, condition string, args ...any) error {
	query := fmt.Sprintf(`SELECT id FROM %s WHERE %s LIMIT %d`, kind.table, condition, batchRows)
	for {
		var ids []int64
		err := s.file.Write(ctx, func(c *dbfile.Conn) (err error) {
			if ids, err = dbfile.List(c, query, args, scanID); err != nil {
				return err
			}
			if err := kind.forget(c, ids, func() { s.pace(ctx) }); err != nil {
				return err
			}
			for _, id := range ids {
				s.pace(ctx)
				if _, err := c.Exec(`DELETE FROM `+kind.table+` WHERE id = ?`, id); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
		if err != nil || len(ids) < batchRows {
			return err
		}
	}
}

func scanID(row dbfile.Row) (id int64, err error) { return id, row.Scan(&id) }

// bitmap is a set of row ids, which are small and dense.
type bitmap struct{ words []uint64 }

// set adds id and says whether it was there.
func (b *bitmap) set(id int64) bool {
	word, bit := int(id/64), uint64(1)<<(id%64)
	for len(b.words) <= word {
		b.words = append(b.words, make([]uint64, max(64, len(b.words)/2))...)
	}
	was := b.words[word]&bit != 0
	b.words[word] |= bit
	return was
}

func (b *bitmap) has(id int64) bool {
	word := int(id / 64)
	return word < len(b.words) && b.words[word]&(1<<(id%64)) != 0
}
