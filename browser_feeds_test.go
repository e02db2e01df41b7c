package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

// startOnline is startUI for a registry that may ask the internet, of which
// there is only what the test serves on loopback. The administrator is signed in.
func startOnline(t *testing.T) (*testenv.Server, *testenv.Chrome) {
	t.Helper()
	testenv.RequireE2E(t)
	srv := testenv.StartServer(t, testenv.ServerOptions{Args: []string{"--offline=false"}})
	b := testenv.Browser(t, srv.URL)
	signIn(b, srv.AdminUser, srv.AdminPassword)
	srv.JSON(t, "PUT", "/api/v2.0/system/feeds/schedule", srv.AdminUser, srv.AdminPassword, map[string]any{"schedule": map[string]string{"type": "None"}}, 200, nil)
	return srv, b
}

// A feed is switched on, read from a mirror and looked at; then its mirror breaks.
func TestBrowserFeeds(t *testing.T) {
	_, b := startOnline(t)
	mirror, breakIt := kevServer(t)
	b.Click("Vulnerability data")
	b.SeeTitle("Vulnerability data")
	b.See("Never read")
	b.Shot("feeds-new")
	b.Click("CISA Known Exploited Vulnerabilities")
	b.SeeTitle("CISA Known Exploited Vulnerabilities")
	b.Choose("Read this source")
	b.Fill("Address of catalog", "mirror.example.com")
	b.Click("Save settings")
	b.See("1 field needs a change")
	b.Shot("feed-wrong")
	b.Fill("Address of catalog", mirror.URL+kevPath)
	b.Click("Save settings")
	b.See("The settings were saved")
	b.Click("Update now")
	b.SeeTitle("Vulnerability data")
	b.See("1 new record") // the stream says so: nobody loads the page again
	b.Goto("/admin/feeds/kev")
	b.See("Up to date")
	b.See("clair.kev")
	b.Shot("feed")
	breakIt()
	b.Goto("/admin/feeds")
	b.Click("Update CISA Known Exploited Vulnerabilities")
	b.See("Failed: Update of CISA Known Exploited Vulnerabilities") // the stream says so: nobody loads the page again
	b.See("503 Service Unavailable")
	b.Goto("/admin/feeds")
	b.Shot("feeds-failed")
	b.Goto("/admin/feeds/kev")
	b.See("The last run failed")
	b.Shot("feed-failed")
}

// A bundle is uploaded; a broken one says so and changes nothing.
func TestBrowserFeedUpload(t *testing.T) {
	srv, b := startUI(t)
	dir := t.TempDir()
	good, cut, empty := filepath.Join(dir, "clairctl.json"), filepath.Join(dir, "cut.json"), filepath.Join(dir, "empty.json")
	writeClairctl(t, good, 30_000)
	content, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for path, part := range map[string][]byte{cut: content[:len(content)-30], empty: nil} {
		if err := os.WriteFile(path, part, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Goto("/admin/feeds")
	b.See("This registry does not ask the internet")
	b.See("breakwater feeds export feeds.bundle")
	upload := func(path string) {
		t.Helper()
		b.Attach("bundle", path)
		b.Click("Upload")
	}
	upload(empty)
	b.See("The file is empty")
	b.Shot("feeds-refused")
	upload(cut)
	b.See("Failed: Import of cut.json")
	b.See("the bundle is damaged or not whole")
	b.Shot("feeds-damaged")
	var debian struct{ Records int }
	srv.JSON(t, "GET", "/api/v2.0/system/feeds/debian", srv.AdminUser, srv.AdminPassword, nil, 200, &debian)
	if debian.Records != 0 {
		t.Errorf("a damaged bundle brought %d records", debian.Records)
	}
	upload(good)
	b.See("The file is here. Its import begins now.")
	b.See("Running now")
	b.See("Import of clairctl.json")
	b.Shot("feeds-importing")
	b.See("30,000") // the stream says so
	b.Goto("/admin/feeds")
	b.See("from a file")
	b.See("30,000 new records")
	b.Shot("feeds-imported")
}
