package store_test

import (
	"path/filepath"
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
	seen := func() (disabled bool) {
		// More often than there are readers, so that each has been asked.
		for range 32 {
			view(t, s, func(tx *store.Tx) error {
				u, err := tx.UserAccess(id)
				disabled = u.Disabled
				return err
			})
		}
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
		if got := seen(); got != want {
			t.Fatalf("change %d: disabled is %v, want %v", i, got, want)
		}
	}
}
