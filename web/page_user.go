package web

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// userView is the page of the account that the path names, as it is now.
func (h *api) userView(c echo.Context) (ui.UserView, error) {
	id, err := pathID(c, "user_id")
	if err != nil {
		return ui.UserView{}, err
	}
	ctx := c.Request().Context()
	if err := h.app.Authorize(ctx, caller(c), core.ResUser, core.ActRead); err != nil {
		return ui.UserView{}, err
	}
	u, err := h.app.User(ctx, caller(c), id)
	if err != nil {
		return ui.UserView{}, err
	}
	sessions, err := h.app.Sessions(ctx, caller(c), id)
	return ui.UserView{ID: u.ID, Name: u.Username, Admin: u.SysAdmin, Disabled: u.Disabled, HasSecret: u.HasSecret, Own: u.ID == me(c).ID,
		Created: u.CreatedAt, Sessions: int64(len(sessions)), Profile: ui.Profile{Email: u.Email, Realname: u.Realname, Comment: u.Comment},
		Form: ui.NewForm(), Password: ui.NewForm()}, err
}

func (h *api) showUser(c echo.Context, status int, view ui.UserView) error {
	return h.show(c, status, sectionUsers, view.Name, ui.User(view))
}

func (h *api) userPage(c echo.Context) error {
	view, err := h.userView(c)
	if err != nil {
		return err
	}
	return h.showUser(c, http.StatusOK, view)
}

func (h *api) saveUserPage(c echo.Context) error {
	view, err := h.userView(c)
	if err != nil {
		return err
	}
	view.Profile = typedProfile(c)
	if err := h.saveProfile(c, view.ID, &view.Form, view.Profile); err != nil {
		return err
	}
	if view.Form.Failed() {
		return h.showUser(c, http.StatusUnprocessableEntity, view)
	}
	return done(c, userPath(view.ID), "users.toast.saved", view.Name)
}

// resetPasswordPage sets the password of somebody else. One's own is changed on
// the profile, where the old one is asked for.
func (h *api) resetPasswordPage(c echo.Context) error {
	view, err := h.userView(c)
	if err != nil {
		return err
	}
	if view.Own {
		return redirect(c, "/profile")
	}
	ctx := c.Request().Context()
	err = h.app.ChangePassword(ctx, caller(c), view.ID, "", c.Request().PostForm.Get("password"))
	if core.ErrorCode(err) == core.CodeBadRequest {
		view.Password.Wrong("password", i18n.T(ctx, "users.password"), i18n.T(ctx, "users.password.invalid"))
		return h.showUser(c, http.StatusUnprocessableEntity, view)
	}
	if err != nil {
		return err
	}
	return done(c, userPath(view.ID), "users.toast.password", view.Name)
}

// userSwitch is the page that sets one of the switches of an account.
func (h *api) userSwitch(name string, set func(context.Context, core.Caller, int64, bool) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		return h.changeUserPage(c, func(ctx context.Context, id int64) (toast string, err error) {
			on := c.Request().PostForm.Get(name) == "true"
			toast = "users.toast." + name + ".off"
			if on {
				toast = "users.toast." + name + ".on"
			}
			return toast, set(ctx, caller(c), id, on)
		})
	}
}

// changeUserPage changes the account that the path names, and goes back to it.
func (h *api) changeUserPage(c echo.Context, change func(ctx context.Context, id int64) (toast string, err error)) error {
	id, err := pathID(c, "user_id")
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	if err := h.app.Authorize(ctx, caller(c), core.ResUser, core.ActUpdate); err != nil {
		return err
	}
	u, err := h.app.User(ctx, caller(c), id)
	if err != nil {
		return err
	}
	toast, err := change(ctx, id)
	if err != nil {
		return err
	}
	return done(c, userPath(id), toast, u.Username)
}

func (h *api) endUserSessionsPage(c echo.Context) error {
	return h.changeUserPage(c, func(ctx context.Context, id int64) (string, error) {
		return "users.toast.sessions", h.app.EndSessions(ctx, caller(c), id, "")
	})
}

func (h *api) deleteUserPage(c echo.Context) error {
	id, err := pathID(c, "user_id")
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	if err := h.app.Authorize(ctx, caller(c), core.ResUser, core.ActDelete); err != nil {
		return err
	}
	u, err := h.app.User(ctx, caller(c), id)
	if err != nil {
		return err
	}
	if err := h.app.DeleteUser(ctx, caller(c), id); err != nil {
		return err
	}
	return done(c, "/users", "users.toast.deleted", u.Username)
}
