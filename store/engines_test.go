package store_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/testenv"
	"github.com/breakwater-registry/breakwater/store"
)

// memoryJournal keeps what the store journals, and fails when told to.
type memoryJournal struct {
	mu      sync.Mutex
	entries []core.JournalEntry
	batches int
	err     error
}

func (j *memoryJournal) Append(entries []core.JournalEntry) (from, to uint64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return 0, 0, j.err
	}
	from = uint64(len(j.entries) + 1)
	j.entries = append(j.entries, entries...)
	j.batches++
	return from, uint64(len(j.entries)), nil
}

func (j *memoryJournal) Abort(from, to uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, core.JournalEntry{Op: core.JournalAbort, From: from, To: to})
	return nil
}

// eachEngine runs the test on SQLite and, in the end-to-end tier, on PostgreSQL.
func eachEngine(t *testing.T, test func(t *testing.T, s *store.Store, j *memoryJournal)) {
	t.Run("sqlite", func(t *testing.T) {
		s, j := openSQLite(t, filepath.Join(t.TempDir(), "test.db"))
		test(t, s, j)
	})
	t.Run("postgres", func(t *testing.T) {
		testenv.RequireE2E(t)
		j := &memoryJournal{}
		s, err := store.OpenPostgres(t.Context(), testenv.Postgres(t), j)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeStore(t, s) })
		test(t, s, j)
	})
}

func openSQLite(t testing.TB, path string) (*store.Store, *memoryJournal) {
	t.Helper()
	j := &memoryJournal{}
	s, err := store.Open(t.Context(), path, j)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s, j
}

func closeStore(t testing.TB, s *store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// update and view fail the test on any error.
func update(t testing.TB, s *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func view(t testing.TB, s *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.View(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}
