package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// systemRobots is where the robot accounts of the system are.
const systemRobots = "/admin/robots"

// robotPages are the same twice: for the robot accounts of the system, and for
// those of a project.
func (h *api) robotPages() []page {
	var all []page
	for base, id := range map[string]string{systemRobots: "/:system_robot", projectPage + "/robots": "/:robot_id"} {
		all = append(all,
			page{method: http.MethodGet, path: base, handle: h.robotsPage},
			page{method: http.MethodGet, path: base + "/new", handle: h.newRobotPage},
			page{method: http.MethodPost, path: base, handle: h.createRobotPage},
			page{method: http.MethodGet, path: base + id, handle: h.robotPage},
			page{method: http.MethodGet, path: base + id + "/access", handle: h.robotAccessPage},
			page{method: http.MethodPost, path: base + id + "/access", handle: h.saveRobotAccessPage},
			page{method: http.MethodPost, path: base + id + "/secret", handle: h.renewRobotPage},
			page{method: http.MethodPost, path: base + id + "/disabled", handle: h.switchRobotPage},
			page{method: http.MethodPost, path: base + id + "/delete", handle: h.deleteRobotPage})
	}
	return all
}

// robotPlace is whose robot accounts a page is about.
type robotPlace struct{ place }

// name is that of the project; "" for the system.
func (at robotPlace) name() string {
	if at.project == nil {
		return ""
	}
	return at.project.Name
}

// may says what the reader may do with the robot accounts of the place.
func (at robotPlace) may(c echo.Context, action core.Action) bool {
	if at.project == nil {
		return me(c).Administers
	}
	return at.project.Rights.May(core.ResRobot, action)
}

// robot is the path of one of the robot accounts.
func (at robotPlace) robot(id int64) string { return at.path + "/" + strconv.FormatInt(id, 10) }

// crumbs lead back to the list of the place, and to what that is in.
func (at robotPlace) crumbs(ctx context.Context) []ui.Link {
	list := ui.Link{Href: at.path, Label: i18n.T(ctx, "project.tab.robots")}
	if at.project == nil {
		return []ui.Link{list}
	}
	return []ui.Link{{Href: "/projects", Label: i18n.T(ctx, "projects.title")}, {Href: projectURL(at.project.Name), Label: at.project.Name}, list}
}

// openRobots reads from the path whose robot accounts the page is about, for
// those who may do action on them.
func (h *api) openRobots(c echo.Context, action core.Action) (robotPlace, error) {
	at, err := h.place(c, systemRobots, "robots")
	if err != nil {
		return robotPlace{}, err
	}
	return robotPlace{at}, h.mayAt(c, at, core.ResRobot, action)
}

// openRobot returns the robot account in the path, which must be one of the
// place in the path.
func (h *api) openRobot(c echo.Context) (robotPlace, core.Robot, error) {
	at, err := h.openRobots(c, core.ActRead)
	if err != nil {
		return at, core.Robot{}, err
	}
	name := "robot_id"
	if at.project == nil {
		name = "system_robot"
	}
	id, err := pathID(c, name)
	if err != nil {
		return at, core.Robot{}, err
	}
	r, err := h.app.Robot(c.Request().Context(), caller(c), id)
	if err == nil && r.ProjectID != at.id() {
		err = core.Errorf(core.CodeNotFound, "robot %d not found here", id)
	}
	return at, r, err
}

func (h *api) showRobots(c echo.Context, status int, at robotPlace, title string, body templ.Component) error {
	if at.project == nil {
		return h.show(c, status, sectionRobots, title, body)
	}
	return h.show(c, status, sectionProjects, title+" · "+at.project.Name, body)
}

func (h *api) robotsPage(c echo.Context) error {
	ctx := c.Request().Context()
	at, err := h.openRobots(c, core.ActList)
	if err != nil {
		return err
	}
	q := listPage(c)
	robots, total, err := h.app.Robots(ctx, caller(c), at.id(), q)
	if err != nil {
		return err
	}
	view := ui.RobotsView{Path: at.path, MayCreate: at.may(c, core.ActCreate), Pager: pager(at.path, url.Values{}, q, len(robots), total),
		Robots: mapAll(robots, func(r core.Robot) ui.RobotRow { return robotRow(ctx, at, r) })}
	if at.project != nil {
		head := projectHead(c, *at.project, tabRobots)
		view.Project = &head
	}
	return h.showRobots(c, http.StatusOK, at, i18n.T(ctx, "project.tab.robots"), ui.Robots(view))
}

