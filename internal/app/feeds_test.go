package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFeedSettings(t *testing.T) {
	w := newAccounts(t)
	off := false
	for _, tt := range []struct {
		name   string
		change app.FeedChange
		code   core.Code
	}{
		{"nothing", app.FeedChange{}, core.CodeNotFound},
		{"debian", app.FeedChange{URLs: map[string]string{"other": "https://mirror.example/"}}, core.CodeBadRequest},
		{"debian", app.FeedChange{URLs: map[string]string{"tracker": "ftp://mirror.example/"}}, core.CodeBadRequest},
		{"debian", app.FeedChange{URLs: map[string]string{"tracker": "https://user:secret@mirror.example/"}}, core.CodeBadRequest},
		{"debian", app.FeedChange{URLs: map[string]string{"tracker": "https://mirror.example/?a=b"}}, core.CodeBadRequest},
		{"debian", app.FeedChange{URLs: map[string]string{"tracker": "file:///etc/passwd"}}, core.CodeBadRequest},
		{"debian", app.FeedChange{URLs: map[string]string{"tracker": "https:///path"}}, core.CodeBadRequest},
	} {
		if err := w.ChangeFeed(t.Context(), system, tt.name, tt.change); core.ErrorCode(err) != tt.code || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s %v: %v", tt.name, tt.change.URLs, err)
		}
	}
	const mirror = "https://mirror.example/json"
	change := app.FeedChange{Enabled: &off, URLs: map[string]string{"tracker": mirror}}
	check(t, w.ChangeFeed(t.Context(), system, "debian", change))
	f, _, err := w.Feed(t.Context(), system, "debian")
	check(t, err)
	if f.Enabled || f.URL(f.Sources[0]) != mirror || f.URL(f.Sources[1]) != f.Sources[1].URL {
		t.Errorf("the feed is %+v", f)
	}
	check(t, w.ChangeFeed(t.Context(), system, "debian", app.FeedChange{URLs: map[string]string{"tracker": ""}}))
	if f, _, err = w.Feed(t.Context(), system, "debian"); err != nil || f.URL(f.Sources[0]) != f.Sources[0].URL || f.Enabled {
		t.Errorf("the feed is %+v, %v", f, err)
	}
	wanted, _, err := w.FeedsToUpdate(t.Context(), app.FeedJob{})
	check(t, err)
	for _, f := range wanted {
		if f.Name == "debian" || !f.Default {
			t.Errorf("%s is to be updated, and is off", f.Name)
		}
	}
	if wanted, _, err = w.FeedsToUpdate(t.Context(), app.FeedJob{Feeds: []string{"debian", "kev"}}); err != nil || len(wanted) != 2 {
		t.Errorf("named feeds: %v, %v", wanted, err)
	}
}

func TestFeedState(t *testing.T) {
	w := newAccounts(t)
	named := func(name string) core.Feed {
		t.Helper()
		all, err := w.Feeds(t.Context(), system)
		check(t, err)
		for _, f := range all {
			if f.Name == name {
				return f
			}
		}
		t.Fatalf("no feed %s", name)
		return core.Feed{}
	}
	if f := named("alpine"); !f.Stale(time.Now()) || named("suse").Stale(time.Now()) {
		t.Errorf("a feed that is on and never reported must be stale, one that is off not: %+v", f)
	}
	rematches := func() int {
		q, err := w.JobQueue(t.Context())
		check(t, err)
		n := 0
		for _, kind := range q.Kinds {
			if kind == app.JobRematch {
				n++
			}
		}
		return n
	}
	good := core.FeedPartResult{Name: "main", Changed: true, Records: 10, Fingerprint: "a"}
	bad := core.FeedPartResult{Name: "community", Error: "503"}
	check(t, w.RecordFeeds(t.Context(), core.FeedResult{Feed: "alpine", Origin: core.FeedFetched, Parts: []core.FeedPartResult{bad}}))
	if f := named("alpine"); f.Error != "community: 503" || !f.SucceededAt.IsZero() || f.AttemptedAt.IsZero() || !f.Stale(time.Now()) || rematches() != 0 {
		t.Errorf("after a failure: %+v, %d rematches", f, rematches())
	}
	check(t, w.RecordFeeds(t.Context(), core.FeedResult{Feed: "alpine", Origin: core.FeedFetched, Parts: []core.FeedPartResult{good, bad}}))
	if f := named("alpine"); f.Records != 10 || !f.SucceededAt.IsZero() || f.ChangedAt.IsZero() || rematches() != 1 {
		t.Errorf("after a run with a failed part: %+v, %d rematches", f, rematches())
	}
	good.Changed, good.Records = false, 0
	bad.Error = ""
	check(t, w.RecordFeeds(t.Context(), core.FeedResult{Feed: "alpine", Origin: core.FeedFetched, Parts: []core.FeedPartResult{good, bad}}))
	if f := named("alpine"); f.Records != 10 || f.Error != "" || f.SucceededAt.IsZero() || f.Stale(time.Now()) || !f.Stale(time.Now().Add(core.FeedStaleAfter+time.Hour)) {
		t.Errorf("after a good run: %+v", f)
	}
	read := time.Now().Add(-100 * 24 * time.Hour)
	check(t, w.RecordFeeds(t.Context(), core.FeedResult{Feed: "alpine", Origin: core.FeedImported, ReadAt: read,
		Parts: []core.FeedPartResult{{Name: "main", Changed: true, Records: 12}}}))
	f, parts, err := w.Feed(t.Context(), system, "alpine")
	if err != nil || f.Origin != core.FeedImported || !f.Stale(time.Now()) || len(parts) != 2 || parts[1].Records != 12 || parts[0].AttemptedAt.Equal(f.AttemptedAt) {
		t.Errorf("after the import of old data: %+v, %+v, %v", f, parts, err)
	}
}
