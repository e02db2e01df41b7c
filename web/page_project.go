package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// projectPage is where a project's pages begin.
const projectPage = "/projects/:project_name"

func (h *api) oneProjectPages() []page {
	return []page{{method: http.MethodGet, path: projectPage, handle: h.repositoriesPage}}
}

// projectTab is one of the tabs of a project. Its text is project.tab.NAME; it
// is there for those who have any of the permissions.
type projectTab struct {
	name, path string
	any        []core.Permission
}

// The names of the tabs of a project.
const (
	tabRepositories = "repositories"
	tabMembers      = "members"
	tabRobots       = "robots"
	tabPolicies     = "policies"
	tabLabels       = "labels"
	tabSettings     = "settings"
	tabLogs         = "logs"
)

// projectTabs are all tabs of a project in their order.
func projectTabs() []projectTab {
	return []projectTab{
		{tabRepositories, "", []core.Permission{{Resource: core.ResRepository, Action: core.ActList}}},
		{tabMembers, "/members", []core.Permission{{Resource: core.ResMember, Action: core.ActList}}},
		{tabRobots, "/robots", []core.Permission{{Resource: core.ResRobot, Action: core.ActList}}},
		{tabPolicies, "/policies", []core.Permission{{Resource: core.ResMetadata, Action: core.ActRead}, {Resource: core.ResTagRetention, Action: core.ActRead}}},
		{tabLabels, "/labels", []core.Permission{{Resource: core.ResLabel, Action: core.ActList}}},
		{tabSettings, "/settings", []core.Permission{{Resource: core.ResQuota, Action: core.ActRead}}},
		{tabLogs, "/logs", []core.Permission{{Resource: core.ResLog, Action: core.ActList}}},
	}
}

// projectURL is the path of a project's page, or of what is below it.
func projectURL(project string, below ...string) string {
	path := "/projects/" + url.PathEscape(project)
	for _, part := range below {
		path += "/" + url.PathEscape(part)
	}
	return path
}

// openProject returns the project in the path with the reader's rights in it.
func (h *api) openProject(c echo.Context) (app.OpenedProject, error) {
	name, err := pathText(c, "project_name")
	if err != nil {
		return app.OpenedProject{}, err
	}
	return h.app.OpenProject(c.Request().Context(), caller(c), core.ProjectRef{Name: name})
}

// projectHead is what all pages of a project begin with.
func projectHead(c echo.Context, p app.OpenedProject, current string) ui.ProjectHead {
	ctx := c.Request().Context()
	head := ui.ProjectHead{Name: p.Name, Public: p.Public, Role: roleIn(ctx, c, p)}
	for _, tab := range projectTabs() {
		if slices.ContainsFunc(tab.any, func(n core.Permission) bool { return p.Rights[n] }) {
			head.Tabs = append(head.Tabs, ui.Tab{Href: projectURL(p.Name) + tab.path, Label: i18n.T(ctx, "project.tab."+tab.name), Current: tab.name == current})
		}
	}
	return head
}

// roleIn is the reader's role in the project, which an administrator of the
// registry need not have as a member.
func roleIn(ctx context.Context, c echo.Context, p app.OpenedProject) string {
	switch {
	case p.Role.Valid():
		return ui.RoleName(ctx, p.Role)
	case me(c).Administers:
		return i18n.T(ctx, "role.0")
	}
	return ""
}

// showProject answers with a page of a project.
func (h *api) showProject(c echo.Context, status int, p app.OpenedProject, tab string, body templ.Component) error {
	title := i18n.T(c.Request().Context(), "project.tab."+tab) + " · " + p.Name
	return h.show(c, status, sectionProjects, title, body)
}

// cursorField is the field of an address that tells the position in a list.
const cursorField = "at"

// window reads the position in a list from the address.
func window(c echo.Context) core.Window {
	return core.Window{Cursor: c.QueryParam(cursorField), Size: pageRows}
}

// beside is the view of the pages beside one, of a list at path whose filters
// are values.
func beside(path string, values url.Values, ends core.Ends, note string) ui.BesideView {
	at := func(cursor string) string {
		if cursor == "" {
			return ""
		}
		values.Set(cursorField, cursor)
		defer values.Del(cursorField)
		return withQuery(path, values)
	}
	return ui.BesideView{Previous: at(ends.Previous), Next: at(ends.Next), Note: note}
}

// lost says whether the position is behind the end of a list that has become
// shorter meanwhile; the reader is then led to its start.
func lost[T any](w core.Window, rows []T) bool { return w.Cursor != "" && len(rows) == 0 }

func (h *api) repositoriesPage(c echo.Context) error {
	p, err := h.openProject(c)
	if err != nil {
		return err
	}
	view, start, err := h.repositoriesView(c, p)
	if err != nil {
		return err
	}
	if start != "" {
		return redirect(c, start)
	}
	return h.showProject(c, http.StatusOK, p, tabRepositories, ui.Repositories(view))
}

// repositoriesView is the list of a project; start is its first page where the
// one that was asked for is gone.
func (h *api) repositoriesView(c echo.Context, p app.OpenedProject) (view ui.RepositoriesView, start string, err error) {
	ctx := c.Request().Context()
	filter := core.RepositoryFilter{Text: strings.TrimSpace(c.QueryParam("name")), Recent: c.QueryParam("sort") == "updated"}
	w := window(c)
	list, ends, err := h.app.RepositoryWindow(ctx, caller(c), core.ProjectRef{ID: p.ID}, filter, w)
	if err != nil {
		return view, "", err
	}
	path, values := projectURL(p.Name), url.Values{"name": {filter.Text}}
	if filter.Recent {
		values.Set("sort", "updated")
	}
	if lost(w, list) {
		return view, withQuery(path, values), nil
	}
	view = ui.RepositoriesView{Head: projectHead(c, p, tabRepositories), Path: path, Filter: filter.Text, Sort: values.Get("sort"),
		Sorts: []ui.Option{{Value: "", Label: i18n.T(ctx, "project.sort.name")}, {Value: "updated", Label: i18n.T(ctx, "project.sort.updated")}},
		Push:  h.pushHelp(c, p), Beside: beside(path, values, ends, ""), Query: liveQuery(c, values), Repositories: mapAll(list, repositoryRow)}
	if p.Rights.May(core.ResScan, core.ActCreate) && len(list) > 0 {
		view.Scan = projectURL(p.Name, "scan")
	}
	if p.Rights.May(core.ResExportCVE, core.ActCreate) && len(list) > 0 {
		view.Export = &ui.ExportView{Path: projectURL(p.Name, "vulnerabilities", "csv"), Severities: severityOptions(ctx), Shows: showOptions(ctx)}
	}
	view.Run, err = h.scanRun(c, p, "")
	return view, "", err
}

// pushHelp is what a first push into the project needs.
func (h *api) pushHelp(c echo.Context, p app.OpenedProject) ui.PushHelp {
	return ui.PushHelp{Host: hostOf(h.deps.ExternalURL), Project: p.Name, User: me(c).Username,
		May: p.Rights.May(core.ResRepository, core.ActPush)}
}

func repositoryRow(r app.ListedRepository) ui.RepositoryRow {
	_, name, _ := core.SplitRepository(r.Name)
	return ui.RepositoryRow{Href: repositoryURL(r.Name), Name: name, Description: firstLine(r.Description),
		Artifacts: r.ArtifactCount, Pulls: r.PullCount, Updated: r.UpdatedAt, Scans: r.Scans}
}

// firstLine is what a list shows of a description.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return core.Clip(strings.TrimSpace(strings.TrimLeft(line, "# ")), 120)
}
