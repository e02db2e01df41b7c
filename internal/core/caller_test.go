package core_test

import (
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
)

func TestSubjectsSurviveTheirText(t *testing.T) {
	for _, s := range []core.Subject{core.Anonymous, {Kind: core.KindUser, ID: 12}, {Kind: core.KindRobot, ID: 3}} {
		if got, ok := core.ParseSubject(s.String()); !ok || got != s {
			t.Errorf("ParseSubject(%q) = %v, %v", s, got, ok)
		}
	}
}

// No token may make its bearer the registry itself.
func TestParseSubjectRefuses(t *testing.T) {
	for _, text := range []string{"", "system", "system:1", "user", "user:", "user:0", "user:-1", "user:1:2", "robot:x", "admin:1", "anonymous:1"} {
		if s, ok := core.ParseSubject(text); ok {
			t.Errorf("ParseSubject(%q) = %v", text, s)
		}
	}
}

func TestTokensOnlyNarrow(t *testing.T) {
	scopes := []core.Scope{{Type: "repository", Name: "p/a", Actions: []string{"pull"}}, {Type: "registry", Name: "catalog", Actions: []string{"*"}}}
	limited := core.Caller{Limited: true, Scopes: scopes}
	tests := []struct {
		caller            core.Caller
		typ, name, action string
		want              bool
	}{
		{core.Caller{}, "repository", "p/a", "push", true},
		{limited, "repository", "p/a", "pull", true},
		{limited, "repository", "p/a", "push", false},
		{limited, "repository", "p/b", "pull", false},
		{limited, "registry", "catalog", "*", true},
		{core.Caller{Limited: true}, "repository", "p/a", "pull", false},
	}
	for _, tt := range tests {
		if got := tt.caller.Admits(tt.typ, tt.name, tt.action); got != tt.want {
			t.Errorf("Admits(%s, %s, %s) = %v, want %v", tt.typ, tt.name, tt.action, got, tt.want)
		}
	}
}
