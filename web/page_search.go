package web

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

func (h *api) searchPages() []page {
	return []page{{method: http.MethodGet, path: "/search", handle: h.searchPage}}
}

// searchPage finds the projects, repositories and, for those who may see them
// all, the accounts whose names contain what is asked for.
func (h *api) searchPage(c echo.Context) error {
	ctx := c.Request().Context()
	view := ui.SearchView{Text: strings.TrimSpace(c.QueryParam("q"))}
	if view.Text != "" {
		projects, repositories, err := h.app.Search(ctx, caller(c), view.Text)
		if err != nil {
			return err
		}
		view.Projects = mapAll(projects, func(p app.ProjectView) ui.Item {
			return ui.Item{Icon: "box", Title: p.Name, Href: "/projects/" + url.PathEscape(p.Name), Text: ui.RoleName(ctx, p.Role)}
		})
		view.Repositories = mapAll(repositories, func(r app.FoundRepository) ui.Item {
			_, name, _ := core.SplitRepository(r.Name)
			return ui.Item{Icon: "layers", Title: r.Name, Href: "/projects/" + url.PathEscape(r.ProjectName) + "/repositories/" + url.PathEscape(name),
				Text: i18n.N(ctx, "search.pulls", r.PullCount)}
		})
		if me(c).Administers {
			filter := core.Filter{Field: "search", Match: core.MatchFuzzy, Values: []string{view.Text}}
			users, _, err := h.app.UsersPage(ctx, caller(c), []core.Filter{filter}, core.Window{Size: pageRows})
			if err != nil {
				return err
			}
			view.Users = mapAll(users, func(u core.User) ui.Item {
				return ui.Item{Icon: "user", Title: u.Username, Href: userPath(u.ID), Text: u.Realname}
			})
		}
	}
	return h.show(c, http.StatusOK, "", i18n.T(ctx, "search.title"), ui.Search(view))
}
