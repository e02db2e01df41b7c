// Package vulndb keeps the CVE feeds in cve.db: claircore's datastore.MatcherStore
// on SQLite, made for several million rows.
//
// It differs from claircore's PostgreSQL store in how it is built, not in what
// it answers. Text that repeats is stored once. Instead of a row per update and
// vulnerability there is an interval of updates in the vulnerability's row, so
// an update writes what changed. An update is written in many short transactions
// under a number that no reader looks at yet; moving the number of the latest
// update shows all of it at once. What a crash left half done is undone when
// the same updater runs again.
package vulndb

import (
	"context"
	_ "embed"
	"log/slog"
	"sync"

	"github.com/quay/claircore/datastore"

	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

//go:embed schema.sql
var schema string

const (
	applicationID = 0x42574356 // "BWCV"
	schemaVersion = 1
)

// Options are what a store may be given; the zero value will do.
type Options struct {
	// Pace is called by imports and by GC for every row and may wait, so that other
	// work of the process is not held up.
	Pace func(ctx context.Context)
	Log  *slog.Logger
}

// Store is an open cve.db. Its methods may be called concurrently.
type Store struct {
	file    *dbfile.File
	pace    func(ctx context.Context)
	log     *slog.Logger
	streams streamLocks
	// cleaning is held for reading by imports, and for writing by what removes
	// rows that an import may be about to refer to.
	cleaning sync.RWMutex
	dists    distList
}

var _ datastore.MatcherStore = (*Store)(nil)

// Open opens or creates the database at path; see dbfile.Open for what becomes
// of a file that cannot be used.
func Open(ctx context.Context, path string, options Options) (*Store, error) {
	if options.Log == nil {
		options.Log = slog.Default()
	}
	if options.Pace == nil {
		options.Pace = func(context.Context) {}
	}
	file, err := dbfile.Open(ctx, dbfile.Spec{Path: path, ID: applicationID, Version: schemaVersion, Schema: schema,
		CacheKiB: 32 << 10, Readers: 4, Log: options.Log})
	if err != nil {
		return nil, err
	}
	return &Store{file: file, pace: options.Pace, log: options.Log}, nil
}

// Close closes the database; running calls must have ended.
func (s *Store) Close() error { return s.file.Close() }

// Size returns the bytes that the database has on disk.
func (s *Store) Size() int64 { return s.file.Size() }

// Settle makes the database small and fast after imports. Each big import does
// so itself.
func (s *Store) Settle(ctx context.Context) error { return s.file.Settle(ctx) }

// streamLocks lets the updates of one updater run one after the other.
type streamLocks struct {
	mutex sync.Mutex
	locks map[string]chan struct{}
}

func (l *streamLocks) lock(ctx context.Context, name string) (unlock func(), err error) {
	l.mutex.Lock()
	if l.locks == nil {
		l.locks = map[string]chan struct{}{}
	}
	lock, ok := l.locks[name]
	if !ok {
		lock = make(chan struct{}, 1)
		l.locks[name] = lock
	}
	l.mutex.Unlock()
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
