package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

const gun = "reg.example.com:8443/p/app"

// newGUN makes a trusted collection of the repository p/app.
func newGUN(t *testing.T, s *store.Store) (g core.GUN) {
	t.Helper()
	p, _ := twoProjects(t, s)
	update(t, s, func(tx *store.Tx) error {
		repository, err := tx.EnsureRepository(p, "p/app")
		if err != nil {
			return err
		}
		g, err = tx.EnsureGUN(gun, repository)
		return err
	})
	return g
}

func TestGUNs(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		g := newGUN(t, s)
		update(t, s, func(tx *store.Tx) error {
			again, err := tx.EnsureGUN(gun, g.RepositoryID)
			if err != nil || again != g {
				t.Errorf("GUN = %+v, %v, want the first, %+v", again, err, g)
			}
			return tx.AdvanceGUN(g.ID, 0, day, core.TUFView{RootKeys: []string{"k"}})
		})
		update(t, s, func(tx *store.Tx) error {
			if err := tx.AdvanceGUN(g.ID, 0, day, core.TUFView{RootKeys: []string{"k"}}); !errors.Is(err, store.ErrNoRow) {
				t.Errorf("a change of an older revision: %v, want ErrNoRow", err)
			}
			return nil
		})
		due := func(before time.Time) (names []string) {
			view(t, s, func(tx *store.Tx) (err error) {
				names, err = tx.DueGUNs(before, 10)
				return err
			})
			return names
		}
		if names := due(day); len(names) != 0 {
			t.Errorf("due = %v before its time", names)
		}
		if names := due(day.Add(time.Second)); len(names) != 1 || names[0] != gun {
			t.Errorf("due = %v, want the one", names)
		}
		update(t, s, func(tx *store.Tx) error { return tx.AllGUNsDue() })
		if names := due(day); len(names) != 1 {
			t.Errorf("due = %v, want the one", names)
		}
		view(t, s, func(tx *store.Tx) error {
			host, repository, _ := core.SplitGUN(gun)
			if here, err := tx.SignedElsewhere(host); err != nil || len(here) != 0 {
				t.Errorf("signed elsewhere than %s = %v, %v", host, here, err)
			}
			if moved, err := tx.SignedElsewhere("new.example.com"); err != nil || len(moved) != 1 || moved[0] != repository {
				t.Errorf("signed elsewhere = %v, %v, want %s", moved, err, repository)
			}
			of, err := tx.GUNsOf(g.RepositoryID)
			if len(of) != 1 || of[0].Name != gun || of[0].Revision != 1 {
				t.Errorf("GUNs of the repository = %+v", of)
			}
			return err
		})
	})
}

func TestTUFFiles(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		g := newGUN(t, s)
		add := func(role string, versions ...int64) {
			update(t, s, func(tx *store.Tx) error {
				for _, v := range versions {
					f := core.TUFFile{Role: role, Version: v, SHA256: role + string(rune('0'+v)), Content: []byte{byte(v), 0, 0xff}}
					if err := tx.AddTUFFile(g.ID, f); err != nil {
						return err
					}
				}
				return nil
			})
		}
		add("root", 1, 2)
		add("targets/alice", 1, 4, 5)
		update(t, s, func(tx *store.Tx) error { return tx.PruneTUFFiles(g.ID, "targets/alice", 2) })
		update(t, s, func(tx *store.Tx) error { return tx.PruneTUFFiles(g.ID, "root", 5) })
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			return tx.AddTUFFile(g.ID, core.TUFFile{Role: "root", Version: 2, Content: []byte{}})
		})
		if !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("the same version twice: %v, want ErrDuplicate", err)
		}
		view(t, s, func(tx *store.Tx) error {
			all, err := tx.TUFFiles(g.ID)
			if err != nil || len(all) != 2 || all[0].Version != 2 || all[1].Version != 5 || string(all[1].Content) != "\x05\x00\xff" {
				t.Errorf("newest = %+v, %v", all, err)
			}
			if f, err := tx.TUFFileVersion(g.ID, "root", 1); err != nil || f.SHA256 != "root1" || f.CreatedAt.IsZero() {
				t.Errorf("root 1 = %+v, %v", f, err)
			}
			if f, err := tx.TUFFileSum(g.ID, "targets/alice", "targets/alice4"); err != nil || f.Version != 4 {
				t.Errorf("by checksum = %+v, %v", f, err)
			}
			if f, err := tx.TUFFile(g.ID, "targets/alice"); err != nil || f.Version != 5 {
				t.Errorf("newest = %+v, %v", f, err)
			}
			if _, err := tx.TUFFileVersion(g.ID, "targets/alice", 1); !errors.Is(err, store.ErrNoRow) {
				t.Errorf("a pruned version: %v, want ErrNoRow", err)
			}
			return nil
		})
		update(t, s, func(tx *store.Tx) error {
			published, err := tx.DeleteGUN(g.ID)
			if !published {
				t.Error("published = false, want true")
			}
			return err
		})
		view(t, s, func(tx *store.Tx) error {
			all, err := tx.TUFFiles(g.ID)
			if len(all) != 0 {
				t.Errorf("files of what is deleted = %+v", all)
			}
			return err
		})
	})
}

