package web

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

// feedsPath is where the CVE feeds are, for system administrators. Harbor has
// no counterpart.
const (
	feedsPath      = "/system/feeds"
	feedImportPath = feedsPath + "/import"
)

func (h *api) feedRoutes() []route {
	return []route{
		{http.MethodGet, feedsPath, h.listFeeds},
		{http.MethodGet, feedsPath + "/schedule", h.getFeedSchedule},
		{http.MethodPut, feedsPath + "/schedule", h.setFeedSchedule},
		{http.MethodPost, feedsPath + "/update", h.updateFeeds},
		{http.MethodPost, feedImportPath, h.importFeeds},
		{http.MethodGet, feedsPath + "/runs", h.listFeedRuns},
		{http.MethodGet, feedsPath + "/runs/:run_id", h.getFeedRun},
		{http.MethodPut, feedsPath + "/runs/:run_id", h.stopFeedRun},
		{http.MethodGet, feedsPath + "/runs/:run_id/log", h.getFeedLog},
		{http.MethodGet, feedsPath + "/:feed_name", h.getFeed},
		{http.MethodPut, feedsPath + "/:feed_name", h.changeFeed},
	}
}

// Uploads keeps what is uploaded to be worked on later.
type Uploads interface {
	// Keep stores what r has, durably, and returns the name it has there.
	Keep(r io.Reader) (name string, err error)
	// Discard removes it again.
	Discard(name string) error
}

// feedJSON is one feed. Times that never were are left out.
type feedJSON struct {
	Name        string           `json:"name"`
	Title       string           `json:"title"`
	Enrichment  bool             `json:"enrichment"` // it adds to findings and makes none
	Enabled     bool             `json:"enabled"`
	Sources     []feedSourceJSON `json:"sources"`
	LastAttempt time.Time        `json:"last_attempt,omitzero"`
	LastSuccess time.Time        `json:"last_success,omitzero"`
	LastChange  time.Time        `json:"last_change,omitzero"`
	AgeSeconds  int64            `json:"age_seconds,omitempty"` // since last_success
	Stale       bool             `json:"stale"`
	Records     int64            `json:"records"`
	Origin      string           `json:"origin,omitempty"` // fetched or imported
	Error       string           `json:"last_error,omitempty"`
	Parts       []feedPartJSON   `json:"parts,omitempty"`
}

type feedSourceJSON struct {
	Name    string `json:"name"`
	URL     string `json:"url"`
	Default string `json:"default_url"`
}

