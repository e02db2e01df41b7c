package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

func (h *api) jobPages() []page {
	return []page{
		{method: http.MethodGet, path: "/admin/jobs", handle: h.jobsPage},
		{method: http.MethodGet, path: "/admin/jobs/:job_id", handle: h.jobPage},
		{method: http.MethodGet, path: "/admin/jobs/:job_id/live", handle: livePage(h.jobLive)},
		{method: http.MethodGet, path: "/admin/jobs/:job_id/events", handle: h.events(h.jobLive)},
		{method: http.MethodPost, path: "/admin/jobs/:job_id/stop", handle: h.stopJobPage},
	}
}

// jobStates are the states that the list of jobs can be filtered by.
var jobStates = []core.JobStatus{core.JobPending, core.JobRunning, core.JobSuccess, core.JobError, core.JobStopped}

func (h *api) jobsPage(c echo.Context) error {
	ctx := c.Request().Context()
	view := ui.JobsView{Status: c.QueryParam("status"), Statuses: []ui.Option{{Label: i18n.T(ctx, "jobs.any")}}}
	var filters []core.Filter
	known := false
	for _, state := range jobStates {
		view.Statuses = append(view.Statuses, ui.Option{Value: string(state), Label: ui.JobState(ctx, state)})
		known = known || string(state) == view.Status
	}
	if known {
		filters = []core.Filter{{Field: "status", Values: []string{view.Status}}}
	} else {
		view.Status = ""
	}
	w := window(c)
	jobs, ends, err := h.app.Jobs(ctx, caller(c), filters, w)
	if err != nil {
		return err
	}
	values := url.Values{"status": {view.Status}}
	if lost(w, jobs) {
		return redirect(c, withQuery("/admin/jobs", values))
	}
	view.Jobs = mapAll(jobs, func(j core.Job) ui.JobRow { return jobRow(ctx, j) })
	view.Pager = windowPager(c, "/admin/jobs", values, ends, len(jobs))
	return h.show(c, http.StatusOK, sectionJobs, i18n.T(ctx, "jobs.title"), ui.Jobs(view))
}

// jobTitle is what a job does, in the reader's language.
func jobTitle(ctx context.Context, kind string) string {
	key := "jobs.kind." + strings.ReplaceAll(strings.ToLower(kind), "_", "-")
	if i18n.Has(key) {
		return i18n.T(ctx, key)
	}
	return kind
}

// jobResults tell what came out of jobs, and what they were asked for, by kind.
var jobResults = map[string]func(context.Context, core.Job) (result, note string){
	app.JobGC:    gcResult,
	app.JobFeeds: feedResult,

	app.JobScan:        scanResult,
	app.JobScanPull:    scanResult,
	app.JobScanProject: scanResult,
	app.JobScanAll:     scanResult,
	app.JobRematch:     scanResult,
}

func jobRow(ctx context.Context, j core.Job) ui.JobRow {
	row := ui.JobRow{ID: j.ID, Title: jobTitle(ctx, j.Kind), Status: j.Status, Stopping: j.Stopping, Message: j.Message,
		Trigger: i18n.T(ctx, "jobs.trigger."+string(j.Trigger)), By: j.CreatedBy, Created: j.CreatedAt, Started: j.StartedAt, Ended: j.EndedAt}
	switch {
	case !j.EndedAt.IsZero() && !j.StartedAt.IsZero():
		row.Took = i18n.Span(j.EndedAt.Sub(j.StartedAt))
	case j.Status == core.JobRunning:
		row.Took = i18n.Span(time.Since(j.StartedAt).Truncate(time.Second))
	}
	if tell, ok := jobResults[j.Kind]; ok {
		row.Result, row.Note = tell(ctx, j)
	}
	return row
}

// jobProgress is what most kinds of jobs tell while they run.
type jobProgress struct {
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
	Phase string `json:"phase"`
}

// progressOf reads what a job has told, as far as it has told anything; the
// phase is in the reader's language.
func progressOf(ctx context.Context, job core.Job) (progress jobProgress) {
	if json.Unmarshal([]byte(job.Progress), &progress) != nil {
		return jobProgress{}
	}
	progress.Phase = phaseName(ctx, progress.Phase)
	return progress
}

// jobView is one job with what it has written so far.
func (h *api) jobView(c echo.Context) (ui.JobPageView, error) {
	id, err := pathID(c, "job_id")
	if err != nil {
		return ui.JobPageView{}, err
	}
	ctx := c.Request().Context()
	job, err := h.app.AnyJob(ctx, caller(c), id)
	if err != nil {
		return ui.JobPageView{}, err
	}
	view := ui.JobPageView{JobRow: jobRow(ctx, job)}
	progress := progressOf(ctx, job)
	view.Done, view.Total, view.Phase = progress.Done, progress.Total, progress.Phase
	view.Log, err = h.app.AnyJobLog(ctx, caller(c), id)
	return view, err
}

func phaseName(ctx context.Context, phase string) string {
	if key := "jobs.phase." + phase; i18n.Has(key) {
		return i18n.T(ctx, key)
	}
	return phase
}

func (h *api) jobPage(c echo.Context) error {
	view, err := h.jobView(c)
	if err != nil {
		return err
	}
	return h.show(c, http.StatusOK, sectionJobs, view.Title, ui.JobPage(view))
}

// jobLive is the part of the page that changes while the job runs.
func (h *api) jobLive(c echo.Context) (templ.Component, bool, error) {
	view, err := h.jobView(c)
	return ui.JobLive(view), view.Status.Ended(), err
}

func (h *api) stopJobPage(c echo.Context) error {
	id, err := pathID(c, "job_id")
	if err != nil {
		return err
	}
	if err := h.app.StopAnyJob(c.Request().Context(), caller(c), id); err != nil {
		return err
	}
	return done(c, "/admin/jobs/"+strconv.FormatInt(id, 10), "jobs.toast.stopping")
}
