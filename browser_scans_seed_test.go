package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

// flaw is a vulnerability of an Alpine package, as the feed of a test has it.
type flaw struct {
	id, pkg, fixed, severity, text string
}

// flaws are what the images of the tests have; a package of Python is last.
var flaws = []flaw{
	{"CVE-2026-1001", "openssl", "3.1.5-r0", "Critical", "Heap overflow while checking X.509 name constraints."},
	{"CVE-2026-1002", "openssl", "3.1.4-r0", "High", "Reading past a buffer in certificate name checks ends the process."},
	{"CVE-2026-1003", "busybox", "1.36.1-r2", "High", "Use after free in the awk applet."},
	{"CVE-2026-1004", "busybox", "", "Medium", "A crafted archive writes outside of its folder."},
	{"CVE-2026-1005", "zlib", "1.2.13-r1", "Medium", "Integer overflow in the deflate header."},
	{"CVE-2026-1006", "curl", "8.4.0-r0", "Low", "A cookie is sent to the wrong host."},
	{"CVE-2026-1007", "curl", "", "Negligible", "The progress bar can be made to flicker."},
	{"CVE-2026-1008", "musl", "1.2.4-r2", "Unknown", ""},
}

// feedOfFlaws is a file as clairctl exports it.
func feedOfFlaws(flaws []flaw) string {
	var b strings.Builder
	line := func(updater, ref string, vuln map[string]any) {
		vuln["updater"], vuln["issued"] = updater, "2026-01-02T00:00:00Z"
		text, err := json.Marshal(map[string]any{"Updater": updater, "Fingerprint": "x", "Date": "2026-10-01T06:00:00Z", "Ref": ref, "Vuln": vuln, "Kind": "vulnerability"})
		if err != nil {
			panic(err)
		}
		b.Write(append(text, '\n'))
	}
	for _, f := range flaws {
		line("alpine-main-v3.18-updater", "33333333-3333-4333-8333-333333333333", map[string]any{"name": f.id, "description": f.text,
			"links": "https://security.example/" + f.id + " http://tracker.example/" + f.id + " javascript:alert(1)", "normalized_severity": f.severity,
			"package": map[string]any{"name": f.pkg, "kind": "source"}, "fixed_in_version": f.fixed,
			"distribution": map[string]any{"did": "alpine", "name": "Alpine Linux", "version_id": "3.18", "pretty_name": "Alpine Linux v3.18"}})
	}
	line("osv/pypi", "44444444-4444-4444-8444-444444444444", map[string]any{"name": "GHSA-test-0001 CVE-2026-2001", "description": "Templates of strangers run code.",
		"links": "https://security.example/CVE-2026-2001", "severity": "High", "normalized_severity": "High", "fixed_in_version": "fixed=3.1.3",
		"package": map[string]any{"name": "jinja2", "kind": "binary"}, "repository": map[string]any{"name": "pypi", "uri": "https://pypi.org/simple"}})
	return b.String()
}

// importFeed gives the registry the feed and waits until it is there.
func importFeed(t *testing.T, srv *testenv.Server, feed string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/api/v2.0/system/feeds/import", strings.NewReader(feed))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(srv.AdminUser, srv.AdminPassword)
	answer, err := srv.Client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		t.Fatalf("import = %s", answer.Status)
	}
	awaitAnswer(t, srv, answer.Header.Get("Location"), `"status":"Success"`)
}

// awaitAnswer asks until the answer of the API holds the text.
func awaitAnswer(t *testing.T, srv *testenv.Server, path, want string) {
	t.Helper()
	becomes(t, path+" has "+want, time.Minute, func() bool {
		body, err := io.ReadAll(srv.Do(t, http.MethodGet, path, srv.AdminUser, srv.AdminPassword, nil).Body)
		return err == nil && strings.Contains(string(body), want)
	})
}

func layerOfFiles(t *testing.T, files map[string]string) v1.Layer {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for path, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return static.NewLayer(buf.Bytes(), types.OCIUncompressedLayer)
}

func installed(packages ...string) string {
	var database strings.Builder
	for _, pkg := range packages {
		name, version, _ := strings.Cut(pkg, "=")
		fmt.Fprintf(&database, "C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:%s\nV:%s\nA:x86_64\nS:1\nI:1\nT:test\nL:MIT\no:%s\nt:1\n\n", name, version, name)
	}
	return database.String()
}

const (
	osRelease  = "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.18.4\nPRETTY_NAME=\"Alpine Linux v3.18\"\n"
	apkFile    = "lib/apk/db/installed"
	jinjaFile  = "usr/lib/python3.11/site-packages/jinja2-3.1.2.dist-info/METADATA"
	jinjaAbout = "Metadata-Version: 2.1\nName: jinja2\nVersion: 3.1.2\n\n"
)

// alpine is an image of a base, a step that adds packages to it and, where app
// says so, an application in Python.
func alpine(t *testing.T, app bool, base, added []string) v1.Image {
	t.Helper()
	steps := []mutate.Addendum{
		{History: v1.History{CreatedBy: "/bin/sh -c #(nop) ADD file:5d68d27cc15a80653c93d3a0b262a28112d47a46326ff5fc2dfbf7fa3b9a0ce8 in / "},
			Layer: layerOfFiles(t, map[string]string{"etc/os-release": osRelease, apkFile: installed(base...)})},
		{History: v1.History{CreatedBy: `/bin/sh -c #(nop)  CMD ["/bin/sh"]`, EmptyLayer: true}},
		{History: v1.History{CreatedBy: "RUN /bin/sh -c apk add --no-cache curl # buildkit"},
			Layer: layerOfFiles(t, map[string]string{apkFile: installed(append(base, added...)...)})},
	}
	if app {
		steps = append(steps, mutate.Addendum{History: v1.History{CreatedBy: "RUN /bin/sh -c pip install jinja2==3.1.2 # buildkit"},
			Layer: layerOfFiles(t, map[string]string{jinjaFile: jinjaAbout})})
	}
	image, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), steps...)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.Architecture, config.OS = "amd64", "linux"
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	return image
}

func pushAlpine(t *testing.T, srv *testenv.Server, name string, image v1.Image) {
	t.Helper()
	if err := remote.Write(reference(t, srv, name), image, remoteAs(t, srv)...); err != nil {
		t.Fatal(err)
	}
}

// The packages of the images of the tests.
var (
	oldPackages   = []string{"musl=1.2.4-r1", "busybox=1.36.1-r0", "openssl=3.1.3-r0", "zlib=1.2.13-r0"}
	olderCurl     = []string{"curl=8.3.0-r0"}
	freshPackages = []string{"musl=1.2.4-r2", "busybox=1.36.1-r2", "openssl=3.1.5-r0", "zlib=1.2.13-r1"}
)
