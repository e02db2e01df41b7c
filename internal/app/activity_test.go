package app_test

import (
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// pulled appends rows of that many pulls in the project.
func (w *town) pulled(t *testing.T, ref core.ProjectRef, at time.Time, times int64) {
	t.Helper()
	w.update(t, func(tx *store.Tx) error {
		p, err := tx.Project(ref)
		if err != nil {
			return err
		}
		return tx.AppendAudit(core.AuditEvent{Time: at, Operation: "pull", ResourceType: "artifact", ProjectID: p.ID, Repeats: times, Success: true})
	})
}

// pulls are the pulls of the last days as the caller sees them.
func (w *town) pulls(t *testing.T, c core.Caller, days int) (counts []int64, whole bool) {
	t.Helper()
	activity, err := w.App.Activity(t.Context(), c, days)
	if err != nil {
		t.Fatal(err)
	}
	for i, day := range activity.Days {
		if i > 0 && day.Day.Sub(activity.Days[i-1].Day) != 24*time.Hour {
			t.Errorf("the day %s follows %s", day.Day, activity.Days[i-1].Day)
		}
		counts = append(counts, day.Pulls)
	}
	return counts, activity.Whole
}

func TestActivity(t *testing.T) {
	w := newTown(t)
	now := time.Now()
	ago := func(days int) time.Time { return now.AddDate(0, 0, -days) }
	w.pulled(t, w.here, ago(0), 1)
	w.pulled(t, w.here, ago(2), 20)
	w.pulled(t, w.there, ago(2), 300)
	w.pulled(t, w.there, ago(5), 4000)
	for _, test := range []struct {
		name  string
		who   core.Caller
		days  int
		want  []int64
		whole bool
	}{
		{"the registry's administrator", w.admin, 4, []int64{0, 320, 0, 1}, true},
		{"more days", w.admin, 6, []int64{4000, 0, 0, 320, 0, 1}, true},
		{"fewer days again", w.admin, 3, []int64{320, 0, 1}, true},
		{"a project's administrator", w.ada, 4, []int64{0, 20, 0, 1}, false},
		{"a maintainer", w.dan, 4, nil, false},
		{"somebody else", w.zoe, 4, nil, false},
	} {
		got, whole := w.pulls(t, test.who, test.days)
		if len(got) != len(test.want) || whole != test.whole {
			t.Fatalf("%s sees %v, %v; want %v, %v", test.name, got, whole, test.want, test.whole)
		}
		for i := range got {
			if got[i] != test.want[i] {
				t.Errorf("%s sees %v, want %v", test.name, got, test.want)
			}
		}
	}
	// Today and yesterday may still change; what is older is remembered.
	w.pulled(t, w.here, ago(0), 2)
	w.pulled(t, w.here, ago(1), 5)
	if got, _ := w.pulls(t, w.admin, 3); got[0] != 320 || got[1] != 5 || got[2] != 3 {
		t.Errorf("after more pulls: %v", got)
	}
	if got, _ := w.pulls(t, w.admin, 1000); len(got) != 90 {
		t.Errorf("%d days are counted", len(got))
	}
	if _, err := w.App.Activity(t.Context(), anonymous, 3); core.ErrorCode(err) != core.CodeUnauthorized {
		t.Errorf("anonymous: %v", err)
	}
}
