package store

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one step of the schema. Steps are append-only: a released one
// is never edited.
type migration struct {
	version int
	name    string
	sql     string
}

func migrations() ([]migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	all := make([]migration, 0, len(names))
	for i, name := range names {
		text, err := migrationFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		base := strings.TrimPrefix(name, "migrations/")
		number, _, _ := strings.Cut(base, "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s: number %d is expected", base, i+1)
		}
		all = append(all, migration{version, base, string(text)})
	}
	return all, nil
}

// SchemaVersion is that of the databases which this program opens.
func SchemaVersion() int {
	steps, err := migrations()
	if err != nil {
		return 0 // of no program that passed its tests
	}
	return len(steps)
}

// migrate brings the schema up to date, in one transaction: an upgrade happens
// whole or not at all, and a new database costs one commit.
func migrate(d dialect, c *conn) error {
	steps, err := migrations()
	if err != nil {
		return err
	}
	return migrateTo(d, c, steps)
}

func migrateTo(d dialect, c *conn, steps []migration) error {
	version, err := schemaVersion(d, c)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if version > len(steps) {
		return core.Errorf(core.CodePrecondition,
			"the database has schema version %d, but this Breakwater knows only versions up to %d: it was written by a newer release. Start that release, or restore a backup made before the upgrade",
			version, len(steps))
	}
	if version == len(steps) {
		return nil
	}
	if err := run(c, d.beginWrite); err != nil {
		return fmt.Errorf("begin the migration: %w", err)
	}
	for _, step := range steps[version:] {
		if err := apply(d, c, step); err != nil {
			_ = run(c, "ROLLBACK") // the first error is the one to report
			return fmt.Errorf("migration %s: %w", step.name, err)
		}
	}
	return run(c, "COMMIT")
}

// run executes statements that are not worth preparing.
func run(c *conn, query string, args ...any) error {
	_, err := c.sql.ExecContext(background(), query, args...)
	return err
}

func schemaVersion(d dialect, c *conn) (version int, err error) {
	tx := &Tx{conn: c}
	found := false
	err = tx.each(d.tables, nil, func(row scanner) error {
		var name string
		err := row.Scan(&name)
		found = found || name == "schema_version"
		return err
	})
	if err != nil || !found {
		return 0, err
	}
	err = tx.get(`SELECT COALESCE(MAX(version), 0) FROM schema_version`, nil, &version)
	return version, err
}

func apply(d dialect, c *conn, step migration) error {
	if step.version == 1 {
		if err := run(c, `CREATE TABLE schema_version (version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)`); err != nil {
			return err
		}
	}
	if err := run(c, d.types.Replace(step.sql)); err != nil {
		return err
	}
	return run(c, `INSERT INTO schema_version (version, name, applied_at) VALUES ($1, $2, $3)`, step.version, step.name, time.Now().UnixMicro())
}
