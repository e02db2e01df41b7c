package scandb

import (
	"context"
	"errors"
	"fmt"

	"github.com/quay/claircore"

	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

// DeleteManifests implements indexer.Store: it forgets images, their reports
// and the layers that no other image has, and returns those it knew.
func (s *Store) DeleteManifests(ctx context.Context, digests ...claircore.Digest) ([]claircore.Digest, error) {
	deleted := make([]claircore.Digest, 0, len(digests))
	for _, d := range digests {
		err := s.file.Write(ctx, func(c *dbfile.Conn) error {
			id, err := manifestID(c, d)
			if err != nil {
				return err
			}
			return deleteManifest(c, id)
		})
		if errors.Is(err, dbfile.ErrNoRow) {
			continue
		}
		if err != nil {
			return deleted, fmt.Errorf("forget image %v: %w", d, err)
		}
		deleted = append(deleted, d)
	}
	return deleted, nil
}

func deleteManifest(c *dbfile.Conn, manifest int64) error {
	layers, err := dbfile.List(c, `SELECT layer FROM manifest_layer WHERE manifest = ?`, []any{manifest}, scanID)
	if err != nil {
		return err
	}
	if err := deleteFindings(c, manifest); err != nil {
		return err
	}
	for _, table := range []string{"scanned_manifest", "manifest_layer", "manifest_index", "index_report", "report"} {
		if _, err := c.Exec(`DELETE FROM `+table+` WHERE manifest = ?`, manifest); err != nil {
			return err
		}
	}
	if _, err := c.Exec(`DELETE FROM manifest WHERE id = ?`, manifest); err != nil {
		return err
	}
	for _, layer := range layers {
		if err := deleteUnusedLayer(c, layer); err != nil {
			return err
		}
	}
	return nil
}

func deleteUnusedLayer(c *dbfile.Conn, layer int64) error {
	var used bool
	if err := c.Get(`SELECT EXISTS (SELECT 1 FROM manifest_layer WHERE layer = ?)`, []any{layer}, &used); err != nil || used {
		return err
	}
	for _, table := range []string{"scanned_layer", "package_in", "dist_in", "repo_in", "file_in"} {
		if _, err := c.Exec(`DELETE FROM `+table+` WHERE layer = ?`, layer); err != nil {
			return err
		}
	}
	_, err := c.Exec(`DELETE FROM layer WHERE id = ?`, layer)
	return err
}

// SetInput says in what state the data is that the scanner with this name uses
// besides the layers. In a new state it looks at every layer again when an image
// with the layer is scanned the next time.
func (s *Store) SetInput(ctx context.Context, scanner, state string) error {
	var known string
	err := s.file.Read(ctx, func(c *dbfile.Conn) error {
		return c.Get(`SELECT state FROM input WHERE scanner = ?`, []any{scanner}, &known)
	})
	if err == nil && known == state {
		return nil
	}
	if err != nil && !errors.Is(err, dbfile.ErrNoRow) {
		return err
	}
	return s.file.Write(ctx, func(c *dbfile.Conn) error {
		for _, table := range []string{"scanned_manifest", "scanned_layer", "package_in", "dist_in", "repo_in", "file_in"} {
			if _, err := c.Exec(`DELETE FROM `+table+` WHERE scanner IN (SELECT id FROM scanner WHERE name = ?)`, scanner); err != nil {
				return err
			}
		}
		_, err := c.Exec(`INSERT INTO input (scanner, state) VALUES (?1, ?2) ON CONFLICT (scanner) DO UPDATE SET state = ?2`, scanner, state)
		return err
	})
}

func scanID(row dbfile.Row) (id int64, err error) { return id, row.Scan(&id) }

// Manifests lists the digests of all images that are known, in no order.
func (s *Store) Manifests(ctx context.Context) (digests []string, err error) {
	err = s.file.Read(ctx, func(c *dbfile.Conn) (err error) {
		digests, err = dbfile.List(c, `SELECT hash FROM manifest`, nil, func(row dbfile.Row) (d string, err error) { return d, row.Scan(&d) })
		return err
	})
	return digests, err
}

// Sweep removes packages, distributions, repositories and files that are in no
// layer any more. Nothing may be indexed meanwhile.
func (s *Store) Sweep(ctx context.Context) error {
	return s.file.Write(ctx, func(c *dbfile.Conn) error {
		for _, statement := range []string{
			`DELETE FROM package WHERE id NOT IN (SELECT package FROM package_in UNION SELECT source FROM package_in UNION SELECT package FROM manifest_index UNION SELECT package FROM finding)`,
			`DELETE FROM dist WHERE id NOT IN (SELECT dist FROM dist_in UNION SELECT dist FROM manifest_index)`,
			`DELETE FROM repo WHERE id NOT IN (SELECT repo FROM repo_in UNION SELECT repo FROM manifest_index)`,
			`DELETE FROM file WHERE id NOT IN (SELECT file FROM file_in)`,
		} {
			if _, err := c.Exec(statement); err != nil {
				return err
			}
		}
		return nil
	})
}
