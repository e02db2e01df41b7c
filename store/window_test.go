package store_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// A list by position shows every row once, forth and back, and knows whether
// there is more; a position that no list gave is refused.
func TestWindows(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		var all []string
		for i := range 7 {
			all = append(all, fmt.Sprintf("user%d", i))
			addAccount(t, s, all[i])
		}
		page := func(cursor string, size int) (names []string, ends core.Ends) {
			view(t, s, func(tx *store.Tx) error {
				users, e, err := tx.UsersPage(nil, core.Window{Cursor: cursor, Size: size})
				for _, u := range users {
					names = append(names, u.Username)
				}
				ends = e
				return err
			})
			return names, ends
		}
		for _, tt := range []struct {
			cursor         string
			size           int
			want           []string
			previous, next string
		}{
			{"", 3, all[:3], "", "a.user2"},
			{"a.user2", 3, all[3:6], "b.user3", "a.user5"},
			{"a.user5", 3, all[6:], "b.user6", ""},
			{"b.user6", 3, all[3:6], "b.user3", "a.user5"},
			{"b.user3", 3, all[:3], "", "a.user2"},
			{"b.user1", 3, all[:3], "", "a.user2"}, // the first page is always full
			{"", 7, all, "", ""},
			{"a.zzz", 3, nil, "", ""},
			{"a.user2,x", 3, all[3:6], "b.user3", "a.user5"}, // a comma is none of the list's here
		} {
			if got, ends := page(tt.cursor, tt.size); !slices.Equal(got, tt.want) || ends != (core.Ends{Previous: tt.previous, Next: tt.next}) {
				t.Errorf("%q = %v %+v, want %v %q %q", tt.cursor, got, ends, tt.want, tt.previous, tt.next)
			}
		}
		view(t, s, func(tx *store.Tx) error {
			users, _, err := tx.UsersPage([]core.Filter{{Field: "search", Match: core.MatchFuzzy, Values: []string{"R3"}}}, core.Window{Size: 3})
			if len(users) != 1 || users[0].Username != "user3" {
				t.Errorf("a filter finds %v", users)
			}
			if _, _, bad := tx.JobsPage(nil, core.Window{Cursor: "a.x", Size: 3}); core.ErrorCode(bad) != core.CodeBadRequest {
				t.Errorf("a position that is no number: %v", bad)
			}
			return err
		})
	})
}
