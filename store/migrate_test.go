package store

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

// Every released schema must lead to today's, on both engines.
func TestMigrationsFromEveryVersion(t *testing.T) {
	steps, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	for from := range len(steps) + 1 {
		t.Run("sqlite", func(t *testing.T) {
			checkMigration(t, sqliteDialect, sqliteDSN(filepath.Join(t.TempDir(), "test.db"), false), steps, from)
		})
		t.Run("postgres", func(t *testing.T) {
			testenv.RequireE2E(t)
			checkMigration(t, postgresDialect, testenv.Postgres(t), steps, from)
		})
	}
}

func checkMigration(t *testing.T, d dialect, dsn string, steps []migration, from int) {
	t.Helper()
	db, err := sql.Open(d.driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	c, err := newConn(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	if err := migrateTo(d, c, steps[:from]); err != nil {
		t.Fatalf("to version %d: %v", from, err)
	}
	filled := fill(t, d, c)
	for range 2 { // the second time nothing is left to do
		if err := migrateTo(d, c, steps); err != nil {
			t.Fatalf("from version %d: %v", from, err)
		}
	}
	for _, table := range filled {
		if n := count(t, c, table); n == 0 {
			t.Errorf("from version %d: the table %s has lost its row", from, table)
		}
	}
	version, err := schemaVersion(d, c)
	if err != nil || version != len(steps) {
		t.Errorf("from version %d: ended at %d, %v; want %d", from, version, err, len(steps))
	}
}

// fill puts a row of ones into every table and returns their names: whatever a
// step does to a table, it must do to one that holds something.
func fill(t *testing.T, d dialect, c *conn) (filled []string) {
	t.Helper()
	tx := &Tx{conn: c}
	names, err := list(tx, d.tables, nil, scanText)
	if err != nil {
		t.Fatal(err)
	}
	for len(names) > 0 {
		var left []string // they refer to rows that are not there yet
		var last error
		for _, name := range names {
			if name == "schema_version" || strings.HasPrefix(name, "sqlite_") {
				continue
			}
			if last = insertOnes(d, c, name); last != nil {
				left = append(left, name)
				continue
			}
			filled = append(filled, name)
		}
		if len(left) == len(names) {
			t.Fatalf("no row can be put into %v: %v", left, last)
		}
		names = left
	}
	return filled
}

// insertOnes puts a row into the table whose numbers are 1 and whose texts x.
func insertOnes(d dialect, c *conn, table string) error {
	tx := &Tx{conn: c}
	columns, values := []string{}, []string{}
	query := `SELECT name, lower(type) FROM pragma_table_info($1)`
	if d.driver == postgresDialect.driver {
		query = `SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1`
	}
	err := tx.each(query, []any{table}, func(row scanner) error {
		var name, kind string
		err := row.Scan(&name, &kind)
		value := map[string]string{"text": "'x'", "bytea": "''", "blob": "x''", "boolean": "TRUE"}[kind]
		if value == "" {
			value = "1"
		}
		columns, values = append(columns, name), append(values, value)
		return err
	})
	if err != nil {
		return err
	}
	_, err = c.sql.ExecContext(background(), fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) ON CONFLICT DO NOTHING",
		table, strings.Join(columns, ", "), strings.Join(values, ", ")))
	return err
}

func count(t *testing.T, c *conn, table string) (n int64) {
	t.Helper()
	if err := (&Tx{conn: c}).get("SELECT COUNT(*) FROM "+table, nil, &n); err != nil {
		t.Fatal(err)
	}
	return n
}
