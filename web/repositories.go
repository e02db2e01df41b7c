package web

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

func (h *api) repositoryRoutes() []route {
	return []route{
		{http.MethodGet, "/repositories", h.listAllRepositories},
		{http.MethodGet, "/projects/:project_name/repositories", h.listRepositories},
		{http.MethodGet, "/projects/:project_name/repositories/:repository_name", h.getRepository},
		{http.MethodPut, "/projects/:project_name/repositories/:repository_name", h.updateRepository},
		{http.MethodDelete, "/projects/:project_name/repositories/:repository_name", h.deleteRepository},
	}
}

// repositoryView is Harbor's Repository.
type repositoryView struct {
	ID            int64     `json:"id"`
	ProjectID     int64     `json:"project_id"`
	Name          string    `json:"name"`
	Description   string    `json:"description"`
	ArtifactCount int64     `json:"artifact_count"`
	PullCount     int64     `json:"pull_count"`
	CreationTime  time.Time `json:"creation_time"`
	UpdateTime    time.Time `json:"update_time"`
}

func viewRepository(r core.Repository) repositoryView {
	return repositoryView{r.ID, r.ProjectID, r.Name, r.Description, r.ArtifactCount, r.PullCount, r.CreatedAt, r.UpdatedAt}
}

// repositoryName returns the full name of the repository in the path.
func repositoryName(c echo.Context) (string, error) {
	project, err := pathText(c, "project_name")
	if err != nil {
		return "", err
	}
	name, err := pathText(c, "repository_name")
	return project + "/" + name, err
}

func (h *api) listAllRepositories(c echo.Context) error {
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	list, total, err := h.app.VisibleRepositories(c.Request().Context(), caller(c), q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(list, viewRepository))
}

func (h *api) listRepositories(c echo.Context) error {
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	project, err := pathText(c, "project_name")
	if err != nil {
		return err
	}
	list, total, err := h.app.Repositories(c.Request().Context(), caller(c), core.ProjectRef{Name: project}, q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(list, viewRepository))
}

func (h *api) getRepository(c echo.Context) error {
	name, err := repositoryName(c)
	if err != nil {
		return err
	}
	repository, err := h.app.Repository(c.Request().Context(), caller(c), name)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, viewRepository(repository))
}

func (h *api) updateRepository(c echo.Context) error {
	name, err := repositoryName(c)
	if err != nil {
		return err
	}
	var body struct {
		Description string `json:"description"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	if err := h.app.SetRepositoryDescription(c.Request().Context(), caller(c), name, body.Description); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

func (h *api) deleteRepository(c echo.Context) error {
	name, err := repositoryName(c)
	if err != nil {
		return err
	}
	if err := h.app.DeleteRepository(c.Request().Context(), caller(c), name); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}
