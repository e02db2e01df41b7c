package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

const securityPage = "/security"

func (h *api) securityPages() []page {
	return []page{
		{method: http.MethodGet, path: securityPage, handle: h.securityPage},
		{method: http.MethodGet, path: securityPage + "/search", handle: h.securitySearchPage},
	}
}

// worstShown is how many of the worst the page shows.
const worstShown = 10

// trendPeriods are the numbers of days that the trend may show.
func trendPeriods() []int { return []int{usualPeriod, 90, 365} }

func (h *api) securityPage(c echo.Context) error {
	ctx := c.Request().Context()
	days := usualPeriod
	for _, n := range trendPeriods() {
		if c.QueryParam("days") == strconv.Itoa(n) {
			days = n
		}
	}
	sum, err := h.app.SecuritySummary(ctx, caller(c), worstShown, worstShown)
	if err != nil {
		return err
	}
	trend, err := h.app.SecurityTrend(ctx, caller(c), days)
	if err != nil {
		return err
	}
	view := ui.SecurityView{Tally: sum.Tally(), Images: sum.Images, Scanned: sum.Scanned, Waiting: waitingImages(sum),
		Risky: riskyImages(sum), Common: mapAll(sum.WorstCVEs, newCVERow), Exploited: mapAll(sum.Exploited, newCVERow), Trend: trendCharts(ctx, trend, days, time.Now())}
	for _, n := range trendPeriods() {
		view.Periods = append(view.Periods, ui.Link{Href: securityPage + "?days=" + strconv.Itoa(n), Label: i18n.T(ctx, "overview.days", strconv.Itoa(n)), Current: n == days})
	}
	return h.show(c, http.StatusOK, sectionSecurity, i18n.T(ctx, "security.title"), ui.Security(view))
}

// waitingImages is how many images have not been scanned yet.
func waitingImages(sum app.SecuritySummary) int64 {
	return max(0, sum.Images-sum.Scanned-sum.Failed-sum.Unscannable)
}

func riskyImages(sum app.SecuritySummary) (rows []ui.RiskyImage) {
	for _, image := range sum.WorstImages {
		rows = append(rows, ui.RiskyImage{Name: image.Repository, Href: imagePage(image.Repository, image.Digest), Digest: image.Digest, Tags: image.Tags, Tally: image.Tally})
	}
	return rows
}

// imagePage is the page of an artifact; repository is its full name.
func imagePage(repository, reference string) string {
	project, name, _ := strings.Cut(repository, "/")
	return "/projects/" + url.PathEscape(project) + "/repositories/" + url.PathEscape(name) + "/artifacts/" + url.PathEscape(reference)
}

func newCVERow(v core.CVECount) ui.CVERow {
	return ui.CVERow{CVE: v.CVE, Href: cveSearch(v.CVE), Severity: v.Severity, Score: v.Score, KEV: v.KEV, Images: v.Images}
}

// cveSearch finds the images that have the vulnerability.
func cveSearch(cve string) string {
	return withQuery(securityPage+"/search", url.Values{"cve": {cve}})
}

// trendCharts are the days up to today; what is not known of them is missing.
func trendCharts(ctx context.Context, trend []app.SecurityDay, days int, now time.Time) []ui.ChartView {
	if len(trend) == 0 {
		return nil
	}
	grave := ui.ChartView{ID: "grave", Title: i18n.T(ctx, "security.trend.grave.title"), Unit: i18n.T(ctx, "security.trend.grave"), Level: true}
	exploited := ui.ChartView{ID: "exploited", Title: i18n.T(ctx, "security.trend.exploited.title"), Unit: i18n.T(ctx, "security.trend.exploited"), Level: true, Bars: true}
	known := map[time.Time]app.SecurityDay{}
	for _, day := range trend {
		known[day.Day] = day
	}
	today := now.UTC().Truncate(24 * time.Hour)
	for i := days - 1; i >= 0; i-- {
		at := today.AddDate(0, 0, -i)
		day, ok := known[at]
		grave.Points = append(grave.Points, ui.Point{Day: at, Value: day.Critical + day.High, Missing: !ok})
		exploited.Points = append(exploited.Points, ui.Point{Day: at, Value: day.KEV, Missing: !ok})
	}
	return []ui.ChartView{grave, exploited}
}

