package registry

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestParsePath(t *testing.T) {
	sum := "sha256:" + strings.Repeat("a", 64)
	tests := []struct {
		path string
		want target
	}{
		{"/v2/", target{kind: kindBase}},
		{"/v2/_catalog", target{kind: kindCatalog}},
		{"/v2/p/r/manifests/latest", target{kindManifest, "p/r", "latest"}},
		{"/v2/p/r/manifests/" + sum, target{kindManifest, "p/r", sum}},
		{"/v2/p/r/s/blobs/" + sum, target{kindBlob, "p/r/s", sum}},
		{"/v2/p/r/blobs/uploads/", target{kindUploads, "p/r", ""}},
		{"/v2/p/r/blobs/uploads", target{kindUploads, "p/r", ""}},
		{"/v2/p/r/blobs/uploads/abc", target{kindUpload, "p/r", "abc"}},
		{"/v2/p/r/tags/list", target{kindTags, "p/r", ""}},
		{"/v2/p/r/referrers/" + sum, target{kindReferrers, "p/r", sum}},
		{"/v2/p/blobs/manifests/x/manifests/v1", target{kindManifest, "p/blobs/manifests/x", "v1"}},
		{"/v2/p/manifests/tags/list", target{kindTags, "p/manifests", ""}},
	}
	for _, tt := range tests {
		got, err := parsePath(httptest.NewRequest("GET", tt.path, nil))
		if err != nil || got != tt.want {
			t.Errorf("parsePath(%s) = %+v, %v, want %+v", tt.path, got, err, tt.want)
		}
	}
}

func TestParsePathRefuses(t *testing.T) {
	sum := "sha256:" + strings.Repeat("a", 64)
	tests := []struct{ path, code string }{
		{"/v2/r/manifests/latest", "NAME_INVALID"},
		{"/v2/P/r/manifests/latest", "NAME_INVALID"},
		{"/v2/p/../r/manifests/latest", "NAME_INVALID"},
		{"/v2/p//r/manifests/latest", "NAME_INVALID"},
		{"/v2/p/r%2fs/manifests/latest", "NAME_INVALID"},
		{"/v2/p/r%00/manifests/latest", "NAME_INVALID"},
		{"/v2/" + strings.Repeat("a", 300) + "/b/manifests/latest", "NAME_INVALID"},
		{"/v2/p/r/manifests/-bad", "TAG_INVALID"},
		{"/v2/p/r/manifests/" + strings.Repeat("a", 129), "TAG_INVALID"},
		{"/v2/p/r/manifests/sha256:abc", "DIGEST_INVALID"},
		{"/v2/p/r/manifests/md5:" + strings.Repeat("a", 32), "DIGEST_INVALID"},
		{"/v2/p/r/blobs/sha256:" + strings.Repeat("A", 64), "DIGEST_INVALID"},
		{"/v2/p/r/blobs/latest", "DIGEST_INVALID"},
		{"/v2/_catalog/", "UNSUPPORTED"},
		{"/v2/p/r", "UNSUPPORTED"},
		{"/v2/p/r/tags/list/", "UNSUPPORTED"},
		{"/v2/p/r/blobs/" + sum + "/x", "UNSUPPORTED"},
	}
	for _, tt := range tests {
		u, err := url.Parse(tt.path)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.URL = u
		_, err = parsePath(r)
		if err == nil || problemOf(err).code != tt.code {
			t.Errorf("parsePath(%s) = %v, want %s", tt.path, err, tt.code)
		}
	}
}

// A path that parses names a repository and a reference of the specification's
// grammar, whatever was asked for: nothing else may reach the use cases.
func FuzzParsePath(f *testing.F) {
	for _, seed := range []string{"p/r/manifests/latest", "p/../r/manifests/x", "p/r/blobs/uploads/", "a/b/blobs/sha256:" + strings.Repeat("0", 64)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL = &url.URL{Path: "/v2/" + path}
		got, err := parsePath(r)
		if err != nil || got.kind == kindBase || got.kind == kindCatalog {
			return
		}
		if checkName(got.repository) != nil || strings.Contains(got.repository, "..") || strings.ContainsAny(got.repository, "\\%\x00 ") {
			t.Errorf("%q names the repository %q", path, got.repository)
		}
		if strings.Contains(got.reference, "/") {
			t.Errorf("%q has the reference %q", path, got.reference)
		}
	})
}

func TestParseContentRange(t *testing.T) {
	tests := []struct {
		header        string
		start, length int64
		ok            bool
	}{
		{"0-9", 0, 10, true},
		{"10-19", 10, 10, true},
		{"bytes 0-9/100", 0, 10, true},
		{"bytes=5-5", 5, 1, true},
		{"9-0", 0, 0, false},
		{"-5", 0, 0, false},
		{"5-", 0, 0, false},
		{"a-b", 0, 0, false},
		{"", 0, 0, false},
		{"0-9999999999999999999", 0, 0, false},
	}
	for _, tt := range tests {
		start, length, ok := parseContentRange(tt.header)
		if start != tt.start || length != tt.length || ok != tt.ok {
			t.Errorf("parseContentRange(%q) = %d, %d, %v", tt.header, start, length, ok)
		}
	}
}

func FuzzParseContentRange(f *testing.F) {
	f.Add("0-9")
	f.Add("bytes 1-2/*")
	f.Fuzz(func(t *testing.T, header string) {
		if start, length, ok := parseContentRange(header); ok && (start < 0 || length < 1) {
			t.Errorf("%q gives %d bytes from %d", header, length, start)
		}
	})
}
