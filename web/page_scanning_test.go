package web_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

func TestScanningAtTheBrowser(t *testing.T) {
	s := newServer(t)
	s.app.UseScanner(scans{})
	b := s.browser(t, "admin")
	page := b.get(t, "/admin/scanning").want(200, "Scanning", "Not scanned yet", "It runs only when somebody starts it", "claircore", "built in", "0 records")
	page = page.submit("Scan all images", nil).want(200, "Running now", "Scan of all images", "Waiting")
	if len(page.all(isListening)) != 1 {
		t.Error("the page does not listen to the scan")
	}
	if page.role("button", "Scan all images") != nil {
		t.Error("a scan that goes on can be started again")
	}
	b.open(t, "POST", "/admin/scanning", "").want(200, "Running now") // somebody else's page is older
	page.submit("Stop", nil).want(200, "Last scan of everything", "Stopped")
	b.get(t, "/admin/scanning").submit("Scan all images", nil)
	job, err := s.app.StartJob(t.Context(), app.JobScanAll)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.app.ReportJob(t.Context(), job.ID, `{"total":40,"done":10,"success":7,"error":1,"unscannable":2,"changed":5}`, ""); err != nil {
		t.Fatal(err)
	}
	b.get(t, "/admin/scanning/live").want(200, "10 of 40 images", "3 without a report")
	if err := s.app.EndJob(t.Context(), job, core.JobSuccess, ""); err != nil {
		t.Fatal(err)
	}
	b.get(t, "/admin/scanning").want(200, "Last scan of everything", "10 of 40 images", "Done")
	b.get(t, "/admin/jobs").want(200, "10 images, 3 without a report")
	page = b.get(t, "/admin/scanning").submit("Save schedule", url.Values{"How often": {"Custom"}, "Cron expression": {"x"}}).want(422, "Write six fields")
	page.submit("Save schedule", url.Values{"How often": {"Weekly"}, "Cron expression": {""}}).want(200, "The schedule was saved", "Next run:")
}

func TestSystemAllowlistAtTheBrowser(t *testing.T) {
	s := newServer(t)
	s.app.UseScanner(scans{})
	b := s.browser(t, "admin")
	page := b.get(t, "/admin/scanning").submit("Save allowlist", url.Values{"CVE ids": {"CVE-2021-44228\nno id"}, "Valid through": {"tomorrow"}}).
		want(422, "2 fields need a change", `"id" is no id of a vulnerability`, "Choose a date")
	page = page.submit("Save allowlist", url.Values{"CVE ids": {"CVE-2021-44228, CVE-2014-0160\r\nCVE-2021-44228"}, "Valid through": {"2031-05-31"}}).want(200, "The allowlist was saved")
	list, err := s.app.SystemCVEAllowlist(t.Context(), system)
	if want := time.Date(2031, 6, 1, 0, 0, 0, 0, time.UTC); err != nil || len(list.Items) != 2 || !list.ExpiresAt.Equal(want) {
		t.Errorf("the list is %+v, %v", list, err)
	}
	if got := attr(page.field("Valid through"), "value"); got != "2031-05-31" {
		t.Errorf("it is shown as valid through %s", got)
	}
	// Somebody else is faster.
	if err := s.app.SetSystemCVEAllowlist(t.Context(), system, core.CVEAllowlist{Items: []string{"CVE-2020-1"}}); err != nil {
		t.Fatal(err)
	}
	page = page.submit("Save allowlist", url.Values{"CVE ids": {"CVE-2022-22965"}}).want(409, "Somebody else has changed the list meanwhile", "CVE-2020-1", "CVE-2022-22965")
	page.submit("Save allowlist", url.Values{"CVE ids": {""}, "Valid through": {""}}).want(200, "The allowlist was saved")
	if list, err = s.app.SystemCVEAllowlist(t.Context(), system); err != nil || len(list.Items) != 0 || !list.ExpiresAt.IsZero() {
		t.Errorf("the list is %+v, %v", list, err)
	}
}
