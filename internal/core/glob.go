package core

import (
	"path"
	"strings"
	"unicode/utf8"
)

const (
	// maxGlob bounds a pattern, in bytes.
	maxGlob = 1024
	// maxAlternatives bounds what the braces of a pattern may stand for.
	// Without it a short pattern stands for millions, and whoever may write a
	// rule could keep the one writer of the database busy.
	maxAlternatives = 100
	// doublestar is the path component that stands for any number of them.
	doublestar = "**"
)

// Glob is a pattern of doublestar's grammar, which Harbor's rules are written
// in: * and ? stand for characters within a path component, [a-z] and [^a-z]
// for one of a class, ** as a whole component for any number of components,
// {a,b} for either, and \ takes the meaning from the character after it.
// Matching takes time in proportion to the pattern and the name.
type Glob struct{ alternatives [][]string }

// ParseGlob reads a pattern. Its error is CodeBadRequest and quotes it.
func ParseGlob(pattern string) (Glob, error) {
	if pattern == "" || len(pattern) > maxGlob || !utf8.ValidString(pattern) {
		return Glob{}, Errorf(CodeBadRequest, "a pattern has 1 to %d bytes of valid UTF-8; ** matches everything", maxGlob)
	}
	texts, reason := expandBraces(nil, "", pattern)
	if reason != "" {
		return Glob{}, badGlob(pattern, reason)
	}
	var g Glob
	for _, text := range texts {
		components := strings.Split(text, "/")
		for i, c := range components {
			components[i] = caretClasses(c)
			if _, err := path.Match(components[i], ""); err != nil {
				return Glob{}, badGlob(pattern, "a character class is empty, or it or an escape does not end")
			}
		}
		g.alternatives = append(g.alternatives, components)
	}
	return g, nil
}

func badGlob(pattern, reason string) error {
	return Errorf(CodeBadRequest, "the pattern %q cannot be used: %s", Clip(pattern, 64), reason)
}

// Match says whether the pattern stands for the whole name.
func (g Glob) Match(name string) bool {
	components := strings.Split(name, "/")
	for _, alternative := range g.alternatives {
		if matchComponents(alternative, components) {
			return true
		}
	}
	return false
}

// matchComponents goes back to the last ** only: what an earlier one could take
// instead, the last one can take as well.
func matchComponents(pattern, name []string) bool {
	p, n, star, taken := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == doublestar:
			star, taken = p, n
			p++
		case p < len(pattern) && matchComponent(pattern[p], name[n]):
			p++
			n++
		case star >= 0:
			taken++
			p, n = star+1, taken
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == doublestar {
		p++
	}
	return p == len(pattern)
}

func matchComponent(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// expandBraces appends to all what prefix and the pattern after it stand for.
// A reason tells why the pattern cannot be read.
func expandBraces(all []string, prefix, pattern string) (_ []string, reason string) {
	open, reason := indexUnescaped(pattern, "{}")
	if reason != "" {
		return nil, reason
	}
	if open < 0 {
		if len(all) >= maxAlternatives {
			return nil, "its braces stand for too many alternatives; write several rules"
		}
		return append(all, prefix+pattern), ""
	}
	if pattern[open] == '}' {
		return nil, "a } has no { before it"
	}
	choices, rest, reason := cutBraces(pattern[open+1:])
	for _, choice := range choices {
		if all, reason = expandBraces(all, prefix+pattern[:open], choice+rest); reason != "" {
			return nil, reason
		}
	}
	return all, reason
}

// cutBraces splits what follows a { into its choices and what is after the }
// that belongs to it.
func cutBraces(text string) (choices []string, rest, reason string) {
	depth, begin, at := 0, 0, 0
	for {
		i, reason := indexUnescaped(text[at:], "{,}")
		if reason != "" {
			return nil, "", reason
		}
		if i < 0 {
			return nil, "", "a { has no } after it"
		}
		at += i
		switch c := text[at]; {
		case c == '{':
			depth++
		case c == '}' && depth > 0:
			depth--
		case depth == 0:
			choices = append(choices, text[begin:at])
			begin = at + 1
			if c == '}' {
				return choices, text[begin:], ""
			}
		}
		at++
	}
}

// indexUnescaped returns where the first of the characters stands that is
// neither escaped nor in a class; -1 for nowhere.
func indexUnescaped(text, characters string) (index int, reason string) {
	for i := 0; i < len(text); {
		if strings.IndexByte(characters, text[i]) >= 0 {
			return i, ""
		}
		n := tokenLength(text[i:])
		if n == 0 {
			return -1, "a character class or an escape does not end"
		}
		i += n
	}
	return -1, ""
}

// tokenLength is how many bytes belong to what text begins with: an escaped
// character, a class, or one byte. It is 0 for one that does not end.
func tokenLength(text string) int {
	switch {
	case text[0] == '\\' && len(text) < 2:
		return 0
	case text[0] == '\\':
		return 2
	case text[0] != '[':
		return 1
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case ']':
			return i + 1
		}
	}
	return 0
}

// caretClasses writes [!a] as [^a], the only form that path.Match knows.
func caretClasses(component string) string {
	if !strings.Contains(component, "[!") {
		return component
	}
	var b strings.Builder
	for component != "" {
		n := max(tokenLength(component), 1)
		token := component[:n]
		if strings.HasPrefix(token, "[!") {
			token = "[^" + token[2:]
		}
		b.WriteString(token)
		component = component[n:]
	}
	return b.String()
}
