package fsck

import (
	"cmp"
	"maps"
	"slices"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// state is what there is after all entries of the journal, by the full names of
// the repositories.
type state map[string]*images

// images are what one repository holds.
type images struct {
	put       core.JournalEntry
	manifests map[string]core.JournalEntry // by digest
	tags      map[string]core.JournalEntry // by name
}

// of returns the repository, which is made where an entry about its content
// came first.
func (s state) of(e core.JournalEntry) *images {
	r, ok := s[e.Repository]
	if !ok {
		r = &images{put: e, manifests: map[string]core.JournalEntry{}, tags: map[string]core.JournalEntry{}}
		s[e.Repository] = r
	}
	return r
}

// apply takes one entry in.
func (s state) apply(e core.JournalEntry) {
	switch e.Op {
	case core.JournalPutRepository:
		s.of(e)
	case core.JournalDeleteRepository:
		delete(s, e.Repository)
	case core.JournalPutManifest:
		s.of(e).manifests[e.Digest] = e
	case core.JournalPutTag:
		s.of(e).tags[e.Tag] = e
	case core.JournalDeleteManifest:
		if r, ok := s[e.Repository]; ok {
			delete(r.manifests, e.Digest)
		}
	case core.JournalDeleteTag:
		if r, ok := s[e.Repository]; ok {
			delete(r.tags, e.Tag)
		}
	}
}

// names lists the repositories in the order in which they were made.
func (s state) names() []string {
	return slices.SortedFunc(maps.Keys(s), func(a, b string) int { return cmp.Compare(s[a].put.Seq, s[b].put.Seq) })
}

// inOrder lists entries as they were written: what an index lists comes before it.
func inOrder(entries map[string]core.JournalEntry) []core.JournalEntry {
	return slices.SortedFunc(maps.Values(entries), func(a, b core.JournalEntry) int { return cmp.Compare(a.Seq, b.Seq) })
}
