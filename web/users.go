package web

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

func (h *api) userRoutes() []route {
	return []route{
		{http.MethodGet, "/users", h.listUsers},
		{http.MethodPost, "/users", h.createUser},
		{http.MethodGet, "/users/current", h.currentUser},
		{http.MethodGet, "/users/current/permissions", h.currentPermissions},
		{http.MethodGet, "/users/search", h.searchUsers},
		{http.MethodGet, "/users/:user_id", h.getUser},
		{http.MethodPut, "/users/:user_id", h.updateUser},
		{http.MethodDelete, "/users/:user_id", h.deleteUser},
		{http.MethodPut, "/users/:user_id/password", h.changePassword},
		{http.MethodPut, "/users/:user_id/sysadmin", h.setSysAdmin},
		{http.MethodPut, "/users/:user_id/cli_secret", h.setCLISecret},
		{http.MethodDelete, "/users/:user_id/cli_secret", h.removeCLISecret},
		{http.MethodPut, "/users/:user_id/disabled", h.setDisabled},
		{http.MethodGet, "/users/:user_id/sessions", h.listSessions},
		{http.MethodDelete, "/users/:user_id/sessions", h.endSessions},
		{http.MethodDelete, "/users/:user_id/sessions/:session_id", h.endOneSession},
	}
}

// userJSON is Harbor's UserResp, with what Harbor does not have.
type userJSON struct {
	UserID          int64     `json:"user_id"`
	Username        string    `json:"username"`
	Email           string    `json:"email"`
	Realname        string    `json:"realname"`
	Comment         string    `json:"comment"`
	SysadminFlag    bool      `json:"sysadmin_flag"`
	AdminRoleInAuth bool      `json:"admin_role_in_auth"`
	Disabled        bool      `json:"disabled"`
	CreationTime    time.Time `json:"creation_time"`
	UpdateTime      time.Time `json:"update_time"`
}

func newUserJSON(u core.User) userJSON {
	return userJSON{UserID: u.ID, Username: u.Username, Email: u.Email, Realname: u.Realname, Comment: u.Comment,
		SysadminFlag: u.SysAdmin, Disabled: u.Disabled, CreationTime: u.CreatedAt, UpdateTime: u.UpdatedAt}
}

// foundUserJSON is Harbor's UserSearchRespItem.
type foundUserJSON struct {
	UserID   int64  `json:"user_id"`
	Username string `json:"username"`
}

// permissionJSON is Harbor's Permission.
type permissionJSON struct {
	Resource string `json:"resource"`
	Action   string `json:"action"`
}

func (h *api) listUsers(c echo.Context) error {
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	users, total, err := h.app.Users(c.Request().Context(), caller(c), q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(users, newUserJSON))
}

func (h *api) searchUsers(c echo.Context) error {
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	users, total, err := h.app.SearchUsers(c.Request().Context(), caller(c), c.QueryParam("username"), q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(users, func(u core.User) foundUserJSON { return foundUserJSON{u.ID, u.Username} }))
}

