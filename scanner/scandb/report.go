package scandb

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

// Report is the vulnerability report of one image.
type Report struct {
	Digest    string
	Feed      int64     // generation of the vulnerability data it was made with
	IndexedAt time.Time // when the layers were read
	MatchedAt time.Time // when it was last matched with the data
	ChangedAt time.Time // when its findings last changed
	OS        string    // pretty name of the distribution, "" for none
	Packages  int       // in the image
	Findings  []Finding // the worst first
}

// Finding is one vulnerability of one package of an image.
type Finding struct {
	Package
	Advisory
	Fixed string // the version without it, "" when there is none
	Layer string // digest of the layer that brought the package, "" when unknown
	Place string // the package database or file that names the package
}

// Package is an installed package.
type Package struct {
	ID            int64 // the number by which the index report knows it
	Name, Version string
	Arch          string
}

// Advisory is what is the same wherever a vulnerability is found.
type Advisory struct {
	CVE            string // its id; that of the source where it has no CVE
	Name           string // the source's name for it, such as ELSA-2018-2439 or GO-2024-2598
	Updater        string // the source
	Severity       core.Severity
	SourceSeverity string  // the source's own word
	Score          float64 // CVSS base score, 0 for none
	Vector         string  // of the CVSS score
	KEV            bool    // in CISA's catalogue of exploited vulnerabilities
	Issued         time.Time
	Description    string
	Links          string // separated by spaces
}

func (a *Advisory) digest() []byte {
	h := sha256.New()
	var buf []byte
	for _, field := range []string{a.CVE, a.Name, a.Updater, a.SourceSeverity, a.Vector, a.Description, a.Links} {
		buf = binary.AppendUvarint(buf, uint64(len(field)))
		buf = append(buf, field...)
	}
	buf = binary.AppendVarint(buf, int64(a.Severity))
	buf = binary.AppendUvarint(buf, math.Float64bits(a.Score))
	buf = binary.AppendVarint(buf, micros(a.Issued))
	if a.KEV {
		buf = append(buf, 1)
	}
	h.Write(buf)
	return h.Sum(nil)[:16]
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func at(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// key is what identifies a finding within an image, and value what it says.
type (
	findingKey   struct{ pkg, advisory int64 }
	findingValue struct {
		fixed string
		layer int64
		place string
	}
)

// stale is the feed of a report of which not all consequences were drawn yet: no
// generation.
const stale = -1

// SetReport stores a report in place of the image's earlier one and says whether
// the findings differ. The image must have been indexed. The report counts as
// stale until SetFeed, so that a crash before that leaves nothing out.
func (s *Store) SetReport(ctx context.Context, r *Report) (changed bool, err error) {
	err = s.file.Write(ctx, func(c *dbfile.Conn) error {
		manifest, err := manifestIDOf(c, r.Digest)
		if err != nil {
			return err
		}
		known, err := wasReported(c, manifest)
		if err != nil {
			return err
		}
		if changed, err = replaceFindings(c, manifest, r.Findings); err != nil {
			return err
		}
		changed = changed || !known
		_, err = c.Exec(`INSERT INTO report (manifest, feed, indexed_at, matched_at, changed_at, os, packages) VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)
			ON CONFLICT (manifest) DO UPDATE SET feed = ?2, indexed_at = CASE WHEN ?3 = 0 THEN indexed_at ELSE ?3 END, matched_at = ?4,
				changed_at = CASE WHEN ?7 THEN ?4 ELSE changed_at END, os = ?5, packages = ?6`,
			manifest, stale, micros(r.IndexedAt), micros(r.MatchedAt), r.OS, r.Packages, changed)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("store the report of %s: %w", r.Digest, err)
	}
	return changed, nil
}

func manifestIDOf(c *dbfile.Conn, digest string) (id int64, err error) {
	err = c.Get(`SELECT id FROM manifest WHERE hash = ?`, []any{digest}, &id)
	return id, err
}

func wasReported(c *dbfile.Conn, manifest int64) (known bool, err error) {
	err = c.Get(`SELECT EXISTS (SELECT 1 FROM report WHERE manifest = ?)`, []any{manifest}, &known)
	return known, err
}

// replaceFindings writes only what differs.
func replaceFindings(c *dbfile.Conn, manifest int64, findings []Finding) (changed bool, err error) {
	old, err := storedFindings(c, manifest)
	if err != nil {
		return false, err
	}
	layers := map[string]int64{"": 0}
	for i := range findings {
		f := &findings[i]
		advisory, err := advisoryID(c, &f.Advisory)
		if err != nil {
			return false, err
		}
		layer, err := layerOf(c, layers, f.Layer)
		if err != nil {
			return false, err
		}
		key, value := findingKey{f.Package.ID, advisory}, findingValue{f.Fixed, layer, f.Place}
		was, ok := old[key]
		delete(old, key)
		if ok && was == value {
			continue
		}
		changed = true
		if _, err := c.Exec(`INSERT INTO finding (manifest, package, advisory, fixed, layer, place) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
			ON CONFLICT (manifest, package, advisory) DO UPDATE SET fixed = ?4, layer = ?5, place = ?6`,
			manifest, key.pkg, key.advisory, value.fixed, value.layer, value.place); err != nil {
			return false, err
		}
	}
	for key := range old {
		changed = true
		if err := deleteFinding(c, manifest, key); err != nil {
			return false, err
		}
	}
	return changed, nil
}

func storedFindings(c *dbfile.Conn, manifest int64) (map[findingKey]findingValue, error) {
	found := map[findingKey]findingValue{}
	err := c.Each(`SELECT package, advisory, fixed, layer, place FROM finding WHERE manifest = ?`, []any{manifest}, func(row dbfile.Row) error {
		var key findingKey
		var value findingValue
		err := row.Scan(&key.pkg, &key.advisory, &value.fixed, &value.layer, &value.place)
		found[key] = value
		return err
	})
	return found, err
}

func advisoryID(c *dbfile.Conn, a *Advisory) (int64, error) {
	key := a.digest()
	return findOrMake(c, `SELECT id FROM advisory WHERE hash = ?`,
		`INSERT INTO advisory (hash, cve, name, updater, severity, source_severity, score, vector, kev, issued, description, links)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, []any{key},
		[]any{key, a.CVE, a.Name, a.Updater, int64(a.Severity), a.SourceSeverity, a.Score, a.Vector, a.KEV, micros(a.Issued), a.Description, a.Links})
}

func layerOf(c *dbfile.Conn, known map[string]int64, hash string) (id int64, err error) {
	if id, ok := known[hash]; ok {
		return id, nil
	}
	if err = c.Get(`SELECT id FROM layer WHERE hash = ?`, []any{hash}, &id); err != nil && !errors.Is(err, dbfile.ErrNoRow) {
		return 0, err
	}
	known[hash] = id
	return id, nil
}

// deleteFinding deletes a finding, and its advisory when it was the last.
func deleteFinding(c *dbfile.Conn, manifest int64, key findingKey) error {
	if _, err := c.Exec(`DELETE FROM finding WHERE manifest = ? AND package = ? AND advisory = ?`, manifest, key.pkg, key.advisory); err != nil {
		return err
	}
	_, err := c.Exec(`DELETE FROM advisory WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM finding WHERE advisory = ?1)`, key.advisory)
	return err
}

func deleteFindings(c *dbfile.Conn, manifest int64) error {
	stored, err := storedFindings(c, manifest)
	if err != nil {
		return err
	}
	for key := range stored {
		if err := deleteFinding(c, manifest, key); err != nil {
			return err
		}
	}
	return nil
}
