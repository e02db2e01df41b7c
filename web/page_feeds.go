package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

const (
	feedsPage      = "/admin/feeds"
	feedImportPage = feedsPage + "/import"
)

func (h *api) feedPages() []page {
	return []page{
		{method: http.MethodGet, path: feedsPage, handle: h.feedsPage},
		{method: http.MethodGet, path: feedsPage + "/live", handle: livePage(h.feedsLive)},
		{method: http.MethodGet, path: feedsPage + "/events", handle: h.events(h.feedsLive)},
		{method: http.MethodPost, path: feedsPage + "/update", handle: h.updateFeedsPage},
		{method: http.MethodPost, path: feedImportPage, handle: h.importFeedsPage},
		{method: http.MethodPost, path: feedsPage + "/schedule", handle: h.scheduleFeedsPage},
		{method: http.MethodPost, path: feedsPage + "/runs/:run_id/stop", handle: h.stopFeedsPage},
		{method: http.MethodGet, path: feedsPage + "/:feed_name", handle: h.feedPage},
		{method: http.MethodPost, path: feedsPage + "/:feed_name", handle: h.saveFeedPage},
		{method: http.MethodPost, path: feedsPage + "/:feed_name/on", handle: h.switchFeedOnPage},
	}
}

// feedsView is the page of the feeds as it is now.
func (h *api) feedsView(c echo.Context) (view ui.FeedsView, err error) {
	ctx := c.Request().Context()
	schedule, err := h.app.FeedSchedule(ctx, caller(c))
	if err != nil {
		return view, err
	}
	all, err := h.app.Feeds(ctx, caller(c))
	if err != nil {
		return view, err
	}
	view = ui.FeedsView{ScheduleForm: scheduleForm(schedule), Update: ui.NewForm(), Import: ui.NewForm(), Uploads: h.deps.Uploads != nil, Export: exportCommand(all)}
	view.Live, err = h.feedsLiveView(c, all)
	return view, err
}

// exportCommand is the command that exports what this registry reads.
func exportCommand(all []core.Feed) string {
	command, usual := "breakwater feeds export", true
	for _, f := range all {
		if f.Enabled {
			command += " --feed " + f.Name
		}
		usual = usual && f.Enabled == f.Default
	}
	if usual {
		command = "breakwater feeds export"
	}
	return command + " feeds.bundle"
}

const (
	// feedRuns is how many runs a page of the history shows.
	feedRuns = 5
	// feedsOpen is how many runs are looked through for those that go on; no
	// more can wait at a time than there are different things to ask for.
	feedsOpen = 20
)

func (h *api) feedsLiveView(c echo.Context, all []core.Feed) (view ui.FeedsLive, err error) {
	ctx := c.Request().Context()
	latest, _, err := h.app.FeedRuns(ctx, caller(c), core.Query{Page: 1, PageSize: feedsOpen})
	if err != nil {
		return view, err
	}
	q := listPage(c)
	q.PageSize = feedRuns
	runs, total, err := h.app.FeedRuns(ctx, caller(c), q)
	if err != nil {
		return view, err
	}
	now := time.Now()
	view = ui.FeedsLive{Offline: h.deps.Offline, Feeds: mapAll(all, func(f core.Feed) ui.FeedRow { return feedRow(f, now) }),
		Runs:  mapAll(runs, func(j core.Job) ui.JobRow { return jobRow(ctx, j) }),
		Pager: pager(feedsPage, url.Values{}, q, len(runs), total)}
	for _, run := range latest {
		if !run.Status.Ended() {
			view.Open = append(view.Open, feedRun(ctx, run))
		}
	}
	if len(latest) > 0 && latest[0].Status == core.JobError {
		failed := jobRow(ctx, latest[0])
		view.Failed = &failed
	}
	return view, nil
}

func feedRow(f core.Feed, now time.Time) ui.FeedRow {
	return ui.FeedRow{Name: f.Name, Title: f.Title, Enabled: f.Enabled, Stale: f.Stale(now), Enrichment: f.Enrichment, Mirrored: len(f.URLs) > 0,
		Imported: f.Origin == core.FeedImported, Records: f.Records, Read: f.SucceededAt, Changed: f.ChangedAt, Attempted: f.AttemptedAt, Error: f.Error}
}

// feedsLive is what changes of the page while runs go on.
func (h *api) feedsLive(c echo.Context) (templ.Component, bool, error) {
	all, err := h.app.Feeds(c.Request().Context(), caller(c))
	if err != nil {
		return nil, false, err
	}
	view, err := h.feedsLiveView(c, all)
	return ui.FeedsChanging(view), len(view.Open) == 0, err
}

func (h *api) showFeeds(c echo.Context, status int, view ui.FeedsView) error {
	return h.show(c, status, sectionFeeds, i18n.T(c.Request().Context(), "feeds.title"), ui.Feeds(view))
}

func (h *api) feedsPage(c echo.Context) error {
	view, err := h.feedsView(c)
	if err != nil {
		return err
	}
	return h.showFeeds(c, http.StatusOK, view)
}

// updateFeedsPage updates the feeds that the form names, or all that are on.
func (h *api) updateFeedsPage(c echo.Context) error {
	form := c.Request().PostForm
	job := app.FeedJob{Feeds: form["feed"], Force: form.Get("force") == "true"}
	if _, err := h.app.StartFeedUpdate(c.Request().Context(), caller(c), job); err != nil {
		return err
	}
	return redirect(c, feedsPage)
}

