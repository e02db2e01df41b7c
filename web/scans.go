package web

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

const repositoryPath = "/projects/:project_name/repositories/:repository_name"

func (h *api) scanRoutes() []route {
	return []route{
		{http.MethodPost, artifactsPath + "/:reference/scan", h.scanArtifact},
		{http.MethodPost, artifactsPath + "/:reference/scan/stop", h.stopScan},
		{http.MethodGet, artifactsPath + "/:reference/scan/:report_id/log", h.getScanLog},
		{http.MethodGet, artifactsPath + "/:reference/additions/vulnerabilities", h.getVulnerabilities},
		{http.MethodPost, repositoryPath + "/scan", h.scanRepository},
		{http.MethodPost, repositoryPath + "/scan/stop", h.stopRepositoryScan},
		{http.MethodPost, projectPath + "/scan", h.scanProject},
		{http.MethodPost, projectPath + "/scan/stop", h.stopProjectScan},
		{http.MethodGet, projectPath + "/vulnerabilities/export", h.exportFindings},
	}
}

// The types of a report that Harbor has; what they hold is the same.
const (
	reportMIME       = "application/vnd.security.vulnerability.report; version=1.1"
	legacyReportMIME = "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0"
)

// reportType is the first of the types in the header X-Accept-Vulnerabilities
// that there is. As in Harbor it is the older one without the header.
func reportType(c echo.Context) (string, error) {
	header := c.Request().Header.Get("X-Accept-Vulnerabilities")
	if header == "" {
		return legacyReportMIME, nil
	}
	for wanted := range strings.SplitSeq(header, ",") {
		for _, known := range []string{reportMIME, legacyReportMIME} {
			if strings.ReplaceAll(wanted, " ", "") == strings.ReplaceAll(known, " ", "") {
				return known, nil
			}
		}
	}
	return "", core.Errorf(core.CodeBadRequest, "X-Accept-Vulnerabilities must name %s or %s", reportMIME, legacyReportMIME)
}

// scannerJSON is Harbor's Scanner.
type scannerJSON struct {
	Name    string `json:"name"`
	Vendor  string `json:"vendor"`
	Version string `json:"version"`
}

// scannerOf tells what scanned, as it wrote its name and version into the fact.
func scannerOf(engine string) *scannerJSON {
	name, version, _ := strings.Cut(engine, " ")
	if name == "" {
		return nil
	}
	return &scannerJSON{Name: name, Vendor: "Breakwater", Version: version}
}

// overviewJSON is Harbor's NativeReportSummary.
type overviewJSON struct {
	ReportID        string       `json:"report_id"`
	ScanStatus      string       `json:"scan_status"`
	StatusMessage   string       `json:"status_message,omitempty"` // ours: why there is no report
	Severity        string       `json:"severity"`
	Duration        int64        `json:"duration"` // seconds
	Summary         *summedJSON  `json:"summary,omitempty"`
	StartTime       time.Time    `json:"start_time,omitzero"`
	EndTime         time.Time    `json:"end_time,omitzero"`
	CompletePercent int          `json:"complete_percent"`
	Scanner         *scannerJSON `json:"scanner,omitempty"`
}

// summedJSON is Harbor's VulnerabilitySummary. A CVE counts once, in however
// many packages it is.
type summedJSON struct {
	Total   int            `json:"total"`
	Fixable int            `json:"fixable"`
	KEV     int            `json:"kev"` // ours: known to be exploited
	Summary map[string]int `json:"summary"`
}

// reportID names the report of an image; there is one for each.
func reportID(digest string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(digest)).String()
}

func newOverview(digest string, s app.ScanState) *overviewJSON {
	f := s.Fact
	o := &overviewJSON{ReportID: reportID(digest), Severity: core.SeverityUnknown.String(), ScanStatus: string(s.Open)}
	if s.Open == "" && s.Stopped {
		o.ScanStatus = string(core.JobStopped)
	}
	if f.Status == "" {
		return o
	}
	if s.Open == "" {
		o.ScanStatus = string(core.JobSuccess)
		if f.Status != core.ScanSuccess { // Harbor's clients know no other word
			o.ScanStatus = string(core.JobError)
		}
	}
	o.CompletePercent, o.Scanner, o.StatusMessage = 100, scannerOf(f.Engine), f.Message
	o.Duration, o.StartTime, o.EndTime = int64(f.Duration.Seconds()), f.ScannedAt.Add(-f.Duration), f.ScannedAt
	if f.Status == core.ScanSuccess {
		o.Severity, o.Summary = f.Severity().String(), summed(f.Findings)
	}
	return o
}

