package store

import (
	"database/sql"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const accountColumns = `id, username, email, realname, comment, sysadmin, disabled, password_hash, secret_hash, created_at, updated_at`

func scanUser(row scanner) (core.User, error) {
	var u core.User
	var created, updated int64
	err := row.Scan(&u.ID, &u.Username, &u.Email, &u.Realname, &u.Comment, &u.SysAdmin, &u.Disabled,
		&u.Credential.PasswordHash, &u.Credential.SecretHash, &created, &updated)
	u.HasSecret = u.Credential.SecretHash != ""
	u.CreatedAt, u.UpdatedAt = at(created), at(updated)
	return u, err
}

var accountFields = fields{
	"user_id": {"id", intField}, "username": {"username", textField}, "email": {"email", textField},
	"realname": {"realname", textField}, "sysadmin_flag": {"sysadmin", boolField}, "disabled": {"disabled", boolField},
	"search":        {"username || ' ' || email || ' ' || realname", textField},
	"creation_time": {"created_at", timeField}, "update_time": {"updated_at", timeField},
}

// User returns the account with that id; ErrNoRow when there is none.
func (tx *Tx) User(id int64) (core.User, error) {
	return one(tx, `SELECT `+accountColumns+` FROM account WHERE id = $1`, []any{id}, scanUser)
}

// UserAccess returns what every decision about the account needs: its name and
// its flags, nothing else of it. ErrNoRow when there is none.
func (tx *Tx) UserAccess(id int64) (core.User, error) {
	const query = `SELECT id, username, sysadmin, disabled FROM account WHERE id = $1`
	return recall(tx, question{query: query, numbers: [6]int64{id}}, func() (u core.User, err error) {
		err = tx.get(query, []any{id}, &u.ID, &u.Username, &u.SysAdmin, &u.Disabled)
		return u, err
	})
}

// UserByName returns the account with that name, whatever its case.
func (tx *Tx) UserByName(username string) (core.User, error) {
	return one(tx, `SELECT `+accountColumns+` FROM account WHERE username_key = $1`, []any{strings.ToLower(username)}, scanUser)
}

// Users lists accounts and counts all that match.
func (tx *Tx) Users(q core.Query) ([]core.User, int64, error) {
	return listPage(tx, &selection{fields: accountFields}, accountColumns, "account", q, "username", "id", scanUser)
}

var byUsername = ordering{columns: []field{{"username_key", textField}}}

// UsersPage reads one page of the accounts by name.
func (tx *Tx) UsersPage(filters []core.Filter, w core.Window) ([]core.User, core.Ends, error) {
	s := &selection{fields: accountFields}
	if err := s.filter(filters); err != nil {
		return nil, core.Ends{}, err
	}
	return windowPage(tx, s, accountColumns, "account", byUsername, w, scanUser, func(u core.User) []any { return []any{strings.ToLower(u.Username)} })
}

// SearchUsers lists accounts whose name contains part, whatever its case.
func (tx *Tx) SearchUsers(part string, q core.Query) ([]core.User, int64, error) {
	s := &selection{fields: accountFields}
	s.where("username_key LIKE ? ESCAPE '!'", "%"+likeEscape(strings.ToLower(part))+"%")
	return listPage(tx, s, accountColumns, "account", q, "username", "id", scanUser)
}

// CountUsers counts the accounts, and the system admins that are not disabled.
func (tx *Tx) CountUsers() (all, admins int64, err error) {
	err = tx.get(`SELECT COUNT(*), COALESCE(SUM(CASE WHEN sysadmin AND NOT disabled THEN 1 ELSE 0 END), 0) FROM account`, nil, &all, &admins)
	return all, admins, err
}

// CreateUser adds an account and returns its id; ErrDuplicate when the name or
// the e-mail address is taken.
func (tx *Tx) CreateUser(u core.User) (id int64, err error) {
	now := micros(tx.now)
	err = tx.get(`INSERT INTO account (username, username_key, email, email_key, realname, comment, password_hash, secret_hash, sysadmin, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10) RETURNING id`,
		[]any{u.Username, strings.ToLower(u.Username), u.Email, emailKey(u.Email), u.Realname, u.Comment,
			u.Credential.PasswordHash, u.Credential.SecretHash, u.SysAdmin, now}, &id)
	return id, err
}

func emailKey(email string) sql.NullString {
	return sql.NullString{String: strings.ToLower(email), Valid: email != ""}
}

// UpdateUser writes the profile, the flags and the credential of u.
func (tx *Tx) UpdateUser(u core.User) error {
	return tx.execOne(`UPDATE account SET email = $2, email_key = $3, realname = $4, comment = $5, sysadmin = $6,
		disabled = $7, password_hash = $8, secret_hash = $9, updated_at = $10 WHERE id = $1`,
		u.ID, u.Email, emailKey(u.Email), u.Realname, u.Comment, u.SysAdmin, u.Disabled,
		u.Credential.PasswordHash, u.Credential.SecretHash, micros(tx.now))
}

// DeleteUser removes the account with its memberships and sessions.
func (tx *Tx) DeleteUser(id int64) error {
	return tx.execOne(`DELETE FROM account WHERE id = $1`, id)
}
