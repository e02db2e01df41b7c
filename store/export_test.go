package store

import (
	"context"
	"fmt"

	_ "github.com/jackc/pgx/v5/stdlib" // the second engine that the SQL is tested on
)

// OpenPostgres opens a PostgreSQL database; the product does not offer it yet.
func OpenPostgres(ctx context.Context, dsn string, journal Journal) (*Store, error) {
	return open(ctx, postgresDialect, dsn, dsn, journal)
}

// SetSchemaVersion pretends that the database was written by another release.
func (s *Store) SetSchemaVersion(ctx context.Context, version int) error {
	return s.Update(ctx, func(tx *Tx) error {
		_, err := tx.exec(`INSERT INTO schema_version (version, name, applied_at) VALUES ($1, 'future', 0)`, version)
		return err
	})
}

// Readers returns how many connections read.
func (s *Store) Readers() int { return cap(s.readers.free) }

// WaitsForDisk says whether the commits of the writer do, as the engine sees it.
func (s *Store) WaitsForDisk(ctx context.Context) (bool, error) {
	c := <-s.writer
	defer func() { s.writer <- c }()
	query := "PRAGMA synchronous"
	if s.dialect.driver == "pgx" {
		query = "SHOW synchronous_commit"
	}
	var mode string
	err := c.sql.QueryRowContext(ctx, query).Scan(&mode)
	return mode == "2" || mode == "on", err
}

// BatchWaits says whether a batch of such updates would.
func BatchWaits(relax ...bool) bool {
	var batch []*job
	for _, r := range relax {
		batch = append(batch, &job{relaxed: r})
	}
	return !relaxed(batch)
}

// Pragma reads a setting of every reader connection.
func (s *Store) Pragma(name string) ([]string, error) {
	var all []string
	for _, c := range s.readers.idle {
		var v string
		if err := (&Tx{conn: c}).get("PRAGMA "+name, nil, &v); err != nil {
			return nil, fmt.Errorf("pragma %s: %w", name, err)
		}
		all = append(all, v)
	}
	return all, nil
}
