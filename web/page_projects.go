package web

import (
	"context"
	"math"
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

func (h *api) projectPages() []page {
	return []page{
		{method: http.MethodGet, path: "/projects", handle: h.projectsPage},
		{method: http.MethodGet, path: "/projects/new", handle: h.newProjectPage},
		{method: http.MethodPost, path: "/projects", handle: h.createProjectPage},
	}
}

// pageRows is how many rows a list of the user interface shows.
const pageRows = 25

// listPage reads the number of the page of a list; anything else is the first.
func listPage(c echo.Context) core.Query {
	n, err := strconv.Atoi(c.QueryParam("page"))
	if err != nil || n < 1 || n > math.MaxInt32 {
		n = 1
	}
	return core.Query{Page: n, PageSize: pageRows}
}

// pager is the view of a list's pages at path, whose filters are values.
func pager(path string, values url.Values, q core.Query, shown int, total int64) ui.PagerView {
	at := func(n int) string {
		values.Set("page", strconv.Itoa(n))
		defer values.Del("page")
		return withQuery(path, values)
	}
	view := ui.PagerView{From: q.Offset() + 1, To: q.Offset() + int64(shown), Total: total}
	if q.Page > 1 {
		view.Previous = at(q.Page - 1)
	}
	if view.To < total {
		view.Next = at(q.Page + 1)
	}
	return view
}

// withQuery adds the values that are not empty to path.
func withQuery(path string, values url.Values) string {
	full := url.Values{}
	for name := range values {
		if value := values.Get(name); value != "" {
			full.Set(name, value)
		}
	}
	if len(full) == 0 {
		return path
	}
	return path + "?" + full.Encode()
}

// projectSorts are the orders of the list of projects by the name in the address.
var projectSorts = map[string]core.SortKey{
	"name": {Field: "name"}, "updated": {Field: "update_time", Descending: true}, "created": {Field: "creation_time", Descending: true},
}

func (h *api) projectsPage(c echo.Context) error {
	ctx := c.Request().Context()
	q := listPage(c)
	view := ui.ProjectsView{Filter: strings.TrimSpace(c.QueryParam("name")), Visibility: c.QueryParam("visibility"),
		Sort: c.QueryParam("sort"), MayCreate: me(c).CreatesProjects}
	if view.Filter != "" {
		q.Filters = append(q.Filters, core.Filter{Field: "name", Match: core.MatchFuzzy, Values: []string{view.Filter}})
	}
	switch view.Visibility {
	case "public", "private":
		q.Filters = append(q.Filters, core.Filter{Field: "public", Values: []string{strconv.FormatBool(view.Visibility == "public")}})
	default:
		view.Visibility = ""
	}
	if order, ok := projectSorts[view.Sort]; ok {
		q.Sort = []core.SortKey{order}
	} else {
		view.Sort = ""
	}
	projects, total, err := h.app.Projects(ctx, caller(c), q)
	if err != nil {
		return err
	}
	values := url.Values{"name": {view.Filter}, "visibility": {view.Visibility}, "sort": {view.Sort}}
	view.Pager = pager("/projects", values, q, len(projects), total)
	view.Projects = mapAll(projects, func(p app.ProjectView) ui.ProjectRow { return projectRow(ctx, p) })
	view.Segments, view.Sorts = projectFilters(ctx, values), projectOrders(ctx)
	return h.show(c, http.StatusOK, sectionProjects, i18n.T(ctx, "projects.title"), ui.Projects(view))
}

func projectRow(ctx context.Context, p app.ProjectView) ui.ProjectRow {
	return ui.ProjectRow{Href: projectURL(p.Name), Name: p.Name, Public: p.Public, Role: ui.RoleName(ctx, p.Role),
		Repositories: p.RepoCount, Used: p.QuotaUsed, Limit: p.QuotaHard, Updated: p.UpdatedAt, Scans: p.Scans}
}

// projectFilters are the links that filter by who may see a project.
func projectFilters(ctx context.Context, values url.Values) []ui.Link {
	var links []ui.Link
	current := values.Get("visibility")
	for _, choice := range []ui.Option{{Value: "", Label: "projects.all"}, {Value: "private", Label: "projects.private"}, {Value: "public", Label: "projects.public"}} {
		values.Set("visibility", choice.Value)
		links = append(links, ui.Link{Href: withQuery("/projects", values), Label: i18n.T(ctx, choice.Label), Current: choice.Value == current})
	}
	values.Set("visibility", current)
	return links
}

func projectOrders(ctx context.Context) []ui.Option {
	return []ui.Option{
		{Value: "name", Label: i18n.T(ctx, "projects.sort.name")},
		{Value: "updated", Label: i18n.T(ctx, "projects.sort.updated")},
		{Value: "created", Label: i18n.T(ctx, "projects.sort.created")},
	}
}

// newProjectView is the form before anything was typed.
func (h *api) newProjectView(c echo.Context) ui.NewProjectView {
	settings := h.app.Settings()
	return ui.NewProjectView{Form: ui.NewForm(), Anonymous: settings.AnonymousAccess,
		MayChooseLimit: me(c).ChoosesLimits, UsualLimit: settings.StoragePerProject}
}

func (h *api) showNewProject(c echo.Context, status int, view ui.NewProjectView) error {
	return h.show(c, status, sectionProjects, i18n.T(c.Request().Context(), "projects.new"), ui.NewProject(view))
}

func (h *api) newProjectPage(c echo.Context) error {
	if err := h.app.MayCreateProject(c.Request().Context(), caller(c)); err != nil {
		return err
	}
	return h.showNewProject(c, http.StatusOK, h.newProjectView(c))
}

// maxLimit is what a project may store at most, in GiB: 1 EiB.
const maxLimit = 1 << 30

func (h *api) createProjectPage(c echo.Context) error {
	r := c.Request()
	ctx := r.Context()
	view := h.newProjectView(c)
	view.Name, view.Limit, view.Public = strings.TrimSpace(r.PostForm.Get("name")), strings.TrimSpace(r.PostForm.Get("limit")), r.PostForm.Get("access") == "public"
	wanted := app.NewProject{Name: view.Name, Metadata: map[string]string{"public": strconv.FormatBool(view.Public)}}
	if core.ValidateProjectName(view.Name) != nil {
		view.Wrong("name", i18n.T(ctx, "projects.name"), i18n.T(ctx, "projects.name.invalid"))
	}
	if view.Limit != "" {
		n, err := strconv.ParseInt(view.Limit, 10, 64)
		if err != nil || n < 1 || n > maxLimit {
			view.Wrong("limit", i18n.T(ctx, "projects.limit"), i18n.T(ctx, "projects.limit.invalid", i18n.Number(ctx, maxLimit)))
		}
		wanted.StorageLimit = n << 30
	}
	if view.Failed() {
		return h.showNewProject(c, http.StatusUnprocessableEntity, view)
	}
	_, err := h.app.CreateProject(ctx, caller(c), wanted)
	switch core.ErrorCode(err) {
	case "":
		return done(c, projectURL(view.Name), "projects.toast.created", view.Name)
	case core.CodeConflict:
		view.Wrong("name", i18n.T(ctx, "projects.name"), i18n.T(ctx, "projects.name.taken"))
	case core.CodeBadRequest:
		view.Problem = sentence(core.ErrorMessage(err))
	default:
		return err
	}
	return h.showNewProject(c, http.StatusUnprocessableEntity, view)
}
