// Package i18n holds the texts of the user interface in every language, and how
// each language writes numbers, sizes and times. A catalogue is the JSON files
// of one folder; every file holds the keys that begin with its own name.
package i18n

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Fallback is the language of those who prefer none that is here.
const Fallback = "en"

// Language is one of the catalogues.
type Language struct{ Code, Name string }

// Languages lists the catalogues, each under the name that its readers know.
func Languages() []Language { return []Language{{"en", "English"}, {"de", "Deutsch"}} }

//go:embed en de
var embedded embed.FS

// catalogues are the texts by language and key. What is embedded is whole:
// the test of this package reads every file.
var catalogues = sync.OnceValue(func() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, language := range Languages() {
		texts, err := load(language.Code)
		if err != nil {
			texts = map[string]string{}
		}
		all[language.Code] = texts
	}
	return all
})

func load(language string) (map[string]string, error) {
	entries, err := embedded.ReadDir(language)
	if err != nil {
		return nil, err
	}
	texts := map[string]string{}
	for _, entry := range entries {
		content, err := embedded.ReadFile(path.Join(language, entry.Name()))
		if err != nil {
			return nil, err
		}
		var part map[string]string
		if err := json.Unmarshal(content, &part); err != nil {
			return nil, fmt.Errorf("%s/%s: %w", language, entry.Name(), err)
		}
		maps.Copy(texts, part)
	}
	return texts, nil
}

type languageKey struct{}

// With returns a context whose texts are in the language.
func With(ctx context.Context, language string) context.Context {
	return context.WithValue(ctx, languageKey{}, language)
}

// Of returns the language of the context.
func Of(ctx context.Context) string {
	if language, ok := ctx.Value(languageKey{}).(string); ok {
		return language
	}
	return Fallback
}

// Known says whether there is a catalogue for the language.
func Known(language string) bool {
	return slices.ContainsFunc(Languages(), func(l Language) bool { return l.Code == language })
}

// Choose returns the language for a reader: what was chosen before, when that
// is here, else the best of an Accept-Language header (RFC 9110, section 12.5.4).
func Choose(chosen, accept string) string {
	if Known(chosen) {
		return chosen
	}
	type wish struct {
		language string
		weight   float64
	}
	var wishes []wish
	for part := range strings.SplitSeq(accept, ",") {
		tag, parameter, _ := strings.Cut(part, ";")
		language, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		weight := 1.0
		if q, ok := strings.CutPrefix(strings.ReplaceAll(parameter, " ", ""), "q="); ok {
			weight, _ = strconv.ParseFloat(q, 64) // what is no number weighs nothing
		}
		if Known(language) && weight > 0 {
			wishes = append(wishes, wish{language, weight})
		}
	}
	slices.SortStableFunc(wishes, func(a, b wish) int { return cmp.Compare(b.weight, a.weight) })
	if len(wishes) == 0 {
		return Fallback
	}
	return wishes[0].language
}

// Has says whether there is a text with that key.
func Has(key string) bool {
	_, ok := catalogues()[Fallback][key]
	return ok
}

// T returns the text of key with its verbs (%s, %d) filled in. A key that is
// missing shows as itself; a test finds it before a reader does.
func T(ctx context.Context, key string, args ...any) string {
	text, ok := catalogues()[Of(ctx)][key]
	if !ok {
		return key
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// N returns the text of key.one or key.other, as n asks for. The first verb is
// n as the language writes it, so it is %s; args follow.
func N(ctx context.Context, key string, n int64, args ...any) string {
	form := ".other"
	if n == 1 {
		form = ".one"
	}
	return T(ctx, key+form, append([]any{Number(ctx, n)}, args...)...)
}
