package web

import (
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const scanAllPath = "/system/scanAll"

func (h *api) scanAllRoutes() []route {
	return []route{
		{http.MethodGet, scanAllPath + "/schedule", h.getScanAllSchedule},
		{http.MethodPost, scanAllPath + "/schedule", h.createScanAllSchedule},
		{http.MethodPut, scanAllPath + "/schedule", h.updateScanAllSchedule},
		{http.MethodPost, scanAllPath + "/stop", h.stopScanAll},
		{http.MethodGet, "/scans/all/metrics", h.scanAllMetrics},
		{http.MethodGet, "/scans/schedule/metrics", h.scanAllMetrics},
	}
}

// scanAllMetricsJSON is Harbor's Stats.
type scanAllMetricsJSON struct {
	Total     int64            `json:"total"`
	Completed int64            `json:"completed"`
	Metrics   map[string]int64 `json:"metrics"`
	Ongoing   bool             `json:"ongoing"`
	Trigger   string           `json:"trigger"`
}

func (h *api) scanAllMetrics(c echo.Context) error {
	scheduled := c.Path() == apiPrefix+"/scans/schedule/metrics"
	job, progress, err := h.app.ScanAllMetrics(c.Request().Context(), caller(c), scheduled)
	if err != nil {
		return err
	}
	body := scanAllMetricsJSON{Total: progress.Total, Completed: progress.Done, Metrics: map[string]int64{}, Trigger: string(job.Trigger)}
	body.Ongoing = job.ID != 0 && !job.Status.Ended()
	for status, n := range map[core.JobStatus]int64{core.JobSuccess: progress.Success, core.JobError: progress.Error + progress.Unscannable} {
		if n > 0 {
			body.Metrics[string(status)] = n
		}
	}
	if left := progress.Total - progress.Done; left > 0 && body.Ongoing {
		body.Metrics[string(core.JobPending)] = left
	}
	return c.JSON(http.StatusOK, body)
}

func (h *api) stopScanAll(c echo.Context) error {
	if err := h.app.StopScanAll(c.Request().Context(), caller(c)); err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

// getScanAllSchedule answers with the type None where there is no schedule.
func (h *api) getScanAllSchedule(c echo.Context) error {
	s, err := h.app.ScanAllSchedule(c.Request().Context(), caller(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, gcJSON{ID: s.ID, JobName: s.Kind, JobKind: "SCHEDULE", JobParameters: s.Parameters,
		Schedule:     scheduleJSON{Type: string(s.Type), Cron: s.Cron, NextScheduledTime: s.NextAt},
		CreationTime: s.CreatedAt, UpdateTime: s.UpdatedAt})
}

// createScanAllSchedule is Harbor's: the type Manual starts a scan now.
func (h *api) createScanAllSchedule(c echo.Context) error {
	id, err := h.scheduleScanAll(c, core.ActCreate)
	if err != nil {
		return err
	}
	return created(c, apiPrefix+scanAllPath+"/schedule/"+strconv.FormatInt(id, 10))
}

func (h *api) updateScanAllSchedule(c echo.Context) error {
	if _, err := h.scheduleScanAll(c, core.ActUpdate); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

func (h *api) scheduleScanAll(c echo.Context, action core.Action) (id int64, err error) {
	var body struct {
		Schedule *scheduleJSON `json:"schedule"`
	}
	if err := bind(c, &body); err != nil {
		return 0, err
	}
	if body.Schedule == nil {
		return 0, core.Errorf(core.CodeBadRequest, `the body needs {"schedule":{"type":"Manual"}} to scan now, or a schedule with Hourly, Daily, Weekly, Custom (with cron) or None`)
	}
	if body.Schedule.Type == "Manual" {
		return h.app.ScanAll(c.Request().Context(), caller(c))
	}
	return h.app.SetScanAllSchedule(c.Request().Context(), caller(c), action, core.ScheduleType(body.Schedule.Type), body.Schedule.Cron)
}
