package web

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

const scanningPage = "/admin/scanning"

func (h *api) scanningPages() []page {
	return []page{
		{method: http.MethodGet, path: scanningPage, handle: h.scanningPage},
		{method: http.MethodGet, path: scanningPage + "/live", handle: livePage(h.scanningLive)},
		{method: http.MethodGet, path: scanningPage + "/events", handle: h.events(h.scanningLive)},
		{method: http.MethodPost, path: scanningPage, handle: h.startScanAllPage},
		{method: http.MethodPost, path: scanningPage + "/stop", handle: h.stopScanAllPage},
		{method: http.MethodPost, path: scanningPage + "/schedule", handle: h.scheduleScanAllPage},
		{method: http.MethodPost, path: scanningPage + "/allowlist", handle: h.saveSystemAllowlistPage},
	}
}

// scanningView is the page as it is now.
func (h *api) scanningView(c echo.Context) (view ui.ScanningView, err error) {
	ctx := c.Request().Context()
	if view.Live, err = h.scanningLiveView(c); err != nil {
		return view, err
	}
	schedule, err := h.app.ScanAllSchedule(ctx, caller(c))
	if err != nil {
		return view, err
	}
	list, err := h.app.SystemCVEAllowlist(ctx, caller(c))
	if err != nil {
		return view, err
	}
	all, err := h.app.Feeds(ctx, caller(c))
	if err != nil {
		return view, err
	}
	scanner := h.builtIn()
	view.ScheduleForm, view.Allowlist, view.Start = scheduleForm(schedule), allowlistForm(list), ui.NewForm()
	view.Scanner = []ui.Fact{
		{Label: i18n.T(ctx, "scanning.scanner.name"), Value: scanner.Name},
		{Label: i18n.T(ctx, "scanning.scanner.version"), Value: scanner.Version},
		{Label: i18n.T(ctx, "scanning.scanner.kind"), Value: i18n.T(ctx, "scanning.scanner.built-in")},
		{Label: i18n.T(ctx, "scanning.scanner.data"), Value: i18n.N(ctx, "scanning.records", recordsOf(all)), Href: feedsPage},
	}
	return view, nil
}

func recordsOf(all []core.Feed) (sum int64) {
	for _, f := range all {
		sum += f.Records
	}
	return sum
}

// scansOfMany are the kinds of jobs that the page tells of.
var scansOfMany = []string{app.JobScanAll, app.JobScanProject, app.JobRematch}

func (h *api) scanningLiveView(c echo.Context) (view ui.ScanningLive, err error) {
	ctx := c.Request().Context()
	last, progress, err := h.app.ScanAllMetrics(ctx, caller(c), false)
	if err != nil {
		return view, err
	}
	sum, err := h.app.SecuritySummary(ctx, caller(c), 0, 0)
	if err != nil {
		return view, err
	}
	running, err := h.app.Running(ctx, caller(c))
	if err != nil {
		return view, err
	}
	view.Tiles = scanTiles(ctx, sum)
	view.Ongoing = last.ID != 0 && !last.Status.Ended()
	if view.Ongoing && last.Status == core.JobPending {
		view.Runs = append(view.Runs, manyScan(ctx, last))
	}
	for _, job := range running {
		if slices.Contains(scansOfMany, job.Kind) {
			view.Runs = append(view.Runs, manyScan(ctx, job))
		}
	}
	if last.ID != 0 && !view.Ongoing {
		row := jobRow(ctx, last)
		view.Last, view.Counts = &row, scanCounts(ctx, progress)
	}
	return view, nil
}

func scanTiles(ctx context.Context, sum app.SecuritySummary) []ui.TileView {
	tile := func(icon, key string, n int64) ui.TileView {
		return ui.TileView{Icon: icon, Label: i18n.T(ctx, "scanning.tile."+key), Value: i18n.Number(ctx, n), Note: i18n.T(ctx, "scanning.note."+key), Gauge: -1}
	}
	return []ui.TileView{tile("box", "images", sum.Images), tile("shield-check", "scanned", sum.Scanned),
		tile("clock", "waiting", waitingImages(sum)), tile("warn", "failed", sum.Failed+sum.Unscannable)}
}

