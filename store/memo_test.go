package store_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// What a reader remembers of an account is forgotten with the next commit, one
// of another process included, such as that of breakwater admin.
func TestRememberedAnswersEndWithTheNextCommit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "test.db")
	s, _ := openSQLite(t, file)
	other, _ := openSQLite(t, file)
	var id int64
	update(t, s, func(tx *store.Tx) (err error) {
		id, err = tx.CreateUser(core.User{Username: "dev", Email: "dev@example.org"})
		return err
	})
	// seen asks every reader: each holds one while the others are asked.
	var seen func(readers int) []bool
	seen = func(readers int) (disabled []bool) {
		view(t, s, func(tx *store.Tx) error {
			u, err := tx.UserAccess(id)
			if disabled = []bool{u.Disabled}; readers > 1 {
				disabled = append(disabled, seen(readers-1)...)
			}
			return err
		})
		return disabled
	}
	for i, writer := range []*store.Store{s, other, s, other} {
		want := i%2 == 0
		update(t, writer, func(tx *store.Tx) error {
			u, err := tx.User(id)
			if err != nil {
				return err
			}
			u.Disabled = want
			return tx.UpdateUser(u)
		})
		if got := seen(s.Readers()); slices.Contains(got, !want) {
			t.Fatalf("change %d: disabled is %v, want %v", i, got, want)
		}
	}
}
