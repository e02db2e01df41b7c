package app_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
)

func selectors(decoration, pattern string) []core.Selector {
	return []core.Selector{{Kind: core.SelectorKind, Decoration: decoration, Pattern: pattern}}
}

func immutableRule(repositories, tags string) core.ImmutableRule {
	return core.ImmutableRule{Repositories: selectors(core.SelectRepositories, repositories), Tags: selectors(core.SelectTags, tags)}
}

// protect makes the tags v* of the project p immutable.
func (i *images) protect(t *testing.T) (rule core.ImmutableRule) {
	t.Helper()
	rule = immutableRule("**", "v*")
	id, err := i.CreateImmutableRule(t.Context(), system, core.ProjectRef{ID: i.project}, rule)
	i.must(t, err)
	rule.ID = id
	return rule
}

// Every way to move or delete a tag is tried while a rule forbids it and again
// when it is disabled.
func TestImmutableTagsStay(t *testing.T) {
	const moved = "Failed to process request due to 'a:v1' configured as immutable."
	const deleted = "the tag v1 configured as immutable, cannot be deleted"
	ways := []struct {
		name, text string
		do         func(t *testing.T, i *images) error
	}{
		{"push", moved, func(t *testing.T, i *images) error { return i.push(t, "p/a", "two", "v1", core.Manifest{}) }},
		{"push of several tags", moved, func(t *testing.T, i *images) error {
			m := core.Manifest{Digest: digestOf("two"), Size: 100, MediaType: "m"}
			_, err := i.PutManifest(t.Context(), system, "p/a", m, []string{"new", "v1"}, i.file("two", 100))
			return err
		}},
		{"copy", moved, func(t *testing.T, i *images) error {
			i.must(t, i.push(t, "q/b", "two", "v1", core.Manifest{}))
			_, err := i.CopyArtifact(t.Context(), system, "p/a", "q/b:v1")
			return err
		}},
		{"delete the tag", deleted, func(t *testing.T, i *images) error { return i.DeleteTag(t.Context(), system, "p/a", "v1") }},
		{"delete the tag of the artifact", deleted, func(t *testing.T, i *images) error {
			return i.RemoveTagOf(t.Context(), system, "p/a", digestOf("one"), "v1")
		}},
		{"delete the manifest", deleted, func(t *testing.T, i *images) error {
			return i.DeleteManifest(t.Context(), system, "p/a", digestOf("one"))
		}},
		{"delete the artifact by another tag", deleted, func(t *testing.T, i *images) error {
			return i.DeleteArtifact(t.Context(), system, "p/a", "latest")
		}},
		{"delete the artifact by digest", deleted, func(t *testing.T, i *images) error {
			return i.DeleteArtifact(t.Context(), system, "p/a", digestOf("one"))
		}},
		{"delete the repository", deleted, func(t *testing.T, i *images) error { return i.DeleteRepository(t.Context(), system, "p/a") }},
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			i := newImages(t)
			i.newProject(t, "q")
			i.must(t, i.push(t, "p/a", "one", "v1", core.Manifest{}))
			i.must(t, i.push(t, "p/a", "one", "latest", core.Manifest{}))
			rule := i.protect(t)
			err := way.do(t, i)
			if core.ErrorCode(err) != core.CodePrecondition || core.ErrorMessage(err) != way.text {
				t.Errorf("err = %v, want %q", err, way.text)
			}
			names, _, err := i.TagNames(t.Context(), system, "p/a", "", 10)
			if err != nil || !slices.Equal(names, []string{"latest", "v1"}) {
				t.Errorf("tags are %v, %v: nothing may have changed", names, err)
			}
			if m, err := i.Manifest(t.Context(), system, "p/a", "v1", false); err != nil || m.Digest != digestOf("one") {
				t.Errorf("v1 is %s, %v", m.Digest, err)
			}
			if _, err := i.Artifact(t.Context(), system, "p/a", digestOf("two")); !core.IsNotFound(err) {
				t.Errorf("the refused manifest was published: %v", err)
			}
			rule.Disabled = true
			i.must(t, i.UpdateImmutableRule(t.Context(), system, core.ProjectRef{ID: i.project}, rule))
			if err := way.do(t, i); err != nil {
				t.Errorf("with the rule disabled: %v", err)
			}
		})
	}
}

