package store

import (
	"github.com/breakwater-registry/breakwater/internal/core"
)

// SecurityCounts are sums over all images; each digest counts once.
type SecurityCounts struct {
	Images      int64
	Scanned     int64
	Critical    int64
	High        int64
	Medium      int64
	Low         int64
	Negligible  int64
	Unknown     int64
	Fixable     int64
	KEV         int64
	Unscannable int64
	Failed      int64
}

// Total is the number of findings.
func (c SecurityCounts) Total() int64 {
	return c.Critical + c.High + c.Medium + c.Low + c.Negligible + c.Unknown
}

// CountSecurity sums what is known of all images.
func (tx *Tx) CountSecurity() (c SecurityCounts, err error) {
	if c.Images, err = tx.CountImages(ImageSelection{}); err != nil {
		return c, err
	}
	err = tx.get(`SELECT COUNT(CASE WHEN status = $1 THEN 1 END), COUNT(CASE WHEN status = $2 THEN 1 END), COUNT(CASE WHEN status = $3 THEN 1 END),
			COALESCE(SUM(critical), 0), COALESCE(SUM(high), 0), COALESCE(SUM(medium), 0), COALESCE(SUM(low), 0), COALESCE(SUM(negligible), 0),
			COALESCE(SUM(unknown), 0), COALESCE(SUM(fixable), 0), COALESCE(SUM(kev), 0) FROM scan_fact`,
		[]any{string(core.ScanSuccess), string(core.ScanUnscannable), string(core.ScanError)},
		&c.Scanned, &c.Unscannable, &c.Failed, &c.Critical, &c.High, &c.Medium, &c.Low, &c.Negligible, &c.Unknown, &c.Fixable, &c.KEV)
	return c, err
}

// DangerousImage is an image in one of its repositories.
type DangerousImage struct {
	ProjectID  int64
	Repository string
	Digest     string
	Tags       []string // there; whoever asks for it fills it in
	core.Tally
}

// DangerousImages lists the n images with the most findings of the worst
// severities, each in one of its repositories.
func (tx *Tx) DangerousImages(n int) ([]DangerousImage, error) {
	return list(tx, `SELECT r.project_id, r.name, f.digest, f.critical, f.high, f.medium, f.low, f.negligible, f.unknown, f.fixable, f.kev
		FROM scan_fact f JOIN manifest m ON m.id = (SELECT MIN(id) FROM manifest WHERE digest = f.digest)
		JOIN repository r ON r.id = m.repository_id
		WHERE f.critical + f.high + f.medium > 0
		ORDER BY f.critical DESC, f.high DESC, f.medium DESC, f.digest LIMIT $1`, []any{n}, func(row scanner) (DangerousImage, error) {
		var d DangerousImage
		return d, row.Scan(&d.ProjectID, &d.Repository, &d.Digest, &d.Critical, &d.High, &d.Medium, &d.Low, &d.Negligible, &d.Unknown, &d.Fixable, &d.KEV)
	})
}

// ImageFilter selects images by where they are.
type ImageFilter struct {
	ProjectIDs []int64
	Repository string // full name
	Tag        string
	Digest     string
}

// Empty says whether all images are selected.
func (f ImageFilter) Empty() bool {
	return len(f.ProjectIDs) == 0 && f.Repository == "" && f.Tag == "" && f.Digest == ""
}

func (f ImageFilter) add(s *selection) {
	s.where("m.kind = ?", core.KindImage)
	if len(f.ProjectIDs) > 0 {
		in(s, "r.project_id", f.ProjectIDs)
	}
	if f.Repository != "" {
		s.where("r.name = ?", f.Repository)
	}
	if f.Tag != "" {
		s.where("EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = m.id AND t.name = ?)", f.Tag)
	}
	if f.Digest != "" {
		s.where("m.digest = ?", f.Digest)
	}
}

// FilteredImages lists the digests of the images, each once.
func (tx *Tx) FilteredImages(f ImageFilter) ([]string, error) {
	s := &selection{}
	f.add(s)
	return list(tx, `SELECT DISTINCT m.digest FROM manifest m JOIN repository r ON r.id = m.repository_id`+s.clause(), s.args, scanText)
}

// Holder is a repository that has an image.
type Holder struct {
	ProjectID  int64
	Repository string
	Digest     string
	Tags       []string
}

// Holders returns for each of the digests the first of the selected repositories
// that has it, with its tags there.
func (tx *Tx) Holders(digests []string, f ImageFilter) (map[string]Holder, error) {
	s := &selection{}
	f.add(s)
	in(s, "m.digest", digests)
	holders, first := make(map[string]Holder, len(digests)), map[string]int64{}
	err := tx.each(`SELECT m.id, m.digest, r.project_id, r.name, COALESCE(tag.name, '') FROM manifest m
		JOIN repository r ON r.id = m.repository_id LEFT JOIN tag ON tag.manifest_id = m.id`+s.clause()+` ORDER BY m.id, tag.name`, s.args, func(row scanner) error {
		var id int64
		var h Holder
		var tag string
		if err := row.Scan(&id, &h.Digest, &h.ProjectID, &h.Repository, &tag); err != nil {
			return err
		}
		if known, ok := first[h.Digest]; ok && known != id {
			return nil
		}
		first[h.Digest] = id
		h.Tags = holders[h.Digest].Tags
		if tag != "" {
			h.Tags = append(h.Tags, tag)
		}
		holders[h.Digest] = h
		return nil
	})
	return holders, err
}
