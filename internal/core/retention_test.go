package core_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// artifact is a candidate with its name as digest, pushed and pulled that long
// ago; a pull of 0 is none.
func artifact(name string, pushed, pulled time.Duration, tags ...string) core.RetentionCandidate {
	c := core.RetentionCandidate{ID: int64(len(name)), Digest: name, PushedAt: now.Add(-pushed)}
	if pulled != 0 {
		c.PulledAt = now.Add(-pulled)
	}
	for _, tag := range tags {
		c.Tags = append(c.Tags, core.Tag{Name: tag})
	}
	return c
}

func retain(template string, n int, tags []core.Selector) core.RetentionRule {
	return core.RetentionRule{Template: template, N: n, Tags: tags, Repositories: sel(core.SelectRepositories, "**")}
}

var anyTag = sel(core.SelectTags, "**")

// decided returns "name:fate" with the first letter of the fate, in order.
func decided(t *testing.T, rules []core.RetentionRule, candidates []core.RetentionCandidate, immutable core.Immutability) string {
	t.Helper()
	r, applies, err := core.RetentionPolicy{Rules: rules}.For("p/app")
	if err != nil || !applies {
		t.Fatalf("the policy does not apply: %v", err)
	}
	present := map[string]bool{"child": true}
	for _, c := range candidates {
		present[c.Digest] = true
	}
	var parts []string
	for i, fate := range r.Decide(candidates, present, immutable, now) {
		parts = append(parts, fmt.Sprintf("%s:%.1s", candidates[i].Digest, fate))
	}
	return strings.Join(parts, " ")
}

