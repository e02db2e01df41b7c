package core_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

func TestGlob(t *testing.T) {
	tests := []struct{ pattern, matches, others string }{
		{"**", "a latest v1.0 a/b a/b/c", ""},
		{"*", "a latest", "a/b"},
		{"v*", "v v1 v1.0-rc", "1.0 av a/v"},
		{"v?.?", "v1.0", "v1.10 v1 v10.0"},
		{"release-[0-9]*", "release-1 release-12", "release- release-x release"},
		{"[^v]*", "1.0 latest", "v1"},
		{"[!v]*", "1.0 latest", "v1"},
		{"{v*,latest}", "v1 latest", "late stable"},
		{"{a,{b,c}d}e", "ae bde cde", "be de abde"},
		{"{dev,}build", "build devbuild", "xbuild"},
		{"team/**", "team/a team/a/b team", "teams/a a/team/b"},
		{"**/app", "app a/app a/b/app", "a/apps app/x"},
		{"a/**/z", "a/z a/b/z a/b/c/z", "a b/z a/z/y"},
		{"{redis,team/**}", "redis team/x team/x/y", "red teams"},
		{`v1\*`, "v1*", "v1 v12"},
		{`\{a\}`, "{a}", "a"},
		{"a**b", "ab axxb", "a/b"},
		{"é?*", "éa éé", "é e"},
	}
	for _, tt := range tests {
		g, err := core.ParseGlob(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		for _, name := range strings.Fields(tt.matches) {
			if !g.Match(name) {
				t.Errorf("%s does not match %s", tt.pattern, name)
			}
		}
		for _, name := range strings.Fields(tt.others) {
			if g.Match(name) {
				t.Errorf("%s matches %s", tt.pattern, name)
			}
		}
	}
}

func TestGlobRefuses(t *testing.T) {
	for _, pattern := range []string{"", "{a", "a}", "{a,b", "[a", "a[]", `a\`, "{a,[}", "\xff", strings.Repeat("a", 1025),
		strings.Repeat("{a,b}", 7), strings.Repeat("{a,b}", 200), strings.Repeat("{", 500) + "{a,b}" + strings.Repeat("}", 500)} {
		_, err := core.ParseGlob(pattern)
		deep := strings.HasPrefix(pattern, "{{{") // many braces with few alternatives are fine
		if deep != (err == nil) || (err != nil && core.ErrorCode(err) != core.CodeBadRequest) {
			t.Errorf("%.20q: %v", pattern, err)
		}
	}
}

// Where the library is not followed: it lets a negated class match the
// separator, which its documentation denies, and takes stars at the end of a
// pattern for at least one character in some places and not in others.
var (
	negated  = regexp.MustCompile(`\[[!^]`)
	oddities = regexp.MustCompile(`\*\*/\*\*|\*\*\*|\}\*\*|\*\}?/\*\*`)
)

// TestGlobIsDoublestar compares with the library whose grammar it is.
func TestGlobIsDoublestar(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"a", "b", "ab", "-", ".", "*", "**", "?", "[ab]", "[^a]", "[!b]", "[a-b]", "{a,b}", "{a*,?b}", "{a,{b,-}}", `\*`, "/", "/**/", "**/"}
	letters := []string{"a", "b", "*", "-", ".", "/"}
	pick := func(from []string, n int) string {
		var text strings.Builder
		for range n {
			text.WriteString(from[random.IntN(len(from))])
		}
		return text.String()
	}
	compared := 0
	for range 60_000 {
		pattern, name := pick(pieces, 1+random.IntN(5)), pick(letters, 1+random.IntN(6))
		// Names and patterns of tags and repositories have no empty component.
		if emptyComponent(pattern) || emptyComponent(name) || !doublestar.ValidatePattern(pattern) {
			continue
		}
		if oddities.MatchString(pattern) || strings.Contains(name, "/") && negated.MatchString(pattern) {
			continue
		}
		want, err := doublestar.Match(pattern, name)
		if err != nil {
			continue
		}
		g, err := core.ParseGlob(pattern)
		if err != nil {
			t.Fatalf("%s is refused: %v", pattern, err)
		}
		if got := g.Match(name); got != want {
			t.Fatalf("%q on %q = %v, doublestar says %v", pattern, name, got, want)
		}
		compared++
	}
	if compared < 10_000 {
		t.Errorf("only %d patterns were compared", compared)
	}
}

func emptyComponent(text string) bool {
	return strings.HasPrefix(text, "/") || strings.HasSuffix(text, "/") || strings.Contains(text, "//")
}

// Patterns that keep a backtracking matcher busy for hours take microseconds,
// or are refused.
func TestGlobIsFast(t *testing.T) {
	name := strings.Repeat("a", 128)
	for _, pattern := range []string{strings.Repeat("*a", 60) + "x", strings.Repeat("**/", 60) + "x", strings.Repeat("{a}*", 100) + "x",
		strings.Repeat("{a,a}*", 6) + "x", strings.Repeat("*{a,a}", 30) + "x", strings.Repeat("{a}", 300) + strings.Repeat("{a,a}", 6)} {
		start := time.Now()
		if g, err := core.ParseGlob(pattern); err == nil && g.Match(name) {
			t.Errorf("%.20q matches", pattern)
		}
		if took := time.Since(start); took > 10*time.Second { // also on a machine that is busy with other things
			t.Errorf("%.20q takes %s", pattern, took)
		}
	}
}
