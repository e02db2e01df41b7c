package web

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

func (h *api) labelRoutes() []route {
	return []route{
		{http.MethodGet, "/labels", h.listLabels},
		{http.MethodPost, "/labels", h.createLabel},
		{http.MethodGet, "/labels/:label_id", h.getLabel},
		{http.MethodPut, "/labels/:label_id", h.updateLabel},
		{http.MethodDelete, "/labels/:label_id", h.deleteLabel},
		{http.MethodPost, artifactsPath + "/:reference/labels", h.addLabel},
		{http.MethodDelete, artifactsPath + "/:reference/labels/:label_id", h.removeLabel},
	}
}

// labelJSON is Harbor's Label. A scope is g for all projects or p for one.
type labelJSON struct {
	ID           int64     `json:"id"`
	Name         string    `json:"name"`
	Description  string    `json:"description"`
	Color        string    `json:"color"`
	Scope        string    `json:"scope"`
	ProjectID    int64     `json:"project_id"`
	CreationTime time.Time `json:"creation_time"`
	UpdateTime   time.Time `json:"update_time"`
}

func newLabelJSON(l core.Label) labelJSON {
	return labelJSON{ID: l.ID, Name: l.Name, Description: l.Description, Color: l.Color, Scope: l.Scope(), ProjectID: l.ProjectID,
		CreationTime: l.CreatedAt, UpdateTime: l.UpdatedAt}
}

// labelProject is the project that scope and project_id mean, 0 for all.
func labelProject(scope string, projectID int64) (int64, error) {
	switch {
	case scope == "g":
		return 0, nil
	case scope == "p" && projectID > 0:
		return projectID, nil
	}
	return 0, core.Errorf(core.CodeBadRequest, "the scope must be g for labels of all projects, or p with the project_id of one")
}

// listLabels is Harbor's: with name it finds those whose names contain it.
func (h *api) listLabels(c echo.Context) error {
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	var id int64
	if text := c.QueryParam("project_id"); text != "" {
		if id, err = strconv.ParseInt(text, 10, 64); err != nil {
			return core.Errorf(core.CodeBadRequest, "project_id is a number")
		}
	}
	project, err := labelProject(c.QueryParam("scope"), id)
	if err != nil {
		return err
	}
	if name := c.QueryParam("name"); name != "" {
		q.Filters = append(q.Filters, core.Filter{Field: "name", Match: core.MatchFuzzy, Values: []string{name}})
	}
	labels, total, err := h.app.Labels(c.Request().Context(), caller(c), project, q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(labels, newLabelJSON))
}

func (h *api) createLabel(c echo.Context) error {
	var body labelJSON
	if err := bind(c, &body); err != nil {
		return err
	}
	project, err := labelProject(body.Scope, body.ProjectID)
	if err != nil {
		return err
	}
	id, err := h.app.CreateLabel(c.Request().Context(), caller(c), core.Label{ProjectID: project, Name: body.Name, Description: body.Description, Color: body.Color})
	if err != nil {
		return err
	}
	return created(c, fmt.Sprintf("%s/labels/%d", apiPrefix, id))
}

func (h *api) getLabel(c echo.Context) error {
	id, err := pathID(c, "label_id")
	if err != nil {
		return err
	}
	l, err := h.app.Label(c.Request().Context(), caller(c), id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newLabelJSON(l))
}

// updateLabel reads Harbor's Label; whose it is stays as it was.
func (h *api) updateLabel(c echo.Context) error {
	id, err := pathID(c, "label_id")
	if err != nil {
		return err
	}
	var body labelJSON
	if err := bind(c, &body); err != nil {
		return err
	}
	err = h.app.UpdateLabel(c.Request().Context(), caller(c), core.Label{ID: id, Name: body.Name, Description: body.Description, Color: body.Color})
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

func (h *api) deleteLabel(c echo.Context) error {
	id, err := pathID(c, "label_id")
	if err != nil {
		return err
	}
	if err := h.app.DeleteLabel(c.Request().Context(), caller(c), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

// addLabel reads Harbor's Label, of which only the id counts.
func (h *api) addLabel(c echo.Context) error {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return err
	}
	var body struct {
		ID int64 `json:"id"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	if err := h.app.AddLabel(c.Request().Context(), caller(c), repository, reference, body.ID); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

func (h *api) removeLabel(c echo.Context) error {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return err
	}
	id, err := pathID(c, "label_id")
	if err != nil {
		return err
	}
	if err := h.app.RemoveLabel(c.Request().Context(), caller(c), repository, reference, id); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}