// securitySearchPage finds the images that have a vulnerability.
func (h *api) securitySearchPage(c echo.Context) error {
	ctx := c.Request().Context()
	q := listPage(c)
	search, view := typedSearch(ctx, c)
	if err := h.app.Authorize(ctx, caller(c), core.ResSecurityHub, core.ActList); err != nil {
		return err
	}
	if !view.Asked() { // all that there is would be a great deal, and no answer to anything
		return h.show(c, http.StatusOK, sectionSecurity, i18n.T(ctx, "security.search"), ui.SecuritySearch(view))
	}
	search.Offset, search.Limit = int(q.Offset()), q.PageSize
	found, total, err := h.app.SearchVulnerabilities(ctx, caller(c), search)
	if err != nil {
		return err
	}
	for _, v := range found {
		view.Found = append(view.Found, foundRow(v))
	}
	view.Pager = pager(securityPage+"/search", c.QueryParams(), q, len(found), total)
	return h.show(c, http.StatusOK, sectionSecurity, i18n.T(ctx, "security.search"), ui.SecuritySearch(view))
}

// maxSearchWord bounds the texts that are searched for, in bytes.
const maxSearchWord = 255

// typedSearch reads the form. A choice that there is not is none.
func typedSearch(ctx context.Context, c echo.Context) (search app.VulnerabilitySearch, view ui.SecuritySearchView) {
	word := func(name string) string { return core.Clip(strings.TrimSpace(c.QueryParam(name)), maxSearchWord) }
	view = ui.SecuritySearchView{CVE: word("cve"), Package: word("package"), Repository: word("repository"), Only: word("only"),
		Severities: []ui.Option{{Label: i18n.T(ctx, "security.any-severity")}},
		Onlies: []ui.Option{{Label: i18n.T(ctx, "security.only.all")}, {Value: "fixable", Label: i18n.T(ctx, "security.only.fixable")},
			{Value: "unfixed", Label: i18n.T(ctx, "security.only.unfixed")}, {Value: "kev", Label: i18n.T(ctx, "security.only.kev")}}}
	search.CVE, search.Package, search.Images.Repository = view.CVE, view.Package, view.Repository
	for _, severity := range core.Severities() {
		value := strings.ToLower(severity.String())
		view.Severities = append(view.Severities, ui.Option{Value: value, Label: ui.SeverityWord(ctx, severity)})
		if word("severity") == value {
			view.Severity, search.Severities = value, []core.Severity{severity}
		}
	}
	yes, no := true, false
	switch view.Only {
	case "fixable":
		search.Fixable = &yes
	case "unfixed":
		search.Fixable = &no
	case "kev":
		search.KEV = &yes
	}
	return search, view
}

func foundRow(v app.FoundVulnerability) ui.FoundRow {
	row := ui.FoundRow{CVE: v.CVE, Href: cveSearch(v.CVE), Severity: v.Severity, Score: v.Score, KEV: v.KEV, Package: v.Package, Version: v.Version, Fixed: v.Fixed,
		Text: v.Description, Image: v.Repository, Digest: v.Digest, Tags: v.Tags}
	if v.Repository != "" {
		row.ImageHref = imagePage(v.Repository, v.Digest)
	}
	for _, link := range v.Links {
		if u, err := url.Parse(link); err == nil && u.Scheme == "https" && row.Link == "" {
			row.Link, row.LinkHost = link, u.Hostname()
		}
	}
	return row
}

// riskyShown is how many images at risk the overview shows.
const riskyShown = 3

// addDataWarnings says when scans cannot find what is known elsewhere.
func (h *api) addDataWarnings(c echo.Context, view *ui.OverviewView) error {
	ctx := c.Request().Context()
	all, err := h.app.Feeds(ctx, caller(c))
	if err != nil {
		return err
	}
	if recordsOf(all) == 0 {
		view.Warnings = append(view.Warnings, ui.Item{Icon: "feed", Tone: "warn", Href: feedsPage,
			Title: i18n.T(ctx, "security.warn.no-data"), Text: i18n.T(ctx, "security.warn.no-data.text")})
		return nil
	}
	var stale []string
	for _, f := range all {
		if f.Stale(time.Now()) {
			stale = append(stale, f.Title)
		}
	}
	if len(stale) > 0 {
		view.Warnings = append(view.Warnings, ui.Item{Icon: "feed", Tone: "warn", Href: feedsPage,
			Title: i18n.T(ctx, "security.warn.stale"), Text: i18n.T(ctx, "security.warn.stale.text", strings.Join(stale, ", "))})
	}
	return nil
}
