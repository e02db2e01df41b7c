package store

import (
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// The questions of the garbage collection come in two forms: one that pages
// through candidates, for a read transaction, and one that asks about a single
// row again, for the transaction that acts on the answer.

// Lease is a link of a blob whose time is over, in the order of its end.
type Lease struct {
	RepositoryID, BlobID int64
	Until                int64 // microseconds, as stored
}

const unusedLink = `NOT EXISTS (SELECT 1 FROM manifest_blob m JOIN repository r ON r.id = l.repository_id
	WHERE m.blob_id = l.blob_id AND m.project_id = r.project_id AND m.repository_id = r.id)`

// LinkPage is a part of the links whose time is over: Last is the last one
// looked at, nil at the end; Leases those that no manifest uses.
type LinkPage struct {
	Leases []Lease
	Last   *Lease
}

// ExpiredLeases looks at the next n links after the given one, nil for the
// first, whose time is over now.
func (tx *Tx) ExpiredLeases(after *Lease, n int) (LinkPage, error) {
	if after == nil {
		after = &Lease{Until: -1}
	}
	var page LinkPage
	err := tx.each(`SELECT l.repository_id, l.blob_id, l.leased_until, `+unusedLink+` FROM blob_link l
		WHERE l.leased_until < $1 AND (l.leased_until, l.repository_id, l.blob_id) > ($2, $3, $4)
		ORDER BY l.leased_until, l.repository_id, l.blob_id LIMIT $5`,
		[]any{micros(tx.now), after.Until, after.RepositoryID, after.BlobID, n}, func(row scanner) error {
			var l Lease
			var unused bool
			err := row.Scan(&l.RepositoryID, &l.BlobID, &l.Until, &unused)
			if unused {
				page.Leases = append(page.Leases, l)
			}
			page.Last = &l
			return err
		})
	return page, err
}

// EndLease removes the link when its time is over and no manifest uses it. It
// says whether it did.
func (tx *Tx) EndLease(l Lease) (bool, error) {
	n, err := tx.exec(`DELETE FROM blob_link AS l WHERE l.repository_id = $1 AND l.blob_id = $2 AND l.leased_until < $3 AND `+unusedLink,
		l.RepositoryID, l.BlobID, micros(tx.now))
	return n == 1, err
}

// A link whose end is before $2 does not count; with 0 every link does.
const unusedBlob = `NOT EXISTS (SELECT 1 FROM blob_link l WHERE l.blob_id = blob.id AND l.leased_until >= $2)
	AND NOT EXISTS (SELECT 1 FROM manifest_blob m WHERE m.blob_id = blob.id)
	AND NOT EXISTS (SELECT 1 FROM manifest m WHERE m.blob_id = blob.id)`

// BlobPage is a part of the blobs: Last is the id of the last one looked at, 0
// at the end; Blobs those that nothing uses.
type BlobPage struct {
	Blobs []core.Blob
	Last  int64
}

// UnusedBlobs looks at the next n live blobs after the id. leased says that
// links whose time is over count all the same.
func (tx *Tx) UnusedBlobs(after int64, leased bool, n int) (BlobPage, error) {
	from := micros(tx.now)
	if leased {
		from = 0
	}
	var page BlobPage
	err := tx.each(`SELECT `+blobColumns+`, `+unusedBlob+` FROM blob WHERE blob.id > $1 AND NOT blob.deleting ORDER BY blob.id LIMIT $3`,
		[]any{after, from, n}, func(row scanner) error {
			var b core.Blob
			var unused bool
			err := row.Scan(&b.ID, &b.Digest, &b.Generation, &b.Size, &unused)
			if unused {
				page.Blobs = append(page.Blobs, b)
			}
			page.Last = b.ID
			return err
		})
	return page, err
}

// CondemnBlob marks the blob as being deleted when nothing uses it: from then
// on no repository can link it. It says whether it did.
func (tx *Tx) CondemnBlob(id int64) (bool, error) {
	n, err := tx.exec(`UPDATE blob SET deleting = TRUE WHERE id = $1 AND NOT deleting AND `+unusedBlob, id, 0)
	return n == 1, err
}

// CondemnedBlobs lists at most n blobs that are being deleted, by id after the
// given one.
func (tx *Tx) CondemnedBlobs(after int64, n int) ([]core.Blob, error) {
	return list(tx, `SELECT `+blobColumns+` FROM blob WHERE deleting AND id > $1 ORDER BY id LIMIT $2`, []any{after, n}, scanBlob)
}

// ForgetBlob removes the row of a blob that is being deleted and whose file is
// gone.
func (tx *Tx) ForgetBlob(id int64) error {
	_, err := tx.exec(`DELETE FROM blob WHERE id = $1 AND deleting`, id)
	return err
}

// HasFile says whether the database knows the file, deleting or not.
func (tx *Tx) HasFile(digest string, generation int64) (known bool, err error) {
	err = tx.get(`SELECT EXISTS (SELECT 1 FROM blob WHERE digest = $1 AND generation = $2)`, []any{digest, generation}, &known)
	return known, err
}

// CreatedAt is when the database was made.
func (tx *Tx) CreatedAt() (time.Time, error) {
	var us int64
	err := tx.get(`SELECT applied_at FROM schema_version WHERE version = 1`, nil, &us)
	return at(us), err
}

// Hidden repositories are those that were never published. leased says that
// links whose time is over count all the same.
const emptyHidden = `repository.published_at = 0 AND repository.updated_at < $2
	AND NOT EXISTS (SELECT 1 FROM manifest m WHERE m.repository_id = repository.id)
	AND NOT EXISTS (SELECT 1 FROM tuf_gun g JOIN tuf_file f ON f.gun_id = g.id WHERE g.repository_id = repository.id)
	AND NOT EXISTS (SELECT 1 FROM blob_link l WHERE l.repository_id = repository.id AND l.leased_until >= $3)`

// EmptyRepositories lists at most n repositories after the id that were made
// before then, never published, and hold nothing.
func (tx *Tx) EmptyRepositories(after int64, before time.Time, leased bool, n int) ([]int64, error) {
	from := micros(tx.now)
	if leased {
		from = 0
	}
	return list(tx, `SELECT id FROM repository WHERE id > $1 AND `+emptyHidden+` ORDER BY id LIMIT $4`,
		[]any{after, micros(before), from, n}, scanID)
}

// RemoveEmptyRepository removes the repository when it is one of
// EmptyRepositories without any link. It says whether it did.
func (tx *Tx) RemoveEmptyRepository(id int64, before time.Time) (bool, error) {
	n, err := tx.exec(`DELETE FROM repository WHERE id = $1 AND `+emptyHidden, id, micros(before), 0)
	return n == 1, err
}

// RepositoryWithSetting is a repository with a metadata value of its project.
type RepositoryWithSetting struct {
	core.Repository
	Value string
}

// RepositoriesWithSetting lists at most n repositories, by id after the given
// one, of the projects that have the metadata key.
func (tx *Tx) RepositoriesWithSetting(key string, after int64, n int) ([]RepositoryWithSetting, error) {
	return list(tx, `SELECT repository.id, repository.project_id, repository.name, pm.value
		FROM repository JOIN project_metadata pm ON pm.project_id = repository.project_id AND pm.name = $1
		WHERE repository.id > $2 ORDER BY repository.id LIMIT $3`, []any{key, after, n},
		func(row scanner) (r RepositoryWithSetting, err error) {
			err = row.Scan(&r.ID, &r.ProjectID, &r.Name, &r.Value)
			return r, err
		})
}

// LooseManifest is a manifest without a tag.
type LooseManifest struct {
	ID       int64
	Digest   string
	Subject  string
	Anchored bool // its subject is a manifest of the repository with a tag
	Old      bool // untagged and not asked for since the time given
}

// LooseManifests lists the manifests of the repository without a tag.
func (tx *Tx) LooseManifests(repositoryID int64, before time.Time) ([]LooseManifest, error) {
	return list(tx, `SELECT m.id, m.digest, m.subject,
			EXISTS (SELECT 1 FROM manifest s JOIN tag ON tag.manifest_id = s.id
				WHERE m.subject <> '' AND s.repository_id = m.repository_id AND s.digest = m.subject),
			m.pushed_at < $2 AND m.untagged_at < $2
		FROM manifest m WHERE m.repository_id = $1 AND NOT EXISTS (SELECT 1 FROM tag WHERE tag.manifest_id = m.id) ORDER BY m.id DESC`,
		[]any{repositoryID, micros(before)}, func(row scanner) (m LooseManifest, err error) {
			err = row.Scan(&m.ID, &m.Digest, &m.Subject, &m.Anchored, &m.Old)
			return m, err
		})
}

// ChildLinks returns the indexes that list each manifest of the repository, by
// the id of the child.
func (tx *Tx) ChildLinks(repositoryID int64) (map[int64][]int64, error) {
	parents := map[int64][]int64{}
	err := tx.each(`SELECT c.child_id, c.parent_id FROM manifest_child c JOIN manifest m ON m.id = c.parent_id
		WHERE m.repository_id = $1`, []any{repositoryID}, func(row scanner) error {
		var child, parent int64
		err := row.Scan(&child, &parent)
		parents[child] = append(parents[child], parent)
		return err
	})
	return parents, err
}

// IsLoose says whether nothing holds the manifest of the repository since
// before then: no tag, no index and no subject that is still there.
func (tx *Tx) IsLoose(repositoryID, id int64, before time.Time) (loose bool, err error) {
	err = tx.get(`SELECT EXISTS (SELECT 1 FROM manifest m WHERE m.id = $2 AND m.repository_id = $1 AND m.pushed_at < $3 AND m.untagged_at < $3
		AND NOT EXISTS (SELECT 1 FROM tag WHERE tag.manifest_id = m.id)
		AND NOT EXISTS (SELECT 1 FROM manifest_child c WHERE c.child_id = m.id)
		AND (m.subject = '' OR NOT EXISTS (SELECT 1 FROM manifest s WHERE s.repository_id = m.repository_id AND s.digest = m.subject)))`,
		[]any{repositoryID, id, micros(before)}, &loose)
	return loose, err
}

// SharedBlob is a blob with how many manifests use it.
type SharedBlob struct {
	core.Blob
	Uses   int64
	Leased bool // by a link whose time is not over
}

// SharedBlobs returns the live blobs among the ids with their uses.
func (tx *Tx) SharedBlobs(ids []int64) ([]SharedBlob, error) {
	s := &selection{}
	now := s.value(micros(tx.now))
	in(s, "blob.id", ids)
	s.where("NOT blob.deleting")
	return list(tx, `SELECT `+blobColumns+`, (SELECT COUNT(*) FROM manifest_blob m WHERE m.blob_id = blob.id),
			EXISTS (SELECT 1 FROM blob_link l WHERE l.blob_id = blob.id AND l.leased_until >= `+now+`)
		FROM blob`+s.clause(), s.args, func(row scanner) (b SharedBlob, err error) {
		err = row.Scan(&b.ID, &b.Digest, &b.Generation, &b.Size, &b.Uses, &b.Leased)
		return b, err
	})
}

// HoldManifest notes that a client is about to use the manifest, unless that
// was noted after the given time.
func (tx *Tx) HoldManifest(id int64, after time.Time) error {
	_, err := tx.exec(`UPDATE manifest SET untagged_at = $2 WHERE id = $1 AND untagged_at < $3`, id, micros(tx.now), micros(after))
	return err
}

// HeldManifest says whether the manifest has a tag, or was pushed, untagged or
// held after the given time.
func (tx *Tx) HeldManifest(id int64, after time.Time) (held bool, err error) {
	err = tx.get(`SELECT EXISTS (SELECT 1 FROM manifest m WHERE m.id = $1 AND (m.pushed_at >= $2 OR m.untagged_at >= $2
		OR EXISTS (SELECT 1 FROM tag WHERE tag.manifest_id = m.id)))`, []any{id, micros(after)}, &held)
	return held, err
}
