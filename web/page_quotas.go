package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

const quotasPath = "/admin/quotas"

func (h *api) quotaPages() []page {
	return []page{{method: http.MethodGet, path: quotasPath, handle: h.quotasPage}}
}

// quotaSorts are the columns of the list by their name in the address. Names
// are read from A on, numbers from the largest on.
var quotaSorts = map[string]core.SortKey{
	"":      {Field: "used.storage", Descending: true},
	"name":  {Field: "name"},
	"limit": {Field: "hard.storage", Descending: true},
}

func (h *api) quotasPage(c echo.Context) error {
	ctx := c.Request().Context()
	q, text, sort := listPage(c), strings.TrimSpace(c.QueryParam("name")), c.QueryParam("sort")
	if _, ok := quotaSorts[sort]; !ok {
		sort = ""
	}
	q.Sort = []core.SortKey{quotaSorts[sort]}
	if text != "" {
		q.Filters = []core.Filter{{Field: "name", Match: core.MatchFuzzy, Values: []string{text}}}
	}
	projects, total, err := h.app.Quotas(ctx, caller(c), q)
	if err != nil {
		return err
	}
	values := url.Values{"name": {text}, "sort": {sort}}
	view := ui.QuotasView{Path: quotasPath, Filter: text, Sort: sort, Usual: h.app.Settings().StoragePerProject, Configuration: configurationPath + "#storage_per_project",
		Pager: pager(quotasPath, values, q, len(projects), total), Columns: quotaColumns(ctx, values)}
	view.Quotas = mapAll(projects, func(p core.Project) ui.QuotaRow {
		return ui.QuotaRow{Href: projectURL(p.Name), Name: p.Name, Owner: p.OwnerName, Used: p.QuotaUsed, Limit: p.QuotaHard, Edit: projectURL(p.Name, "settings")}
	})
	return h.show(c, http.StatusOK, sectionQuotas, i18n.T(ctx, "quotas.title"), ui.Quotas(view))
}

// quotaColumns are the heads of the table, which sort it.
func quotaColumns(ctx context.Context, values url.Values) []ui.Column {
	current := values.Get("sort")
	defer values.Set("sort", current)
	column := func(key, sort, class, order string) ui.Column {
		values.Set("sort", sort)
		col := ui.Column{Label: i18n.T(ctx, key), Class: class, Href: withQuery(quotasPath, values)}
		if sort == current {
			col.Sorted = order
		}
		return col
	}
	return []ui.Column{
		column("quotas.project", "name", "", "ascending"), {Label: i18n.T(ctx, "quotas.owner")},
		column("quotas.used", "", "col-size", "descending"), column("quotas.limit", "limit", "num", "descending"),
		{Label: i18n.T(ctx, "frame.actions"), Class: "fit", Hidden: true},
	}
}