func summed(findings []core.Finding) *summedJSON {
	sum := &summedJSON{Total: len(findings), Summary: map[string]int{}}
	for _, f := range findings {
		sum.Summary[f.Severity.String()]++
		if f.Fixable {
			sum.Fixable++
		}
		if f.KEV {
			sum.KEV++
		}
	}
	return sum
}

// scanAsked is Harbor's ScanType.
type scanAsked struct {
	ScanType string `json:"scan_type"`
}

// bindScan reads the scan_type that is asked for; without a body that is the one
// for vulnerabilities.
func bindScan(c echo.Context) (string, error) {
	var body scanAsked
	if c.Request().ContentLength != 0 {
		if err := bind(c, &body); err != nil {
			return "", err
		}
	}
	switch body.ScanType {
	case "":
		return scanForVulnerabilities, nil
	case scanForVulnerabilities, scanForSBOM:
		return body.ScanType, nil
	}
	return "", core.Errorf(core.CodeBadRequest, "the scan_type %q is not known; use %s or %s", core.Clip(body.ScanType, 32), scanForVulnerabilities, scanForSBOM)
}

// The values of scan_type; the second has SBOMs made.
const (
	scanForVulnerabilities = "vulnerability"
	scanForSBOM            = "sbom"
)

func (h *api) scanArtifact(c echo.Context) error {
	return onScan(c, map[string]artifactAction{scanForVulnerabilities: h.app.ScanArtifact, scanForSBOM: h.app.GenerateSBOM})
}

func (h *api) stopScan(c echo.Context) error {
	return onScan(c, map[string]artifactAction{scanForVulnerabilities: h.app.StopScan, scanForSBOM: h.app.StopSBOM})
}

// artifactAction is a use case about one artifact.
type artifactAction func(ctx context.Context, c core.Caller, repository, reference string) error

// onScan does with the artifact what belongs to the scan_type of the body.
func onScan(c echo.Context, actions map[string]artifactAction) error {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return err
	}
	kind, err := bindScan(c)
	if err != nil {
		return err
	}
	if err := actions[kind](c.Request().Context(), caller(c), repository, reference); err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

func (h *api) scanRepository(c echo.Context) error {
	repository, err := repositoryName(c)
	if err != nil {
		return err
	}
	if _, err := h.app.ScanRepository(c.Request().Context(), caller(c), repository); err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

func (h *api) stopRepositoryScan(c echo.Context) error {
	repository, err := repositoryName(c)
	if err != nil {
		return err
	}
	if err := h.app.StopRepositoryScan(c.Request().Context(), caller(c), repository); err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

func (h *api) stopProjectScan(c echo.Context) error {
	if err := h.app.StopProjectScan(c.Request().Context(), caller(c), projectRef(c)); err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

func (h *api) scanProject(c echo.Context) error {
	if _, err := h.app.ScanProject(c.Request().Context(), caller(c), projectRef(c)); err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

// getScanLog tells how the last scan of the artifact went. The report in the
// path must be the artifact's own.
func (h *api) getScanLog(c echo.Context) error {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return err
	}
	state, err := h.app.ScanLog(c.Request().Context(), caller(c), repository, reference)
	if err != nil {
		return err
	}
	if id := c.Param("report_id"); id != reportID(state.Fact.Digest) {
		return core.Errorf(core.CodeNotFound, "the artifact has no report %s", core.Clip(id, 64))
	}
	return c.String(http.StatusOK, scanLog(state))
}

func scanLog(s app.ScanState) string {
	f := s.Fact
	var b strings.Builder
	line := func(at time.Time, format string, args ...any) {
		fmt.Fprintf(&b, "%s "+format+"\n", append([]any{at.UTC().Format(time.RFC3339)}, args...)...)
	}
	if f.Status != "" {
		line(f.ScannedAt.Add(-f.Duration), "scan of %s", f.Digest)
		line(f.ScannedAt, "%s, vulnerability data %s: %s", f.Engine, f.Feed, f.Status)
		if f.Message != "" {
			line(f.ScannedAt, "%s", f.Message)
		}
		for _, severity := range core.Severities() {
			if n := summed(f.Findings).Summary[severity.String()]; n > 0 {
				line(f.ScannedAt, "%d %s", n, severity)
			}
		}
	}
	if s.Open != "" {
		line(time.Now(), "a scan is %s", strings.ToLower(string(s.Open)))
	}
	return b.String()
}
