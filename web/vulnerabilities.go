package web

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// reportJSON is Harbor's vulnerability report.
type reportJSON struct {
	GeneratedAt     time.Time           `json:"generated_at,omitzero"`
	Artifact        reportArtifactJSON  `json:"artifact"`
	Scanner         *scannerJSON        `json:"scanner,omitempty"`
	Severity        string              `json:"severity"`
	OS              string              `json:"os,omitempty"`              // ours
	Packages        int                 `json:"packages"`                  // ours: in the image
	FeedGeneration  string              `json:"feed_generation,omitempty"` // ours: of the vulnerability data
	Vulnerabilities []vulnerabilityJSON `json:"vulnerabilities"`
}

type reportArtifactJSON struct {
	Repository string `json:"repository"`
	Digest     string `json:"digest"`
}

// vulnerabilityJSON is Harbor's VulnerabilityItem of a report.
type vulnerabilityJSON struct {
	ID              string         `json:"id"`
	Package         string         `json:"package"`
	Version         string         `json:"version"`
	FixVersion      string         `json:"fix_version"`
	Severity        string         `json:"severity"`
	Description     string         `json:"description"`
	Links           []string       `json:"links"`
	ArtifactDigests []string       `json:"artifact_digests"`    // of an index those of the images in it
	Platforms       []string       `json:"platforms,omitempty"` // ours: of those images
	PreferredCVSS   *cvssJSON      `json:"preferred_cvss,omitempty"`
	CWEIDs          []string       `json:"cwe_ids"`
	Vendor          map[string]any `json:"vendor_attributes"`
}

type cvssJSON struct {
	ScoreV3  float64 `json:"score_v3"`
	VectorV3 string  `json:"vector_v3"`
}

func newVulnerabilityJSON(r core.ScanReport) func(core.Vulnerability) vulnerabilityJSON {
	return func(v core.Vulnerability) vulnerabilityJSON {
		shown := vulnerabilityJSON{ID: v.CVE, Package: v.Package, Version: v.Version, FixVersion: v.Fixed, Severity: v.Severity.String(),
			Description: v.Description, Links: orEmpty(v.Links), ArtifactDigests: v.Images, Platforms: platformNames(r, v), CWEIDs: []string{}}
		if v.Score > 0 {
			shown.PreferredCVSS = &cvssJSON{v.Score, v.Vector}
		}
		shown.Vendor = map[string]any{"source": v.Source, "advisory": v.Name, "source_severity": v.SourceSeverity, "kev": v.KEV,
			"layer": v.Layer, "path": v.Place, "arch": v.Arch}
		if v.EPSS > 0 {
			shown.Vendor["epss"] = v.EPSS
		}
		return shown
	}
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (h *api) getVulnerabilities(c echo.Context) error {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return err
	}
	report, err := h.app.OpenReport(c.Request().Context(), caller(c), repository, reference)
	if err != nil {
		return err
	}
	if c.QueryParam("format") == "csv" {
		return sendReport(c, report)
	}
	wanted, err := reportType(c)
	if err != nil {
		return err
	}
	fact := report.Fact
	body := reportJSON{GeneratedAt: fact.ScannedAt, Artifact: reportArtifactJSON{repository, fact.Digest}, Scanner: scannerOf(fact.Engine),
		Severity: fact.Severity().String(), OS: report.OS, Packages: report.Packages, FeedGeneration: fact.Feed,
		Vulnerabilities: mapAll(report.Vulnerabilities, newVulnerabilityJSON(report.ScanReport))}
	if report.MatchedAt.After(body.GeneratedAt) {
		body.GeneratedAt = report.MatchedAt
	}
	return c.JSON(http.StatusOK, map[string]reportJSON{wanted: body})
}
