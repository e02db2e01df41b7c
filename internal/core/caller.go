package core

import (
	"slices"
	"strconv"
	"strings"
)

// SubjectKind says what sort of caller a Subject is.
type SubjectKind string

// The kinds of subject. The system is the registry itself: its schedules, and
// the administrator at its command line.
const (
	KindAnonymous SubjectKind = "anonymous"
	KindUser      SubjectKind = "user"
	KindRobot     SubjectKind = "robot"
	KindSystem    SubjectKind = "system"
)

// Subject is who acts. Only the identity is kept; what it may do is read from
// the database at every request.
type Subject struct {
	Kind SubjectKind
	ID   int64
}

// Anonymous is the subject of a request without credentials.
var Anonymous = Subject{Kind: KindAnonymous}

// System is the registry itself.
var System = Subject{Kind: KindSystem}

// String writes the subject as tokens and the audit log carry it: "user:12",
// "robot:3", "anonymous", "system".
func (s Subject) String() string {
	if s.Kind == KindUser || s.Kind == KindRobot {
		return string(s.Kind) + ":" + strconv.FormatInt(s.ID, 10)
	}
	return string(s.Kind)
}

// ParseSubject reads what String wrote for a user, a robot or anonymous; a
// token can never make its bearer the system.
func ParseSubject(s string) (Subject, bool) {
	if s == string(KindAnonymous) {
		return Anonymous, true
	}
	kind, number, _ := strings.Cut(s, ":")
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil || id <= 0 || (kind != string(KindUser) && kind != string(KindRobot)) {
		return Subject{}, false
	}
	return Subject{SubjectKind(kind), id}, true
}

// Origin tells where a request came from, for the audit log and the log.
type Origin struct {
	Address   string // without the port
	Client    string // the User-Agent
	RequestID string
}

// Scope is one entry of what a bearer token was asked for.
type Scope struct {
	Type    string   `json:"type"` // "repository" or "registry"
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// Caller is a subject with its request. Scopes, where Limited, is the most that
// it may do in the registry: a token never grants more than was asked for.
type Caller struct {
	Subject
	Origin
	Limited bool
	Scopes  []Scope
}

// Admits says whether the caller's token, if any, was made for the action on
// that object. It grants nothing: the roles decide after it.
func (c Caller) Admits(typ, name, action string) bool {
	if !c.Limited {
		return true
	}
	return slices.ContainsFunc(c.Scopes, func(s Scope) bool {
		return s.Type == typ && s.Name == name && (slices.Contains(s.Actions, action) || slices.Contains(s.Actions, "*"))
	})
}
