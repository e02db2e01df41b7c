package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

func (h *api) robotPages() []page {
	return []page{
		{method: http.MethodGet, path: projectPage + "/robots", handle: h.robotsPage},
		{method: http.MethodGet, path: projectPage + "/robots/new", handle: h.newRobotPage},
		{method: http.MethodPost, path: projectPage + "/robots", handle: h.createRobotPage},
		{method: http.MethodGet, path: projectPage + "/robots/:robot_id", handle: h.robotPage},
		{method: http.MethodPost, path: projectPage + "/robots/:robot_id/secret", handle: h.renewRobotPage},
		{method: http.MethodPost, path: projectPage + "/robots/:robot_id/disabled", handle: h.switchRobotPage},
		{method: http.MethodPost, path: projectPage + "/robots/:robot_id/delete", handle: h.deleteRobotPage},
	}
}

func (h *api) robotsPage(c echo.Context) error {
	ctx := c.Request().Context()
	p, err := h.openProject(c)
	if err != nil {
		return err
	}
	q := listPage(c)
	robots, total, err := h.app.Robots(ctx, caller(c), p.ID, q)
	if err != nil {
		return err
	}
	path := projectURL(p.Name, "robots")
	view := ui.RobotsView{Head: projectHead(c, p, tabRobots), Path: path, MayCreate: p.Rights.May(core.ResRobot, core.ActCreate),
		Pager: pager(path, url.Values{}, q, len(robots), total)}
	for _, r := range robots {
		view.Robots = append(view.Robots, robotRow(ctx, p, r))
	}
	return h.showProject(c, http.StatusOK, p, tabRobots, ui.Robots(view))
}

func robotRow(ctx context.Context, p app.OpenedProject, r core.Robot) ui.RobotRow {
	return ui.RobotRow{Href: robotURL(p.Name, r.ID), Name: r.Name, Description: core.Clip(r.Description, 120), Access: accessOf(ctx, r),
		Expires: r.ExpiresAt, Expired: r.Expired(time.Now()), Disabled: r.Disabled, Created: r.CreatedAt}
}

func robotURL(project string, id int64) string {
	return projectURL(project, "robots", strconv.FormatInt(id, 10))
}

// accessPresets are the sets of permissions that most robot accounts have; the
// text of each is robots.access.NAME.
func accessPresets() []struct {
	name        string
	permissions []core.Permission
} {
	pull := core.Permission{Resource: core.ResRepository, Action: core.ActPull}
	push := core.Permission{Resource: core.ResRepository, Action: core.ActPush}
	return []struct {
		name        string
		permissions []core.Permission
	}{{"pull", []core.Permission{pull}}, {"push", []core.Permission{pull, push}}}
}

// accessOf says in a few words what a robot account may do.
func accessOf(ctx context.Context, r core.Robot) string {
	for _, preset := range accessPresets() {
		if len(r.Grants) == len(preset.permissions) && !slices.ContainsFunc(r.Grants, func(g core.RobotGrant) bool { return !slices.Contains(preset.permissions, g.Permission) }) {
			return i18n.T(ctx, "robots.access."+preset.name)
		}
	}
	return i18n.N(ctx, "robots.permissions", int64(len(r.Grants)))
}

// robotInProject returns the robot account in the path, which must be one of
// the project in the path.
func (h *api) robotInProject(c echo.Context) (app.OpenedProject, core.Robot, error) {
	p, err := h.openProject(c)
	if err != nil {
		return p, core.Robot{}, err
	}
	if err := h.app.MayInProject(c.Request().Context(), caller(c), core.ProjectRef{ID: p.ID}, core.ResRobot, core.ActRead); err != nil {
		return p, core.Robot{}, err
	}
	id, err := pathID(c, "robot_id")
	if err != nil {
		return p, core.Robot{}, err
	}
	r, err := h.app.Robot(c.Request().Context(), caller(c), id)
	if err == nil && r.ProjectID != p.ID {
		err = core.Errorf(core.CodeNotFound, "robot %d not found in the project %s", id, p.Name)
	}
	return p, r, err
}

