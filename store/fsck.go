package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// maxFaults bounds how many lines Integrity returns of each check.
const maxFaults = 100

// Fault is something that the engine finds wrong.
type Fault struct {
	Text string
	// Link says that it is a row which only links two others, of which one does
	// not exist; RemoveStrayLinks removes it.
	Link bool
}

// Integrity has the engine check its own file and the references between the
// rows. It looks at every page of the file. An engine that checks itself all
// the time finds nothing here.
func (s *Store) Integrity(ctx context.Context) (faults []Fault, err error) {
	if s.dialect.integrity == "" {
		return nil, nil
	}
	err = s.View(ctx, func(tx *Tx) error {
		lines, err := list(tx, s.dialect.integrity, nil, scanText)
		if err != nil {
			return err
		}
		for _, line := range lines {
			if line != "ok" {
				faults = append(faults, Fault{Text: line})
			}
		}
		references, err := tx.strayReferences(s.dialect.references)
		faults = append(faults, references...)
		return err
	})
	return faults, err
}

// linkTables hold only what the manifests and the repositories' blobs tell too.
var linkTables = []string{"manifest_blob", "manifest_child", "blob_link"}

// RemoveStrayLinks removes the rows that link something which does not exist.
func (tx *Tx) RemoveStrayLinks() error {
	for _, statement := range []string{
		`DELETE FROM manifest_blob WHERE manifest_id NOT IN (SELECT id FROM manifest) OR blob_id NOT IN (SELECT id FROM blob)`,
		`DELETE FROM manifest_child WHERE parent_id NOT IN (SELECT id FROM manifest) OR child_id NOT IN (SELECT id FROM manifest)`,
		`DELETE FROM blob_link WHERE repository_id NOT IN (SELECT id FROM repository) OR blob_id NOT IN (SELECT id FROM blob)`,
	} {
		if _, err := tx.exec(statement); err != nil {
			return err
		}
	}
	return nil
}

// strayReferences tells of rows that refer to a row which is not there.
func (tx *Tx) strayReferences(query string) (faults []Fault, err error) {
	enough := errors.New("enough")
	err = tx.each(query, nil, func(row scanner) error {
		var table, parent string
		var id, key any
		if err := row.Scan(&table, &id, &parent, &key); err != nil {
			return err
		}
		if len(faults) == maxFaults {
			return enough
		}
		faults = append(faults, Fault{Link: slices.Contains(linkTables, table),
			Text: fmt.Sprintf("row %v of the table %s refers to a row of %s that does not exist", id, table, parent)})
		return nil
	})
	if errors.Is(err, enough) {
		err = nil
	}
	return faults, err
}

// journalPositionKey is a setting that no administrator sees.
const journalPositionKey = "journal_position"

// setJournalPosition notes, in the transaction that the entries are about, the
// last entry of the journal: after a crash it tells whether that transaction
// was committed.
func setJournalPosition(c *conn, last uint64) error {
	_, err := c.exec(setSetting, journalPositionKey, strconv.FormatUint(last, 10))
	return err
}

// JournalPosition returns the last entry of the journal whose change is in the
// database; ErrNoRow when there is none.
func (tx *Tx) JournalPosition() (last uint64, err error) {
	var text string
	if err := tx.get(`SELECT value FROM setting WHERE key = $1`, []any{journalPositionKey}, &text); err != nil {
		return 0, err
	}
	if last, err = strconv.ParseUint(text, 10, 64); err != nil {
		return 0, fmt.Errorf("the setting %s: %w", journalPositionKey, err)
	}
	return last, nil
}

// SetJournalPosition notes that the database agrees with the journal up to the
// entry last.
func (tx *Tx) SetJournalPosition(last uint64) error { return setJournalPosition(tx.conn, last) }

// CheckedBlob is the row of a blob that is not being deleted.
type CheckedBlob struct {
	core.Blob
	Damaged bool
}

// BlobsToCheck lists at most n blobs after the id, in its order.
func (tx *Tx) BlobsToCheck(after int64, n int) ([]CheckedBlob, error) {
	return list(tx, `SELECT `+blobColumns+`, blob.damaged_at > 0 FROM blob WHERE id > $1 AND NOT deleting ORDER BY id LIMIT $2`,
		[]any{after, n}, scanCheckedBlob)
}

func scanCheckedBlob(row scanner) (b CheckedBlob, err error) {
	err = row.Scan(&b.ID, &b.Digest, &b.Generation, &b.Size, &b.Damaged)
	return b, err
}

// BlobOf returns the blob with the digest that is not being deleted, damaged or
// not; ErrNoRow when there is none.
func (tx *Tx) BlobOf(digest string) (CheckedBlob, error) {
	return one(tx, `SELECT `+blobColumns+`, blob.damaged_at > 0 FROM blob WHERE digest = $1 AND NOT deleting`, []any{digest}, scanCheckedBlob)
}

