package app

import (
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Signed is what is known of the signatures of an artifact or tag in a list.
type Signed struct {
	Facts   []core.TrustFact // that were verified, those that have ended too
	Invalid int64            // how many of cosign and notation do not verify
}

// ListedTag is a tag in a list.
type ListedTag struct {
	core.Tag
	Sign Signed // as the tag is asked for
}

// signed looks up the signatures of manifests of one repository, by digest, with
// those of the indexes that list them: ids are those of the manifests.
func (s *session) signed(repositoryID int64, digests []string, ids []int64) (map[string]Signed, error) {
	if len(digests) == 0 {
		return nil, nil
	}
	own, err := s.TrustFactsOf(repositoryID, digests)
	if err != nil {
		return nil, err
	}
	above, err := s.IndexTrustFacts(ids...)
	if err != nil {
		return nil, err
	}
	invalid, err := s.InvalidSignatures(repositoryID, digests)
	if err != nil {
		return nil, err
	}
	all := make(map[string]Signed, len(digests))
	for i, digest := range digests {
		facts := own[digest]
		for _, fact := range above[ids[i]] {
			if fact.RepositoryID == repositoryID {
				facts = append(facts, fact)
			}
		}
		all[digest] = Signed{Facts: facts, Invalid: invalid[digest]}
	}
	return all, nil
}

// signListed adds to artifacts of one repository what signs them.
func (s *session) signListed(list []ListedArtifact) error {
	if len(list) == 0 {
		return nil
	}
	digests, ids := make([]string, len(list)), make([]int64, len(list))
	for i, a := range list {
		digests[i], ids[i] = a.Digest, a.ID
	}
	signed, err := s.signed(list[0].RepositoryID, digests, ids)
	if err != nil {
		return err
	}
	for i := range list {
		list[i].Sign = signed[list[i].Digest]
		for j, tag := range list[i].Tags {
			list[i].Tags[j].Signed = list[i].Sign.forTag(tag).counts(s.Now())
		}
	}
	return nil
}

// signTags adds to tags of one repository what signs them.
func (s *session) signTags(repositoryID int64, tags []core.Tag) ([]ListedTag, error) {
	digests, ids := make([]string, len(tags)), make([]int64, len(tags))
	for i, tag := range tags {
		digests[i], ids[i] = tag.Digest, tag.ArtifactID
	}
	signed, err := s.signed(repositoryID, digests, ids)
	list := make([]ListedTag, len(tags))
	for i, tag := range tags {
		list[i] = ListedTag{Tag: tag, Sign: signed[tag.Digest].forTag(tag)}
		list[i].Signed = list[i].Sign.counts(s.Now())
	}
	return list, err
}

// signChildren is what signs the entries of an index, by digest.
func (s *session) signChildren(a ListedArtifact) (map[string]Signed, error) {
	digests, ids := make([]string, len(a.Children)), make([]int64, len(a.Children))
	for i, child := range a.Children {
		digests[i], ids[i] = child.Digest, child.ID
	}
	return s.signed(a.RepositoryID, digests, ids)
}

// forTag leaves what counts where the tag is asked for, as the policy does: what
// was signed for it or for no tag.
func (s Signed) forTag(tag core.Tag) Signed {
	kept := Signed{Invalid: s.Invalid}
	for _, fact := range s.Facts {
		if fact.Tag == "" || fact.Tag == tag.Name && fact.Digest == tag.Digest {
			kept.Facts = append(kept.Facts, fact)
		}
	}
	return kept
}

func (s Signed) counts(now time.Time) bool {
	for _, fact := range s.Facts {
		if fact.Valid(now) {
			return true
		}
	}
	return false
}
