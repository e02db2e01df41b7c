package scandb

import (
	"context"
	"fmt"

	"github.com/quay/claircore"
	"github.com/quay/claircore/indexer"
	"github.com/quay/claircore/toolkit/types/cpe"

	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

// IndexPackages implements indexer.Store. Packages without a name are left out;
// one without a source has the empty package as its source.
func (s *Store) IndexPackages(ctx context.Context, pkgs []*claircore.Package, layer *claircore.Layer, scanner indexer.VersionedScanner) error {
	return s.inLayer(ctx, layer.Hash, scanner, func(c *dbfile.Conn, layer, scanner int64) error {
		for _, p := range pkgs {
			if p.Name == "" {
				continue
			}
			source := p.Source
			if source == nil {
				source = &claircore.Package{}
			}
			sourceID, err := packageID(c, source)
			if err != nil {
				return err
			}
			id, err := packageID(c, p)
			if err != nil {
				return err
			}
			if _, err := c.Exec(`INSERT INTO package_in (layer, package, source, scanner, package_db, repository_hint, filepath)
				VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`, layer, id, sourceID, scanner, p.PackageDB, p.RepositoryHint, p.Filepath); err != nil {
				return err
			}
		}
		return nil
	})
}

func packageID(c *dbfile.Conn, p *claircore.Package) (int64, error) {
	version := ""
	if p.NormalizedVersion.Kind != "" {
		text, err := p.NormalizedVersion.MarshalText()
		if err != nil {
			return 0, fmt.Errorf("package %s: %w", p.Name, err)
		}
		version = string(text)
	}
	key := []any{p.Name, p.Version, int64(p.Kind), p.Module, p.Arch}
	return findOrMake(c, `SELECT id FROM package WHERE name = ? AND version = ? AND kind = ? AND module = ? AND arch = ?`,
		`INSERT INTO package (name, version, kind, module, arch, norm_version) VALUES (?, ?, ?, ?, ?, ?)`,
		key, append(key[:len(key):len(key)], version))
}

// IndexDistributions implements indexer.Store.
func (s *Store) IndexDistributions(ctx context.Context, dists []*claircore.Distribution, layer *claircore.Layer, scanner indexer.VersionedScanner) error {
	return s.inLayer(ctx, layer.Hash, scanner, func(c *dbfile.Conn, layer, scanner int64) error {
		for _, d := range dists {
			name, err := cpeText(d.CPE)
			if err != nil {
				return fmt.Errorf("distribution %s: %w", d.Name, err)
			}
			row := []any{d.Name, d.DID, d.Version, d.VersionCodeName, d.VersionID, d.Arch, name, d.PrettyName}
			id, err := findOrMake(c, `SELECT id FROM dist WHERE name = ? AND did = ? AND version = ? AND version_code_name = ?
					AND version_id = ? AND arch = ? AND cpe = ? AND pretty_name = ?`,
				`INSERT INTO dist (name, did, version, version_code_name, version_id, arch, cpe, pretty_name) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, row, row)
			if err != nil {
				return err
			}
			if _, err := c.Exec(`INSERT INTO dist_in (layer, scanner, dist) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, layer, scanner, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// IndexRepositories implements indexer.Store.
func (s *Store) IndexRepositories(ctx context.Context, repos []*claircore.Repository, layer *claircore.Layer, scanner indexer.VersionedScanner) error {
	return s.inLayer(ctx, layer.Hash, scanner, func(c *dbfile.Conn, layer, scanner int64) error {
		for _, r := range repos {
			name, err := cpeText(r.CPE)
			if err != nil {
				return fmt.Errorf("repository %s: %w", r.Name, err)
			}
			key := []any{r.Name, r.Key, r.URI}
			id, err := findOrMake(c, `SELECT id FROM repo WHERE name = ? AND key = ? AND uri = ?`,
				`INSERT INTO repo (name, key, uri, cpe) VALUES (?, ?, ?, ?)`, key, []any{r.Name, r.Key, r.URI, name})
			if err != nil {
				return err
			}
			if _, err := c.Exec(`INSERT INTO repo_in (layer, scanner, repo) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, layer, scanner, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// IndexFiles implements indexer.Store.
func (s *Store) IndexFiles(ctx context.Context, files []claircore.File, layer *claircore.Layer, scanner indexer.VersionedScanner) error {
	return s.inLayer(ctx, layer.Hash, scanner, func(c *dbfile.Conn, layer, scanner int64) error {
		for _, f := range files {
			row := []any{f.Path, string(f.Kind)}
			id, err := findOrMake(c, `SELECT id FROM file WHERE path = ? AND kind = ?`, `INSERT INTO file (path, kind) VALUES (?, ?)`, row, row)
			if err != nil {
				return err
			}
			if _, err := c.Exec(`INSERT INTO file_in (layer, scanner, file) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, layer, scanner, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// cpeText is how a CPE is stored: the zero value, which would bind to a name
// that matches everything, is ”.
func cpeText(w cpe.WFN) (string, error) {
	text, err := w.MarshalText()
	if err != nil {
		return "", fmt.Errorf("CPE: %w", err)
	}
	return string(text), nil
}

// byLayer collects what query finds for the layer and each of the scanners.
func byLayer[T any](ctx context.Context, s *Store, hash claircore.Digest, scanners indexer.VersionedScanners, query string,
	scan func(row dbfile.Row, scanner indexer.VersionedScanner) (T, error)) ([]T, error) {
	all := []T{}
	err := s.file.Read(ctx, func(c *dbfile.Conn) error {
		for _, v := range scanners {
			id, err := scannerID(c, v)
			if err != nil {
				return err
			}
			found, err := dbfile.List(c, query, []any{hash.String(), id}, func(row dbfile.Row) (T, error) { return scan(row, v) })
			if err != nil {
				return err
			}
			all = append(all, found...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("what is in layer %v: %w", hash, err)
	}
	return all, nil
}

// PackagesByLayer implements indexer.Store.
func (s *Store) PackagesByLayer(ctx context.Context, hash claircore.Digest, scanners indexer.VersionedScanners) ([]*claircore.Package, error) {
	const query = `SELECT p.id, p.name, p.version, p.kind, p.module, p.arch, p.norm_version, s.id, s.name, s.version, s.kind, s.module, s.arch,
			a.package_db, a.repository_hint, a.filepath
		FROM layer l JOIN package_in a ON a.layer = l.id JOIN package p ON p.id = a.package JOIN package s ON s.id = a.source
		WHERE l.hash = ? AND a.scanner = ?`
	return byLayer(ctx, s, hash, scanners, query, func(row dbfile.Row, v indexer.VersionedScanner) (*claircore.Package, error) {
		p := &claircore.Package{Source: &claircore.Package{}, Detector: &claircore.Detector{Name: v.Name(), Version: v.Version(), Kind: v.Kind()}}
		var version string
		err := row.Scan(&p.ID, &p.Name, &p.Version, (*uint)(&p.Kind), &p.Module, &p.Arch, &version,
			&p.Source.ID, &p.Source.Name, &p.Source.Version, (*uint)(&p.Source.Kind), &p.Source.Module, &p.Source.Arch,
			&p.PackageDB, &p.RepositoryHint, &p.Filepath)
		if err == nil && version != "" {
			err = p.NormalizedVersion.UnmarshalText([]byte(version))
		}
		return p, err
	})
}

// DistributionsByLayer implements indexer.Store.
func (s *Store) DistributionsByLayer(ctx context.Context, hash claircore.Digest, scanners indexer.VersionedScanners) ([]*claircore.Distribution, error) {
	const query = `SELECT d.id, d.name, d.did, d.version, d.version_code_name, d.version_id, d.arch, d.cpe, d.pretty_name
		FROM layer l JOIN dist_in a ON a.layer = l.id JOIN dist d ON d.id = a.dist WHERE l.hash = ? AND a.scanner = ?`
	return byLayer(ctx, s, hash, scanners, query, func(row dbfile.Row, _ indexer.VersionedScanner) (*claircore.Distribution, error) {
		d := &claircore.Distribution{}
		return d, row.Scan(&d.ID, &d.Name, &d.DID, &d.Version, &d.VersionCodeName, &d.VersionID, &d.Arch, &d.CPE, &d.PrettyName)
	})
}

// RepositoriesByLayer implements indexer.Store.
func (s *Store) RepositoriesByLayer(ctx context.Context, hash claircore.Digest, scanners indexer.VersionedScanners) ([]*claircore.Repository, error) {
	const query = `SELECT r.id, r.name, r.key, r.uri, r.cpe
		FROM layer l JOIN repo_in a ON a.layer = l.id JOIN repo r ON r.id = a.repo WHERE l.hash = ? AND a.scanner = ?`
	return byLayer(ctx, s, hash, scanners, query, func(row dbfile.Row, _ indexer.VersionedScanner) (*claircore.Repository, error) {
		r := &claircore.Repository{}
		return r, row.Scan(&r.ID, &r.Name, &r.Key, &r.URI, &r.CPE)
	})
}

// FilesByLayer implements indexer.Store.
func (s *Store) FilesByLayer(ctx context.Context, hash claircore.Digest, scanners indexer.VersionedScanners) ([]claircore.File, error) {
	const query = `SELECT f.path, f.kind FROM layer l JOIN file_in a ON a.layer = l.id JOIN file f ON f.id = a.file WHERE l.hash = ? AND a.scanner = ?`
	return byLayer(ctx, s, hash, scanners, query, func(row dbfile.Row, _ indexer.VersionedScanner) (f claircore.File, err error) {
		return f, row.Scan(&f.Path, (*string)(&f.Kind))
	})
}
