package store

import (
	"database/sql"
	"strconv"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const labelColumns = `label.id, label.project_id, label.name, label.description, label.color, label.created_at, label.updated_at`

func labelTargets(l *core.Label, project *sql.NullInt64, created, updated *int64) []any {
	return []any{&l.ID, project, &l.Name, &l.Description, &l.Color, created, updated}
}

func scanLabel(row scanner) (core.Label, error) {
	var l core.Label
	var project sql.NullInt64
	var created, updated int64
	err := row.Scan(labelTargets(&l, &project, &created, &updated)...)
	l.ProjectID, l.CreatedAt, l.UpdatedAt = project.Int64, at(created), at(updated)
	return l, err
}

var labelFields = fields{
	"id": {"label.id", intField}, "name": {"label.name", textField}, "color": {"label.color", textField},
	"creation_time": {"label.created_at", timeField}, "update_time": {"label.updated_at", timeField},
}

func projectKey(id int64) sql.NullInt64 { return sql.NullInt64{Int64: id, Valid: id != 0} }

// Label returns the label with that id; ErrNoRow when there is none.
func (tx *Tx) Label(id int64) (core.Label, error) {
	return one(tx, `SELECT `+labelColumns+` FROM label WHERE id = $1`, []any{id}, scanLabel)
}

// Labels lists the labels of a project, or with 0 those of all projects, and
// counts all that match.
func (tx *Tx) Labels(projectID int64, q core.Query) ([]core.Label, int64, error) {
	s := &selection{fields: labelFields}
	if projectID == 0 {
		s.where("label.project_id IS NULL")
	} else {
		s.where("label.project_id = ?", projectID)
	}
	return listPage(tx, s, labelColumns, "label", q, "label.name", "label.id", scanLabel)
}

// CreateLabel adds a label and returns its id; ErrDuplicate when the name is taken.
func (tx *Tx) CreateLabel(l core.Label) (id int64, err error) {
	err = tx.get(`INSERT INTO label (project_id, name, description, color, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5) RETURNING id`,
		[]any{projectKey(l.ProjectID), l.Name, l.Description, l.Color, micros(tx.now)}, &id)
	return id, err
}

// UpdateLabel writes the name, the description and the colour of l.
func (tx *Tx) UpdateLabel(l core.Label) error {
	return tx.execOne(`UPDATE label SET name = $2, description = $3, color = $4, updated_at = $5 WHERE id = $1`,
		l.ID, l.Name, l.Description, l.Color, micros(tx.now))
}

// DeleteLabel removes a label, from the artifacts that have it too.
func (tx *Tx) DeleteLabel(id int64) error { return tx.execOne(`DELETE FROM label WHERE id = $1`, id) }

// AddLabel marks an artifact; ErrDuplicate when it has the label.
func (tx *Tx) AddLabel(artifactID, labelID int64) error {
	_, err := tx.exec(`INSERT INTO artifact_label (manifest_id, label_id) VALUES ($1, $2)`, artifactID, labelID)
	return err
}

// RemoveLabel takes a label from an artifact; ErrNoRow when it does not have it.
func (tx *Tx) RemoveLabel(artifactID, labelID int64) error {
	return tx.execOne(`DELETE FROM artifact_label WHERE manifest_id = $1 AND label_id = $2`, artifactID, labelID)
}

// hasLabel selects the manifests with the label of that id.
const hasLabel = "manifest.id IN (SELECT artifact_label.manifest_id FROM artifact_label WHERE artifact_label.label_id = ?)"

// labelFilters turns Harbor's filter by the ids of labels, labels=(1 2), into
// conditions and returns the rest. An artifact must have all of them.
func (s *selection) labelFilters(filters []core.Filter) (rest []core.Filter, err error) {
	for _, f := range filters {
		if f.Field != "labels" {
			rest = append(rest, f)
			continue
		}
		if f.Match != core.MatchAll && f.Match != core.MatchExact {
			return nil, core.Errorf(core.CodeBadRequest, "artifacts can be filtered by labels that they all have only: labels=(ID ID)")
		}
		for _, value := range f.Values {
			id, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return nil, core.Errorf(core.CodeBadRequest, "labels are filtered by their ids: labels=(ID ID)")
			}
			s.where(hasLabel, id)
		}
	}
	return rest, nil
}

// LabelsOf returns the labels of the artifacts, by the artifact's id and in the
// order of their names.
func (tx *Tx) LabelsOf(artifactIDs []int64) (map[int64][]core.Label, error) {
	all := map[int64][]core.Label{}
	s := &selection{}
	in(s, "artifact_label.manifest_id", artifactIDs)
	query := `SELECT artifact_label.manifest_id, ` + labelColumns + ` FROM artifact_label JOIN label ON label.id = artifact_label.label_id` +
		s.clause() + ` ORDER BY label.name, label.id`
	err := tx.each(query, s.args, func(row scanner) error {
		var l core.Label
		var artifact, created, updated int64
		var project sql.NullInt64
		if err := row.Scan(append([]any{&artifact}, labelTargets(&l, &project, &created, &updated)...)...); err != nil {
			return err
		}
		l.ProjectID, l.CreatedAt, l.UpdatedAt = project.Int64, at(created), at(updated)
		all[artifact] = append(all[artifact], l)
		return nil
	})
	return all, err
}

// LabelChoices lists at most n labels that an artifact of the project may get,
// those whose names contain part, the project's own and those of all projects.
func (tx *Tx) LabelChoices(projectID int64, part string, n int) ([]core.Label, error) {
	return list(tx, `SELECT `+labelColumns+` FROM label WHERE (project_id = $1 OR project_id IS NULL) AND lower(name) LIKE $2 ESCAPE '!' ORDER BY name, id LIMIT $3`,
		[]any{projectID, "%" + likeEscape(strings.ToLower(part)) + "%", n}, scanLabel)
}
