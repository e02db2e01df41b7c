package web

import (
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

func (h *api) configurationRoutes() []route {
	return []route{
		{http.MethodGet, "/configurations", h.getConfiguration},
		{http.MethodPut, "/configurations", h.updateConfiguration},
	}
}

// settingJSON is one entry of Harbor's ConfigurationsResponse.
type settingJSON struct {
	Value    any  `json:"value"`
	Editable bool `json:"editable"`
}

func (h *api) getConfiguration(c echo.Context) error {
	settings, err := h.app.Configuration(c.Request().Context(), caller(c))
	if err != nil {
		return err
	}
	all := map[string]settingJSON{}
	for _, key := range core.SettingKeys() {
		value, editable, err := settings.Value(key)
		if err != nil {
			return err
		}
		all[key] = settingJSON{value, editable}
	}
	return c.JSON(http.StatusOK, all)
}

// updateConfiguration changes the keys of the body and no others.
func (h *api) updateConfiguration(c echo.Context) error {
	var body map[string]json.RawMessage
	if err := bind(c, &body); err != nil {
		return err
	}
	changes := map[string]string{}
	for key, raw := range body {
		text, given, err := settingText(key, raw)
		if err != nil {
			return err
		}
		if given {
			changes[key] = text
		}
	}
	if err := h.app.Configure(c.Request().Context(), caller(c), changes); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

// settingText returns a value as core.Settings takes it. Clients write a
// number or a switch as such or in quotes; null leaves a setting alone.
func settingText(key string, raw json.RawMessage) (text string, given bool, err error) {
	switch raw[0] { // never empty: the body was checked
	case 'n':
		return "", false, nil
	case '"':
		err = json.Unmarshal(raw, &text)
		return text, true, err
	case '{', '[':
		return "", false, core.Errorf(core.CodeBadRequest, "%s must be a single value", core.Clip(key, 64))
	}
	return string(raw), true, nil
}
