package web

import (
	"encoding/csv"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

func someReport() app.OpenedReport {
	dpkg := "var/lib/dpkg/status"
	return app.OpenedReport{Repository: "p/app", Tags: []core.Tag{{Name: "v1"}, {Name: "v2"}}, Fact: core.ScanFact{Status: core.ScanSuccess}, Allowed: map[string]bool{"CVE-2": true},
		ScanReport: core.ScanReport{Digest: "sha256:a", Images: []core.ReportedImage{{Digest: "sha256:a", Platform: &core.Platform{OS: "linux", Architecture: "amd64"}}}, Vulnerabilities: []core.Vulnerability{
			{CVE: "CVE-1", Severity: core.SeverityLow, Package: "openssl", Version: "3.0.1", Fixed: "3.0.9", Layer: "l1", Place: dpkg, EPSS: 0.9},
			{CVE: "CVE-2", Severity: core.SeverityHigh, Package: "openssl", Version: "3.0.1", Fixed: "3.0.10", Layer: "l1", Place: dpkg, Score: 7.5},
			{CVE: "CVE-3", Severity: core.SeverityCritical, Package: "lodash", Version: "4.17.4", Fixed: "4.17.12", Layer: "l2", Place: "nodejs:app/node_modules", KEV: true},
			{CVE: "CVE-4", Severity: core.SeverityMedium, Package: "=cmd()", Version: "1", Layer: "l2", Place: dpkg, Images: []string{"sha256:a"}, Description: "Bad \"quotes\",\nlines"},
		}}}
}

func TestReportIsFiltered(t *testing.T) {
	for query, want := range map[string]string{
		"":                           "CVE-3 CVE-2 CVE-4 CVE-1",
		"order=up":                   "CVE-1 CVE-4 CVE-2 CVE-3",
		"sort=epss":                  "CVE-1 CVE-3 CVE-2 CVE-4",
		"sort=package":               "CVE-4 CVE-3 CVE-2 CVE-1",
		"sort=nonsense&severity=Bad": "CVE-3 CVE-2 CVE-4 CVE-1",
		"severity=High":              "CVE-2",
		"show=fixable&sort=cve":      "CVE-3 CVE-2 CVE-1",
		"show=unfixed":               "CVE-4",
		"show=exploited":             "CVE-3",
		"show=allowed":               "CVE-2",
		"package=openssl":            "CVE-2 CVE-1",
		"q=QUOTES":                   "CVE-4",
		"q=cve-3&show=unfixed":       "",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		got := mapAll(readReportFilter(values).apply(someReport()), func(v core.Vulnerability) string { return v.CVE })
		if strings.Join(got, " ") != want {
			t.Errorf("%s selects %v, want %s", query, got, want)
		}
	}
}

// An update reaches the highest version that its findings name, and the
// packages of the distribution come before those of the application.
func TestUpdates(t *testing.T) {
	list := updates(someReport().Vulnerabilities, map[string]layerStep{"l1": {1, ""}, "l2": {2, ""}})
	if len(list) != 2 || list[0].pkg != "openssl" || list[0].to != "3.0.10" || list[0].tally.Total() != 2 || list[0].application ||
		list[1].pkg != "lodash" || !list[1].application || list[1].tally.KEV != 1 {
		t.Errorf("updates = %+v", list)
	}
}

func TestReportCSVIsHarmless(t *testing.T) {
	var b strings.Builder
	report := someReport()
	if err := writeFindings(csv.NewWriter(&b), report, readReportFilter(url.Values{"show": {"unfixed"}}).apply(report)); err != nil {
		t.Fatal(err)
	}
	if want := `p/app,v1 v2,sha256:a,linux/amd64,CVE-4,Medium,'=cmd(),1,,,,,false,false,l2,var/lib/dpkg/status,,,,,"Bad ""quotes"",` + "\nlines\"\n"; !strings.HasSuffix(b.String(), want) {
		t.Errorf("CSV = %s", b.String())
	}
}

func TestAPIShowsWhatIsExploited(t *testing.T) {
	text, err := json.Marshal(newVulnerabilityJSON(core.ScanReport{})(core.Vulnerability{CVE: "CVE-1", EPSS: 0.94, KEV: true, Score: 9.8}))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"epss":0.94`, `"kev":true`, `"score_v3":9.8`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("%s is missing in %s", part, text)
		}
	}
}

func TestOnlyWebAddressesAreLinks(t *testing.T) {
	for link, want := range map[string]bool{"https://a.example/x": true, "http://a.example": true, "javascript:alert(1)": false, "data:text/html,x": false, "//a.example": false, "https:": false} {
		if webAddress(link) != want {
			t.Errorf("%s: %t", link, !want)
		}
	}
}
