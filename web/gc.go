package web

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

// gcPath is where the garbage collection is, for system administrators.
const gcPath = "/system/gc"

func (h *api) gcRoutes() []route {
	return []route{
		{http.MethodGet, gcPath, h.listGC},
		{http.MethodGet, gcPath + "/schedule", h.getGCSchedule},
		{http.MethodPost, gcPath + "/schedule", h.createGCSchedule},
		{http.MethodPut, gcPath + "/schedule", h.updateGCSchedule},
		{http.MethodGet, gcPath + "/:gc_id", h.getGC},
		{http.MethodPut, gcPath + "/:gc_id", h.stopGC},
		{http.MethodGet, gcPath + "/:gc_id/log", h.getGCLog},
	}
}

// gcJSON is Harbor's GCHistory, of a run and of the schedule.
type gcJSON struct {
	ID            int64        `json:"id"`
	JobName       string       `json:"job_name"`
	JobKind       string       `json:"job_kind"`
	JobParameters string       `json:"job_parameters"` // a JSON object, as text
	Schedule      scheduleJSON `json:"schedule"`
	JobStatus     string       `json:"job_status,omitempty"`
	Message       string       `json:"message,omitempty"`
	Deleted       bool         `json:"deleted"`
	CreationTime  time.Time    `json:"creation_time,omitzero"`
	UpdateTime    time.Time    `json:"update_time,omitzero"`
}

// scheduleJSON is Harbor's ScheduleObj.
type scheduleJSON struct {
	Type              string    `json:"type"`
	Cron              string    `json:"cron,omitempty"`
	NextScheduledTime time.Time `json:"next_scheduled_time,omitzero"`
}

func newGCJSON(j core.Job) gcJSON {
	trigger := strings.ToUpper(string(j.Trigger))
	return gcJSON{ID: j.ID, JobName: j.Kind, JobKind: trigger, JobParameters: withProgress(j), Schedule: scheduleJSON{Type: trigger},
		JobStatus: string(j.Status), Message: j.Message, CreationTime: j.CreatedAt, UpdateTime: j.UpdatedAt}
}

// withProgress adds what was freed to the parameters, where Harbor has it.
func withProgress(j core.Job) string {
	all, progress := map[string]any{}, map[string]any{}
	if json.Unmarshal([]byte(j.Parameters), &all) != nil || json.Unmarshal([]byte(j.Progress), &progress) != nil {
		return j.Parameters
	}
	maps.Copy(all, progress)
	text, err := json.Marshal(all)
	if err != nil {
		return j.Parameters
	}
	return string(text)
}

func (h *api) listGC(c echo.Context) error {
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	runs, total, err := h.app.GCRuns(c.Request().Context(), caller(c), q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(runs, newGCJSON))
}

func (h *api) getGC(c echo.Context) error {
	id, err := pathID(c, "gc_id")
	if err != nil {
		return err
	}
	run, err := h.app.GCRun(c.Request().Context(), caller(c), id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newGCJSON(run))
}

func (h *api) getGCLog(c echo.Context) error {
	id, err := pathID(c, "gc_id")
	if err != nil {
		return err
	}
	text, err := h.app.GCLog(c.Request().Context(), caller(c), id)
	if err != nil {
		return err
	}
	return c.String(http.StatusOK, text)
}

// stopGC answers 200 also where the run has ended, as Harbor does.
func (h *api) stopGC(c echo.Context) error {
	id, err := pathID(c, "gc_id")
	if err != nil {
		return err
	}
	if err := h.app.StopGC(c.Request().Context(), caller(c), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

// getGCSchedule answers with the type None where there is no schedule.
func (h *api) getGCSchedule(c echo.Context) error {
	s, err := h.app.GCSchedule(c.Request().Context(), caller(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, gcJSON{ID: s.ID, JobName: s.Kind, JobKind: "SCHEDULE", JobParameters: s.Parameters,
		Schedule:     scheduleJSON{Type: string(s.Type), Cron: s.Cron, NextScheduledTime: s.NextAt},
		CreationTime: s.CreatedAt, UpdateTime: s.UpdatedAt})
}

// createGCSchedule is Harbor's: the type Manual starts a run now, and Location
// names it; the others set the schedule.
func (h *api) createGCSchedule(c echo.Context) error {
	id, err := h.scheduleGC(c)
	if err != nil {
		return err
	}
	return created(c, apiPrefix+gcPath+"/"+strconv.FormatInt(id, 10))
}

func (h *api) updateGCSchedule(c echo.Context) error {
	if _, err := h.scheduleGC(c); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

// maxWorkers is Harbor's bound of the parameter workers, which changes nothing
// here: the collection is never a burden for which one would want less of it.
const maxWorkers = 10

func (h *api) scheduleGC(c echo.Context) (id int64, err error) {
	var body struct {
		Schedule   *scheduleJSON `json:"schedule"`
		Parameters struct {
			app.GCOptions
			Workers *int `json:"workers"`
		} `json:"parameters"`
	}
	if err := bind(c, &body); err != nil {
		return 0, err
	}
	if body.Schedule == nil {
		return 0, core.Errorf(core.CodeBadRequest, `the body needs {"schedule":{"type":"Manual"}} to collect now, or a schedule with Hourly, Daily, Weekly, Custom (with cron) or None`)
	}
	if w := body.Parameters.Workers; w != nil && (*w < 1 || *w > maxWorkers) {
		return 0, core.Errorf(core.CodeBadRequest, "workers must be a number from 1 to %d", maxWorkers)
	}
	options := body.Parameters.GCOptions
	if body.Schedule.Type == "Manual" {
		return h.app.StartGC(c.Request().Context(), caller(c), options)
	}
	return h.app.SetGCSchedule(c.Request().Context(), caller(c), core.ScheduleType(body.Schedule.Type), body.Schedule.Cron, options)
}
