package web

import (
	"context"
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

func (h *api) memberPages() []page {
	return []page{
		{method: http.MethodGet, path: projectPage + "/members", handle: h.membersPage},
		{method: http.MethodGet, path: projectPage + "/members/new", handle: h.newMemberPage},
		{method: http.MethodPost, path: projectPage + "/members", handle: h.addMemberPage},
		{method: http.MethodPost, path: projectPage + "/members/:mid", handle: h.memberRolePage},
		{method: http.MethodPost, path: projectPage + "/members/:mid/delete", handle: h.removeMemberPage},
	}
}

// projectRoles are the roles that a member may have, the one with the most
// rights first.
func projectRoles() []core.Role {
	return []core.Role{core.RoleProjectAdmin, core.RoleMaintainer, core.RoleDeveloper, core.RoleGuest, core.RoleLimitedGuest}
}

// roleOptions are the roles to choose from; hints says what each is for.
func roleOptions(ctx context.Context, hints bool) []ui.Option {
	return mapAll(projectRoles(), func(role core.Role) ui.Option {
		number := strconv.Itoa(int(role))
		option := ui.Option{Value: number, Label: ui.RoleName(ctx, role)}
		if hints {
			option.Hint = i18n.T(ctx, "members.role."+number)
		}
		return option
	})
}

// formRole reads a role from a form; 0, which is none, for anything else.
func formRole(c echo.Context, name string) core.Role {
	n, err := strconv.Atoi(c.Request().PostForm.Get(name))
	if err != nil {
		return 0
	}
	return core.Role(n)
}

func (h *api) membersPage(c echo.Context) error {
	ctx := c.Request().Context()
	p, err := h.openProject(c)
	if err != nil {
		return err
	}
	q, name := listPage(c), strings.TrimSpace(c.QueryParam("name"))
	members, total, err := h.app.Members(ctx, caller(c), core.ProjectRef{ID: p.ID}, name, q)
	if err != nil {
		return err
	}
	path := projectURL(p.Name, "members")
	view := ui.MembersView{Head: projectHead(c, p, tabMembers), Path: path, Filter: name, MayAdd: p.Rights.May(core.ResMember, core.ActCreate),
		Roles: roleOptions(ctx, false), Pager: pager(path, url.Values{"name": {name}}, q, len(members), total)}
	for _, m := range members {
		view.Members = append(view.Members, memberRow(ctx, c, p, m))
	}
	return h.showProject(c, http.StatusOK, p, tabMembers, ui.Members(view))
}

func memberRow(ctx context.Context, c echo.Context, p app.OpenedProject, m core.Member) ui.MemberRow {
	path := projectURL(p.Name, "members", strconv.FormatInt(m.ID, 10))
	row := ui.MemberRow{ID: m.ID, Name: m.Username, Role: ui.RoleName(ctx, m.Role), RoleValue: strconv.Itoa(int(m.Role)), Own: m.UserID == me(c).ID,
		Path: path, MayChange: p.Rights.May(core.ResMember, core.ActUpdate)}
	if p.Rights.May(core.ResMember, core.ActDelete) {
		row.Remove = &ui.Confirm{ID: "remove-" + strconv.FormatInt(m.ID, 10), Title: i18n.T(ctx, "members.remove.title", m.Username, p.Name),
			Text: i18n.T(ctx, "members.remove.text"), Action: path + "/delete", Verb: i18n.T(ctx, "members.remove")}
	}
	return row
}

// foundUsers is how many accounts a search for new members shows.
const foundUsers = 10

func (h *api) newMemberPage(c echo.Context) error {
	p, err := h.openProject(c)
	if err != nil {
		return err
	}
	if err := h.app.MayInProject(c.Request().Context(), caller(c), core.ProjectRef{ID: p.ID}, core.ResMember, core.ActCreate); err != nil {
		return err
	}
	view := ui.AddMemberView{Form: ui.NewForm(), Search: strings.TrimSpace(c.QueryParam("user")), Role: strconv.Itoa(int(core.RoleDeveloper))}
	return h.showAddMember(c, http.StatusOK, p, view)
}

// showAddMember adds the accounts that match what is searched for.
func (h *api) showAddMember(c echo.Context, status int, p app.OpenedProject, view ui.AddMemberView) error {
	ctx := c.Request().Context()
	view.Project, view.Path, view.Roles = p.Name, projectURL(p.Name, "members"), roleOptions(ctx, true)
	if view.Search == "" {
		return h.showProject(c, status, p, tabMembers, ui.AddMember(view))
	}
	users, _, err := h.app.SearchUsers(ctx, caller(c), view.Search, core.Query{Page: 1, PageSize: foundUsers})
	if err != nil {
		return err
	}
	members, _, err := h.app.Members(ctx, caller(c), core.ProjectRef{ID: p.ID}, view.Search, core.Query{Page: 1, PageSize: core.MaxPageSize})
	if err != nil {
		return err
	}
	roles := map[int64]core.Role{}
	for _, m := range members {
		roles[m.UserID] = m.Role
	}
	for _, u := range users {
		found := ui.FoundUser{ID: strconv.FormatInt(u.ID, 10), Name: u.Username}
		if role, is := roles[u.ID]; is {
			found.Role = ui.RoleName(ctx, role)
		}
		view.Found = append(view.Found, found)
		if view.User == "" && (len(users) == 1 || u.Username == view.Search) && found.Role == "" {
			view.User = found.ID
		}
	}
	return h.showProject(c, status, p, tabMembers, ui.AddMember(view))
}

func (h *api) addMemberPage(c echo.Context) error {
	ctx := c.Request().Context()
	p, err := h.openProject(c)
	if err != nil {
		return err
	}
	form := c.Request().PostForm
	view := ui.AddMemberView{Form: ui.NewForm(), Search: strings.TrimSpace(form.Get("search")), User: form.Get("user"), Role: form.Get("role")}
	id, _ := strconv.ParseInt(view.User, 10, 64) // 0 names nobody, which is refused
	_, _, err = h.app.AddMember(ctx, caller(c), core.ProjectRef{ID: p.ID}, core.User{ID: id}, formRole(c, "role"))
	switch core.ErrorCode(err) {
	case "":
		return done(c, projectURL(p.Name, "members"), "members.toast.added")
	case core.CodeConflict:
		view.Wrong("user", i18n.T(ctx, "members.user"), i18n.T(ctx, "members.user.is-member"))
	case core.CodeBadRequest:
		view.Wrong("user", i18n.T(ctx, "members.user"), i18n.T(ctx, "members.user.choose"))
	default:
		return err
	}
	return h.showAddMember(c, http.StatusUnprocessableEntity, p, view)
}

// memberRolePage changes a role, unless somebody else has changed it since the
// reader saw it.
func (h *api) memberRolePage(c echo.Context) error {
	ctx := c.Request().Context()
	p, err := h.openProject(c)
	if err != nil {
		return err
	}
	id, err := pathID(c, "mid")
	if err != nil {
		return err
	}
	role := formRole(c, "role-"+strconv.FormatInt(id, 10))
	if err := h.app.ChangeMemberRole(ctx, caller(c), core.ProjectRef{ID: p.ID}, id, formRole(c, "was"), role); err != nil {
		return err
	}
	return done(c, projectURL(p.Name, "members"), "members.toast.changed")
}

func (h *api) removeMemberPage(c echo.Context) error {
	p, err := h.openProject(c)
	if err != nil {
		return err
	}
	id, err := pathID(c, "mid")
	if err != nil {
		return err
	}
	if err := h.app.RemoveMember(c.Request().Context(), caller(c), core.ProjectRef{ID: p.ID}, id); err != nil {
		return err
	}
	if _, err := h.openProject(c); err != nil { // who left cannot see it any more
		return done(c, "/projects", "members.toast.removed")
	}
	return done(c, projectURL(p.Name, "members"), "members.toast.removed")
}
