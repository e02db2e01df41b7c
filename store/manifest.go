package store

import (
	"encoding/json"
	"slices"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const artifactColumns = `manifest.id, manifest.repository_id, repository.project_id, repository.name, manifest.digest, manifest.media_type,
	manifest.artifact_type, manifest.config, manifest.kind, manifest.size, manifest.total_size, manifest.subject, manifest.annotations, manifest.platform,
	manifest.pushed_by, manifest.pushed_at, manifest.pulled_at, ` + blobColumns

const artifactSource = `manifest JOIN repository ON repository.id = manifest.repository_id JOIN blob ON blob.id = manifest.blob_id`

func scanArtifact(row scanner) (core.Artifact, error) {
	var a core.Artifact
	var annotations, platform string
	var pushed, pulled int64
	err := row.Scan(&a.ID, &a.RepositoryID, &a.ProjectID, &a.Repository, &a.Digest, &a.MediaType,
		&a.ArtifactType, &a.Config, &a.Kind, &a.Size, &a.TotalSize, &a.Subject, &annotations, &platform,
		&a.PushedBy, &pushed, &pulled, &a.Blob.ID, &a.Blob.Digest, &a.Blob.Generation, &a.Blob.Size)
	if err != nil {
		return a, err
	}
	a.PushedAt, a.PulledAt = at(pushed), at(pulled)
	a.Annotations, a.Platform, err = decodeDetails(annotations, platform)
	return a, err
}

func decodeDetails(annotations, platform string) (a map[string]string, p *core.Platform, err error) {
	if annotations != "" {
		if err := json.Unmarshal([]byte(annotations), &a); err != nil {
			return nil, nil, err
		}
	}
	if platform != "" {
		if err := json.Unmarshal([]byte(platform), &p); err != nil {
			return nil, nil, err
		}
	}
	return a, p, nil
}

func encodeDetails(a map[string]string, p *core.Platform) (annotations, platform string, err error) {
	if len(a) > 0 {
		text, err := json.Marshal(a)
		if err != nil {
			return "", "", err
		}
		annotations = string(text)
	}
	if p != nil {
		text, err := json.Marshal(p)
		if err != nil {
			return "", "", err
		}
		platform = string(text)
	}
	return annotations, platform, nil
}

var artifactFields = fields{
	"id": {"manifest.id", intField}, "digest": {"manifest.digest", textField}, "media_type": {"manifest.media_type", textField},
	"type": {"manifest.kind", textField}, "size": {"manifest.total_size", intField},
	"push_time": {"manifest.pushed_at", timeField}, "pull_time": {"manifest.pulled_at", timeField},
	"creation_time": {"manifest.pushed_at", timeField}, "artifact_type": {"manifest.artifact_type", textField},
}

// ArtifactByDigest returns a manifest of the repository; ErrNoRow when it has none such.
func (tx *Tx) ArtifactByDigest(repository, digest string) (core.Artifact, error) {
	return one(tx, `SELECT `+artifactColumns+` FROM `+artifactSource+` WHERE repository.name = $1 AND manifest.digest = $2`,
		[]any{repository, digest}, scanArtifact)
}

// ManifestFile is what serving a manifest needs.
type ManifestFile struct {
	core.Blob
	ArtifactID   int64
	RepositoryID int64
	TagID        int64 // 0 when it was asked for by digest
	MediaType    string
	Subject      string
	Damaged      bool // its file cannot be read
}

// ManifestByTag returns the manifest that the tag names; ErrNoRow when there is none.
func (tx *Tx) ManifestByTag(repository, tag string) (ManifestFile, error) {
	return tx.manifestFile(`SELECT `+blobColumns+`, m.id, m.repository_id, t.id, m.media_type, m.subject, blob.damaged_at > 0
		FROM repository r JOIN tag t ON t.repository_id = r.id AND t.name = $2
		JOIN manifest m ON m.id = t.manifest_id JOIN blob ON blob.id = m.blob_id WHERE r.name = $1`, repository, tag)
}

// ManifestByDigest returns the manifest with that digest; ErrNoRow when there is none.
func (tx *Tx) ManifestByDigest(repository, digest string) (ManifestFile, error) {
	return tx.manifestFile(`SELECT `+blobColumns+`, m.id, m.repository_id, 0, m.media_type, m.subject, blob.damaged_at > 0
		FROM repository r JOIN manifest m ON m.repository_id = r.id AND m.digest = $2
		JOIN blob ON blob.id = m.blob_id WHERE r.name = $1`, repository, digest)
}

func (tx *Tx) manifestFile(query, repository, reference string) (ManifestFile, error) {
	return recall(tx, question{query: query, names: [2]string{repository, reference}}, func() (m ManifestFile, err error) {
		err = tx.get(query, []any{repository, reference}, &m.ID, &m.Digest, &m.Generation, &m.Size,
			&m.ArtifactID, &m.RepositoryID, &m.TagID, &m.MediaType, &m.Subject, &m.Damaged)
		return m, err
	})
}

// ManifestID returns the id of a manifest of the repository; ErrNoRow when it has none such.
func (tx *Tx) ManifestID(repositoryID int64, digest string) (id int64, err error) {
	err = tx.get(`SELECT id FROM manifest WHERE repository_id = $1 AND digest = $2`, []any{repositoryID, digest}, &id)
	return id, err
}

// CreateManifest adds the manifest a to its repository and returns its id.
func (tx *Tx) CreateManifest(a core.Artifact) (id int64, err error) {
	annotations, platform, err := encodeDetails(a.Annotations, a.Platform)
	if err != nil {
		return 0, err
	}
	err = tx.get(`INSERT INTO manifest (repository_id, digest, blob_id, media_type, artifact_type, config, kind, size, total_size,
			subject, annotations, platform, pushed_by, pushed_at, pulled_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 0) RETURNING id`,
		[]any{a.RepositoryID, a.Digest, a.Blob.ID, a.MediaType, a.ArtifactType, a.Config, a.Kind, a.Size, a.TotalSize,
			a.Subject, annotations, platform, a.PushedBy, micros(tx.now)}, &id)
	if err != nil || a.Config == "" {
		return id, err // an index is not scanned itself
	}
	return id, tx.countScan(id, a.Digest, 1)
}

// UseBlob records that the manifest uses the blob.
func (tx *Tx) UseBlob(a core.Artifact, blobID int64) error {
	_, err := tx.exec(`INSERT INTO manifest_blob (manifest_id, blob_id, project_id, repository_id) VALUES ($1, $2, $3, $4)`,
		a.ID, blobID, a.ProjectID, a.RepositoryID)
	return err
}

// AddChild records an entry of the index; a digest that the index lists twice
// keeps its first entry.
func (tx *Tx) AddChild(parentID, childID int64, d core.Descriptor) error {
	annotations, platform, err := encodeDetails(d.Annotations, d.Platform)
	if err != nil {
		return err
	}
	_, err = tx.exec(`INSERT INTO manifest_child (parent_id, child_id, platform, annotations) VALUES ($1, $2, $3, $4)
		ON CONFLICT (parent_id, child_id) DO NOTHING`, parentID, childID, platform, annotations)
	return err
}

// ChildrenOf returns the entries of each of the indexes that are in the
// repository, by the id of the index.
func (tx *Tx) ChildrenOf(parentIDs []int64) (map[int64][]core.Child, error) {
	s := &selection{}
	in(s, "c.parent_id", parentIDs)
	byParent := make(map[int64][]core.Child, len(parentIDs))
	err := tx.each(`SELECT c.parent_id, m.id, m.digest, m.size, m.total_size, c.platform, c.annotations
		FROM manifest_child c JOIN manifest m ON m.id = c.child_id`+s.clause()+` ORDER BY m.id`, s.args, func(row scanner) error {
		var parent int64
		var c core.Child
		var annotations, platform string
		err := row.Scan(&parent, &c.ID, &c.Digest, &c.Size, &c.TotalSize, &platform, &annotations)
		if err != nil {
			return err
		}
		c.Annotations, c.Platform, err = decodeDetails(annotations, platform)
		byParent[parent] = append(byParent[parent], c)
		return err
	})
	return byParent, err
}

// ParentOf returns the digest of an index that lists the manifest, "" when none does.
func (tx *Tx) ParentOf(manifestID int64) (digest string, err error) {
	err = tx.get(`SELECT m.digest FROM manifest_child c JOIN manifest m ON m.id = c.parent_id
		WHERE c.child_id = $1 ORDER BY m.id LIMIT 1`, []any{manifestID}, &digest)
	if err == ErrNoRow {
		return "", nil
	}
	return digest, err
}

// ManifestBlobs lists the blobs that the manifest uses.
func (tx *Tx) ManifestBlobs(manifestID int64) ([]core.Blob, error) {
	return list(tx, `SELECT `+blobColumns+` FROM manifest_blob m JOIN blob ON blob.id = m.blob_id
		WHERE m.manifest_id = $1 ORDER BY blob.id`, []any{manifestID}, scanBlob)
}

// DeleteManifest removes the manifest, which must have no tags and be in no index.
func (tx *Tx) DeleteManifest(id int64) error {
	var digest, config string
	if err := tx.get(`SELECT digest, config FROM manifest WHERE id = $1`, []any{id}, &digest, &config); err != nil {
		return err
	}
	if config != "" {
		if err := tx.countScan(id, digest, -1); err != nil {
			return err
		}
	}
	return tx.execOne(`DELETE FROM manifest WHERE id = $1`, id)
}

// The manifests that are artifacts of their own: all but those that are only
// part of an index, refer to another or are named as its signatures.
const (
	hasTag     = "EXISTS (SELECT 1 FROM tag WHERE tag.manifest_id = manifest.id AND tag.signs = '')"
	isArtifact = "(" + hasTag + " OR (manifest.subject = '' AND NOT EXISTS (SELECT 1 FROM manifest_child c WHERE c.child_id = manifest.id)" +
		" AND NOT EXISTS (SELECT 1 FROM tag WHERE tag.manifest_id = manifest.id)))"
	isImage = isArtifact + " AND manifest.kind = '" + core.KindImage + "'"
)

// isLatest is that a manifest is the last pushed one in its repository of those
// that meet the condition.
func isLatest(condition string) string {
	return "manifest.id = (SELECT manifest.id FROM manifest WHERE manifest.repository_id = repository.id AND " + condition +
		" ORDER BY manifest.pushed_at DESC, manifest.id DESC LIMIT 1)"
}

// Artifacts lists the artifacts of a repository: by default the newest first.
// The filter tags selects those with such a tag.
func (tx *Tx) Artifacts(repositoryID int64, tagged *bool, q core.Query) ([]core.Artifact, int64, error) {
	s := &selection{fields: artifactFields}
	s.where("manifest.repository_id = ?", repositoryID)
	return tx.artifacts(s, tagged, q)
}

// ProjectArtifacts lists the artifacts of all repositories of a project, by
// default the newest first; latest selects the last pushed one of each.
func (tx *Tx) ProjectArtifacts(projectID int64, tagged *bool, latest bool, q core.Query) ([]core.Artifact, int64, error) {
	s := &selection{fields: artifactFields}
	s.where("repository.project_id = ?", projectID)
	if latest {
		s.where(isLatest(isArtifact))
	}
	return tx.artifacts(s, tagged, q)
}

func (tx *Tx) artifacts(s *selection, tagged *bool, q core.Query) ([]core.Artifact, int64, error) {
	s.where(isArtifact)
	switch {
	case tagged == nil:
	case *tagged:
		s.where(hasTag)
	default:
		s.where("NOT " + hasTag)
	}
	var err error
	if q.Filters, err = s.tagFilters(q.Filters); err != nil {
		return nil, 0, err
	}
	if q.Filters, err = s.labelFilters(q.Filters); err != nil {
		return nil, 0, err
	}
	return listPage(tx, s, artifactColumns, artifactSource, q, "manifest.pushed_at DESC", "manifest.id", scanArtifact)
}

// tagFilters turns the filters by tag, which are about rows of another table,
// into conditions and returns the rest.
func (s *selection) tagFilters(filters []core.Filter) (rest []core.Filter, err error) {
	tags := &selection{fields: fields{"tags": {"tag.name", textField}}, args: s.args}
	for _, f := range filters {
		if f.Field != "tags" {
			rest = append(rest, f)
			continue
		}
		if err := tags.filter([]core.Filter{f}); err != nil {
			return nil, err
		}
	}
	s.args = tags.args
	for _, condition := range tags.conditions {
		s.where("EXISTS (SELECT 1 FROM tag WHERE tag.manifest_id = manifest.id AND " + condition + ")")
	}
	return rest, nil
}

// ArtifactDigests lists the digests of all manifests of the repository.
func (tx *Tx) ArtifactDigests(repositoryID int64) ([]string, error) {
	return list(tx, `SELECT digest FROM manifest WHERE repository_id = $1 ORDER BY id`, []any{repositoryID}, scanText)
}

// Detached says whether nothing holds the manifest: no tag and no index.
func (tx *Tx) Detached(manifestID int64) (detached bool, err error) {
	err = tx.get(`SELECT NOT EXISTS (SELECT 1 FROM tag WHERE manifest_id = $1) AND NOT EXISTS (SELECT 1 FROM manifest_child WHERE child_id = $1)`,
		[]any{manifestID}, &detached)
	return detached, err
}

// UnlinkChildren forgets which manifests of the repository are part of an
// index, before all of them are removed.
func (tx *Tx) UnlinkChildren(repositoryID int64) error {
	_, err := tx.exec(`DELETE FROM manifest_child WHERE parent_id IN (SELECT id FROM manifest WHERE repository_id = $1)`, repositoryID)
	return err
}

// Referrers lists at most n manifests whose subject is digest, by id from
// after on, of one artifact type where it is not empty.
func (tx *Tx) Referrers(repository, digest, artifactType string, after int64, n int) ([]core.Artifact, error) {
	s := &selection{}
	s.where("repository.name = ?", repository)
	s.where("manifest.subject = ?", digest)
	s.where("manifest.id > ?", after)
	if artifactType != "" {
		s.where("manifest.artifact_type = ?", artifactType)
	}
	limit := s.value(n)
	return list(tx, `SELECT `+artifactColumns+` FROM `+artifactSource+s.clause()+` ORDER BY manifest.id LIMIT `+limit, s.args, scanArtifact)
}

// Accessories lists the manifests of the repository whose subject is digest or
// that a tag names as its signatures, and counts all that match.
func (tx *Tx) Accessories(repositoryID int64, digest string, q core.Query) ([]core.Artifact, int64, error) {
	s := &selection{fields: artifactFields}
	s.where("manifest.repository_id = ?", repositoryID)
	s.where(`manifest.id IN (SELECT m.id FROM manifest m WHERE m.repository_id = ? AND m.subject = ?
		UNION SELECT t.manifest_id FROM tag t WHERE t.repository_id = ? AND t.signs = ? AND `+holdsByTag+`)`, repositoryID, digest, repositoryID, digest)
	return listPage(tx, s, artifactColumns, artifactSource, q, "manifest.id", "manifest.id", scanArtifact)
}

// AccessoriesOf is Accessories of several manifests, by their digests: n in all
// at most.
func (tx *Tx) AccessoriesOf(repositoryID int64, digests []string, n int) (map[string][]core.Artifact, error) {
	byDigest := map[string][]core.Artifact{}
	for _, by := range []struct{ column, source string }{
		{"manifest.subject", artifactSource}, {"t.signs", artifactSource + " JOIN tag t ON t.manifest_id = manifest.id AND t.repository_id = manifest.repository_id AND " + holdsByTag}} {
		s := &selection{}
		s.where("manifest.repository_id = ?", repositoryID)
		in(s, by.column, digests)
		limit := s.value(n)
		err := tx.each(`SELECT `+by.column+`, `+artifactColumns+` FROM `+by.source+s.clause()+` ORDER BY manifest.id LIMIT `+limit, s.args, func(row scanner) error {
			var digest string
			a, err := scanArtifact(prefixed{row, &digest})
			if !slices.ContainsFunc(byDigest[digest], func(known core.Artifact) bool { return known.ID == a.ID }) {
				byDigest[digest] = append(byDigest[digest], a)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return byDigest, nil
}
