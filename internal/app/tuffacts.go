package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// deciding is the GUN whose signatures are those of the repository: that of the
// canonical name where it is signed, else of the first alias that is. 0: none.
func (s *session) deciding(repositoryID int64) (int64, error) {
	guns, err := s.GUNsOf(repositoryID)
	if err != nil {
		return 0, err
	}
	first, id := len(s.app.trustHosts), int64(0)
	for _, g := range guns {
		host, _, _ := core.SplitGUN(g.Name)
		if rank := slices.Index(s.app.trustHosts, host); g.Published() && rank >= 0 && rank < first {
			first, id = rank, g.ID
		}
	}
	return id, nil
}

// setTUFFacts makes facts what counts of notary's signatures in the repository,
// when the GUN is the one that decides. It returns what changed for people.
func (s *session) setTUFFacts(g core.GUN, facts []core.TrustFact) (string, error) {
	id, err := s.deciding(g.RepositoryID)
	if err != nil || (id != 0 && id != g.ID) {
		return "", err
	}
	if id == 0 {
		facts = nil
	}
	known, err := s.TrustFactsOfKind(g.RepositoryID, core.TrustNotary)
	if err != nil {
		return "", err
	}
	complete(facts, known, g.RepositoryID, s.Now())
	before, after := byDigest(known), byDigest(facts)
	for digest := range before {
		if _, ok := after[digest]; !ok {
			after[digest] = nil
		}
	}
	for _, digest := range slices.Sorted(maps.Keys(after)) {
		if slices.Equal(before[digest], after[digest]) {
			continue
		}
		if err := s.ReplaceTrustFacts(g.RepositoryID, core.TrustNotary, digest, after[digest]); err != nil {
			return "", err
		}
	}
	return signedChange(known, facts), nil
}

// complete fills in what only the database knows: since when a signature is
// there. Metadata are signed as a whole, again with every change.
func complete(facts, known []core.TrustFact, repositoryID int64, now time.Time) {
	type place struct{ tag, digest, key string }
	since := make(map[place]time.Time, len(known))
	for _, f := range known {
		since[place{f.Tag, f.Digest, f.KeyID}] = f.SignedAt
	}
	for i := range facts {
		f := &facts[i]
		f.RepositoryID, f.Kind = repositoryID, core.TrustNotary
		if at, ok := since[place{f.Tag, f.Digest, f.KeyID}]; ok {
			f.SignedAt = at
		} else if f.SignedAt.IsZero() {
			f.SignedAt = now
		}
		f.SignedAt, f.ValidUntil = micro(f.SignedAt), micro(f.ValidUntil)
	}
}

// micro is a time as the database keeps it.
func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// byDigest groups facts, each group in the order of its tags and keys.
func byDigest(facts []core.TrustFact) map[string][]core.TrustFact {
	groups := map[string][]core.TrustFact{}
	for _, f := range facts {
		groups[f.Digest] = append(groups[f.Digest], f)
	}
	for _, group := range groups {
		slices.SortFunc(group, func(a, b core.TrustFact) int {
			return strings.Compare(a.Tag+"\x00"+a.KeyID, b.Tag+"\x00"+b.KeyID)
		})
	}
	return groups
}

// signedChange tells which tags are signed now and were not, or the other way.
func signedChange(before, after []core.TrustFact) string {
	names := func(facts, others []core.TrustFact) string {
		known, tags := map[string]bool{}, map[string]bool{}
		for _, f := range others {
			known[f.Tag+"@"+f.Digest] = true
		}
		for _, f := range facts {
			if name := f.Tag + "@" + f.Digest; !known[name] {
				tags[name] = true
			}
		}
		return core.Clip(strings.Join(slices.Sorted(maps.Keys(tags)), ", "), 400)
	}
	var parts []string
	if signed := names(after, before); signed != "" {
		parts = append(parts, "signed "+signed)
	}
	if lost := names(before, after); lost != "" {
		parts = append(parts, "not signed any more "+lost)
	}
	return strings.Join(parts, "; ")
}

// withChange adds the change to a summary.
func withChange(summary, change string) string {
	if change == "" {
		return summary
	}
	return fmt.Sprintf("%s; %s", change, summary)
}
