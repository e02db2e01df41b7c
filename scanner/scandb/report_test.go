package scandb_test

import (
	"errors"
	"testing"
	"time"

	"github.com/quay/claircore"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/scanner/dbfile"
	"github.com/breakwater-registry/breakwater/scanner/scandb"
)

// Only what differs is a change, whatever else a report says; what no report
// has any more is gone.
func TestReports(t *testing.T) {
	s := openStore(t)
	m := index(t, s, &claircore.Package{Name: "jq", Version: "1"}, nil, nil)
	finding := func(cve string, severity core.Severity) scandb.Finding {
		return scandb.Finding{Package: scandb.Package{ID: 2, Name: "jq", Version: "1"}, Fixed: "2", Place: "db", Layer: m.Layers[0].Hash.String(),
			Advisory: scandb.Advisory{CVE: cve, Name: cve, Updater: "u", Severity: severity, Score: 9.8, KEV: true, Issued: time.UnixMicro(5).UTC(), Description: "d", Links: "l"}}
	}
	one, two := finding("CVE-1", core.SeverityLow), finding("CVE-2", core.SeverityHigh)
	worse := finding("CVE-1", core.SeverityCritical)
	elsewhere := one
	elsewhere.Place = "another db"
	start := time.UnixMicro(1_000_000).UTC()
	for i, tc := range []struct {
		name     string
		findings []scandb.Finding
		changed  bool
	}{
		{"first", nil, true},
		{"nothing again", nil, false},
		{"one", []scandb.Finding{one}, true},
		{"the same", []scandb.Finding{one}, false},
		{"two", []scandb.Finding{two, one}, true},
		{"in another order", []scandb.Finding{one, two}, false},
		{"worse", []scandb.Finding{worse, two}, true},
		{"elsewhere", []scandb.Finding{elsewhere, two}, true},
		{"less", []scandb.Finding{two}, true},
	} {
		r := &scandb.Report{Digest: m.Hash.String(), Feed: 7, IndexedAt: start, MatchedAt: start.Add(time.Duration(i) * time.Second), OS: "os", Packages: 3, Findings: tc.findings}
		changed, err := s.SetReport(t.Context(), r)
		if err != nil || changed != tc.changed {
			t.Errorf("%s: changed %v, %v", tc.name, changed, err)
		}
		must(t, s.SetFeed(t.Context(), r.Digest, r.Feed))
		got, err := s.Report(t.Context(), r.Digest)
		must(t, err)
		if r.ChangedAt = got.ChangedAt; changed {
			r.ChangedAt = r.MatchedAt
		}
		if len(r.Findings) == 2 && r.Findings[0].Severity < r.Findings[1].Severity {
			r.Findings = []scandb.Finding{r.Findings[1], r.Findings[0]}
		}
		expect(t, tc.name, got, r)
	}
	common, err := s.CommonCVEs(t.Context(), scandb.Query{}, 10)
	must(t, err)
	expect(t, "vulnerabilities left", common, []scandb.CVECount{{CVE: "CVE-2", Severity: core.SeverityHigh, Score: 9.8, KEV: true, Images: 1}})
}

func TestReportOfUnknownImage(t *testing.T) {
	s := openStore(t)
	if _, err := s.SetReport(t.Context(), &scandb.Report{Digest: "sha256:none"}); !errors.Is(err, dbfile.ErrNoRow) {
		t.Errorf("a report of an image that was never indexed: %v", err)
	}
	if _, err := s.Report(t.Context(), "sha256:none"); !core.IsNotFound(err) {
		t.Errorf("report: %v", err)
	}
}

// Sweep takes only what nothing refers to.
func TestSweep(t *testing.T) {
	s := openStore(t)
	kept := index(t, s, &claircore.Package{Name: "kept", Version: "1"}, &claircore.Distribution{Name: "kept"}, nil)
	gone := index(t, s, &claircore.Package{Name: "gone", Version: "1"}, &claircore.Distribution{Name: "gone"}, &claircore.Repository{Name: "gone"})
	if _, err := s.DeleteManifests(t.Context(), gone.Hash); err != nil {
		t.Fatal(err)
	}
	must(t, s.Sweep(t.Context()))
	must(t, s.Settle(t.Context()))
	packages, err := s.PackagesByLayer(t.Context(), kept.Layers[0].Hash, scanners(1))
	if err != nil || len(packages) != 1 || packages[0].Name != "kept" {
		t.Errorf("packages %v, %v", packages, err)
	}
	digests, err := s.Manifests(t.Context())
	if err != nil || len(digests) != 1 || digests[0] != kept.Hash.String() {
		t.Errorf("images %v, %v", digests, err)
	}
}
