package vulndb

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/quay/claircore"
	"github.com/quay/claircore/datastore"
	"github.com/quay/claircore/libvuln/driver"

	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

// UpdateVulnerabilities implements datastore.Updater. For many rows use
// UpdateVulnerabilitiesIter, which need not hold them all.
func (s *Store) UpdateVulnerabilities(ctx context.Context, updater string, fingerprint driver.Fingerprint, vulns []*claircore.Vulnerability) (uuid.UUID, error) {
	return s.updateVulnerabilities(ctx, updater, fingerprint, each(vulns), nil)
}

// UpdateVulnerabilitiesIter implements datastore.Updater. A vulnerability must
// not be changed after it was yielded. An error of the iterator undoes the whole
// update.
func (s *Store) UpdateVulnerabilitiesIter(ctx context.Context, updater string, fingerprint driver.Fingerprint, vulns datastore.VulnerabilityIter) (uuid.UUID, error) {
	return s.updateVulnerabilities(ctx, updater, fingerprint, vulns, nil)
}

// DeltaUpdateVulnerabilities implements datastore.Updater: vulnerabilities of
// the updater that are neither among vulns nor deleted, by name, stay.
func (s *Store) DeltaUpdateVulnerabilities(ctx context.Context, updater string, fingerprint driver.Fingerprint, vulns []*claircore.Vulnerability, deleted []string) (uuid.UUID, error) {
	return s.DeltaUpdateVulnerabilitiesIter(ctx, updater, fingerprint, each(vulns), deleted)
}

// DeltaUpdateVulnerabilitiesIter is DeltaUpdateVulnerabilities for more
// vulnerabilities than memory should hold.
func (s *Store) DeltaUpdateVulnerabilitiesIter(ctx context.Context, updater string, fingerprint driver.Fingerprint, vulns datastore.VulnerabilityIter, deleted []string) (uuid.UUID, error) {
	touched := make(map[string]bool, len(deleted))
	for _, name := range deleted {
		touched[name] = true
	}
	return s.updateVulnerabilities(ctx, updater, fingerprint, vulns, touched)
}

// each turns a list into claircore's kind of iterator.
func each[T any](list []T) func(yield func(T, error) bool) {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// updateVulnerabilities replaces all rows of the updater or, with names touched,
// only those of these names and of the names among vulns.
func (s *Store) updateVulnerabilities(ctx context.Context, updater string, fingerprint driver.Fingerprint, vulns datastore.VulnerabilityIter, touched map[string]bool) (uuid.UUID, error) {
	im, end, err := s.begin(ctx, vulnRows, updater, fingerprint)
	if err != nil {
		return uuid.Nil, fmt.Errorf("begin update of %s: %w", updater, err)
	}
	defer end()
	if err = im.vulnerabilities(ctx, vulns, touched); err == nil {
		err = im.show(ctx)
	}
	if err != nil {
		return uuid.Nil, im.undo(fmt.Errorf("update of %s: %w", updater, err))
	}
	return im.ref, nil
}

// vulnerabilities writes all that an update brings; only show is left to do.
func (im *importing) vulnerabilities(ctx context.Context, vulns datastore.VulnerabilityIter, touched map[string]bool) error {
	err := batches(vulns, usableVuln, func() { im.pace(ctx) }, func(batch []*claircore.Vulnerability) error {
		if touched != nil {
			for _, v := range batch {
				touched[v.Name] = true
			}
		}
		return im.write(ctx, len(batch), func(c *dbfile.Conn, i int) error { return im.putVuln(c, batch[i]) })
	})
	if err != nil {
		return err
	}
	if touched == nil {
		return im.finish(ctx, im.goneRows)
	}
	return im.finishDelta(ctx, touched)
}

// usableVuln is false for vulnerabilities of no package: nothing could match them.
func usableVuln(v *claircore.Vulnerability) bool {
	return v != nil && v.Package != nil && v.Package.Name != ""
}

// batches hands the usable ones of what all yields on to flush, some thousand
// at a time.
func batches[T any](all func(yield func(T, error) bool), usable func(T) bool, pace func(), flush func([]T) error) (failed error) {
	batch := make([]T, 0, batchRows)
	all(func(v T, err error) bool {
		if failed = err; failed != nil {
			return false
		}
		pace() // to read a row may take longer than to write it
		if !usable(v) {
			return true
		}
		if batch = append(batch, v); len(batch) == batchRows {
			failed = flush(batch)
			clear(batch)
			batch = batch[:0]
		}
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	return flush(batch)
}

func (im *importing) putVuln(c *dbfile.Conn, v *claircore.Vulnerability) error {
	advisory, advisoryKey, err := im.intern.advisory(c, v)
	if err != nil {
		return err
	}
	dist, err := im.intern.dist(c, v.Dist)
	if err != nil {
		return err
	}
	repo, err := im.intern.repo(c, v.Repo)
	if err != nil {
		return err
	}
	pkg, err := im.intern.pkg(c, v.Package)
	if err != nil {
		return err
	}
	kind, lower, upper := encodeRange(v.Range)
	h := im.intern.hasher
	h.text(string(advisoryKey[:]), v.FixedInVersion)
	// Ids are as good as what they stand for: they live at least as long.
	for _, n := range []int64{dist, repo, pkg, int64(v.ArchOperation), int64(boolInt(v.Invert))} {
		h.number(n)
	}
	if kind != nil {
		h.text(kind.(string), string(lower.([]byte)), string(upper.([]byte)))
	}
	key := h.sum()
	return im.put(c, key, func() (int64, error) {
		return c.Insert(`INSERT INTO vuln (hash, stream, advisory, package, dist, repo, fixed, arch_op, invert, range_kind, lower, upper, first_op)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			key[:], im.stream, advisory, pkg, dist, repo, v.FixedInVersion, int64(v.ArchOperation), boolInt(v.Invert), kind, lower, upper, im.op)
	})
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// goneRows lists the living rows of the stream that the update does not have.
func (im *importing) goneRows(ctx context.Context, c *dbfile.Conn, keep *bitmap) ([]int64, error) {
	if im.empty {
		return nil, nil
	}
	var gone []int64
	err := c.Each(`SELECT id FROM `+im.table+` WHERE stream = ? AND end_op IS NULL`, []any{im.stream}, func(row dbfile.Row) error {
		im.pace(ctx)
		id, err := scanID(row)
		if err == nil && !keep.has(id) {
			gone = append(gone, id)
		}
		return err
	})
	return gone, err
}

// finishDelta ends only rows whose names the update touched. The rows of an
// update are all that are then alive.
func (im *importing) finishDelta(ctx context.Context, touched map[string]bool) error {
	return im.finish(ctx, func(ctx context.Context, c *dbfile.Conn, keep *bitmap) ([]int64, error) {
		var gone []int64
		for name := range touched {
			err := c.Each(`SELECT v.id FROM advisory a JOIN vuln v ON v.advisory = a.id WHERE a.name = ? AND v.stream = ? AND v.end_op IS NULL`,
				[]any{name, im.stream}, func(row dbfile.Row) error {
					im.pace(ctx)
					id, err := scanID(row)
					if err == nil && !keep.has(id) {
						gone = append(gone, id)
					}
					return err
				})
			if err != nil {
				return nil, err
			}
		}
		var alive int64
		err := c.Get(`SELECT COUNT(*) FROM vuln WHERE stream = ? AND end_op IS NULL`, []any{im.stream}, &alive)
		im.rows = alive - int64(len(gone))
		return gone, err
	})
}
