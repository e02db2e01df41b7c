package web_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ignored are the columns that reading changes.
var ignored = []string{"pull_count", "pulled_at", "used_at"}

// remember copies all rows but the audit log's, which only grows.
func (w *world) remember(t *testing.T) {
	t.Helper()
	w.app.Close() // what waits is written
	w.tables = map[string]string{}
	w.exec(t, `ATTACH ':memory:' AS copy`)
	for _, table := range w.names(t, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' AND name <> 'audit'`) {
		w.exec(t, `CREATE TABLE copy.`+table+` AS SELECT * FROM main.`+table)
		columns := w.names(t, `SELECT name FROM pragma_table_info('`+table+`')`)
		columns = slices.DeleteFunc(columns, func(c string) bool { return slices.Contains(ignored, c) })
		w.tables[table] = strings.Join(columns, ", ")
	}
	w.changed(t)
}

func (w *world) names(t *testing.T, query string) []string {
	t.Helper()
	rows, err := w.db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // Err tells
	var all []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		all = append(all, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// changed returns the tables that differ from the copy.
func (w *world) changed(t *testing.T) []string {
	t.Helper()
	last := w.version
	if err := w.db.QueryRow(`PRAGMA data_version`).Scan(&w.version); err != nil {
		t.Fatal(err)
	}
	if w.version == last {
		return nil // nobody else has written
	}
	var all []string
	for table, columns := range w.tables {
		var n int
		query := fmt.Sprintf(`SELECT (SELECT COUNT(*) FROM (SELECT %[2]s FROM main.%[1]s EXCEPT SELECT %[2]s FROM copy.%[1]s))
			+ (SELECT COUNT(*) FROM (SELECT %[2]s FROM copy.%[1]s EXCEPT SELECT %[2]s FROM main.%[1]s))`, table, columns)
		if err := w.db.QueryRow(query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			all = append(all, table)
		}
	}
	slices.Sort(all)
	return all
}

// restore puts all rows back.
func (w *world) restore(t *testing.T) {
	t.Helper()
	w.exec(t, `BEGIN IMMEDIATE`)
	for table := range w.tables {
		w.exec(t, `DELETE FROM main.`+table)
		w.exec(t, `INSERT INTO main.`+table+` SELECT * FROM copy.`+table)
	}
	w.exec(t, `COMMIT`)
	w.version = 0
	if diff := w.changed(t); diff != nil {
		t.Fatalf("the rows of %v could not be put back", diff)
	}
}

// uploads counts the uploads that are under way.
func (w *world) uploads(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(w.data, "uploads"))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// answer is the part of a response that may not tell a hidden object from an
// absent one.
func answer(rec *httptest.ResponseRecorder, p place) string {
	var out bytes.Buffer
	fmt.Fprintln(&out, rec.Code)
	for _, key := range slices.Sorted(maps.Keys(rec.Header())) {
		if key != "X-Request-Id" && key != "Content-Length" {
			fmt.Fprintln(&out, key, rec.Header()[key])
		}
	}
	out.Write(rec.Body.Bytes())
	return p.mask(out.String())
}
