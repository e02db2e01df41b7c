package store_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// Pages that begin at a row show every row once, forth and back, and know
// whether there is more.
func TestKeysetPages(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		var all []string
		for i := range 7 {
			all = append(all, fmt.Sprintf("user%d", i))
			addAccount(t, s, all[i])
		}
		page := func(c core.Cursor) (names []string, beside core.Beside) {
			view(t, s, func(tx *store.Tx) error {
				users, beside2, err := tx.UsersPage(nil, c)
				for _, u := range users {
					names = append(names, u.Username)
				}
				beside = beside2
				return err
			})
			return names, beside
		}
		for _, tt := range []struct {
			at   core.Cursor
			want []string
			has  core.Beside
		}{
			{core.Cursor{Limit: 3}, all[:3], core.Beside{After: true}},
			{core.Cursor{After: "user2", Limit: 3}, all[3:6], core.Beside{Before: true, After: true}},
			{core.Cursor{After: "user5", Limit: 3}, all[6:], core.Beside{Before: true}},
			{core.Cursor{Before: "user6", Limit: 3}, all[3:6], core.Beside{Before: true, After: true}},
			{core.Cursor{Before: "user3", Limit: 3}, all[:3], core.Beside{After: true}},
			{core.Cursor{Before: "user1", Limit: 3}, all[:1], core.Beside{After: true}},
			{core.Cursor{Limit: 7}, all, core.Beside{}},
			{core.Cursor{After: "zzz", Limit: 3}, nil, core.Beside{Before: true}},
		} {
			if got, has := page(tt.at); !slices.Equal(got, tt.want) || has != tt.has {
				t.Errorf("%+v = %v %+v, want %v %+v", tt.at, got, has, tt.want, tt.has)
			}
		}
		view(t, s, func(tx *store.Tx) error {
			users, _, err := tx.UsersPage([]core.Filter{{Field: "search", Match: core.MatchFuzzy, Values: []string{"R3"}}}, core.Cursor{Limit: 3})
			if len(users) != 1 || users[0].Username != "user3" {
				t.Errorf("a filter finds %v", users)
			}
			return err
		})
	})
}
