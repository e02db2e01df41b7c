package web

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/labstack/echo/v4"
	"go.yaml.in/yaml/v3"
)

// openapiYAML describes every operation of the API (OpenAPI 3.0.3).
//
//go:embed openapi.yaml
var openapiYAML []byte

// openapiRoutes give the document to everyone: it tells nothing of this server.
func (h *api) openapiRoutes() []route {
	converted := sync.OnceValues(openapiJSON)
	return []route{
		{http.MethodGet, "/openapi.yaml", func(c echo.Context) error {
			return c.Blob(http.StatusOK, "application/yaml", openapiYAML)
		}},
		{http.MethodGet, "/openapi.json", func(c echo.Context) error {
			document, err := converted()
			if err != nil {
				return err
			}
			return c.JSONBlob(http.StatusOK, document)
		}},
	}
}

func openapiJSON() ([]byte, error) {
	var document map[string]any
	if err := yaml.Unmarshal(openapiYAML, &document); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	return json.Marshal(document)
}
