package assets_test

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/assets"
)

func ask(t *testing.T, path, encoding string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	r.Header.Set("Accept-Encoding", encoding)
	w := httptest.NewRecorder()
	assets.Handler().ServeHTTP(w, r)
	return w
}

func names(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("files")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestEveryFileIsServedForGood(t *testing.T) {
	total := 0
	for _, name := range names(t) {
		content, err := os.ReadFile("files/" + name)
		if err != nil {
			t.Fatal(err)
		}
		plain, zipped := ask(t, assets.URL(name), "br"), ask(t, assets.URL(name), "br, gzip")
		if plain.Code != 200 || plain.Body.String() != string(content) || plain.Header().Get("Content-Type") == "" {
			t.Errorf("%s is served as %d %q", name, plain.Code, plain.Header())
		}
		if plain.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control is %q", name, plain.Header().Get("Cache-Control"))
		}
		total += zipped.Body.Len()
		if zipped.Header().Get("Content-Encoding") != "gzip" {
			continue // so small that gzip makes it larger
		}
		r, err := gzip.NewReader(zipped.Body)
		if err != nil {
			t.Fatal(err)
		}
		if unpacked, err := io.ReadAll(r); err != nil || string(unpacked) != string(content) {
			t.Errorf("%s differs when it is compressed: %v", name, err)
		}
	}
	t.Logf("all assets together are %d bytes on the wire", total)
	if total > 60<<10 {
		t.Errorf("all assets together are %d bytes: a first page must stay below 100 kB", total)
	}
}

func TestOtherAddressesAreUnknown(t *testing.T) {
	for _, path := range []string{"/assets/", "/assets/breakwater.css", "/assets/000000000000/breakwater.css",
		assets.URL(""), assets.URL("../assets.go"), assets.URL("files/breakwater.css")} {
		if w := ask(t, path, ""); w.Code != 404 {
			t.Errorf("%s = %d, want 404", path, w.Code)
		}
	}
}

func TestGzipOnlyWhereItIsTaken(t *testing.T) {
	for header, want := range map[string]bool{"gzip": true, "deflate, GZIP;q=0.5": true, "gzip;q=0": false, "gzip; q=0.0": false, "": false, "br": false} {
		if got := ask(t, assets.URL("breakwater.css"), header).Header().Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("Accept-Encoding %q: gzip is %v, want %v", header, got, want)
		}
	}
}

// The files of others are what NOTICE says that they are.
func TestNotice(t *testing.T) {
	notice, err := os.ReadFile("NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"htmx.js", "hx-sse.js"} {
		content, err := os.ReadFile("files/" + name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		if !strings.Contains(string(notice), "files/"+name) || !strings.Contains(string(notice), hex.EncodeToString(sum[:])) {
			t.Errorf("NOTICE does not have the checksum of %s", name)
		}
	}
}

// What the content security policy forbids is not in our own files either.
func TestOwnFilesKeepTheRules(t *testing.T) {
	forbidden := regexp.MustCompile(`(?i)!important|data:|@import|https?://(?:[^w]|w[^w])|\beval\(|innerHTML|new Function`)
	for _, name := range names(t) {
		if slices.Contains([]string{"htmx.js", "hx-sse.js"}, name) {
			continue
		}
		content, err := os.ReadFile("files/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if found := forbidden.Find(content); found != nil {
			t.Errorf("%s has %q", name, found)
		}
	}
	script, err := os.ReadFile("files/app.js")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(script), "\n"); n >= 150 {
		t.Errorf("app.js has %d lines: behaviour belongs to HTML where it can", n)
	}
}
