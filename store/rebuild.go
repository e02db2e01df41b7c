package store

import (
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// HasImages says whether anything of an image is in the database: a project, a
// repository, a manifest or a blob.
func (tx *Tx) HasImages() (some bool, err error) {
	err = tx.get(`SELECT EXISTS (SELECT 1 FROM project) OR EXISTS (SELECT 1 FROM repository) OR EXISTS (SELECT 1 FROM blob)
		OR EXISTS (SELECT 1 FROM manifest)`, nil, &some)
	return some, err
}

// FirstAdmin returns the oldest system administrator; ErrNoRow when there is none.
func (tx *Tx) FirstAdmin() (core.User, error) {
	var id int64
	if err := tx.get(`SELECT id FROM account WHERE sysadmin ORDER BY id LIMIT 1`, nil, &id); err != nil {
		return core.User{}, err
	}
	return tx.User(id)
}

// SetPublished sets when the repository became visible.
func (tx *Tx) SetPublished(repositoryID int64, when time.Time) error {
	return tx.execOne(`UPDATE repository SET published_at = $2 WHERE id = $1`, repositoryID, micros(when))
}

// SetManifestPushed sets when the manifest was pushed.
func (tx *Tx) SetManifestPushed(id int64, when time.Time) error {
	return tx.execOne(`UPDATE manifest SET pushed_at = $2 WHERE id = $1`, id, micros(when))
}

// SetTagPushed sets when the tag was moved last.
func (tx *Tx) SetTagPushed(repositoryID int64, name string, when time.Time) error {
	return tx.execOne(`UPDATE tag SET pushed_at = $3 WHERE repository_id = $1 AND name = $2`, repositoryID, name, micros(when))
}
