package auth

import (
	"slices"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Limits of a token request. What they let through fits in one token.
const (
	maxScopes       = 100
	maxScopeBytes   = 8 * 1024 // all scopes together
	maxScopeType    = 32
	maxResourceName = 512 // a repository name (255) after a host and port
)

// ParseScopes reads the values of the scope parameters of a token request
// (https://distribution.github.io/distribution/spec/auth/scope/): each holds
// scopes divided by spaces, of the form type:name:actions or
// type(class):name:actions. The name lies between the first and the last colon,
// as it may begin with a host and port. The class is dropped, as are actions
// other than pull, push, delete and *; scopes of the same resource become one.
// Errors are CodeBadRequest.
func ParseScopes(values []string) ([]core.Scope, error) {
	var scopes []string
	bytes := 0
	for _, value := range values {
		if bytes += len(value); bytes > maxScopeBytes {
			return nil, core.Errorf(core.CodeBadRequest, "the scopes are longer than %d bytes; ask for fewer at once", maxScopeBytes)
		}
		scopes = append(scopes, strings.FieldsFunc(value, func(r rune) bool { return r == ' ' })...)
	}
	if len(scopes) > maxScopes {
		return nil, core.Errorf(core.CodeBadRequest, "more than %d scopes; ask for fewer at once", maxScopes)
	}
	return parseAll(scopes)
}

func parseAll(scopes []string) ([]core.Scope, error) {
	var all []core.Scope
	for _, scope := range scopes {
		access, ok := parseScope(scope)
		if !ok {
			return nil, core.Errorf(core.CodeBadRequest,
				"scope %.80q is not valid; it must look like repository:project/name:pull,push", scope)
		}
		all = addAccess(all, access)
	}
	return all, nil
}

// addAccess appends access, or its actions when the resource is there already.
func addAccess(all []core.Scope, access core.Scope) []core.Scope {
	for i, a := range all {
		if a.Type == access.Type && a.Name == access.Name {
			all[i].Actions = appendActions(a.Actions, access.Actions)
			return all
		}
	}
	return append(all, access)
}

func parseScope(scope string) (core.Scope, bool) {
	kind, rest, ok := strings.Cut(scope, ":")
	last := strings.LastIndexByte(rest, ':')
	if !ok || last < 0 {
		return core.Scope{}, false
	}
	kind, ok = parseType(kind)
	name, actions := rest[:last], strings.Split(rest[last+1:], ",")
	if !ok || !validResourceName(name) || slices.ContainsFunc(actions, malformedAction) {
		return core.Scope{}, false
	}
	return core.Scope{Type: kind, Name: name, Actions: appendActions([]string{}, actions)}, true
}

// parseType reads "type" or "type(class)" and returns the type. Docker asks for
// "repository(plugin)"; a plugin is a repository like any other here.
func parseType(s string) (string, bool) {
	kind, class, hasClass := strings.Cut(s, "(")
	if hasClass {
		var closed bool
		if class, closed = strings.CutSuffix(class, ")"); !closed || !validTypeWord(class) {
			return "", false
		}
	}
	return kind, validTypeWord(kind)
}

func validTypeWord(s string) bool {
	return s != "" && len(s) <= maxScopeType && onlyOf(s, "")
}

// validResourceName admits the characters of a repository name and of a host
// and port before it. Whether such a repository can exist is for others to say.
func validResourceName(name string) bool {
	return name != "" && len(name) <= maxResourceName && onlyOf(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ._-/:[]")
}

// malformedAction refuses what the grammar of the specification has no place
// for; a well-formed action that nobody knows is dropped later.
func malformedAction(action string) bool {
	return action != "*" && !onlyOf(action, "-")
}

// onlyOf says whether s has only lowercase letters, digits and others, in ASCII.
func onlyOf(s, others string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte(others, c) >= 0) {
			return false
		}
	}
	return true
}

// appendActions adds those known actions that have lacks.
func appendActions(have, more []string) []string {
	for _, action := range more {
		if knownAction(action) && !slices.Contains(have, action) {
			have = append(have, action)
		}
	}
	return have
}

func knownAction(action string) bool {
	switch action {
	case "pull", "push", "delete", "*":
		return true
	}
	return false
}
