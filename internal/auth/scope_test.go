package auth_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/core"
)

func TestParseScopes(t *testing.T) {
	access := func(kind, name string, actions ...string) core.Scope {
		return core.Scope{Type: kind, Name: name, Actions: append([]string{}, actions...)}
	}
	for _, c := range []struct {
		values []string
		want   []core.Scope
	}{
		{nil, nil},
		{[]string{"", "  "}, nil},
		{[]string{"repository:library/alpine:pull"}, []core.Scope{access("repository", "library/alpine", "pull")}},
		{[]string{"repository:a/b:pull,push repository:c/d:pull", "registry:catalog:*"}, []core.Scope{
			access("repository", "a/b", "pull", "push"), access("repository", "c/d", "pull"), access("registry", "catalog", "*")}},
		{[]string{"repository:host.example:5000/a/b:push,pull"}, []core.Scope{access("repository", "host.example:5000/a/b", "push", "pull")}},
		{[]string{"repository:[::1]:8443/a:pull"}, []core.Scope{access("repository", "[::1]:8443/a", "pull")}},
		{[]string{"repository:A/b__c:pull"}, []core.Scope{access("repository", "A/b__c", "pull")}},
		{[]string{"repository(plugin):a/b:pull"}, []core.Scope{access("repository", "a/b", "pull")}},
		{[]string{"repository:a:pull", "repository:b:pull", "repository:a:pull,push,push"}, []core.Scope{
			access("repository", "a", "pull", "push"), access("repository", "b", "pull")}},
		{[]string{"repository:a:pull,fly,scanner-pull,,delete"}, []core.Scope{access("repository", "a", "pull", "delete")}},
		{[]string{"repository:a:"}, []core.Scope{access("repository", "a")}},
	} {
		got, err := auth.ParseScopes(c.values)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("ParseScopes(%q) = %v, %v; want %v", c.values, got, err, c.want)
		}
	}
}

func TestParseScopesRefuses(t *testing.T) {
	for _, scope := range []string{
		"repository", "repository:a", "repository::pull", ":a:pull", "::", "repository(:a:pull", "repository():a:pull",
		"repository(a)b:a:pull", "repository(a(b)):a:pull", "Repository:a:pull", "repository:a:PULL", "repository:a:pull\n",
		"repository:a\tb:pull", "repository:a\"b:pull", "repository:ä:pull", "repository:\u212a:pull", "repository:a%2fb:pull",
		"repository:a\x00:pull", "repository:a:pull;push", "repository:a:**",
		"repository:" + strings.Repeat("a", 513) + ":pull", strings.Repeat("a", 33) + ":a:pull",
		strings.Repeat("repository:a:pull ", 101), "repository:a:" + strings.Repeat("pull,", 2000),
	} {
		got, err := auth.ParseScopes([]string{"repository:ok:pull", scope})
		if got != nil || core.ErrorCode(err) != core.CodeBadRequest {
			t.Errorf("ParseScopes(%.40q) = %v, %v; want a bad request", scope, got, err)
		}
	}
}

func FuzzParseScopes(f *testing.F) {
	for _, seed := range []string{"", "repository:a/b:pull,push", "repository(plugin):h:5000/a:*", "registry:catalog:* x:y:z", "::", "a(b:c:d"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		all, err := auth.ParseScopes([]string{a, b})
		if err != nil {
			wantCode(t, err, core.CodeBadRequest)
			return
		}
		if len(all) > 100 {
			t.Fatalf("%d entries", len(all))
		}
		for i, access := range all {
			checkAccess(t, access)
			if slices.ContainsFunc(all[:i], func(o core.Scope) bool { return o.Type == access.Type && o.Name == access.Name }) {
				t.Errorf("%v is there twice", access)
			}
		}
	})
}

// checkAccess holds for every entry: it is clean, and its text reads as itself.
func checkAccess(t *testing.T, access core.Scope) {
	t.Helper()
	if access.Type == "" || access.Name == "" || len(access.Name) > 512 || strings.ContainsAny(access.Name, " \"'\\%\n\x00") {
		t.Errorf("entry %q", access)
	}
	if sorted := slices.Sorted(slices.Values(access.Actions)); len(slices.Compact(sorted)) != len(access.Actions) {
		t.Errorf("actions twice: %q", access)
	}
	again, err := auth.ParseScopes([]string{access.Type + ":" + access.Name + ":" + strings.Join(access.Actions, ",")})
	if err != nil || len(again) != 1 || !reflect.DeepEqual(again[0], access) {
		t.Errorf("%q reads again as %q, %v", access, again, err)
	}
}
