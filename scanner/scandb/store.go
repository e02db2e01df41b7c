// Package scandb keeps what is known of images in scan.db: claircore's
// indexer.Store on SQLite, and the vulnerability reports, which are rows, so
// that one index answers both "what is in this image" and "where is this CVE".
package scandb

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"

	"github.com/quay/claircore"
	"github.com/quay/claircore/indexer"

	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

//go:embed schema.sql
var schema string

const (
	applicationID = 0x42575343 // "BWSC"
	schemaVersion = 1
)

// Store is an open scan.db. Its methods may be called concurrently.
type Store struct {
	file *dbfile.File
}

var _ indexer.Store = (*Store)(nil)

// Open opens or creates the database at path; see dbfile.Open for what becomes
// of a file that cannot be used.
func Open(ctx context.Context, path string, log *slog.Logger) (*Store, error) {
	file, err := dbfile.Open(ctx, dbfile.Spec{Path: path, ID: applicationID, Version: schemaVersion, Schema: schema,
		CacheKiB: 8 << 10, Readers: 4, Log: log})
	if err != nil {
		return nil, err
	}
	return &Store{file: file}, nil
}

// Close implements indexer.Store; running calls must have ended.
func (s *Store) Close(context.Context) error { return s.file.Close() }

// Size returns the bytes that the database has on disk.
func (s *Store) Size() int64 { return s.file.Size() }

// Settle makes the database small and fast after much was written or deleted.
func (s *Store) Settle(ctx context.Context) error { return s.file.Settle(ctx) }

// RegisterScanners implements indexer.Store.
func (s *Store) RegisterScanners(ctx context.Context, scanners indexer.VersionedScanners) error {
	return s.file.Write(ctx, func(c *dbfile.Conn) error {
		for _, v := range scanners {
			if _, err := c.Exec(`INSERT INTO scanner (name, version, kind) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
				v.Name(), v.Version(), v.Kind()); err != nil {
				return fmt.Errorf("register scanner %s: %w", v.Name(), err)
			}
		}
		return nil
	})
}

func scannerID(c *dbfile.Conn, v indexer.VersionedScanner) (id int64, err error) {
	err = c.Get(`SELECT id FROM scanner WHERE name = ? AND version = ? AND kind = ?`, []any{v.Name(), v.Version(), v.Kind()}, &id)
	if err != nil {
		return 0, fmt.Errorf("scanner %q %s of kind %s: %w", v.Name(), v.Version(), v.Kind(), err)
	}
	return id, nil
}

func layerID(c *dbfile.Conn, hash claircore.Digest) (id int64, err error) {
	if err = c.Get(`SELECT id FROM layer WHERE hash = ?`, []any{hash.String()}, &id); err != nil {
		return 0, fmt.Errorf("layer %v: %w", hash, err)
	}
	return id, nil
}

func manifestID(c *dbfile.Conn, hash claircore.Digest) (id int64, err error) {
	if err = c.Get(`SELECT id FROM manifest WHERE hash = ?`, []any{hash.String()}, &id); err != nil {
		return 0, fmt.Errorf("manifest %v: %w", hash, err)
	}
	return id, nil
}

// findOrMake returns the id of the row that find finds, or that insert makes.
func findOrMake(c *dbfile.Conn, find, insert string, key, row []any) (id int64, err error) {
	if err = c.Get(find, key, &id); !errors.Is(err, dbfile.ErrNoRow) {
		return id, err
	}
	return c.Insert(insert, row...)
}

// PersistManifest implements indexer.Store.
func (s *Store) PersistManifest(ctx context.Context, m claircore.Manifest) error {
	return s.file.Write(ctx, func(c *dbfile.Conn) error {
		hash := []any{m.Hash.String()}
		manifest, err := findOrMake(c, `SELECT id FROM manifest WHERE hash = ?`, `INSERT INTO manifest (hash) VALUES (?)`, hash, hash)
		if err != nil {
			return err
		}
		for i, l := range m.Layers {
			hash := []any{l.Hash.String()}
			layer, err := findOrMake(c, `SELECT id FROM layer WHERE hash = ?`, `INSERT INTO layer (hash) VALUES (?)`, hash, hash)
			if err != nil {
				return err
			}
			if _, err := c.Exec(`INSERT INTO manifest_layer (manifest, layer, i) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, manifest, layer, i); err != nil {
				return err
			}
		}
		return nil
	})
}

// ManifestScanned implements indexer.Store.
func (s *Store) ManifestScanned(ctx context.Context, hash claircore.Digest, scanners indexer.VersionedScanners) (scanned bool, err error) {
	scanned = true
	err = s.file.Read(ctx, func(c *dbfile.Conn) error {
		for _, v := range scanners {
			id, err := scannerID(c, v)
			if err != nil {
				return err
			}
			var ok bool
			if err := c.Get(`SELECT EXISTS (SELECT 1 FROM manifest m JOIN scanned_manifest s ON s.manifest = m.id WHERE m.hash = ? AND s.scanner = ?)`,
				[]any{hash.String(), id}, &ok); err != nil {
				return err
			}
			scanned = scanned && ok
		}
		return nil
	})
	return scanned && err == nil, err
}

// LayerScanned implements indexer.Store.
func (s *Store) LayerScanned(ctx context.Context, hash claircore.Digest, scanner indexer.VersionedScanner) (scanned bool, err error) {
	err = s.file.Read(ctx, func(c *dbfile.Conn) error {
		id, err := scannerID(c, scanner)
		if err != nil {
			return err
		}
		return c.Get(`SELECT EXISTS (SELECT 1 FROM layer l JOIN scanned_layer s ON s.layer = l.id WHERE l.hash = ? AND s.scanner = ?)`,
			[]any{hash.String(), id}, &scanned)
	})
	return scanned, err
}

// SetLayerScanned implements indexer.Store.
func (s *Store) SetLayerScanned(ctx context.Context, hash claircore.Digest, scanner indexer.VersionedScanner) error {
	return s.inLayer(ctx, hash, scanner, func(c *dbfile.Conn, layer, id int64) error {
		_, err := c.Exec(`INSERT INTO scanned_layer (layer, scanner) VALUES (?, ?) ON CONFLICT DO NOTHING`, layer, id)
		return err
	})
}

// inLayer runs fn in a write transaction with the ids of a layer and a scanner.
func (s *Store) inLayer(ctx context.Context, hash claircore.Digest, scanner indexer.VersionedScanner, fn func(c *dbfile.Conn, layer, scanner int64) error) error {
	return s.file.Write(ctx, func(c *dbfile.Conn) error {
		layer, err := layerID(c, hash)
		if err != nil {
			return err
		}
		id, err := scannerID(c, scanner)
		if err != nil {
			return err
		}
		return fn(c, layer, id)
	})
}
