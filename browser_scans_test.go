package main

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

// What scans found is shown wherever images are, and follows while they go on.
func TestBrowserScans(t *testing.T) {
	srv, b := startUI(t)
	importFeed(t, srv, feedOfFlaws(flaws))
	newProject(t, srv, "payments", false)
	pushAlpine(t, srv, "payments/gateway:2.14.1", alpine(t, true, oldPackages, olderCurl))
	pushAlpine(t, srv, "payments/gateway:2.15.0", alpine(t, false, freshPackages, []string{"curl=8.4.0-r0"}))
	broken, err := mutate.AppendLayers(empty.Image, static.NewLayer([]byte("no archive"), types.DockerUncompressedLayer))
	if err != nil {
		t.Fatal(err)
	}
	pushAlpine(t, srv, "payments/data:1", broken)
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Goto("/projects/payments")
	b.See("Not scanned")
	b.Shot("scan-project-before")
	b.Click("Scan images")
	b.See("The scan was queued")
	b.See("in 2 scanned images") // without loading the page again
	b.Shot("scan-project")
	b.Click("Export findings")
	b.See("One CSV file")
	b.Shot("scan-project-export")
	b.Goto("/projects")
	b.See("7 of 11 fixable")
	b.Shot("scan-projects")

	srv.JSON(t, "PUT", "/api/v2.0/projects/payments", srv.AdminUser, srv.AdminPassword,
		map[string]any{"metadata": map[string]string{"prevent_vul": "true", "severity": "medium", "unknown_severity": "allow", "ignore_unfixed": "true"}}, 200, nil)
	b.Goto("/projects/payments/repositories/gateway")
	b.See("Blocked")
	b.See("Allowed")
	b.Shot("scan-repository")
	b.Click("2.14.1")
	b.See("The findings of this image block its pulls")
	b.See(`The severity of vulnerability of the image: "critical" is equal or higher than the threshold in project setting: "medium".`)
	b.Shot("scan-artifact")
	b.Click("Report")
	b.See("7 of 9 findings go away with updated packages.")
	b.See("6 in packages of Alpine Linux v3.18")
	b.See("1 in the application and its libraries")
	b.Click("6 packages to update")
	b.See("3.1.5-r0")
	b.Shot("scan-report")
	checkCSV(t, srv, b)
	b.Click("Fixable")
	b.See("1 to 7 of 7")
	b.Fill("Filter findings", "busybox")
	b.See("1 to 1 of 1")
	if path := b.Path(); !strings.Contains(path, "q=busybox") || !strings.Contains(path, "show=fixable") {
		t.Errorf("the filters are not in the address: %s", path)
	}
	b.Click("CVE-2026-1003")
	b.See("Use after free in the awk applet.")
	b.See("Step 1 of the build")
	b.Shot("scan-finding")
	var links string
	b.Evaluate(`[...document.querySelectorAll(".card-list a")].map((a) => a.href + " " + a.rel).join(", ")`, &links)
	if links != "https://security.example/CVE-2026-1003 noopener noreferrer, http://tracker.example/CVE-2026-1003 noopener noreferrer" {
		t.Errorf("links = %s", links)
	}
	b.Click("Back to the report")
	b.Click("Make bills of materials")
	b.See("The bills of materials are being made")
	awaitAnswer(t, srv, "/api/v2.0/projects/payments/repositories/gateway/artifacts/2.14.1/additions/sbom", "SPDX-2.3")
	awaitAnswer(t, srv, "/api/v2.0/projects/payments/repositories/gateway/artifacts/2.14.1/additions/sbom?format=cyclonedx", "CycloneDX")
	b.Goto(b.Path())
	b.See("CycloneDX")
	b.Goto("/projects/payments/repositories/data/artifacts/1")
	b.See("Cannot be scanned")
	b.Shot("scan-artifact-unsupported")
	pushPlatforms(t, srv, "payments/multi:1", map[string]v1.Image{"amd64": alpine(t, false, freshPackages, olderCurl), "arm64": alpine(t, false, oldPackages, olderCurl)})
	b.Goto("/projects/payments/repositories/multi/artifacts/1")
	b.Click("Scan now")
	b.Click("Report")
	b.See("all platforms")
	b.See("linux/arm64")
	b.Shot("scan-report-platforms")
}

// A scan that goes on is stopped at the browser; then the image can be scanned
// again, and so can others.
func TestBrowserStopsScan(t *testing.T) {
	srv, b := startUI(t)
	importFeed(t, srv, feedOfFlaws(flaws))
	newProject(t, srv, "payments", false)
	pushAlpine(t, srv, "payments/endless:1", endless(t))
	pushAlpine(t, srv, "payments/gateway:1", alpine(t, false, oldPackages, olderCurl))
	signIn(b, srv.AdminUser, srv.AdminPassword)
	for range 2 {
		b.Goto("/projects/payments/repositories/endless/artifacts/1")
		b.Click("Scan now")
		b.See("Scan running")
		b.Click("Stop scan")
		b.See("The scan is being stopped")
		b.Gone("Scan running") // without loading the page again
		b.See("A scan was stopped before its end.")
		b.See("Scan now")
	}
	awaitAnswer(t, srv, "/api/v2.0/projects/payments/repositories/endless/artifacts/1?with_scan_overview=true", `"scan_status":"Stopped"`)
	b.Shot("scan-stopped")
	b.Goto("/projects/payments/repositories/gateway/artifacts/1")
	b.Click("Scan now")
	b.See("6 of 8 have a fix.")
	b.Goto("/admin/jobs")
	b.See("Stopped")
}

// endless is an image of which the one layer is small and grows to many
// gigabytes: a scan of it goes on for longer than anybody needs to stop it.
func endless(t *testing.T) v1.Image {
	t.Helper()
	var part bytes.Buffer
	w := gzip.NewWriter(&part)
	zeros := make([]byte, 1<<20)
	for range 256 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, static.NewLayer(bytes.Repeat(part.Bytes(), 64), types.DockerLayer))
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// checkCSV compares the file that the page offers with the report of the API,
// finding by finding.
func checkCSV(t *testing.T, srv *testenv.Server, b *testenv.Chrome) {
	t.Helper()
	var text string
	b.Evaluate(`fetch([...document.querySelectorAll("a[download]")].find((a) => a.href.includes("/csv")).href).then((r) => r.text())`, &text)
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var reports map[string]struct {
		Vulnerabilities []struct {
			ID, Package, Version, Severity string
			FixVersion                     string `json:"fix_version"`
		}
	}
	srv.JSON(t, "GET", "/api/v2.0/projects/payments/repositories/gateway/artifacts/2.14.1/additions/vulnerabilities", srv.AdminUser, srv.AdminPassword, nil, 200, &reports)
	want := map[string]bool{}
	for _, report := range reports {
		for _, v := range report.Vulnerabilities {
			want[strings.Join([]string{v.ID, v.Severity, v.Package, v.Version, v.FixVersion}, " ")] = true
		}
	}
	if len(want) != 9 || len(rows) != 10 {
		t.Fatalf("%d findings, and %d lines of CSV", len(want), len(rows))
	}
	for _, row := range rows[1:] {
		if finding := strings.Join(row[4:9], " "); !want[finding] || row[0] != "payments/gateway" {
			t.Errorf("the report has no %s", row)
		}
	}
}
