package web_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// reports is a scanner with a report for each image.
type reports struct {
	scans
	found  map[string][]core.Vulnerability
	fails  string // digest of an image
	absent string // the same, of one that was not scanned
}

func (r reports) Report(_ context.Context, digest string) (core.ScanReport, error) {
	if digest == r.fails {
		return core.ScanReport{}, errors.New("the disk is gone")
	}
	if digest == r.absent {
		return core.ScanReport{}, core.Errorf(core.CodeNotFound, "not scanned")
	}
	return core.ScanReport{Digest: digest, Vulnerabilities: slices.Clone(r.found[digest])}, nil
}

// scanned gives each of the images the findings, as a scan does.
func (w *world) scanned(t *testing.T, found map[string][]core.Vulnerability) {
	t.Helper()
	w.app.UseScanner(reports{found: found})
	err := w.store.Update(t.Context(), func(tx *store.Tx) error {
		for digest, list := range found {
			fact := core.ScanFact{Digest: digest, Status: core.ScanSuccess}
			for _, v := range list {
				fact.Findings = append(fact.Findings, core.Finding{CVE: v.CVE, Severity: v.Severity})
			}
			if err := tx.SetScanFact(fact); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// pushIndex pushes an index of images under a tag, by their platforms as JSON.
func (w *world) pushIndex(t *testing.T, p place, tag string, images map[string]string) string {
	t.Helper()
	var entries []string
	for _, platform := range slices.Sorted(maps.Keys(images)) {
		entries = append(entries, `{"mediaType":"`+manifestType+`","digest":"`+images[platform]+`","size":1,"platform":`+platform+`}`)
	}
	const kind = "application/vnd.oci.image.index.v1+json"
	body := `{"schemaVersion":2,"mediaType":"` + kind + `","manifests":[` + strings.Join(entries, ",") + `]}`
	rec := w.send(t, w.sysadmin, http.MethodPut, "/v2/"+p.values["repository"]+"/manifests/"+tag, kind, body)
	if rec.Code != http.StatusCreated {
		t.Fatalf("push of an index = %d %s", rec.Code, rec.Body)
	}
	return digestOf(body)
}

const (
	onAMD      = `{"os":"linux","architecture":"amd64"}`
	onARM      = `{"os":"linux","architecture":"arm64","variant":"v8"}`
	onNothing  = `{"os":"unknown","architecture":"unknown"}` // an attestation
	multiPath  = "/repositories/app/artifacts/multi"
	ofVulnsAPI = multiPath + "/additions/vulnerabilities"
)

// newMulti is a world with an image for two platforms, of which one alone has
// the second finding. Its parts are amd and arm.
func newMulti(t *testing.T) (w *world, amd, arm string) {
	t.Helper()
	w = newWorld(t, nil)
	amd, arm = w.own.values["reference"], w.pushManifest(t, w.sysadmin, w.own, "arm", "")
	attestation := w.pushManifest(t, w.sysadmin, w.own, "attestation", "")
	w.pushIndex(t, w.own, "multi", map[string]string{onAMD: amd, onARM: arm, onNothing: attestation})
	both := core.Vulnerability{CVE: "CVE-2026-1", Severity: core.SeverityHigh, Package: "=cmd()", Version: "1", Fixed: "2", Description: "a \"bug\""}
	one := core.Vulnerability{CVE: "CVE-2026-2", Severity: core.SeverityLow, Package: "curl", Version: "8"}
	w.scanned(t, map[string][]core.Vulnerability{amd: {both}, arm: {both, one}, attestation: {one}})
	return w, amd, arm
}

// The report of an index tells which of its images have a finding.
func TestReportOfAnIndexNamesPlatforms(t *testing.T) {
	w, amd, arm := newMulti(t)
	s := &server{handler: w.handler, app: w.app}
	var answer map[string]struct {
		Vulnerabilities []struct {
			ID        string
			Digests   []string `json:"artifact_digests"`
			Platforms []string
		}
	}
	rec := s.do(t, http.MethodGet, "/api/v2.0/projects/own-project"+ofVulnsAPI, "admin", nil, http.StatusOK)
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	for _, report := range answer {
		if list := report.Vulnerabilities; len(list) != 2 || !slices.Equal(slices.Sorted(slices.Values(list[0].Digests)), slices.Sorted(slices.Values([]string{amd, arm}))) ||
			!slices.Equal(slices.Sorted(slices.Values(list[0].Platforms)), []string{"linux/amd64", "linux/arm64/v8"}) ||
			list[1].ID != "CVE-2026-2" || !slices.Equal(list[1].Digests, []string{arm}) || !slices.Equal(list[1].Platforms, []string{"linux/arm64/v8"}) {
			t.Errorf("the report has %+v", list)
		}
	}
	b := s.browser(t, "admin")
	page := b.get(t, "/projects/own-project"+multiPath+"/vulnerabilities").want(200, "CVE-2026-1", "all platforms", "linux/arm64/v8")
	for _, other := range []*screen{page.click("CVE-2026-2").want(200, "Affected packages", "linux/arm64/v8"),
		b.get(t, "/projects/own-project/repositories/app/artifacts/arm/vulnerabilities").want(200, "CVE-2026-1")} {
		if strings.Contains(other.text(), "all platforms") {
			t.Errorf("%s speaks of all platforms", other.path)
		}
	}
}

// A report that does not speak of all images of an index says so.
func TestReportOfAnIndexThatWasScannedInPart(t *testing.T) {
	w, amd, arm := newMulti(t)
	late := w.pushManifest(t, w.sysadmin, w.own, "late", "")
	w.pushIndex(t, w.own, "three", map[string]string{onAMD: amd, onARM: arm, `{"os":"linux","architecture":"s390x"}`: late})
	w.app.UseScanner(reports{absent: late, found: map[string][]core.Vulnerability{amd: {{CVE: "CVE-2026-1", Package: "zlib"}}, arm: {{CVE: "CVE-2026-1", Package: "zlib"}}}})
	b := (&server{handler: w.handler, app: w.app}).browser(t, "guest")
	page := b.get(t, "/projects/own-project/repositories/app/artifacts/three/vulnerabilities").want(200, "The report lacks 1 image of this index", "linux/amd64, linux/arm64/v8")
	if strings.Contains(page.text(), "all platforms") {
		t.Error("an image that was not scanned counts as one that has the finding")
	}
	if page := b.get(t, "/projects/own-project"+multiPath+"/vulnerabilities").want(200, "all platforms"); strings.Contains(page.text(), "lacks") {
		t.Error("a whole report lacks something")
	}
}

// csvRows reads an answer as a file of CSV.
func csvRows(t *testing.T, rec *httptest.ResponseRecorder, name string) (rows []map[string]string) {
	t.Helper()
	if kind := rec.Header().Get("Content-Type"); rec.Code != http.StatusOK || kind != "text/csv; charset=utf-8" {
		t.Fatalf("%d, %s\n%s", rec.Code, kind, rec.Body)
	}
	if got := rec.Header().Get("Content-Disposition"); got != `attachment; filename="`+name+`"` {
		t.Errorf("disposition = %s", got)
	}
	cells, err := csv.NewReader(rec.Body).ReadAll()
	if err != nil || len(cells) == 0 {
		t.Fatalf("%v, %v", cells, err)
	}
	for _, line := range cells[1:] {
		row := map[string]string{}
		for i, column := range cells[0] {
			row[column] = line[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// The findings of an artifact are a file for those who may see them, in which a
// spreadsheet finds no formula.
func TestReportCSV(t *testing.T) {
	w, _, _ := newMulti(t)
	s := &server{handler: w.handler, app: w.app}
	const file = ofVulnsAPI + "?format=csv"
	rows := csvRows(t, s.do(t, http.MethodGet, "/api/v2.0/projects/own-project"+file, "guest", nil, http.StatusOK), "vulnerabilities.csv")
	if len(rows) != 2 {
		t.Fatalf("rows = %v", rows)
	}
	for column, want := range map[string]string{"repository": "own-project/app", "tags": "multi", "digest": w.digestOfTag(t, "multi"), "platforms": "linux/amd64 linux/arm64/v8",
		"cve": "CVE-2026-1", "severity": "High", "package": "'=cmd()", "version": "1", "fixed_version": "2", "kev": "false", "allowlisted": "false", "description": `a "bug"`} {
		if got := rows[0][column]; got != want {
			t.Errorf("%s = %q, want %q", column, got, want)
		}
	}
	if rows[1]["cve"] != "CVE-2026-2" || rows[1]["platforms"] != "linux/arm64/v8" {
		t.Errorf("the second row is %v", rows[1])
	}
	page := "/projects/own-project" + multiPath + "/vulnerabilities/csv?severity=low"
	if rows := csvRows(t, s.browser(t, "guest").send(t, http.MethodGet, page, ""), "vulnerabilities.csv"); len(rows) != 1 || rows[0]["cve"] != "CVE-2026-2" {
		t.Errorf("at the browser, the low ones are %v", rows)
	}
	s.do(t, http.MethodGet, "/api/v2.0/projects/own-project"+file, "", nil, http.StatusUnauthorized)
	s.do(t, http.MethodGet, "/api/v2.0/projects/own-project"+file, "stranger", nil, http.StatusForbidden)
	s.do(t, http.MethodGet, "/api/v2.0/projects/own-project/repositories/app/artifacts/sibling-v1/additions/vulnerabilities?format=csv", "guest", nil, http.StatusNotFound)
}

// digestOfTag is the digest that a tag of the own project names.
func (w *world) digestOfTag(t *testing.T, tag string) string {
	t.Helper()
	a, err := w.app.Artifact(t.Context(), system, w.own.values["repository"], tag)
	if err != nil {
		t.Fatal(err)
	}
	return a.Digest
}

// The findings of all images of a project are one file: image by image, for
// those who may export, and audited.
func TestProjectFindingsCSV(t *testing.T) {
	w, amd, arm := newMulti(t)
	tool := w.own.with("tool", map[string]string{"repository_name": "tool"})
	complete(&tool)
	w.pushAll(t, w.sysadmin, &tool)
	newest, older := w.pushManifest(t, w.sysadmin, tool, "newest", ""), tool.values["reference"]
	bug := core.Vulnerability{CVE: "CVE-2026-3", Severity: core.SeverityCritical, Package: "zlib", Version: "1", Fixed: "2"}
	both := core.Vulnerability{CVE: "CVE-2026-1", Severity: core.SeverityHigh, Package: "=cmd()", Version: "1", Fixed: "2"}
	one := core.Vulnerability{CVE: "CVE-2026-2", Severity: core.SeverityLow, Package: "curl", Version: "8"}
	w.scanned(t, map[string][]core.Vulnerability{amd: {both}, arm: {both, one}, older: {bug, one}, newest: {one}})
	s := &server{handler: w.handler, app: w.app}
	const path = "/api/v2.0/projects/own-project/vulnerabilities/export"
	for query, want := range map[string]string{
		"": "app:v1 CVE-2026-1, app:arm CVE-2026-1, app:arm CVE-2026-2, app:multi CVE-2026-1, app:multi CVE-2026-2, " +
			"tool:v1 CVE-2026-3, tool:v1 CVE-2026-2, tool:newest CVE-2026-2",
		"?latest_in_repository=true":      "app:multi CVE-2026-1, app:multi CVE-2026-2, tool:newest CVE-2026-2",
		"?severity=critical":              "tool:v1 CVE-2026-3",
		"?show=fixable&package=zlib":      "tool:v1 CVE-2026-3",
		"?show=unfixed&severity=critical": "",
	} {
		var got []string
		for _, row := range csvRows(t, s.do(t, http.MethodGet, path+query, "developer", nil, http.StatusOK), "vulnerabilities.csv") {
			got = append(got, strings.TrimPrefix(row["repository"], "own-project/")+":"+row["tags"]+" "+row["cve"])
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%q exports %v\nwant %s", query, got, want)
		}
	}
	page := s.browser(t, "developer").get(t, "/projects/own-project").want(200, "Export findings")
	if form := page.role("button", "Export CSV"); form == nil {
		t.Error("the page offers no export")
	}
	if rows := csvRows(t, s.browser(t, "developer").send(t, http.MethodGet, "/projects/own-project/vulnerabilities/csv?severity=critical", ""), "vulnerabilities.csv"); len(rows) != 1 {
		t.Errorf("at the browser, the critical ones are %v", rows)
	}
	if rows := csvRows(t, s.do(t, http.MethodGet, "/api/v2.0/projects/bare-project/vulnerabilities/export", "developer", nil, http.StatusOK), "vulnerabilities.csv"); len(rows) != 0 {
		t.Errorf("an empty project has %v", rows)
	}
	for user, want := range map[string]int{"": http.StatusUnauthorized, "guest": http.StatusForbidden, "stranger": http.StatusForbidden} {
		s.do(t, http.MethodGet, path, user, nil, want)
	}
	if text := s.browser(t, "guest").get(t, "/projects/own-project").want(200, "app").text(); strings.Contains(text, "Export findings") {
		t.Error("a guest is offered the export")
	}
	w.app.Close() // what waits is written
	rows, _, err := w.app.AuditLog(t.Context(), w.sysadmin.caller(), core.Query{Page: 1, PageSize: 10, Filters: []core.Filter{{Field: "operation", Values: []string{"export"}}}})
	if err != nil || len(rows) != 2 || !slices.ContainsFunc(rows, func(e core.AuditEvent) bool {
		return e.Username == "developer" && e.Resource == "own-project" && e.ResourceType == "export-cve" && e.ProjectID == w.own.id
	}) {
		t.Errorf("the audit log has %+v, %v", rows, err)
	}
}

// An export that fails on its way does not look whole.
func TestFindingsThatAreCutOff(t *testing.T) {
	w, _, arm := newMulti(t)
	w.app.UseScanner(reports{fails: arm})
	defer func() {
		if got := recover(); got != http.ErrAbortHandler {
			t.Errorf("the connection is not broken: %v", got)
		}
	}()
	(&server{handler: w.handler, app: w.app}).do(t, http.MethodGet, "/api/v2.0/projects/own-project/vulnerabilities/export", "developer", nil, http.StatusOK)
}

// The report is answered under the first of the asked types that there is.
func TestReportTypes(t *testing.T) {
	w, _, _ := newMulti(t)
	const (
		legacy = "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0"
		newer  = "application/vnd.security.vulnerability.report; version=1.1"
	)
	for asked, want := range map[string]string{"": legacy, legacy: legacy, newer: newer, newer + ", " + legacy: newer,
		"text/html," + strings.ReplaceAll(legacy, " ", ""): legacy, "text/html": ""} {
		r := request(t, http.MethodGet, "/api/v2.0/projects/own-project"+ofVulnsAPI, "guest", nil)
		if asked != "" {
			r.Header.Set("X-Accept-Vulnerabilities", asked)
		}
		rec := (&server{handler: w.handler}).serve(r)
		var answer map[string]struct{ Vulnerabilities []any }
		if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil && want != "" {
			t.Fatal(err)
		}
		if want == "" && rec.Code != http.StatusBadRequest || want != "" && (rec.Code != http.StatusOK || len(answer) != 1 || len(answer[want].Vulnerabilities) != 2) {
			t.Errorf("%q answers %d, %v", asked, rec.Code, answer)
		}
	}
}
