package web

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// tabReport is the tab of an artifact with its findings.
const tabReport = "vulnerabilities"

func (h *api) reportPages() []page {
	return []page{
		{method: http.MethodGet, path: artifactPage + "/vulnerabilities", handle: h.reportPage},
		{method: http.MethodGet, path: artifactPage + "/vulnerabilities/csv", handle: h.reportCSVPage},
		{method: http.MethodGet, path: artifactPage + "/vulnerabilities/:cve", handle: h.findingPage},
		{method: http.MethodGet, path: artifactPage + "/sbom", handle: h.sbomPage},
		{method: http.MethodPost, path: artifactPage + "/sbom", handle: h.makeSBOMPage},
		{method: http.MethodGet, path: projectPage + "/vulnerabilities/csv", handle: h.exportFindingsPage},
	}
}

// reportRows is how many findings a page of a report shows.
const reportRows = 50

// maxUpdates is how many updates the advice about a rebuild lists.
const maxUpdates = 100

// openReport returns the artifact in the path with its report, if it has one.
func (h *api) openReport(c echo.Context) (a app.OpenedArtifact, reference string, report app.OpenedReport, err error) {
	if a, reference, err = h.openArtifact(c); err != nil {
		return a, reference, report, err
	}
	report, err = h.app.OpenReport(c.Request().Context(), caller(c), a.Repository.Name, a.Digest)
	if core.IsNotFound(err) {
		err = nil // it was not scanned yet
	}
	return a, reference, report, err
}

func (h *api) reportPage(c echo.Context) error {
	ctx := c.Request().Context()
	a, reference, report, err := h.openReport(c)
	if err != nil {
		return err
	}
	view := ui.ReportView{Head: h.artifactHead(ctx, a, reference, tabReport), Scan: artifactScan(ctx, a), Path: reportURL(a, reference)}
	view.Scan.Report, view.Scan.Brief = view.Path, true
	if report.Fact.Status == core.ScanSuccess {
		if err := h.fillReport(c, a, report, &view); err != nil {
			return err
		}
	}
	return h.showArtifact(c, http.StatusOK, a, reference, ui.Report(view))
}

// reportURL is the page of the report.
func reportURL(a app.OpenedArtifact, reference string) string {
	return repositoryURL(a.Repository.Name, "artifacts", reference, "vulnerabilities")
}

func (h *api) fillReport(c echo.Context, a app.OpenedArtifact, report app.OpenedReport, view *ui.ReportView) error {
	ctx := c.Request().Context()
	filter := readReportFilter(c.QueryParams())
	all := report.Vulnerabilities
	selected := filter.apply(report)
	steps, err := h.layerSteps(c, a)
	if err != nil {
		return err
	}
	values := filter.values()
	q := listPage(c)
	q.PageSize = reportRows
	shown := selected[min(len(selected), int(min(q.Offset(), math.MaxInt32))):]
	shown = shown[:min(len(shown), reportRows)]
	view.Missing = int64(report.Missing)
	view.Total, view.OS, view.Packages = int64(len(all)), report.OS, int64(report.Packages)
	view.Findings = mapAll(shown, func(v core.Vulnerability) ui.FindingRow { return findingRow(ctx, view.Path, report, v) })
	view.Pager = pager(view.Path, values, q, len(shown), int64(len(selected)))
	view.Filter, view.Severity, view.Show, view.Package, view.Sort = filter.text, filter.severity, filter.show, filter.pkg, filter.sort
	view.Shows, view.Severities = reportSegments(ctx, view.Path, values), severityOptions(ctx)
	view.Columns = reportHeads(ctx, view.Path, filter)
	view.CSV = withQuery(view.Path+"/csv", values)
	view.Rebuild = rebuildView(ctx, a, report, all, steps)
	view.Bills, err = h.billLinks(c, a)
	view.MayBill = len(view.Bills) == 0 && len(a.Children) == 0 && a.Repository.Project.Rights.May(core.ResSBOM, core.ActCreate)
	view.BillPath = artifactURLPage(a.Artifact.Artifact) + "/sbom"
	return err
}

