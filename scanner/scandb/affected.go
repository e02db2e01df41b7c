package scandb

import (
	"context"
	"fmt"
	"strings"

	"github.com/quay/claircore"
	"github.com/quay/claircore/libvuln/driver"
	_ "github.com/quay/claircore/matchers/defaults" // registers the matchers that are asked
	"github.com/quay/claircore/matchers/registry"

	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

// AffectedManifests implements indexer.Store: it asks every registered matcher.
func (s *Store) AffectedManifests(ctx context.Context, v claircore.Vulnerability) ([]claircore.Digest, error) {
	a := &affected{vuln: &v, seen: map[string]bool{}, found: []claircore.Digest{}}
	err := s.file.Read(ctx, func(c *dbfile.Conn) error {
		for name, factory := range registry.Registered() {
			matchers, err := factory.Matcher(ctx)
			if err != nil {
				return fmt.Errorf("matcher %s: %w", name, err)
			}
			for _, m := range matchers {
				if err := a.ask(ctx, c, m); err != nil {
					return fmt.Errorf("matcher %s: %w", m.Name(), err)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("images affected by %s: %w", v.Name, err)
	}
	return a.found, nil
}

// affected collects the images that a vulnerability affects.
type affected struct {
	vuln  *claircore.Vulnerability
	seen  map[string]bool
	found []claircore.Digest
}

// column is what a constraint compares, with the vulnerability's side of it.
type column struct {
	name, value string
	mayBeEmpty  bool // else nothing given means that the matcher has no say
}

func constraintColumn(m driver.MatchConstraint, v *claircore.Vulnerability) (column, error) {
	var dist claircore.Distribution
	var repo claircore.Repository
	if v.Dist != nil {
		dist = *v.Dist
	}
	if v.Repo != nil {
		repo = *v.Repo
	}
	switch m {
	case driver.PackageModule:
		return column{"p.module", v.Package.Module, true}, nil
	case driver.DistributionDID:
		return column{"d.did", dist.DID, false}, nil
	case driver.DistributionName:
		return column{"d.name", dist.Name, false}, nil
	case driver.DistributionVersion:
		return column{"d.version", dist.Version, false}, nil
	case driver.DistributionVersionCodeName:
		return column{"d.version_code_name", dist.VersionCodeName, false}, nil
	case driver.DistributionVersionID:
		return column{"d.version_id", dist.VersionID, false}, nil
	case driver.DistributionArch:
		return column{"d.arch", dist.Arch, false}, nil
	case driver.DistributionPrettyName:
		return column{"d.pretty_name", dist.PrettyName, false}, nil
	case driver.DistributionCPE:
		name, err := cpeText(dist.CPE)
		return column{"d.cpe", name, false}, err
	case driver.RepositoryName:
		return column{"r.name", repo.Name, false}, nil
	case driver.RepositoryKey:
		return column{"r.key", repo.Key, false}, nil
	case driver.HasFixedInVersion:
		return column{"", v.FixedInVersion, false}, nil
	}
	return column{}, fmt.Errorf("unknown constraint %v", m)
}

const selectAffected = `SELECT m.hash, p.name, p.version, p.kind, p.norm_version, p.module, p.arch,
		COALESCE(d.name, ''), COALESCE(d.did, ''), COALESCE(d.version, ''), COALESCE(d.version_code_name, ''), COALESCE(d.version_id, ''),
		COALESCE(d.arch, ''), COALESCE(d.cpe, ''), COALESCE(d.pretty_name, ''),
		COALESCE(r.name, ''), COALESCE(r.key, ''), COALESCE(r.uri, ''), COALESCE(r.cpe, '')
	FROM package p JOIN manifest_index i ON i.package = p.id JOIN manifest m ON m.id = i.manifest
	LEFT JOIN dist d ON d.id = i.dist LEFT JOIN repo r ON r.id = i.repo WHERE p.name = ?`

// ask adds the images of which the matcher says that they are affected.
func (a *affected) ask(ctx context.Context, c *dbfile.Conn, m driver.Matcher) error {
	query, args := strings.Builder{}, []any{a.vuln.Package.Name}
	query.WriteString(selectAffected)
	for _, constraint := range m.Query() {
		col, err := constraintColumn(constraint, a.vuln)
		if err != nil {
			return err
		}
		if col.value == "" && !col.mayBeEmpty {
			return nil
		}
		if col.name != "" {
			query.WriteString(" AND " + col.name + " = ?")
			args = append(args, col.value)
		}
	}
	filter, ok := m.(driver.VersionFilter)
	authoritative := ok && filter.VersionAuthoritative()
	return c.Each(query.String(), args, func(row dbfile.Row) error {
		hash, record, err := scanRecord(row)
		if err != nil || a.seen[hash] || !m.Filter(record) {
			return err
		}
		match := authoritative && a.inRange(&record.Package.NormalizedVersion)
		if !authoritative {
			if match, err = m.Vulnerable(ctx, record, a.vuln); err != nil {
				return err
			}
		}
		if !match {
			return nil
		}
		a.seen[hash] = true
		digest, err := claircore.ParseDigest(hash)
		a.found = append(a.found, digest)
		return err
	})
}

// inRange is the answer of the database for matchers that leave it to it. A
// vulnerability without a range of versions is not limited.
func (a *affected) inRange(v *claircore.Version) bool {
	r := a.vuln.Range
	return r == nil || r.Lower.Kind != r.Upper.Kind || v.Kind == r.Lower.Kind && r.Contains(v)
}

func scanRecord(row dbfile.Row) (hash string, _ *claircore.IndexRecord, err error) {
	p, d, r := &claircore.Package{}, &claircore.Distribution{}, &claircore.Repository{}
	var version string
	err = row.Scan(&hash, &p.Name, &p.Version, (*uint)(&p.Kind), &version, &p.Module, &p.Arch,
		&d.Name, &d.DID, &d.Version, &d.VersionCodeName, &d.VersionID, &d.Arch, &d.CPE, &d.PrettyName, &r.Name, &r.Key, &r.URI, &r.CPE)
	if err == nil && version != "" {
		err = p.NormalizedVersion.UnmarshalText([]byte(version))
	}
	return hash, &claircore.IndexRecord{Package: p, Distribution: d, Repository: r}, err
}
