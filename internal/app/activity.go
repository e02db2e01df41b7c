package app

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

const (
	// maxActivityDays bounds how far back Activity looks.
	maxActivityDays = 90
	oneDay          = 24 * time.Hour
)

// dayCache remembers the whole registry's counts of days that are over: a busy
// registry has too many audit rows to add them up for every look at a chart.
type dayCache struct {
	mu    sync.Mutex
	first time.Time // the days from here on are known, up to until
	until time.Time
	days  map[time.Time]core.DayCount
}

// Activity is the pulls and pushes of some days, one entry for each day.
type Activity struct {
	Days  []core.DayCount
	Whole bool // of the whole registry, not only of the caller's projects
}

// Activity counts pulls and pushes of the last days, today included: of the
// whole registry for those who may see its audit log, of the projects whose log
// they may see for others. Who may see none gets no days.
func (a *App) Activity(ctx context.Context, c core.Caller, days int) (counts Activity, err error) {
	days = min(max(days, 1), maxActivityDays)
	err = a.view(ctx, c, func(s *session) error {
		today := s.Now().UTC().Truncate(oneDay)
		first := today.AddDate(0, 0, 1-days)
		found, err := s.activity(&counts, first, today)
		if err != nil || found == nil {
			return err
		}
		for i := range days {
			day := first.AddDate(0, 0, i)
			count := found[day]
			count.Day = day
			counts.Days = append(counts.Days, count)
		}
		return nil
	})
	return counts, err
}

// activity counts what the caller may see; nil when that is nothing.
func (s *session) activity(counts *Activity, first, today time.Time) (map[time.Time]core.DayCount, error) {
	scope, err := s.auditScope()
	if err != nil {
		return nil, err
	}
	if counts.Whole = scope.All; counts.Whole {
		return s.app.days.all(s.Tx, first, today)
	}
	some, err := s.AdministersProject(s.userID())
	if err != nil || !some {
		return nil, err
	}
	found := map[time.Time]core.DayCount{}
	return found, countDays(s.Tx, scope, first, found)
}

// all counts the days from first to today. Yesterday is not taken as over: the
// audit rows of pulls are written some time after the pulls.
func (k *dayCache) all(tx *store.Tx, first, today time.Time) (map[time.Time]core.DayCount, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	from := first
	if k.days != nil && !first.Before(k.first) && !first.After(k.until) {
		from = k.until
	} else {
		k.days, k.first = map[time.Time]core.DayCount{}, first
	}
	found := maps.Clone(k.days)
	if err := countDays(tx, store.AuditScope{All: true}, from, found); err != nil {
		k.days = nil
		return nil, err
	}
	k.until = today.AddDate(0, 0, -1)
	maps.DeleteFunc(k.days, func(day time.Time, _ core.DayCount) bool { return day.Before(today.AddDate(0, 0, -maxActivityDays)) })
	for day, count := range found {
		if day.Before(k.until) {
			k.days[day] = count
		}
	}
	return found, nil
}

func countDays(tx *store.Tx, scope store.AuditScope, since time.Time, into map[time.Time]core.DayCount) error {
	counts, err := tx.Activity(scope, since)
	for _, c := range counts {
		into[c.Day] = c
	}
	return err
}
