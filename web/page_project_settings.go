package web

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

func (h *api) projectSettingsPages() []page {
	return []page{
		{method: http.MethodGet, path: projectPage + "/settings", handle: h.projectSettingsPage},
		{method: http.MethodPost, path: projectPage + "/settings/quota", handle: h.saveQuotaPage},
		{method: http.MethodPost, path: projectPage + "/settings/delete", handle: h.deleteProjectPage},
	}
}

func (h *api) projectSettingsPage(c echo.Context) error {
	p, err := h.openProject(c)
	if err != nil {
		return err
	}
	return h.showSettings(c, http.StatusOK, p, ui.SettingsView{Form: ui.NewForm(), Limit: gibibytes(p.QuotaHard)})
}

// gibibytes writes a limit as a form shows it: in whole GiB, "" for none and in
// bytes where it is no whole number.
func gibibytes(bytes int64) string {
	if bytes < 0 {
		return ""
	}
	return strconv.FormatFloat(float64(bytes)/(1<<30), 'f', -1, 64)
}

func (h *api) showSettings(c echo.Context, status int, p app.OpenedProject, view ui.SettingsView) error {
	ctx := c.Request().Context()
	if err := h.app.MayInProject(ctx, caller(c), core.ProjectRef{ID: p.ID}, core.ResQuota, core.ActRead); err != nil {
		return err
	}
	view.Head, view.Path = projectHead(c, p, tabSettings), projectURL(p.Name, "settings")
	view.Used, view.Hard, view.MayLimit = p.QuotaUsed, p.QuotaHard, me(c).ChoosesLimits
	if p.Rights.May(core.ResProject, core.ActDelete) {
		reason, err := h.app.ProjectDeletable(ctx, caller(c), core.ProjectRef{ID: p.ID})
		if err != nil {
			return err
		}
		view.MayDelete, view.NotEmpty, view.Repositories = true, reason != "", projectURL(p.Name)
		view.Delete = ui.Confirm{ID: "delete", Title: i18n.T(ctx, "settings.delete.title", p.Name), Text: i18n.T(ctx, "settings.delete.sure"),
			Action: view.Path + "/delete", Verb: i18n.T(ctx, "settings.delete")}
	}
	return h.showProject(c, status, p, tabSettings, ui.Settings(view))
}

// saveQuotaPage changes the storage limit, unless somebody else has changed it
// since the reader saw it.
func (h *api) saveQuotaPage(c echo.Context) error {
	ctx := c.Request().Context()
	p, err := h.openProject(c)
	if err != nil {
		return err
	}
	form := c.Request().PostForm
	view := ui.SettingsView{Form: ui.NewForm(), Limit: strings.TrimSpace(form.Get("limit"))}
	hard := int64(-1)
	if view.Limit != "" {
		n, err := strconv.ParseFloat(view.Limit, 64)
		if err != nil || !(n*(1<<30) >= 1) || n > maxLimit {
			view.Wrong("limit", i18n.T(ctx, "projects.limit"), i18n.T(ctx, "settings.limit.invalid", i18n.Number(ctx, maxLimit)))
		} else {
			hard = int64(n * (1 << 30))
		}
	}
	was, _ := strconv.ParseInt(form.Get("was"), 10, 64) // 0 is whatever it was
	if view.Failed() {
		if _, err := h.app.Quota(ctx, caller(c), p.ID); err != nil {
			return err
		}
		return h.showSettings(c, http.StatusUnprocessableEntity, p, view)
	}
	err = h.app.ChangeQuota(ctx, caller(c), p.ID, was, hard)
	switch core.ErrorCode(err) {
	case "":
		return done(c, projectURL(p.Name, "settings"), "settings.toast.limit")
	case core.CodeConflict:
		view.Theirs = true
		return h.showSettings(c, http.StatusConflict, p, view)
	}
	return err
}

func (h *api) deleteProjectPage(c echo.Context) error {
	p, err := h.openProject(c)
	if err != nil {
		return err
	}
	if err := h.app.DeleteProject(c.Request().Context(), caller(c), core.ProjectRef{ID: p.ID}); err != nil {
		return err
	}
	return done(c, "/projects", "settings.toast.deleted", p.Name)
}
