package dbfile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Spec is what a file must be.
type Spec struct {
	Path    string
	ID      int32  // SQLite's application_id: a file with another is not ours
	Version int    // of the schema, from 1
	Schema  string // statements that make the tables of Version in an empty file
	// CacheKiB bounds the page cache of the writer; each reader has a quarter of it.
	CacheKiB int
	Readers  int // at most so many reads run at once
	Log      *slog.Logger
}

// File is an open database. Its methods may be called concurrently.
type File struct {
	spec    Spec
	write   *sql.DB
	read    *sql.DB
	writer  chan *Conn // holds the writer when nobody has it
	readers chan *Conn // nil entries are connections not opened yet
}

// Open opens or creates the file. One with an older schema is built anew, which
// loses nothing that cannot be made again; one with a newer schema is refused
// with core.CodePrecondition; one that is damaged or not ours is moved aside to
// PATH.damaged, which replaces what was moved there before.
func Open(ctx context.Context, spec Spec) (*File, error) {
	if err := os.MkdirAll(filepath.Dir(spec.Path), 0o700); err != nil {
		return nil, fmt.Errorf("open %s: %w", spec.Path, err)
	}
	f, err := open(ctx, spec)
	var aside *unusable
	if errors.As(err, &aside) {
		if err := moveAside(spec, aside); err != nil {
			return nil, err
		}
		f, err = open(ctx, spec)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", spec.Path, err)
	}
	return f, nil
}

// unusable says why a file cannot be used as it is, although it may be replaced.
type unusable struct {
	why string
	old bool // it was fine, but of an older schema: nothing worth keeping
}

func (u *unusable) Error() string { return u.why }

func moveAside(spec Spec, u *unusable) error {
	target := spec.Path + ".damaged"
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(spec.Path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("replace %s: %w", spec.Path, err)
		}
	}
	if u.old {
		spec.Log.Warn("a scanner database has the schema of an older release; it is built anew", "file", spec.Path)
		return os.Remove(spec.Path)
	}
	if err := os.Rename(spec.Path, target); err != nil {
		return fmt.Errorf("move the damaged %s aside: %w", spec.Path, err)
	}
	spec.Log.Error("a scanner database is damaged; it was moved aside and is built anew", "file", spec.Path, "moved_to", target, "problem", u.why)
	return nil
}

func open(ctx context.Context, spec Spec) (_ *File, err error) {
	created, err := os.OpenFile(spec.Path, os.O_RDWR|os.O_CREATE, 0o600) // before SQLite would with wider permissions
	if err != nil {
		return nil, err
	}
	if err := created.Close(); err != nil {
		return nil, err
	}
	f := &File{spec: spec, writer: make(chan *Conn, 1), readers: make(chan *Conn, max(1, spec.Readers))}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.closePools())
		}
	}()
	if f.write, err = sql.Open("sqlite", f.dsn(false)); err != nil {
		return nil, err
	}
	writer, err := newConn(ctx, f.write)
	if err != nil {
		return nil, wrap(err)
	}
	if err := prepareSchema(writer, spec); err != nil {
		return nil, errors.Join(err, writer.close())
	}
	f.writer <- writer
	if f.read, err = sql.Open("sqlite", f.dsn(true)); err != nil {
		return nil, errors.Join(err, writer.close())
	}
	for range cap(f.readers) {
		f.readers <- nil
	}
	return f, nil
}

func (f *File) dsn(reader bool) string {
	cache := f.spec.CacheKiB
	if reader {
		cache /= 4
	}
	// page_size counts only while the file is empty. The cache spills into the
	// log when a transaction outgrows it, so memory stays bounded.
	pragmas := []string{"page_size(8192)", "busy_timeout(30000)", "journal_mode(WAL)", "synchronous(NORMAL)",
		"temp_store(FILE)", fmt.Sprintf("cache_size(-%d)", max(cache, 512)), "trusted_schema(0)"}
	if reader {
		pragmas = append(pragmas, "query_only(1)")
	} else {
		// 64 MiB, as much as the log keeps on disk, instead of 8: an import changes
		// the same pages of the indexes again and again, and writing them back costs
		// two fsyncs, for which those of the pushes wait.
		pragmas = append(pragmas, "auto_vacuum(INCREMENTAL)", "journal_size_limit(67108864)", "wal_autocheckpoint(8192)")
	}
	values := url.Values{"_pragma": pragmas}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: f.spec.Path}).EscapedPath(), RawQuery: values.Encode()}).String()
}

