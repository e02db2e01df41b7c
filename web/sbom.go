package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// The media types of software bills of materials, which are also the artifact
// types that they are kept under.
var bills = map[string]string{"spdx": "application/spdx+json", "cyclonedx": "application/vnd.cyclonedx+json"}

// getSBOM answers as Harbor does with SPDX, where the query does not ask for
// another format.
func (h *api) getSBOM(c echo.Context) error {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return err
	}
	format := c.QueryParam("format")
	if format == "" {
		format = "spdx"
	}
	kind, ok := bills[format]
	if !ok {
		return core.Errorf(core.CodeBadRequest, "the format must be spdx or cyclonedx")
	}
	content, err := h.app.SBOM(c.Request().Context(), caller(c), repository, reference, kind)
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, kind, content)
}