func TestImmutableTagsCanBeMadeAndRepeated(t *testing.T) {
	i := newImages(t)
	i.protect(t)
	i.must(t, i.push(t, "p/a", "one", "v1", core.Manifest{}))
	i.must(t, i.push(t, "p/a", "one", "v1", core.Manifest{})) // the same again
	i.must(t, i.push(t, "p/a", "two", "latest", core.Manifest{}))
	i.must(t, i.push(t, "p/a", "one", "latest", core.Manifest{})) // not selected
	i.must(t, i.CreateTag(t.Context(), system, "p/a", digestOf("one"), "v2"))
	if err := i.CreateTag(t.Context(), system, "p/a", digestOf("two"), "v2"); core.ErrorCode(err) != core.CodeConflict {
		t.Errorf("a taken tag was created: %v", err)
	}
	_, err := i.CopyArtifact(t.Context(), system, "p/a", "p/a:v1") // onto itself
	i.must(t, err)
	artifact, err := i.Artifact(t.Context(), system, "p/a", "v1")
	i.must(t, err)
	tags, _, err := i.Tags(t.Context(), system, "p/a", "v1", listAll)
	i.must(t, err)
	for _, list := range [][]core.Tag{artifact.Tags, tags} {
		shown := map[string]bool{}
		for _, tag := range list {
			shown[tag.Name] = tag.Immutable
		}
		if len(shown) != 3 || !shown["v1"] || !shown["v2"] || shown["latest"] {
			t.Errorf("immutable: %v", shown)
		}
	}
}

// An index may go although a part of it has an immutable tag: the part stays.
func TestImmutablePartOutlivesItsIndex(t *testing.T) {
	i := newImages(t)
	i.protect(t)
	i.must(t, i.push(t, "p/a", "child", "v1-amd64", core.Manifest{}))
	i.must(t, i.push(t, "p/a", "index", "latest", core.Manifest{Children: []core.Descriptor{{Digest: digestOf("child")}}}))
	i.must(t, i.DeleteArtifact(t.Context(), system, "p/a", "latest"))
	if m, err := i.Manifest(t.Context(), system, "p/a", "v1-amd64", false); err != nil || m.Digest != digestOf("child") {
		t.Errorf("v1-amd64 is %s, %v", m.Digest, err)
	}
}

func TestImmutableRulesByRight(t *testing.T) {
	w := newTown(t)
	rule := immutableRule("**", "v*")
	id, err := w.CreateImmutableRule(t.Context(), w.ada, w.here, rule)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.CreateImmutableRule(t.Context(), w.dan, w.here, rule)
	wantCode(t, "the same rule twice", err, core.CodeConflict)
	bad := rule
	bad.Tags = selectors(core.SelectTags, "{")
	_, err = w.CreateImmutableRule(t.Context(), w.dan, w.here, bad)
	wantCode(t, "a broken pattern", err, core.CodeBadRequest)
	for _, c := range []core.Caller{w.gus, w.eve, w.zoe} {
		_, err := w.CreateImmutableRule(t.Context(), c, w.here, immutableRule("**", "x"))
		wantCode(t, "create", err, core.CodeForbidden)
		_, _, err = w.ImmutableRules(t.Context(), c, w.here, listAll)
		wantCode(t, "list", err, core.CodeForbidden)
	}
	rule.ID, rule.Priority = id, 3
	wantCode(t, "change through another project", w.UpdateImmutableRule(t.Context(), w.eve, w.there, rule), core.CodeNotFound)
	wantCode(t, "delete through another project", w.DeleteImmutableRule(t.Context(), w.eve, w.there, id), core.CodeNotFound)
	wantCode(t, "change", w.UpdateImmutableRule(t.Context(), w.dan, w.here, rule), "")
	rules, total, err := w.ImmutableRules(t.Context(), w.dan, w.here, listAll)
	if err != nil || total != 1 || rules[0].ID != id || rules[0].Priority != 3 || !rules[0].SameSelectors(rule) {
		t.Errorf("rules = %+v, %d, %v", rules, total, err)
	}
	wantCode(t, "delete", w.DeleteImmutableRule(t.Context(), w.ada, w.here, id), "")
	text := strings.Join(w.audited(t), "\n")
	for _, want := range []string{"ada create immutable-tag here rule 1 ok repositories repoMatches **, tags matches v*, disabled: false",
		"dan update immutable-tag here rule 1 ok", "ada delete immutable-tag here rule 1 ok"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the audit log:\n%s", want, text)
		}
	}
}

func TestImmutableRulesAreBounded(t *testing.T) {
	i := newImages(t)
	ref := core.ProjectRef{ID: i.project}
	for n := range 100 {
		_, err := i.CreateImmutableRule(t.Context(), system, ref, immutableRule("**", strings.Repeat("x", n+1)))
		i.must(t, err)
	}
	_, err := i.CreateImmutableRule(t.Context(), system, ref, immutableRule("**", "one more"))
	wantCode(t, "one rule more", err, core.CodePrecondition)
}
