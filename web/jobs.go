package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// jobsPath is where all background work is, for system administrators.
const jobsPath = "/system/jobs"

func (h *api) jobRoutes() []route {
	return []route{
		{http.MethodGet, jobsPath, h.listJobs},
		{http.MethodGet, jobsPath + "/:job_id", h.getJob},
		{http.MethodPut, jobsPath + "/:job_id", h.stopJob},
		{http.MethodGet, jobsPath + "/:job_id/log", h.getJobLog},
	}
}

// jobJSON is a piece of background work.
type jobJSON struct {
	ID           int64           `json:"id"`
	Kind         string          `json:"kind"`
	Target       int64           `json:"target"`
	Status       string          `json:"status"`
	Trigger      string          `json:"trigger"`
	CreatedBy    string          `json:"created_by"`
	Stopping     bool            `json:"stopping"`
	Parameters   json.RawMessage `json:"parameters"`
	Progress     json.RawMessage `json:"progress"`
	Message      string          `json:"message"`
	CreationTime time.Time       `json:"creation_time"`
	StartTime    time.Time       `json:"start_time,omitzero"`
	EndTime      time.Time       `json:"end_time,omitzero"`
}

func newJobJSON(j core.Job) jobJSON {
	return jobJSON{ID: j.ID, Kind: j.Kind, Target: j.Target, Status: string(j.Status), Trigger: string(j.Trigger), CreatedBy: j.CreatedBy,
		Stopping: j.Stopping, Parameters: json.RawMessage(j.Parameters), Progress: json.RawMessage(j.Progress), Message: j.Message,
		CreationTime: j.CreatedAt, StartTime: j.StartedAt, EndTime: j.EndedAt}
}

// listJobs begins after the job whose id the parameter after names; Link leads
// to the next page.
func (h *api) listJobs(c echo.Context) error {
	q, err := core.ParseQuery(c.QueryParam("q"), "", "", c.QueryParam("page_size"))
	if err != nil {
		return err
	}
	w := core.Window{Size: q.PageSize}
	if after := c.QueryParam("after"); after != "" {
		w.Cursor = core.CursorAfter + after
	}
	jobs, ends, err := h.app.Jobs(c.Request().Context(), caller(c), q.Filters, w)
	if err != nil {
		return err
	}
	if ends.Next != "" {
		next := url.Values{"q": {c.QueryParam("q")}, "page_size": {strconv.Itoa(q.PageSize)}, "after": {strconv.FormatInt(jobs[len(jobs)-1].ID, 10)}}
		c.Response().Header().Set("Link", "<"+withQuery(apiPrefix+jobsPath, next)+`>; rel="next"`)
	}
	return c.JSON(http.StatusOK, mapAll(jobs, newJobJSON))
}

func (h *api) getJob(c echo.Context) error {
	id, err := pathID(c, "job_id")
	if err != nil {
		return err
	}
	job, err := h.app.AnyJob(c.Request().Context(), caller(c), id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newJobJSON(job))
}

// stopJob answers 200 also where the job has ended.
func (h *api) stopJob(c echo.Context) error {
	id, err := pathID(c, "job_id")
	if err != nil {
		return err
	}
	if err := h.app.StopAnyJob(c.Request().Context(), caller(c), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

func (h *api) getJobLog(c echo.Context) error {
	id, err := pathID(c, "job_id")
	if err != nil {
		return err
	}
	text, err := h.app.AnyJobLog(c.Request().Context(), caller(c), id)
	if err != nil {
		return err
	}
	return c.String(http.StatusOK, text)
}
