package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

func TestUpdateIsAllOrNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, j *memoryJournal) {
		boom := errors.New("boom")
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			if _, err := tx.CreateProject(core.Project{Name: "gone", QuotaHard: -1}); err != nil {
				return err
			}
			tx.Record(core.JournalEntry{Op: core.JournalPutTag})
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatalf("Update = %v, want the error of the function", err)
		}
		view(t, s, func(tx *store.Tx) error {
			if _, err := tx.Project(core.ProjectRef{Name: "gone"}); !errors.Is(err, store.ErrNoRow) {
				t.Errorf("the project is there after a failed update: %v", err)
			}
			return nil
		})
		if len(j.entries) != 0 {
			t.Errorf("a failed update was journaled: %v", j.entries)
		}
	})
}

// Transactions that wait together share a commit; one that fails must not
// take its neighbours with it.
func TestGroupCommitIsolatesFailures(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, j *memoryJournal) {
		hold, release := make(chan struct{}), make(chan struct{})
		var first sync.WaitGroup
		first.Go(func() {
			_ = s.Update(t.Context(), func(*store.Tx) error { close(hold); <-release; return nil })
		})
		<-hold
		names := []string{"a", "b", "a", "c"} // the second "a" breaks the unique key
		errs := make([]error, len(names))
		var group sync.WaitGroup
		queued := make(chan struct{}, len(names))
		for i, name := range names {
			group.Go(func() {
				queued <- struct{}{}
				errs[i] = s.Update(t.Context(), func(tx *store.Tx) error {
					tx.Record(core.JournalEntry{Op: core.JournalPutRepository, Repository: name})
					_, err := tx.CreateProject(core.Project{Name: name, QuotaHard: -1})
					return err
				})
			})
		}
		for range names {
			<-queued
		}
		close(release)
		group.Wait()
		first.Wait()
		duplicates := 0
		for _, err := range errs {
			if errors.Is(err, store.ErrDuplicate) {
				duplicates++
			} else if err != nil {
				t.Errorf("unexpected error %v", err)
			}
		}
		if duplicates != 1 || len(j.entries) != 3 {
			t.Errorf("%d duplicates and %d journal entries, want 1 and 3", duplicates, len(j.entries))
		}
		view(t, s, func(tx *store.Tx) error {
			projects, total, err := tx.Projects(store.Visibility{All: true}, core.Query{Page: 1, PageSize: 10})
			if total != 3 || len(projects) != 3 {
				t.Errorf("%d projects, want 3", total)
			}
			return err
		})
	})
}

func TestNothingIsCommittedWithoutTheJournal(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, j *memoryJournal) {
		j.err = errors.New("journal disk is gone")
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			tx.Record(core.JournalEntry{Op: core.JournalPutTag})
			_, err := tx.CreateProject(core.Project{Name: "p", QuotaHard: -1})
			return err
		})
		if !errors.Is(err, j.err) {
			t.Fatalf("Update = %v, want the journal's error", err)
		}
		view(t, s, func(tx *store.Tx) error {
			if _, err := tx.Project(core.ProjectRef{Name: "p"}); !errors.Is(err, store.ErrNoRow) {
				t.Errorf("committed without a journal: %v", err)
			}
			return nil
		})
	})
}

// A relaxed update does not wait for the disk. Every other one does, also when
// both are in one batch, and makes what was relaxed durable with it.
func TestOnlyRelaxedUpdatesDoNotWaitForTheDisk(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		waits := func() (waits bool) {
			waits, err := s.WaitsForDisk(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return waits
		}
		relaxed := func(name string) error {
			return s.UpdateRelaxed(t.Context(), func(tx *store.Tx) error {
				_, err := tx.CreateProject(core.Project{Name: name, QuotaHard: -1})
				return err
			})
		}
		for _, name := range []string{"a", "b"} {
			if err := relaxed(name); err != nil || waits() {
				t.Errorf("after relaxed update %s: %v, waits: %v", name, err, waits())
			}
		}
		update(t, s, func(tx *store.Tx) error {
			_, err := tx.CreateProject(core.Project{Name: "c", QuotaHard: -1})
			return err
		})
		if !waits() {
			t.Error("a full update after a relaxed one does not wait for the disk")
		}
		if store.BatchWaits(true, true) || !store.BatchWaits(true, false) || !store.BatchWaits(false) {
			t.Error("a batch with a full update must wait for the disk, one without must not")
		}
		err := s.UpdateRelaxed(t.Context(), func(tx *store.Tx) error {
			tx.Record(core.JournalEntry{Op: core.JournalPutTag})
			return nil
		})
		if err == nil {
			t.Error("a relaxed update may change the images")
		}
	})
}

