package web_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web"
)

func TestFeedsAtTheBrowser(t *testing.T) {
	s := newServer(t, func(d *web.Deps) { d.Uploads = uploads{} })
	b := s.browser(t, "admin")
	page := b.get(t, "/admin/feeds").want(200, "Vulnerability data", "Debian Security Tracker", "Never read", "Switch on", "breakwater feeds export feeds.bundle",
		"It runs only when somebody starts it", "no file was imported yet")
	page = page.submit("Switch on CISA Known Exploited Vulnerabilities", nil).want(200, "kev is on", "breakwater feeds export --feed debian --feed ubuntu")
	page = page.click("CISA Known Exploited Vulnerabilities").want(200, "Adds to what other sources find")
	if box := page.field("Read this source"); !hasAttr(box, "checked") {
		t.Error("the feed that was switched on is not on")
	}
	page = page.submit("Save settings", url.Values{"Address of catalog": {"ftp://mirror.example/kev"}}).want(422, "1 field needs a change", "without a password")
	page = page.submit("Save settings", url.Values{"Address of catalog": {"https://mirror.example/kev.json"}}).want(200, "The settings were saved")
	if got := attr(page.field("Address of catalog"), "value"); got != "https://mirror.example/kev.json" {
		t.Errorf("the address is %q", got)
	}
	b.get(t, "/admin/feeds").want(200, "from a mirror")
	page.submit("Save settings", url.Values{"Address of catalog": {""}, "Read this source": {""}}).want(200, "The settings were saved", "Off")
	b.get(t, "/admin/feeds").submit("Save schedule", url.Values{"How often": {"Custom"}, "Cron expression": {"nonsense"}}).want(422, "Write six fields")
	b.get(t, "/admin/feeds").submit("Save schedule", url.Values{"How often": {"Daily"}}).want(200, "The schedule was saved", "Next run:")
	b.get(t, "/admin/feeds/windows").want(404)

	run := b.get(t, "/admin/feeds").submit("Update Debian Security Tracker", nil).want(200, "Running now", "Update of Debian Security Tracker", "Waiting")
	if len(run.all(isListening)) != 1 {
		t.Error("the page does not listen to the run")
	}
	b.get(t, "/admin/feeds/live").want(200, "Update of Debian Security Tracker")
	run.submit("Stop Update of Debian Security Tracker", nil).want(200, "Stopped")
	if page := b.get(t, "/admin/feeds"); len(page.all(isListening)) != 0 {
		t.Error("the page listens although nothing runs")
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(s.app.RecordFeeds(t.Context(), core.FeedResult{Feed: "alpine", Origin: core.FeedFetched,
		Parts: []core.FeedPartResult{{Name: "alpine-main", Changed: true, Records: 1234}, {Name: "alpine-edge", Error: "GET http://x: 503"}}}))
	b.get(t, "/admin/feeds").want(200, "alpine-edge: GET http://x: 503", "1,234", "Failed")
	b.get(t, "/admin/feeds/alpine").want(200, "The last run failed", "alpine-main", "1,234", "alpine-edge")
}

// A bundle is taken from the form as browsers send it; what is no file is told
// on the page.
func TestFeedUploadAtTheBrowser(t *testing.T) {
	s := newServer(t, func(d *web.Deps) { d.Uploads = uploads{} })
	b := s.browser(t, "admin")
	send := func(fileName string) (string, string) {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		if part, err := form.CreateFormFile("bundle", fileName); err != nil {
			t.Fatal(err)
		} else if _, err := part.Write(bytes.Repeat([]byte("x"), 3<<20)); err != nil { // more than other bodies may have
			t.Fatal(err)
		}
		if err := form.Close(); err != nil {
			t.Fatal(err)
		}
		return body.String(), form.FormDataContentType()
	}
	body, kind := send("feeds-2026.bundle")
	w := b.sendAs(t, http.MethodPost, "/admin/feeds/import", body, kind)
	if w.Code != http.StatusSeeOther {
		t.Fatalf("the upload = %d %s", w.Code, w.Body)
	}
	b.get(t, "/admin/feeds").want(200, "Import of feeds-2026.bundle", "The file is here")
	body, kind = send("")
	if w := b.sendAs(t, http.MethodPost, "/admin/feeds/import", body, kind); w.Code != 422 || !strings.Contains(w.Body.String(), "The form has no file") {
		t.Errorf("no file = %d %s", w.Code, w.Body)
	}
	runs, _, err := s.app.FeedRuns(t.Context(), system, core.Query{Page: 1, PageSize: 10})
	if err != nil || len(runs) != 1 || runs[0].Kind != app.JobFeeds {
		t.Errorf("runs: %v, %v", runs, err)
	}
}

// Where the internet is not asked, nothing offers to do so.
func TestFeedsOffline(t *testing.T) {
	s := newServer(t, func(d *web.Deps) { d.Offline, d.Uploads = true, uploads{} })
	page := s.browser(t, "admin").get(t, "/admin/feeds").want(200, "This registry does not ask the internet", "breakwater feeds import feeds.bundle")
	for _, button := range []string{"Update all now", "Update Debian Security Tracker", "Save schedule"} {
		if page.role("button", button) != nil {
			t.Errorf("there is a button %q", button)
		}
	}
}
