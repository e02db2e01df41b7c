package store

import (
	"github.com/breakwater-registry/breakwater/internal/core"
)

const signatureColumns = `signature.id, signature.repository_id, signature.subject, signature.manifest, signature.entry, signature.kind,
	signature.format, signature.verified, signature.reason, signature.key_id, signature.signer, signature.signed_at, signature.valid_until,
	signature.checked_at`

func scanSignature(row scanner) (core.Signature, error) {
	var s core.Signature
	var signed, until, checked int64
	err := row.Scan(&s.ID, &s.RepositoryID, &s.Subject, &s.Manifest, &s.Entry, &s.Kind, &s.Format, &s.Verified, &s.Reason,
		&s.KeyID, &s.Signer, &signed, &until, &checked)
	s.SignedAt, s.ValidUntil, s.CheckedAt = at(signed), at(until), at(checked)
	return s, err
}

var signatureFields = fields{
	"id": {"signature.id", intField}, "kind": {"signature.kind", textField}, "verified": {"signature.verified", boolField},
	"key_id": {"signature.key_id", textField}, "signer": {"signature.signer", textField}, "signed_at": {"signature.signed_at", timeField},
}

// Signatures returns all that is known of the signatures of the manifest.
func (tx *Tx) Signatures(repositoryID int64, subject string) ([]core.Signature, error) {
	return list(tx, `SELECT `+signatureColumns+` FROM signature WHERE repository_id = $1 AND subject = $2 ORDER BY id`,
		[]any{repositoryID, subject}, scanSignature)
}

// ListSignatures lists what is known of the signatures of the manifest, those
// that verified first, and counts all that match.
func (tx *Tx) ListSignatures(repositoryID int64, subject string, q core.Query) ([]core.Signature, int64, error) {
	s := &selection{fields: signatureFields}
	s.where("signature.repository_id = ?", repositoryID)
	s.where("signature.subject = ?", subject)
	return listPage(tx, s, signatureColumns, "signature", q, "signature.verified DESC", "signature.id", scanSignature)
}

// InvalidSignatures counts the signatures that do not verify of each of the
// manifests, by digest.
func (tx *Tx) InvalidSignatures(repositoryID int64, subjects []string) (map[string]int64, error) {
	s := &selection{}
	s.where("signature.repository_id = ?", repositoryID)
	s.where("signature.verified = ?", false)
	in(s, "signature.subject", subjects)
	counts := map[string]int64{}
	err := tx.each(`SELECT signature.subject, COUNT(*) FROM signature`+s.clause()+` GROUP BY signature.subject`, s.args, func(row scanner) error {
		var subject string
		var n int64
		err := row.Scan(&subject, &n)
		counts[subject] = n
		return err
	})
	return counts, err
}

