package web_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// document is the OpenAPI document as a client gets it.
func document(t *testing.T, handler http.Handler, path string) *openapi3.T {
	t.Helper()
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	if rec.Code != http.StatusOK {
		t.Fatalf("GET %s = %d %s", path, rec.Code, rec.Body)
	}
	doc, err := openapi3.NewLoader().LoadFromData(rec.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// operations are those of the document, by method and whole path in echo's
// syntax.
func operations(doc *openapi3.T) map[string]*openapi3.Operation {
	parameter := regexp.MustCompile(`\{(\w+)\}`)
	all := map[string]*openapi3.Operation{}
	for path, item := range doc.Paths.Map() {
		base := doc.Servers[0].URL
		if len(item.Servers) > 0 {
			base = strings.TrimSuffix(item.Servers[0].URL, "/")
		}
		for method, operation := range item.Operations() {
			all[method+" "+base+parameter.ReplaceAllString(path, ":$1")] = operation
		}
	}
	return all
}

func TestOpenAPIIsValid(t *testing.T) {
	s := newServer(t)
	doc := document(t, s.handler, "/api/v2.0/openapi.yaml")
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	asJSON := document(t, s.handler, "/api/v2.0/openapi.json")
	if a, b := slices.Sorted(maps.Keys(operations(doc))), slices.Sorted(maps.Keys(operations(asJSON))); !slices.Equal(a, b) {
		t.Errorf("YAML and JSON have different operations:\n%v\n%v", a, b)
	}
	for key, operation := range operations(doc) {
		for name, response := range operation.Responses.Map() {
			if response.Value == nil || response.Value.Description == nil || *response.Value.Description == "" {
				t.Errorf("%s: the answer %s has no description", key, name)
			}
		}
	}
}

// The document has exactly the routes that there are, and says of each whether
// it can be used without credentials as the rights matrix does.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	w := newWorld(t, nil)
	declared := operations(document(t, w.handler, "/api/v2.0/openapi.yaml"))
	for _, route := range w.routes {
		if strings.Contains(route, " /v2/") || strings.Contains(route, " /service/") || isPage(route) {
			continue // the distribution specification describes those, and pages are for people
		}
		if declared[route] == nil {
			t.Errorf("%s is not in openapi.yaml", route)
		}
		delete(declared, route)
	}
	for route := range declared {
		t.Errorf("openapi.yaml has %s, which is no route", route)
	}
}

func TestOpenAPISecurity(t *testing.T) {
	declared := operations(document(t, newServer(t).handler, "/api/v2.0/openapi.yaml"))
	open := map[string]bool{"POST /api/v2.0/users": true} // self-registration
	for key, e := range table {
		method, path := split(key)
		public := e.rule.scope == inProject && core.RolePublic.Allows(e.rule.permission.Resource, e.rule.permission.Action)
		if e.rule.scope == anyone || public {
			open[method+" "+path] = true
		}
	}
	for route, operation := range declared {
		optional := operation.Security != nil && slices.ContainsFunc(*operation.Security, func(r openapi3.SecurityRequirement) bool { return len(r) == 0 })
		if optional != open[route] {
			t.Errorf("%s can be used without credentials: %v, but openapi.yaml says %v", route, open[route], optional)
		}
	}
}

// checker compares answers with the document.
type checker struct {
	operations map[string]*openapi3.Operation
	seen       map[string]map[int]bool // statuses by route
}

func (c *checker) check(route string, rec *httptest.ResponseRecorder) error {
	operation := c.operations[route]
	if operation == nil {
		return fmt.Errorf("%s is not in the document", route)
	}
	if c.seen[route] == nil {
		c.seen[route] = map[int]bool{}
	}
	c.seen[route][rec.Code] = true
	response := operation.Responses.Value(strconv.Itoa(rec.Code))
	if response == nil {
		return fmt.Errorf("%s answers %d, which is not declared: %s", route, rec.Code, rec.Body)
	}
	for name := range response.Value.Headers {
		if name != "Link" && rec.Header().Get(name) == "" { // a list of one page has no links
			return fmt.Errorf("%s answers %d without the header %s", route, rec.Code, name)
		}
	}
	if strings.HasPrefix(route, http.MethodHead) {
		return nil
	}
	if err := checkBody(response.Value.Content, rec); err != nil {
		return fmt.Errorf("%s answers %d with %w\n%s", route, rec.Code, err, rec.Body)
	}
	return nil
}

func checkBody(content openapi3.Content, rec *httptest.ResponseRecorder) error {
	mediaType, _, _ := strings.Cut(rec.Header().Get("Content-Type"), ";")
	declared := content[mediaType]
	switch {
	case len(content) == 0 && rec.Body.Len() > 0:
		return fmt.Errorf("a body, where none is declared")
	case len(content) == 0:
		return nil
	case declared == nil:
		return fmt.Errorf("the undeclared type %q", mediaType)
	case mediaType != "application/json":
		return nil
	}
	var value any
	if err := json.Unmarshal(rec.Body.Bytes(), &value); err != nil {
		return err
	}
	if err := declared.Schema.Value.VisitJSON(value, openapi3.VisitAsResponse()); err != nil {
		return err
	}
	return undeclared(declared.Schema.Value, value, "")
}

// undeclared finds properties that the document does not tell of.
func undeclared(schema *openapi3.Schema, value any, at string) error {
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			if err := undeclared(schema.Items.Value, item, at+"[]"); err != nil {
				return err
			}
		}
	case map[string]any:
		for key, inner := range v {
			property := schema.Properties[key]
			if property == nil {
				property = schema.AdditionalProperties.Schema
			}
			if property == nil && schema.AdditionalProperties.Has != nil && *schema.AdditionalProperties.Has {
				continue
			}
			if property == nil {
				return fmt.Errorf("the undeclared property %s.%s", at, key)
			}
			if err := undeclared(property.Value, inner, at+"."+key); err != nil {
				return err
			}
		}
	}
	return nil
}

