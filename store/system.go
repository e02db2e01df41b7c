package store

import "github.com/breakwater-registry/breakwater/internal/core"

// Statistics counts projects, published repositories and bytes.
type Statistics struct {
	PublicProjects, PublicRepositories   int64
	PrivateProjects, PrivateRepositories int64
	Bytes                                int64 // as charged to the projects
}

// Statistics counts what v may see.
func (tx *Tx) Statistics(v Visibility) (Statistics, error) {
	s := &selection{}
	v.add(s)
	var all Statistics
	query := `SELECT project.public, COUNT(*), SUM((SELECT COUNT(*) FROM repository
		WHERE repository.project_id = project.id AND repository.published_at > 0)), SUM(project.quota_used)
		FROM project` + s.clause() + ` GROUP BY project.public`
	err := tx.each(query, s.args, func(row scanner) error {
		var public bool
		var projects, repositories, bytes int64
		if err := row.Scan(&public, &projects, &repositories, &bytes); err != nil {
			return err
		}
		all.Bytes += bytes
		if public {
			all.PublicProjects, all.PublicRepositories = projects, repositories
		} else {
			all.PrivateProjects, all.PrivateRepositories = projects, repositories
		}
		return nil
	})
	return all, err
}

// AdministersProject says whether the user is an administrator of any project.
func (tx *Tx) AdministersProject(userID int64) (bool, error) {
	var n int64
	err := tx.get(`SELECT COUNT(*) FROM member WHERE account_id = $1 AND role = $2`, []any{userID, int64(core.RoleProjectAdmin)}, &n)
	return n > 0, err
}
