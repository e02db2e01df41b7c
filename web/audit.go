package web

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

func (h *api) auditRoutes() []route {
	return []route{
		{http.MethodGet, "/audit-logs", h.listAudit},
		{http.MethodGet, "/audit-logs/export", h.exportAudit},
		{http.MethodGet, "/auditlog-exts", h.listAudit},
		{http.MethodGet, projectPath + "/logs", h.projectLog},
		{http.MethodGet, projectPath + "/auditlog-exts", h.projectLog},
	}
}

// auditJSON is Harbor's AuditLogExt, of which AuditLog is a part, with what
// Harbor does not keep.
type auditJSON struct {
	ID            int64     `json:"id"`
	Username      string    `json:"username"`
	Actor         string    `json:"actor"`
	Resource      string    `json:"resource"`
	ResourceType  string    `json:"resource_type"`
	Operation     string    `json:"operation"`
	Description   string    `json:"operation_description"`
	Result        bool      `json:"operation_result"`
	OpTime        time.Time `json:"op_time"`
	ProjectID     int64     `json:"project_id"`
	Digest        string    `json:"digest"`
	ClientAddress string    `json:"client_address"`
	Client        string    `json:"client"`
	RequestID     string    `json:"request_id"`
	Repeats       int64     `json:"repeats"`
	Hash          string    `json:"hash"`
}

func newAuditJSON(e core.AuditEvent) auditJSON {
	return auditJSON{ID: e.ID, Username: e.Username, Actor: e.Actor, Resource: e.Resource, ResourceType: e.ResourceType,
		Operation: e.Operation, Description: e.Description, Result: e.Success, OpTime: e.Time, ProjectID: e.ProjectID, Digest: e.Digest,
		ClientAddress: e.Origin.Address, Client: e.Origin.Client, RequestID: e.Origin.RequestID, Repeats: e.Repeats, Hash: e.Hash}
}

// auditLister is one of the two lists of audit rows.
type auditLister func(context.Context, core.Query) ([]core.AuditEvent, int64, error)

func writeAudit(c echo.Context, list auditLister) error {
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	rows, total, err := list(c.Request().Context(), q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(rows, newAuditJSON))
}

func (h *api) listAudit(c echo.Context) error {
	return writeAudit(c, func(ctx context.Context, q core.Query) ([]core.AuditEvent, int64, error) {
		return h.app.AuditLog(ctx, caller(c), q)
	})
}

func (h *api) projectLog(c echo.Context) error {
	return writeAudit(c, func(ctx context.Context, q core.Query) ([]core.AuditEvent, int64, error) {
		return h.app.ProjectLog(ctx, caller(c), projectRef(c), q)
	})
}

// auditWriter writes rows of an export.
type auditWriter func([]core.AuditEvent) error

// exportFormat is a form that the audit log can be exported in.
type exportFormat struct {
	contentType string
	writer      func(io.Writer) auditWriter
}

var exportFormats = map[string]exportFormat{
	"csv":   {"text/csv; charset=utf-8", newCSVWriter},
	"jsonl": {"application/jsonl; charset=utf-8", newJSONLWriter},
}

// exportAudit streams all rows that q selects, the oldest first.
func (h *api) exportAudit(c echo.Context) error {
	q, err := core.ParseQuery(c.QueryParam("q"), "", "", "")
	if err != nil {
		return err
	}
	return h.writeExport(c, q.Filters)
}

// writeExport streams the rows in the format that is asked for.
func (h *api) writeExport(c echo.Context, filters []core.Filter) error {
	name := c.QueryParam("format")
	format, ok := exportFormats[name]
	if !ok {
		return core.Errorf(core.CodeBadRequest, "the format must be csv or jsonl")
	}
	response := c.Response()
	write := format.writer(response)
	err := h.app.ExportAudit(c.Request().Context(), caller(c), filters, func(rows []core.AuditEvent) error {
		if !response.Committed {
			response.Header().Set(echo.HeaderContentType, format.contentType)
			response.Header().Set(echo.HeaderContentDisposition, `attachment; filename="audit-log.`+name+`"`)
			response.WriteHeader(http.StatusOK)
		}
		return write(rows)
	})
	return h.cutOff(c, "an export of the audit log", err)
}

// newJSONLWriter writes each row as Harbor's JSON on a line of its own.
func newJSONLWriter(w io.Writer) auditWriter {
	encoder := json.NewEncoder(w)
	return func(rows []core.AuditEvent) error {
		for _, row := range rows {
			if err := encoder.Encode(newAuditJSON(row)); err != nil {
				return err
			}
		}
		return nil
	}
}

var auditColumns = []string{
	"id", "op_time", "actor", "username", "operation", "resource_type", "resource", "project_id", "digest",
	"client_address", "client", "request_id", "operation_result", "operation_description", "repeats", "hash",
}

// newCSVWriter writes the rows as RFC 4180, with the column names first.
func newCSVWriter(w io.Writer) auditWriter {
	out := csv.NewWriter(w)
	header := auditColumns
	return func(rows []core.AuditEvent) error {
		if header != nil {
			if err := out.Write(header); err != nil {
				return err
			}
			header = nil
		}
		return writeRows(out, mapAll(rows, auditCells)...)
	}
}

func auditCells(e core.AuditEvent) []string {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []string{
		number(e.ID), e.Time.Format(time.RFC3339Nano), e.Actor, e.Username, e.Operation, e.ResourceType, e.Resource,
		number(e.ProjectID), e.Digest, e.Origin.Address, e.Origin.Client, e.Origin.RequestID,
		strconv.FormatBool(e.Success), e.Description, number(e.Repeats), e.Hash,
	}
}
