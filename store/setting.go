package store

// Settings returns every setting that has been written, by its key.
func (tx *Tx) Settings() (map[string]string, error) {
	all := map[string]string{}
	err := tx.each(`SELECT key, value FROM setting`, nil, func(row scanner) error {
		var key, value string
		err := row.Scan(&key, &value)
		all[key] = value
		return err
	})
	return all, err
}

const setSetting = `INSERT INTO setting (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`

// SetSetting writes one setting.
func (tx *Tx) SetSetting(key, value string) error {
	_, err := tx.exec(setSetting, key, value)
	return err
}
