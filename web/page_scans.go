package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

func (h *api) scanPages() []page {
	return slices.Concat(
		livePages(artifactPage+"/scan", h.artifactScanLive, h),
		livePages(repositoryPage+"/scan", h.artifactsLive, h),
		livePages(projectPage+"/scan", h.repositoriesLive, h),
		[]page{
			{method: http.MethodPost, path: artifactPage + "/scan", handle: h.scanArtifactPage},
			{method: http.MethodPost, path: artifactPage + "/scan/stop", handle: h.stopScanPage},
			{method: http.MethodPost, path: repositoryPage + "/scan", handle: h.scanRepositoryPage},
			{method: http.MethodPost, path: repositoryPage + "/scan/stop", handle: h.stopRepositoryScanPage},
			{method: http.MethodPost, path: projectPage + "/scan", handle: h.scanProjectPage},
			{method: http.MethodPost, path: projectPage + "/scan/stop", handle: h.stopProjectScanPage},
		})
}

// livePages are the two ways to a part that changes, below path.
func livePages(path string, look live, h *api) []page {
	return []page{
		{method: http.MethodGet, path: path + "/live", handle: livePage(look)},
		{method: http.MethodGet, path: path + "/events", handle: h.events(look)},
	}
}

// scanView is where an artifact of the kind stands.
func scanView(kind string, s app.ScanState) ui.ScanView {
	if kind != core.KindImage {
		return ui.ScanView{State: ui.ScanNotMeant}
	}
	view := ui.ScanView{State: ui.ScanNone, Reason: s.Fact.Message, At: s.Fact.ScannedAt, Stopped: s.Stopped}
	switch s.Fact.Status {
	case core.ScanSuccess:
		view.State, view.Tally = ui.ScanDone, core.TallyOf(s.Fact.Findings)
	case core.ScanError:
		view.State = ui.ScanFailed
	case core.ScanUnscannable:
		view.State = ui.ScanUnsupported
	}
	switch s.Open {
	case core.JobPending:
		view.Open = ui.ScanQueued
	case core.JobRunning:
		view.Open = ui.ScanRunning
	}
	return view
}

func pullView(p app.OpenedProject, a app.ListedArtifact) ui.PullView {
	v := a.Pull
	return ui.PullView{Enforced: p.Enforces, Allowed: v.Allowed(), Reason: string(v.Reason), Message: v.Message, Findings: v.Findings}
}

// artifactScan is the part of an artifact's page about its scans.
func artifactScan(ctx context.Context, a app.OpenedArtifact) ui.ArtifactScanView {
	project := a.Repository.Project
	view := ui.ArtifactScanView{Path: artifactURLPage(a.Artifact.Artifact), Scan: scanView(a.Kind, a.Scan), Pull: pullView(project, a.ListedArtifact),
		Start: project.Rights.May(core.ResScan, core.ActCreate), Stop: project.Rights.May(core.ResScan, core.ActStop)}
	if project.Rights.May(core.ResMetadata, core.ActRead) {
		view.Policies = projectURL(project.Name, "policies")
	}
	if a.Scan.Fact.Feed != "" {
		view.Data = i18n.T(ctx, "scans.data", core.Clip(a.Scan.Fact.Feed, 80))
	}
	return view
}

// artifactScanLive is what changes on an artifact's page while it is scanned.
func (h *api) artifactScanLive(c echo.Context) (templ.Component, bool, error) {
	a, reference, err := h.openArtifact(c)
	if err != nil {
		return nil, true, err
	}
	view := artifactScan(c.Request().Context(), a)
	view.Report, view.Brief = reportURL(a, reference), c.QueryParam("brief") != ""
	return ui.ArtifactScanLive(view), view.Scan.Open == "", nil
}

// scanRun is the view of a scan of many images; nil where none goes on.
func (h *api) scanRun(c echo.Context, p app.OpenedProject, repository string) (*ui.ScanRunView, error) {
	if !p.Rights.May(core.ResScan, core.ActRead) {
		return nil, nil
	}
	run, err := h.app.OpenScanRun(c.Request().Context(), caller(c), core.ProjectRef{ID: p.ID}, repository)
	if err != nil || run.ID == 0 {
		return nil, err
	}
	view := &ui.ScanRunView{Waits: run.Status == core.JobPending, Done: run.Progress.Done, Total: run.Progress.Total, Failed: run.Progress.Error}
	if p.Rights.May(core.ResScan, core.ActStop) && run.Repository == repository {
		if view.Stop = projectURL(p.Name, "scan", "stop"); repository != "" {
			view.Stop = repositoryURL(repository, "scan", "stop")
		}
	}
	return view, nil
}

// artifactsLive is what changes in the list of a repository while it is scanned.
func (h *api) artifactsLive(c echo.Context) (templ.Component, bool, error) {
	r, err := h.openRepository(c)
	if err != nil {
		return nil, true, err
	}
	view, _, err := h.artifactsView(c, r)
	return ui.ArtifactsLive(view), !view.Scanning(), err
}

// repositoriesLive is what changes in the list of a project while it is scanned.
func (h *api) repositoriesLive(c echo.Context) (templ.Component, bool, error) {
	p, err := h.openProject(c)
	if err != nil {
		return nil, true, err
	}
	view, _, err := h.repositoriesView(c, p)
	return ui.RepositoriesLive(view), view.Run == nil, err
}

// liveQuery is the query of a list for its part that changes.
func liveQuery(c echo.Context, values url.Values) string {
	values.Set(cursorField, c.QueryParam(cursorField))
	defer values.Del(cursorField)
	return withQuery("", values)
}

func (h *api) scanArtifactPage(c echo.Context) error {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return err
	}
	if err := h.app.ScanArtifact(c.Request().Context(), caller(c), repository, reference); err != nil {
		return err
	}
	return done(c, repositoryURL(repository, "artifacts", reference), "scans.toast.queued")
}

func (h *api) stopScanPage(c echo.Context) error {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return err
	}
	err = h.app.StopScan(c.Request().Context(), caller(c), repository, reference)
	return stopped(c, repositoryURL(repository, "artifacts", reference), err)
}

// stopped leads back from the end of a scan, which may have come by itself.
func stopped(c echo.Context, back string, err error) error {
	switch core.ErrorCode(err) {
	case "":
		return done(c, back, "scans.toast.stopping")
	case core.CodeBadRequest:
		return done(c, back, "scans.toast.nothing")
	}
	return err
}

func (h *api) scanRepositoryPage(c echo.Context) error {
	name, err := repositoryName(c)
	if err != nil {
		return err
	}
	if _, err := h.app.ScanRepository(c.Request().Context(), caller(c), name); err != nil {
		return err
	}
	return done(c, repositoryURL(name), "scans.toast.queued")
}

func (h *api) stopRepositoryScanPage(c echo.Context) error {
	name, err := repositoryName(c)
	if err != nil {
		return err
	}
	return stopped(c, repositoryURL(name), h.app.StopRepositoryScan(c.Request().Context(), caller(c), name))
}

func (h *api) scanProjectPage(c echo.Context) error {
	name, err := pathText(c, "project_name")
	if err != nil {
		return err
	}
	if _, err := h.app.ScanProject(c.Request().Context(), caller(c), core.ProjectRef{Name: name}); err != nil {
		return err
	}
	return done(c, projectURL(name), "scans.toast.queued")
}

func (h *api) stopProjectScanPage(c echo.Context) error {
	name, err := pathText(c, "project_name")
	if err != nil {
		return err
	}
	return stopped(c, projectURL(name), h.app.StopProjectScan(c.Request().Context(), caller(c), core.ProjectRef{Name: name}))
}
