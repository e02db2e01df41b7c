package store

import (
	"slices"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const repositoryColumns = `repository.id, repository.project_id, repository.name, repository.description,
	repository.pull_count, repository.artifact_count, repository.published_at, repository.updated_at`

func scanRepository(row scanner) (core.Repository, error) {
	var r core.Repository
	var published, updated int64
	err := row.Scan(&r.ID, &r.ProjectID, &r.Name, &r.Description, &r.PullCount, &r.ArtifactCount, &published, &updated)
	r.CreatedAt, r.UpdatedAt = at(published), at(updated)
	return r, err
}

var repositoryFields = fields{
	"id": {"repository.id", intField}, "name": {"repository.name", textField}, "description": {"repository.description", textField},
	"pull_count": {"repository.pull_count", intField}, "artifact_count": {"repository.artifact_count", intField},
	"project_id": {"repository.project_id", intField}, "creation_time": {"repository.published_at", timeField},
	"update_time": {"repository.updated_at", timeField},
}

// RepositoryByName returns the repository with that full name, published or
// not (CreatedAt is zero then); ErrNoRow when there is none.
func (tx *Tx) RepositoryByName(full string) (core.Repository, error) {
	return one(tx, `SELECT `+repositoryColumns+` FROM repository WHERE name = $1`, []any{full}, scanRepository)
}

// EnsureRepository returns the id of the repository, which is made, not yet
// published, where it was missing.
func (tx *Tx) EnsureRepository(projectID int64, full string) (id int64, err error) {
	err = tx.get(`SELECT id FROM repository WHERE name = $1`, []any{full}, &id)
	if err != ErrNoRow {
		return id, err
	}
	err = tx.get(`INSERT INTO repository (project_id, name, description, pull_count, artifact_count, published_at, updated_at)
		VALUES ($1, $2, '', 0, 0, 0, $3) RETURNING id`, []any{projectID, full, micros(tx.now)}, &id)
	return id, err
}

// PublishRepository makes the repository visible, which its first manifest
// does. It says whether it was hidden until now.
func (tx *Tx) PublishRepository(id int64) (bool, error) {
	n, err := tx.exec(`UPDATE repository SET published_at = $2 WHERE id = $1 AND published_at = 0`, id, micros(tx.now))
	return n == 1, err
}

// CountArtifacts changes how many artifacts the repository holds by delta.
func (tx *Tx) CountArtifacts(id, delta int64) error {
	return tx.execOne(`UPDATE repository SET artifact_count = artifact_count + $2, updated_at = $3 WHERE id = $1`, id, delta, micros(tx.now))
}

// Repositories lists the published repositories of one project.
func (tx *Tx) Repositories(projectID int64, q core.Query) ([]core.Repository, int64, error) {
	s := &selection{fields: repositoryFields}
	s.where("repository.project_id = ?", projectID)
	s.where("repository.published_at > 0")
	return listPage(tx, s, repositoryColumns, "repository", q, "repository.name", "repository.id", scanRepository)
}

// VisibleRepositories lists the published repositories of all visible projects.
func (tx *Tx) VisibleRepositories(v Visibility, q core.Query) ([]core.Repository, int64, error) {
	s := &selection{fields: repositoryFields}
	s.where("repository.published_at > 0")
	v.add(s)
	return listPage(tx, s, repositoryColumns, "repository JOIN project ON project.id = repository.project_id",
		q, "repository.name", "repository.id", scanRepository)
}

// Catalog returns at most n names of visible published repositories that come
// after last, in order.
func (tx *Tx) Catalog(v Visibility, last string, n int) ([]string, error) {
	s := &selection{}
	s.where("repository.name > ?", last)
	s.where("repository.published_at > 0")
	source := "repository"
	if !v.All {
		source += " JOIN project ON project.id = repository.project_id"
		v.add(s)
	}
	limit := s.value(n)
	return tx.names("SELECT repository.name AS name FROM "+source+s.clause()+" ORDER BY repository.name LIMIT "+limit, s.args)
}

// names lists the names, of tags or repositories, that query selects in order.
// They come as one row, because ten thousand rows take four times as long; the
// grammar of such names has no comma.
func (tx *Tx) names(query string, args []any) ([]string, error) {
	var all string
	err := tx.get(`SELECT COALESCE(string_agg(name, ','), '') FROM (`+query+`) page`, args, &all)
	if err != nil || all == "" {
		return nil, err
	}
	names := strings.Split(all, ",")
	slices.Sort(names) // SQL does not promise to aggregate in the order of the page
	return names, nil
}

func scanText(row scanner) (string, error) {
	var s string
	err := row.Scan(&s)
	return s, err
}

// SetRepositoryDescription replaces the description.
func (tx *Tx) SetRepositoryDescription(id int64, description string) error {
	return tx.execOne(`UPDATE repository SET description = $2, updated_at = $3 WHERE id = $1`, id, description, micros(tx.now))
}

// DeleteRepository removes the repository, whose manifests must be gone, and
// its blob links.
func (tx *Tx) DeleteRepository(id int64) error {
	if _, err := tx.exec(`DELETE FROM scan_sum WHERE repository_id = $1 AND project_id = (SELECT project_id FROM repository WHERE id = $1)`, id); err != nil {
		return err
	}
	return tx.execOne(`DELETE FROM repository WHERE id = $1`, id)
}

// CountPulls adds n pulls to the repository and marks artifact and tag (0 for
// none) as pulled now. What is gone by now is passed over.
func (tx *Tx) CountPulls(repositoryID, artifactID, tagID, n int64) error {
	if _, err := tx.exec(`UPDATE repository SET pull_count = pull_count + $2 WHERE id = $1`, repositoryID, n); err != nil {
		return err
	}
	if _, err := tx.exec(`UPDATE manifest SET pulled_at = $2 WHERE id = $1`, artifactID, micros(tx.now)); err != nil {
		return err
	}
	if tagID == 0 {
		return nil
	}
	_, err := tx.exec(`UPDATE tag SET pulled_at = $2 WHERE id = $1`, tagID, micros(tx.now))
	return err
}
