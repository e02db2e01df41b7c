package web_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

const (
	scanAsked      = `{"scan_type":"vulnerability"}`
	builtInScanner = "b8e4a1f0-6c1d-4d59-9d9c-0c1a1c0f5eed"
)

// finding is what is in every image of the world.
var finding = core.Finding{CVE: "CVE-2026-7", Severity: core.SeverityHigh, Fixable: true}

// scans is a scanner of which the reports are at hand; it scans nothing.
type scans struct{}

func (scans) Scan(context.Context, core.ScanImage) (core.ScanFact, error) {
	return core.ScanFact{}, core.Errorf(core.CodeUnavailable, "nothing is scanned here")
}

func (scans) Rematch(context.Context, func(context.Context, core.ScanFact) error, func(int, int)) error {
	return nil
}
func (scans) Prune(context.Context, func(context.Context, []string) ([]string, error)) error {
	return nil
}
func (scans) report(digest string) core.ImageVulnerability {
	return core.ImageVulnerability{Digest: digest, Vulnerability: core.Vulnerability{CVE: finding.CVE, Name: "DSA-7", Source: "debian/updater",
		Severity: finding.Severity, SourceSeverity: "medium", Score: 7.5, Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", EPSS: 0.1,
		Description: "a bug", Links: []string{"https://security.example/7"}, Package: "openssl", Version: "1", Arch: "amd64", Fixed: "2"}}
}

func (s scans) Report(_ context.Context, digest string) (core.ScanReport, error) {
	return core.ScanReport{Digest: digest, Feed: "7", OS: "Debian", Packages: 3, Vulnerabilities: []core.Vulnerability{s.report(digest).Vulnerability}}, nil
}

func (s scans) Search(_ context.Context, q core.VulnerabilityQuery) ([]core.ImageVulnerability, int64, error) {
	return []core.ImageVulnerability{s.report(digestOf("somewhere"))}, 1, nil
}

func (scans) CommonCVEs(_ context.Context, q core.VulnerabilityQuery, _ int) ([]core.CVECount, error) {
	return []core.CVECount{{CVE: finding.CVE, Severity: finding.Severity, Score: 7.5, KEV: q.KEV != nil, Images: 3}}, nil
}

func reportOf(digest string) string { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(digest)).String() }

// addScan gives the image of a project a report, and jobs that scan it and wait.
func (w *world) addScan(t *testing.T, p *place) {
	t.Helper()
	digest := p.values["reference"]
	p.values["registration_id"] = builtInScanner
	if digest == "" {
		return
	}
	p.values["report_id"] = reportOf(digest)
	fact := core.ScanFact{Digest: digest, Status: core.ScanSuccess, Engine: "claircore 1", Feed: "7", ScannedAt: time.Now(), Findings: []core.Finding{finding}}
	if err := w.store.Update(t.Context(), func(tx *store.Tx) error { return tx.SetScanFact(fact) }); err != nil {
		t.Fatal(err)
	}
	for _, start := range []func(context.Context, core.Caller, string, string) error{w.app.ScanArtifact, w.app.GenerateSBOM} {
		if err := start(t.Context(), system, p.values["repository"], digest); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.app.ScanRepository(t.Context(), system, p.values["repository"]); err != nil {
		t.Fatal(err)
	}
	if _, err := w.app.ScanProject(t.Context(), system, core.ProjectRef{Name: p.values["project"]}); err != nil {
		t.Fatal(err)
	}
}
