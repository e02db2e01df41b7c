package web_test

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestAuditOverHTTP(t *testing.T) {
	s := newServer(t)
	s.addUser(t, "ada")
	s.addUser(t, "zoe")
	s.addProject(t, "ada", "team")
	row := get[[]object](t, s, "/api/v2.0/audit-logs?q=operation%3Dcreate,resource_type%3Dproject", "admin")[0]
	fields := []string{"actor", "client", "client_address", "digest", "hash", "id", "op_time", "operation", "operation_description", "operation_result",
		"project_id", "repeats", "request_id", "resource", "resource_type", "username"}
	if got := slices.Sorted(maps.Keys(row)); !slices.Equal(got, fields) {
		t.Errorf("fields = %v", got)
	}
	if row["username"] != "ada" || row["resource"] != "team" || row["project_id"] != 1.0 || row["operation_result"] != true ||
		row["client_address"] != "192.0.2.1" || row["request_id"] == "" || row["repeats"] != 1.0 {
		t.Errorf("row = %v", row)
	}
	for _, path := range []string{"/api/v2.0/audit-logs", "/api/v2.0/auditlog-exts", "/api/v2.0/projects/team/logs", "/api/v2.0/projects/1/auditlog-exts"} {
		rows := get[[]object](t, s, path, "ada")
		if len(rows) == 0 || slices.ContainsFunc(rows, func(row object) bool { return row["project_id"] != 1.0 }) {
			t.Errorf("%s as an administrator of the project = %v", path, rows)
		}
	}
	if rows := get[[]object](t, s, "/api/v2.0/audit-logs", "zoe"); len(rows) != 0 {
		t.Errorf("as a stranger = %v", rows)
	}
	s.do(t, http.MethodGet, "/api/v2.0/audit-logs", "", nil, http.StatusUnauthorized)
	s.do(t, http.MethodGet, "/api/v2.0/projects/team/logs", "zoe", nil, http.StatusForbidden)
	s.do(t, http.MethodGet, "/api/v2.0/audit-logs?sort=hash", "admin", nil, http.StatusBadRequest)
	s.do(t, http.MethodGet, "/api/v2.0/audit-logs?q=op_time%3D%5Byesterday~%5D", "admin", nil, http.StatusBadRequest)
}

func TestAuditExport(t *testing.T) {
	s := newServer(t)
	for _, name := range []string{"ada", "=cmd", "-x", "@sum"} {
		s.do(t, http.MethodPost, "/api/v2.0/users", "admin", object{"username": name, "password": password}, http.StatusCreated)
	}
	w := s.do(t, http.MethodGet, "/api/v2.0/audit-logs/export?format=csv&q=resource_type%3Duser,operation%3Dcreate", "admin", nil, http.StatusOK)
	if got := w.Header().Get("Content-Type"); got != "text/csv; charset=utf-8" {
		t.Errorf("Content-Type = %q", got)
	}
	if got := w.Header().Get("Content-Disposition"); got != `attachment; filename="audit-log.csv"` {
		t.Errorf("Content-Disposition = %q", got)
	}
	table, err := csv.NewReader(w.Body).ReadAll()
	if err != nil || len(table) != 6 || table[0][0] != "id" {
		t.Fatalf("csv = %q, %v", table, err)
	}
	column := slices.Index(table[0], "resource")
	var names []string
	for _, row := range table[1:] {
		names = append(names, row[column])
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				t.Errorf("a spreadsheet would run %q", cell)
			}
		}
	}
	if !slices.Equal(names, []string{"admin", "ada", "'=cmd", "'-x", "'@sum"}) {
		t.Errorf("resources = %q", names)
	}

	w = s.do(t, http.MethodGet, "/api/v2.0/audit-logs/export?format=jsonl", "admin", nil, http.StatusOK)
	lines := bufio.NewScanner(w.Body)
	last := 0.0
	for lines.Scan() {
		var row object
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		if row["id"].(float64) != last+1 || row["hash"] == "" {
			t.Errorf("row %v after %v", row["id"], last)
		}
		last = row["id"].(float64)
	}
	if last < 5 {
		t.Errorf("the export ends with row %v", last)
	}
	s.do(t, http.MethodGet, "/api/v2.0/audit-logs/export?format=xml", "admin", nil, http.StatusBadRequest)
	s.do(t, http.MethodGet, "/api/v2.0/audit-logs/export?format=csv&q=nope%3D1", "admin", nil, http.StatusBadRequest)
	s.do(t, http.MethodGet, "/api/v2.0/audit-logs/export?format=csv", "", nil, http.StatusUnauthorized)
}