type feedPartJSON struct {
	Name        string    `json:"name"`
	Records     int64     `json:"records"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	LastChange  time.Time `json:"last_change,omitzero"`
	Gone        bool      `json:"gone"` // the source does not offer it any more
	Error       string    `json:"last_error,omitempty"`
}

func newFeedJSON(f core.Feed, now time.Time) feedJSON {
	j := feedJSON{Name: f.Name, Title: f.Title, Enrichment: f.Enrichment, Enabled: f.Enabled, LastAttempt: f.AttemptedAt,
		LastSuccess: f.SucceededAt, LastChange: f.ChangedAt, Stale: f.Stale(now), Records: f.Records, Origin: string(f.Origin), Error: f.Error}
	if !f.SucceededAt.IsZero() {
		j.AgeSeconds = int64(now.Sub(f.SucceededAt).Seconds())
	}
	for _, s := range f.Sources {
		j.Sources = append(j.Sources, feedSourceJSON{s.Name, f.URL(s), s.URL})
	}
	return j
}

func (h *api) listFeeds(c echo.Context) error {
	all, err := h.app.Feeds(c.Request().Context(), caller(c))
	if err != nil {
		return err
	}
	now := time.Now()
	return c.JSON(http.StatusOK, mapAll(all, func(f core.Feed) feedJSON { return newFeedJSON(f, now) }))
}

func (h *api) getFeed(c echo.Context) error {
	f, parts, err := h.app.Feed(c.Request().Context(), caller(c), c.Param("feed_name"))
	if err != nil {
		return err
	}
	answer := newFeedJSON(f, time.Now())
	answer.Parts = mapAll(parts, func(p core.FeedPart) feedPartJSON {
		return feedPartJSON{Name: p.Name, Records: p.Records, LastSuccess: p.SucceededAt, LastChange: p.ChangedAt,
			Gone: partIsGone(f, p), Error: p.Error}
	})
	return c.JSON(http.StatusOK, answer)
}

// changeFeed takes {"enabled": bool, "urls": {SOURCE: URL}}; what is left out
// stays, and an empty address is upstream's.
func (h *api) changeFeed(c echo.Context) error {
	var body struct {
		Enabled *bool             `json:"enabled"`
		URLs    map[string]string `json:"urls"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	change := app.FeedChange{Enabled: body.Enabled, URLs: body.URLs}
	if err := h.app.ChangeFeed(c.Request().Context(), caller(c), c.Param("feed_name"), change); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

// feedRunJSON is an update or an import.
type feedRunJSON struct {
	ID         int64           `json:"id"`
	Parameters json.RawMessage `json:"parameters"`
	Status     string          `json:"status"`
	Trigger    string          `json:"trigger"`
	CreatedBy  string          `json:"created_by"`
	Progress   json.RawMessage `json:"progress"`
	Message    string          `json:"message,omitempty"`
	Created    time.Time       `json:"creation_time"`
	Started    time.Time       `json:"start_time,omitzero"`
	Ended      time.Time       `json:"end_time,omitzero"`
	Updated    time.Time       `json:"update_time"`
}

func newFeedRunJSON(j core.Job) feedRunJSON {
	return feedRunJSON{ID: j.ID, Parameters: json.RawMessage(j.Parameters), Status: string(j.Status), Trigger: string(j.Trigger),
		CreatedBy: j.CreatedBy, Progress: json.RawMessage(j.Progress), Message: j.Message,
		Created: j.CreatedAt, Started: j.StartedAt, Ended: j.EndedAt, Updated: j.UpdatedAt}
}

func feedRunPath(id int64) string {
	return apiPrefix + feedsPath + "/runs/" + strconv.FormatInt(id, 10)
}

// updateFeeds takes {"feeds": [NAME], "force": bool}, both optional.
func (h *api) updateFeeds(c echo.Context) error {
	var body struct {
		Feeds []string `json:"feeds"`
		Force bool     `json:"force"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	id, err := h.app.StartFeedUpdate(c.Request().Context(), caller(c), app.FeedJob{Feeds: body.Feeds, Force: body.Force})
	if err != nil {
		return err
	}
	return created(c, feedRunPath(id))
}

// importFeeds takes a bundle as the whole body, or as the file of a form.
func (h *api) importFeeds(c echo.Context) error {
	id, err := h.takeBundle(c)
	if err != nil {
		return err
	}
	return created(c, feedRunPath(id))
}

// takeBundle stores the bundle that the request brings as it comes, and has it
// imported.
func (h *api) takeBundle(c echo.Context) (id int64, err error) {
	ctx := c.Request().Context()
	if err := h.app.Authorize(ctx, caller(c), core.ResFeed, core.ActCreate); err != nil {
		return 0, err
	}
	if h.deps.Uploads == nil {
		return 0, core.Errorf(core.CodeUnavailable, "this registry takes no uploads of feeds")
	}
	content, title, err := uploaded(c.Request())
	if err != nil {
		return 0, err
	}
	name, err := h.deps.Uploads.Keep(content)
	if err != nil {
		return 0, bodyError(err)
	}
	if id, err = h.app.StartFeedImport(ctx, caller(c), name, title); err != nil {
		_ = h.deps.Uploads.Discard(name) // else the housekeeping does it
	}
	return id, err
}

// uploaded returns the file that the request brings, and its name.
func uploaded(r *http.Request) (content io.Reader, title string, err error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "multipart/form-data" {
		return r.Body, "an upload", nil
	}
	form, err := r.MultipartReader()
	if err != nil {
		return nil, "", core.Errorf(core.CodeBadRequest, "the form cannot be read; send the file itself as the body")
	}
	for {
		part, err := form.NextPart()
		if err != nil {
			return nil, "", core.Errorf(core.CodeBadRequest, "the form has no file; choose one")
		}
		if part.FileName() != "" {
			return part, part.FileName(), nil
		}
	}
}

func (h *api) listFeedRuns(c echo.Context) error {
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	runs, total, err := h.app.FeedRuns(c.Request().Context(), caller(c), q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(runs, newFeedRunJSON))
}

func (h *api) getFeedRun(c echo.Context) error {
	id, err := pathID(c, "run_id")
	if err != nil {
		return err
	}
	run, err := h.app.FeedRun(c.Request().Context(), caller(c), id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newFeedRunJSON(run))
}

// stopFeedRun answers 200 also where the run has ended, as Harbor does for its
// jobs.
func (h *api) stopFeedRun(c echo.Context) error {
	id, err := pathID(c, "run_id")
	if err != nil {
		return err
	}
	if err := h.app.StopFeedRun(c.Request().Context(), caller(c), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

func (h *api) getFeedLog(c echo.Context) error {
	id, err := pathID(c, "run_id")
	if err != nil {
		return err
	}
	text, err := h.app.FeedLog(c.Request().Context(), caller(c), id)
	if err != nil {
		return err
	}
	return c.String(http.StatusOK, text)
}

func (h *api) getFeedSchedule(c echo.Context) error {
	s, err := h.app.FeedSchedule(c.Request().Context(), caller(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]scheduleJSON{"schedule": {Type: string(s.Type), Cron: s.Cron, NextScheduledTime: s.NextAt}})
}

// setFeedSchedule takes Harbor's {"schedule": {"type", "cron"}}.
func (h *api) setFeedSchedule(c echo.Context) error {
	var body struct {
		Schedule *scheduleJSON `json:"schedule"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	if body.Schedule == nil {
		return core.Errorf(core.CodeBadRequest, `the body needs {"schedule":{"type":"Daily"}}, or Hourly, Weekly, Custom (with cron) or None`)
	}
	_, err := h.app.SetFeedSchedule(c.Request().Context(), caller(c), core.ScheduleType(body.Schedule.Type), body.Schedule.Cron)
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}
