package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

func (h *api) userPages() []page {
	return []page{
		{method: http.MethodGet, path: "/users", handle: h.usersPage},
		{method: http.MethodGet, path: "/users/new", handle: h.newUserPage},
		{method: http.MethodPost, path: "/users", handle: h.createUserPage},
		{method: http.MethodGet, path: "/users/:user_id", handle: h.userPage},
		{method: http.MethodPost, path: "/users/:user_id", handle: h.saveUserPage},
		{method: http.MethodPost, path: "/users/:user_id/password", handle: h.resetPasswordPage},
		{method: http.MethodPost, path: "/users/:user_id/sysadmin", handle: h.userSwitch("sysadmin", h.app.SetSysAdmin)},
		{method: http.MethodPost, path: "/users/:user_id/disabled", handle: h.userSwitch("disabled", h.app.SetDisabled)},
		{method: http.MethodPost, path: "/users/:user_id/sessions", handle: h.endUserSessionsPage},
		{method: http.MethodPost, path: "/users/:user_id/delete", handle: h.deleteUserPage},
	}
}

// userFilters are the choices of the list of users by their name in the address.
var userFilters = map[string]core.Filter{
	"admins":   {Field: "sysadmin_flag", Values: []string{"true"}},
	"disabled": {Field: "disabled", Values: []string{"true"}},
}

func (h *api) usersPage(c echo.Context) error {
	ctx := c.Request().Context()
	view := ui.UsersView{Filter: strings.TrimSpace(c.QueryParam("name")), Show: c.QueryParam("show")}
	var filters []core.Filter
	if view.Filter != "" {
		filters = append(filters, core.Filter{Field: "search", Match: core.MatchFuzzy, Values: []string{view.Filter}})
	}
	if chosen, ok := userFilters[view.Show]; ok {
		filters = append(filters, chosen)
	} else {
		view.Show = ""
	}
	w := window(c)
	users, ends, err := h.app.UsersPage(ctx, caller(c), filters, w)
	if err != nil {
		return err
	}
	values := url.Values{"name": {view.Filter}, "show": {view.Show}}
	if lost(w, users) {
		return redirect(c, withQuery("/users", values))
	}
	view.Pager = windowPager(c, "/users", values, ends, len(users))
	view.Users = mapAll(users, func(u core.User) ui.UserRow {
		return ui.UserRow{ID: u.ID, Name: u.Username, Realname: u.Realname, Email: u.Email, Admin: u.SysAdmin, Disabled: u.Disabled,
			Own: u.ID == me(c).ID, Created: u.CreatedAt}
	})
	for _, show := range []string{"", "admins", "disabled"} {
		values.Set("show", show)
		view.Segments = append(view.Segments, ui.Link{Href: withQuery("/users", values), Label: i18n.T(ctx, "users.show."+show), Current: show == view.Show})
	}
	return h.show(c, http.StatusOK, sectionUsers, i18n.T(ctx, "users.title"), ui.Users(view))
}

func (h *api) newUserPage(c echo.Context) error {
	if err := h.app.Authorize(c.Request().Context(), caller(c), core.ResUser, core.ActCreate); err != nil {
		return err
	}
	return h.showNewUser(c, http.StatusOK, ui.NewUserView{Form: ui.NewForm()})
}

func (h *api) showNewUser(c echo.Context, status int, view ui.NewUserView) error {
	return h.show(c, status, sectionUsers, i18n.T(c.Request().Context(), "users.new"), ui.NewUser(view))
}

func (h *api) createUserPage(c echo.Context) error {
	r := c.Request()
	ctx := r.Context()
	view := ui.NewUserView{Form: ui.NewForm(), Profile: typedProfile(c), Name: strings.TrimSpace(r.PostForm.Get("username")), Admin: r.PostForm.Get("sysadmin") == "true"}
	password := r.PostForm.Get("password")
	if core.ValidateUsername(view.Name) != nil {
		view.Wrong("username", i18n.T(ctx, "users.name"), i18n.T(ctx, "users.name.invalid"))
	}
	checkProfile(c, &view.Form, view.Profile)
	if app.CheckPassword(password) != nil {
		view.Wrong("password", i18n.T(ctx, "users.password"), i18n.T(ctx, "users.password.invalid"))
	}
	if view.Failed() {
		return h.showNewUser(c, http.StatusUnprocessableEntity, view)
	}
	_, err := h.app.CreateUser(ctx, caller(c), app.NewUser{Username: view.Name, Email: view.Email, Realname: view.Realname,
		Comment: view.Comment, Password: password, SysAdmin: view.Admin})
	switch core.ErrorCode(err) {
	case "":
		return done(c, "/users", "users.toast.created", view.Name)
	case core.CodeConflict:
		view.Wrong("username", i18n.T(ctx, "users.name"), i18n.T(ctx, "users.taken"))
		view.Wrong("email", i18n.T(ctx, "users.email"), i18n.T(ctx, "users.taken"))
	case core.CodeBadRequest: // the one rule that is left: reserved names
		view.Wrong("username", i18n.T(ctx, "users.name"), i18n.T(ctx, "users.name.reserved"))
	default:
		return err
	}
	return h.showNewUser(c, http.StatusUnprocessableEntity, view)
}

// typedProfile reads the free fields of an account from a form.
func typedProfile(c echo.Context) ui.Profile {
	form := c.Request().PostForm
	return ui.Profile{Email: strings.TrimSpace(form.Get("email")), Realname: strings.TrimSpace(form.Get("realname")), Comment: strings.TrimSpace(form.Get("comment"))}
}

// checkProfile marks the free fields that cannot be saved.
func checkProfile(c echo.Context, form *ui.Form, p ui.Profile) {
	ctx := c.Request().Context()
	if core.ValidateProfile(p.Email, "", "") != nil {
		form.Wrong("email", i18n.T(ctx, "users.email"), i18n.T(ctx, "users.email.invalid"))
	}
	if core.ValidateProfile("", p.Realname, "") != nil {
		form.Wrong("realname", i18n.T(ctx, "users.realname"), i18n.T(ctx, "users.text.invalid"))
	}
	if core.ValidateProfile("", "", p.Comment) != nil {
		form.Wrong("comment", i18n.T(ctx, "users.comment"), i18n.T(ctx, "users.text.invalid"))
	}
}

// saveProfile writes the free fields of an account; what cannot be saved is
// marked in the form, which has failed then.
func (h *api) saveProfile(c echo.Context, id int64, form *ui.Form, p ui.Profile) error {
	ctx := c.Request().Context()
	if checkProfile(c, form, p); form.Failed() {
		return nil
	}
	err := h.app.UpdateProfile(ctx, caller(c), id, p.Email, p.Realname, p.Comment)
	if core.ErrorCode(err) == core.CodeConflict {
		form.Wrong("email", i18n.T(ctx, "users.email"), i18n.T(ctx, "users.email.taken"))
		return nil
	}
	return err
}

func userPath(id int64) string { return "/users/" + strconv.FormatInt(id, 10) }