// All that a view reads is of one moment, also what it reads after a commit that
// came meanwhile; the next view sees that.
func TestViewIsOfOneMoment(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		there := func(tx *store.Tx) bool {
			_, err := tx.LiveBlob("digest")
			if err != nil && err != store.ErrNoRow {
				t.Fatal(err)
			}
			return err == nil
		}
		view(t, s, func(tx *store.Tx) error {
			before := there(tx)
			update(t, s, func(tx *store.Tx) error {
				_, err := tx.CreateBlob(core.Blob{Digest: "digest", Generation: 1})
				return err
			})
			if before || there(tx) {
				t.Error("a view sees what was committed while it ran")
			}
			return nil
		})
		view(t, s, func(tx *store.Tx) error {
			if !there(tx) {
				t.Error("a view does not see what was committed before it")
			}
			return nil
		})
	})
}

func TestPanicOfOneUpdateReachesItsCallerOnly(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = s.Update(t.Context(), func(*store.Tx) error { panic("bug") })
		}()
		update(t, s, func(tx *store.Tx) error {
			_, err := tx.CreateProject(core.Project{Name: "after", QuotaHard: -1})
			return err
		})
	})
}

func TestClosedStoreRefuses(t *testing.T) {
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), &memoryJournal{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	nothing := func(*store.Tx) error { return nil }
	for name, err := range map[string]error{"Update": s.Update(t.Context(), nothing), "View": s.View(t.Context(), nothing)} {
		if core.ErrorCode(err) != core.CodeUnavailable {
			t.Errorf("%s on a closed store = %v", name, err)
		}
	}
}

// Whoever copies the one file of a registry that has ended has everything.
func TestCloseLeavesOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	s, err := store.Open(t.Context(), path, &memoryJournal{})
	if err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx *store.Tx) error {
		_, err := tx.CreateProject(core.Project{Name: "p", QuotaHard: -1})
		return err
	})
	reading, proceed := make(chan struct{}), make(chan struct{})
	read := make(chan error, 1)
	go func() {
		read <- s.View(context.Background(), func(tx *store.Tx) error {
			close(reading)
			<-proceed
			_, err := tx.Project(core.ProjectRef{Name: "p"})
			return err
		})
	}()
	<-reading
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	close(proceed)
	if err := errors.Join(<-read, <-closed, s.Close()); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(path + "*")
	if err != nil || len(left) != 1 {
		t.Errorf("left are %v, %v; want the database alone", left, err)
	}
	s, _ = openSQLite(t, path)
	view(t, s, func(tx *store.Tx) error {
		_, err := tx.Project(core.ProjectRef{Name: "p"})
		return err
	})
}

func TestEveryReaderHasThePragmas(t *testing.T) {
	s, _ := openSQLite(t, filepath.Join(t.TempDir(), "odd name?#%.db"))
	for name, want := range map[string]string{"foreign_keys": "1", "query_only": "1", "journal_mode": "wal", "busy_timeout": "5000"} {
		got, err := s.Pragma(name)
		if err != nil || slices.ContainsFunc(got, func(v string) bool { return v != want }) {
			t.Errorf("%s = %v, %v, want %s everywhere", name, got, err, want)
		}
	}
	if waits, err := s.WaitsForDisk(t.Context()); err != nil || !waits {
		t.Errorf("the writer of a new store waits for the disk: %v, %v", waits, err)
	}
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	s, err := store.Open(t.Context(), path, &memoryJournal{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.SetSchemaVersion(t.Context(), 999), s.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(t.Context(), path, &memoryJournal{})
	if core.ErrorCode(err) != core.CodePrecondition || !strings.Contains(err.Error(), "999") {
		t.Errorf("Open = %v, want a refusal that names version 999", err)
	}
}

func TestListsRefuseUnknownFields(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		for _, q := range []core.Query{
			{Page: 1, PageSize: 1, Filters: []core.Filter{{Field: "password_hash", Match: core.MatchFuzzy, Values: []string{"a"}}}},
			{Page: 1, PageSize: 1, Sort: []core.SortKey{{Field: "id; DROP TABLE account"}}},
		} {
			view(t, s, func(tx *store.Tx) error {
				if _, _, err := tx.Users(q); core.ErrorCode(err) != core.CodeBadRequest {
					t.Errorf("%+v was not refused: %v", q, err)
				}
				return nil
			})
		}
	})
}
