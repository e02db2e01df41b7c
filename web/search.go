package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
)

func (h *api) searchRoutes() []route {
	return []route{{http.MethodGet, "/search", h.search}}
}

// searchJSON is Harbor's Search.
type searchJSON struct {
	Project    []projectJSON          `json:"project"`
	Repository []searchRepositoryJSON `json:"repository"`
}

// searchRepositoryJSON is Harbor's SearchRepository.
type searchRepositoryJSON struct {
	ProjectID      int64  `json:"project_id"`
	ProjectName    string `json:"project_name"`
	ProjectPublic  bool   `json:"project_public"`
	RepositoryName string `json:"repository_name"`
	PullCount      int64  `json:"pull_count"`
	ArtifactCount  int64  `json:"artifact_count"`
}

func (h *api) search(c echo.Context) error {
	projects, repositories, err := h.app.Search(c.Request().Context(), caller(c), c.QueryParam("q"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, searchJSON{mapAll(projects, newProjectJSON), mapAll(repositories, newSearchRepositoryJSON)})
}

func newSearchRepositoryJSON(r app.FoundRepository) searchRepositoryJSON {
	return searchRepositoryJSON{ProjectID: r.ProjectID, ProjectName: r.ProjectName, ProjectPublic: r.ProjectPublic,
		RepositoryName: r.Name, PullCount: r.PullCount, ArtifactCount: r.ArtifactCount}
}
