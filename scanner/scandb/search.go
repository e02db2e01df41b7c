package scandb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

// Query says which findings Search returns; the zero value returns all.
type Query struct {
	Digests    []string // of images; nil for all, empty for none
	CVE        string   // exact, in any case
	Package    string   // exact
	Severities []core.Severity
	Fixable    *bool
	KEV        *bool
	MinScore   float64 // CVSS base score, 0 for any
	MaxScore   float64 // 0 for any
	Sort       Sort
	Offset     int
	Limit      int // 0 for all
}

// Sort is an order of findings.
type Sort string

// The orders. Each ends with the severity, the CVE and the package.
const (
	SortSeverity Sort = "severity" // the worst first: the default
	SortCVE      Sort = "cve"
	SortPackage  Sort = "package"
	SortScore    Sort = "score" // the highest first
	SortFixed    Sort = "fixed" // the fixable first
)

var orders = map[Sort]string{
	"":           "",
	SortSeverity: "",
	SortCVE:      "a.cve DESC, ",
	SortPackage:  "p.name, ",
	SortScore:    "a.score DESC, ",
	SortFixed:    "f.fixed = '', ",
}

// Occurrence is a finding and the image it is in.
type Occurrence struct {
	Digest string
	Finding
}

const (
	selectFindings = `SELECT m.hash, p.id, p.name, p.version, p.arch, a.cve, a.name, a.updater, a.severity, a.source_severity, a.score, a.vector, a.kev,
		a.issued, a.description, a.links, f.fixed, COALESCE(l.hash, ''), f.place`
	fromFindings = ` FROM finding f JOIN advisory a ON a.id = f.advisory JOIN package p ON p.id = f.package JOIN manifest m ON m.id = f.manifest
		LEFT JOIN layer l ON l.id = f.layer`
)

// conditions writes the query's filters as SQL, each with its arguments.
func (q *Query) conditions() (string, []any, error) {
	where, args := []string{"1 = 1"}, []any{}
	and := func(condition string, values ...any) {
		where = append(where, condition)
		args = append(args, values...)
	}
	if q.Digests != nil {
		list, err := json.Marshal(q.Digests)
		if err != nil {
			return "", nil, err
		}
		and(`f.manifest IN (SELECT m.id FROM json_each(?) j JOIN manifest m ON m.hash = j.value)`, string(list))
	}
	if q.CVE != "" {
		and(`a.cve IN (?, ?)`, q.CVE, strings.ToUpper(q.CVE))
	}
	if q.Package != "" {
		and(`p.name = ?`, q.Package)
	}
	if len(q.Severities) > 0 {
		list, err := json.Marshal(q.Severities)
		if err != nil {
			return "", nil, err
		}
		and(`a.severity IN (SELECT value FROM json_each(?))`, string(list))
	}
	if q.Fixable != nil {
		and(`(f.fixed <> '') = ?`, *q.Fixable)
	}
	if q.KEV != nil {
		and(`a.kev = ?`, *q.KEV)
	}
	if q.MinScore > 0 {
		and(`a.score >= ?`, q.MinScore)
	}
	if q.MaxScore > 0 {
		and(`a.score <= ?`, q.MaxScore)
	}
	return " WHERE " + strings.Join(where, " AND "), args, nil
}

