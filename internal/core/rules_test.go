package core_test

import (
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
)

func sel(decoration, pattern string) []core.Selector {
	return []core.Selector{{Kind: core.SelectorKind, Decoration: decoration, Pattern: pattern}}
}

func immutableRule(repositories, tags string) core.ImmutableRule {
	return core.ImmutableRule{Repositories: sel(core.SelectRepositories, repositories), Tags: sel(core.SelectTags, tags)}
}

func TestImmutability(t *testing.T) {
	all := immutableRule("**", "v*")
	off := immutableRule("**", "**")
	off.Disabled = true
	others := core.ImmutableRule{Repositories: sel(core.SelectOtherRepos, "scratch/**"), Tags: sel(core.SelectOtherTags, "{latest,dev-*}")}
	tests := []struct {
		name           string
		rules          []core.ImmutableRule
		repository     string
		immutable, not string
	}{
		{"no rule", nil, "p/app", "", "v1 latest"},
		{"a pattern", []core.ImmutableRule{all}, "p/app", "v1 v", "latest 1.0"},
		{"nested repository", []core.ImmutableRule{all}, "p/team/app", "v1", "latest"},
		{"disabled", []core.ImmutableRule{off}, "p/app", "", "v1"},
		{"the project is no part of the name", []core.ImmutableRule{immutableRule("p/app", "**")}, "p/app", "", "v1"},
		{"another repository", []core.ImmutableRule{immutableRule("app", "**")}, "p/app2", "", "v1"},
		{"excluded tags", []core.ImmutableRule{others}, "p/app", "v1 dev", "latest dev-1"},
		{"excluded repository", []core.ImmutableRule{others}, "p/scratch/x", "", "v1"},
		{"any of several", []core.ImmutableRule{off, immutableRule("other", "**"), all}, "p/app", "v1", "x"},
	}
	for _, tt := range tests {
		m, err := core.ImmutabilityOf(tt.rules, tt.repository)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		for _, tag := range strings.Fields(tt.immutable) {
			if !m.Holds(tag) {
				t.Errorf("%s: %s can be moved", tt.name, tag)
			}
		}
		for _, tag := range strings.Fields(tt.not) {
			if m.Holds(tag) {
				t.Errorf("%s: %s is immutable", tt.name, tag)
			}
		}
	}
}

// A rule that cannot be read stops what it could forbid.
func TestBrokenImmutableRuleFailsClosed(t *testing.T) {
	if _, err := core.ImmutabilityOf([]core.ImmutableRule{immutableRule("**", "[")}, "p/app"); err == nil {
		t.Error("a broken rule was passed over")
	}
	if _, err := core.ImmutabilityOf([]core.ImmutableRule{immutableRule("{", "**")}, "p/app"); err == nil {
		t.Error("a broken rule was passed over")
	}
}

func TestImmutableRuleIsChecked(t *testing.T) {
	good := immutableRule("**", "v*")
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	tests := map[string]func(*core.ImmutableRule){
		"no tags":                  func(r *core.ImmutableRule) { r.Tags = nil },
		"no repositories":          func(r *core.ImmutableRule) { r.Repositories = nil },
		"two selectors":            func(r *core.ImmutableRule) { r.Tags = append(sel(core.SelectTags, "a"), r.Tags...) },
		"decoration of the other":  func(r *core.ImmutableRule) { r.Tags = sel(core.SelectRepositories, "**") },
		"decoration of a label":    func(r *core.ImmutableRule) { r.Repositories = sel("withLabels", "**") },
		"another kind":             func(r *core.ImmutableRule) { r.Tags[0].Kind = "label" },
		"no pattern":               func(r *core.ImmutableRule) { r.Tags = sel(core.SelectTags, "") },
		"a broken pattern":         func(r *core.ImmutableRule) { r.Repositories = sel(core.SelectRepositories, "{a") },
		"extras that are no JSON":  func(r *core.ImmutableRule) { r.Tags[0].Extras = "untagged" },
		"extras of the wrong type": func(r *core.ImmutableRule) { r.Tags[0].Extras = `{"untagged":"yes"}` },
	}
	for name, change := range tests {
		r := immutableRule("**", "v*")
		change(&r)
		if err := r.Validate(); core.ErrorCode(err) != core.CodeBadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
}
