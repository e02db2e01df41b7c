package web_test

import (
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// routesOf lists every route that the server answers: those of the handler
// itself, and those of the registry, which its own test keeps in a file.
func routesOf(t *testing.T, handler http.Handler) []string {
	t.Helper()
	e, ok := handler.(*echo.Echo)
	if !ok {
		t.Fatalf("the handler is a %T: its routes cannot be listed", handler)
	}
	var all []string
	for _, r := range e.Routes() {
		all = append(all, r.Method+" "+r.Path)
	}
	text, err := os.ReadFile("../registry/testdata/routes.txt")
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, strings.Split(strings.TrimSpace(string(text)), "\n")...)
	slices.Sort(all)
	return all
}

// apart are the parts of the server that are not below /api/v2.0.
var apart = []string{"/v2/", "/service/", "/c/", "/api/"}

// isPage says whether a route belongs to the user interface.
func isPage(route string) bool {
	_, path, _ := strings.Cut(route, " ")
	return !slices.ContainsFunc(apart, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
}

// split returns the method and the whole path of a key of the table.
func split(key string) (method, path string) {
	key, _, _ = strings.Cut(key, " #")
	method, path, _ = strings.Cut(key, " ")
	if !slices.ContainsFunc(apart, func(prefix string) bool { return strings.HasPrefix(path, prefix) }) {
		path = "/api/v2.0" + path
	}
	return method, path
}

// TestRightsMatrix walks every route as everybody on every kind of object. It
// is the one place that says who may use a route; a route that the table does
// not have fails it.
func TestRightsMatrix(t *testing.T) {
	w := newWorld(t, slices.Collect(maps.Values(table)))
	t.Run("every route has a rule", func(t *testing.T) { checkTable(t, w.routes) })
	m := &matrix{world: w}
	for _, key := range slices.Sorted(maps.Keys(table)) {
		t.Run(key, func(t *testing.T) { m.try(t, key, table[key]) })
	}
	t.Run("refusals are audited", m.audited)
	t.Run("other spellings of a path", m.spellings)
	t.Run("content of others", m.contentOfOthers)
	t.Run("cookies are not for the registry", m.cookies)
	t.Run("without anonymous access", m.closed)
	t.Logf("%d rules for %d routes, %d requests, %d of them refused and audited", len(table), len(w.routes), m.requests, len(m.refused))
}

func checkTable(t *testing.T, routes []string) {
	ruled := map[string]bool{}
	for key := range table {
		method, path := split(key)
		ruled[method+" "+path] = true
	}
	for _, route := range routes {
		if isPage(route) {
			continue // they have a table of their own
		}
		if !ruled[route] {
			t.Errorf("%s has no rule: add it to the table and say who may use it", route)
		}
		delete(ruled, route)
	}
	for route := range ruled {
		t.Errorf("%s has a rule, but there is no such route", route)
	}
}

// matrix is one run of the test.
type matrix struct {
	*world
	requests int
	refused  map[string]*person // by the name of the request
}

// cell is one request: a person, a route and a place.
type cell struct {
	person *person
	place  place
	key    string
	entry  entry
	nested bool // the place has an object of another project, or none
}

func (c cell) name() string {
	return c.key + " | " + c.person.name + " | " + c.place.label
}

// try sends the requests of one route.
func (m *matrix) try(t *testing.T, key string, e entry) {
	for _, p := range m.callers(e) {
		for _, group := range m.places(key, e, p) {
			if !p.tokenOnly {
				m.group(t, key, e, group, func(place) *person { return p })
			}
			if strings.Contains(key, " /v2/") {
				m.group(t, key, e, group, func(at place) *person { return m.withToken(t, p, at) })
			}
		}
	}
}

// group tries places whose answers must be the same to whom they are hidden.
func (m *matrix) group(t *testing.T, key string, e entry, group []place, as func(place) *person) {
	answers := map[string]string{}
	for _, at := range group {
		c := cell{person: as(at), place: at, key: key, entry: e, nested: strings.Contains(at.label, " of ")}
		rec := m.cell(t, c)
		if c.alike(m.foreign) {
			answers[answer(rec, at)] = at.label
		}
	}
	if len(answers) > 1 {
		t.Errorf("%s tells a hidden object from an absent one:\n%s", as(group[0]).name, describeAnswers(answers))
	}
}

func describeAnswers(answers map[string]string) string {
	var lines []string
	for text, label := range answers {
		lines = append(lines, label+": "+text)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// alike says whether the answer must be that of the absent object.
func (c cell) alike(foreign place) bool {
	if c.nested {
		return true
	}
	theirs := strings.HasPrefix(c.place.label, foreign.label) || strings.HasPrefix(c.place.label, "absent") || c.place.label == "other"
	hidden := !c.person.sees(foreign) && (c.entry.rule.filters() || !c.entry.rule.allows(c.person, foreign))
	if strings.Contains(c.key, ":user_id") {
		hidden = !c.entry.rule.allows(c.person, place{})
	}
	return theirs && hidden && c.entry.check == nil
}

// places returns what the route is tried on, in groups: within a group, hidden
// and absent objects must give the same answer.
func (m *matrix) places(key string, e entry, p *person) [][]place {
	own := m.own
	if e.bare {
		own = m.bare
	}
	text := key + e.query + e.body
	for _, v := range e.values {
		text += v
	}
	switch {
	case strings.Contains(key, ":user_id"):
		return m.users(e, p)
	case strings.Contains(text, "{system_robot_id}"):
		return [][]place{{m.withSystemRobot("of the system", m.robotID("system")), m.withSystemRobot("absent", m.absent.values["robot_id"])}}
	case !mentionsProject(text):
		return [][]place{{m.prepared(own, e)}}
	}
	groups := [][]place{{m.prepared(own, e)}, {m.prepared(m.open, e)}, {m.prepared(m.foreign, e), m.prepared(m.absent, e)}}
	if strings.Contains(key, ":project_name_or_id") {
		groups = append(groups, []place{byID(m.prepared(own, e))}, []place{byID(m.prepared(m.foreign, e)), byID(m.prepared(m.absent, e))})
	}
	return append(groups, m.nestedPlaces(key, e, own)...)
}

func mentionsProject(text string) bool {
	return slices.ContainsFunc([]string{":project", "{project", ":repository", "{repository", ":label_id", ":robot_id", ":retention_id", "/quotas/:id"},
		func(word string) bool { return strings.Contains(text, word) })
}

func byID(p place) place {
	return p.with("by id", map[string]string{"project_name_or_id": p.values["project_id"]})
}

// prepared returns the place with the values that the entry asks for.
func (m *matrix) prepared(p place, e entry) place {
	values := map[string]string{}
	for name, template := range e.values {
		values[name] = p.fill(template)
	}
	return p.but(values)
}

// users are the places of a route about one account.
func (m *matrix) users(e entry, p *person) [][]place {
	user := func(label string, id int64) place {
		text := strconv.FormatInt(id, 10)
		return place{label: label, user: id, values: map[string]string{"user_id": text, "session_id": sessionOf(text)[:16]}}
	}
	groups := [][]place{{user("other", m.other), user("absent", 7_999_904)}}
	if p.id.Kind == core.KindUser && e.rule.scope != onSystem {
		groups = append(groups, []place{user("self", p.id.ID)})
	}
	return groups
}

func (m *matrix) withSystemRobot(label, id string) place {
	p := m.own.but(map[string]string{"robot_id": id})
	p.label = label
	return p
}

// robotID is the id of some robot account of the system.
func (m *matrix) robotID(prefix string) string {
	for _, name := range slices.Sorted(maps.Keys(m.robots)) {
		if strings.HasPrefix(name, prefix) {
			return strconv.FormatInt(m.robots[name].id.ID, 10)
		}
	}
	return ""
}

// nestedPlaces are the caller's own project with one object of another
// project, or one that does not exist (CVE-2022-31666 to 31671).
func (m *matrix) nestedPlaces(key string, e entry, own place) [][]place {
	names := e.nested
	if names == nil {
		names = nestedParameters
	}
	var groups [][]place
	for _, name := range names {
		if !strings.Contains(key+"/", ":"+name+"/") {
			continue
		}
		foreign, absent := m.prepared(m.foreign, e).values[name], m.prepared(m.absent, e).values[name]
		if name == "upload" {
			foreign = m.strange
		}
		group := []place{m.prepared(own, e).with(name+" of another", map[string]string{name: foreign}),
			m.prepared(own, e).with(name+" of nobody", map[string]string{name: absent})}
		if name == "tag_name" { // of the same repository, but another artifact
			group = append(group, own.with("tag of a sibling", map[string]string{name: own.values["sibling"]}))
		}
		groups = append(groups, group)
	}
	return groups
}
