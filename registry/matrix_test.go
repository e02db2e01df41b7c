package registry

import (
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
)

// templates writes what a path names as a route, with the parameters of the
// rights matrix.
var templates = map[kind]string{
	kindBase:      "/v2/",
	kindCatalog:   "/v2/_catalog",
	kindTags:      "/v2/:repository/tags/list",
	kindManifest:  "/v2/:repository/manifests/:manifest",
	kindBlob:      "/v2/:repository/blobs/:blob",
	kindUploads:   "/v2/:repository/blobs/uploads/",
	kindUpload:    "/v2/:repository/blobs/uploads/:upload",
	kindReferrers: "/v2/:repository/referrers/:manifest",
}

// testdata/routes.txt is what the rights matrix of package web walks: a route
// that is not in it would have been looked at by nobody.
func TestRoutesAreInTheMatrix(t *testing.T) {
	got := tokenRoutes()
	for k, methods := range handlers {
		template, ok := templates[k]
		if !ok {
			t.Errorf("the kind of path %d has no template", k)
		}
		for method := range methods {
			got = append(got, method+" "+template)
		}
	}
	slices.Sort(got)
	text, err := os.ReadFile("testdata/routes.txt")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Split(strings.TrimSpace(string(text)), "\n"); !slices.Equal(got, want) {
		t.Errorf("testdata/routes.txt and the table of rights in web have to follow the routes, which are now:\n%s", strings.Join(got, "\n"))
	}
}

// A template leads to its kind, so that the matrix tests what it says.
func TestTemplatesParse(t *testing.T) {
	fill := strings.NewReplacer(":repository", "p/r", ":manifest", "latest", ":blob", "sha256:"+strings.Repeat("a", 64), ":upload", "u")
	for k, template := range templates {
		path := fill.Replace(template)
		if k == kindReferrers {
			path = strings.ReplaceAll(path, "latest", "sha256:"+strings.Repeat("a", 64))
		}
		if got, err := parsePath(httptest.NewRequest("GET", path, nil)); err != nil || got.kind != k {
			t.Errorf("%s is of kind %d (%v), want %d", path, got.kind, err, k)
		}
	}
}

// tokenRoutes are the methods that the token service says it takes.
func tokenRoutes() []string {
	w := httptest.NewRecorder()
	New(Options{}).TokenService().ServeHTTP(w, httptest.NewRequest("TRACE", "/service/token", nil))
	var all []string
	for method := range strings.SplitSeq(w.Header().Get("Allow"), ", ") {
		all = append(all, method+" /service/token")
	}
	return all
}