// The requests of the rights matrix, and bad ones, are answered with statuses
// and bodies that the document declares.
func TestAnswersFollowOpenAPI(t *testing.T) {
	m := &matrix{world: newWorld(t, nil)}
	c := &checker{operations(document(t, m.handler, "/api/v2.0/openapi.yaml")), map[string]map[int]bool{}}
	for _, key := range slices.Sorted(maps.Keys(table)) {
		method, path := split(key)
		if !strings.HasPrefix(path, "/v2/") && !strings.HasPrefix(path, "/service/") {
			t.Run(key, func(t *testing.T) { m.tour(t, c, method+" "+path, key) })
		}
	}
	for route := range c.operations {
		if success := slices.ContainsFunc(slices.Collect(maps.Keys(c.seen[route])), func(status int) bool { return status < 300 }); !success {
			t.Errorf("%s was never answered with a success", route)
		}
	}
}

// tour sends the requests of one entry as three callers, and bad ones.
func (m *matrix) tour(t *testing.T, c *checker, route, key string) {
	e := table[key]
	verify := func(rec *httptest.ResponseRecorder) {
		t.Helper()
		if err := c.check(route, rec); err != nil {
			t.Error(err)
		}
		if m.changed(t) != nil {
			m.restore(t)
		}
	}
	for _, p := range []*person{m.people[0], m.named("developer"), m.named("padmin"), m.sysadmin} {
		for _, group := range m.places(key, e, p) {
			for _, at := range group {
				rec, _ := m.request(t, cell{person: p, place: at, key: key, entry: e})
				verify(rec)
			}
		}
	}
	own := cell{person: m.sysadmin, place: m.places(key, e, m.sysadmin)[0][0], key: key, entry: e}
	if strings.Contains(e.query, "q=") || strings.Contains(e.query, "page") {
		own.entry.query = "q=nosuchfield=1&page_size=1000"
		rec, _ := m.request(t, own)
		verify(rec)
	}
	own.entry.query = "a=%zz"
	rec, _ := m.request(t, own)
	verify(rec)
	own.entry = e
	if e.body != "" && e.form == "" {
		for _, body := range []string{"", "{", "[]", `{"a":1,"a":2}`, `{"name":7,"role_id":"x","hard":1,"email":{}}`, `{"metadata":{"prevent_vul":"true"}}`,
			`{"pad":"` + strings.Repeat("a", 1<<20) + `"}`} {
			own.entry.body = body
			rec, _ := m.request(t, own)
			verify(rec)
		}
	}
	if e.body != "" && strings.HasPrefix(key, http.MethodPost) { // the same thing once more
		own.entry = e
		m.request(t, own)
		rec, _ := m.request(t, own)
		verify(rec)
	}
}

func (m *matrix) named(name string) *person {
	return m.people[slices.IndexFunc(m.people, func(p *person) bool { return p.name == name })]
}

// The shapes of requests are declared too: the bodies of the matrix, which
// succeed, obey them.
func TestRequestsFollowOpenAPI(t *testing.T) {
	declared := operations(document(t, newServer(t).handler, "/api/v2.0/openapi.yaml"))
	names, numbers := regexp.MustCompile(`\{\w+\}`), regexp.MustCompile(`:\{\w+\}`)
	for key, e := range table {
		method, path := split(key)
		operation := declared[method+" "+path]
		if operation == nil || e.form != "" {
			continue
		}
		if (operation.RequestBody != nil) != (e.body != "") {
			t.Errorf("%s: a body is declared: %v, needed: %v", key, operation.RequestBody != nil, e.body != "")
			continue
		}
		if e.body == "" {
			continue
		}
		var body any
		text := names.ReplaceAllString(numbers.ReplaceAllString(e.body, ":1"), "name")
		if err := json.Unmarshal([]byte(text), &body); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		schema := operation.RequestBody.Value.Content["application/json"].Schema.Value
		if err := schema.VisitJSON(body, openapi3.VisitAsRequest()); err != nil {
			t.Errorf("%s: %s: %v", key, e.body, err)
		}
	}
}

// Path parameters of the document are those of the path.
func TestOpenAPIParameters(t *testing.T) {
	doc := document(t, newServer(t).handler, "/api/v2.0/openapi.yaml")
	for path, item := range doc.Paths.Map() {
		var want, got []string
		for _, match := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(path, -1) {
			want = append(want, match[1])
		}
		for _, parameter := range item.Parameters {
			if parameter.Value.In == openapi3.ParameterInPath {
				got = append(got, parameter.Value.Name)
			}
		}
		if slices.Sort(want); !reflect.DeepEqual(want, slices.Sorted(slices.Values(got))) {
			t.Errorf("%s declares the parameters %v", path, got)
		}
	}
}
