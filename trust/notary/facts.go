package notary

import (
	"strings"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// The signers that are no people: whoever holds the keys of the repository, of
// docker's released tags, and of the root, which vouches for all.
const (
	signerAdmin    = "Repo Admin"
	signerReleases = "releases"
	signerRoot     = "root"
)

// facts are the signed tags by docker's rule: targets/releases first, then
// targets. A tag that only another delegation signs is not signed. There is one
// fact for each key that signed the tag's digest, and one for each root key that
// signed the root, so that a project can pin either. SignedAt is when the
// metadata came, zero for what is coming now.
func (c *chain) facts() []core.TrustFact {
	tags := c.signedTags()
	type place struct{ tag, key string }
	seen := map[place]bool{}
	var facts []core.TrustFact
	add := func(tag, key, signer string, signed, until time.Time) {
		if at := (place{tag, key}); !seen[at] {
			seen[at] = true
			facts = append(facts, core.TrustFact{Tag: tag, Digest: tags[tag].digest, Kind: core.TrustNotary,
				KeyID: key, Signer: signer, SignedAt: signed, ValidUntil: until})
		}
	}
	for _, r := range c.peopleFirst() {
		for name := range r.meta.Signed.Targets {
			tag, ok := tags[name]
			if !ok || !r.covers(name) || r.digestOf(name) != tag.digest {
				continue
			}
			for _, key := range r.keys {
				add(name, key, signerOf(r.name), r.file.CreatedAt, earlier(r.until, tag.by.until))
			}
			for _, key := range c.rootKeys {
				add(name, key, signerRoot, tag.by.file.CreatedAt, tag.by.until)
			}
		}
	}
	return facts
}

// peopleFirst are the roles, those last whose keys people share: one who signs
// for targets/alice signs for targets/releases with the same key.
func (c *chain) peopleFirst() []*targetsRole {
	var people, shared []*targetsRole
	for _, r := range c.roles {
		if r.name == targets || r.name == releases {
			shared = append(shared, r)
		} else {
			people = append(people, r)
		}
	}
	return append(people, shared...)
}

func signerOf(role string) string {
	switch role {
	case targets:
		return signerAdmin
	case releases:
		return signerReleases
	}
	return strings.TrimPrefix(role, targets+"/")
}

// signedTag is what a tag is signed for, and the role that decides it.
type signedTag struct {
	digest string
	by     *targetsRole
}

// signedTags are the tags that docker pulls (docker/cli, trust.ReleasesRole): the
// first role that has the name decides, and must be targets/releases or targets.
func (c *chain) signedTags() map[string]signedTag {
	tags, decided := map[string]signedTag{}, map[string]bool{}
	take := func(r *targetsRole, counts bool) {
		for name := range r.meta.Signed.Targets {
			if decided[name] || !r.covers(name) {
				continue
			}
			decided[name] = true
			if digest := r.digestOf(name); counts && digest != "" && core.ValidateTag(name) == nil {
				tags[name] = signedTag{digest, r}
			}
		}
	}
	for _, r := range c.roles { // each after the one that it comes from
		if r.name == releases || strings.HasPrefix(r.name, releases+"/") {
			take(r, r.name == releases)
		}
	}
	if r := c.byName[targets]; r != nil {
		take(r, true)
	}
	return tags
}
