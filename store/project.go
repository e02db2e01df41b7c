package store

import (
	"github.com/breakwater-registry/breakwater/internal/core"
)

const projectColumns = `project.id, project.name, project.owner_id, project.owner_name, project.public, project.quota_hard, project.quota_used, project.policy,
	(SELECT COUNT(*) FROM repository WHERE repository.project_id = project.id AND repository.published_at > 0), project.created_at, project.updated_at`

func scanProject(row scanner) (core.Project, error) {
	var p core.Project
	var created, updated int64
	err := row.Scan(&p.ID, &p.Name, &p.OwnerID, &p.OwnerName, &p.Public, &p.QuotaHard, &p.QuotaUsed, &p.Policy, &p.RepoCount, &created, &updated)
	p.CreatedAt, p.UpdatedAt = at(created), at(updated)
	return p, err
}

var projectFields = fields{
	"project_id": {"project.id", intField}, "name": {"project.name", textField}, "public": {"project.public", boolField},
	"owner_id": {"project.owner_id", intField}, "owner_name": {"project.owner_name", textField},
	"owner":         {"project.owner_name", textField},
	"creation_time": {"project.created_at", timeField}, "update_time": {"project.updated_at", timeField},
}

// Project returns the project that ref names; ErrNoRow when there is none.
func (tx *Tx) Project(ref core.ProjectRef) (core.Project, error) {
	if ref.ID != 0 {
		return one(tx, `SELECT `+projectColumns+` FROM project WHERE id = $1`, []any{ref.ID}, scanProject)
	}
	return one(tx, `SELECT `+projectColumns+` FROM project WHERE name = $1`, []any{ref.Name}, scanProject)
}

// ProjectAccess returns what a decision about the project needs, without the
// counts of Project: its id, whether it is public, its policy and the user's role
// in it (0 for none; userID 0 is nobody).
func (tx *Tx) ProjectAccess(ref core.ProjectRef, userID int64) (core.Project, core.Role, error) {
	type access struct {
		project core.Project
		role    core.Role
	}
	asked := func(name string, id int64) question {
		return question{query: "project access", names: [2]string{name}, numbers: [6]int64{id, userID}}
	}
	a, err := recall(tx, asked(ref.Name, ref.ID), func() (a access, err error) {
		if a.project, a.role, err = tx.projectAccess(ref, userID); err == nil {
			// One decision asks by name and another by id.
			remember(tx, asked("", a.project.ID), a)
			remember(tx, asked(a.project.Name, 0), a)
		}
		return a, err
	})
	return a.project, a.role, err
}

func (tx *Tx) projectAccess(ref core.ProjectRef, userID int64) (p core.Project, role core.Role, err error) {
	const columns = `SELECT p.id, p.name, p.public, p.quota_hard, p.quota_used, p.policy, p.created_at, COALESCE(m.role, 0)
		FROM project p LEFT JOIN member m ON m.project_id = p.id AND m.account_id = $2 WHERE `
	var created int64
	query, key := columns+`p.name = $1`, any(ref.Name)
	if ref.ID != 0 {
		query, key = columns+`p.id = $1`, ref.ID
	}
	err = tx.get(query, []any{key, userID}, &p.ID, &p.Name, &p.Public, &p.QuotaHard, &p.QuotaUsed, &p.Policy, &created, &role)
	p.CreatedAt = at(created)
	return p, role, err
}

// Visibility selects the projects that a caller may see.
type Visibility struct {
	All    bool  // every project
	None   bool  // no project
	UserID int64 // those the user is a member of, and the public ones
	IDs    []int64
}

func (v Visibility) add(s *selection) {
	switch {
	case v.All:
	case v.None:
		s.where("1 = 0")
	case v.UserID != 0:
		s.where(`(project.public OR project.id IN (SELECT project_id FROM member WHERE account_id = ?))`, v.UserID)
	case len(v.IDs) > 0:
		args := make([]any, len(v.IDs))
		marks := ""
		for i, id := range v.IDs {
			args[i] = id
			marks += ", ?"
		}
		s.where(`(project.public OR project.id IN (`+marks[2:]+`))`, args...)
	default:
		s.where(`project.public`)
	}
}

// Projects lists the visible projects and counts all that match.
func (tx *Tx) Projects(v Visibility, q core.Query) ([]core.Project, int64, error) {
	s := &selection{fields: projectFields}
	v.add(s)
	return listPage(tx, s, projectColumns, "project", q, "project.name", "project.id", scanProject)
}

// CreateProject adds a project and returns its id; ErrDuplicate when the name is taken.
func (tx *Tx) CreateProject(p core.Project) (id int64, err error) {
	err = tx.get(`INSERT INTO project (name, owner_id, owner_name, public, quota_hard, quota_used, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, 0, $6, $6) RETURNING id`,
		[]any{p.Name, p.OwnerID, p.OwnerName, p.Public, p.QuotaHard, micros(tx.now)}, &id)
	return id, err
}

// SetProjectPublic changes who may see and pull from the project.
func (tx *Tx) SetProjectPublic(id int64, public bool) error {
	return tx.execOne(`UPDATE project SET public = $2, updated_at = $3 WHERE id = $1`, id, public, micros(tx.now))
}

// SetProjectPolicy replaces what pulls from the project must meet, a JSON
// object; empty is nothing.
func (tx *Tx) SetProjectPolicy(id int64, policy string) error {
	return tx.execOne(`UPDATE project SET policy = $2 WHERE id = $1`, id, policy)
}

// DeleteProject removes the project with its members, robots and settings.
// Its repositories must be gone.
func (tx *Tx) DeleteProject(id int64) error {
	if _, err := tx.exec(`DELETE FROM cve_allowlist WHERE project_id = $1`, id); err != nil {
		return err
	}
	return tx.execOne(`DELETE FROM project WHERE id = $1`, id)
}

// SetQuota sets the project's storage limit in bytes, -1 for none.
func (tx *Tx) SetQuota(id, hard int64) error {
	return tx.execOne(`UPDATE project SET quota_hard = $2, updated_at = $3 WHERE id = $1`, id, hard, micros(tx.now))
}

// AddUsage charges the project with bytes, or gives them back when negative.
// It says false, and changes nothing, when the quota does not allow it; giving
// back is always allowed.
func (tx *Tx) AddUsage(id, bytes int64) (bool, error) {
	n, err := tx.exec(`UPDATE project SET quota_used = quota_used + $2
		WHERE id = $1 AND ($2 <= 0 OR quota_hard < 0 OR quota_used + $2 <= quota_hard)`, id, bytes)
	return n == 1, err
}
