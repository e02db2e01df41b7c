package i18n_test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// catalogue reads the files of a language and demands that each holds the keys
// of its own name only.
func catalogue(t *testing.T, language string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(language + "/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no catalogue for %s: %v", language, err)
	}
	all := map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var part map[string]string
		if err := json.Unmarshal(content, &part); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if strings.Count(string(content), "\": \"") != len(part) {
			t.Errorf("%s has a key twice", file)
		}
		prefix := strings.TrimSuffix(filepath.Base(file), ".json") + "."
		for key, text := range part {
			if !strings.HasPrefix(key, prefix) || strings.TrimSpace(text) == "" {
				t.Errorf("%s: the key %s must begin with %s and have a text", file, key, prefix)
			}
		}
		maps.Copy(all, part)
	}
	return all
}

var verb = regexp.MustCompile(`%(?:\[\d+\])?[a-z]`)

func verbs(text string) string {
	found := verb.FindAllString(strings.ReplaceAll(text, "%%", ""), -1)
	slices.Sort(found)
	return strings.Join(found, " ")
}

func TestLanguagesAreComplete(t *testing.T) {
	english := catalogue(t, i18n.Fallback)
	for _, language := range i18n.Languages() {
		texts := catalogue(t, language.Code)
		for key, text := range english {
			if other, ok := texts[key]; !ok {
				t.Errorf("%s has no text for %s", language.Code, key)
			} else if verbs(text) != verbs(other) {
				t.Errorf("%s: the verbs of %s are %q, in English %q", language.Code, key, verbs(other), verbs(text))
			}
		}
		for key := range texts {
			if _, ok := english[key]; !ok {
				t.Errorf("%s has %s, which English has not", language.Code, key)
			}
		}
	}
}

// used finds the keys in the sources. One that ends with a dot is the beginning
// of keys that are put together.
var used = regexp.MustCompile(`"([a-z0-9]+(?:\.[a-z0-9-]+)+\.?)"`)

// TestKeys compares the catalogue with the sources: every key that is used has
// a text, and every text is used.
func TestKeys(t *testing.T) {
	texts := catalogue(t, i18n.Fallback)
	groups := map[string]bool{}
	for key := range texts {
		group, _, _ := strings.Cut(key, ".")
		groups[group] = true
	}
	seen, begun := map[string]bool{}, regexp.MustCompile(`"([a-z]+(?:\.[a-z0-9-]+)*\.)"`)
	var prefixes []string
	for _, pattern := range []string{"../../*.go", "../*.go", "../*.templ", "*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, "_templ.go") {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, found := range used.FindAllStringSubmatch(string(source), -1) {
				group, _, _ := strings.Cut(found[1], ".")
				if groups[group] && !strings.HasSuffix(found[1], ".svg") && !strings.HasSuffix(found[1], ".js") && !strings.HasSuffix(found[1], ".css") {
					seen[found[1]] = true
				}
			}
			for _, found := range begun.FindAllStringSubmatch(string(source), -1) {
				prefixes = append(prefixes, found[1])
			}
		}
	}
	for key := range seen {
		if texts[key] == "" && texts[key+".one"] == "" && !strings.HasSuffix(key, ".") {
			t.Errorf("the key %s is used and has no text", key)
		}
	}
	for key := range texts {
		base := strings.TrimSuffix(strings.TrimSuffix(key, ".one"), ".other")
		lead := strings.HasPrefix(key, "error.") && seen[".lead"]
		composed := slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
		if !seen[key] && !seen[base] && !composed && !lead {
			t.Errorf("the text %s is used nowhere", key)
		}
	}
}

func TestPlurals(t *testing.T) {
	texts := catalogue(t, i18n.Fallback)
	for key := range texts {
		base, isOne := strings.CutSuffix(key, ".one")
		if _, ok := texts[base+".other"]; isOne && !ok {
			t.Errorf("%s has no form for many", base)
		}
	}
}

func TestChoose(t *testing.T) {
	for _, test := range []struct{ chosen, accept, want string }{
		{"", "", "en"}, {"de", "en", "de"}, {"xx", "de", "de"}, {"", "de-AT,de;q=0.9,en;q=0.8", "de"},
		{"", "en;q=0.5, de;q=0.8", "de"}, {"", "fr", "en"}, {"", "de;q=0, en", "en"}, {"", "*", "en"}, {"", ";;;,q=", "en"},
	} {
		if got := i18n.Choose(test.chosen, test.accept); got != test.want {
			t.Errorf("Choose(%q, %q) = %s, want %s", test.chosen, test.accept, got, test.want)
		}
	}
}

func TestFormats(t *testing.T) {
	en, de := t.Context(), i18n.With(t.Context(), "de")
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		got, want string
	}{
		{i18n.Number(en, 1234567), "1,234,567"}, {i18n.Number(de, -1234), "-1.234"}, {i18n.Number(en, 999), "999"}, {i18n.Number(en, 0), "0"},
		{i18n.Bytes(en, 0), "0\u00a0B"}, {i18n.Bytes(en, 1536), "1.5\u00a0KiB"}, {i18n.Bytes(de, 1536), "1,5\u00a0KiB"},
		{i18n.Bytes(en, 5<<30), "5\u00a0GiB"}, {i18n.Bytes(en, 1<<60), "1\u00a0EiB"}, {i18n.Bytes(en, 123<<20), "123\u00a0MiB"},
		{i18n.Short(en, 950), "950"}, {i18n.Short(en, 1234), "1.2k"}, {i18n.Short(en, 46587), "47k"}, {i18n.Short(en, 3400000), "3.4M"},
		{i18n.Day(en, now), "24 November 2026"}, {i18n.Day(de, now), "24. November 2026"}, {i18n.ShortDay(en, now), "24 Nov"},
		{i18n.ShortDay(de, now.AddDate(0, 4, 0)), "24. Mär"},
		{i18n.Ago(en, now.Add(-time.Second), now), "just now"}, {i18n.Ago(en, now.Add(-time.Minute), now), "1 minute ago"},
		{i18n.Ago(de, now.Add(-50*time.Hour), now), "vor 2 Tagen"}, {i18n.Ago(en, now.Add(3*time.Hour), now), "in 3 hours"},
		{i18n.Ago(en, now.AddDate(-2, 0, 0), now), "24 November 2024"},
		{i18n.Span(4 * time.Minute), "4\u00a0min"}, {i18n.Span(125 * time.Minute), "2\u00a0h\u00a05\u00a0min"},
		{i18n.T(context.Background(), "no.such.key"), "no.such.key"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}
