package core

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// The kind and the decorations of a Selector, in Harbor's words.
const (
	SelectorKind       = "doublestar"
	SelectTags         = "matches"
	SelectOtherTags    = "excludes"
	SelectRepositories = "repoMatches"
	SelectOtherRepos   = "repoExcludes"
)

const (
	// maxSelectors bounds the selectors of a rule, for tags and for repositories.
	maxSelectors = 10
	// maxSelectorExtras bounds the extras of a selector, in bytes.
	maxSelectorExtras = 256
)

// Selector chooses tags, or repositories by their name within the project, as
// in Harbor's rules.
type Selector struct {
	Kind       string `json:"kind"`
	Decoration string `json:"decoration"`
	Pattern    string `json:"pattern"`
	Extras     string `json:"extras,omitempty"` // of tags: {"untagged":true}
}

// chooser is a Selector that was read.
type chooser struct {
	glob     Glob
	excludes bool
	untagged bool
}

// read compiles the selector, whose decoration must be one of the two.
func (s Selector) read(matches, excludes string) (c chooser, err error) {
	switch {
	case s.Kind != SelectorKind:
		return c, Errorf(CodeBadRequest, "the kind of a selector is %s, not %q", SelectorKind, Clip(s.Kind, 64))
	case s.Decoration != matches && s.Decoration != excludes:
		return c, Errorf(CodeBadRequest, "the decoration of this selector is %s or %s, not %q", matches, excludes, Clip(s.Decoration, 64))
	}
	c.excludes = s.Decoration == excludes
	c.untagged = !c.excludes // Harbor's default
	if c.glob, err = ParseGlob(s.Pattern); err != nil || s.Extras == "" {
		return c, err
	}
	var extras struct {
		Untagged *bool `json:"untagged"`
	}
	if len(s.Extras) > maxSelectorExtras || json.Unmarshal([]byte(s.Extras), &extras) != nil {
		return c, Errorf(CodeBadRequest, `the extras of a selector are a JSON text such as {"untagged":true}`)
	}
	if extras.Untagged != nil {
		c.untagged = *extras.Untagged
	}
	return c, nil
}

func (c chooser) name(name string) bool { return c.glob.Match(name) != c.excludes }

// tags says whether an artifact is chosen: by any of its tags or, when it has
// none, by what the extras say. "excludes" with untagged leaves those without a
// tag out, as in Harbor.
func (c chooser) tags(tags []Tag) bool {
	if len(tags) == 0 {
		return c.untagged != c.excludes
	}
	return slices.ContainsFunc(tags, func(t Tag) bool { return c.name(t.Name) })
}

// readAll compiles selectors that must all agree.
func readAll(selectors []Selector, matches, excludes string) ([]chooser, error) {
	if len(selectors) == 0 || len(selectors) > maxSelectors {
		return nil, Errorf(CodeBadRequest, "a rule needs 1 to %d selectors for tags and as many for repositories", maxSelectors)
	}
	all := make([]chooser, len(selectors))
	for i, s := range selectors {
		var err error
		if all[i], err = s.read(matches, excludes); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func tagChoosers(selectors []Selector) ([]chooser, error) {
	return readAll(selectors, SelectTags, SelectOtherTags)
}

// appliesTo says whether the selectors choose the repository, named in full.
func appliesTo(selectors []Selector, repository string) (bool, error) {
	choosers, err := readAll(selectors, SelectRepositories, SelectOtherRepos)
	if err != nil {
		return false, err
	}
	_, name, ok := SplitRepository(repository)
	return ok && !slices.ContainsFunc(choosers, func(c chooser) bool { return !c.name(name) }), nil
}

// ImmutableRule forbids to move or to delete the tags that it selects.
type ImmutableRule struct {
	ID           int64
	ProjectID    int64
	Disabled     bool
	Priority     int64 // kept for clients; every rule counts alike
	Tags         []Selector
	Repositories []Selector
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Validate checks the selectors of the rule: as in Harbor, one for tags and one
// for repositories.
func (r ImmutableRule) Validate() error {
	if len(r.Tags) != 1 || len(r.Repositories) != 1 {
		return Errorf(CodeBadRequest, "an immutability rule has one selector in tag_selectors and one in scope_selectors.repository")
	}
	if _, err := tagChoosers(r.Tags); err != nil {
		return err
	}
	_, err := appliesTo(r.Repositories, "")
	return err
}

// SameSelectors says whether two rules select the same.
func (r ImmutableRule) SameSelectors(other ImmutableRule) bool {
	return slices.Equal(r.Tags, other.Tags) && slices.Equal(r.Repositories, other.Repositories)
}

// Immutability is what the rules of a project forbid in one repository.
type Immutability struct{ rules [][]chooser }

// ImmutabilityOf reads the rules that are in force for the repository, named in
// full. A rule that cannot be read is an error, never one rule less.
func ImmutabilityOf(rules []ImmutableRule, repository string) (Immutability, error) {
	var m Immutability
	for _, r := range rules {
		if r.Disabled {
			continue
		}
		applies, err := appliesTo(r.Repositories, repository)
		if err != nil {
			return m, fmt.Errorf("immutability rule %d: %w", r.ID, err)
		}
		if !applies {
			continue
		}
		tags, err := tagChoosers(r.Tags)
		if err != nil {
			return m, fmt.Errorf("immutability rule %d: %w", r.ID, err)
		}
		m.rules = append(m.rules, tags)
	}
	return m, nil
}

// Holds says whether the tag, once it is there, must stay as it is.
func (m Immutability) Holds(tag string) bool {
	return slices.ContainsFunc(m.rules, func(rule []chooser) bool {
		return !slices.ContainsFunc(rule, func(c chooser) bool { return !c.name(tag) })
	})
}

// HoldsAny says whether one of the tags must stay.
func (m Immutability) HoldsAny(tags []Tag) bool {
	return slices.ContainsFunc(tags, func(t Tag) bool { return m.Holds(t.Name) })
}