func (h *api) robotPage(c echo.Context) error {
	ctx := c.Request().Context()
	p, r, err := h.robotInProject(c)
	if err != nil {
		return err
	}
	view := ui.RobotView{Row: robotRow(ctx, p, r), Project: ui.Link{Href: projectURL(p.Name), Label: p.Name}, Robots: projectURL(p.Name, "robots"), Host: hostOf(h.deps.ExternalURL),
		Secret: h.shown.get(caller(c).Subject, r.Name), MayChange: p.Rights.May(core.ResRobot, core.ActUpdate), Grants: grantRows(ctx, r)}
	if p.Rights.May(core.ResRobot, core.ActDelete) {
		view.Delete = &ui.Confirm{ID: "delete", Title: i18n.T(ctx, "robots.delete.title", r.Name), Text: i18n.T(ctx, "robots.delete.text"),
			Action: view.Row.Href + "/delete", Verb: i18n.T(ctx, "robots.delete.verb")}
	}
	return h.show(c, http.StatusOK, sectionProjects, r.Name, ui.Robot(view))
}

// grantRows are the permissions of a robot account by what they are about.
func grantRows(ctx context.Context, r core.Robot) []ui.Fact {
	var rows []ui.Fact
	for _, g := range r.Grants {
		label, action := i18n.T(ctx, "robots.resource."+string(g.Resource)), i18n.T(ctx, "robots.action."+string(g.Action))
		if last := len(rows) - 1; last >= 0 && rows[last].Label == label {
			rows[last].Value += ", " + action
			continue
		}
		rows = append(rows, ui.Fact{Label: label, Value: action})
	}
	return rows
}

// robotDays are the times that are offered, in days; -1 is for ever.
func robotDays(usual int64) []int64 {
	days := []int64{7, 30, 90, 365, -1}
	if !slices.Contains(days, usual) {
		days = append([]int64{usual}, days...)
	}
	return days
}

// newRobotView is the form before anything was typed.
func (h *api) newRobotView(c echo.Context, p app.OpenedProject) ui.NewRobotView {
	ctx := c.Request().Context()
	usual := h.app.Settings().RobotDurationDays
	view := ui.NewRobotView{Form: ui.NewForm(), Project: p.Name, Path: projectURL(p.Name, "robots"), Prefix: core.RobotFullName(p.Name, ""),
		Days: strconv.FormatInt(usual, 10), Access: "pull"}
	for _, days := range robotDays(usual) {
		label := i18n.T(ctx, "robots.for-ever")
		if days > 0 {
			label = i18n.N(ctx, "robots.days", days)
		}
		view.Times = append(view.Times, ui.Option{Value: strconv.FormatInt(days, 10), Label: label})
	}
	return view
}

// showNewRobot adds the permissions that can be chosen, with those in chosen
// ticked.
func (h *api) showNewRobot(c echo.Context, status int, p app.OpenedProject, view ui.NewRobotView, chosen []string) error {
	ctx := c.Request().Context()
	_, grantable := core.GrantablePermissions()
	for _, permission := range grantable {
		value := string(permission.Resource) + ":" + string(permission.Action)
		box := ui.PermissionBox{Value: value, Label: i18n.T(ctx, "robots.action."+string(permission.Action)), Checked: slices.Contains(chosen, value)}
		name := i18n.T(ctx, "robots.resource."+string(permission.Resource))
		if last := len(view.Groups) - 1; last >= 0 && view.Groups[last].Name == name {
			view.Groups[last].Boxes = append(view.Groups[last].Boxes, box)
			continue
		}
		view.Groups = append(view.Groups, ui.PermissionGroup{Name: name, Boxes: []ui.PermissionBox{box}})
	}
	return h.showProject(c, status, p, tabRobots, ui.NewRobot(view))
}

func (h *api) newRobotPage(c echo.Context) error {
	p, err := h.openProject(c)
	if err != nil {
		return err
	}
	if err := h.app.MayInProject(c.Request().Context(), caller(c), core.ProjectRef{ID: p.ID}, core.ResRobot, core.ActCreate); err != nil {
		return err
	}
	return h.showNewRobot(c, http.StatusOK, p, h.newRobotView(c, p), nil)
}

