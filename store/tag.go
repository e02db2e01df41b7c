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
	return list(tx, `SELECT name FROM tag WHERE repository_id = $1 AND name > $2 ORDER BY name LIMIT $3`,
		[]any{repositoryID, last, n}, scanText)
}

// Tag returns the tag with that name; ErrNoRow when there is none.
func (tx *Tx) Tag(repositoryID int64, name string) (core.Tag, error) {
	return one(tx, `SELECT `+tagColumns+` FROM `+tagSource+` WHERE tag.repository_id = $1 AND tag.name = $2`,
		[]any{repositoryID, name}, scanTag)
}

// SetTag lets the name point at the manifest; it says whether that is new.
func (tx *Tx) SetTag(repositoryID, manifestID int64, name string) (moved bool, err error) {
	n, err := tx.exec(`INSERT INTO tag (repository_id, manifest_id, name, pushed_at, pulled_at) VALUES ($1, $2, $3, $4, 0)
		ON CONFLICT (repository_id, name) DO UPDATE SET manifest_id = excluded.manifest_id, pushed_at = excluded.pushed_at
		WHERE tag.manifest_id <> excluded.manifest_id`, repositoryID, manifestID, name, micros(tx.now))
	return n == 1, err
}

// DeleteTag removes the name; ErrNoRow when there is none such.
func (tx *Tx) DeleteTag(repositoryID int64, name string) error {
	return tx.execOne(`DELETE FROM tag WHERE repository_id = $1 AND name = $2`, repositoryID, name)
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