// CountBlobs returns how many blobs there are to check, and their bytes.
func (tx *Tx) CountBlobs() (n, bytes int64, err error) {
	err = tx.get(`SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM blob WHERE NOT deleting`, nil, &n, &bytes)
	return n, bytes, err
}

// MarkDamaged notes that the file of the blob cannot be read. It says false
// where the blob has another file by now, or none, or was marked before.
func (tx *Tx) MarkDamaged(b core.Blob) (bool, error) {
	n, err := tx.exec(`UPDATE blob SET damaged_at = $3 WHERE id = $1 AND generation = $2 AND NOT deleting AND damaged_at = 0`,
		b.ID, b.Generation, micros(tx.now))
	return n == 1, err
}

// MarkWhole gives the blob b.ID a file that is whole. It says false where the
// blob is being deleted or gone.
func (tx *Tx) MarkWhole(b core.Blob) (bool, error) {
	n, err := tx.exec(`UPDATE blob SET generation = $2, size = $3, damaged_at = 0 WHERE id = $1 AND NOT deleting`, b.ID, b.Generation, b.Size)
	return n == 1, err
}

// CreateDamagedBlob makes the row of a blob that has no file, so that it can be
// used and a push makes it whole.
func (tx *Tx) CreateDamagedBlob(digest string, size int64) (id int64, err error) {
	err = tx.get(`INSERT INTO blob (digest, generation, size, deleting, created_at, damaged_at) VALUES ($1, 0, $2, FALSE, $3, $3) RETURNING id`,
		[]any{digest, size, micros(tx.now)}, &id)
	return id, err
}

// BlobUse is a manifest that needs a blob: itself, one of its parts, or, for an
// index, a part of what it lists.
type BlobUse struct {
	Repository string
	Digest     string // of the manifest
	Tag        string // one of its tags, "" when it has none
}

// BlobUses lists at most n uses of the blob, by repository and tag.
func (tx *Tx) BlobUses(id int64, n int) ([]BlobUse, error) {
	return list(tx, `WITH RECURSIVE holder (id) AS (
			SELECT manifest_id FROM manifest_blob WHERE blob_id = $1
			UNION SELECT c.parent_id FROM manifest_child c JOIN holder h ON h.id = c.child_id)
		SELECT r.name, m.digest, COALESCE(t.name, '') FROM holder h JOIN manifest m ON m.id = h.id
		JOIN repository r ON r.id = m.repository_id LEFT JOIN tag t ON t.manifest_id = m.id
		ORDER BY 1, 3, 2 LIMIT $2`, []any{id, n}, func(row scanner) (u BlobUse, err error) {
		err = row.Scan(&u.Repository, &u.Digest, &u.Tag)
		return u, err
	})
}

// CheckedManifest is the row of a manifest with what it is linked to.
type CheckedManifest struct {
	core.Artifact
	Damaged  bool        // its own file
	Blobs    []core.Blob // that it uses, itself included
	Children []string    // digests of the manifests of this index
}

// wider scans columns beside those of a scan function.
type wider struct {
	scanner
	extra []any
}

// Scan implements scanner.
func (w wider) Scan(dest ...any) error { return w.scanner.Scan(append(dest, w.extra...)...) }

// ManifestsToCheck lists at most n manifests after the id, in its order.
func (tx *Tx) ManifestsToCheck(after int64, n int) ([]CheckedManifest, error) {
	all, err := list(tx, `SELECT `+artifactColumns+`, blob.damaged_at > 0 FROM `+artifactSource+` WHERE manifest.id > $1 ORDER BY manifest.id LIMIT $2`,
		[]any{after, n}, scanCheckedManifest)
	return all, errors.Join(err, tx.addLinks(all))
}

// ManifestToCheck returns one manifest; ErrNoRow when it is gone.
func (tx *Tx) ManifestToCheck(id int64) (CheckedManifest, error) {
	m, err := one(tx, `SELECT `+artifactColumns+`, blob.damaged_at > 0 FROM `+artifactSource+` WHERE manifest.id = $1`,
		[]any{id}, scanCheckedManifest)
	if err != nil {
		return m, err
	}
	all := []CheckedManifest{m}
	err = tx.addLinks(all)
	return all[0], err
}

func scanCheckedManifest(row scanner) (m CheckedManifest, err error) {
	m.Artifact, err = scanArtifact(wider{row, []any{&m.Damaged}})
	return m, err
}

