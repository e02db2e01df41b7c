package store

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// PullFacts is what is known of a manifest that is to be pulled.
type PullFacts struct {
	ID           int64
	RepositoryID int64
	Digest       string
	Kind         string
	Index        bool
	Platform     *core.Platform   // as the index above lists it
	Scan         *core.ScanFact   // nil: not scanned yet
	Trust        []core.TrustFact // where they are asked for
	IndexTrust   []core.TrustFact // of the indexes that list it, where they are asked for
	Children     []PullFacts
}

// maxPullTree bounds how many entries of indexes are looked at for one decision.
const maxPullTree = 20_000

// pullTree begins a query over the manifests that root selects by id, and what
// is in them: two levels, because nobody nests an index deeper than in another.
func pullTree(root string) string {
	return `WITH RECURSIVE tree (id, parent, depth) AS (
			SELECT start.id, CAST(0 AS BIGINT), 0 FROM (` + root + `) start
			UNION SELECT c.child_id, c.parent_id, tree.depth + 1
			FROM tree JOIN manifest_child c ON c.parent_id = tree.id WHERE tree.depth < 2) `
}

// ManifestPullFacts returns what is known of a manifest and of what is in it;
// trust says whether signatures are looked up too.
func (tx *Tx) ManifestPullFacts(id int64, trust bool) (PullFacts, error) {
	const root = `SELECT CAST($1 AS BIGINT) AS id`
	roots, err := recallSmall(tx, question{query: "pull facts", numbers: [6]int64{id, oneIf(trust)}},
		func() ([]PullFacts, error) { return tx.pullFacts(root, []any{id}, trust) }, fewFacts)
	if err == nil && len(roots) == 0 {
		err = ErrNoRow
	}
	if err != nil {
		return PullFacts{}, err
	}
	return roots[0], nil
}

// PullFactsOf is ManifestPullFacts of several manifests of one repository, by id.
func (tx *Tx) PullFactsOf(ids []int64, trust bool) (map[int64]PullFacts, error) {
	s := &selection{}
	in(s, "id", ids)
	roots, err := tx.pullFacts(`SELECT id FROM manifest`+s.clause(), s.args, trust)
	byID := make(map[int64]PullFacts, len(roots))
	for _, root := range roots {
		byID[root.ID] = root
	}
	return byID, err
}

// BlobPullFacts is ManifestPullFacts of at most n manifests of the repository
// that use the blob, the newest first, with an id below before.
func (tx *Tx) BlobPullFacts(projectID, repositoryID, blobID, before int64, n int, trust bool) ([]PullFacts, error) {
	// A parameter that SQLite could plan by would have it plan anew at each use.
	root := `SELECT manifest_id AS id FROM manifest_blob WHERE blob_id = (SELECT CAST($1 AS BIGINT))
		AND project_id = (SELECT CAST($2 AS BIGINT)) AND repository_id = (SELECT CAST($3 AS BIGINT))
		AND manifest_id < (SELECT CAST($4 AS BIGINT)) ORDER BY manifest_id DESC LIMIT ` + strconv.Itoa(n)
	return recallSmall(tx, question{query: "blob pull facts", numbers: [6]int64{blobID, projectID, repositoryID, before, int64(n), oneIf(trust)}},
		func() ([]PullFacts, error) {
			return tx.pullFacts(root, []any{blobID, projectID, repositoryID, before}, trust)
		}, fewFacts)
}

