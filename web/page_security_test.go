package web_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

func TestSecurityAtTheBrowser(t *testing.T) {
	w := newWorld(t, nil)
	b := (&server{handler: w.handler, app: w.app}).browser(t, w.boss(t))
	page := b.get(t, "/security").want(200, "Vulnerabilities", "Known to be exploited", "CVE-2026-7", "in 3 images", "Most dangerous images", "critical and high findings")
	page.click("30 days").want(200, "Show as table", "not known") // of the days before the first scan
	page.click("CVE-2026-7").want(200, "Find vulnerabilities", "openssl", "7.5", "More at security.example")
	b.get(t, "/security/search").want(200, "Fill in at least one of the fields").
		submit("Find", url.Values{"Package": {"openssl"}, "Severity": {"high"}, "Show": {"fixable"}}).want(200, "CVE-2026-7", "removed meanwhile")
	for _, odd := range []string{"?severity=evil", "?only=evil", "?page=-1&cve=x", "?cve=%00"} {
		b.get(t, "/security/search"+odd).want(200)
	}
	w.checkTrend(t)
}

// boss is the name of a system admin of the world.
func (w *world) boss(t *testing.T) string {
	t.Helper()
	for _, p := range w.people {
		if p.id.Kind == core.KindUser && p.sysadmin {
			return p.name
		}
	}
	t.Fatal("there is no system admin")
	return ""
}

// checkTrend: the days that were kept, and today as it is now.
func (w *world) checkTrend(t *testing.T) {
	t.Helper()
	err := w.store.Update(t.Context(), func(tx *store.Tx) error { return tx.KeepSecurityDay(store.SecurityCounts{Scanned: 1, Critical: 99}) })
	if err != nil {
		t.Fatal(err)
	}
	trend, err := w.app.SecurityTrend(t.Context(), system, 30)
	if err != nil || len(trend) != 1 || trend[0].Critical == 99 || trend[0].High == 0 || !trend[0].Day.Equal(time.Now().UTC().Truncate(24*time.Hour)) {
		t.Errorf("the trend is %+v, %v", trend, err)
	}
	for _, days := range []int{0, -1, 401} {
		if _, err := w.app.SecurityTrend(t.Context(), system, days); core.ErrorCode(err) != core.CodeBadRequest {
			t.Errorf("%d days: %v", days, err)
		}
	}
}
