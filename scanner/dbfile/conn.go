package dbfile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// maxStatements bounds how many prepared statements a connection keeps.
const maxStatements = 200

// ErrNoRow is an absent row.
var ErrNoRow = errors.New("no such row")

// Conn is one connection, inside Read or Write. It is for one goroutine.
type Conn struct {
	sql   *sql.Conn
	stmts map[string]*sql.Stmt
}

func newConn(ctx context.Context, db *sql.DB) (*Conn, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &Conn{sql: c, stmts: map[string]*sql.Stmt{}}, nil
}

// close ends the statements and gives the connection back to its pool.
func (c *Conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.sql.Close())...)
}

// Statements run without the caller's context, whose watching costs more than
// most of them; long loops look at it themselves.
func background() context.Context { return context.Background() }

func (c *Conn) stmt(query string) (*sql.Stmt, func(), error) {
	if s, ok := c.stmts[query]; ok {
		return s, func() {}, nil
	}
	s, err := c.sql.PrepareContext(background(), query)
	if err != nil {
		return nil, nil, fmt.Errorf("prepare %q: %w", query, wrap(err))
	}
	if len(c.stmts) >= maxStatements {
		return s, func() { _ = s.Close() }, nil
	}
	c.stmts[query] = s
	return s, func() {}, nil
}

// Exec runs a statement and returns how many rows it changed.
func (c *Conn) Exec(query string, args ...any) (int64, error) {
	result, err := c.run(query, args)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return n, wrap(err)
}

// Insert runs an INSERT and returns the new row's id, or 0 when an ON CONFLICT
// clause made it insert nothing.
func (c *Conn) Insert(query string, args ...any) (int64, error) {
	result, err := c.run(query, args)
	if err != nil {
		return 0, err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return 0, wrap(err)
	}
	id, err := result.LastInsertId()
	return id, wrap(err)
}

func (c *Conn) run(query string, args []any) (sql.Result, error) {
	stmt, done, err := c.stmt(query)
	if err != nil {
		return nil, err
	}
	defer done()
	result, err := stmt.ExecContext(background(), args...)
	return result, wrap(err)
}

// Get reads the one row of query into dest; ErrNoRow when there is none.
func (c *Conn) Get(query string, args []any, dest ...any) error {
	stmt, done, err := c.stmt(query)
	if err != nil {
		return err
	}
	defer done()
	err = stmt.QueryRowContext(background(), args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNoRow
	}
	return wrap(err)
}

// Row is a row to scan.
type Row interface{ Scan(dest ...any) error }

// Each calls fn for every row of query.
func (c *Conn) Each(query string, args []any, fn func(Row) error) error {
	stmt, done, err := c.stmt(query)
	if err != nil {
		return err
	}
	defer done()
	rows, err := stmt.QueryContext(background(), args...)
	if err != nil {
		return wrap(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err below tells of any failure
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return wrap(rows.Err())
}

// drain runs a statement that may return rows, which do not matter.
func (c *Conn) drain(query string) error {
	return c.Each(query, nil, func(Row) error { return nil })
}

// List collects every row of query as scan reads it.
func List[T any](c *Conn, query string, args []any, scan func(Row) (T, error)) ([]T, error) {
	var all []T
	err := c.Each(query, args, func(row Row) error {
		v, err := scan(row)
		all = append(all, v)
		return err
	})
	return all, err
}
