package policy

import (
	"maps"
	"slices"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// signed says whether a signature counts for the artifact as it is asked for: a
// tag must be signed for what it names, a digest by whatever in the repository.
func (t Trust) signed(f Facts, now time.Time) bool {
	if len(t) == 0 {
		return false
	}
	for _, fact := range f.Trust {
		if (f.Tag == "" || fact.Tag == "" || fact.Tag == f.Tag) && t.counts(fact, now) {
			return true
		}
	}
	for _, fact := range withoutTag(f.IndexTrust, f.Tag) {
		if t.counts(fact, now) {
			return true
		}
	}
	return false
}

// withoutTag leaves out the signatures that vouch for a tag, where a tag is
// asked for: they are of another artifact that the tag might have named.
func withoutTag(facts []core.TrustFact, asked string) []core.TrustFact {
	if asked == "" {
		return facts
	}
	return slices.DeleteFunc(slices.Clone(facts), func(f core.TrustFact) bool { return f.Tag != "" })
}

// counts says whether the project takes the signature.
func (t Trust) counts(f core.TrustFact, now time.Time) bool {
	signers, wanted := t[f.Kind]
	if !wanted || !f.Valid(now) {
		return false
	}
	return len(signers) == 0 || slices.ContainsFunc(signers, func(s Signer) bool { return s.made(f) })
}

// made says whether the signature is one of the signer's. A signer that is not
// named in any way made none.
func (s Signer) made(f core.TrustFact) bool {
	if s.KeyID == "" && s.Name == "" {
		return false
	}
	return (s.KeyID == "" || s.KeyID == f.KeyID) && (s.Name == "" || s.Name == f.Signer)
}

// kinds lists the kinds that count, in order.
func (t Trust) kinds() []core.TrustKind { return slices.Sorted(maps.Keys(t)) }