// AddSignature adds what is known of one signature.
func (tx *Tx) AddSignature(s core.Signature) error {
	_, err := tx.exec(`INSERT INTO signature (repository_id, subject, manifest, entry, kind, format, verified, reason, key_id, signer,
			signed_at, valid_until, checked_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		s.RepositoryID, s.Subject, s.Manifest, s.Entry, string(s.Kind), s.Format, s.Verified, s.Reason, s.KeyID, s.Signer,
		micros(s.SignedAt), micros(s.ValidUntil), micros(tx.now))
	return err
}

// DeleteSignatures forgets the signatures of the manifest that are in another
// one or, where that is empty, all of them.
func (tx *Tx) DeleteSignatures(repositoryID int64, subject, manifest string) error {
	_, err := tx.exec(`DELETE FROM signature WHERE repository_id = $1 AND subject = $2 AND ($3 = '' OR manifest = $3)`,
		repositoryID, subject, manifest)
	return err
}

// signatureHolders selects the manifests m that may hold signatures: those that
// refer to what they sign, and those that a tag of cosign's names.
const (
	holdsByReference = `m.subject <> '' AND m.kind = '` + core.KindSignature + `'`
	holdsByTag       = `t.signs <> ''`
)

// SignatureManifests returns the newest n manifests of the repository that may
// hold signatures of the subject.
func (tx *Tx) SignatureManifests(repositoryID int64, subject string, n int) ([]core.Artifact, error) {
	return list(tx, `SELECT `+artifactColumns+` FROM `+artifactSource+` WHERE manifest.repository_id = $1 AND manifest.id IN (
			SELECT m.id FROM manifest m WHERE m.repository_id = $1 AND m.subject = $2 AND `+holdsByReference+`
			UNION SELECT t.manifest_id FROM tag t WHERE t.repository_id = $1 AND t.signs = $2 AND `+holdsByTag+`)
		ORDER BY manifest.id DESC LIMIT $3`, []any{repositoryID, subject, n}, scanArtifact)
}

// HasSignatureManifests says whether anything in the repository may be a
// signature of the subject.
func (tx *Tx) HasSignatureManifests(repositoryID int64, subject string) (found bool, err error) {
	err = tx.get(`SELECT EXISTS (SELECT 1 FROM manifest m WHERE m.repository_id = $1 AND m.subject = $2 AND `+holdsByReference+`)
		OR EXISTS (SELECT 1 FROM tag t WHERE t.repository_id = $1 AND t.signs = $2 AND `+holdsByTag+`)`, []any{repositoryID, subject}, &found)
	return found, err
}

// SignedBy returns the digest that the manifest, as a referrer, may hold
// signatures of; empty when it is none such.
func (tx *Tx) SignedBy(manifestID int64) (subject string, err error) {
	err = tx.get(`SELECT m.subject FROM manifest m WHERE m.id = $1 AND `+holdsByReference, []any{manifestID}, &subject)
	if err == ErrNoRow {
		return "", nil
	}
	return subject, err
}

// DueSignatures is a manifest whose signatures are to be looked at.
type DueSignatures struct {
	RepositoryID int64
	Repository   string // full name
	ProjectID    int64
	Subject      string
	Anew         bool // what is known of them does not hold any more
	Round        int64
}

const dueAgain = ` ON CONFLICT (repository_id, subject) DO UPDATE SET anew = signature_due.anew OR excluded.anew,
	round = signature_due.round + 1, due_at = excluded.due_at`

// SetSignaturesDue has the signatures of the manifest looked at from now on.
func (tx *Tx) SetSignaturesDue(repositoryID int64, subject string) error {
	_, err := tx.exec(`INSERT INTO signature_due (repository_id, subject, anew, round, due_at) VALUES ($1, $2, FALSE, 1, $3)`+dueAgain,
		repositoryID, subject, micros(tx.now))
	return err
}

// SetProjectSignaturesDue has all signatures in the project looked at anew.
func (tx *Tx) SetProjectSignaturesDue(projectID int64) error {
	_, err := tx.exec(`INSERT INTO signature_due (repository_id, subject, anew, round, due_at)
		SELECT repository_id, subject, TRUE, 1, $2 FROM (
			SELECT m.repository_id, m.subject FROM manifest m JOIN repository r ON r.id = m.repository_id
				WHERE r.project_id = $1 AND `+holdsByReference+`
			UNION SELECT t.repository_id, t.signs FROM tag t JOIN repository r ON r.id = t.repository_id
				WHERE r.project_id = $1 AND `+holdsByTag+`) signed WHERE TRUE`+dueAgain,
		projectID, micros(tx.now))
	return err
}

// NextDueSignatures returns what has been due for longest; ErrNoRow when
// nothing is.
func (tx *Tx) NextDueSignatures() (DueSignatures, error) {
	return one(tx, `SELECT d.repository_id, r.name, r.project_id, d.subject, d.anew, d.round
		FROM signature_due d JOIN repository r ON r.id = d.repository_id WHERE d.due_at <= $1 ORDER BY d.due_at, d.repository_id, d.subject LIMIT 1`,
		[]any{micros(tx.now)}, func(row scanner) (d DueSignatures, err error) {
			err = row.Scan(&d.RepositoryID, &d.Repository, &d.ProjectID, &d.Subject, &d.Anew, &d.Round)
			return d, err
		})
}

// EndDueSignatures notes that they were looked at, unless they became due again
// meanwhile: then ended is false.
func (tx *Tx) EndDueSignatures(d DueSignatures) (ended bool, err error) {
	n, err := tx.exec(`DELETE FROM signature_due WHERE repository_id = $1 AND subject = $2 AND round = $3`, d.RepositoryID, d.Subject, d.Round)
	return n > 0, err
}

// PutOffSignatures has them looked at later, delay microseconds from now.
func (tx *Tx) PutOffSignatures(d DueSignatures, delay int64) error {
	_, err := tx.exec(`UPDATE signature_due SET due_at = $3 WHERE repository_id = $1 AND subject = $2`, d.RepositoryID, d.Subject, micros(tx.now)+delay)
	return err
}

// HasDueSignatures says whether any are to be looked at now.
func (tx *Tx) HasDueSignatures() (due bool, err error) {
	err = tx.get(`SELECT EXISTS (SELECT 1 FROM signature_due WHERE due_at <= $1)`, []any{micros(tx.now)}, &due)
	return due, err
}
