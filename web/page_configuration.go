package web

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

const configurationPath = "/admin/configuration"

func (h *api) configurationPages() []page {
	return []page{
		{method: http.MethodGet, path: configurationPath, handle: h.configurationPage},
		{method: http.MethodPost, path: configurationPath, handle: h.saveConfigurationPage},
	}
}

// configurationSections are the settings of the page by their keys in the API,
// in its order.
var configurationSections = []struct {
	name string
	keys []string
}{
	{"projects", []string{"project_creation_restriction", "storage_per_project"}},
	{"accounts", []string{"anonymous_access", "self_registration"}},
	{"times", []string{"session_timeout", "token_expiration", "robot_token_duration"}},
	{"audit", []string{"audit_log_retention_hours", "audit_log_forward_endpoint"}},
	{"scrub", []string{"scrub_rate", "scrub_interval_days"}},
	{"outgoing", []string{"outgoing_proxy", "outgoing_no_proxy"}},
	{"notice", []string{"banner_message", "read_only"}},
}

// settingControls are the controls of settings that are no line of text.
var settingControls = map[string]ui.SettingControl{
	"project_creation_restriction": ui.SettingChoice,
	"anonymous_access":             ui.SettingSwitch,
	"self_registration":            ui.SettingSwitch,
	"read_only":                    ui.SettingSwitch,
	"storage_per_project":          ui.SettingNumber,
	"session_timeout":              ui.SettingNumber,
	"token_expiration":             ui.SettingNumber,
	"robot_token_duration":         ui.SettingNumber,
	"audit_log_retention_hours":    ui.SettingNumber,
	"scrub_rate":                   ui.SettingNumber,
	"scrub_interval_days":          ui.SettingNumber,
	"banner_message":               ui.SettingLines,
}

// settingUnits are the settings that the page shows in another unit than the
// API, and the value that means none, for which the field is left empty.
var settingUnits = map[string]struct{ unit, none int64 }{
	"storage_per_project":       {1 << 30, -1},
	"robot_token_duration":      {1, -1},
	"audit_log_retention_hours": {1, 0},
	"scrub_rate":                {1 << 20, 0},
}

// settingToField writes a setting as its field shows it. A number that is no
// whole one in the unit of the page keeps its fraction.
func settingToField(key, value string) string {
	u, ok := settingUnits[key]
	n, err := strconv.ParseInt(value, 10, 64)
	switch {
	case !ok || err != nil:
		return value
	case n == u.none:
		return ""
	case n%u.unit == 0:
		return strconv.FormatInt(n/u.unit, 10)
	}
	return strconv.FormatFloat(float64(n)/float64(u.unit), 'f', -1, 64)
}

// settingFromField is the opposite; what is no number stays as it is, for the
// rule of the setting to refuse.
func settingFromField(key, text string) string {
	u, ok := settingUnits[key]
	text = strings.TrimSpace(text)
	if !ok {
		return text
	}
	if text == "" {
		return strconv.FormatInt(u.none, 10)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f < 0 || f > 1<<40 {
		return text + " " // no number of any setting
	}
	return strconv.FormatInt(int64(f*float64(u.unit)), 10)
}

// configurationView is the form with the settings as they are, or as typed.
func configurationView(ctx context.Context, current core.Settings, typed func(key string) (string, bool)) (ui.ConfigurationView, error) {
	view := ui.ConfigurationView{Form: ui.NewForm()}
	for _, part := range configurationSections {
		section := ui.ConfigurationSection{Name: part.name}
		for _, key := range part.keys {
			now, err := current.Get(key)
			if err != nil {
				return view, err
			}
			field := ui.SettingField{Key: key, Control: settingControls[key], Was: now, Value: settingToField(key, now)}
			if text, ok := typed(key); ok {
				field.Value = text
			}
			section.Fields = append(section.Fields, field)
		}
		view.Sections = append(view.Sections, section)
	}
	return view, nil
}

func (h *api) showConfiguration(c echo.Context, status int, view ui.ConfigurationView) error {
	return h.show(c, status, sectionConfig, i18n.T(c.Request().Context(), "config.title"), ui.Configuration(view))
}

func (h *api) configurationPage(c echo.Context) error {
	ctx := c.Request().Context()
	current, err := h.app.Configuration(ctx, caller(c))
	if err != nil {
		return err
	}
	view, err := configurationView(ctx, current, func(string) (string, bool) { return "", false })
	if err != nil {
		return err
	}
	return h.showConfiguration(c, http.StatusOK, view)
}

// saveConfigurationPage changes what the reader has changed, and nothing when
// somebody else has changed any of the settings since the form was made.
func (h *api) saveConfigurationPage(c echo.Context) error {
	ctx := c.Request().Context()
	form := c.Request().PostForm
	current, err := h.app.Configuration(ctx, caller(c))
	if err != nil {
		return err
	}
	view, err := configurationView(ctx, current, func(key string) (string, bool) {
		if settingControls[key] == ui.SettingSwitch {
			return strconv.FormatBool(form.Get(key) == "true"), true
		}
		return strings.ReplaceAll(form.Get(key), "\r\n", "\n"), form.Has(key)
	})
	if err != nil {
		return err
	}
	changes, seen := map[string]string{}, map[string]string{}
	for _, section := range view.Sections {
		for _, f := range section.Fields {
			seen[f.Key] = strings.ReplaceAll(form.Get("was."+f.Key), "\r\n", "\n")
			value := settingFromField(f.Key, f.Value)
			if value != seen[f.Key] {
				changes[f.Key] = value
			}
			if _, err := current.With(f.Key, value); err != nil {
				view.Wrong(f.Key, i18n.T(ctx, "config.label."+f.Key), i18n.T(ctx, "config.invalid."+f.Key))
			}
			if f.Was != seen[f.Key] {
				view.Conflicts = append(view.Conflicts, ui.SettingConflict{Key: f.Key, Now: settingToField(f.Key, f.Was)})
			}
		}
	}
	if view.Failed() {
		return h.showConfiguration(c, http.StatusUnprocessableEntity, view)
	}
	err = h.app.ConfigureSeen(ctx, caller(c), changes, seen)
	if core.ErrorCode(err) == core.CodeConflict {
		return h.showConfiguration(c, http.StatusConflict, view)
	}
	if err != nil {
		return err
	}
	return done(c, configurationPath, "config.toast.saved")
}
