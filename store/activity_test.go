package store_test

import (
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

func TestActivity(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		midnight := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
		row := func(at time.Time, operation, kind string, project, repeats int64, success bool) core.AuditEvent {
			return core.AuditEvent{Time: at, Operation: operation, ResourceType: kind, ProjectID: project, Repeats: repeats, Success: success}
		}
		rows := []core.AuditEvent{
			row(midnight.Add(-time.Microsecond), "pull", "artifact", 1, 9, true), // the day before
			row(midnight, "pull", "artifact", 1, 3, true),
			row(midnight.Add(23*time.Hour), "pull", "artifact", 2, 1, true),
			row(midnight.Add(time.Hour), "create", "artifact", 1, 0, true),
			row(midnight.Add(time.Hour), "create", "project", 1, 0, true),
			row(midnight.Add(time.Hour), "pull", "artifact", 1, 5, false), // was refused
			row(midnight.Add(49*time.Hour), "create", "artifact", 2, 0, true),
		}
		appendAudit(t, s, rows...)
		for _, test := range []struct {
			name  string
			scope store.AuditScope
			want  []core.DayCount
		}{
			{"all", store.AuditScope{All: true}, []core.DayCount{{Day: midnight, Pulls: 4, Pushes: 1}, {Day: midnight.AddDate(0, 0, 2), Pushes: 1}}},
			{"one project", store.AuditScope{IDs: []int64{1}}, []core.DayCount{{Day: midnight, Pulls: 3, Pushes: 1}}},
			{"nothing", store.AuditScope{}, nil},
		} {
			var got []core.DayCount
			view(t, s, func(tx *store.Tx) (err error) {
				got, err = tx.Activity(test.scope, midnight.Add(5*time.Hour)) // any time of the day means all of it
				return err
			})
			if len(got) != len(test.want) {
				t.Fatalf("%s: %v, want %v", test.name, got, test.want)
			}
			for i := range got {
				if got[i] != test.want[i] {
					t.Errorf("%s: %v, want %v", test.name, got[i], test.want[i])
				}
			}
		}
	})
}
