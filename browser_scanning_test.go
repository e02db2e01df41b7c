package main

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

// Everything is scanned and watched; the registry's allowlist is written.
func TestBrowserScanning(t *testing.T) {
	srv, b := startUI(t)
	newProject(t, srv, "team-a", false)
	importFeed(t, srv, feedOfFlaws(flaws))
	pushAlpine(t, srv, "team-a/web:1.0", alpine(t, false, oldPackages, olderCurl))
	pushImage(t, srv, "team-a/tool:2.1")
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Click("Scanning")
	b.SeeTitle("Scanning")
	b.See("no scan has ended yet")
	b.Click("Scan all images")
	b.See("2 of 2 images") // the stream says so: nobody loads the page again
	b.See("Last scan of everything")
	b.Goto("/admin/scanning")
	b.Fill("CVE ids", "CVE-2026-0001 nonsense")
	b.Click("Save allowlist")
	b.See(`"nonsense" is no id of a vulnerability`)
	b.Shot("scanning-wrong")
	b.Fill("CVE ids", "CVE-2026-0001\nCVE-2014-0160")
	b.Fill("Valid through", "2031-05-31")
	b.Click("Save allowlist")
	b.See("The allowlist was saved")
	b.Shot("scanning")
}

// exploitedFlaw is a catalogue of known exploited vulnerabilities as clairctl
// exports it.
const exploitedFlaw = `{"Updater":"clair.kev","Fingerprint":"x","Date":"2026-10-01T06:00:00Z","Ref":"55555555-5555-4555-8555-555555555555",` +
	`"Enrichment":{"Tags":["CVE-2026-1001"],"Enrichment":{"cve":"CVE-2026-1001"}},"Kind":"enrichment"}` + "\n"

// What was found in all images: the worst of it, how it went, and who has it.
func TestBrowserSecurity(t *testing.T) {
	srv, b := startUI(t)
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Click("Vulnerabilities")
	b.See("Nothing was scanned yet")
	b.Shot("security-none")
	newProject(t, srv, "team-a", false)
	newProject(t, srv, "payments", false)
	importFeed(t, srv, feedOfFlaws(flaws)+exploitedFlaw)
	pushAlpine(t, srv, "payments/gateway:2.14.1", alpine(t, true, oldPackages, olderCurl))
	pushAlpine(t, srv, "team-a/web:1.0", alpine(t, false, oldPackages, nil))
	pushAlpine(t, srv, "team-a/tools/build:7", alpine(t, false, freshPackages, olderCurl))
	b.Click("Scanning")
	b.Click("Scan all images")
	b.See("3 of 3 images")
	b.Goto("/projects") // a page that asks for nothing while the server is stopped
	findingsOfPastDays(t, srv)
	b.Goto("/security")
	b.See("What was found in 3 of 3 images")
	b.See("payments/gateway")
	b.Shot("security")
	b.Click("Show as table")
	b.See("not known") // of the days on which the registry did not run
	b.Click("90 days")
	b.Click("CVE-2026-1001")
	b.SeeTitle("Find vulnerabilities")
	b.See("team-a/web")
	b.See("More at security.example")
	b.Shot("security-search")
	b.Fill("Repository", "payments/gateway")
	b.Click("Find")
	b.Gone("team-a/web")
	b.See("2.14.1")
	b.Click("Clear")
	b.See("Fill in at least one of the fields")
	b.Goto("/")
	b.See("Images at risk")
	b.See("Vulnerability data is out of date")
	b.Shot("overview-risk")
}

// findingsOfPastDays has the registry remember a month of findings, with a gap,
// which a test cannot wait for. The server is stopped meanwhile.
func findingsOfPastDays(t *testing.T, srv *testenv.Server) {
	t.Helper()
	srv.Stop(t)
	db, err := sql.Open("sqlite", filepath.Join(srv.Data, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	for ago := 40; ago > 0; ago-- {
		if ago == 12 || ago == 13 {
			continue
		}
		_, err := db.Exec(fmt.Sprintf(`INSERT INTO security_day VALUES (%d, 3, 3, %d, %d, 9, 4, 3, 2, 12, %d)`,
			today.AddDate(0, 0, -ago).UnixMicro(), 1+ago/9, 3+ago*ago/120, 1+ago/15))
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	srv.Restart(t)
}
