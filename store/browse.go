package store

import (
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
)

var (
	byName   = ordering{columns: []field{{"repository.name", textField}}}
	byUpdate = ordering{columns: []field{{"repository.updated_at", intField}, {"repository.id", intField}}, descending: true}
	byPush   = ordering{columns: []field{{"manifest.pushed_at", intField}, {"manifest.id", intField}}, descending: true}
	byAge    = ordering{columns: []field{{"audit.id", intField}}, descending: true}
	byTag    = ordering{columns: []field{{"tag.name", textField}}}
	byImage  = ordering{columns: []field{{"repository.name", textField}, {"manifest.id", intField}}}
)

// RepositoryPage reads one page of the published repositories of a project.
func (tx *Tx) RepositoryPage(projectID int64, f core.RepositoryFilter, w core.Window) ([]core.Repository, core.Ends, error) {
	s := &selection{}
	s.where("repository.project_id = ?", projectID)
	s.where("repository.published_at > 0")
	s.contains("repository.name", f.Text)
	if f.Recent {
		return windowPage(tx, s, repositoryColumns, "repository", byUpdate, w, scanRepository,
			func(r core.Repository) []any { return []any{micros(r.UpdatedAt), r.ID} })
	}
	return windowPage(tx, s, repositoryColumns, "repository", byName, w, scanRepository,
		func(r core.Repository) []any { return []any{r.Name} })
}

// ArtifactPage reads one page of the manifests of a repository that stand for
// themselves, the newest first.
func (tx *Tx) ArtifactPage(repositoryID int64, f core.ArtifactFilter, w core.Window) ([]core.Artifact, core.Ends, error) {
	s := &selection{}
	s.where("manifest.repository_id = ?", repositoryID)
	switch {
	case f.Tagged == nil:
		s.where(isArtifact)
	case *f.Tagged:
		s.where(hasTag)
	default:
		s.where(isArtifact)
		s.where("NOT " + hasTag)
	}
	if f.Text != "" {
		digest := "sha256:" + strings.TrimPrefix(strings.ToLower(f.Text), "sha256:")
		s.where(`manifest.id IN (SELECT tag.manifest_id FROM tag WHERE tag.repository_id = ? AND lower(tag.name) LIKE ? ESCAPE '!'
			UNION SELECT m.id FROM manifest m WHERE m.repository_id = ? AND m.digest >= ? AND m.digest < ?)`,
			repositoryID, "%"+likeEscape(strings.ToLower(f.Text))+"%", repositoryID, digest, digest+"g")
	}
	if f.Label != 0 {
		s.where(hasLabel, f.Label)
	}
	return windowPage(tx, s, artifactColumns, artifactSource, byPush, w, scanArtifact,
		func(a core.Artifact) []any { return []any{micros(a.PushedAt), a.ID} })
}

// ImagePage reads one page of the images and indexes of a project that stand for
// themselves, by repository; latest selects the last pushed one of each.
func (tx *Tx) ImagePage(projectID int64, latest bool, w core.Window) ([]core.Artifact, core.Ends, error) {
	s := &selection{}
	s.where("repository.project_id = ?", projectID)
	s.where(isImage)
	if latest {
		s.where(isLatest(isImage))
	}
	return windowPage(tx, s, artifactColumns, artifactSource, byImage, w, scanArtifact,
		func(a core.Artifact) []any { return []any{a.Repository, a.ID} })
}

// TagPage reads one page of the tags of a repository whose names contain text,
// by name.
func (tx *Tx) TagPage(repositoryID int64, text string, w core.Window) ([]core.Tag, core.Ends, error) {
	s := &selection{}
	s.where("tag.repository_id = ?", repositoryID)
	s.contains("tag.name", text)
	return tx.tagPage(s, w)
}

// TagPageOf is TagPage for the tags of one artifact.
func (tx *Tx) TagPageOf(artifactID int64, w core.Window) ([]core.Tag, core.Ends, error) {
	s := &selection{}
	s.where("tag.manifest_id = ?", artifactID)
	return tx.tagPage(s, w)
}

func (tx *Tx) tagPage(s *selection, w core.Window) ([]core.Tag, core.Ends, error) {
	return windowPage(tx, s, tagColumns, tagSource, byTag, w, scanTag, func(t core.Tag) []any { return []any{t.Name} })
}

// CountTags counts the tags of an artifact.
func (tx *Tx) CountTags(artifactID int64) (n int64, err error) {
	err = tx.get(`SELECT COUNT(*) FROM tag WHERE manifest_id = $1`, []any{artifactID}, &n)
	return n, err
}

// AuditWindow reads one page of the rows within the scope and the filters, the
// newest first.
func (tx *Tx) AuditWindow(v AuditScope, filters []core.Filter, w core.Window) ([]core.AuditEvent, core.Ends, error) {
	s := &selection{fields: auditFields}
	v.add(s, "audit.project_id")
	if err := s.filter(filters); err != nil {
		return nil, core.Ends{}, err
	}
	return windowPage(tx, s, auditColumns, "audit", byAge, w, scanAudit, func(e core.AuditEvent) []any { return []any{e.ID} })
}