func TestRetentionTemplates(t *testing.T) {
	candidates := []core.RetentionCandidate{
		artifact("a", 1*day, 0, "v1"),
		artifact("bb", 2*day, 1*time.Hour, "v2", "latest"),
		artifact("ccc", 3*day, 40*day, "v3"),
		artifact("dddd", 10*day, 0),
		artifact("eeeee", 30*day, 5*day, "old"),
	}
	untagged := func(decoration, pattern, extras string) []core.Selector {
		return []core.Selector{{Kind: core.SelectorKind, Decoration: decoration, Pattern: pattern, Extras: extras}}
	}
	tests := []struct {
		name  string
		rules []core.RetentionRule
		want  string
	}{
		{"always", []core.RetentionRule{retain(core.RetainAlways, 0, anyTag)}, "a:r bb:r ccc:r dddd:r eeeee:r"},
		{"nothing", []core.RetentionRule{retain(core.RetainNothing, 0, anyTag)}, "a:d bb:d ccc:d dddd:d eeeee:d"},
		{"pushed last", []core.RetentionRule{retain(core.RetainLatestPushed, 2, anyTag)}, "a:r bb:r ccc:d dddd:d eeeee:d"},
		{"more than there are", []core.RetentionRule{retain(core.RetainLatestPushed, 9, anyTag)}, "a:r bb:r ccc:r dddd:r eeeee:r"},
		{"none", []core.RetentionRule{retain(core.RetainLatestPushed, 0, anyTag)}, "a:d bb:d ccc:d dddd:d eeeee:d"},
		{"pulled last", []core.RetentionRule{retain(core.RetainLatestPulled, 2, anyTag)}, "a:d bb:r ccc:d dddd:d eeeee:r"},
		{"never pulled fills up by push", []core.RetentionRule{retain(core.RetainLatestPulled, 4, anyTag)}, "a:r bb:r ccc:r dddd:d eeeee:r"},
		{"pushed within", []core.RetentionRule{retain(core.RetainPushedWithin, 3, anyTag)}, "a:r bb:r ccc:r dddd:d eeeee:d"},
		{"pulled within", []core.RetentionRule{retain(core.RetainPulledWithin, 5, anyTag)}, "a:d bb:r ccc:d dddd:d eeeee:r"},
		{"either rule", []core.RetentionRule{retain(core.RetainLatestPushed, 1, anyTag), retain(core.RetainPulledWithin, 1, anyTag)}, "a:r bb:r ccc:d dddd:d eeeee:d"},
		{"a tag pattern counts what it selects", []core.RetentionRule{retain(core.RetainLatestPushed, 1, untagged(core.SelectTags, "v[23]", ""))}, "a:d bb:r ccc:d dddd:d eeeee:d"},
		{"one tag is enough", []core.RetentionRule{retain(core.RetainAlways, 0, untagged(core.SelectTags, "latest", `{"untagged":false}`))}, "a:d bb:r ccc:d dddd:d eeeee:d"},
		{"untagged are selected by default", []core.RetentionRule{retain(core.RetainAlways, 0, untagged(core.SelectTags, "none", ""))}, "a:d bb:d ccc:d dddd:r eeeee:d"},
		{"untagged are not selected", []core.RetentionRule{retain(core.RetainAlways, 0, untagged(core.SelectTags, "**", `{"untagged":false}`))}, "a:r bb:r ccc:r dddd:d eeeee:r"},
		{"excludes takes those with another tag, and untagged", []core.RetentionRule{retain(core.RetainAlways, 0, untagged(core.SelectOtherTags, "v*", ""))}, "a:d bb:r ccc:d dddd:r eeeee:r"},
		{"excludes untagged too", []core.RetentionRule{retain(core.RetainAlways, 0, untagged(core.SelectOtherTags, "v*", `{"untagged":true}`))}, "a:d bb:r ccc:d dddd:d eeeee:r"},
		{"all selectors must agree", []core.RetentionRule{retain(core.RetainAlways, 0, append(untagged(core.SelectTags, "v*", ""), untagged(core.SelectOtherTags, "v1", `{"untagged":true}`)...))}, "a:d bb:r ccc:r dddd:d eeeee:d"},
	}
	for _, tt := range tests {
		if got := decided(t, tt.rules, candidates, core.Immutability{}); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestRetentionAtTheEdgesOfTheClock(t *testing.T) {
	tests := []struct {
		name   string
		pushed time.Duration
		days   int
		want   string
	}{
		{"exactly n days", 3 * day, 3, "r"},
		{"a microsecond more", 3*day + time.Microsecond, 3, "d"},
		{"a microsecond less", 3*day - time.Microsecond, 3, "r"},
		{"in the future", -day, 0, "r"},
		{"now and no day", 0, 0, "r"},
		{"before and no day", time.Microsecond, 0, "d"},
		{"more days than there have been", 1000 * day, 20190904, "r"},
		{"across the end of February", 31 * day, 31, "r"},
	}
	for _, tt := range tests {
		rules := []core.RetentionRule{retain(core.RetainPushedWithin, tt.days, anyTag)}
		if got := decided(t, rules, []core.RetentionCandidate{artifact("x", tt.pushed, 0, "v1")}, core.Immutability{}); got != "x:"+tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	never := []core.RetentionRule{retain(core.RetainPulledWithin, 20190904, anyTag)}
	if got := decided(t, never, []core.RetentionCandidate{artifact("x", day, 0, "v1")}, core.Immutability{}); got != "x:d" {
		t.Errorf("what was never pulled was pulled within 55000 years: %s", got)
	}
}

// Equal times are decided by the id, whatever the order: a dry run tells what
// the run after it does.
func TestRetentionIsDeterministic(t *testing.T) {
	candidates := []core.RetentionCandidate{artifact("a", day, 0, "1"), artifact("bb", day, 0, "2"), artifact("ccc", day, 0, "3")}
	for _, template := range []string{core.RetainLatestPushed, core.RetainLatestPulled} {
		rules := []core.RetentionRule{retain(template, 1, anyTag)}
		if got := decided(t, rules, candidates, core.Immutability{}); got != "a:d bb:d ccc:r" {
			t.Errorf("%s: %s", template, got)
		}
		backwards := slices.Clone(candidates)
		slices.Reverse(backwards)
		if got := decided(t, rules, backwards, core.Immutability{}); got != "ccc:r bb:d a:d" {
			t.Errorf("%s in another order: %s", template, got)
		}
	}
}

func TestRetentionLeavesImmutableTags(t *testing.T) {
	immutable, err := core.ImmutabilityOf([]core.ImmutableRule{immutableRule("**", "v*")}, "p/app")
	if err != nil {
		t.Fatal(err)
	}
	candidates := []core.RetentionCandidate{artifact("a", day, 0, "v1", "x"), artifact("bb", day, 0, "y"), artifact("ccc", day, 0)}
	if got := decided(t, []core.RetentionRule{retain(core.RetainNothing, 0, anyTag)}, candidates, immutable); got != "a:i bb:d ccc:d" {
		t.Error(got)
	}
}

// Signatures share the fate of what they sign and take no place among the N.
func TestRetentionKeepsWhatBelongsToAnImage(t *testing.T) {
	hex := func(letter string) string { return strings.Repeat(letter, 64) }
	kept, gone := artifact("sha256:"+hex("a"), 2*day, 0, "v2"), artifact("sha256:"+hex("b"), 3*day, 0, "v1")
	signature := func(name, of, suffix string) core.RetentionCandidate {
		return artifact(name, 0, 0, "sha256-"+hex(of)+suffix)
	}
	tagged := artifact("ref", 0, 0, "sbom-of-a")
	tagged.Subject = kept.Digest
	ofChild := artifact("ofchild", 0, 0, "sig")
	ofChild.Subject = "child"
	dangling := artifact("dangling", 4*day, 0, "sig2")
	dangling.Subject = "sha256:" + hex("f")
	own := artifact("own", 5*day, 0, "sha256-"+hex("b")+".sig", "mine")
	candidates := []core.RetentionCandidate{kept, gone, signature("sig-a", "a", ".sig"), signature("sig-b", "b", ".att"), signature("index-b", "b", ""),
		tagged, ofChild, dangling, own, signature("lost", "e", ".sig")}
	got := decided(t, []core.RetentionRule{retain(core.RetainLatestPushed, 2, anyTag)}, candidates, core.Immutability{})
	want := kept.Digest + ":r " + gone.Digest + ":d sig-a:r sig-b:d index-b:d ref:r ofchild:r dangling:d own:d lost:r"
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	immutable, err := core.ImmutabilityOf([]core.ImmutableRule{immutableRule("**", "v1")}, "p/app")
	if err != nil {
		t.Fatal(err)
	}
	got = decided(t, []core.RetentionRule{retain(core.RetainNothing, 0, anyTag)}, []core.RetentionCandidate{gone, signature("sig-b", "b", ".sig")}, immutable)
	if got != gone.Digest+":i sig-b:r" {
		t.Errorf("the signature of an immutable tag: %s", got)
	}
}

func TestRetentionOfCircles(t *testing.T) {
	a, b := "sha256:"+strings.Repeat("a", 64), "sha256:"+strings.Repeat("b", 64)
	first := artifact(a, day, 0, "sha256-"+strings.Repeat("b", 64))
	second := artifact(b, day, 0, "sha256-"+strings.Repeat("a", 64))
	itself := artifact("sha256:"+strings.Repeat("c", 64), day, 0, "sha256-"+strings.Repeat("c", 64))
	got := decided(t, []core.RetentionRule{retain(core.RetainNothing, 0, anyTag)}, []core.RetentionCandidate{first, second, itself}, core.Immutability{})
	if got != a+":r "+b+":r "+itself.Digest+":d" {
		t.Error(got)
	}
}

func TestRetentionAppliesByRepository(t *testing.T) {
	rule := retain(core.RetainAlways, 0, anyTag)
	rule.Repositories = sel(core.SelectRepositories, "{app,team/**}")
	off := retain(core.RetainNothing, 0, anyTag)
	off.Disabled = true
	policy := core.RetentionPolicy{Rules: []core.RetentionRule{rule, off}}
	for repository, want := range map[string]bool{"p/app": true, "p/team/x": true, "p/other": false, "p/apps": false} {
		if _, applies, err := policy.For(repository); applies != want || err != nil {
			t.Errorf("%s: %v, %v", repository, applies, err)
		}
	}
}

func TestRetentionPolicyIsChecked(t *testing.T) {
	good := retain(core.RetainLatestPushed, 3, anyTag)
	many := make([]core.RetentionRule, 16)
	for i := range many {
		many[i] = retain(core.RetainLatestPushed, i, anyTag)
	}
	tests := []struct {
		name  string
		rules []core.RetentionRule
		want  core.Code
	}{
		{"none", nil, ""},
		{"one", []core.RetentionRule{good}, ""},
		{"fifteen", many[:15], ""},
		{"sixteen", many, core.CodeBadRequest},
		{"twice the same", []core.RetentionRule{good, good}, core.CodeConflict},
		{"unknown template", []core.RetentionRule{retain("lastXDays", 1, anyTag)}, core.CodeBadRequest},
		{"negative", []core.RetentionRule{retain(core.RetainPushedWithin, -1, anyTag)}, core.CodeBadRequest},
		{"too many days", []core.RetentionRule{retain(core.RetainPulledWithin, 20190905, anyTag)}, core.CodeBadRequest},
		{"too many artifacts", []core.RetentionRule{retain(core.RetainLatestPulled, 1<<15-1, anyTag)}, core.CodeBadRequest},
		{"no selector", []core.RetentionRule{retain(core.RetainAlways, 0, nil)}, core.CodeBadRequest},
		{"a broken pattern", []core.RetentionRule{retain(core.RetainAlways, 0, sel(core.SelectTags, "{"))}, core.CodeBadRequest},
	}
	for _, tt := range tests {
		if err := (core.RetentionPolicy{Rules: tt.rules}).Validate(); core.ErrorCode(err) != tt.want {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
