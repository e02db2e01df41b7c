package app_test

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

func containsAll(rows []string, want ...string) bool {
	return !slices.ContainsFunc(want, func(row string) bool { return !slices.Contains(rows, row) })
}

// fill appends n rows that are dated from when.
func (a *accounts) fill(t *testing.T, n int, when time.Time) {
	t.Helper()
	a.update(t, func(tx *store.Tx) error {
		for i := range n {
			if err := tx.AppendAudit(core.AuditEvent{Time: when, Username: fmt.Sprint("row", i), Operation: "test"}); err != nil {
				return err
			}
		}
		return nil
	})
}

// tamper changes the database behind the store's back.
func (a *accounts) tamper(t *testing.T, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", a.path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func TestTamperingWithTheAuditLogShows(t *testing.T) {
	const rows = 1200 // more than are read at once
	for name, tt := range map[string]struct {
		statements []string
		broken     string // the row that the error names; "" for none
	}{
		"nothing":                 {nil, ""},
		"a changed user":          {[]string{`UPDATE audit SET username = 'mallory' WHERE id = 700`}, "row 700"},
		"a changed time":          {[]string{`UPDATE audit SET time = time + 1 WHERE id = 1200`}, "row 1200"},
		"a changed hash":          {[]string{`UPDATE audit SET hash = hash || '0' WHERE id = 3`}, "row 3"},
		"a row taken out":         {[]string{`DELETE FROM audit WHERE id = 600`}, "row 601"},
		"the first row taken out": {[]string{`DELETE FROM audit WHERE id = 1`}, "row 2"},
		"a row taken out and the rest moved up": {[]string{`DELETE FROM audit WHERE id = 600`,
			`UPDATE audit SET id = -id WHERE id > 600`, `UPDATE audit SET id = -id - 1 WHERE id < 0`}, "row 600"},
		"two rows swapped": {[]string{`UPDATE audit SET id = -1 WHERE id = 10`, `UPDATE audit SET id = 10 WHERE id = 11`,
			`UPDATE audit SET id = 11 WHERE id = -1`}, "row 10"},
		"a row put in": {[]string{`INSERT INTO audit SELECT 1201, time, actor, username, operation, resource_type, resource, project_id, digest,
			address, client, request_id, success, description, repeats, hash FROM audit WHERE id = 1200`}, "row 1201"},
		"a head cut off with a false anchor": {[]string{`DELETE FROM audit WHERE id <= 5`,
			`INSERT INTO setting VALUES ('audit_anchor', '5 0000000000000000000000000000000000000000000000000000000000000000')`}, "row 6"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccounts(t)
			a.fill(t, rows, time.Now())
			a.tamper(t, tt.statements...)
			n, err := a.VerifyAudit(t.Context())
			if tt.broken == "" {
				if err != nil || n != rows {
					t.Errorf("VerifyAudit = %d, %v", n, err)
				}
				return
			}
			wantCode(t, name, err, core.CodePrecondition)
			if err != nil && !strings.Contains(err.Error(), "broken at "+tt.broken+":") {
				t.Errorf("the error does not name %s: %v", tt.broken, err)
			}
		})
	}
}

func TestRetentionIsAuditedAndKeepsTheChain(t *testing.T) {
	a := newAccounts(t)
	a.bootstrap(t)
	a.fill(t, 2500, time.Now().Add(-48*time.Hour))
	if n, err := a.PurgeAudit(t.Context()); n != 0 || err != nil {
		t.Errorf("without a retention %d rows went, %v", n, err)
	}
	a.configure(t, "audit_log_retention_hours", "24")
	// Row 1 tells of the first account and is young: nothing behind it may go.
	if n, err := a.PurgeAudit(t.Context()); n != 0 || err != nil {
		t.Errorf("PurgeAudit over a young row = %d, %v", n, err)
	}
	b := newAccounts(t)
	b.fill(t, 2500, time.Now().Add(-48*time.Hour))
	b.bootstrap(t)
	b.configure(t, "audit_log_retention_hours", "24")
	n, err := b.PurgeAudit(t.Context())
	if n != 2500 || err != nil {
		t.Errorf("PurgeAudit = %d, %v", n, err)
	}
	checked, err := b.VerifyAudit(t.Context())
	if err != nil || checked != 5 { // the account, the setting and three batches
		t.Errorf("VerifyAudit = %d, %v", checked, err)
	}
	rows := b.audited(t)
	if !strings.HasPrefix(rows[len(rows)-1], "system delete audit-log the registry ok retention: 500 rows up to 2500") {
		t.Errorf("audit = %q", rows)
	}
}