func oneIf(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// fewFacts says whether facts are small enough to be remembered: of 20 manifests
// and 200 findings at most.
func fewFacts(facts []PullFacts) bool {
	manifests, findings := weigh(facts)
	return manifests <= 20 && findings <= 200
}

func weigh(facts []PullFacts) (manifests, findings int) {
	for _, f := range facts {
		if f.Scan != nil {
			findings += len(f.Scan.Findings)
		}
		m, n := weigh(f.Children)
		manifests, findings = manifests+1+m, findings+n
	}
	return manifests, findings
}

// pullEntry is one row of the tree.
type pullEntry struct {
	parent   int64
	platform string
	facts    PullFacts
}

func scanPullEntry(row scanner) (pullEntry, error) {
	var e pullEntry
	f := &e.facts
	var scanned, duration int64
	scan := core.ScanFact{}
	var findings string
	err := row.Scan(&e.parent, &e.platform, &f.ID, &f.RepositoryID, &f.Digest, &f.Kind, &f.Index,
		&scan.Digest, &scan.Status, &scan.Engine, &scan.Feed, &scan.Message, &findings, &scanned, &duration)
	if err != nil || scan.Digest == "" {
		return e, err
	}
	scan.ScannedAt, scan.Duration = at(scanned), time.Duration(duration)*time.Microsecond
	if scan.Findings, err = decodeFindings(findings); err != nil {
		return e, fmt.Errorf("findings of %s: %w", f.Digest, err)
	}
	f.Scan = &scan
	return e, nil
}

func (tx *Tx) pullFacts(root string, args []any, trust bool) ([]PullFacts, error) {
	// The deepest come first, so that each is whole when the one above takes it.
	entries, err := list(tx, pullTree(root)+`SELECT tree.parent, COALESCE(edge.platform, ''), m.id, m.repository_id, m.digest, m.kind, m.config = '',
			COALESCE(f.digest, ''), COALESCE(f.status, ''), COALESCE(f.engine, ''), COALESCE(f.feed, ''), COALESCE(f.message, ''),
			COALESCE(f.findings, ''), COALESCE(f.scanned_at, 0), COALESCE(f.duration, 0)
		FROM tree JOIN manifest m ON m.id = tree.id
		LEFT JOIN manifest_child edge ON edge.parent_id = tree.parent AND edge.child_id = tree.id LEFT JOIN scan_fact f ON f.digest = m.digest
		ORDER BY tree.depth DESC, m.id LIMIT `+fmt.Sprint(maxPullTree+1), args, scanPullEntry)
	if err != nil {
		return nil, err
	}
	if len(entries) > maxPullTree {
		return nil, core.Errorf(core.CodePolicyViolation, "the index lists more than %d manifests, which are too many to judge; split it", maxPullTree)
	}
	if trust {
		add := tx.addTrust
		if len(entries) <= fewEntries {
			add = tx.addTrustOfFew
		}
		if err := add(root, args, entries); err != nil {
			return nil, err
		}
	}
	return assemble(entries)
}

// fewEntries is how many entries are looked up by name, which costs a fraction
// of walking the tree again: what is pulled is an image as a rule.
const fewEntries = 8

// addTrustOfFew is addTrust for few entries; all are of one repository.
func (tx *Tx) addTrustOfFew(_ string, _ []any, entries []pullEntry) error {
	if len(entries) == 0 {
		return nil
	}
	ids, digests := make([]int64, len(entries)), make([]string, len(entries))
	for i, e := range entries {
		ids[i], digests[i] = e.facts.ID, e.facts.Digest
	}
	own, err := tx.TrustFactsOf(entries[0].facts.RepositoryID, digests)
	if err != nil {
		return err
	}
	above, err := tx.IndexTrustFacts(ids...)
	for i := range entries {
		f := &entries[i].facts
		f.Trust, f.IndexTrust = own[f.Digest], above[f.ID]
	}
	return err
}

// addTrust looks up the signatures of all entries.
func (tx *Tx) addTrust(root string, args []any, entries []pullEntry) error {
	own, above := map[int64][]core.TrustFact{}, map[int64][]core.TrustFact{}
	for into, join := range map[*map[int64][]core.TrustFact]string{
		&own:   `manifest m ON m.id = tree.id`,
		&above: `manifest_child c ON c.child_id = tree.id JOIN manifest m ON m.id = c.parent_id`,
	} {
		err := tx.each(pullTree(root)+`SELECT DISTINCT tree.id, `+trustFactColumns+` FROM tree JOIN `+join+`
			JOIN trust_fact f ON f.repository_id = m.repository_id AND f.digest = m.digest`, args, func(row scanner) error {
			var id int64
			f, err := scanTrustFact(prefixed{row, &id})
			(*into)[id] = append((*into)[id], f)
			return err
		})
		if err != nil {
			return err
		}
	}
	for i := range entries {
		f := &entries[i].facts
		f.Trust, f.IndexTrust = own[f.ID], above[f.ID]
	}
	return nil
}

// assemble hangs each entry under the one that lists it.
func assemble(entries []pullEntry) (roots []PullFacts, err error) {
	children, attached := map[int64][]PullFacts{}, map[[2]int64]bool{}
	for _, e := range entries {
		f := e.facts
		f.Children = children[f.ID]
		if e.parent == 0 {
			roots = append(roots, f)
			continue
		}
		edge := [2]int64{e.parent, f.ID}
		if attached[edge] {
			continue
		}
		attached[edge] = true
		if _, f.Platform, err = decodeDetails("", e.platform); err != nil {
			return nil, err
		}
		children[e.parent] = append(children[e.parent], f)
	}
	slices.Reverse(roots)
	return roots, nil
}
