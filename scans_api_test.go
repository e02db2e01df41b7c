package main

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

// Everything is scanned over the API, and what was found is told in numbers, by
// vulnerability and as a file.
func TestScansOverTheAPI(t *testing.T) {
	testenv.RequireE2E(t)
	srv := testenv.StartServer(t, testenv.ServerOptions{})
	ask := func(path string, answer any) {
		t.Helper()
		srv.JSON(t, "GET", path, srv.AdminUser, srv.AdminPassword, nil, 200, answer)
	}
	importFeed(t, srv, feedOfFlaws(flaws)+exploitedFlaw)
	newProject(t, srv, "payments", false)
	newProject(t, srv, "team-a", false)
	pushPlatforms(t, srv, "payments/gateway:1", map[string]v1.Image{"amd64": alpine(t, false, freshPackages, olderCurl), "arm64": alpine(t, false, oldPackages, olderCurl)})
	pushAlpine(t, srv, "team-a/web:1.0", alpine(t, true, oldPackages, olderCurl))
	srv.JSON(t, "POST", "/api/v2.0/system/scanAll/schedule", srv.AdminUser, srv.AdminPassword, map[string]any{"schedule": map[string]string{"type": "Manual"}}, 201, nil)
	awaitAnswer(t, srv, "/api/v2.0/scans/all/metrics", `"ongoing":false`)
	var metrics struct {
		Total, Completed int
		Metrics          map[string]int
	}
	if ask("/api/v2.0/scans/all/metrics", &metrics); metrics.Total != 3 || metrics.Completed != 3 || metrics.Metrics["Success"] != 3 {
		t.Errorf("metrics = %+v", metrics)
	}

	var sum map[string]any
	ask("/api/v2.0/security/summary?with_dangerous_cve=true&with_dangerous_artifact=true", &sum)
	for key, want := range map[string]float64{"total_vuls": 20, "critical_cnt": 2, "kev_cnt": 2, "scanned_cnt": 3, "total_artifact": 3} {
		if sum[key] != want {
			t.Errorf("%s = %v, want %v", key, sum[key], want)
		}
	}
	if worst := fmt.Sprint(sum["dangerous_cves"]); !strings.Contains(worst, "CVE-2026-1001") || strings.Contains(worst, "CVE-2026-1005") {
		t.Errorf("the dangerous ones are %s", worst)
	}
	checkSearches(t, srv)
	checkExport(t, srv)
}

// checkSearches looks for images by what was found in them.
func checkSearches(t *testing.T, srv *testenv.Server) {
	t.Helper()
	for q, want := range map[string]string{
		"cve_id=CVE-2026-1001":                                  "payments/gateway CVE-2026-1001, team-a/web CVE-2026-1001",
		"cve_id=CVE-2026-1001,repository_name=team-a/web":       "team-a/web CVE-2026-1001",
		"kev=true,tag=1.0":                                      "team-a/web CVE-2026-1001",
		"severity={critical high},package=busybox,fixable=true": "payments/gateway CVE-2026-1003, team-a/web CVE-2026-1003",
		"severity=negligible,fixable=true":                      "",
		"package=jinja2":                                        "team-a/web CVE-2026-2001",
	} {
		var found []struct {
			Repository string `json:"repository_name"`
			CVE        string `json:"cve_id"`
		}
		path := "/api/v2.0/security/vul?q=" + strings.NewReplacer(" ", "%20", "{", "%7B", "}", "%7D", "=", "%3D", ",", "%2C").Replace(q)
		answer := srv.JSON(t, "GET", path, srv.AdminUser, srv.AdminPassword, nil, 200, &found)
		var got []string
		for _, f := range found {
			got = append(got, f.Repository+" "+f.CVE)
		}
		if slices.Sort(got); strings.Join(got, ", ") != want || answer.Header.Get("X-Total-Count") != fmt.Sprint(len(found)) {
			t.Errorf("%s finds %v of %s", q, got, answer.Header.Get("X-Total-Count"))
		}
	}
	srv.JSON(t, "GET", "/api/v2.0/security/vul?q=colour%3Dred", srv.AdminUser, srv.AdminPassword, nil, 400, nil)
}

// checkExport reads the findings of a project as a file, where the platforms of
// an index are told apart.
func checkExport(t *testing.T, srv *testenv.Server) {
	t.Helper()
	answer := srv.JSON(t, "GET", "/api/v2.0/projects/payments/vulnerabilities/export", srv.AdminUser, srv.AdminPassword, nil, 200, nil)
	rows, err := csv.NewReader(answer.Body).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	platforms := map[string]string{}
	for _, row := range rows[1:] {
		if row[0] != "payments/gateway" || row[1] != "1" {
			t.Errorf("a row is of %s:%s", row[0], row[1])
		}
		platforms[row[4]+" "+row[7]] = row[3]
	}
	for finding, want := range map[string]string{"CVE-2026-1001 3.1.3-r0": "linux/arm64", "CVE-2026-1004 1.36.1-r2": "linux/amd64", "CVE-2026-1006 8.3.0-r0": "linux/amd64 linux/arm64"} {
		if platforms[finding] != want {
			t.Errorf("%s is on %q, want %q", finding, platforms[finding], want)
		}
	}
	if len(rows) != 10 {
		t.Errorf("%d rows: %v", len(rows), platforms)
	}
}

// pushPlatforms pushes an index of images for Linux by their architectures.
func pushPlatforms(t *testing.T, srv *testenv.Server, name string, images map[string]v1.Image) {
	t.Helper()
	var index v1.ImageIndex = empty.Index
	for _, architecture := range []string{"amd64", "arm64"} {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: images[architecture], Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}}})
	}
	if err := remote.WriteIndex(reference(t, srv, name), index, remoteAs(t, srv)...); err != nil {
		t.Fatal(err)
	}
}