func TestRetentionWaitsForForwarding(t *testing.T) {
	a := newAccounts(t)
	a.fill(t, 10, time.Now().Add(-48*time.Hour))
	a.bootstrap(t)
	a.configure(t, "audit_log_retention_hours", "24")
	a.configure(t, "audit_log_forward_endpoint", "syslog://127.0.0.1:1")
	if n, err := a.PurgeAudit(t.Context()); n != 0 || err != nil {
		t.Errorf("before forwarding has begun %d rows went, %v", n, err)
	}
	a.update(t, func(tx *store.Tx) error { return tx.SetAuditCursor(4) })
	if n, err := a.PurgeAudit(t.Context()); n != 4 || err != nil {
		t.Errorf("PurgeAudit = %d, %v; want 4", n, err)
	}
}

func TestWhoSeesTheAuditLog(t *testing.T) {
	w := newTown(t)
	w.audited(t)
	logs := core.Permission{Resource: core.ResLog, Action: core.ActList}
	reader, _ := w.makeRobot(t, w.admin, projectRobot("log", in("here", logs)))
	all, _ := w.makeRobot(t, w.admin, systemRobot("log", in("*", logs)))
	auditor, _ := w.makeRobot(t, w.admin, systemRobot("audit", onSystem(core.Permission{Resource: core.ResAuditLog, Action: core.ActList})))
	projects := func(c core.Caller) (seen []int64) {
		t.Helper()
		rows, _, err := w.AuditLog(t.Context(), c, listAll)
		if err != nil {
			t.Errorf("%v: %v", c.Subject, err)
		}
		for _, row := range rows {
			if !slices.Contains(seen, row.ProjectID) {
				seen = append(seen, row.ProjectID)
			}
		}
		slices.Sort(seen)
		return seen
	}
	for _, tt := range []struct {
		caller core.Caller
		want   []int64
	}{
		{w.admin, []int64{0, w.here.ID, w.there.ID}}, {auditor, []int64{0, w.here.ID, w.there.ID}}, {all, []int64{w.here.ID, w.there.ID}},
		{w.ada, []int64{w.here.ID}}, {reader, []int64{w.here.ID}}, {w.dan, nil}, {w.zoe, nil},
	} {
		if got := projects(tt.caller); !slices.Equal(got, tt.want) {
			t.Errorf("%v sees the rows of %v, want %v", tt.caller.Subject, got, tt.want)
		}
	}
	_, _, err := w.AuditLog(t.Context(), anonymous, listAll)
	wantCode(t, "anonymous", err, core.CodeUnauthorized)
	_, _, err = w.ProjectLog(t.Context(), w.dan, w.here, listAll)
	wantCode(t, "a maintainer", err, core.CodeForbidden)
	if rows, _, err := w.ProjectLog(t.Context(), w.ada, w.here, listAll); err != nil || len(rows) == 0 {
		t.Errorf("ProjectLog = %v, %v", rows, err)
	}
	_, _, err = w.AuditLog(t.Context(), w.admin, core.Query{Page: 1, PageSize: 1, Filters: []core.Filter{{Field: "hash = '' OR 1", Values: []string{"1"}}}})
	wantCode(t, "an unknown filter", err, core.CodeBadRequest)
}

func TestExportReadsAllInOrder(t *testing.T) {
	w := newTown(t)
	w.fill(t, 1300, time.Now())
	export := func(c core.Caller, filters ...core.Filter) (ids []int64, err error) {
		err = w.ExportAudit(t.Context(), c, filters, func(rows []core.AuditEvent) error {
			for _, row := range rows {
				ids = append(ids, row.ID)
			}
			w.fill(t, 1, time.Now()) // what is added meanwhile is not waited for
			return nil
		})
		return ids, err
	}
	_, total, err := w.AuditLog(t.Context(), w.admin, listAll)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := export(w.admin)
	if err != nil || int64(len(ids)) != total || !slices.IsSorted(ids) || ids[0] != 1 || ids[len(ids)-1] != total {
		t.Errorf("%d rows of %d, %v", len(ids), total, err)
	}
	if ids, err = export(w.admin, core.Filter{Field: "username", Values: []string{"row7"}}); err != nil || len(ids) != 1 {
		t.Errorf("filtered: %v, %v", ids, err)
	}
	if ids, err = export(w.ada); err != nil || len(ids) == 0 || len(ids) > 20 {
		t.Errorf("as ada: %v, %v", ids, err)
	}
	_, err = export(anonymous)
	wantCode(t, "anonymous", err, core.CodeUnauthorized)
	stop := errors.New("the client has gone")
	if err := w.ExportAudit(t.Context(), w.admin, nil, func([]core.AuditEvent) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a failed write = %v", err)
	}
	w.App.Close() // writes what waits
	q, err := core.ParseQuery("operation=export", "", "", "")
	if err != nil {
		t.Fatal(err)
	}
	if rows, _, err := w.AuditLog(t.Context(), w.admin, q); err != nil || len(rows) == 0 || rows[0].ResourceType != "audit-log" {
		t.Errorf("the export is not audited: %+v, %v", rows, err)
	}
}
