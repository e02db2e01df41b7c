package scanner_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quay/claircore/datastore"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/scanner/feeds"
)

// feedMirror serves feeds in their real formats: the excerpts of scanner/feeds,
// and larger ones of this folder.
type feedMirror struct {
	*httptest.Server
	files map[string][]byte
}

func newFeedMirror(t testing.TB) *feedMirror {
	t.Helper()
	m := &feedMirror{files: map[string][]byte{}}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, ok := m.files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(content)))
		http.ServeContent(w, r, "", time.Date(2024, 10, 1, 0, 0, 0, 0, time.UTC), bytes.NewReader(content))
	}))
	t.Cleanup(m.Close)
	m.fill(t)
	return m
}

// read returns a file of the test data.
func read(t testing.TB, name ...string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(name...))
	must(t, err)
	return content
}

func (m *feedMirror) fill(t testing.TB) {
	m.files["/alpine/secdb/last-update"] = []byte("1727762400\n")
	m.files["/alpine/secdb/v3.11/"] = []byte("<html></html>")
	// The updater begins with the oldest release and ends at the first that is absent.
	for minor := 3; minor <= 11; minor++ {
		folder := fmt.Sprintf("/alpine/secdb/v3.%d/", minor)
		m.files[folder], m.files[folder+"main.json"] = []byte("<html></html>"), read(t, "feeds", "testdata", "alpine", "main.json")
	}
	m.files["/alpine/secdb/v3.11/main.json"] = read(t, "testdata", "alpine", "main.json")
	m.files["/debian/json"] = read(t, "testdata", "debian", "tracker.json")
	m.files["/debian/archive/dists/"] = []byte(`<a href="../">..</a> <a href="bookworm/">bookworm/</a>`)
	m.files["/debian/archive/dists/bookworm/Release"] = []byte("Origin: Debian\nLabel: Debian\nSuite: stable\nVersion: 12.8\nCodename: bookworm\nDate: Sat, 09 Nov 2024 10:00:00 UTC\n")
	m.files["/ubuntu/launchpad/ubuntu/series"] = []byte(`{"start": 0, "total_size": 1, "entries": [{"active": true, "name": "jammy", "version": "22.04"}]}`)
	m.files["/ubuntu/oval/com.ubuntu.jammy.cve.oval.xml"] = read(t, "feeds", "testdata", "ubuntu", "com.ubuntu.jammy.cve.oval.xml")
	m.files["/redhat/metrics/repository-to-cpe.json"] = []byte(mappingOf416)
	m.files["/redhat/metrics/container-name-repos-map.json"] = read(t, "feeds", "testdata", "redhat", "container-name-repos-map.json")
	m.files["/redhat/vex/archive_latest.txt"] = []byte("csaf_vex_2024-10-01.tar.zst\n")
	m.files["/redhat/vex/csaf_vex_2024-10-01.tar.zst"] = zstded(t, vexArchive(t, "feeds/testdata/redhat/cve-2024-24786.json"))
	m.files["/redhat/vex/changes.csv"] = []byte(`"2024/cve-2024-24786.json","2024-09-01T00:00:00+00:00"` + "\n")
	m.files["/redhat/vex/deletions.csv"] = []byte(`"2024/cve-2024-0001.json","2024-09-01T00:00:00+00:00"` + "\n")
	for year := 2002; year <= time.Now().Year(); year++ {
		m.files[fmt.Sprintf("/oracle/oval/com.oracle.elsa-%d.xml.bz2", year)] = read(t, "feeds", "testdata", "oracle", "empty.xml.bz2")
		m.nvd(t, year, []byte(`{"totalResults": 0, "vulnerabilities": []}`))
	}
	m.files["/oracle/oval/com.oracle.elsa-2018.xml.bz2"] = read(t, "feeds", "testdata", "oracle", "com.oracle.elsa-2018.xml.bz2")
	m.nvd(t, 2024, read(t, "testdata", "nvd", "nvdcve.json"))
	m.files["/osv/osv/ecosystems.txt"] = []byte("Go\n")
	m.files["/osv/osv/Go/all.zip"] = read(t, "testdata", "osv", "Go.zip")
	m.files["/kev/known_exploited_vulnerabilities.json"] = read(t, "testdata", "kev", "kev.json")
}

// mappingOf416 leads from a repository to the product of the VEX document.
const mappingOf416 = `{"data":{"rhocp-4.16-for-rhel-9-aarch64-rpms":{"cpes":["cpe:/a:redhat:openshift:4.16::el9"]}}}`

func (m *feedMirror) nvd(t testing.TB, year int, content []byte) {
	m.files[fmt.Sprintf("/nvd/cve/nvdcve-2.0-%d.meta", year)] = fmt.Appendf(nil, "lastModifiedDate:2024-10-01T03:00:00-04:00\r\nsize:%d\r\nsha256:%X\r\n", len(content), sha256.Sum256(content))
	m.files[fmt.Sprintf("/nvd/cve/nvdcve-2.0-%d.json.gz", year)] = gzipped(t, content)
}

func vexArchive(t testing.TB, names ...string) []byte {
	t.Helper()
	var files []file
	for _, name := range names {
		files = append(files, file{"2024/" + path.Base(name), string(read(t, filepath.FromSlash(name)))})
	}
	archive := layer(t, files...)
	if _, err := tar.NewReader(bytes.NewReader(archive)).Next(); err != nil {
		t.Fatal(err)
	}
	return archive
}

// load reads feeds from the mirror into a database, as the registry does.
func (m *feedMirror) load(t testing.TB, into datastore.Updater, mappings string, names ...string) {
	t.Helper()
	runner := &feeds.Runner{Store: into, Mappings: feeds.MappingFolder(mappings), Agent: "test", Limits: feeds.DefaultLimits(), Log: slog.New(slog.DiscardHandler)}
	for _, name := range names {
		set, err := core.FindFeedSet(name)
		must(t, err)
		feed := core.Feed{FeedSet: set, Enabled: true, URLs: map[string]string{}}
		for _, source := range set.Sources {
			feed.URLs[source.Name] = m.URL + "/" + name + "/" + source.Name + "/"
			if !strings.HasSuffix(source.URL, "/") {
				feed.URLs[source.Name] = m.URL + "/" + name + "/" + path.Base(source.URL)
			}
		}
		result, err := runner.Update(t.Context(), feeds.Wish{Feed: feed}, func(feeds.Progress) {})
		must(t, err)
		if result.Error != "" {
			t.Fatalf("feed %s: %s", name, result.Error)
		}
		for _, part := range result.Parts {
			if part.Error != "" {
				t.Fatalf("feed %s, part %s: %s", name, part.Name, part.Error)
			}
		}
	}
}