// prepareSchema checks whose file it is, and makes the tables of an empty one.
func prepareSchema(c *Conn, spec Spec) error {
	var id int32
	var version, tables int
	if err := c.Get(`SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),
		(SELECT COUNT(*) FROM sqlite_master)`, nil, &id, &version, &tables); err != nil {
		return err
	}
	switch {
	case tables == 0:
		script := fmt.Sprintf("BEGIN IMMEDIATE; %s; PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", spec.Schema, spec.ID, spec.Version)
		_, err := c.sql.ExecContext(background(), script)
		return wrap(err)
	case id != spec.ID:
		return &unusable{why: "it is not a database of this registry's scanner"}
	case version > spec.Version:
		return core.Errorf(core.CodePrecondition,
			"%s has schema version %d, but this Breakwater knows only versions up to %d: it was written by a newer release. Start that release, or remove the file: it is built anew",
			filepath.Base(spec.Path), version, spec.Version)
	case version < spec.Version:
		return &unusable{why: "its schema is older", old: true}
	}
	return nil
}

// wrap marks errors that mean a file which no longer can be read.
func wrap(err error) error {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return &unusable{why: err.Error()}
		case sqlite3.SQLITE_FULL:
			return &core.Error{Code: core.CodeNoSpace, Message: "the registry's disk is full; ask the administrator to free space, then try again", Err: err}
		}
	}
	return err
}

// Close closes the file; running calls must have ended. The file then has no
// write-ahead log beside it.
func (f *File) Close() error {
	var errs []error
	for range cap(f.readers) {
		if c := <-f.readers; c != nil {
			errs = append(errs, c.close())
		}
	}
	errs = append(errs, (<-f.writer).close()) // last, because it empties the log
	return errors.Join(append(errs, f.closePools())...)
}

func (f *File) closePools() error {
	var errs []error
	for _, db := range []*sql.DB{f.read, f.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// Size returns the bytes on disk of the database and its log.
func (f *File) Size() int64 {
	var size int64
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(f.spec.Path + suffix); err == nil {
			size += info.Size()
		}
	}
	return size
}

// Read runs fn in a read transaction: all it reads is of one moment.
func (f *File) Read(ctx context.Context, fn func(*Conn) error) error {
	return f.Look(ctx, func(c *Conn) (err error) {
		if _, err := c.Exec("BEGIN DEFERRED"); err != nil {
			return err
		}
		defer func() {
			if _, e := c.Exec("ROLLBACK"); e != nil && err == nil {
				err = e
			}
		}()
		return fn(c)
	})
}

// Look is Read without a transaction, for one statement: each is of a moment of
// its own.
func (f *File) Look(ctx context.Context, fn func(*Conn) error) (err error) {
	var c *Conn
	select {
	case c = <-f.readers:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { f.readers <- c }()
	if c == nil {
		if c, err = newConn(ctx, f.read); err != nil {
			return f.explain(wrap(err))
		}
	}
	return f.explain(fn(c))
}

// Write runs fn in a write transaction and commits it.
func (f *File) Write(ctx context.Context, fn func(*Conn) error) (err error) {
	c, release, err := f.takeWriter(ctx)
	if err != nil {
		return err
	}
	defer release()
	if _, err := c.Exec("BEGIN IMMEDIATE"); err != nil {
		return f.explain(err)
	}
	committed := false
	defer func() {
		if !committed {
			_, _ = c.Exec("ROLLBACK") // the error that led here is the one to report
		}
	}()
	if err := fn(c); err != nil {
		return f.explain(err)
	}
	if _, err := c.Exec("COMMIT"); err != nil {
		return f.explain(err)
	}
	committed = true
	return nil
}

func (f *File) takeWriter(ctx context.Context) (*Conn, func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	select {
	case c := <-f.writer:
		return c, func() { f.writer <- c }, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// explain tells what to do about a file that turned out to be damaged.
func (f *File) explain(err error) error {
	var u *unusable
	if !errors.As(err, &u) {
		return err
	}
	name := filepath.Base(f.spec.Path)
	return &core.Error{Code: core.CodeUnavailable, Err: err,
		Message: fmt.Sprintf("the scanner's file %s is damaged; ask the administrator to stop the registry, remove the file and start it again: it is built anew", name)}
}

// Settle makes a file small and fast after much was written: it refreshes the
// planner's statistics, gives free pages back and empties the log.
func (f *File) Settle(ctx context.Context) error {
	c, release, err := f.takeWriter(ctx)
	if err != nil {
		return err
	}
	defer release()
	for _, statement := range []string{"PRAGMA analysis_limit = 1000", "ANALYZE", "PRAGMA incremental_vacuum"} {
		if err := c.drain(statement); err != nil {
			return f.explain(err)
		}
	}
	return f.explain(f.emptyLog(c))
}

// emptyLog waits a moment for readers that still need the log.
func (f *File) emptyLog(c *Conn) error {
	for range 50 {
		var busy, pages, moved int
		if err := c.Get("PRAGMA wal_checkpoint(TRUNCATE)", nil, &busy, &pages, &moved); err != nil {
			return err
		}
		if busy == 0 {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil // the next one will
}
