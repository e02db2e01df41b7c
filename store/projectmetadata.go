package store

// ProjectMetadata returns the metadata of each of the projects that are kept
// as texts, by project id.
func (tx *Tx) ProjectMetadata(projectIDs ...int64) (map[int64]map[string]string, error) {
	s := &selection{}
	in(s, "project_id", projectIDs)
	all := make(map[int64]map[string]string, len(projectIDs))
	err := tx.each(`SELECT project_id, name, value FROM project_metadata`+s.clause(), s.args, func(row scanner) error {
		var id int64
		var name, value string
		err := row.Scan(&id, &name, &value)
		if all[id] == nil {
			all[id] = map[string]string{}
		}
		all[id][name] = value
		return err
	})
	return all, err
}

// SetProjectMetadata writes one value of a project's metadata. It says whether
// that is new.
func (tx *Tx) SetProjectMetadata(projectID int64, name, value string) (bool, error) {
	n, err := tx.exec(`INSERT INTO project_metadata (project_id, name, value) VALUES ($1, $2, $3)
		ON CONFLICT (project_id, name) DO UPDATE SET value = excluded.value WHERE project_metadata.value <> excluded.value`,
		projectID, name, value)
	return n == 1, err
}

// DeleteProjectMetadata removes one value; ErrNoRow when there is none such.
func (tx *Tx) DeleteProjectMetadata(projectID int64, name string) error {
	return tx.execOne(`DELETE FROM project_metadata WHERE project_id = $1 AND name = $2`, projectID, name)
}