func robotRow(ctx context.Context, at robotPlace, r core.Robot) ui.RobotRow {
	return ui.RobotRow{Href: at.robot(r.ID), Name: r.Name, Description: core.Clip(r.Description, 120), Access: accessOf(ctx, r),
		Expires: r.ExpiresAt, Expired: r.Expired(time.Now()), Disabled: r.Disabled, Created: r.CreatedAt}
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

// accessOf says in a few words what a robot account may do. A few words are
// enough for one of the presets in one place.
func accessOf(ctx context.Context, r core.Robot) string {
	places := grantPlaces(r)
	if len(places) == 1 && places[0].kind == app.RobotLevelProject {
		if name := presetOf(places[0].access); name != "" {
			return i18n.T(ctx, "robots.access."+name)
		}
	}
	return i18n.N(ctx, "robots.permissions", int64(len(r.Grants)))
}

// presetOf names the preset that is just these permissions; "" for none.
func presetOf(access []core.Permission) string {
	for _, preset := range accessPresets() {
		if len(access) == len(preset.permissions) && !slices.ContainsFunc(access, func(p core.Permission) bool { return !slices.Contains(preset.permissions, p) }) {
			return preset.name
		}
	}
	return ""
}

func (h *api) robotPage(c echo.Context) error {
	ctx := c.Request().Context()
	at, r, err := h.openRobot(c)
	if err != nil {
		return err
	}
	view := ui.RobotView{Row: robotRow(ctx, at, r), Crumbs: at.crumbs(ctx), Host: hostOf(h.deps.ExternalURL),
		Secret: h.shown.get(caller(c).Subject, r.Name), MayChange: at.may(c, core.ActUpdate)}
	view.Places = robotPlaces(ctx, at, r, view.MayChange)
	if at.project == nil && view.MayChange {
		view.More = morePlaces(ctx, at, r)
	}
	if at.may(c, core.ActDelete) {
		view.Delete = &ui.Confirm{ID: "delete", Title: i18n.T(ctx, "robots.delete.title", r.Name), Text: i18n.T(ctx, "robots.delete.text"),
			Action: view.Row.Href + "/delete", Verb: i18n.T(ctx, "robots.delete.verb")}
	}
	return h.showRobots(c, http.StatusOK, at, r.Name, ui.Robot(view))
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
func (h *api) newRobotView(c echo.Context, at robotPlace) ui.NewRobotView {
	ctx := c.Request().Context()
	usual := h.app.Settings().RobotDurationDays
	view := ui.NewRobotView{Form: ui.NewForm(), Crumbs: at.crumbs(ctx), System: at.project == nil, Path: at.path, Prefix: core.RobotFullName(at.name(), ""),
		Days: strconv.FormatInt(usual, 10), Access: "pull", Where: "all"}
	for _, days := range robotDays(usual) {
		label := i18n.T(ctx, "robots.for-ever")
		if days > 0 {
			label = i18n.N(ctx, "robots.days", days)
		}
		view.Times = append(view.Times, ui.Option{Value: strconv.FormatInt(days, 10), Label: label})
	}
	return view
}

// permissionGroups are the permissions that can be chosen by what they are
// about, with those in chosen ticked.
func permissionGroups(ctx context.Context, grantable, chosen []core.Permission) []ui.PermissionGroup {
	var groups []ui.PermissionGroup
	for _, permission := range grantable {
		box := ui.PermissionBox{Value: permissionText(permission), Label: i18n.T(ctx, "robots.action."+string(permission.Action)), Checked: slices.Contains(chosen, permission)}
		name := i18n.T(ctx, "robots.resource."+string(permission.Resource))
		if last := len(groups) - 1; last >= 0 && groups[last].Name == name {
			groups[last].Boxes = append(groups[last].Boxes, box)
			continue
		}
		groups = append(groups, ui.PermissionGroup{Name: name, Boxes: []ui.PermissionBox{box}})
	}
	return groups
}

func permissionText(p core.Permission) string { return string(p.Resource) + ":" + string(p.Action) }

// showNewRobot adds the permissions that can be chosen.
func (h *api) showNewRobot(c echo.Context, status int, at robotPlace, view ui.NewRobotView) error {
	ctx := c.Request().Context()
	system, project := core.GrantablePermissions()
	form := c.Request().PostForm // empty for a form that nobody has sent
	view.Groups = permissionGroups(ctx, project, tickedPermissions(form["permission"]))
	if at.project == nil {
		view.SystemGroups = permissionGroups(ctx, system, tickedPermissions(form["system"]))
	}
	return h.showRobots(c, status, at, i18n.T(ctx, "robots.new"), ui.NewRobot(view))
}

func (h *api) newRobotPage(c echo.Context) error {
	at, err := h.openRobots(c, core.ActCreate)
	if err != nil {
		return err
	}
	return h.showNewRobot(c, http.StatusOK, at, h.newRobotView(c, at))
}

// tickedPermissions reads the boxes of a form; what is no permission is refused
// where it is given.
func tickedPermissions(values []string) []core.Permission {
	return mapAll(values, func(value string) core.Permission {
		resource, action, _ := strings.Cut(value, ":")
		return core.Permission{Resource: core.Resource(resource), Action: core.Action(action)}
	})
}

// formAccess reads the permissions in projects that a form asks for.
func formAccess(form url.Values) []core.Permission {
	for _, preset := range accessPresets() {
		if form.Get("access") == preset.name {
			return preset.permissions
		}
	}
	return tickedPermissions(form["permission"])
}

// wantedPermissions reads what a new robot account is to do and where, and marks
// in the form what cannot be.
func wantedPermissions(c echo.Context, at robotPlace, view *ui.NewRobotView) []app.RobotPermission {
	ctx, form := c.Request().Context(), c.Request().PostForm
	access := formAccess(form)
	var namespaces []string
	switch {
	case at.project != nil:
		namespaces = []string{at.project.Name}
	case view.Where == "all":
		namespaces = []string{"*"}
	case view.Where == "projects":
		if namespaces = projectNames(view.Projects); len(namespaces) == 0 {
			view.Wrong("projects", i18n.T(ctx, "systemrobots.projects"), i18n.T(ctx, "systemrobots.projects.none"))
		}
	}
	if len(access) == 0 && view.Where != "none" {
		view.Wrong("access", i18n.T(ctx, "robots.access"), i18n.T(ctx, "robots.access.none"))
	}
	wanted := mapAll(namespaces, func(name string) app.RobotPermission {
		return app.RobotPermission{Kind: app.RobotLevelProject, Namespace: name, Access: access}
	})
	if system := tickedPermissions(form["system"]); at.project == nil && len(system) > 0 {
		wanted = append(wanted, app.RobotPermission{Kind: app.RobotLevelSystem, Namespace: "/", Access: system})
	}
	if len(wanted) == 0 && view.Where == "none" {
		view.Wrong("where", i18n.T(ctx, "systemrobots.where"), i18n.T(ctx, "systemrobots.nothing"))
	}
	return wanted
}

// projectNames are the names in a text, each once, apart by spaces or commas.
func projectNames(text string) []string {
	names := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	slices.Sort(names)
	return slices.Compact(names)
}

func (h *api) createRobotPage(c echo.Context) error {
	ctx := c.Request().Context()
	at, err := h.openRobots(c, core.ActCreate)
	if err != nil {
		return err
	}
	form := c.Request().PostForm
	view := h.newRobotView(c, at)
	view.Name, view.Description, view.Days = strings.TrimSpace(form.Get("name")), strings.TrimSpace(form.Get("description")), form.Get("days")
	view.Access, view.Where, view.Projects = form.Get("access"), form.Get("where"), form.Get("projects")
	if core.ValidateRobotName(view.Name) != nil {
		view.Wrong("name", i18n.T(ctx, "robots.name"), i18n.T(ctx, "robots.name.invalid"))
	}
	days, err := strconv.ParseInt(view.Days, 10, 64)
	if err != nil || days == 0 {
		view.Wrong("days", i18n.T(ctx, "robots.time"), i18n.T(ctx, "robots.time.invalid"))
	}
	spec := app.RobotSpec{Name: view.Name, Level: app.RobotLevelProject, Description: view.Description, Duration: days, Permissions: wantedPermissions(c, at, &view)}
	if at.project == nil {
		spec.Level = app.RobotLevelSystem
	}
	if view.Failed() {
		return h.showNewRobot(c, http.StatusUnprocessableEntity, at, view)
	}
	r, secret, err := h.app.CreateRobot(ctx, caller(c), spec)
	switch core.ErrorCode(err) {
	case "":
		h.shown.put(caller(c).Subject, r.Name, secret)
		return done(c, at.robot(r.ID), "robots.toast.created", r.Name)
	case core.CodeConflict:
		view.Wrong("name", i18n.T(ctx, "robots.name"), i18n.T(ctx, "robots.name.taken"))
	case core.CodeBadRequest:
		view.Problem = sentence(core.ErrorMessage(err))
	default:
		return err
	}
	return h.showNewRobot(c, http.StatusUnprocessableEntity, at, view)
}

func (h *api) renewRobotPage(c echo.Context) error {
	at, r, err := h.openRobot(c)
	if err != nil {
		return err
	}
	secret, err := h.app.RenewRobotSecret(c.Request().Context(), caller(c), r.ID, "")
	if err != nil {
		return err
	}
	h.shown.put(caller(c).Subject, r.Name, secret)
	return done(c, at.robot(r.ID), "robots.toast.renewed")
}

func (h *api) switchRobotPage(c echo.Context) error {
	at, r, err := h.openRobot(c)
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
	return done(c, at.robot(r.ID), key, r.Name)
}

func (h *api) deleteRobotPage(c echo.Context) error {
	at, r, err := h.openRobot(c)
	if err != nil {
		return err
	}
	if err := h.app.DeleteRobot(c.Request().Context(), caller(c), r.ID); err != nil {
		return err
	}
	return done(c, at.path, "robots.toast.deleted", r.Name)
}