// importFeedsPage takes a bundle. What is wrong with the upload itself is told
// on the page; what is wrong with the file, by the job that reads it.
func (h *api) importFeedsPage(c echo.Context) error {
	_, err := h.takeBundle(c)
	code := core.ErrorCode(err)
	if code == core.CodeBadRequest || code == core.CodeNoSpace || code == core.CodeTooLarge {
		view, e := h.feedsView(c)
		if e != nil {
			return e
		}
		view.Import.Problem = sentence(core.ErrorMessage(err))
		return h.showFeeds(c, http.StatusUnprocessableEntity, view)
	}
	if err != nil {
		return err
	}
	return done(c, feedsPage, "feeds.toast.uploaded")
}

func (h *api) scheduleFeedsPage(c echo.Context) error {
	ctx := c.Request().Context()
	view, err := h.feedsView(c)
	if err != nil {
		return err
	}
	view.ScheduleForm = typedSchedule(c.Request().PostForm)
	_, err = h.app.SetFeedSchedule(ctx, caller(c), core.ScheduleType(view.Type), view.CronOfType())
	if core.ErrorCode(err) == core.CodeBadRequest {
		wrongCron(ctx, &view.Form)
		return h.showFeeds(c, http.StatusUnprocessableEntity, view)
	}
	if err != nil {
		return err
	}
	return done(c, feedsPage, "gc.toast.schedule")
}

func (h *api) stopFeedsPage(c echo.Context) error {
	id, err := pathID(c, "run_id")
	if err != nil {
		return err
	}
	if err := h.app.StopFeedRun(c.Request().Context(), caller(c), id); err != nil {
		return err
	}
	return done(c, feedsPage, "jobs.toast.stopping")
}

// feedProgress is what the jobs of the feeds tell while they run.
type feedProgress struct {
	Feed      string `json:"feed"`
	Part      string `json:"part"`
	Step      string `json:"step"`
	Done      int64  `json:"done"`
	Total     int64  `json:"total"`
	Bytes     int64  `json:"bytes"`
	Size      int64  `json:"size"`
	Imported  int64  `json:"imported"`
	Failed    int64  `json:"failed"`
	Feeds     int64  `json:"feeds"`
	FeedsDone int64  `json:"feeds_done"`
}

// feedSteps is how fine the bar of a feed among others is.
const feedSteps = 100

func feedRun(ctx context.Context, j core.Job) ui.FeedRun {
	run := ui.FeedRun{JobRow: jobRow(ctx, j)}
	run.Bar.Title = run.Note
	var p feedProgress
	if json.Unmarshal([]byte(j.Progress), &p) != nil || p.Step == "" {
		run.Bar.Left = ui.JobState(ctx, j.Status)
		return run
	}
	run.Bar.Left = feedStep(ctx, p)
	switch {
	case p.Size > 0:
		run.Bar.Done, run.Bar.Total = p.Bytes, p.Size
		run.Bar.Right = i18n.T(ctx, "feeds.of", i18n.Bytes(ctx, p.Bytes), i18n.Bytes(ctx, p.Size))
	case p.Feeds > 0:
		run.Bar.Done, run.Bar.Total = p.FeedsDone*feedSteps, p.Feeds*feedSteps
		if p.Total > 0 && p.FeedsDone < p.Feeds {
			run.Bar.Done += p.Done * feedSteps / p.Total
		}
		run.Bar.Right = i18n.T(ctx, "feeds.sources-done", i18n.Number(ctx, p.FeedsDone), i18n.Number(ctx, p.Feeds))
	}
	return run
}

// feedStep tells what a run does right now.
func feedStep(ctx context.Context, p feedProgress) string {
	text := p.Step
	if key := "feeds.step." + strings.ReplaceAll(p.Step, " ", "-"); i18n.Has(key) {
		text = i18n.T(ctx, key)
	}
	if p.Part != "" {
		text = p.Part + ": " + text
	}
	if p.Bytes > 0 && p.Size == 0 {
		text += ", " + i18n.Bytes(ctx, p.Bytes)
	}
	return text
}

// feedResult is what a run has brought, and what it was asked for.
func feedResult(ctx context.Context, j core.Job) (result, note string) {
	var job app.FeedJob
	var p feedProgress
	if json.Unmarshal([]byte(j.Parameters), &job) != nil || json.Unmarshal([]byte(j.Progress), &p) != nil {
		return "", ""
	}
	switch {
	case job.Import != "":
		note = i18n.T(ctx, "feeds.run.import", job.Title)
	case len(job.Feeds) > 0:
		note = i18n.T(ctx, "feeds.run.some", strings.Join(feedTitles(job.Feeds), ", "))
	default:
		note = i18n.T(ctx, "feeds.run.all")
	}
	if j.Status == core.JobSuccess || p.Imported > 0 {
		result = i18n.N(ctx, "feeds.records-read", p.Imported)
		if p.Failed > 0 {
			result += ", " + i18n.N(ctx, "feeds.parts-failed", p.Failed)
		}
	}
	return result, note
}

// feedTitles are the titles of the feeds with these names.
func feedTitles(names []string) (titles []string) {
	for _, set := range core.FeedSets() {
		if slices.Contains(names, set.Name) {
			titles = append(titles, set.Title)
		}
	}
	return titles
}
