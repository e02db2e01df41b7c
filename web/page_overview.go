package web

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/disk"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

func (h *api) overviewPages() []page {
	return []page{{method: http.MethodGet, path: "/", handle: h.overviewPage}}
}

// usualPeriod is how many days the charts show unless another is asked for.
const usualPeriod = 30

// periods are the numbers of days that the charts may show.
func periods() []int { return []int{7, usualPeriod, 90} }

func (h *api) overviewPage(c echo.Context) error {
	ctx := c.Request().Context()
	days := usualPeriod
	for _, n := range periods() {
		if c.QueryParam("days") == strconv.Itoa(n) {
			days = n
		}
	}
	activity, err := h.app.Activity(ctx, caller(c), days)
	if err != nil {
		return err
	}
	project, err := h.app.PushableProject(ctx, caller(c))
	if err != nil {
		return err
	}
	account := me(c)
	view := ui.OverviewView{MayCreate: account.CreatesProjects, Charts: activityCharts(ctx, activity.Days), Periods: periodLinks(ctx, days), Whole: activity.Whole,
		Start: ui.QuickStart{Host: hostOf(h.deps.ExternalURL), User: account.Username, Project: project, HasCA: h.caPEM() != nil}}
	var space *diskUse // stays nil for those who may not know
	if account.Administers {
		if space, err = h.diskSpace(c); err != nil {
			return err
		}
	}
	if view.Tiles, err = h.overviewTiles(c, activity.Days, space); err != nil {
		return err
	}
	if account.Administers {
		view.Warnings = h.warnings(ctx, space)
		again, err := h.signAgainWarning(c)
		if err != nil {
			return err
		}
		if again != nil {
			view.Warnings = append(view.Warnings, *again)
		}
		if err := h.addDataWarnings(c, &view); err != nil {
			return err
		}
		if view.Jobs, view.MoreJobs, err = h.runningJobs(c); err != nil {
			return err
		}
	}
	if account.SeesSecurity {
		sum, err := h.app.SecuritySummary(ctx, caller(c), riskyShown, 0)
		if err != nil {
			return err
		}
		view.Risky = riskyImages(sum)
	}
	return h.show(c, http.StatusOK, sectionOverview, i18n.T(ctx, "overview.title"), ui.Overview(view))
}

// diskUse is a disk in bytes.
type diskUse struct{ total, free int64 }

func (s *diskUse) percent() int {
	if s.total <= 0 {
		return 0
	}
	return int(float64(s.total-s.free) / float64(s.total) * 100)
}

func (h *api) diskSpace(c echo.Context) (*diskUse, error) {
	err := h.app.Authorize(c.Request().Context(), caller(c), core.ResSystemVolumes, core.ActRead)
	if err != nil {
		return nil, err
	}
	total, free, err := disk.Space(h.deps.DataDir)
	return &diskUse{int64(total), int64(free)}, err
}

func (h *api) overviewTiles(c echo.Context, activity []core.DayCount, disk *diskUse) ([]ui.TileView, error) {
	ctx := c.Request().Context()
	sum, err := h.app.Statistics(ctx, caller(c))
	if err != nil {
		return nil, err
	}
	var pulls int64
	for _, day := range activity {
		pulls += day.Pulls
	}
	tiles := []ui.TileView{
		{Href: "/projects", Icon: "box", Label: i18n.T(ctx, "projects.title"), Value: i18n.Number(ctx, sum.PublicProjects+sum.PrivateProjects), Gauge: -1,
			Note: i18n.T(ctx, "overview.projects", i18n.Number(ctx, sum.PublicProjects), i18n.Number(ctx, sum.PrivateProjects))},
		{Icon: "layers", Label: i18n.T(ctx, "overview.repositories"), Value: i18n.Number(ctx, sum.PublicRepositories+sum.PrivateRepositories), Gauge: -1,
			Note: i18n.T(ctx, "overview.repositories.note")},
	}
	if sum.Totals && disk != nil {
		number, unit := i18n.Size(ctx, sum.Bytes)
		tiles = append(tiles, ui.TileView{Icon: "disk", Label: i18n.T(ctx, "overview.storage"), Value: number, Unit: unit, Gauge: disk.percent(),
			Note: i18n.T(ctx, "overview.storage.note", strconv.Itoa(disk.percent()), i18n.Bytes(ctx, disk.free))})
	}
	if len(activity) == 0 {
		return tiles, nil
	}
	return append(tiles, ui.TileView{Icon: "pull", Label: i18n.T(ctx, "overview.pulls"), Value: i18n.Number(ctx, pulls), Gauge: -1,
		Note: i18n.N(ctx, "overview.pulls.note", int64(len(activity)))}), nil
}

