package web

import (
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

// place is whose things a page is about, where the same pages serve those of the
// whole registry and those of a project.
type place struct {
	project *app.OpenedProject // nil for the whole registry
	path    string
}

// id is that of the project; 0 for the whole registry.
func (at place) id() int64 {
	if at.project == nil {
		return 0
	}
	return at.project.ID
}

// place reads it from the path: all is where the pages of the whole registry
// are, tab those within a project.
func (h *api) place(c echo.Context, all, tab string) (place, error) {
	if strings.HasPrefix(c.Path(), all) {
		return place{path: all}, nil
	}
	p, err := h.openProject(c)
	return place{&p, projectURL(p.Name, tab)}, err
}

// mayAt refuses those who may not do action on a resource of the place.
func (h *api) mayAt(c echo.Context, at place, resource core.Resource, action core.Action) error {
	if at.project == nil {
		return h.app.Authorize(c.Request().Context(), caller(c), resource, action)
	}
	return h.app.MayInProject(c.Request().Context(), caller(c), core.ProjectRef{ID: at.id()}, resource, action)
}
