package web

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

func (h *api) securityRoutes() []route {
	return []route{
		{http.MethodGet, "/security/summary", h.securitySummary},
		{http.MethodGet, "/security/vul", h.listVulnerabilities},
		{http.MethodGet, "/security/trend", h.securityTrend},
	}
}

// securityJSON is Harbor's SecuritySummary.
type securityJSON struct {
	Critical           int64                `json:"critical_cnt"`
	High               int64                `json:"high_cnt"`
	Medium             int64                `json:"medium_cnt"`
	Low                int64                `json:"low_cnt"`
	None               int64                `json:"none_cnt"` // Negligible
	Unknown            int64                `json:"unknown_cnt"`
	Total              int64                `json:"total_vuls"`
	Scanned            int64                `json:"scanned_cnt"`
	Images             int64                `json:"total_artifact"`
	Fixable            int64                `json:"fixable_cnt"`
	KEV                int64                `json:"kev_cnt"` // ours
	DangerousCVEs      []dangerousCVEJSON   `json:"dangerous_cves,omitempty"`
	ExploitedCVEs      []dangerousCVEJSON   `json:"exploited_cves,omitempty"` // ours, with the dangerous ones
	DangerousArtifacts []dangerousImageJSON `json:"dangerous_artifacts,omitempty"`
}

// dangerousCVEJSON is Harbor's DangerousCVE, of no one package.
type dangerousCVEJSON struct {
	CVE      string  `json:"cve_id"`
	Severity string  `json:"severity"`
	Score    float64 `json:"cvss_score_v3"`
	KEV      bool    `json:"kev"`    // ours
	Images   int64   `json:"images"` // ours: that have it
}

// dangerousImageJSON is Harbor's DangerousArtifact.
type dangerousImageJSON struct {
	ProjectID  int64  `json:"project_id"`
	Repository string `json:"repository_name"`
	Digest     string `json:"digest"`
	Critical   int64  `json:"critical_cnt"`
	High       int64  `json:"high_cnt"`
	Medium     int64  `json:"medium_cnt"`
}

func (h *api) securitySummary(c echo.Context) error {
	images, err := flagParam(c, "with_dangerous_artifact")
	if err != nil {
		return err
	}
	cves, err := flagParam(c, "with_dangerous_cve")
	if err != nil {
		return err
	}
	wanted := map[bool]int{true: worstListed}
	sum, err := h.app.SecuritySummary(c.Request().Context(), caller(c), wanted[images], wanted[cves])
	if err != nil {
		return err
	}
	body := securityJSON{Critical: sum.Critical, High: sum.High, Medium: sum.Medium, Low: sum.Low, None: sum.Negligible, Unknown: sum.Unknown,
		Total: sum.Total(), Scanned: sum.Scanned, Images: sum.Images, Fixable: sum.Fixable, KEV: sum.KEV}
	body.DangerousCVEs, body.ExploitedCVEs = mapAll(sum.WorstCVEs, newDangerousCVE), mapAll(sum.Exploited, newDangerousCVE)
	for _, i := range sum.WorstImages {
		body.DangerousArtifacts = append(body.DangerousArtifacts, dangerousImageJSON{i.ProjectID, i.Repository, i.Digest, i.Critical, i.High, i.Medium})
	}
	return c.JSON(http.StatusOK, body)
}

// worstListed is how many of the worst Harbor lists.
const worstListed = 5

func newDangerousCVE(v core.CVECount) dangerousCVEJSON {
	return dangerousCVEJSON{v.CVE, v.Severity.String(), v.Score, v.KEV, v.Images}
}

// trendDayJSON is what was known of all images on one day.
type trendDayJSON struct {
	Date     string `json:"date"`
	Images   int64  `json:"total_artifact"`
	Scanned  int64  `json:"scanned_cnt"`
	Critical int64  `json:"critical_cnt"`
	High     int64  `json:"high_cnt"`
	Medium   int64  `json:"medium_cnt"`
	Low      int64  `json:"low_cnt"`
	None     int64  `json:"none_cnt"` // Negligible, as in the summary
	Unknown  int64  `json:"unknown_cnt"`
	Fixable  int64  `json:"fixable_cnt"`
	KEV      int64  `json:"kev_cnt"`
}

// securityTrend is ours: the summary of each of the last days, 30 without the
// parameter days. Days that nothing is known of are left out.
func (h *api) securityTrend(c echo.Context) error {
	days := usualPeriod
	if text := c.QueryParam("days"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return core.Errorf(core.CodeBadRequest, "the parameter days must be a number from 1 to %d", app.MaxTrendDays)
		}
		days = n
	}
	trend, err := h.app.SecurityTrend(c.Request().Context(), caller(c), days)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, mapAll(trend, func(d app.SecurityDay) trendDayJSON {
		return trendDayJSON{d.Day.Format(time.DateOnly), d.Images, d.Scanned, d.Critical, d.High, d.Medium, d.Low, d.Negligible, d.Unknown, d.Fixable, d.KEV}
	}))
}

