package web

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

func (h *api) projectLogPages() []page {
	return []page{{method: http.MethodGet, path: projectPage + "/logs", handle: h.projectLogsPage}}
}

// logFilters reads what of the log the address asks for, and which of it is
// worth to be kept in the addresses of the pages beside.
func logFilters(c echo.Context) ([]core.Filter, url.Values) {
	var filters []core.Filter
	values := url.Values{}
	take := func(name string) string {
		value := strings.TrimSpace(c.QueryParam(name))
		if value != "" {
			values.Set(name, value)
		}
		return value
	}
	for name, field := range map[string]string{"user": "username", "resource": "resource"} {
		if value := take(name); value != "" {
			filters = append(filters, core.Filter{Field: field, Match: core.MatchFuzzy, Values: []string{value}})
		}
	}
	if value := take("operation"); value != "" {
		filters = append(filters, core.Filter{Field: "operation", Values: []string{value}})
	}
	switch take("result") {
	case "ok":
		filters = append(filters, core.Filter{Field: "operation_result", Values: []string{"true"}})
	case "refused":
		filters = append(filters, core.Filter{Field: "operation_result", Values: []string{"false"}})
	default:
		values.Del("result")
	}
	from, to := take("from"), take("to")
	if day, err := time.Parse(time.DateOnly, to); err == nil {
		to = day.Add(24*time.Hour - time.Microsecond).Format(time.RFC3339Nano) // the whole day
	} else {
		to = ""
		values.Del("to")
	}
	if _, err := time.Parse(time.DateOnly, from); err != nil {
		from = ""
		values.Del("from")
	}
	if from != "" || to != "" {
		filters = append(filters, core.Filter{Field: "op_time", Match: core.MatchRange, Values: []string{from, to}})
	}
	return filters, values
}

// logOperations are the operations that the log of a project is filtered by.
func logOperations() []string {
	return []string{"create", "update", "delete", "push", "pull", "operate", "stop"}
}

func (h *api) projectLogsPage(c echo.Context) error {
	ctx := c.Request().Context()
	p, err := h.openProject(c)
	if err != nil {
		return err
	}
	filters, values := logFilters(c)
	w := window(c)
	rows, ends, err := h.app.ProjectLogWindow(ctx, caller(c), core.ProjectRef{ID: p.ID}, filters, w)
	if err != nil {
		return err
	}
	path := projectURL(p.Name, "logs")
	if lost(w, rows) {
		return redirect(c, withQuery(path, values))
	}
	view := ui.LogsView{Head: projectHead(c, p, tabLogs), Path: path, Filtered: len(values) > 0, User: values.Get("user"), Resource: values.Get("resource"),
		Operation: values.Get("operation"), Result: values.Get("result"), From: values.Get("from"), To: values.Get("to"),
		Beside: beside(path, values, ends, i18n.T(ctx, "repository.newest"))}
	view.Operations = append(view.Operations, ui.Option{Value: "", Label: i18n.T(ctx, "logs.any")})
	for _, operation := range logOperations() {
		view.Operations = append(view.Operations, ui.Option{Value: operation, Label: i18n.T(ctx, "logs.operation."+operation)})
	}
	view.Results = []ui.Option{{Value: "", Label: i18n.T(ctx, "logs.any")}, {Value: "ok", Label: i18n.T(ctx, "logs.ok")}, {Value: "refused", Label: i18n.T(ctx, "logs.refused")}}
	for _, e := range rows {
		view.Rows = append(view.Rows, logRow(c, e))
	}
	return h.showProject(c, http.StatusOK, p, tabLogs, ui.Logs(view))
}

func logRow(c echo.Context, e core.AuditEvent) ui.LogRow {
	operation := e.Operation
	if key := "logs.operation." + e.Operation; i18n.Has(key) {
		operation = i18n.T(c.Request().Context(), key)
	}
	return ui.LogRow{At: e.Time, User: e.Username, Operation: operation, Type: e.ResourceType, Resource: e.Resource, Description: e.Description,
		Address: e.Origin.Address, Success: e.Success, Repeats: e.Repeats}
}