// layerSteps are the steps of an image by the digests of their layers.
func (h *api) layerSteps(c echo.Context, a app.OpenedArtifact) (map[string]layerStep, error) {
	if len(a.Children) > 0 {
		return nil, nil
	}
	contents, _, err := h.contents(c, a)
	if err != nil {
		return nil, err
	}
	known := map[string]layerStep{}
	for i, step := range steps(contents) {
		if step.Layer != nil {
			known[step.Layer.Digest] = layerStep{i + 1, step.Command}
		}
	}
	return known, nil
}

func findingRow(ctx context.Context, path string, r app.OpenedReport, v core.Vulnerability) ui.FindingRow {
	return ui.FindingRow{Href: path + "/" + url.PathEscape(v.CVE), CVE: v.CVE, Severity: v.Severity, KEV: v.KEV, Allowed: r.Allowed[v.CVE],
		Text: core.Clip(strings.Join(strings.Fields(v.Description), " "), 160), Package: v.Package, Version: v.Version, Fixed: v.Fixed, Score: v.Score, EPSS: v.EPSS,
		Platforms: platformsText(ctx, r.ScanReport, v)}
}

func reportSegments(ctx context.Context, path string, values url.Values) []ui.Link {
	current := values.Get("show")
	defer values.Set("show", current)
	var links []ui.Link
	for _, show := range showOptions(ctx) {
		values.Set("show", show.Value)
		links = append(links, ui.Link{Href: withQuery(path, values), Label: show.Label, Current: show.Value == current})
	}
	return links
}

func showOptions(ctx context.Context) (options []ui.Option) {
	for _, show := range reportShows {
		options = append(options, ui.Option{Value: show, Label: i18n.T(ctx, "report.show."+cmp.Or(show, "all"))})
	}
	return options
}

func severityOptions(ctx context.Context) []ui.Option {
	options := []ui.Option{{Value: "", Label: i18n.T(ctx, "report.any-severity")}}
	for _, s := range core.Severities() {
		options = append(options, ui.Option{Value: strings.ToLower(s.String()), Label: ui.SeverityWord(ctx, s)})
	}
	return options
}

// reportHeads are the columns, each of which sorts, and the other way around
// when it does already.
func reportHeads(ctx context.Context, path string, f reportFilter) []ui.Column {
	var columns []ui.Column
	for _, c := range []struct{ sort, class string }{{"severity", "fit"}, {"cve", ""}, {"package", ""}, {"", ""}, {"cvss", "num"}, {"epss", "num"}} {
		column := ui.Column{Class: c.class, Label: i18n.T(ctx, "report.column.fixed")}
		if c.sort != "" {
			column.Label = i18n.T(ctx, "report.column."+c.sort)
			next := f
			next.sort, next.up = c.sort, false
			if f.sort == c.sort || (f.sort == "" && c.sort == "severity") {
				next.up = !f.up
				column.Sorted = map[bool]string{true: "ascending", false: "descending"}[f.up]
			}
			column.Href = withQuery(path, next.values())
		}
		columns = append(columns, column)
	}
	return columns
}

// rebuildView is what would go away with newer packages.
func rebuildView(ctx context.Context, a app.OpenedArtifact, r app.OpenedReport, all []core.Vulnerability, steps map[string]layerStep) *ui.RebuildView {
	wanted := updates(all, steps)
	view := &ui.RebuildView{Total: int64(len(all)), OS: r.OS, Base: core.Clip(a.Annotations["org.opencontainers.image.base.name"], 200)}
	for i, u := range wanted {
		if u.application {
			view.Application += u.tally.Total()
		} else {
			view.Distribution += u.tally.Total()
		}
		if i < maxUpdates {
			view.Updates = append(view.Updates, ui.UpdateRow{Package: u.pkg, Version: u.version, To: u.to, Tally: u.tally, Application: u.application,
				Layer: u.layer, Step: steps[u.layer].number, Command: core.Clip(steps[u.layer].command, 160)})
		}
	}
	view.More = int64(len(wanted) - len(view.Updates))
	return view
}

