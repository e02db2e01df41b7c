package web

import (
	"encoding/json"
	"maps"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// metadataRoutes have Harbor's trailing slash, and go without it too.
func (h *api) metadataRoutes() []route {
	const path = projectPath + "/metadatas"
	return []route{
		{http.MethodGet, path, h.listMetadata},
		{http.MethodGet, path + "/", h.listMetadata},
		{http.MethodPost, path, h.addMetadata},
		{http.MethodPost, path + "/", h.addMetadata},
		{http.MethodGet, path + "/:meta_name", h.getMetadata},
		{http.MethodPut, path + "/:meta_name", h.updateMetadata},
		{http.MethodDelete, path + "/:meta_name", h.deleteMetadata},
	}
}

// metadata is a project's metadata in a request. Values are texts; a bare true
// or false means the same, null that the key is not given.
type metadata map[string]string

// UnmarshalJSON reads a JSON object of texts and booleans.
func (m *metadata) UnmarshalJSON(data []byte) error {
	var raw map[string]any
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	*m = metadata{}
	for key, value := range raw {
		switch v := value.(type) {
		case nil:
		case string:
			(*m)[key] = v
		case bool:
			(*m)[key] = map[bool]string{true: "true", false: "false"}[v]
		default:
			return core.Errorf(core.CodeBadRequest, "the value of the metadata %q must be a text", core.Clip(key, 64))
		}
	}
	return nil
}

// with returns m with all of others in it.
func (m metadata) with(others metadata) metadata {
	maps.Copy(m, others)
	return m
}

func (h *api) listMetadata(c echo.Context) error {
	values, err := h.app.ProjectMetadata(c.Request().Context(), caller(c), projectRef(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, values)
}

func (h *api) getMetadata(c echo.Context) error {
	values, err := h.app.ProjectMetadata(c.Request().Context(), caller(c), projectRef(c))
	if err != nil {
		return err
	}
	name := c.Param("meta_name")
	value, ok := values[name]
	if !ok {
		return core.Errorf(core.CodeNotFound, "the project has no metadata %s", core.Clip(name, 64))
	}
	return c.JSON(http.StatusOK, metadata{name: value})
}

func (h *api) addMetadata(c echo.Context) error {
	return h.setMetadata(c, core.ActCreate, "")
}

func (h *api) updateMetadata(c echo.Context) error {
	return h.setMetadata(c, core.ActUpdate, c.Param("meta_name"))
}

// setMetadata takes one key and its value, as Harbor does; name, where there
// is one, is the only key that the body may have.
func (h *api) setMetadata(c echo.Context, action core.Action, name string) error {
	var body metadata
	if err := bind(c, &body); err != nil {
		return err
	}
	if _, named := body[name]; len(body) != 1 || name != "" && !named {
		return core.Errorf(core.CodeBadRequest, "only allow one key/value pair, with the key that the path names")
	}
	if err := h.app.SetProjectMetadata(c.Request().Context(), caller(c), projectRef(c), action, body); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

func (h *api) deleteMetadata(c echo.Context) error {
	if err := h.app.DeleteProjectMetadata(c.Request().Context(), caller(c), projectRef(c), c.Param("meta_name")); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}
