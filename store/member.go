package store

import (
	"github.com/breakwater-registry/breakwater/internal/core"
)

const (
	memberColumns = `member.id, member.project_id, member.account_id, account.username, member.role`
	memberSource  = `member JOIN account ON account.id = member.account_id`
)

func scanMember(row scanner) (core.Member, error) {
	var m core.Member
	err := row.Scan(&m.ID, &m.ProjectID, &m.UserID, &m.Username, &m.Role)
	return m, err
}

var memberFields = fields{
	"id": {"member.id", intField}, "entity_name": {"account.username", textField},
	"entity_id": {"member.account_id", intField}, "role_id": {"member.role", intField},
}

// Members lists the members of a project.
func (tx *Tx) Members(projectID int64, q core.Query) ([]core.Member, int64, error) {
	s := &selection{fields: memberFields}
	s.where("member.project_id = ?", projectID)
	return listPage(tx, s, memberColumns, memberSource, q, "account.username", "member.id", scanMember)
}

// Member returns the member with that id; ErrNoRow when the project has none.
func (tx *Tx) Member(projectID, id int64) (core.Member, error) {
	return one(tx, `SELECT `+memberColumns+` FROM `+memberSource+` WHERE member.project_id = $1 AND member.id = $2`,
		[]any{projectID, id}, scanMember)
}

// AddMember gives the user a role in the project and returns the member's id;
// ErrDuplicate when the user has one already.
func (tx *Tx) AddMember(projectID, userID int64, role core.Role) (id int64, err error) {
	err = tx.get(`INSERT INTO member (project_id, account_id, role, created_at, updated_at) VALUES ($1, $2, $3, $4, $4) RETURNING id`,
		[]any{projectID, userID, int64(role), micros(tx.now)}, &id)
	return id, err
}

// SetMemberRole changes the role of a member of the project.
func (tx *Tx) SetMemberRole(projectID, id int64, role core.Role) error {
	return tx.execOne(`UPDATE member SET role = $3, updated_at = $4 WHERE project_id = $1 AND id = $2`,
		projectID, id, int64(role), micros(tx.now))
}

// RemoveMember takes a member out of the project.
func (tx *Tx) RemoveMember(projectID, id int64) error {
	return tx.execOne(`DELETE FROM member WHERE project_id = $1 AND id = $2`, projectID, id)
}

// CountMembers counts the members of the project by their role.
func (tx *Tx) CountMembers(projectID int64) (map[core.Role]int64, error) {
	counts := map[core.Role]int64{}
	err := tx.each(`SELECT role, COUNT(*) FROM member WHERE project_id = $1 GROUP BY role`, []any{projectID}, func(row scanner) error {
		var role core.Role
		var n int64
		err := row.Scan(&role, &n)
		counts[role] = n
		return err
	})
	return counts, err
}

// RolesOf returns the user's roles in those of the projects that it is a
// member of.
func (tx *Tx) RolesOf(userID int64, projects []int64) (map[int64]core.Role, error) {
	s := &selection{}
	s.where("account_id = ?", userID)
	in(s, "project_id", projects)
	roles := map[int64]core.Role{}
	err := tx.each("SELECT project_id, role FROM member"+s.clause(), s.args, func(row scanner) error {
		var id int64
		var role core.Role
		err := row.Scan(&id, &role)
		roles[id] = role
		return err
	})
	return roles, err
}
