package store

import (
	"github.com/breakwater-registry/breakwater/internal/core"
)

const trustAnchorColumns = `trust_anchor.id, trust_anchor.project_id, trust_anchor.type, trust_anchor.name, trust_anchor.content,
	trust_anchor.issuer, trust_anchor.subject, trust_anchor.pattern, trust_anchor.store, trust_anchor.key_id, trust_anchor.not_after,
	trust_anchor.expires_at, trust_anchor.created_by, trust_anchor.created_at`

func scanTrustAnchor(row scanner) (core.TrustAnchor, error) {
	var a core.TrustAnchor
	var notAfter, expires, created int64
	err := row.Scan(&a.ID, &a.ProjectID, &a.Type, &a.Name, &a.Content, &a.Issuer, &a.Subject, &a.Pattern, &a.Store, &a.KeyID,
		&notAfter, &expires, &a.CreatedBy, &created)
	a.NotAfter, a.ExpiresAt, a.CreatedAt = at(notAfter), at(expires), at(created)
	return a, err
}

var trustAnchorFields = fields{
	"id": {"trust_anchor.id", intField}, "type": {"trust_anchor.type", textField}, "name": {"trust_anchor.name", textField},
	"key_id": {"trust_anchor.key_id", textField}, "creation_time": {"trust_anchor.created_at", timeField},
	"expires_at": {"trust_anchor.expires_at", timeField},
}

// TrustAnchors returns all trust anchors of the project.
func (tx *Tx) TrustAnchors(projectID int64) ([]core.TrustAnchor, error) {
	return list(tx, `SELECT `+trustAnchorColumns+` FROM trust_anchor WHERE project_id = $1 ORDER BY id`, []any{projectID}, scanTrustAnchor)
}

// ListTrustAnchors lists the trust anchors of the project and counts all that
// match.
func (tx *Tx) ListTrustAnchors(projectID int64, q core.Query) ([]core.TrustAnchor, int64, error) {
	s := &selection{fields: trustAnchorFields}
	s.where("trust_anchor.project_id = ?", projectID)
	return listPage(tx, s, trustAnchorColumns, "trust_anchor", q, "trust_anchor.id", "trust_anchor.id", scanTrustAnchor)
}

// TrustAnchor returns one trust anchor of the project; ErrNoRow when it has
// none such.
func (tx *Tx) TrustAnchor(projectID, id int64) (core.TrustAnchor, error) {
	return one(tx, `SELECT `+trustAnchorColumns+` FROM trust_anchor WHERE project_id = $1 AND id = $2`, []any{projectID, id}, scanTrustAnchor)
}

// CreateTrustAnchor adds an anchor to its project and returns its id;
// ErrDuplicate when there is one of its type with that name or key.
func (tx *Tx) CreateTrustAnchor(a core.TrustAnchor) (id int64, err error) {
	err = tx.get(`INSERT INTO trust_anchor (project_id, type, name, content, issuer, subject, pattern, store, key_id, not_after,
			expires_at, created_by, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id`,
		[]any{a.ProjectID, string(a.Type), a.Name, a.Content, a.Issuer, a.Subject, a.Pattern, string(a.Store), a.KeyID, micros(a.NotAfter),
			micros(a.ExpiresAt), a.CreatedBy, micros(tx.now)}, &id)
	return id, err
}

// UpdateTrustAnchor replaces what an anchor of the project says, but its type
// and who added it; ErrNoRow when the project has none such, ErrDuplicate when
// it has another one of the type with that name or key.
func (tx *Tx) UpdateTrustAnchor(a core.TrustAnchor) error {
	return tx.execOne(`UPDATE trust_anchor SET name = $3, content = $4, issuer = $5, subject = $6, pattern = $7, store = $8, key_id = $9,
			not_after = $10, expires_at = $11 WHERE project_id = $1 AND id = $2`,
		a.ProjectID, a.ID, a.Name, a.Content, a.Issuer, a.Subject, a.Pattern, string(a.Store), a.KeyID, micros(a.NotAfter), micros(a.ExpiresAt))
}

// DeleteTrustAnchor removes an anchor of the project; ErrNoRow when it has none
// such.
func (tx *Tx) DeleteTrustAnchor(projectID, id int64) error {
	return tx.execOne(`DELETE FROM trust_anchor WHERE project_id = $1 AND id = $2`, projectID, id)
}

// ForgetTrustKey removes the facts that the key verified in all repositories of
// the project.
func (tx *Tx) ForgetTrustKey(projectID int64, kind core.TrustKind, keyID string) error {
	_, err := tx.exec(`DELETE FROM trust_fact WHERE kind = $2 AND key_id = $3
		AND repository_id IN (SELECT id FROM repository WHERE project_id = $1)`, projectID, string(kind), keyID)
	return err
}
