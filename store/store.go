package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Journal is told of every change of the images before it is committed.
type Journal interface {
	// Append writes the entries durably and returns their sequence numbers.
	Append(entries []core.JournalEntry) (from, to uint64, err error)
	// Abort voids entries whose commit failed after all.
	Abort(from, to uint64) error
}

// Store is an open database: one writer that commits in groups, and a pool of
// readers that never wait for it.
type Store struct {
	dialect dialect
	write   *sql.DB
	read    *sql.DB
	journal Journal
	readers *pool
	held    []*conn // all connections
	jobs    chan *job
	writer  chan *conn    // holds the connection that writes while nobody does
	stop    chan struct{} // closed when no more work is taken
	ended   chan struct{} // closed when the last job has been done
	closing sync.Once
}

// Open opens or creates the SQLite database at path and brings its schema up
// to date. A database of a newer version is refused with CodePrecondition.
func Open(ctx context.Context, path string, journal Journal) (*Store, error) {
	if err := createPrivate(path); err != nil {
		return nil, err
	}
	s, err := open(ctx, sqliteDialect, sqliteDSN(path, false), sqliteDSN(path, true), journal)
	if damaged(err) {
		return nil, &core.Error{Code: core.CodePrecondition, Err: err,
			Message: fmt.Sprintf("the database %s is damaged: put a backup of it in place, or move it away and run breakwater fsck --rebuild, which makes the images again", path)}
	}
	return s, err
}

// createPrivate makes the file before SQLite would with wider permissions; the
// write-ahead log inherits them.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	return f.Close()
}

func open(ctx context.Context, d dialect, writeDSN, readDSN string, journal Journal) (_ *Store, err error) {
	s := &Store{dialect: d, journal: journal, jobs: make(chan *job, maxBatch), writer: make(chan *conn, 1), stop: make(chan struct{}), ended: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.closePools())
		}
	}()
	if s.write, err = sql.Open(d.driver, writeDSN); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	writer, err := newConn(ctx, s.write)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	s.held = append(s.held, writer)
	if err := migrate(d, writer); err != nil {
		return nil, err
	}
	if d.impatient != "" {
		if _, err := writer.exec(d.impatient); err != nil {
			return nil, fmt.Errorf("open database: %w", err)
		}
	}
	if s.read, err = sql.Open(d.driver, readDSN); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := s.fillReaders(ctx); err != nil {
		return nil, err
	}
	s.writer <- writer
	return s, nil
}

func (s *Store) fillReaders(ctx context.Context) error {
	n := max(4, runtime.NumCPU())
	s.readers = newPool(n)
	for range n {
		c, err := newConn(ctx, s.read)
		if err != nil {
			return fmt.Errorf("open database reader: %w", err)
		}
		s.held = append(s.held, c)
		s.readers.put(c)
	}
	return nil
}

// Close commits what is queued, waits for what is being read and closes the
// database: afterwards its file alone holds all of it, without a write-ahead log.
func (s *Store) Close() (err error) {
	s.closing.Do(func() {
		close(s.stop)
		s.finish(<-s.writer)
		s.readers.drain()
		err = s.closePools()
	})
	return err
}

// closePools closes the connections, the writer's last: SQLite writes the log
// back into the database when the last one is closed.
func (s *Store) closePools() error {
	var errs []error
	for _, c := range s.held {
		errs = append(errs, c.close())
	}
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// View runs fn in a read transaction: all it reads is of one moment.
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error {
	select { // alone, because a free reader must not win against them
	case <-s.stop:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	default:
	}
	select {
	case <-s.readers.free:
		c := s.readers.take()
		defer s.readers.put(c)
		return c.view(s.dialect, fn)
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stop:
		return errClosed
	}
}

var errClosed = core.Errorf(core.CodeUnavailable, "the registry is shutting down; try again in a moment")
