package web

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

func (h *api) gcPages() []page {
	return []page{
		{method: http.MethodGet, path: "/admin/gc", handle: h.gcPage},
		{method: http.MethodPost, path: "/admin/gc", handle: h.startGCPage},
		{method: http.MethodPost, path: "/admin/gc/schedule", handle: h.scheduleGCPage},
	}
}

// gcView is the page of the garbage collection as it is now.
func (h *api) gcView(c echo.Context) (view ui.GCView, err error) {
	ctx := c.Request().Context()
	schedule, err := h.app.GCSchedule(ctx, caller(c))
	if err != nil {
		return view, err
	}
	q := listPage(c)
	runs, total, err := h.app.GCRuns(ctx, caller(c), q)
	if err != nil {
		return view, err
	}
	var options app.GCOptions
	if err := json.Unmarshal([]byte(schedule.Parameters), &options); err != nil {
		return view, err
	}
	return ui.GCView{ScheduleForm: scheduleForm(schedule), Start: ui.NewForm(), Untagged: options.DeleteUntagged,
		Runs:  mapAll(runs, func(j core.Job) ui.JobRow { return jobRow(ctx, j) }),
		Pager: pager("/admin/gc", map[string][]string{}, q, len(runs), total)}, nil
}

func (h *api) showGC(c echo.Context, status int, view ui.GCView) error {
	return h.show(c, status, sectionGC, i18n.T(c.Request().Context(), "gc.title"), ui.GC(view))
}

func (h *api) gcPage(c echo.Context) error {
	view, err := h.gcView(c)
	if err != nil {
		return err
	}
	return h.showGC(c, http.StatusOK, view)
}

func (h *api) startGCPage(c echo.Context) error {
	form := c.Request().PostForm
	options := app.GCOptions{DryRun: form.Get("run") == "dry", DeleteUntagged: form.Get("untagged-now") == "true"}
	id, err := h.app.StartGC(c.Request().Context(), caller(c), options)
	if err != nil {
		return err
	}
	return redirect(c, ui.JobPath(id))
}

func (h *api) scheduleGCPage(c echo.Context) error {
	ctx := c.Request().Context()
	form := c.Request().PostForm
	view, err := h.gcView(c)
	if err != nil {
		return err
	}
	view.ScheduleForm, view.Untagged = typedSchedule(form), form.Get("untagged") == "true"
	_, err = h.app.SetGCSchedule(ctx, caller(c), core.ScheduleType(view.Type), view.CronOfType(), app.GCOptions{DeleteUntagged: view.Untagged})
	if core.ErrorCode(err) == core.CodeBadRequest {
		wrongCron(ctx, &view.Form)
		return h.showGC(c, http.StatusUnprocessableEntity, view)
	}
	if err != nil {
		return err
	}
	return done(c, "/admin/gc", "gc.toast.schedule")
}

// gcResult is what a collection has freed, and whether it was a dry run.
func gcResult(ctx context.Context, j core.Job) (result, note string) {
	var options app.GCOptions
	var freed struct {
		Bytes     *int64 `json:"freed_space"`
		Blobs     int64  `json:"purged_blobs"`
		Manifests int64  `json:"purged_manifests"`
	}
	if json.Unmarshal([]byte(j.Parameters), &options) != nil || json.Unmarshal([]byte(j.Progress), &freed) != nil {
		return "", ""
	}
	if options.DryRun {
		note = i18n.T(ctx, "gc.dry")
	}
	if freed.Bytes == nil {
		return "", note
	}
	return i18n.T(ctx, "gc.freed", i18n.Bytes(ctx, *freed.Bytes), i18n.Number(ctx, freed.Blobs), i18n.Number(ctx, freed.Manifests)), note
}
