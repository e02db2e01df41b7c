package store

import "time"

// Session is a browser that has signed in. Hash is of its cookie; the cookie
// itself is nowhere.
type Session struct {
	Hash      string
	AccountID int64
	Address   string
	Agent     string
	CreatedAt time.Time
	UsedAt    time.Time
	ExpiresAt time.Time // however much it is used
}

func scanSession(row scanner) (Session, error) {
	var s Session
	var created, used, expires int64
	err := row.Scan(&s.Hash, &s.AccountID, &s.Address, &s.Agent, &created, &used, &expires)
	s.CreatedAt, s.UsedAt, s.ExpiresAt = at(created), at(used), at(expires)
	return s, err
}

// Session returns the session whose cookie has that hash; ErrNoRow when there
// is none. Whether its time is over is for the caller to judge.
func (tx *Tx) Session(hash string) (Session, error) {
	return one(tx, `SELECT hash, account_id, address, agent, created_at, used_at, expires_at FROM session WHERE hash = $1`,
		[]any{hash}, scanSession)
}

// CreateSession adds a session that begins now, and drops the oldest of the
// account so that it has at most limit.
func (tx *Tx) CreateSession(s Session, limit int64) error {
	now := micros(tx.now)
	_, err := tx.exec(`INSERT INTO session (hash, account_id, address, agent, created_at, used_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $5, $6)`, s.Hash, s.AccountID, s.Address, s.Agent, now, micros(s.ExpiresAt))
	if err != nil {
		return err
	}
	_, err = tx.exec(`DELETE FROM session WHERE account_id = $1 AND hash <> $2 AND hash NOT IN
		(SELECT hash FROM session WHERE account_id = $1 AND hash <> $2 ORDER BY used_at DESC, hash LIMIT $3)`, s.AccountID, s.Hash, limit-1)
	return err
}

// TouchSession notes that the session is used now.
func (tx *Tx) TouchSession(hash string) error {
	return tx.execOne(`UPDATE session SET used_at = $2 WHERE hash = $1`, hash, micros(tx.now))
}

// DeleteSession ends a session; one that has ended already is no error.
func (tx *Tx) DeleteSession(hash string) error {
	_, err := tx.exec(`DELETE FROM session WHERE hash = $1`, hash)
	return err
}

// DeleteSessions ends all sessions of an account.
func (tx *Tx) DeleteSessions(accountID int64) error {
	_, err := tx.exec(`DELETE FROM session WHERE account_id = $1`, accountID)
	return err
}

// DeleteEndedSessions removes sessions that have expired or that were last
// used before idle.
func (tx *Tx) DeleteEndedSessions(idle time.Time) error {
	_, err := tx.exec(`DELETE FROM session WHERE expires_at <= $1 OR used_at < $2`, micros(tx.now), micros(idle))
	return err
}

// Sessions lists the sessions of an account, the one that was used last first.
func (tx *Tx) Sessions(accountID int64) ([]Session, error) {
	return list(tx, `SELECT hash, account_id, address, agent, created_at, used_at, expires_at FROM session
		WHERE account_id = $1 ORDER BY used_at DESC, hash`, []any{accountID}, scanSession)
}
