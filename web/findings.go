package web

import (
	"bytes"
	"encoding/csv"
	"net/http"
	"strconv"
	"sync"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

func (h *api) reportCSVPage(c echo.Context) error {
	_, _, report, err := h.openReport(c)
	if err != nil {
		return err
	}
	return sendReport(c, report)
}

// sendReport answers with the findings that the query selects, as a file.
func sendReport(c echo.Context, report app.OpenedReport) error {
	if report.Fact.Status != core.ScanSuccess {
		return core.Errorf(core.CodeNotFound, "the image in %s has no vulnerability report; scan it first", report.Repository)
	}
	var buf bytes.Buffer
	out := csv.NewWriter(&buf)
	if err := writeRows(out, reportColumns); err != nil {
		return err
	}
	if err := writeFindings(out, report, readReportFilter(c.QueryParams()).apply(report)); err != nil {
		return err
	}
	asCSV(c, "vulnerabilities.csv")
	_, err := c.Response().Write(buf.Bytes())
	return err
}

func (h *api) exportFindings(c echo.Context) error {
	return h.sendFindings(c, projectRef(c))
}

func (h *api) exportFindingsPage(c echo.Context) error {
	name, err := pathText(c, "project_name")
	if err != nil {
		return err
	}
	return h.sendFindings(c, core.ProjectRef{Name: name})
}

// sendFindings streams the findings of all images of a project that the query
// selects, image by image.
func (h *api) sendFindings(c echo.Context, ref core.ProjectRef) error {
	filter := readReportFilter(c.QueryParams())
	latest, _ := strconv.ParseBool(c.QueryParam("latest_in_repository"))
	response := c.Response()
	out := csv.NewWriter(response)
	begin := sync.OnceValue(func() error {
		asCSV(c, "vulnerabilities.csv")
		response.WriteHeader(http.StatusOK)
		return writeRows(out, reportColumns)
	})
	err := h.app.ExportFindings(c.Request().Context(), caller(c), ref, latest, func(report app.OpenedReport) error {
		if err := begin(); err != nil {
			return err
		}
		return writeFindings(out, report, filter.apply(report))
	})
	if err == nil {
		err = begin() // of a project without findings
	}
	return h.cutOff(c, "an export of findings", err)
}