// addLinks reads what the manifests are linked to.
func (tx *Tx) addLinks(all []CheckedManifest) error {
	at := make(map[int64]*CheckedManifest, len(all))
	ids := make([]int64, len(all))
	for i := range all {
		at[all[i].ID], ids[i] = &all[i], all[i].ID
	}
	s := &selection{}
	in(s, "m.manifest_id", ids)
	err := tx.each(`SELECT m.manifest_id, `+blobColumns+` FROM manifest_blob m JOIN blob ON blob.id = m.blob_id`+s.clause(), s.args, func(row scanner) error {
		var id int64
		b, err := scanBlob(prefixed{row, &id})
		if err == nil {
			at[id].Blobs = append(at[id].Blobs, b)
		}
		return err
	})
	if err != nil {
		return err
	}
	children, err := tx.ChildrenOf(ids)
	for id, list := range children {
		for _, c := range list {
			at[id].Children = append(at[id].Children, c.Digest)
		}
	}
	return err
}

// prefixed scans one column before those of a scan function.
type prefixed struct {
	scanner
	first any
}

// Scan implements scanner.
func (p prefixed) Scan(dest ...any) error {
	return p.scanner.Scan(append([]any{p.first}, dest...)...)
}

// DetachedManifest is a manifest whose row names no content, or other content.
type DetachedManifest struct {
	ID         int64
	Repository string
	Digest     string
	Size       int64
}

// DetachedManifests lists the manifests whose row does not name their content.
func (tx *Tx) DetachedManifests() ([]DetachedManifest, error) {
	return list(tx, `SELECT m.id, r.name, m.digest, m.size FROM manifest m JOIN repository r ON r.id = m.repository_id
		LEFT JOIN blob ON blob.id = m.blob_id WHERE blob.id IS NULL OR blob.digest <> m.digest ORDER BY m.id`, nil,
		func(row scanner) (m DetachedManifest, err error) {
			err = row.Scan(&m.ID, &m.Repository, &m.Digest, &m.Size)
			return m, err
		})
}

// AttachManifest has the row of the manifest name its content.
func (tx *Tx) AttachManifest(id, blobID int64) error {
	return tx.execOne(`UPDATE manifest SET blob_id = $2 WHERE id = $1`, id, blobID)
}

// CorrectManifest writes what the content of the manifest says into its row.
func (tx *Tx) CorrectManifest(a core.Artifact) error {
	annotations, _, err := encodeDetails(a.Annotations, nil)
	if err != nil {
		return err
	}
	return tx.execOne(`UPDATE manifest SET media_type = $2, artifact_type = $3, config = $4, kind = $5, size = $6, total_size = $7,
			subject = $8, annotations = $9 WHERE id = $1`,
		a.ID, a.MediaType, a.ArtifactType, a.Config, a.Kind, a.Size, a.TotalSize, a.Subject, annotations)
}

// UnuseBlob forgets that the manifest uses the blob.
func (tx *Tx) UnuseBlob(manifestID, blobID int64) error {
	return tx.execOne(`DELETE FROM manifest_blob WHERE manifest_id = $1 AND blob_id = $2`, manifestID, blobID)
}

// RemoveChild forgets an entry of the index.
func (tx *Tx) RemoveChild(parentID, childID int64) error {
	return tx.execOne(`DELETE FROM manifest_child WHERE parent_id = $1 AND child_id = $2`, parentID, childID)
}

// Drift is a figure that is kept beside the rows which it sums up.
type Drift struct {
	ID             int64
	Name           string // of the project or repository
	Stored, Actual int64
}

func scanDrift(row scanner) (d Drift, err error) {
	err = row.Scan(&d.ID, &d.Name, &d.Stored, &d.Actual)
	return d, err
}

// WrongQuotas lists the projects that do not pay for each distinct blob of
// their manifests once.
func (tx *Tx) WrongQuotas() ([]Drift, error) {
	return list(tx, `SELECT p.id, p.name, p.quota_used, COALESCE(u.bytes, 0) FROM project p LEFT JOIN (
			SELECT d.project_id, CAST(SUM(blob.size) AS BIGINT) AS bytes FROM (SELECT DISTINCT project_id, blob_id FROM manifest_blob) d
			JOIN blob ON blob.id = d.blob_id GROUP BY d.project_id) u ON u.project_id = p.id
		WHERE p.quota_used <> COALESCE(u.bytes, 0) ORDER BY p.name`, nil, scanDrift)
}

// SetUsage sets what the project pays for, in bytes.
func (tx *Tx) SetUsage(projectID, bytes int64) error {
	return tx.execOne(`UPDATE project SET quota_used = $2 WHERE id = $1`, projectID, bytes)
}

