package web

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

func (h *api) allowlistRoutes() []route {
	return []route{
		{http.MethodGet, "/system/CVEAllowlist", h.getAllowlist},
		{http.MethodPut, "/system/CVEAllowlist", h.setAllowlist},
	}
}

// allowlistJSON is Harbor's CVEAllowlist. ExpiresAt is in seconds; without it
// the list never expires.
type allowlistJSON struct {
	ID           int64             `json:"id"`
	ProjectID    int64             `json:"project_id"`
	ExpiresAt    *int64            `json:"expires_at"`
	Items        []allowedItemJSON `json:"items"`
	CreationTime time.Time         `json:"creation_time,omitzero"`
	UpdateTime   time.Time         `json:"update_time,omitzero"`
}

// allowedItemJSON is Harbor's CVEAllowlistItem.
type allowedItemJSON struct {
	CVEID string `json:"cve_id"`
}

// newAllowlistJSON has the project's id for the list's own: a project has one.
func newAllowlistJSON(l core.CVEAllowlist) allowlistJSON {
	body := allowlistJSON{ID: l.ProjectID, ProjectID: l.ProjectID, CreationTime: l.CreatedAt, UpdateTime: l.UpdatedAt,
		Items: mapAll(l.Items, func(id string) allowedItemJSON { return allowedItemJSON{id} })}
	if !l.ExpiresAt.IsZero() {
		seconds := l.ExpiresAt.Unix()
		body.ExpiresAt = &seconds
	}
	return body
}

// list reads the items and the end; ids and times of the body are not looked at.
func (l allowlistJSON) list() core.CVEAllowlist {
	list := core.CVEAllowlist{Items: mapAll(l.Items, func(item allowedItemJSON) string { return item.CVEID })}
	if l.ExpiresAt != nil && *l.ExpiresAt > 0 {
		list.ExpiresAt = time.Unix(*l.ExpiresAt, 0).UTC()
	}
	return list
}

func (h *api) getAllowlist(c echo.Context) error {
	list, err := h.app.SystemCVEAllowlist(c.Request().Context(), caller(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newAllowlistJSON(list))
}

func (h *api) setAllowlist(c echo.Context) error {
	var body allowlistJSON
	if err := bind(c, &body); err != nil {
		return err
	}
	if err := h.app.SetSystemCVEAllowlist(c.Request().Context(), caller(c), body.list()); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}
