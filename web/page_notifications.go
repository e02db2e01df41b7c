package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

const notificationsPath = "/notifications"

func (h *api) notificationPages() []page {
	return []page{
		{method: http.MethodGet, path: notificationsPath, handle: h.notificationsPage},
		{method: http.MethodPost, path: notificationsPath + "/seen", handle: h.seeNotificationsPage},
	}
}

func (h *api) notificationsPage(c echo.Context) error {
	ctx := c.Request().Context()
	w := window(c)
	list, ends, seen, err := h.app.NotificationWindow(ctx, caller(c), w)
	if err != nil {
		return err
	}
	if lost(w, list) {
		return redirect(c, notificationsPath)
	}
	view := ui.InboxView{Path: notificationsPath + "/seen", Back: c.Request().URL.RequestURI(),
		Beside: beside(notificationsPath, url.Values{}, ends, i18n.T(ctx, "inbox.newest"))}
	view.Items = mapAll(list, func(n core.Notification) ui.InboxItem { return inboxItem(ctx, n, seen) })
	if w.Cursor == "" && len(list) > 0 && list[0].ID > seen {
		view.Through = list[0].ID // what came since is not marked
	}
	return h.show(c, http.StatusOK, sectionInbox, i18n.T(ctx, "inbox.title"), ui.Inbox(view))
}

// inboxItem is a notification with the way to what it is about.
func inboxItem(ctx context.Context, n core.Notification, seen int64) ui.InboxItem {
	item := ui.InboxItem{ID: n.ID, Title: n.Resource, Text: n.Text, At: n.Time, New: n.ID > seen, Kind: n.Kind, Icon: "info"}
	if key := "inbox.kind." + n.Kind; i18n.Has(key) {
		item.Kind = i18n.T(ctx, key)
	}
	if n.Kind == core.NotifyWorse {
		item.Icon = "warn"
	}
	if n.Digest != "" {
		item.Href = repositoryURL(n.Resource, "artifacts", n.Digest)
	}
	return item
}

// seeNotificationsPage notes that all up to one are read.
func (h *api) seeNotificationsPage(c echo.Context) error {
	form := c.Request().PostForm
	through, err := strconv.ParseInt(form.Get("through"), 10, 64)
	if err != nil {
		return core.Errorf(core.CodeBadRequest, "through is the number of a notification")
	}
	if err := h.app.SeeNotifications(c.Request().Context(), caller(c), through); err != nil {
		return err
	}
	back := localPath(form.Get("back"))
	if !strings.HasPrefix(back, notificationsPath) {
		back = notificationsPath
	}
	return done(c, back, "inbox.toast.seen")
}
