package feeds_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// mirror serves all feeds in their real formats, each below its name, with
// entity tags and times as the upstream servers do.
type mirror struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	files    map[string]*file
	faults   map[string]string // path to what goes wrong there
	requests []string
	release  chan struct{}
}

type file struct {
	content []byte
	changed time.Time
	header  http.Header
}

var mirrorBegan = time.Date(2024, 10, 1, 6, 0, 0, 0, time.UTC)

func newMirror(t *testing.T) *mirror {
	t.Helper()
	m := &mirror{t: t, files: map[string]*file{}, faults: map[string]string{}, release: make(chan struct{})}
	m.fill()
	m.Server = httptest.NewServer(http.HandlerFunc(m.serve))
	t.Cleanup(func() { close(m.release); m.Close() })
	return m
}

func (m *mirror) put(name string, content []byte) *file {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := &file{content: content, changed: mirrorBegan, header: http.Header{}}
	if old := m.files[name]; old != nil {
		f.changed, f.header = old.changed.Add(time.Hour), old.header
	}
	m.files[name] = f
	return f
}

// touch gives the file a new time and entity tag.
func (m *mirror) touch(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := *m.files[name]
	f.changed = f.changed.Add(time.Hour)
	m.files[name] = &f
}

func (m *mirror) fault(name, kind string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if kind == "" {
		delete(m.faults, name)
	} else {
		m.faults[name] = kind
	}
}

func (m *mirror) asked() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.requests
	m.requests = nil
	return all
}

func (m *mirror) serve(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	m.requests = append(m.requests, r.Method+" "+r.URL.Path)
	f, fault := m.files[r.URL.Path], m.faults[r.URL.Path]
	m.mu.Unlock()
	if f == nil {
		http.NotFound(w, r)
		return
	}
	for name, values := range f.header {
		w.Header()[name] = values
	}
	sum := sha256.Sum256(append([]byte(f.changed.String()), f.content...))
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:8])+`"`)
	if fault == "" || r.Method == http.MethodHead {
		http.ServeContent(w, r, "", f.changed, bytes.NewReader(f.content))
		return
	}
	w.Header().Set("Last-Modified", f.changed.Format(http.TimeFormat))
	m.misbehave(w, r, fault, f.content)
}

// misbehave answers as broken servers do.
func (m *mirror) misbehave(w http.ResponseWriter, r *http.Request, fault string, content []byte) {
	half := content[:len(content)/2]
	switch fault {
	case "unavailable":
		http.Error(w, "try later", http.StatusServiceUnavailable)
	case "garbage": // a portal that wants somebody to sign in
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<html><head><title>Sign in</title></head><body>Sign in to use this network</body></html>")
	case "short": // a file that was copied in part
		_, _ = w.Write(half)
	case "cut": // a connection that breaks
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		_, _ = w.Write(half)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "slow":
		_, _ = w.Write(half)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-m.release:
		}
	case "endless": // packed files may follow one another
		for range 1 << 16 {
			if _, err := w.Write(content); err != nil {
				return
			}
		}
	case "large":
		w.Header().Set("Content-Length", strconv.Itoa(2<<20))
		_, _ = w.Write(content)
	default:
		m.t.Errorf("no such fault: %s", fault)
	}
}

// feed returns the feed with the mirror's addresses in place of upstream's.
func (m *mirror) feed(name string) core.Feed {
	m.t.Helper()
	set, err := core.FindFeedSet(name)
	if err != nil {
		m.t.Fatal(err)
	}
	feed := core.Feed{FeedSet: set, Enabled: true, URLs: map[string]string{}}
	for _, source := range set.Sources {
		feed.URLs[source.Name] = m.URL + "/" + name + "/" + source.Name + "/"
		if !strings.HasSuffix(source.URL, "/") {
			feed.URLs[source.Name] = m.URL + "/" + name + "/" + path.Base(source.URL)
		}
	}
	return feed
}

