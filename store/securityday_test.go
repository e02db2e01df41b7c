package store_test

import (
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/store"
)

// A day has one row, which is that of its last look.
func TestSecurityDays(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		last := store.SecurityCounts{Images: 9, Scanned: 8, Critical: 7, High: 6, Medium: 5, Low: 4, Negligible: 3, Unknown: 2, Fixable: 1, KEV: 10}
		for _, c := range []store.SecurityCounts{{Images: 3, Scanned: 2, Critical: 1}, last} {
			update(t, s, func(tx *store.Tx) error { return tx.KeepSecurityDay(c) })
		}
		want := func(days int, since time.Time) {
			t.Helper()
			view(t, s, func(tx *store.Tx) error {
				got, err := tx.SecurityDays(since)
				if len(got) != days || days == 1 && (got[0].SecurityCounts != last || got[0].Day.Unix()%86400 != 0) {
					t.Errorf("since %s: %+v, want %d days", since, got, days)
				}
				return err
			})
		}
		want(1, time.Now().AddDate(0, 0, -1))
		want(0, time.Now().AddDate(0, 0, 1))
		update(t, s, func(tx *store.Tx) error { return tx.TrimSecurityDays(time.Now()) })
		want(1, time.Unix(0, 0))
		update(t, s, func(tx *store.Tx) error { return tx.TrimSecurityDays(time.Now().AddDate(0, 0, 1)) })
		want(0, time.Unix(0, 0))
	})
}
