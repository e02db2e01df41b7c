package vulndb

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/quay/claircore"
	"github.com/quay/claircore/datastore"
	"github.com/quay/claircore/libvuln/driver"
	"github.com/quay/claircore/toolkit/types"

	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

// What rows share is not joined but looked up once: a popular package has
// thousands of them, and each join would search another table for every one.
//
// SQLite plans a statement anew for each value of a parameter that could choose
// another index, which here costs more than the look-up. A parameter in a
// subquery is not looked at.
const selectVulns = `SELECT ` + vulnColumns + ` FROM package p JOIN vuln v ON v.package = p.id
	WHERE p.name = (SELECT ?) AND p.kind = (SELECT ?)`

// Get implements datastore.Vulnerability. Records without a package name are
// passed over.
func (s *Store) Get(ctx context.Context, records []*claircore.IndexRecord, opts datastore.GetOpts) (map[string][]*claircore.Vulnerability, error) {
	constraints := constraintBits(opts.Matchers...)
	if err := constraints.check(); err != nil {
		return nil, err
	}
	results := make(map[string][]*claircore.Vulnerability, len(records))
	err := s.file.Read(ctx, func(c *dbfile.Conn) error {
		dists, err := s.dists.load(c)
		if err != nil {
			return err
		}
		g := &getter{conn: c, constraints: constraints, byVersion: opts.VersionFiltering, dists: dists, shared: newShared(c),
			seen: map[lookup][]*claircore.Vulnerability{}, rows: map[int64]*claircore.Vulnerability{}}
		for _, record := range records {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if record.Package == nil || record.Package.Name == "" {
				continue
			}
			found, err := g.record(record, results[record.Package.ID])
			if err != nil {
				return err
			}
			results[record.Package.ID] = found
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up vulnerabilities: %w", err)
	}
	return results, nil
}

// getter answers the records of one Get, each different question once.
type getter struct {
	conn        *dbfile.Conn
	constraints constraintSet
	byVersion   bool
	dists       []namedDist
	shared      *shared
	seen        map[lookup][]*claircore.Vulnerability
	rows        map[int64]*claircore.Vulnerability // by id: a row is one object
}

// lookup is one question: the name of a package, and what must be equal.
type lookup struct {
	name          string
	kind          types.PackageKind
	module        string
	dists         string // the ids of the distributions that will do
	repo, repoKey string
	versionKind   string
	version       string // encoded
}

// record adds to found what is new for the record: rows for the package's own
// name and for its source's.
func (g *getter) record(record *claircore.IndexRecord, found []*claircore.Vulnerability) ([]*claircore.Vulnerability, error) {
	if found == nil {
		found = []*claircore.Vulnerability{}
	}
	base, dists := g.question(record)
	if g.constraints.anyOf(distConstraints...) && len(dists) == 0 {
		return found, nil
	}
	pkg := record.Package
	names := []*claircore.Package{pkg}
	if pkg.Source != nil && pkg.Source.Name != "" && (pkg.Source.Name != pkg.Name || pkg.Source.Kind != pkg.Kind) {
		names = append(names, pkg.Source)
	}
	for _, p := range names {
		q := base
		q.name, q.kind = p.Name, p.Kind
		rows, ok := g.seen[q]
		if !ok {
			var err error
			if rows, err = g.query(q, dists); err != nil {
				return nil, err
			}
			g.seen[q] = rows
		}
		found = merge(found, rows)
	}
	return found, nil
}

// merge appends the rows that are not there yet. The rows of one question are
// all different.
func merge(found, rows []*claircore.Vulnerability) []*claircore.Vulnerability {
	if len(found) == 0 {
		return append(found, rows...)
	}
	known := make(map[*claircore.Vulnerability]bool, len(found))
	for _, v := range found {
		known[v] = true
	}
	for _, v := range rows {
		if !known[v] {
			found = append(found, v)
		}
	}
	return found
}

// question gathers what the matcher's constraints ask of the record, and which
// distributions are as the record's.
func (g *getter) question(record *claircore.IndexRecord) (q lookup, dists []int64) {
	if g.constraints.anyOf(distConstraints...) {
		var want claircore.Distribution
		if record.Distribution != nil {
			want = *record.Distribution
		}
		for _, d := range g.dists {
			if g.constraints.sameDist(&d.Distribution, &want) {
				dists = append(dists, d.id)
			}
		}
		q.dists = fmt.Sprint(dists)
	}
	if record.Repository != nil && g.constraints.has(driver.RepositoryName) {
		q.repo = record.Repository.Name
	}
	if record.Repository != nil && g.constraints.has(driver.RepositoryKey) {
		q.repoKey = record.Repository.Key
	}
	if g.constraints.has(driver.PackageModule) {
		q.module = record.Package.Module
	}
	if g.byVersion {
		v := &record.Package.NormalizedVersion
		q.versionKind, q.version = v.Kind, string(encodeVersion(v))
	}
	return q, dists
}

// query reads the rows that answer q.
func (g *getter) query(q lookup, dists []int64) ([]*claircore.Vulnerability, error) {
	var sql strings.Builder
	sql.WriteString(selectVulns)
	args := []any{q.name, int64(q.kind)}
	and := func(condition string, values ...any) {
		sql.WriteString(" AND " + condition)
		args = append(args, values...)
	}
	if len(dists) > 0 {
		ids := make([]any, len(dists))
		for i, id := range dists {
			ids[i] = id
		}
		and(`v.dist IN (`+strings.Repeat("(SELECT ?), ", len(ids)-1)+`(SELECT ?))`, ids...)
	}
	if g.constraints.has(driver.PackageModule) {
		and(`p.module = (SELECT ?)`, q.module)
	}
	if g.constraints.has(driver.HasFixedInVersion) {
		and(`v.fixed <> ''`)
	}
	if g.byVersion {
		and(`v.range_kind = (SELECT ?) AND v.lower <= (SELECT ?) AND v.upper > (SELECT ?)`, q.versionKind, []byte(q.version), []byte(q.version))
	}
	found, err := dbfile.List(g.conn, sql.String(), args, scanVuln)
	if err != nil {
		return nil, err
	}
	if found, err = g.keep(q, found); err != nil {
		return nil, err
	}
	return g.vulnerabilities(found)
}

const vulnColumns = `v.id, v.stream, v.first_op, v.end_op, v.advisory, v.package, v.dist, v.repo, v.fixed, v.arch_op, v.invert`

// vuln is a row of the table of that name.
type vuln struct {
	id, stream, firstOp       int64
	endOp                     *int64
	advisory, pkg, dist, repo int64
	fixed                     string
	archOp, invert            int64
}

func scanVuln(row dbfile.Row) (v vuln, err error) {
	err = row.Scan(&v.id, &v.stream, &v.firstOp, &v.endOp, &v.advisory, &v.pkg, &v.dist, &v.repo, &v.fixed, &v.archOp, &v.invert)
	return v, err
}

// keep leaves the rows that are visible, and of a repository that was asked for.
func (g *getter) keep(q lookup, rows []vuln) ([]vuln, error) {
	byName, byKey := g.constraints.has(driver.RepositoryName), g.constraints.has(driver.RepositoryKey)
	kept := rows[:0]
	for _, v := range rows {
		latest, err := g.shared.latest(v.stream)
		if err != nil {
			return nil, err
		}
		if v.firstOp > latest || v.endOp != nil && *v.endOp <= latest {
			continue
		}
		if byName || byKey {
			repo, err := g.shared.repo(v.repo)
			if err != nil {
				return nil, err
			}
			if byName && repo.Name != q.repo || byKey && repo.Key != q.repoKey {
				continue
			}
		}
		kept = append(kept, v)
	}
	return kept, nil
}

// vulnerabilities makes claircore's objects of the rows, each row's once.
func (g *getter) vulnerabilities(rows []vuln) ([]*claircore.Vulnerability, error) {
	if err := g.shared.loadAdvisories(rows); err != nil {
		return nil, err
	}
	all := make([]*claircore.Vulnerability, len(rows))
	for i := range rows {
		known := g.rows[rows[i].id]
		if known == nil {
			var err error
			if known, err = g.vulnerability(&rows[i]); err != nil {
				return nil, err
			}
			g.rows[rows[i].id] = known
		}
		all[i] = known
	}
	return all, nil
}

func (g *getter) vulnerability(row *vuln) (*claircore.Vulnerability, error) {
	a, ok := g.shared.advisories[row.advisory]
	if !ok {
		return nil, fmt.Errorf("the advisory %d of vulnerability %d is missing", row.advisory, row.id)
	}
	v := &claircore.Vulnerability{
		ID: strconv.FormatInt(row.id, 10), Name: a.name, Updater: a.updater, Description: a.description, Issued: a.issued, Links: a.links,
		Severity: a.severity, NormalizedSeverity: a.normalized, FixedInVersion: row.fixed, ArchOperation: claircore.ArchOp(row.archOp), Invert: row.invert != 0}
	if err := decodeAliases(a.aliases, v); err != nil {
		return nil, err
	}
	return v, g.place(v, row)
}

// place gives v copies of its package, distribution and repository: a matcher may
// keep them.
func (g *getter) place(v *claircore.Vulnerability, row *vuln) error {
	at, ok := slices.BinarySearchFunc(g.dists, row.dist, func(d namedDist, id int64) int { return int(d.id - id) })
	if !ok {
		return fmt.Errorf("the distribution %d of vulnerability %s is missing", row.dist, v.ID)
	}
	d := g.dists[at].Distribution
	r, err := g.shared.repo(row.repo)
	if err != nil {
		return err
	}
	p, err := g.shared.pkg(row.pkg)
	v.Package, v.Dist, v.Repo = &p, &d, &r
	return err
}
