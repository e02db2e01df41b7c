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
