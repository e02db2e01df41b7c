package store

import (
	"context"
	"database/sql"
	"path/filepath"
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
	for _, upTo := range [][]migration{steps[:from], steps, steps} { // the last time nothing is left to do
		if err := migrateTo(d, c, upTo); err != nil {
			t.Fatalf("from version %d: %v", from, err)
		}
	}
	version, err := schemaVersion(d, c)
	if err != nil || version != len(steps) {
		t.Errorf("from version %d: ended at %d, %v; want %d", from, version, err, len(steps))
	}
}
