package vulndb

import (
	"errors"
	"fmt"

	"github.com/quay/claircore"

	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

// rememberedRows bounds each of the importer's memories of ids.
const rememberedRows = 50_000

// interner finds or makes the rows that many vulnerabilities share. It is for
// one import, whose transactions it outlives: such rows are never taken away
// while an import runs.
type interner struct {
	hasher     *hasher
	dists      map[claircore.Distribution]int64
	repos      map[claircore.Repository]int64
	packages   map[packageKey]int64
	advisories map[digest]int64
}

type packageKey struct {
	name, module, arch, version string
	kind                        uint
}

func newInterner() *interner {
	return &interner{hasher: newHasher(), dists: map[claircore.Distribution]int64{}, repos: map[claircore.Repository]int64{},
		packages: map[packageKey]int64{}, advisories: map[digest]int64{}}
}

// remember keeps id for key and forgets everything when there is too much.
func remember[K comparable](memory map[K]int64, key K, id int64) int64 {
	if len(memory) >= rememberedRows {
		clear(memory)
	}
	memory[key] = id
	return id
}

// findOrMake returns the id of the row that find finds, or that insert makes.
func findOrMake(c *dbfile.Conn, find, insert string, key, row []any) (id int64, err error) {
	if err = c.Get(find, key, &id); !errors.Is(err, dbfile.ErrNoRow) {
		return id, err
	}
	return c.Insert(insert, row...)
}

func (in *interner) dist(c *dbfile.Conn, d *claircore.Distribution) (int64, error) {
	var key claircore.Distribution
	if d != nil {
		key = *d
	}
	key.ID = ""
	if id, ok := in.dists[key]; ok {
		return id, nil
	}
	name, err := cpeText(key.CPE)
	if err != nil {
		return 0, fmt.Errorf("distribution %s: %w", key.Name, err)
	}
	row := []any{key.DID, key.VersionID, key.Name, key.Version, key.VersionCodeName, key.Arch, name, key.PrettyName}
	id, err := findOrMake(c, `SELECT id FROM dist WHERE did = ? AND version_id = ? AND name = ? AND version = ?
			AND version_code_name = ? AND arch = ? AND cpe = ? AND pretty_name = ?`,
		`INSERT INTO dist (did, version_id, name, version, version_code_name, arch, cpe, pretty_name) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, row, row)
	if err != nil {
		return 0, err
	}
	return remember(in.dists, key, id), nil
}

func (in *interner) repo(c *dbfile.Conn, r *claircore.Repository) (int64, error) {
	var key claircore.Repository
	if r != nil {
		key = claircore.Repository{Name: r.Name, Key: r.Key, URI: r.URI} // no more is matched, and no more is kept
	}
	if id, ok := in.repos[key]; ok {
		return id, nil
	}
	row := []any{key.Name, key.Key, key.URI}
	id, err := findOrMake(c, `SELECT id FROM repo WHERE name = ? AND key = ? AND uri = ?`,
		`INSERT INTO repo (name, key, uri) VALUES (?, ?, ?)`, row, row)
	if err != nil {
		return 0, err
	}
	return remember(in.repos, key, id), nil
}

func (in *interner) pkg(c *dbfile.Conn, p *claircore.Package) (int64, error) {
	key := packageKey{p.Name, p.Module, p.Arch, p.Version, uint(p.Kind)}
	if id, ok := in.packages[key]; ok {
		return id, nil
	}
	row := []any{p.Name, int64(p.Kind), p.Module, p.Arch, p.Version}
	id, err := findOrMake(c, `SELECT id FROM package WHERE name = ? AND kind = ? AND module = ? AND arch = ? AND version = ?`,
		`INSERT INTO package (name, kind, module, arch, version) VALUES (?, ?, ?, ?, ?)`, row, row)
	if err != nil {
		return 0, err
	}
	return remember(in.packages, key, id), nil
}

// advisory also returns the digest of what it stored.
func (in *interner) advisory(c *dbfile.Conn, v *claircore.Vulnerability) (int64, digest, error) {
	aliases := encodeAliases(v)
	issued := micros(v.Issued)
	in.hasher.text(v.Name, v.Updater, v.Description, v.Links, v.Severity, aliases)
	if us, ok := issued.(int64); ok {
		in.hasher.number(us)
	}
	in.hasher.number(int64(v.NormalizedSeverity))
	key := in.hasher.sum()
	if id, ok := in.advisories[key]; ok {
		return id, key, nil
	}
	id, err := findOrMake(c, `SELECT id FROM advisory WHERE hash = ?`,
		`INSERT INTO advisory (hash, name, updater, description, issued, links, severity, normalized_severity, aliases)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, []any{key[:]},
		[]any{key[:], v.Name, v.Updater, v.Description, issued, v.Links, v.Severity, int64(v.NormalizedSeverity), aliases})
	if err != nil {
		return 0, key, err
	}
	return remember(in.advisories, key, id), key, nil
}
