package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// grantPlace is where a robot account has rights, and which.
type grantPlace struct {
	kind, namespace string
	access          []core.Permission
}

// grantPlaces groups the rights of a robot account by where they hold.
func grantPlaces(r core.Robot) []grantPlace {
	var all []grantPlace
	for _, g := range r.Grants {
		kind, namespace := app.GrantNamespace(g)
		i := slices.IndexFunc(all, func(p grantPlace) bool { return p.kind == kind && p.namespace == namespace })
		if i < 0 {
			i = len(all)
			all = append(all, grantPlace{kind: kind, namespace: namespace})
		}
		all[i].access = append(all[i].access, g.Permission)
	}
	return all
}

// title says where, as the heading above what may be done there.
func (p grantPlace) title(ctx context.Context, at robotPlace) string {
	switch {
	case at.project != nil:
		return i18n.T(ctx, "robots.may")
	case p.kind == app.RobotLevelSystem:
		return i18n.T(ctx, "systemrobots.in.registry")
	case p.namespace == "*":
		return i18n.T(ctx, "systemrobots.in.all")
	case p.namespace == "":
		return i18n.T(ctx, "systemrobots.in.another")
	}
	return i18n.T(ctx, "systemrobots.in.project", p.namespace)
}

// robotPlaces are the cards of what a robot account may do.
func robotPlaces(ctx context.Context, at robotPlace, r core.Robot, change bool) []ui.RobotPlace {
	return mapAll(grantPlaces(r), func(p grantPlace) ui.RobotPlace {
		card := ui.RobotPlace{Title: p.title(ctx, at), Grants: permissionFacts(ctx, p.access)}
		if change {
			card.Change = accessURL(at.robot(r.ID), p.kind, p.namespace)
		}
		return card
	})
}

func accessURL(robot, kind, namespace string) string {
	return withQuery(robot+"/access", url.Values{"kind": {kind}, "in": {namespace}})
}

// permissionFacts are permissions by what they are about.
func permissionFacts(ctx context.Context, access []core.Permission) []ui.Fact {
	var rows []ui.Fact
	for _, p := range access {
		label, action := i18n.T(ctx, "robots.resource."+string(p.Resource)), i18n.T(ctx, "robots.action."+string(p.Action))
		if last := len(rows) - 1; last >= 0 && rows[last].Label == label {
			rows[last].Value += ", " + action
			continue
		}
		rows = append(rows, ui.Fact{Label: label, Value: action})
	}
	return rows
}

// morePlaces are the links to give a robot account of the system rights where
// it has none yet.
func morePlaces(ctx context.Context, at robotPlace, r core.Robot) []ui.Link {
	places := grantPlaces(r)
	var links []ui.Link
	for _, p := range []grantPlace{{kind: app.RobotLevelProject}, {kind: app.RobotLevelProject, namespace: "*"}, {kind: app.RobotLevelSystem, namespace: "/"}} {
		has := slices.ContainsFunc(places, func(own grantPlace) bool { return own.kind == p.kind && own.namespace == p.namespace })
		if !has {
			links = append(links, ui.Link{Href: accessURL(at.robot(r.ID), p.kind, p.namespace), Label: p.title(ctx, at)})
		}
	}
	return links
}

// robotAccessView is the form for the rights in the place p, with what the
// robot account has there.
func robotAccessView(ctx context.Context, at robotPlace, r core.Robot, p grantPlace) ui.RobotAccessView {
	view := ui.RobotAccessView{Form: ui.NewForm(), Path: at.robot(r.ID), Title: p.title(ctx, at), Kind: p.kind, Namespace: p.namespace, Access: "chosen"}
	view.Crumbs = append(at.crumbs(ctx), ui.Link{Href: view.Path, Label: r.Name})
	places := grantPlaces(r)
	i := slices.IndexFunc(places, func(own grantPlace) bool { return own.kind == p.kind && own.namespace == p.namespace })
	if i >= 0 {
		p.access = places[i].access
	}
	if preset := presetOf(p.access); preset != "" {
		view.Access = preset
	}
	if i >= 0 && len(places) > 1 {
		view.Remove = &ui.Confirm{ID: "remove", Title: i18n.T(ctx, "systemrobots.remove.title"), Text: i18n.T(ctx, "systemrobots.remove.text", r.Name), Action: view.Path + "/access",
			Verb: i18n.T(ctx, "systemrobots.remove"), Hidden: []ui.Hidden{{Name: "kind", Value: p.kind}, {Name: "in", Value: p.namespace}, {Name: "remove", Value: "true"}}}
	}
	view.Groups = placeGroups(ctx, p.kind, p.access)
	return view
}

func placeGroups(ctx context.Context, kind string, chosen []core.Permission) []ui.PermissionGroup {
	system, project := core.GrantablePermissions()
	if kind == app.RobotLevelSystem {
		project = system
	}
	return permissionGroups(ctx, project, chosen)
}

// accessPlace reads which of the places of a robot account is meant; one of a
// project has rights there only.
func accessPlace(at robotPlace, kind, namespace string) grantPlace {
	switch {
	case at.project != nil:
		return grantPlace{kind: app.RobotLevelProject, namespace: at.project.Name}
	case kind == app.RobotLevelSystem:
		return grantPlace{kind: kind, namespace: "/"}
	}
	return grantPlace{kind: app.RobotLevelProject, namespace: namespace}
}

func (h *api) robotAccessPage(c echo.Context) error {
	at, r, err := h.openRobot(c)
	if err != nil {
		return err
	}
	if _, err := h.openRobots(c, core.ActUpdate); err != nil {
		return err
	}
	view := robotAccessView(c.Request().Context(), at, r, accessPlace(at, c.QueryParam("kind"), c.QueryParam("in")))
	return h.showRobots(c, http.StatusOK, at, view.Title, ui.RobotAccess(view))
}

func (h *api) saveRobotAccessPage(c echo.Context) error {
	ctx, form := c.Request().Context(), c.Request().PostForm
	at, r, err := h.openRobot(c)
	if err != nil {
		return err
	}
	p := accessPlace(at, form.Get("kind"), form.Get("in"))
	view := robotAccessView(ctx, at, r, p)
	if p.namespace == "" {
		view.Project = strings.TrimSpace(form.Get("project"))
		p.namespace = view.Project
	}
	if form.Get("remove") == "" {
		p.access = formAccess(form)
		view.Access, view.Groups = form.Get("access"), placeGroups(ctx, p.kind, p.access)
		if p.kind == app.RobotLevelSystem {
			p.access = tickedPermissions(form["permission"])
		}
		if len(p.access) == 0 {
			view.Wrong("access", i18n.T(ctx, "robots.access"), i18n.T(ctx, "robots.access.none"))
		}
	}
	if !view.Failed() {
		err = h.app.SetRobotAccess(ctx, caller(c), r.ID, app.RobotPermission{Kind: p.kind, Namespace: p.namespace, Access: p.access})
		switch core.ErrorCode(err) {
		case "":
			return done(c, at.robot(r.ID), "systemrobots.toast.saved", r.Name)
		case core.CodeBadRequest:
			view.Problem = sentence(core.ErrorMessage(err))
		default:
			return err
		}
	}
	return h.showRobots(c, http.StatusUnprocessableEntity, at, view.Title, ui.RobotAccess(view))
}
