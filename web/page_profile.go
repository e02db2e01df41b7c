package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

func (h *api) profilePages() []page {
	return []page{
		{method: http.MethodGet, path: "/profile", handle: h.profilePage},
		{method: http.MethodPost, path: "/profile", handle: h.saveProfilePage},
		{method: http.MethodPost, path: "/profile/password", handle: h.changePasswordPage},
		{method: http.MethodPost, path: "/profile/secret", handle: h.newSecretPage},
		{method: http.MethodPost, path: "/profile/secret/delete", handle: h.removeSecretPage},
		{method: http.MethodPost, path: "/profile/sessions", handle: h.endSessionsPage},
	}
}

// profileView is the reader's own account, as it is now.
func (h *api) profileView(c echo.Context) (ui.ProfileView, error) {
	account := me(c)
	view := ui.ProfileView{Name: account.Username, Admin: account.SysAdmin, HasSecret: account.HasSecret, Created: account.CreatedAt,
		Host: hostOf(h.deps.ExternalURL), Profile: ui.Profile{Email: account.Email, Realname: account.Realname, Comment: account.Comment},
		Form: ui.NewForm(), Password: ui.NewForm(), SecretForm: ui.NewForm()}
	sessions, err := h.app.Sessions(c.Request().Context(), caller(c), account.ID)
	current := app.SessionID(sessionToken(c.Request()))
	view.Sessions = mapAll(sessions, func(s app.BrowserSession) ui.SessionRow {
		return ui.SessionRow{ID: s.ID, Agent: s.Agent, Address: s.Address, Begun: s.CreatedAt, Used: s.UsedAt, Current: s.ID == current}
	})
	return view, err
}

func (h *api) showProfile(c echo.Context, status int, view ui.ProfileView) error {
	return h.show(c, status, sectionProfile, i18n.T(c.Request().Context(), "profile.title"), ui.ProfilePage(view))
}

func (h *api) profilePage(c echo.Context) error {
	view, err := h.profileView(c)
	if err != nil {
		return err
	}
	return h.showProfile(c, http.StatusOK, view)
}

func (h *api) saveProfilePage(c echo.Context) error {
	view, err := h.profileView(c)
	if err != nil {
		return err
	}
	view.Profile = typedProfile(c)
	if err := h.saveProfile(c, me(c).ID, &view.Form, view.Profile); err != nil {
		return err
	}
	if view.Form.Failed() {
		return h.showProfile(c, http.StatusUnprocessableEntity, view)
	}
	return done(c, "/profile", "profile.toast.saved")
}

// changePasswordPage ends all sessions, this one too: whoever has taken one of
// them over must not keep it.
func (h *api) changePasswordPage(c echo.Context) error {
	ctx := c.Request().Context()
	form := c.Request().PostForm
	view, err := h.profileView(c)
	if err != nil {
		return err
	}
	err = h.app.ChangePassword(ctx, caller(c), me(c).ID, form.Get("current"), form.Get("password"))
	switch core.ErrorCode(err) {
	case "":
		return redirect(c, "/login?changed=1")
	case core.CodeForbidden:
		view.Password.Wrong("current", i18n.T(ctx, "profile.current"), i18n.T(ctx, "profile.current.wrong"))
	case core.CodeBadRequest:
		text := i18n.T(ctx, "users.password.invalid")
		if form.Get("current") == form.Get("password") {
			text = i18n.T(ctx, "profile.password.same")
		}
		view.Password.Wrong("password", i18n.T(ctx, "profile.password.new"), text)
	default:
		return err
	}
	return h.showProfile(c, http.StatusUnprocessableEntity, view)
}

// newSecretPage answers with the secret itself, which is shown this once.
func (h *api) newSecretPage(c echo.Context) error {
	secret, err := h.app.NewCLISecret(c.Request().Context(), caller(c), me(c).ID)
	if err != nil {
		return err
	}
	view, err := h.profileView(c)
	if err != nil {
		return err
	}
	view.HasSecret, view.Secret = true, secret
	return h.showProfile(c, http.StatusOK, view)
}

func (h *api) removeSecretPage(c echo.Context) error {
	if err := h.app.RemoveCLISecret(c.Request().Context(), caller(c), me(c).ID); err != nil {
		return err
	}
	return done(c, "/profile", "profile.toast.secret-removed")
}

// endSessionsPage ends the session that the form names, or all but this one.
func (h *api) endSessionsPage(c echo.Context) error {
	r := c.Request()
	id := r.PostForm.Get("session")
	if id == "" {
		if err := h.app.EndSessions(r.Context(), caller(c), me(c).ID, app.SessionID(sessionToken(r))); err != nil {
			return err
		}
		return done(c, "/profile", "profile.toast.sessions")
	}
	err := h.app.EndSession(r.Context(), caller(c), me(c).ID, id)
	if err != nil && core.ErrorCode(err) != core.CodeNotFound { // one that has ended is what was wanted
		return err
	}
	return done(c, "/profile", "profile.toast.session")
}
