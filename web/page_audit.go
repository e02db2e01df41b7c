package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

const auditPath = "/admin/audit"

func (h *api) auditPages() []page {
	return []page{
		{method: http.MethodGet, path: auditPath, handle: h.auditPage},
		{method: http.MethodGet, path: auditPath + "/export", handle: h.exportAuditPage},
	}
}

// auditFilterNames are the filters of the page, in the address, by the fields of
// the list. Those that match a part are written with ~ before the field.
var auditFilterNames = map[string]string{
	"user": "username", "operation": "operation", "type": "resource_type", "resource": "~resource", "address": "client_address",
}

// auditFilters reads the filters of the address. values are those of them that
// are filters, for links that keep them; a date that is none is left out.
func auditFilters(c echo.Context) (filters []core.Filter, values url.Values) {
	values = url.Values{}
	for name, field := range auditFilterNames {
		text := strings.TrimSpace(c.QueryParam(name))
		if text == "" {
			continue
		}
		values.Set(name, text)
		match := core.MatchExact
		if plain, fuzzy := strings.CutPrefix(field, "~"); fuzzy {
			field, match = plain, core.MatchFuzzy
		}
		filters = append(filters, core.Filter{Field: field, Match: match, Values: []string{text}})
	}
	if result := c.QueryParam("result"); result == "ok" || result == "failed" {
		values.Set("result", result)
		filters = append(filters, core.Filter{Field: "operation_result", Values: []string{strconv.FormatBool(result == "ok")}})
	}
	from, until := readDay(c, "from", values), readDay(c, "until", values)
	if !from.IsZero() || !until.IsZero() {
		filters = append(filters, core.Filter{Field: "op_time", Match: core.MatchRange, Values: []string{momentText(from), momentText(until.Add(24*time.Hour - time.Microsecond))}})
	}
	return filters, values
}

// readDay is the day of a parameter at 0:00 UTC; zero when it is none.
func readDay(c echo.Context, name string, values url.Values) time.Time {
	at, err := time.Parse(time.DateOnly, c.QueryParam(name))
	if err != nil || at.Year() < 1970 || at.Year() > 9999 {
		return time.Time{}
	}
	values.Set(name, c.QueryParam(name))
	return at
}

// momentText is "" for the bound of a range that has none.
func momentText(at time.Time) string {
	if at.Year() < 1970 {
		return ""
	}
	return at.Format(time.RFC3339Nano)
}

// auditOperations and auditTypes are what the selects of the page offer; any
// other value may stand in the address.
var (
	auditOperations = []string{"create", "update", "delete", "push", "pull", "login", "logout", "export", "stop"}
	auditTypes      = []string{"artifact", "tag", "repository", "project", "member", "robot", "user", "configuration", "certificate",
		"garbage-collection", "schedule", "job", "quota", "label", "audit-log"}
)

func (h *api) auditPage(c echo.Context) error {
	ctx := c.Request().Context()
	filters, values := auditFilters(c)
	w := window(c)
	rows, ends, err := h.app.AuditPage(ctx, caller(c), filters, w)
	if err != nil {
		return err
	}
	if lost(w, rows) {
		return redirect(c, withQuery(auditPath, values))
	}
	view := ui.AuditView{User: values.Get("user"), Resource: values.Get("resource"), Address: values.Get("address"), From: values.Get("from"), Until: values.Get("until"),
		Operation: values.Get("operation"), Type: values.Get("type"), Result: values.Get("result"), Filtered: len(values) > 0,
		Operations: anyOf(ctx, "audit.any-operation", auditOperations, values.Get("operation")),
		Types:      anyOf(ctx, "audit.any-type", auditTypes, values.Get("type")),
		Results: []ui.Option{{Label: i18n.T(ctx, "audit.any-result")}, {Value: "ok", Label: i18n.T(ctx, "audit.ok")},
			{Value: "failed", Label: i18n.T(ctx, "audit.failed")}}}
	view.Rows = mapAll(rows, auditRow)
	view.Pager = windowPager(c, auditPath, values, ends, len(rows))
	for _, format := range []string{"csv", "jsonl"} {
		values.Set("format", format)
		view.Exports = append(view.Exports, ui.Link{Href: withQuery(auditPath+"/export", values), Label: i18n.T(ctx, "audit.export", strings.ToUpper(format))})
	}
	return h.show(c, http.StatusOK, sectionAudit, i18n.T(ctx, "audit.title"), ui.Audit(view))
}

func anyOf(ctx context.Context, key string, words []string, chosen string) []ui.Option {
	all := []ui.Option{{Label: i18n.T(ctx, key)}}
	known := chosen == ""
	for _, word := range words {
		all = append(all, ui.Option{Value: word, Label: word})
		known = known || word == chosen
	}
	if !known {
		all = append(all, ui.Option{Value: chosen, Label: core.Clip(chosen, 32)})
	}
	return all
}

func auditRow(e core.AuditEvent) ui.AuditRow {
	return ui.AuditRow{ID: e.ID, At: e.Time, User: e.Username, Actor: e.Actor, Operation: e.Operation, Type: e.ResourceType, Resource: e.Resource,
		Digest: e.Digest, Address: e.Origin.Address, Client: e.Origin.Client, Request: e.Origin.RequestID, OK: e.Success,
		Description: e.Description, Repeats: e.Repeats}
}

func (h *api) exportAuditPage(c echo.Context) error {
	filters, _ := auditFilters(c)
	return h.writeExport(c, filters)
}
