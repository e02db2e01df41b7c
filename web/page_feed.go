package web

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// feedField is the name of the field for the address of a source.
func feedField(source string) string { return "url-" + source }

// feedView is the page of one feed as it is now.
func (h *api) feedView(c echo.Context) (view ui.FeedView, err error) {
	f, parts, err := h.app.Feed(c.Request().Context(), caller(c), c.Param("feed_name"))
	if err != nil {
		return view, err
	}
	view = ui.FeedView{FeedRow: feedRow(f, time.Now()), Form: ui.NewForm(), Offline: h.deps.Offline, On: f.Enabled}
	for _, source := range f.Sources {
		view.Sources = append(view.Sources, ui.FeedSource{Field: feedField(source.Name), Name: source.Name, URL: f.URLs[source.Name], Upstream: source.URL})
	}
	for _, part := range parts {
		view.Parts = append(view.Parts, ui.FeedPart{Name: part.Name, Records: part.Records, Read: part.SucceededAt, Changed: part.ChangedAt, Error: part.Error,
			Gone: partIsGone(f, part)})
	}
	return view, nil
}

// partIsGone says whether the source does not offer the part any more.
func partIsGone(f core.Feed, part core.FeedPart) bool {
	return part.AttemptedAt.Before(f.AttemptedAt) && f.Error == ""
}

func (h *api) showFeed(c echo.Context, status int, view ui.FeedView) error {
	return h.show(c, status, sectionFeeds, view.Title, ui.FeedPage(view))
}

func (h *api) feedPage(c echo.Context) error {
	view, err := h.feedView(c)
	if err != nil {
		return err
	}
	return h.showFeed(c, http.StatusOK, view)
}

func (h *api) saveFeedPage(c echo.Context) error {
	ctx := c.Request().Context()
	form := c.Request().PostForm
	view, err := h.feedView(c)
	if err != nil {
		return err
	}
	view.On = form.Get("enabled") == "true"
	change := app.FeedChange{Enabled: &view.On, URLs: map[string]string{}}
	for i, source := range view.Sources {
		view.Sources[i].URL = form.Get(source.Field)
		change.URLs[source.Name] = view.Sources[i].URL
		if err := core.CheckFeedURL(view.Sources[i].URL); err != nil && view.Sources[i].URL != "" {
			view.Form.Wrong(source.Field, i18n.T(ctx, "feeds.address", source.Name), i18n.T(ctx, "feeds.address.invalid"))
		}
	}
	if view.Form.Failed() {
		return h.showFeed(c, http.StatusUnprocessableEntity, view)
	}
	if err := h.app.ChangeFeed(ctx, caller(c), view.Name, change); err != nil {
		return err
	}
	return done(c, feedsPage+"/"+view.Name, "feeds.toast.saved")
}

func (h *api) switchFeedOnPage(c echo.Context) error {
	on := true
	name := c.Param("feed_name")
	if err := h.app.ChangeFeed(c.Request().Context(), caller(c), name, app.FeedChange{Enabled: &on}); err != nil {
		return err
	}
	return done(c, feedsPage, "feeds.toast.on", name)
}
