package web_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// spelled returns other ways to write a path: what is authorised must be what
// is used (CVE-2020-29662).
func spelled(path string, of place) []string {
	name, id := of.values["project"], of.values["project_id"]
	all := []string{path + "/", path + "//", "/" + path, strings.ToUpper(path[:8]) + path[8:], path + "%00", path + "%2f", path + ";a=b", path + "/."}
	for _, other := range []string{"own-project/../" + name, "own-project%2f..%2f" + name, "./" + name, "%2e/" + name, "own-project%2f%2e%2e%2f" + name,
		"%7a" + name[1:], "%257a" + name[1:], name + "%00", name + "%20", name + ".", "/" + name, strings.ToUpper(name)} {
		all = append(all, strings.ReplaceAll(path, "/"+name, "/"+other))
	}
	for _, other := range []string{"+" + id, "0" + id, id + ".0", "%20" + id, id + "%00", "%2b" + id} {
		all = append(all, strings.ReplaceAll(path, "/"+name, "/"+other), strings.ReplaceAll(path, "/"+id, "/"+other))
	}
	return slices.DeleteFunc(slices.Compact(all), func(s string) bool { return s == path })
}

// spellings tries the foreign project under other names.
func (m *matrix) spellings(t *testing.T) {
	developer := m.named("developer")
	for _, key := range slices.Sorted(maps.Keys(table)) {
		e := table[key]
		_, path := split(key)
		if e.rule.scope != inProject || !mentionsProject(path) {
			continue
		}
		at := m.prepared(m.foreign, e)
		for _, url := range spelled(at.fill(path), at) {
			for _, p := range []*person{developer, m.people[0]} {
				rec := m.requestAt(t, cell{person: p, place: at, key: key, entry: e}, url)
				if rec.Code < 400 || rec.Code >= 500 {
					t.Errorf("%s at %s as %s = %d %s", key, url, p.name, rec.Code, rec.Body)
				}
			}
		}
		if changed := m.changed(t); changed != nil {
			t.Fatalf("%s under another spelling changed %v", key, changed)
		}
	}
}

// contentOfOthers tries to get at what is in the foreign project through the
// caller's own: a digest that somebody else has must be worth nothing.
func (m *matrix) contentOfOthers(t *testing.T) {
	developer := m.named("developer")
	const uploads, artifacts = "/v2/own-project/app/blobs/uploads/", "/api/v2.0/projects/own-project/repositories/app/artifacts"
	tests := []struct {
		what, method, url, form, body string
		want                          int
		code                          string
	}{
		{"mount from its repository", "POST", uploads + "?mount={layer}&from={repository}", "", "", 202, ""},
		{"mount from the own repository", "POST", uploads + "?mount={layer}&from=own-project/app", "", "", 202, ""},
		{"a manifest with its layer", "PUT", "/v2/own-project/app/manifests/new", manifestType, m.own.but(map[string]string{"layer": "{layer}"}).fill(manifestOf("", "")), 404, "MANIFEST_BLOB_UNKNOWN"},
		{"an index of its image", "PUT", "/v2/own-project/app/manifests/new", "application/vnd.oci.image.index.v1+json",
			`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"` + manifestType + `","digest":"{reference}","size":1}]}`, 404, "MANIFEST_BLOB_UNKNOWN"},
		{"a copy by digest", "POST", artifacts + "?from={repository}@{reference}", "", "", 403, "FORBIDDEN"},
		{"a copy by tag", "POST", artifacts + "?from={repository}:{tag_name}", "", "", 403, "FORBIDDEN"},
		{"a copy from the own repository", "POST", artifacts + "?from=own-project/app@{reference}", "", "", 404, "NOT_FOUND"},
	}
	for _, tt := range tests {
		answers := map[string]string{}
		for _, at := range []place{m.foreign, m.absent} {
			rec := m.send(t, developer, tt.method, at.fill(tt.url), tt.form, at.fill(tt.body))
			if rec.Code != tt.want || !strings.Contains(rec.Body.String(), tt.code) {
				t.Errorf("%s: %s = %d %s, want %d %s", tt.what, at.label, rec.Code, rec.Body, tt.want, tt.code)
			}
			for _, header := range []string{"Location", "Docker-Upload-Uuid"} { // of an upload: random
				rec.Header().Del(header)
			}
			answers[answer(rec, at)] = at.label
		}
		if len(answers) > 1 {
			t.Errorf("%s tells hidden content from absent:\n%s", tt.what, describeAnswers(answers))
		}
		if changed := m.changed(t); changed != nil {
			t.Errorf("%s changed %v", tt.what, changed)
		}
	}
	m.subjectOfOthers(t, developer)
	m.looseBlobs(t)
}

// looseBlobs reads a blob that no manifest uses yet: it is there for those who
// may push the manifest, and for nobody else.
func (m *matrix) looseBlobs(t *testing.T) {
	for _, tt := range []struct {
		name       string
		want, open int
	}{{"anonymous", 401, 404}, {"stranger", 403, 404}, {"guest", 404, 404}, {"developer", 200, 404}, {"robot puller", 404, 404}, {"admin", 200, 200}} {
		for _, at := range []place{m.own, m.open} {
			want := map[bool]int{false: tt.want, true: tt.open}[at.public]
			if rec := m.send(t, m.named(tt.name), "GET", at.fill("/v2/:repository/blobs/:blob"), "", ""); rec.Code != want {
				t.Errorf("a loose blob of %s for %s = %d, want %d: %s", at.label, tt.name, rec.Code, want, rec.Body)
			}
		}
	}
}

// subjectOfOthers pushes a manifest that refers to a foreign one: it is taken,
// as the specification asks, and is seen in the own repository only.
func (m *matrix) subjectOfOthers(t *testing.T, developer *person) {
	defer m.restore(t)
	at := m.own
	body := at.fill(manifestOf("claim", m.foreign.values["reference"]))
	if rec := m.send(t, developer, "PUT", "/v2/own-project/app/manifests/"+digestOf(body), manifestType, body); rec.Code != 201 {
		t.Fatalf("a manifest with a foreign subject = %d %s", rec.Code, rec.Body)
	}
	for _, url := range []string{"/v2/:repository/referrers/:manifest", "/api/v2.0/projects/:project_name/repositories/:repository_name/artifacts/:reference/accessories"} {
		rec := m.send(t, m.sysadmin, "GET", m.foreign.fill(url), "", "")
		if rec.Code != http.StatusOK || strings.Contains(rec.Body.String(), digestOf(body)) {
			t.Errorf("GET %s = %d, with the claim of another project: %s", url, rec.Code, rec.Body)
		}
	}
}

// cookies signs in as browsers do: the session is for the API, and nothing to
// the registry and its tokens.
func (m *matrix) cookies(t *testing.T) {
	defer m.restore(t)
	login := m.send(t, nil, "POST", "/c/login", formType, "principal=keeper&password="+password)
	for _, tt := range []struct {
		path string
		want int
	}{{"/api/v2.0/users/current", 200}, {"/v2/", 401}, {"/v2/_catalog", 401}, {"/v2/zebra-vault/zebra-app/tags/list", 401}, {"/service/token", 401}} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, tt.path, nil)
		for _, cookie := range login.Result().Cookies() {
			r.AddCookie(cookie)
		}
		rec := httptest.NewRecorder()
		m.handler.ServeHTTP(rec, r)
		if rec.Code != tt.want {
			t.Errorf("GET %s with a session = %d, want %d: %s", tt.path, rec.Code, tt.want, rec.Body)
		}
	}
}