func testdata(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// fill lays out all feeds.
func (m *mirror) fill() {
	t := m.t
	for name, from := range map[string]string{
		"/debian/json": "debian/json",
		"/kev/known_exploited_vulnerabilities.json":      "kev/known_exploited_vulnerabilities.json",
		"/ubuntu/launchpad/ubuntu/series":                "ubuntu/series.json",
		"/ubuntu/oval/com.ubuntu.jammy.cve.oval.xml":     "ubuntu/com.ubuntu.jammy.cve.oval.xml",
		"/ubuntu/oval/com.ubuntu.noble.cve.oval.xml":     "ubuntu/com.ubuntu.noble.cve.oval.xml.bz2",
		"/ubuntu/oval/com.ubuntu.noble.cve.oval.xml.bz2": "ubuntu/com.ubuntu.noble.cve.oval.xml.bz2",
		"/redhat/metrics/repository-to-cpe.json":         "redhat/repository-to-cpe.json",
		"/redhat/metrics/container-name-repos-map.json":  "redhat/container-name-repos-map.json",
		"/alpine/secdb/v3.3/main.json":                   "alpine/main.json",
		"/alpine/secdb/v3.4/main.json":                   "alpine/main.json",
	} {
		m.put(name, testdata(t, from))
	}
	// Canonical's server has the plain name and answers with the packed file.
	packed := m.files["/ubuntu/oval/com.ubuntu.noble.cve.oval.xml"]
	packed.header.Set("Content-Type", "application/x-bzip2")
	packed.header.Set("Content-Location", "com.ubuntu.noble.cve.oval.xml.bz2")
	m.files["/ubuntu/oval/com.ubuntu.jammy.cve.oval.xml"].header.Set("Content-Type", "application/xml")
	m.files["/ubuntu/oval/com.ubuntu.noble.cve.oval.xml.bz2"].header.Set("Content-Type", "application/x-bzip2")
	m.fillDebian()
	m.fillRedHat()
	m.fillYears()
	m.put("/alpine/secdb/last-update", []byte("1727762400\n"))
	for _, folder := range []string{"v3.3", "v3.4"} {
		m.put("/alpine/secdb/"+folder+"/", []byte("<html></html>"))
	}
	m.put("/suse/oval/", []byte(`<html><body><a href="opensuse.leap.15.6.xml.gz">x</a> <a href="opensuse.leap.15.6-patch.xml.gz">y</a></body></html>`))
	m.put("/suse/oval/opensuse.leap.15.6.xml.gz", zipped(t, testdata(t, "suse/opensuse.leap.15.6.xml")))
	for release := 1; release <= 5; release++ {
		m.put(fmt.Sprintf("/photon/oval/com.vmware.phsa-photon%d.xml", release), testdata(t, "photon/com.vmware.phsa-photon3.xml"))
	}
	m.fillAmazon("0001")
	m.put("/osv/osv/ecosystems.txt", []byte("Go\nAlmaLinux\n"))
	m.put("/osv/osv/Go/all.zip", archive(t, "osv/GO-2020-0001.json", "osv/GO-2020-0003.json"))
	yesterday := time.Now().AddDate(0, 0, -1).Format(time.DateOnly)
	m.put("/epss/scores/epss_scores-"+yesterday+".csv.gz", zipped(t, testdata(t, "epss/epss_scores.csv")))
}

func (m *mirror) fillDebian() {
	m.put("/debian/archive/dists/", []byte(`<a href="../">..</a> <a href="bookworm/">bookworm/</a> <a href="bookworm-updates/">u</a> <a href="bullseye/">b</a> <a href="stable/">stable/</a>`))
	for name, version := range map[string]string{"bookworm": "12.8", "bullseye": "11.11"} {
		m.put("/debian/archive/dists/"+name+"/Release", []byte("Origin: Debian\nLabel: Debian\nSuite: x\nVersion: "+version+"\nCodename: "+name+"\nDate: Sat, 09 Nov 2024 10:00:00 UTC\n"))
	}
}

func (m *mirror) fillRedHat() {
	vex := "/redhat/vex/"
	m.put(vex+"archive_latest.txt", []byte("csaf_vex_2024-10-01.tar.zst\n"))
	first := testdata(m.t, "redhat/cve-2024-24786.json")
	second := bytes.ReplaceAll(first, []byte("2024-24786"), []byte("2024-24999"))
	m.put(vex+"csaf_vex_2024-10-01.tar.zst", tarred(m.t, map[string][]byte{"2024/cve-2024-24786.json": first, "2024/cve-2024-24999.json": second}))
	m.put(vex+"2024/cve-2024-24786.json", first)
	m.put(vex+"changes.csv", []byte(`"2024/cve-2024-24786.json","2024-09-01T00:00:00+00:00"`+"\n"))
	m.put(vex+"deletions.csv", []byte(`"2024/cve-2024-0001.json","2024-09-01T00:00:00+00:00"`+"\n"))
}

// fillYears lays out what has a file for each year.
func (m *mirror) fillYears() {
	t := m.t
	for year := 2002; year <= time.Now().Year(); year++ {
		oracle := "oracle/empty.xml.bz2"
		content := []byte(`{"resultsPerPage": 0, "startIndex": 0, "totalResults": 0, "format": "NVD_CVE", "version": "2.0", "vulnerabilities": []}`)
		if year == 2018 {
			oracle = "oracle/com.oracle.elsa-2018.xml.bz2"
		}
		if year == 2024 {
			content = testdata(t, "nvd/nvdcve.json")
		}
		m.put(fmt.Sprintf("/oracle/oval/com.oracle.elsa-%d.xml.bz2", year), testdata(t, oracle))
		m.putNVD(year, content)
	}
}

func (m *mirror) putNVD(year int, content []byte) {
	sum := sha256.Sum256(content)
	m.put(fmt.Sprintf("/nvd/cve/nvdcve-2.0-%d.meta", year),
		fmt.Appendf(nil, "lastModifiedDate:2024-10-01T03:00:00-04:00\r\nsize:%d\r\nzipSize:1\r\ngzSize:1\r\nsha256:%X\r\n", len(content), sum))
	m.put(fmt.Sprintf("/nvd/cve/nvdcve-2.0-%d.json.gz", year), zipped(m.t, content))
}

// fillAmazon lays out Amazon's three releases; version goes into the checksum
// by which the updater sees changes.
func (m *mirror) fillAmazon(version string) {
	repomd := strings.ReplaceAll(string(testdata(m.t, "amazon/repomd.xml")), "9dd3ce04", "9dd3"+version)
	for list, folder := range map[string]string{
		"/amazon/al1/2018.03/updates/x86_64/mirror.list":            "http://packages.us-west-1.amazonaws.com/2018.03/updates/c539f2128d87/x86_64",
		"/amazon/cdn/2/core/latest/x86_64/mirror.list":              "https://cdn.amazonlinux.com/2/core/2.0/x86_64/221a4af0",
		"/amazon/cdn/al2023/core/mirrors/latest/x86_64/mirror.list": "https://cdn.amazonlinux.com/al2023/core/guids/46ff4933/x86_64",
	} {
		m.put(list, []byte(folder+"\n"))
		_, below, _ := strings.Cut(strings.SplitN(folder, "//", 2)[1], "/")
		below = strings.Join(strings.Split(list, "/")[:3], "/") + "/" + below
		m.put(below+"/repodata/repomd.xml", []byte(repomd))
		m.put(below+"/repodata/updateinfo.xml.gz", zipped(m.t, testdata(m.t, "amazon/updateinfo.xml")))
	}
}

func zipped(t *testing.T, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(content)
	must(t, err, w.Close())
	return b.Bytes()
}

func archive(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		out, err := w.Create(path.Base(name))
		must(t, err)
		_, err = out.Write(testdata(t, name))
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func tarred(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	must(t, err)
	w := tar.NewWriter(z)
	for name, content := range files {
		must(t, w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o644, Typeflag: tar.TypeReg}))
		_, err := w.Write(content)
		must(t, err)
	}
	must(t, w.Close(), z.Close())
	return b.Bytes()
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}