// flagParam reads a query parameter that is true or false, and false without.
func flagParam(c echo.Context, name string) (bool, error) {
	text := c.QueryParam(name)
	if text == "" {
		return false, nil
	}
	on, err := strconv.ParseBool(text)
	if err != nil {
		return false, core.Errorf(core.CodeBadRequest, "the parameter %s must be true or false", name)
	}
	return on, nil
}

// foundJSON is Harbor's VulnerabilityItem of the security hub.
type foundJSON struct {
	ProjectID  int64    `json:"project_id"`
	Repository string   `json:"repository_name"`
	Digest     string   `json:"digest"`
	Tags       []string `json:"tags"`
	CVE        string   `json:"cve_id"`
	Severity   string   `json:"severity"`
	Score      float64  `json:"cvss_v3_score"`
	Package    string   `json:"package"`
	Version    string   `json:"version"`
	Fixed      string   `json:"fixed_version"`
	Desc       string   `json:"desc"`
	Links      []string `json:"links"`
	KEV        bool     `json:"kev"` // ours
}

func newFoundJSON(v app.FoundVulnerability) foundJSON {
	return foundJSON{ProjectID: v.ProjectID, Repository: v.Repository, Digest: v.Digest, Tags: orEmpty(v.Tags), CVE: v.CVE, Severity: v.Severity.String(),
		Score: v.Score, Package: v.Package, Version: v.Version, Fixed: v.Fixed, Desc: v.Description, Links: orEmpty(v.Links), KEV: v.KEV}
}

// listVulnerabilities takes Harbor's q: cve_id, severity, cvss_score_v3 (a
// range), project_id, repository_name, digest, package and tag, and kev and
// fixable beside them.
func (h *api) listVulnerabilities(c echo.Context) error {
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	search, err := vulnerabilitySearch(q)
	if err != nil {
		return err
	}
	list, total, err := h.app.SearchVulnerabilities(c.Request().Context(), caller(c), search)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(list, newFoundJSON))
}

// vulnerabilityFilters read the conditions of a search.
var vulnerabilityFilters = map[string]func(*app.VulnerabilitySearch, core.Filter) error{
	"cve_id":          func(s *app.VulnerabilitySearch, f core.Filter) error { s.CVE = f.Values[0]; return nil },
	"package":         func(s *app.VulnerabilitySearch, f core.Filter) error { s.Package = f.Values[0]; return nil },
	"repository_name": func(s *app.VulnerabilitySearch, f core.Filter) error { s.Images.Repository = f.Values[0]; return nil },
	"tag":             func(s *app.VulnerabilitySearch, f core.Filter) error { s.Images.Tag = f.Values[0]; return nil },
	"digest":          func(s *app.VulnerabilitySearch, f core.Filter) error { s.Images.Digest = f.Values[0]; return nil },
	"project_id": func(s *app.VulnerabilitySearch, f core.Filter) error {
		id, err := strconv.ParseInt(f.Values[0], 10, 64)
		s.Images.ProjectIDs = []int64{id}
		return err
	},
	"severity": func(s *app.VulnerabilitySearch, f core.Filter) error {
		for _, word := range f.Values {
			severity, err := core.ParseSeverity(word)
			if err != nil {
				return err
			}
			s.Severities = append(s.Severities, severity)
		}
		return nil
	},
	"kev":           func(s *app.VulnerabilitySearch, f core.Filter) error { return parseFlag(f, &s.KEV) },
	"fixable":       func(s *app.VulnerabilitySearch, f core.Filter) error { return parseFlag(f, &s.Fixable) },
	"cvss_score_v3": scoreFilter,
}

func parseFlag(f core.Filter, into **bool) error {
	on, err := strconv.ParseBool(f.Values[0])
	*into = &on
	return err
}

func scoreFilter(s *app.VulnerabilitySearch, f core.Filter) (err error) {
	low, high := f.Values[0], f.Values[len(f.Values)-1]
	if low != "" {
		if s.MinScore, err = strconv.ParseFloat(low, 64); err != nil {
			return err
		}
	}
	if high != "" {
		s.MaxScore, err = strconv.ParseFloat(high, 64)
	}
	return err
}

func vulnerabilitySearch(q core.Query) (app.VulnerabilitySearch, error) {
	var s app.VulnerabilitySearch
	s.Offset, s.Limit = int(q.Offset()), q.PageSize
	for _, f := range q.Filters {
		read, known := vulnerabilityFilters[f.Field]
		if !known {
			return s, core.Errorf(core.CodeBadRequest, "vulnerabilities cannot be filtered by %q; use cve_id, severity, cvss_score_v3, project_id, repository_name, digest, package, tag, kev or fixable",
				core.Clip(f.Field, 64))
		}
		if f.Match == core.MatchFuzzy || (f.Match == core.MatchRange && f.Field != "cvss_score_v3") || (f.Match == core.MatchAny && f.Field != "severity") {
			return s, core.Errorf(core.CodeBadRequest, "the condition on %s of the q parameter must look like %s=value", f.Field, f.Field)
		}
		if err := read(&s, f); err != nil {
			if core.ErrorCode(err) == core.CodeBadRequest {
				return s, err
			}
			return s, core.Errorf(core.CodeBadRequest, "the value of %s in the q parameter cannot be read", f.Field)
		}
	}
	slices.Sort(s.Severities)
	return s, nil
}