// scanCounts is what came out of a scan of everything.
func scanCounts(ctx context.Context, p app.ScanProgress) []ui.Fact {
	return []ui.Fact{
		{Label: i18n.T(ctx, "scanning.count.done"), Value: i18n.T(ctx, "scanning.of", i18n.Number(ctx, p.Done), i18n.Number(ctx, p.Total))},
		{Label: i18n.T(ctx, "scanning.count.success"), Value: i18n.Number(ctx, p.Success)},
		{Label: i18n.T(ctx, "scanning.count.error"), Value: i18n.Number(ctx, p.Error)},
		{Label: i18n.T(ctx, "scanning.count.unscannable"), Value: i18n.Number(ctx, p.Unscannable)},
		{Label: i18n.T(ctx, "scanning.count.changed"), Value: i18n.Number(ctx, p.Changed)},
	}
}

func manyScan(ctx context.Context, j core.Job) ui.ManyScan {
	run := ui.ManyScan{JobRow: jobRow(ctx, j), All: j.Kind == app.JobScanAll}
	run.Bar = ui.JobView{Title: run.Title, Left: ui.JobState(ctx, j.Status)}
	var p app.ScanProgress
	if json.Unmarshal([]byte(j.Progress), &p) == nil && p.Total > 0 {
		run.Bar.Done, run.Bar.Total = p.Done, p.Total
		run.Bar.Left = i18n.T(ctx, "scanning.of", i18n.Number(ctx, p.Done), i18n.Number(ctx, p.Total))
		if failed := p.Error + p.Unscannable; failed > 0 {
			run.Bar.Right = i18n.N(ctx, "scanning.failed", failed)
		}
	}
	return run
}

// scanningLive is what changes of the page while images are scanned.
func (h *api) scanningLive(c echo.Context) (templ.Component, bool, error) {
	view, err := h.scanningLiveView(c)
	return ui.ScanningChanging(view), len(view.Runs) == 0, err
}

func (h *api) showScanning(c echo.Context, status int, view ui.ScanningView) error {
	return h.show(c, status, sectionScanning, i18n.T(c.Request().Context(), "scanning.title"), ui.Scanning(view))
}

func (h *api) scanningPage(c echo.Context) error {
	view, err := h.scanningView(c)
	if err != nil {
		return err
	}
	return h.showScanning(c, http.StatusOK, view)
}

// startScanAllPage takes a run that goes on already for what was wanted.
func (h *api) startScanAllPage(c echo.Context) error {
	if _, err := h.app.ScanAll(c.Request().Context(), caller(c)); err != nil && core.ErrorCode(err) != core.CodeConflict {
		return err
	}
	return redirect(c, scanningPage)
}

func (h *api) stopScanAllPage(c echo.Context) error {
	if err := h.app.StopScanAll(c.Request().Context(), caller(c)); err != nil {
		return err
	}
	return done(c, scanningPage, "jobs.toast.stopping")
}

func (h *api) scheduleScanAllPage(c echo.Context) error {
	ctx := c.Request().Context()
	view, err := h.scanningView(c)
	if err != nil {
		return err
	}
	view.ScheduleForm = typedSchedule(c.Request().PostForm)
	_, err = h.app.SetScanAllSchedule(ctx, caller(c), core.ActUpdate, core.ScheduleType(view.Type), view.CronOfType())
	if core.ErrorCode(err) == core.CodeBadRequest {
		wrongCron(ctx, &view.Form)
		return h.showScanning(c, http.StatusUnprocessableEntity, view)
	}
	if err != nil {
		return err
	}
	return done(c, scanningPage, "gc.toast.schedule")
}

func (h *api) saveSystemAllowlistPage(c echo.Context) error {
	ctx := c.Request().Context()
	view, err := h.scanningView(c)
	if err != nil {
		return err
	}
	list, form := typedAllowlist(ctx, c.Request().PostForm)
	if form.Form.Failed() {
		view.Allowlist = form
		return h.showScanning(c, http.StatusUnprocessableEntity, view)
	}
	err = h.app.SetSystemCVEAllowlist(ctx, caller(c), list)
	if core.ErrorCode(err) == core.CodeConflict {
		form.Form.Problem, form.Was = sentence(core.ErrorMessage(err)), view.Allowlist.Was
		view.Now, view.Allowlist = view.Allowlist.Items, form
		return h.showScanning(c, http.StatusConflict, view)
	}
	if err != nil {
		return err
	}
	return done(c, scanningPage, "scanning.toast.allowlist")
}

// scanResult is what came out of a job that scans.
func scanResult(ctx context.Context, j core.Job) (result, note string) {
	var p app.ScanProgress
	if json.Unmarshal([]byte(j.Progress), &p) != nil || p.Total == 0 {
		return "", ""
	}
	result = i18n.N(ctx, "scanning.result", p.Done)
	if failed := p.Error + p.Unscannable; failed > 0 {
		result += ", " + i18n.N(ctx, "scanning.failed", failed)
	}
	return result, ""
}