func TestTUFKeys(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		g := newGUN(t, s)
		for _, id := range []string{"a", "b"} {
			update(t, s, func(tx *store.Tx) error {
				return tx.AddTUFKey(g.ID, core.TUFKey{ID: id, Role: "timestamp", Public: []byte("p" + id), Sealed: []byte("s" + id)})
			})
		}
		update(t, s, func(tx *store.Tx) error { return tx.UseTUFKey(g.ID, "a") })
		update(t, s, func(tx *store.Tx) error { return tx.ReplaceSealed(g.ID, "a", []byte("new")) })
		view(t, s, func(tx *store.Tx) error {
			keys, err := tx.TUFKeys(g.ID)
			if err != nil || len(keys) != 2 || keys[0].ID != "b" || !keys[0].UsedAt.IsZero() || keys[1].UsedAt.IsZero() || string(keys[1].Sealed) != "new" {
				t.Errorf("keys = %+v, %v", keys, err)
			}
			page, err := tx.SealedKeys(store.SealedKey{}, 1)
			if err != nil || len(page) != 1 || page[0].GUN != gun || page[0].Key.ID != "a" {
				t.Errorf("first page = %+v, %v", page, err)
			}
			page, err = tx.SealedKeys(page[0], 5)
			if len(page) != 1 || page[0].Key.ID != "b" {
				t.Errorf("second page = %+v", page)
			}
			return err
		})
		update(t, s, func(tx *store.Tx) error { return tx.DeleteTUFKey(g.ID, "a") })
		update(t, s, func(tx *store.Tx) error { return tx.DeleteRepository(g.RepositoryID) })
		view(t, s, func(tx *store.Tx) error {
			if _, err := tx.GUN(gun); !errors.Is(err, store.ErrNoRow) {
				t.Errorf("the GUN of a repository that is gone: %v", err)
			}
			return nil
		})
	})
}

func TestTUFChanges(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		for _, name := range []string{"a", "b", "a", "a"} {
			update(t, s, func(tx *store.Tx) error {
				return tx.AddTUFChange(core.TUFChange{GUN: name, Version: 1, SHA256: "x", Category: core.TUFUpdated})
			})
		}
		ids := func(list []core.TUFChange, err error) (ids []int64) {
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range list {
				ids = append(ids, c.ID)
			}
			return ids
		}
		view(t, s, func(tx *store.Tx) error {
			for _, test := range []struct {
				name      string
				got, want []int64
			}{
				{"all", ids(tx.TUFChangesAfter("", 0, 9)), []int64{1, 2, 3, 4}},
				{"after", ids(tx.TUFChangesAfter("a", 1, 1)), []int64{3}},
				{"last", ids(tx.TUFChangesBefore("", 0, 2)), []int64{3, 4}},
				{"before", ids(tx.TUFChangesBefore("a", 4, 9)), []int64{1, 3}},
			} {
				if len(test.got) != len(test.want) || test.got[0] != test.want[0] {
					t.Errorf("%s = %v, want %v", test.name, test.got, test.want)
				}
			}
			return nil
		})
	})
}
