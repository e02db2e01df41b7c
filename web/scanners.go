package web

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// The scanner is built in: there is one registration, which cannot be changed.
const (
	scannerID   = "b8e4a1f0-6c1d-4d59-9d9c-0c1a1c0f5eed"
	scannerName = "claircore"
)

func (h *api) scannerRoutes() []route {
	return []route{
		{http.MethodGet, "/scanners", h.listScanners},
		{http.MethodGet, "/scanners/:registration_id", h.getScanner},
		{http.MethodGet, "/scanners/:registration_id/metadata", h.getScannerMetadata},
		{http.MethodGet, projectPath + "/scanner", h.getProjectScanner},
		{http.MethodPut, projectPath + "/scanner", h.setProjectScanner},
		{http.MethodGet, projectPath + "/scanner/candidates", h.listProjectScanners},
	}
}

// registrationJSON is Harbor's ScannerRegistration.
type registrationJSON struct {
	UUID             string          `json:"uuid"`
	Name             string          `json:"name"`
	Description      string          `json:"description"`
	URL              string          `json:"url"`
	Disabled         bool            `json:"disabled"`
	IsDefault        bool            `json:"is_default"`
	Auth             string          `json:"auth"`
	AccessCredential string          `json:"access_credential"`
	SkipCertVerify   bool            `json:"skip_certVerify"`
	UseInternalAddr  bool            `json:"use_internal_addr"`
	CreateTime       time.Time       `json:"create_time,omitzero"`
	UpdateTime       time.Time       `json:"update_time,omitzero"`
	Adapter          string          `json:"adapter"`
	Vendor           string          `json:"vendor"`
	Version          string          `json:"version"`
	Health           string          `json:"health"`
	Capabilities     map[string]bool `json:"capabilities"`
}

func (h *api) builtIn() registrationJSON {
	return registrationJSON{UUID: scannerID, Name: scannerName, Description: "built into the registry", URL: "internal:", IsDefault: true,
		Adapter: scannerName, Vendor: "Breakwater", Version: h.deps.Version, Health: "healthy",
		Capabilities: map[string]bool{"support_vulnerability": true, "support_sbom": true}}
}

func (h *api) listScanners(c echo.Context) error {
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	if err := h.app.MaySeeScanner(c.Request().Context(), caller(c), core.ActList); err != nil {
		return err
	}
	all := []registrationJSON{h.builtIn()}
	if q.Offset() > 0 {
		all = nil
	}
	return writeList(c, q, 1, all)
}

// theScanner checks that the path names the one scanner there is.
func (h *api) theScanner(c echo.Context) error {
	if err := h.app.MaySeeScanner(c.Request().Context(), caller(c), core.ActRead); err != nil {
		return err
	}
	if id := c.Param("registration_id"); id != scannerID {
		return core.Errorf(core.CodeNotFound, "there is no scanner %s; the one that is built in is %s", core.Clip(id, 64), scannerID)
	}
	return nil
}

func (h *api) getScanner(c echo.Context) error {
	if err := h.theScanner(c); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, h.builtIn())
}

// scannerMetadataJSON is Harbor's ScannerAdapterMetadata.
type scannerMetadataJSON struct {
	Scanner      scannerJSON             `json:"scanner"`
	Capabilities []scannerCapabilityJSON `json:"capabilities"`
	Properties   map[string]string       `json:"properties"`
}

type scannerCapabilityJSON struct {
	Type     string   `json:"type"`
	Consumes []string `json:"consumes_mime_types"`
	Produces []string `json:"produces_mime_types"`
}

// scannedMIMEs are the kinds of manifest that the scanner reads.
var scannedMIMEs = []string{"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"}

func (h *api) getScannerMetadata(c echo.Context) error {
	if err := h.theScanner(c); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, scannerMetadataJSON{Scanner: scannerJSON{Name: scannerName, Vendor: "Breakwater", Version: h.deps.Version},
		Capabilities: []scannerCapabilityJSON{
			{Type: scanForVulnerabilities, Produces: []string{reportMIME, legacyReportMIME}, Consumes: scannedMIMEs},
			{Type: scanForSBOM, Produces: slices.Sorted(maps.Values(bills)), Consumes: scannedMIMEs}},
		Properties: map[string]string{"harbor.scanner-adapter/scanner-type": "os-package-vulnerability"}})
}

func (h *api) getProjectScanner(c echo.Context) error {
	if err := h.app.MayUseScanner(c.Request().Context(), caller(c), projectRef(c), core.ActRead); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, h.builtIn())
}

func (h *api) listProjectScanners(c echo.Context) error {
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	if err := h.app.MayUseScanner(c.Request().Context(), caller(c), projectRef(c), core.ActCreate); err != nil {
		return err
	}
	all := []registrationJSON{h.builtIn()}
	if q.Offset() > 0 {
		all = nil
	}
	return writeList(c, q, 1, all)
}

// setProjectScanner takes the one choice that there is.
func (h *api) setProjectScanner(c echo.Context) error {
	var body struct {
		UUID string `json:"uuid"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	if err := h.app.MayUseScanner(c.Request().Context(), caller(c), projectRef(c), core.ActCreate); err != nil {
		return err
	}
	if body.UUID != scannerID {
		return core.Errorf(core.CodeBadRequest, "there is no scanner %q; the one that is built in is %s", core.Clip(body.UUID, 64), scannerID)
	}
	return c.NoContent(http.StatusOK)
}