// formAccess reads the permissions that a form asks for.
func formAccess(form url.Values) []core.Permission {
	for _, preset := range accessPresets() {
		if form.Get("access") == preset.name {
			return preset.permissions
		}
	}
	var all []core.Permission
	for _, value := range form["permission"] {
		resource, action, _ := strings.Cut(value, ":")
		all = append(all, core.Permission{Resource: core.Resource(resource), Action: core.Action(action)})
	}
	return all
}

func (h *api) createRobotPage(c echo.Context) error {
	ctx := c.Request().Context()
	p, err := h.openProject(c)
	if err != nil {
		return err
	}
	form := c.Request().PostForm
	view := h.newRobotView(c, p)
	view.Name, view.Description, view.Days, view.Access = strings.TrimSpace(form.Get("name")), strings.TrimSpace(form.Get("description")), form.Get("days"), form.Get("access")
	if core.ValidateRobotName(view.Name) != nil {
		view.Wrong("name", i18n.T(ctx, "robots.name"), i18n.T(ctx, "robots.name.invalid"))
	}
	days, err := strconv.ParseInt(view.Days, 10, 64)
	if err != nil || days == 0 {
		view.Wrong("days", i18n.T(ctx, "robots.time"), i18n.T(ctx, "robots.time.invalid"))
	}
	access := formAccess(form)
	if len(access) == 0 {
		view.Wrong("access", i18n.T(ctx, "robots.access"), i18n.T(ctx, "robots.access.none"))
	}
	if view.Failed() {
		return h.showNewRobot(c, http.StatusUnprocessableEntity, p, view, form["permission"])
	}
	r, secret, err := h.app.CreateRobot(ctx, caller(c), app.RobotSpec{Name: view.Name, Level: app.RobotLevelProject, Description: view.Description, Duration: days,
		Permissions: []app.RobotPermission{{Kind: app.RobotLevelProject, Namespace: p.Name, Access: access}}})
	switch core.ErrorCode(err) {
	case "":
		h.shown.put(caller(c).Subject, r.Name, secret)
		return done(c, robotURL(p.Name, r.ID), "robots.toast.created", r.Name)
	case core.CodeConflict:
		view.Wrong("name", i18n.T(ctx, "robots.name"), i18n.T(ctx, "robots.name.taken"))
	case core.CodeBadRequest:
		view.Problem = sentence(core.ErrorMessage(err))
	default:
		return err
	}
	return h.showNewRobot(c, http.StatusUnprocessableEntity, p, view, form["permission"])
}

func (h *api) renewRobotPage(c echo.Context) error {
	p, r, err := h.robotInProject(c)
	if err != nil {
		return err
	}
	secret, err := h.app.RenewRobotSecret(c.Request().Context(), caller(c), r.ID, "")
	if err != nil {
		return err
	}
	h.shown.put(caller(c).Subject, r.Name, secret)
	return done(c, robotURL(p.Name, r.ID), "robots.toast.renewed")
}

func (h *api) switchRobotPage(c echo.Context) error {
	p, r, err := h.robotInProject(c)
	if err != nil {
		return err
	}
	disabled := c.Request().PostForm.Get("disabled") == "true"
	if err := h.app.SetRobotDisabled(c.Request().Context(), caller(c), r.ID, disabled); err != nil {
		return err
	}
	key := "robots.toast.enabled"
	if disabled {
		key = "robots.toast.disabled"
	}
	return done(c, robotURL(p.Name, r.ID), key, r.Name)
}

func (h *api) deleteRobotPage(c echo.Context) error {
	p, r, err := h.robotInProject(c)
	if err != nil {
		return err
	}
	if err := h.app.DeleteRobot(c.Request().Context(), caller(c), r.ID); err != nil {
		return err
	}
	return done(c, projectURL(p.Name, "robots"), "robots.toast.deleted", r.Name)
}