// Search returns a page of the findings that match, and how many there are in
// all. It knows nothing of rights: a caller passes the digests of the images
// that may be seen.
func (s *Store) Search(ctx context.Context, q Query) (page []Occurrence, total int, err error) {
	order, ok := orders[q.Sort]
	if !ok {
		return nil, 0, core.Errorf(core.CodeBadRequest, "findings cannot be sorted by %q; use severity, cve, package, score or fixed", core.Clip(string(q.Sort), 32))
	}
	where, args, err := q.conditions()
	if err != nil {
		return nil, 0, err
	}
	err = s.file.Read(ctx, func(c *dbfile.Conn) error {
		if err := c.Get(`SELECT COUNT(*)`+fromFindings+where, args, &total); err != nil {
			return err
		}
		limit := -1
		if q.Limit > 0 {
			limit = q.Limit
		}
		query := selectFindings + fromFindings + where + ` ORDER BY ` + order +
			`a.severity DESC, a.kev DESC, f.fixed = '', a.cve DESC, p.name, p.version, f.manifest, p.id, a.id LIMIT ? OFFSET ?`
		page, err = dbfile.List(c, query, append(args, limit, q.Offset), scanOccurrence)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("search findings: %w", err)
	}
	return page, total, nil
}

func scanOccurrence(row dbfile.Row) (o Occurrence, err error) {
	var issued int64
	err = row.Scan(&o.Digest, &o.Package.ID, &o.Package.Name, &o.Version, &o.Arch, &o.CVE, &o.Advisory.Name, &o.Updater, (*int)(&o.Severity),
		&o.SourceSeverity, &o.Score, &o.Vector, &o.KEV, &issued, &o.Description, &o.Links, &o.Fixed, &o.Layer, &o.Place)
	o.Issued = at(issued)
	return o, err
}

// Report returns the report of an image; core.CodeNotFound when there is none.
func (s *Store) Report(ctx context.Context, digest string) (*Report, error) {
	r := &Report{Digest: digest}
	err := s.file.Read(ctx, func(c *dbfile.Conn) error {
		if err := header(c, r); err != nil {
			return err
		}
		where, args, err := (&Query{Digests: []string{digest}}).conditions()
		if err != nil {
			return err
		}
		return c.Each(selectFindings+fromFindings+where+` ORDER BY a.severity DESC, a.kev DESC, f.fixed = '', a.cve DESC, p.name, p.version, p.id, a.id`,
			args, func(row dbfile.Row) error {
				o, err := scanOccurrence(row)
				r.Findings = append(r.Findings, o.Finding)
				return err
			})
	})
	if errors.Is(err, dbfile.ErrNoRow) {
		return nil, core.Errorf(core.CodeNotFound, "there is no vulnerability report of %s; scan it first", digest)
	}
	if err != nil {
		return nil, fmt.Errorf("report of %s: %w", digest, err)
	}
	return r, nil
}

func header(c *dbfile.Conn, r *Report) error {
	var indexed, matched, changed int64
	err := c.Get(`SELECT r.feed, r.indexed_at, r.matched_at, r.changed_at, r.os, r.packages FROM manifest m JOIN report r ON r.manifest = m.id WHERE m.hash = ?`,
		[]any{r.Digest}, &r.Feed, &indexed, &matched, &changed, &r.OS, &r.Packages)
	r.IndexedAt, r.MatchedAt, r.ChangedAt = at(indexed), at(matched), at(changed)
	return err
}

// CVECount says how widespread a vulnerability is.
type CVECount struct {
	CVE      string
	Severity core.Severity // the worst
	Score    float64       // the highest
	KEV      bool
	Images   int
}

// CommonCVEs returns those of the vulnerabilities that match which are in the
// most images, at most limit. The order and page of the query do not matter.
func (s *Store) CommonCVEs(ctx context.Context, q Query, limit int) (list []CVECount, err error) {
	where, args, err := q.conditions()
	if err != nil {
		return nil, err
	}
	from := ` FROM finding f JOIN advisory a ON a.id = f.advisory` // no more than it needs: there may be millions
	if q.Package != "" {
		from += ` JOIN package p ON p.id = f.package`
	}
	err = s.file.Read(ctx, func(c *dbfile.Conn) error {
		list, err = dbfile.List(c, `SELECT a.cve, MAX(a.severity), MAX(a.score), MAX(a.kev), COUNT(DISTINCT f.manifest) AS images`+from+where+
			` GROUP BY a.cve ORDER BY images DESC, 2 DESC, 3 DESC, 1 DESC LIMIT ?`, append(args, limit),
			func(row dbfile.Row) (n CVECount, err error) {
				return n, row.Scan(&n.CVE, (*int)(&n.Severity), &n.Score, &n.KEV, &n.Images)
			})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count the vulnerabilities: %w", err)
	}
	return list, nil
}

// Stale lists the images whose report was made with other data than that of the
// generation, in a stable order, after the given digest.
func (s *Store) Stale(ctx context.Context, generation int64, after string, limit int) (digests []string, err error) {
	err = s.file.Read(ctx, func(c *dbfile.Conn) (err error) {
		digests, err = dbfile.List(c, `SELECT m.hash FROM manifest m JOIN report r ON r.manifest = m.id WHERE r.feed <> ? AND m.hash > ? ORDER BY m.hash LIMIT ?`,
			[]any{generation, after, limit}, func(row dbfile.Row) (d string, err error) { return d, row.Scan(&d) })
		return err
	})
	return digests, err
}

// CountStale counts what Stale lists.
func (s *Store) CountStale(ctx context.Context, generation int64) (n int, err error) {
	err = s.file.Read(ctx, func(c *dbfile.Conn) error {
		return c.Get(`SELECT COUNT(*) FROM report WHERE feed <> ?`, []any{generation}, &n)
	})
	return n, err
}

// SetFeed says with what generation of the data the stored report was made,
// once all that follows from the report is done too.
func (s *Store) SetFeed(ctx context.Context, digest string, generation int64) error {
	return s.file.Write(ctx, func(c *dbfile.Conn) error {
		_, err := c.Exec(`UPDATE report SET feed = ? WHERE manifest = (SELECT id FROM manifest WHERE hash = ?)`, generation, digest)
		return err
	})
}