// createUser reads Harbor's UserCreationReq. The two names of the admin flag
// are read so that asking for it is refused, never overlooked.
func (h *api) createUser(c echo.Context) error {
	var body struct {
		Username     string `json:"username"`
		Email        string `json:"email"`
		Realname     string `json:"realname"`
		Comment      string `json:"comment"`
		Password     string `json:"password"`
		SysadminFlag bool   `json:"sysadmin_flag"`
		HasAdminRole bool   `json:"has_admin_role"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	id, err := h.app.CreateUser(c.Request().Context(), caller(c), app.NewUser{
		Username: body.Username, Email: body.Email, Realname: body.Realname, Comment: body.Comment,
		Password: body.Password, SysAdmin: body.SysadminFlag || body.HasAdminRole,
	})
	if err != nil {
		return err
	}
	return created(c, fmt.Sprintf("%s/users/%d", apiPrefix, id))
}

func (h *api) currentUser(c echo.Context) error {
	u, err := h.app.CurrentUser(c.Request().Context(), caller(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newUserJSON(u))
}

// currentPermissions answers for scope=/project/ID; as in Harbor any other
// scope has no permissions. With relative=true a resource is named without it.
func (h *api) currentPermissions(c echo.Context) error {
	scope := strings.TrimSuffix(c.QueryParam("scope"), "/")
	id, err := strconv.ParseInt(strings.TrimPrefix(scope, "/project/"), 10, 64)
	if err != nil || id <= 0 || !strings.HasPrefix(scope, "/project/") {
		id = -1 // no project has it
	}
	held, err := h.app.PermissionsIn(c.Request().Context(), caller(c), core.ProjectRef{ID: id})
	if err != nil {
		return err
	}
	prefix := scope + "/"
	if relative, err := strconv.ParseBool(c.QueryParam("relative")); err == nil && relative {
		prefix = ""
	}
	return c.JSON(http.StatusOK, mapAll(held, func(p core.Permission) permissionJSON {
		return permissionJSON{prefix + string(p.Resource), string(p.Action)}
	}))
}

func (h *api) getUser(c echo.Context) error {
	id, err := pathID(c, "user_id")
	if err != nil {
		return err
	}
	u, err := h.app.User(c.Request().Context(), caller(c), id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newUserJSON(u))
}

// changeUser is a PUT about one user: it reads the id and the body, then does it.
func changeUser[T any](c echo.Context, do func(id int64, body T) error) error {
	id, err := pathID(c, "user_id")
	if err != nil {
		return err
	}
	var body T
	if err := bind(c, &body); err != nil {
		return err
	}
	if err := do(id, body); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

// profileJSON is Harbor's UserProfile: a field that is left out is emptied.
type profileJSON struct {
	Email    string `json:"email"`
	Realname string `json:"realname"`
	Comment  string `json:"comment"`
}

func (h *api) updateUser(c echo.Context) error {
	return changeUser(c, func(id int64, body profileJSON) error {
		return h.app.UpdateProfile(c.Request().Context(), caller(c), id, body.Email, body.Realname, body.Comment)
	})
}

func (h *api) deleteUser(c echo.Context) error {
	id, err := pathID(c, "user_id")
	if err != nil {
		return err
	}
	if err := h.app.DeleteUser(c.Request().Context(), caller(c), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

// passwordJSON is Harbor's PasswordReq.
type passwordJSON struct {
	Old string `json:"old_password"`
	New string `json:"new_password"`
}

func (h *api) changePassword(c echo.Context) error {
	return changeUser(c, func(id int64, body passwordJSON) error {
		return h.app.ChangePassword(c.Request().Context(), caller(c), id, body.Old, body.New)
	})
}

// sysadminJSON is Harbor's UserSysAdminFlag. A body without the flag must not
// take the right away by accident.
type sysadminJSON struct {
	Flag *bool `json:"sysadmin_flag"`
}

func (h *api) setSysAdmin(c echo.Context) error {
	return changeUser(c, func(id int64, body sysadminJSON) error {
		if body.Flag == nil {
			return core.Errorf(core.CodeBadRequest, "the body needs the field sysadmin_flag with true or false")
		}
		return h.app.SetSysAdmin(c.Request().Context(), caller(c), id, *body.Flag)
	})
}

// secretJSON is Harbor's OIDCCliSecretReq.
type secretJSON struct {
	Secret string `json:"secret"`
}

func (h *api) setCLISecret(c echo.Context) error {
	return changeUser(c, func(id int64, body secretJSON) error {
		return h.app.SetCLISecret(c.Request().Context(), caller(c), id, body.Secret)
	})
}

func (h *api) removeCLISecret(c echo.Context) error {
	id, err := pathID(c, "user_id")
	if err != nil {
		return err
	}
	if err := h.app.RemoveCLISecret(c.Request().Context(), caller(c), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

// disabledJSON says whether an account admits nobody.
type disabledJSON struct {
	Disabled *bool `json:"disabled"`
}

func (h *api) setDisabled(c echo.Context) error {
	return changeUser(c, func(id int64, body disabledJSON) error {
		if body.Disabled == nil {
			return core.Errorf(core.CodeBadRequest, "the body needs the field disabled with true or false")
		}
		return h.app.SetDisabled(c.Request().Context(), caller(c), id, *body.Disabled)
	})
}

// sessionJSON is a browser in which an account is signed in.
type sessionJSON struct {
	ID           string    `json:"id"`
	Address      string    `json:"client_address"`
	Agent        string    `json:"client"`
	CreationTime time.Time `json:"creation_time"`
	LastUsed     time.Time `json:"last_used"`
}

func (h *api) listSessions(c echo.Context) error {
	id, err := pathID(c, "user_id")
	if err != nil {
		return err
	}
	sessions, err := h.app.Sessions(c.Request().Context(), caller(c), id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, mapAll(sessions, func(s app.BrowserSession) sessionJSON {
		return sessionJSON{s.ID, s.Address, s.Agent, s.CreatedAt, s.UsedAt}
	}))
}

func (h *api) endSessions(c echo.Context) error {
	id, err := pathID(c, "user_id")
	if err != nil {
		return err
	}
	if err := h.app.EndSessions(c.Request().Context(), caller(c), id, ""); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

func (h *api) endOneSession(c echo.Context) error {
	id, err := pathID(c, "user_id")
	if err != nil {
		return err
	}
	if err := h.app.EndSession(c.Request().Context(), caller(c), id, c.Param("session_id")); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}
