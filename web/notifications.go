package web

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// notificationRoutes are not Harbor's: the inbox of the user interface.
func (h *api) notificationRoutes() []route {
	return []route{
		{http.MethodGet, "/notifications", h.listNotifications},
		{http.MethodPut, "/notifications/seen", h.seeNotifications},
	}
}

type notificationJSON struct {
	ID        int64     `json:"id"`
	Time      time.Time `json:"time"`
	Kind      string    `json:"kind"`
	ProjectID int64     `json:"project_id"`
	Resource  string    `json:"resource"`
	Digest    string    `json:"digest"`
	Text      string    `json:"text"`
	New       bool      `json:"new"`
}

func (h *api) listNotifications(c echo.Context) error {
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	list, total, seen, err := h.app.Notifications(c.Request().Context(), caller(c), q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(list, func(n core.Notification) notificationJSON {
		return notificationJSON{n.ID, n.Time, n.Kind, n.ProjectID, n.Resource, n.Digest, n.Text, n.ID > seen}
	}))
}

func (h *api) seeNotifications(c echo.Context) error {
	var body struct {
		Through int64 `json:"through"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	if err := h.app.SeeNotifications(c.Request().Context(), caller(c), body.Through); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}
