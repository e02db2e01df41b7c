package store

import (
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const blobColumns = `blob.id, blob.digest, blob.generation, blob.size`

func scanBlob(row scanner) (core.Blob, error) {
	var b core.Blob
	err := row.Scan(&b.ID, &b.Digest, &b.Generation, &b.Size)
	return b, err
}

// LiveBlob returns the file that holds digest; ErrNoRow when there is none, or
// only one that is being deleted or damaged.
func (tx *Tx) LiveBlob(digest string) (core.Blob, error) {
	return one(tx, `SELECT `+blobColumns+` FROM blob WHERE digest = $1 AND NOT deleting AND damaged_at = 0`, []any{digest}, scanBlob)
}

// CreateBlob records a file that is durable under its digest and generation;
// ErrNoRow when there is a live one. Where there is a damaged one, the file takes
// its place in all that uses it.
func (tx *Tx) CreateBlob(b core.Blob) (id int64, err error) {
	err = tx.get(`INSERT INTO blob (digest, generation, size, deleting, created_at) VALUES ($1, $2, $3, FALSE, $4)
		ON CONFLICT (digest) WHERE NOT deleting DO UPDATE SET generation = excluded.generation, size = excluded.size, damaged_at = 0
		WHERE blob.damaged_at > 0 RETURNING id`,
		[]any{b.Digest, b.Generation, b.Size, micros(tx.now)}, &id)
	return id, err
}

// LinkBlob lets the repository use the blob until then, or longer where it may
// already.
func (tx *Tx) LinkBlob(repositoryID, blobID int64, until time.Time) error {
	_, err := tx.exec(`INSERT INTO blob_link (repository_id, blob_id, leased_until) VALUES ($1, $2, $3)
		ON CONFLICT (repository_id, blob_id) DO UPDATE SET leased_until = excluded.leased_until
		WHERE blob_link.leased_until < excluded.leased_until`, repositoryID, blobID, micros(until))
	return err
}

// LinkedBlob is a blob as one repository may use it.
type LinkedBlob struct {
	core.Blob
	RepositoryID int64
	LeasedUntil  time.Time
	Referenced   bool // by a manifest of the repository
	Damaged      bool // its file cannot be read
}

// LinkedBlob returns the blob when the repository may use it; ErrNoRow otherwise.
func (tx *Tx) LinkedBlob(repository, digest string) (LinkedBlob, error) {
	const query = `SELECT ` + blobColumns + `, l.repository_id, l.leased_until,
			EXISTS (SELECT 1 FROM manifest_blob m WHERE m.blob_id = blob.id AND m.project_id = r.project_id AND m.repository_id = r.id), blob.damaged_at > 0
		FROM repository r
		JOIN blob ON blob.digest = $2 AND NOT blob.deleting
		JOIN blob_link l ON l.repository_id = r.id AND l.blob_id = blob.id
		WHERE r.name = $1`
	return recall(tx, question{query: query, names: [2]string{repository, digest}}, func() (b LinkedBlob, err error) {
		var until int64
		err = tx.get(query, []any{repository, digest}, &b.ID, &b.Digest, &b.Generation, &b.Size, &b.RepositoryID, &until, &b.Referenced, &b.Damaged)
		b.LeasedUntil = at(until)
		return b, err
	})
}

// UnlinkBlob takes the blob from the repository.
func (tx *Tx) UnlinkBlob(repositoryID, blobID int64) error {
	return tx.execOne(`DELETE FROM blob_link WHERE repository_id = $1 AND blob_id = $2`, repositoryID, blobID)
}

// ReferencedBlob is a blob that a manifest wants to use.
type ReferencedBlob struct {
	core.Blob
	Charged bool // the project pays for it already
}

// BlobForManifest returns the blob when the repository may use it and it is
// whole; ErrNoRow otherwise.
func (tx *Tx) BlobForManifest(repositoryID, projectID int64, digest string) (ReferencedBlob, error) {
	var b ReferencedBlob
	err := tx.get(`SELECT `+blobColumns+`,
			EXISTS (SELECT 1 FROM manifest_blob m WHERE m.blob_id = blob.id AND m.project_id = $2)
		FROM blob JOIN blob_link l ON l.blob_id = blob.id AND l.repository_id = $1
		WHERE blob.digest = $3 AND NOT blob.deleting AND blob.damaged_at = 0`,
		[]any{repositoryID, projectID, digest}, &b.ID, &b.Digest, &b.Generation, &b.Size, &b.Charged)
	return b, err
}

// ChargedInProject says whether a manifest of the project uses the blob.
func (tx *Tx) ChargedInProject(projectID, blobID int64) (charged bool, err error) {
	err = tx.get(`SELECT EXISTS (SELECT 1 FROM manifest_blob WHERE blob_id = $1 AND project_id = $2)`, []any{blobID, projectID}, &charged)
	return charged, err
}
