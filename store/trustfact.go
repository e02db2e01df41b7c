package store

import (
	"github.com/breakwater-registry/breakwater/internal/core"
)

const trustFactColumns = `f.repository_id, f.tag, f.digest, f.kind, f.key_id, f.signer, f.signed_at, f.valid_until`

func scanTrustFact(row scanner) (core.TrustFact, error) {
	var f core.TrustFact
	var signed, until int64
	err := row.Scan(&f.RepositoryID, &f.Tag, &f.Digest, &f.Kind, &f.KeyID, &f.Signer, &signed, &until)
	f.SignedAt, f.ValidUntil = at(signed), at(until)
	return f, err
}

// TrustFacts returns the verified signatures of the manifest in the repository,
// expired ones too.
func (tx *Tx) TrustFacts(repositoryID int64, digest string) ([]core.TrustFact, error) {
	return list(tx, `SELECT `+trustFactColumns+` FROM trust_fact f WHERE f.repository_id = $1 AND f.digest = $2
		ORDER BY f.kind, f.tag, f.key_id`, []any{repositoryID, digest}, scanTrustFact)
}

// TrustFactsOf is TrustFacts of several manifests, by digest.
func (tx *Tx) TrustFactsOf(repositoryID int64, digests []string) (map[string][]core.TrustFact, error) {
	s := &selection{}
	s.where("f.repository_id = ?", repositoryID)
	in(s, "f.digest", digests)
	facts, err := list(tx, `SELECT `+trustFactColumns+` FROM trust_fact f`+s.clause()+` ORDER BY f.kind, f.tag, f.key_id`, s.args, scanTrustFact)
	byDigest := make(map[string][]core.TrustFact, len(digests))
	for _, f := range facts {
		byDigest[f.Digest] = append(byDigest[f.Digest], f)
	}
	return byDigest, err
}

// IndexTrustFacts returns the verified signatures of the indexes that list the
// manifests, by the id of the manifest.
func (tx *Tx) IndexTrustFacts(manifestIDs ...int64) (map[int64][]core.TrustFact, error) {
	s := &selection{}
	in(s, "c.child_id", manifestIDs)
	byChild := map[int64][]core.TrustFact{}
	err := tx.each(`SELECT c.child_id, `+trustFactColumns+` FROM manifest_child c JOIN manifest m ON m.id = c.parent_id
		JOIN trust_fact f ON f.repository_id = m.repository_id AND f.digest = m.digest`+s.clause()+`
		ORDER BY f.digest, f.kind, f.tag, f.key_id`, s.args, func(row scanner) error {
		var child int64
		f, err := scanTrustFact(prefixed{row, &child})
		byChild[child] = append(byChild[child], f)
		return err
	})
	return byChild, err
}

// ReplaceTrustFacts makes facts all that is known of signatures of the kind in
// the repository or, where digest is not empty, of that manifest there. Each
// fact must be about them.
func (tx *Tx) ReplaceTrustFacts(repositoryID int64, kind core.TrustKind, digest string, facts []core.TrustFact) error {
	_, err := tx.exec(`DELETE FROM trust_fact WHERE repository_id = $1 AND kind = $2 AND ($3 = '' OR digest = $3)`,
		repositoryID, string(kind), digest)
	if err != nil {
		return err
	}
	for _, f := range facts {
		_, err := tx.exec(`INSERT INTO trust_fact (repository_id, digest, kind, tag, key_id, signer, signed_at, valid_until)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			repositoryID, f.Digest, string(kind), f.Tag, f.KeyID, f.Signer, micros(f.SignedAt), micros(f.ValidUntil))
		if err != nil {
			return err
		}
	}
	return nil
}

// TrustFactsOfKind returns all verified signatures of the kind in the
// repository, expired ones too.
func (tx *Tx) TrustFactsOfKind(repositoryID int64, kind core.TrustKind) ([]core.TrustFact, error) {
	return list(tx, `SELECT `+trustFactColumns+` FROM trust_fact f WHERE f.repository_id = $1 AND f.kind = $2
		ORDER BY f.tag, f.digest, f.key_id`, []any{repositoryID, string(kind)}, scanTrustFact)
}
