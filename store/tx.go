package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// maxStatements bounds how many prepared statements a connection keeps; lists
// with filters make many different ones.
const maxStatements = 400

// conn is one connection of the pool with the statements prepared on it.
type conn struct {
	sql   *sql.Conn
	stmts map[string]*sql.Stmt
	memo  memo // of a reader

	relaxed bool // of the writer: commits do not wait for the disk
}

func newConn(ctx context.Context, db *sql.DB) (*conn, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{sql: c, stmts: map[string]*sql.Stmt{}}, nil
}

// close gives the connection back, for good: SQLite does not close one that has
// statements left.
func (c *conn) close() error {
	var errs []error
	for _, stmt := range c.stmts {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, c.sql.Close())...)
}

// Statements run without the request's context: each is short, and a commit
// must not depend on whether the client of one of its parts hung up.
func background() context.Context { return context.Background() }

// stmt returns the prepared statement of query; done must be called after use.
func (c *conn) stmt(query string) (stmt *sql.Stmt, done func(), err error) {
	if s, ok := c.stmts[query]; ok {
		return s, func() {}, nil
	}
	s, err := c.sql.PrepareContext(background(), query)
	if err != nil {
		return nil, nil, fmt.Errorf("prepare %q: %w", query, err)
	}
	if len(c.stmts) >= maxStatements {
		return s, func() { _ = s.Close() }, nil
	}
	c.stmts[query] = s
	return s, func() {}, nil
}

func (c *conn) exec(query string, args ...any) (int64, error) {
	stmt, done, err := c.stmt(query)
	if err != nil {
		return 0, err
	}
	defer done()
	result, err := stmt.ExecContext(background(), args...)
	if err != nil {
		return 0, wrapError(err)
	}
	n, err := result.RowsAffected()
	return n, wrapError(err)
}

// relax says whether the next transactions wait for the disk. SQLite switches
// when the statement is prepared, so that it must not be kept.
func (c *conn) relax(d dialect, relaxed bool) error {
	if c.relaxed == relaxed {
		return nil
	}
	query := d.durable
	if relaxed {
		query = d.relaxed
	}
	if _, err := c.sql.ExecContext(background(), query); err != nil {
		return wrapError(err)
	}
	c.relaxed = relaxed
	return nil
}

func (c *conn) view(d dialect, fn func(*Tx) error) (err error) {
	end, version, err := c.beginRead(d)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if e := end(); e != nil && err == nil {
			err = fmt.Errorf("end of read: %w", e)
		}
	}()
	c.memo.refresh(version)
	return fn(&Tx{conn: c, now: time.Now(), memo: &c.memo})
}

// beginRead begins a snapshot, which lasts until end, and returns the version of
// the database in it; 0 where the engine cannot tell. SQLite has a snapshot for as
// long as a query is being read, so that the query for the version, left at its
// row, does for what would be three statements.
func (c *conn) beginRead(d dialect) (end func() error, version int64, err error) {
	if d.version == "" {
		_, err = c.exec(d.beginRead)
		return func() error { _, err := c.exec("ROLLBACK"); return err }, 0, err
	}
	stmt, done, err := c.stmt(d.version)
	if err != nil {
		return nil, 0, err
	}
	rows, err := stmt.QueryContext(background())
	if err != nil {
		done()
		return nil, 0, wrapError(err)
	}
	end = func() error {
		defer done()
		return wrapError(errors.Join(rows.Err(), rows.Close()))
	}
	if !rows.Next() {
		return nil, 0, errors.Join(errors.New("the database tells no version"), end())
	}
	if err := rows.Scan(&version); err != nil {
		return nil, 0, errors.Join(err, end())
	}
	return end, version, nil
}

// Tx is one transaction. It is valid inside the function it was given to, and
// for one goroutine.
type Tx struct {
	conn    *conn
	now     time.Time
	memo    *memo // of a reader; nil in a transaction that writes
	journal []core.JournalEntry
	after   []func()
}

// Now is the moment of the transaction: the same for all it writes.
func (tx *Tx) Now() time.Time { return tx.now }

// Record adds entries to the journal; they are durable before the transaction
// is committed, and gone when it is rolled back.
func (tx *Tx) Record(entries ...core.JournalEntry) { tx.journal = append(tx.journal, entries...) }

// AfterCommit has fn run once the transaction is durable.
func (tx *Tx) AfterCommit(fn func()) { tx.after = append(tx.after, fn) }

func (tx *Tx) exec(query string, args ...any) (int64, error) { return tx.conn.exec(query, args...) }

// execOne is exec of a statement that must change a row: ErrNoRow otherwise.
func (tx *Tx) execOne(query string, args ...any) error {
	n, err := tx.exec(query, args...)
	if err == nil && n == 0 {
		return ErrNoRow
	}
	return err
}

// get reads the one row of query into dest; ErrNoRow when there is none.
func (tx *Tx) get(query string, args []any, dest ...any) error {
	stmt, done, err := tx.conn.stmt(query)
	if err != nil {
		return err
	}
	defer done()
	return wrapError(stmt.QueryRowContext(background(), args...).Scan(dest...))
}

// scanner is a row to scan.
type scanner interface{ Scan(dest ...any) error }

// each calls fn for every row of query.
func (tx *Tx) each(query string, args []any, fn func(scanner) error) error {
	stmt, done, err := tx.conn.stmt(query)
	if err != nil {
		return err
	}
	defer done()
	rows, err := stmt.QueryContext(background(), args...)
	if err != nil {
		return wrapError(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err below tells of any failure
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return wrapError(rows.Err())
}

// list collects every row of query as scan reads it.
func list[T any](tx *Tx, query string, args []any, scan func(scanner) (T, error)) ([]T, error) {
	var all []T
	err := tx.each(query, args, func(row scanner) error {
		v, err := scan(row)
		all = append(all, v)
		return err
	})
	return all, err
}

// one reads the single row of query as scan reads it; ErrNoRow when there is none.
func one[T any](tx *Tx, query string, args []any, scan func(scanner) (T, error)) (T, error) {
	var zero T
	stmt, done, err := tx.conn.stmt(query)
	if err != nil {
		return zero, err
	}
	defer done()
	v, err := scan(stmt.QueryRowContext(background(), args...))
	if err != nil {
		return zero, wrapError(err)
	}
	return v, nil
}

// micros is how a time is stored; the zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// at is the time that was stored as us.
func at(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
