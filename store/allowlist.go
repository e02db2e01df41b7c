package store

import (
	"encoding/json"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// CVEAllowlist returns the allowlist of a project or, for 0, of the registry;
// an empty one where none was ever set.
func (tx *Tx) CVEAllowlist(projectID int64) (core.CVEAllowlist, error) {
	lists, err := tx.CVEAllowlists(projectID)
	if l, ok := lists[projectID]; ok {
		return l, err
	}
	return core.CVEAllowlist{ProjectID: projectID}, err
}

// CVEAllowlists returns the allowlists that were set for the projects, by
// project id.
func (tx *Tx) CVEAllowlists(projectIDs ...int64) (map[int64]core.CVEAllowlist, error) {
	s := &selection{}
	in(s, "project_id", projectIDs)
	all := map[int64]core.CVEAllowlist{}
	err := tx.each(`SELECT project_id, items, expires_at, created_at, updated_at FROM cve_allowlist`+s.clause(), s.args, func(row scanner) error {
		var l core.CVEAllowlist
		var items string
		var expires, created, updated int64
		if err := row.Scan(&l.ProjectID, &items, &expires, &created, &updated); err != nil {
			return err
		}
		l.ExpiresAt, l.CreatedAt, l.UpdatedAt = at(expires), at(created), at(updated)
		err := json.Unmarshal([]byte(items), &l.Items)
		all[l.ProjectID] = l
		return err
	})
	return all, err
}

// SetCVEAllowlist replaces the items and the end of the project's allowlist.
func (tx *Tx) SetCVEAllowlist(l core.CVEAllowlist) error {
	items, err := json.Marshal(l.Items)
	if err != nil {
		return err
	}
	_, err = tx.exec(`INSERT INTO cve_allowlist (project_id, items, expires_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
		ON CONFLICT (project_id) DO UPDATE SET items = excluded.items, expires_at = excluded.expires_at, updated_at = excluded.updated_at`,
		l.ProjectID, string(items), micros(l.ExpiresAt), micros(tx.now))
	return err
}
