package store

import (
	"github.com/breakwater-registry/breakwater/internal/core"
)

const tagColumns = `tag.id, tag.repository_id, tag.manifest_id, manifest.digest, tag.name, tag.pushed_at, tag.pulled_at`

const tagSource = `tag JOIN manifest ON manifest.id = tag.manifest_id`

func scanTag(row scanner) (core.Tag, error) {
	var t core.Tag
	var pushed, pulled int64
	err := row.Scan(&t.ID, &t.RepositoryID, &t.ArtifactID, &t.Digest, &t.Name, &pushed, &pulled)
	t.PushedAt, t.PulledAt = at(pushed), at(pulled)
	return t, err
}

var tagFields = fields{
	"id": {"tag.id", intField}, "name": {"tag.name", textField},
	"push_time": {"tag.pushed_at", timeField}, "pull_time": {"tag.pulled_at", timeField},
}

// TagNames returns at most n names of the repository's tags that come after
// last, in order.
func (tx *Tx) TagNames(repositoryID int64, last string, n int) ([]string, error) {
	return tx.names(`SELECT name FROM tag WHERE repository_id = $1 AND name > $2 ORDER BY name LIMIT $3`, []any{repositoryID, last, n})
}

// Tag returns the tag with that name; ErrNoRow when there is none.
func (tx *Tx) Tag(repositoryID int64, name string) (core.Tag, error) {
	return one(tx, `SELECT `+tagColumns+` FROM `+tagSource+` WHERE tag.repository_id = $1 AND tag.name = $2`,
		[]any{repositoryID, name}, scanTag)
}

// SetTag lets the name point at the manifest; it says whether that is new.
func (tx *Tx) SetTag(repositoryID, manifestID int64, name string) (moved bool, err error) {
	var before int64
	err = tx.get(`SELECT manifest_id FROM tag WHERE repository_id = $1 AND name = $2`, []any{repositoryID, name}, &before)
	if err != nil && err != ErrNoRow {
		return false, err
	}
	if before == manifestID {
		return false, nil
	}
	_, err = tx.exec(`INSERT INTO tag (repository_id, manifest_id, name, signs, pushed_at, pulled_at) VALUES ($1, $2, $3, $4, $5, 0)
		ON CONFLICT (repository_id, name) DO UPDATE SET manifest_id = excluded.manifest_id, pushed_at = excluded.pushed_at`,
		repositoryID, manifestID, name, core.SignedByTag(name), micros(tx.now))
	if err != nil || before == 0 {
		return err == nil, err
	}
	return true, tx.noteUntagged(before)
}

// DeleteTag removes the name; ErrNoRow when there is none such.
func (tx *Tx) DeleteTag(repositoryID int64, name string) error {
	var manifestID int64
	err := tx.get(`DELETE FROM tag WHERE repository_id = $1 AND name = $2 RETURNING manifest_id`, []any{repositoryID, name}, &manifestID)
	if err != nil {
		return err
	}
	return tx.noteUntagged(manifestID)
}

// noteUntagged keeps when a manifest lost its last tag.
func (tx *Tx) noteUntagged(manifestID int64) error {
	_, err := tx.exec(`UPDATE manifest SET untagged_at = $2 WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM tag WHERE manifest_id = $1)`,
		manifestID, micros(tx.now))
	return err
}

// Tags lists the tags of one artifact.
func (tx *Tx) Tags(artifactID int64, q core.Query) ([]core.Tag, int64, error) {
	s := &selection{fields: tagFields}
	s.where("tag.manifest_id = ?", artifactID)
	return listPage(tx, s, tagColumns, tagSource, q, "tag.name", "tag.id", scanTag)
}

// TagsOf returns the tags of each of the artifacts, by artifact id.
func (tx *Tx) TagsOf(artifactIDs []int64) (map[int64][]core.Tag, error) {
	s := &selection{}
	in(s, "tag.manifest_id", artifactIDs)
	tags, err := list(tx, `SELECT `+tagColumns+` FROM `+tagSource+s.clause()+` ORDER BY tag.name`, s.args, scanTag)
	byArtifact := make(map[int64][]core.Tag, len(artifactIDs))
	for _, t := range tags {
		byArtifact[t.ArtifactID] = append(byArtifact[t.ArtifactID], t)
	}
	return byArtifact, err
}

// RemoveTags removes all tags of the artifact and returns their names.
func (tx *Tx) RemoveTags(artifactID int64) ([]string, error) {
	return list(tx, `DELETE FROM tag WHERE manifest_id = $1 RETURNING name`, []any{artifactID}, scanText)
}