// activityCharts are none for those who may see nobody's pulls.
func activityCharts(ctx context.Context, activity []core.DayCount) []ui.ChartView {
	if len(activity) == 0 {
		return nil
	}
	pulls := ui.ChartView{ID: "pulls", Title: i18n.T(ctx, "overview.chart.pulls.title"), Unit: i18n.T(ctx, "overview.chart.pulls")}
	pushes := ui.ChartView{ID: "pushes", Title: i18n.T(ctx, "overview.chart.pushes.title"), Unit: i18n.T(ctx, "overview.chart.pushes"), Bars: true}
	for _, day := range activity {
		pulls.Points = append(pulls.Points, ui.Point{Day: day.Day, Value: day.Pulls})
		pushes.Points = append(pushes.Points, ui.Point{Day: day.Day, Value: day.Pushes})
	}
	return []ui.ChartView{pulls, pushes}
}

func periodLinks(ctx context.Context, current int) []ui.Link {
	var links []ui.Link
	for _, n := range periods() {
		links = append(links, ui.Link{Href: "/?days=" + strconv.Itoa(n), Label: i18n.T(ctx, "overview.days", strconv.Itoa(n)), Current: n == current})
	}
	return links
}

const (
	// certificateSoon is when a certificate that is not renewed by the registry
	// itself needs an administrator; renewedSoon is when one that is should have
	// been renewed long ago.
	certificateSoon = 30 * 24 * time.Hour
	renewedSoon     = 5 * 24 * time.Hour
	// diskFull and diskFilling are in percent.
	diskFull    = 90
	diskFilling = 80
)

// warnings are what an administrator has to know, the worst first.
func (h *api) warnings(ctx context.Context, disk *diskUse) []ui.Item {
	var items []ui.Item
	if disk != nil && disk.percent() >= diskFilling {
		tone := "warn"
		if disk.percent() >= diskFull {
			tone = "danger"
		}
		items = append(items, ui.Item{Icon: "disk", Tone: tone, Title: i18n.T(ctx, "overview.warn.disk", strconv.Itoa(disk.percent())),
			Text: i18n.T(ctx, "overview.warn.disk.text", i18n.Bytes(ctx, disk.free))})
	}
	if item := h.certificateWarning(ctx, time.Now()); item != nil {
		items = append(items, *item)
	}
	if strings.HasPrefix(h.deps.ExternalURL, "http:") {
		items = append(items, ui.Item{Icon: "lock", Tone: "danger", Title: i18n.T(ctx, "overview.warn.http"), Text: i18n.T(ctx, "overview.warn.http.text")})
	}
	if h.app.Settings().ReadOnly {
		items = append(items, ui.Item{Icon: "warn", Tone: "warn", Title: i18n.T(ctx, "overview.warn.read-only"), Text: i18n.T(ctx, "overview.warn.read-only.text")})
	}
	return items
}

func (h *api) certificateWarning(ctx context.Context, now time.Time) *ui.Item {
	if h.deps.Certificates == nil {
		return nil
	}
	info, err := h.deps.Certificates.Info()
	if err != nil {
		h.deps.Log.WarnContext(ctx, "the certificate could not be read for the overview", "error", err)
		return nil
	}
	left, soon := info.NotAfter.Sub(now), certificateSoon
	if info.Source == "own-ca" || info.Source == "acme" {
		soon = renewedSoon
	}
	if left > soon {
		return nil
	}
	item := &ui.Item{Icon: "lock", Tone: "warn", Title: i18n.T(ctx, "overview.warn.certificate", i18n.Ago(ctx, info.NotAfter, now)),
		Text: i18n.T(ctx, "overview.warn.certificate.text", i18n.Day(ctx, info.NotAfter))}
	if left <= 0 {
		item.Tone, item.Title = "danger", i18n.T(ctx, "overview.warn.certificate.over")
	}
	return item
}

// shownJobs is how many of the running jobs the overview shows.
const shownJobs = 4

// runningJobs are the first of the jobs under way, and how many more there are.
func (h *api) runningJobs(c echo.Context) (shown []ui.JobView, more int, err error) {
	ctx := c.Request().Context()
	jobs, err := h.app.Running(ctx, caller(c))
	if err != nil {
		return nil, 0, err
	}
	more = max(0, len(jobs)-shownJobs)
	for _, job := range jobs[:len(jobs)-more] {
		progress := progressOf(ctx, job)
		view := ui.JobView{Href: ui.JobPath(job.ID), Title: jobTitle(ctx, job.Kind), Done: progress.Done, Total: progress.Total,
			Left: progress.Phase, Right: i18n.T(ctx, "overview.job.since", i18n.Ago(ctx, job.StartedAt, time.Now()))}
		if view.Left == "" && view.Total > 0 {
			view.Left = i18n.T(ctx, "overview.job.done", i18n.Number(ctx, view.Done), i18n.Number(ctx, view.Total))
		}
		shown = append(shown, view)
	}
	return shown, more, nil
}