// billLinks lead to the bills of materials that the artifact has.
func (h *api) billLinks(c echo.Context, a app.OpenedArtifact) ([]ui.Link, error) {
	attached, err := h.app.AccessoriesOf(c.Request().Context(), caller(c), a.Repository.Name, []string{a.Digest})
	if err != nil {
		return nil, err
	}
	var links []ui.Link
	for _, format := range []struct{ name, label string }{{"spdx", "SPDX"}, {"cyclonedx", "CycloneDX"}} {
		if slices.ContainsFunc(attached[a.Digest], func(x core.Artifact) bool { return x.ArtifactType == bills[format.name] }) {
			links = append(links, ui.Link{Href: artifactURLPage(a.Artifact.Artifact) + "/sbom?format=" + format.name, Label: format.label})
		}
	}
	return links, nil
}

func (h *api) findingPage(c echo.Context) error {
	ctx := c.Request().Context()
	a, reference, report, err := h.openReport(c)
	if err != nil {
		return err
	}
	cve, err := pathText(c, "cve")
	if err != nil {
		return err
	}
	var found []core.Vulnerability
	for _, v := range report.Vulnerabilities {
		if v.CVE == cve {
			found = append(found, v)
		}
	}
	if len(found) == 0 {
		return core.Errorf(core.CodeNotFound, "the report of %s has no %s; it may have changed", reference, core.Clip(cve, 64))
	}
	steps, err := h.layerSteps(c, a)
	if err != nil {
		return err
	}
	view := findingView(ctx, report, found, steps)
	view.Head, view.Back = h.artifactHead(ctx, a, reference, tabReport), reportURL(a, reference)
	if project := a.Repository.Project; project.Rights.May(core.ResProject, core.ActUpdate) {
		view.Allow = projectURL(project.Name, "policies", "allowlist") + "?add=" + url.QueryEscape(cve)
	}
	return h.showArtifact(c, http.StatusOK, a, reference, ui.Finding(view))
}

func findingView(ctx context.Context, r app.OpenedReport, found []core.Vulnerability, steps map[string]layerStep) ui.FindingView {
	worst := slices.MaxFunc(found, func(a, b core.Vulnerability) int { return int(a.Severity - b.Severity) })
	view := ui.FindingView{CVE: worst.CVE, Severity: worst.Severity, KEV: worst.KEV, Allowed: r.Allowed[worst.CVE], Text: core.Clip(worst.Description, 20_000)}
	add := func(key, value string, mono bool) {
		if value != "" {
			view.Facts = append(view.Facts, ui.Fact{Label: i18n.T(ctx, "report."+key), Value: value, Mono: mono})
		}
	}
	if worst.Score > 0 {
		add("column.cvss", strings.TrimSpace(decimal(worst.Score)+" "+worst.Vector), false)
	}
	if worst.EPSS > 0 {
		add("column.epss", ui.Percent(ctx, worst.EPSS), false)
	}
	add("source", worst.Source, false)
	if worst.Name != worst.CVE {
		add("advisory", core.Clip(worst.Name, 200), false)
	}
	add("source-severity", core.Clip(worst.SourceSeverity, 120), false)
	if !worst.Issued.IsZero() {
		add("published", i18n.Day(ctx, worst.Issued), false)
	}
	for _, v := range found {
		for _, link := range v.Links {
			if webAddress(link) && !slices.Contains(view.Links, link) {
				view.Links = append(view.Links, link)
			}
		}
		step := steps[v.Layer]
		view.Packages = append(view.Packages, ui.AffectedRow{Package: v.Package, Version: v.Version, Arch: v.Arch, Fixed: v.Fixed, Place: core.Clip(v.Place, 200),
			Layer: v.Layer, Step: step.number, Command: core.Clip(step.command, 400), Platforms: platformsText(ctx, r.ScanReport, v)})
	}
	return view
}

// webAddress says whether a link of a feed leads to a page of the web.
func webAddress(link string) bool {
	u, err := url.Parse(link)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

func (h *api) sbomPage(c echo.Context) error {
	name := "sbom.spdx.json"
	if c.QueryParam("format") == "cyclonedx" {
		name = "sbom.cdx.json"
	}
	c.Response().Header().Set(echo.HeaderContentDisposition, `attachment; filename="`+name+`"`)
	return h.getSBOM(c)
}

func (h *api) makeSBOMPage(c echo.Context) error {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return err
	}
	if err := h.app.GenerateSBOM(c.Request().Context(), caller(c), repository, reference); err != nil {
		return err
	}
	return done(c, repositoryURL(repository, "artifacts", reference, "vulnerabilities"), "report.toast.sbom")
}