// WrongArtifactCounts lists the repositories that do not know how many
// manifests they hold.
func (tx *Tx) WrongArtifactCounts() ([]Drift, error) {
	return list(tx, `SELECT r.id, r.name, r.artifact_count, COALESCE(m.n, 0) FROM repository r LEFT JOIN (
			SELECT repository_id, COUNT(*) AS n FROM manifest GROUP BY repository_id) m ON m.repository_id = r.id
		WHERE r.artifact_count <> COALESCE(m.n, 0) ORDER BY r.name`, nil, scanDrift)
}

// SetArtifactCount sets how many manifests the repository holds.
func (tx *Tx) SetArtifactCount(repositoryID, n int64) error {
	return tx.execOne(`UPDATE repository SET artifact_count = $2 WHERE id = $1`, repositoryID, n)
}

// HiddenRepositories lists repositories that hold manifests and were never
// published.
func (tx *Tx) HiddenRepositories() ([]core.Repository, error) {
	return list(tx, `SELECT `+repositoryColumns+` FROM repository WHERE published_at = 0
		AND EXISTS (SELECT 1 FROM manifest m WHERE m.repository_id = repository.id) ORDER BY name`, nil, scanRepository)
}

// StrayUse is a use of a blob that its repository does not allow, or that is
// charged to another repository than the manifest's.
type StrayUse struct {
	ManifestID, BlobID      int64
	ProjectID, RepositoryID int64 // of the manifest
	Repository, Digest      string
	Blob                    string // digest
}

func (tx *Tx) strayUses(condition string) ([]StrayUse, error) {
	return list(tx, `SELECT m.id, u.blob_id, r.project_id, r.id, r.name, m.digest, blob.digest
		FROM manifest_blob u JOIN manifest m ON m.id = u.manifest_id JOIN repository r ON r.id = m.repository_id JOIN blob ON blob.id = u.blob_id
		WHERE `+condition+` ORDER BY r.name, m.id, u.blob_id`, nil, func(row scanner) (u StrayUse, err error) {
		err = row.Scan(&u.ManifestID, &u.BlobID, &u.ProjectID, &u.RepositoryID, &u.Repository, &u.Digest, &u.Blob)
		return u, err
	})
}

// MissingLinks lists the uses of a config or layer without a link of the
// repository: those blobs cannot be pulled.
func (tx *Tx) MissingLinks() ([]StrayUse, error) {
	return tx.strayUses(`u.blob_id <> m.blob_id AND NOT EXISTS (SELECT 1 FROM blob_link l WHERE l.repository_id = r.id AND l.blob_id = u.blob_id)`)
}

// MisplacedUses lists the uses that name another project or repository than
// their manifest's.
func (tx *Tx) MisplacedUses() ([]StrayUse, error) {
	return tx.strayUses(`u.project_id <> r.project_id OR u.repository_id <> r.id`)
}

// PlaceUse corrects a use that MisplacedUses has found.
func (tx *Tx) PlaceUse(u StrayUse) error {
	return tx.execOne(`UPDATE manifest_blob SET project_id = $3, repository_id = $4 WHERE manifest_id = $1 AND blob_id = $2`,
		u.ManifestID, u.BlobID, u.ProjectID, u.RepositoryID)
}

// CheckedTag is a tag with what it points at.
type CheckedTag struct {
	ID           int64
	RepositoryID int64
	Repository   string
	Name         string
	ManifestID   int64
	Digest       string // of the manifest, "" when there is none
	Elsewhere    bool   // the manifest is in another repository
}

// TagsToCheck lists at most n tags after the id, in its order.
func (tx *Tx) TagsToCheck(after int64, n int) ([]CheckedTag, error) {
	return list(tx, `SELECT t.id, r.id, r.name, t.name, t.manifest_id, COALESCE(m.digest, ''), COALESCE(m.repository_id, r.id) <> r.id
		FROM tag t JOIN repository r ON r.id = t.repository_id LEFT JOIN manifest m ON m.id = t.manifest_id
		WHERE t.id > $1 ORDER BY t.id LIMIT $2`, []any{after, n}, func(row scanner) (t CheckedTag, err error) {
		err = row.Scan(&t.ID, &t.RepositoryID, &t.Repository, &t.Name, &t.ManifestID, &t.Digest, &t.Elsewhere)
		return t, err
	})
}

// PointTag lets a tag point at another manifest of its repository, as if it
// always had.
func (tx *Tx) PointTag(id, manifestID int64) error {
	return tx.execOne(`UPDATE tag SET manifest_id = $2 WHERE id = $1`, id, manifestID)
}

// PublishedRepositories lists at most n published repositories after the id,
// in its order.
func (tx *Tx) PublishedRepositories(after int64, n int) ([]core.Repository, error) {
	return list(tx, `SELECT `+repositoryColumns+` FROM repository WHERE id > $1 AND published_at > 0 ORDER BY id LIMIT $2`,
		[]any{after, n}, scanRepository)
}
