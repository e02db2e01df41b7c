package vulndb

import (
	"fmt"
	"strconv"
	"time"

	"github.com/quay/claircore"
	"github.com/quay/claircore/toolkit/types"

	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

// shared remembers, for one look-up, the rows that many rows of vuln share.
type shared struct {
	conn       *dbfile.Conn
	streams    map[int64]int64 // their latest operation
	repos      map[int64]claircore.Repository
	packages   map[int64]claircore.Package
	advisories map[int64]advisory
}

func newShared(c *dbfile.Conn) *shared {
	return &shared{conn: c, streams: map[int64]int64{}, repos: map[int64]claircore.Repository{}, packages: map[int64]claircore.Package{}, advisories: map[int64]advisory{}}
}

// latest returns the operation of a stream that readers see, 0 for none.
func (s *shared) latest(stream int64) (int64, error) {
	return once(s.streams, "stream", stream, func(latest *int64) error {
		return s.conn.Get(`SELECT latest FROM stream WHERE id = ?`, []any{stream}, latest)
	})
}

func (s *shared) repo(id int64) (claircore.Repository, error) {
	return once(s.repos, "repository", id, func(r *claircore.Repository) error {
		return s.conn.Get(`SELECT name, key, uri FROM repo WHERE id = ?`, []any{id}, &r.Name, &r.Key, &r.URI)
	})
}

func (s *shared) pkg(id int64) (claircore.Package, error) {
	return once(s.packages, "package", id, func(p *claircore.Package) error {
		var kind int64
		err := s.conn.Get(`SELECT name, kind, module, arch, version FROM package WHERE id = ?`, []any{id}, &p.Name, &kind, &p.Module, &p.Arch, &p.Version)
		p.Kind = types.PackageKind(kind)
		return err
	})
}

// once returns the row of that id from memory, or reads and remembers it.
func once[T any](known map[int64]T, what string, id int64, read func(*T) error) (T, error) {
	if v, ok := known[id]; ok {
		return v, nil
	}
	var v T // apart from the one above, which stays off the heap
	if err := read(&v); err != nil {
		return v, fmt.Errorf("the %s %d: %w", what, id, err)
	}
	known[id] = v
	return v, nil
}

// advisory is what all rows of one vulnerability have in common.
type advisory struct {
	name, updater, description, links, severity, aliases string
	issued                                               time.Time
	normalized                                           claircore.Severity
}

// loadAdvisories reads those of the rows that are not known yet, with one query.
func (s *shared) loadAdvisories(rows []vuln) error {
	ids, asked := []byte{'['}, map[int64]bool{}
	for i := range rows {
		id := rows[i].advisory
		if _, known := s.advisories[id]; known || asked[id] {
			continue
		}
		asked[id] = true
		if len(ids) > 1 {
			ids = append(ids, ',')
		}
		ids = strconv.AppendInt(ids, id, 10)
	}
	if len(asked) == 0 {
		return nil
	}
	return s.conn.Each(`SELECT id, name, updater, description, issued, links, severity, normalized_severity, aliases
		FROM advisory WHERE id IN (SELECT value FROM json_each(?))`, []any{string(append(ids, ']'))}, func(row dbfile.Row) error {
		var (
			id, normalized int64
			issued         *int64
			a              advisory
		)
		if err := row.Scan(&id, &a.name, &a.updater, &a.description, &issued, &a.links, &a.severity, &normalized, &a.aliases); err != nil {
			return err
		}
		a.issued, a.normalized = timeAt(issued), claircore.Severity(normalized)
		s.advisories[id] = a
		return nil
	})
}
