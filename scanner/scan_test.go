package scanner_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Masterminds/semver"
	"github.com/quay/claircore"
	"github.com/quay/claircore/indexer"
	"github.com/quay/claircore/libvuln/driver"
	"github.com/quay/claircore/rhel"
	"github.com/quay/claircore/toolkit/types"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/scanner"
	"github.com/breakwater-registry/breakwater/scanner/scandb"
)

// feed replaces what a feed of Alpine 3.11 says: NAME PACKAGE FIXED SEVERITY.
func feed(t testing.TB, e *scanner.Engine, rows ...string) {
	t.Helper()
	db, err := e.Vulnerabilities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var vulns []*claircore.Vulnerability
	for _, row := range rows {
		f := strings.Fields(row)
		severity := map[string]claircore.Severity{"Unknown": claircore.Unknown, "Low": claircore.Low, "High": claircore.High}[f[3]]
		vulns = append(vulns, &claircore.Vulnerability{Name: f[0], Updater: "alpine-main-v3.11-updater", Severity: f[3], NormalizedSeverity: severity,
			Package: &claircore.Package{Name: f[1], Kind: types.SourcePackage}, FixedInVersion: strings.Trim(f[2], "-"), Description: "about " + f[0],
			Dist: &claircore.Distribution{DID: "alpine", Name: "Alpine Linux", VersionID: "3.11", PrettyName: "Alpine Linux v3.11"}})
	}
	if _, err := db.UpdateVulnerabilities(t.Context(), "alpine-main-v3.11-updater", "", vulns); err != nil {
		t.Fatal(err)
	}
}

// enrich replaces an enrichment: CVE to JSON.
func enrich(t testing.TB, e *scanner.Engine, updater string, data map[string]string) {
	t.Helper()
	db, err := e.Vulnerabilities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var records []driver.EnrichmentRecord
	for cve, text := range data {
		records = append(records, driver.EnrichmentRecord{Tags: []string{cve}, Enrichment: json.RawMessage(text)})
	}
	if _, err := db.UpdateEnrichments(t.Context(), updater, "", records); err != nil {
		t.Fatal(err)
	}
}

func TestScan(t *testing.T) {
	e, b := engine(t)
	feed(t, e, "CVE-2020-1 openssl 1.1.1g-r0 Unknown", "CVE-2020-2 openssl 1.1.1a-r0 High", "CVE-2020-3 busybox 9.9-r9 Unknown",
		"CVE-2020-4 musl 9-r0 Low", "CVE-2020-5 musl 9-r0 Unknown")
	enrich(t, e, scanner.CVSSUpdater, map[string]string{
		"CVE-2020-1": `{"version":"3.1","vectorString":"CVSS:3.1/AV:N","baseScore":9.8,"baseSeverity":"CRITICAL"}`,
		"CVE-2020-4": `{"version":"3.1","vectorString":"CVSS:3.1/AV:N","baseScore":9.8,"baseSeverity":"CRITICAL"}`,
		"CVE-2020-5": `{"version":"2.0","baseScore":5.0}`})
	enrich(t, e, scanner.KEVUpdater, map[string]string{"CVE-2020-3": `{"cve":"CVE-2020-3"}`})
	base := alpine(t, "openssl=1.1.1f-r0", "busybox=1.31.1-r9", "musl=1.1.24-r2")
	image := b.image(gzipped(t, base), layer(t, file{"app", "x"}))
	r := scan(t, e, image)
	same(t, "findings", lines(r), []string{
		"CVE-2020-1 Critical fixable=true kev=false", "CVE-2020-5 Medium fixable=true kev=false",
		"CVE-2020-4 Low fixable=true kev=false", "CVE-2020-3 Unknown fixable=true kev=true"})
	if !r.Changed {
		t.Error("a first report is no change")
	}
	stored, err := e.Report(t.Context(), image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if stored.OS != "Alpine Linux v3.11" || stored.Packages != 3 || len(stored.Findings) != 4 || stored.IndexedAt.IsZero() {
		t.Errorf("stored report %+v", stored)
	}
	f := stored.Findings[0]
	if f.CVE != "CVE-2020-1" || f.Package.Name != "openssl" || f.Version != "1.1.1f-r0" || f.Fixed != "1.1.1g-r0" || f.Score != 9.8 ||
		f.Layer != image.Layers[0] || f.Place != "lib/apk/db/installed" || f.Description != "about CVE-2020-1" || f.SourceSeverity != "Unknown" {
		t.Errorf("stored finding %+v", f)
	}
	opened := b.opened
	if again := scan(t, e, image); again.Changed || b.opened != opened {
		t.Errorf("the second scan: changed %v, opened %d layers", again.Changed, b.opened-opened)
	}
}

// What a source says a package is not affected by is no finding, whatever
// severity it has (VEX).
func TestNotAffectedNeverCounts(t *testing.T) {
	e, b := engine(t)
	db, err := e.Vulnerabilities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	record := func(name string, invert bool) *claircore.Vulnerability {
		return &claircore.Vulnerability{Name: name, Updater: "alpine-main-v3.11-updater", Severity: "High", NormalizedSeverity: claircore.High, Invert: invert,
			Package: &claircore.Package{Name: "openssl", Kind: types.SourcePackage}, FixedInVersion: "2-r0",
			Dist: &claircore.Distribution{DID: "alpine", Name: "Alpine Linux", VersionID: "3.11", PrettyName: "Alpine Linux v3.11"}}
	}
	if _, err := db.UpdateVulnerabilities(t.Context(), "alpine-main-v3.11-updater", "", []*claircore.Vulnerability{record("CVE-2020-1", false), record("CVE-2020-2", true)}); err != nil {
		t.Fatal(err)
	}
	same(t, "findings", lines(scan(t, e, b.image(alpine(t, "openssl=1-r0")))), []string{"CVE-2020-1 High fixable=true kev=false"})
}

func TestLayersInEveryFormat(t *testing.T) {
	for name, pack := range map[string]func(testing.TB, []byte) []byte{
		"tar": func(_ testing.TB, b []byte) []byte { return b }, "gzip": gzipped, "zstd": zstded} {
		t.Run(name, func(t *testing.T) {
			e, b := engine(t)
			feed(t, e, "CVE-2020-1 openssl 2-r0 High")
			same(t, "findings", lines(scan(t, e, b.image(pack(t, alpine(t, "openssl=1-r0"))))), []string{"CVE-2020-1 High fixable=true kev=false"})
			left, err := os.ReadDir(e.TempDir())
			if err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// The upper layer replaces the package database, and the same layer twice is
// the same layer.
func TestUpperLayerWins(t *testing.T) {
	e, b := engine(t)
	feed(t, e, "CVE-2020-1 openssl 2-r0 High", "CVE-2020-2 musl 2-r0 High")
	old, fixed := alpine(t, "openssl=1-r0", "musl=1-r0"), alpine(t, "openssl=2-r0", "musl=1-r0")
	same(t, "findings", lines(scan(t, e, b.image(old, fixed, fixed))), []string{"CVE-2020-2 High fixable=true kev=false"})
}

func TestRematch(t *testing.T) {
	e, b := engine(t)
	feed(t, e, "CVE-2020-1 openssl 2-r0 High")
	first := b.image(alpine(t, "openssl=1-r0"))
	second := b.image(alpine(t, "musl=1-r0"))
	for _, image := range []scanner.Image{first, second} {
		scan(t, e, image)
	}
	b.content = nil // no layer is read again
	rematch := func() map[string]bool {
		t.Helper()
		seen := map[string]bool{}
		err := e.Rematch(t.Context(), func(_ context.Context, r *scanner.Result) error {
			seen[r.Report.Digest] = r.Changed
			return nil
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return seen
	}
	if seen := rematch(); len(seen) != 0 {
		t.Errorf("without news, matched again: %v", seen)
	}
	feed(t, e, "CVE-2020-1 openssl 2-r0 High", "CVE-2020-2 musl - High")
	if seen := rematch(); len(seen) != 2 || seen[first.Digest] || !seen[second.Digest] {
		t.Errorf("matched again: %v", seen)
	}
	report, err := e.Report(t.Context(), second.Digest)
	if err != nil || len(report.Findings) != 1 || report.Findings[0].Fixed != "" || report.IndexedAt.IsZero() {
		t.Errorf("report %+v, %v", report, err)
	}
	feed(t, e)
	stopped := errors.New("stopped")
	if err := e.Rematch(t.Context(), func(context.Context, *scanner.Result) error { return stopped }, nil); !errors.Is(err, stopped) {
		t.Errorf("rematch returned %v", err)
	}
	if seen := rematch(); len(seen) != 2 {
		t.Errorf("after the interruption, matched again: %v", seen)
	}
}

func TestSearch(t *testing.T) {
	e, b := engine(t)
	feed(t, e, "CVE-2020-1 openssl 2-r0 High", "CVE-2020-2 openssl - Low", "CVE-2020-3 musl 2-r0 High")
	one, two := b.image(alpine(t, "openssl=1-r0", "musl=1-r0")), b.image(alpine(t, "openssl=1-r0"))
	scan(t, e, one)
	scan(t, e, two)
	yes := true
	for name, tc := range map[string]struct {
		query scandb.Query
		want  int
	}{
		"all":              {scandb.Query{}, 5},
		"a CVE":            {scandb.Query{CVE: "cve-2020-1"}, 2},
		"a package":        {scandb.Query{Package: "musl"}, 1},
		"one image":        {scandb.Query{Digests: []string{two.Digest}}, 2},
		"no image":         {scandb.Query{Digests: []string{}}, 0},
		"a severity":       {scandb.Query{Severities: []core.Severity{core.SeverityHigh, core.SeverityCritical}}, 3},
		"fixable":          {scandb.Query{Fixable: &yes}, 3},
		"exploited":        {scandb.Query{KEV: &yes}, 0},
		"by score":         {scandb.Query{MinScore: 1}, 0},
		"SQL is only text": {scandb.Query{CVE: "' OR 1=1 --", Package: `"'`}, 0},
	} {
		page, total, err := e.Search(t.Context(), tc.query)
		if err != nil || total != tc.want || len(page) != tc.want {
			t.Errorf("%s: %d findings of %d, %v", name, len(page), total, err)
		}
	}
	for _, order := range []scandb.Sort{scandb.SortSeverity, scandb.SortCVE, scandb.SortPackage, scandb.SortScore, scandb.SortFixed} {
		page, total, err := e.Search(t.Context(), scandb.Query{Sort: order, Limit: 2, Offset: 4})
		if err != nil || total != 5 || len(page) != 1 {
			t.Errorf("by %s: the last page has %d of %d, %v", order, len(page), total, err)
		}
	}
	if _, _, err := e.Search(t.Context(), scandb.Query{Sort: "1; DROP TABLE finding"}); core.ErrorCode(err) != core.CodeBadRequest {
		t.Errorf("a strange order: %v", err)
	}
	common, err := e.CommonCVEs(t.Context(), scandb.Query{Severities: []core.Severity{core.SeverityHigh, core.SeverityCritical}}, 1)
	if err != nil || len(common) != 1 || common[0].CVE != "CVE-2020-1" || common[0].Images != 2 {
		t.Errorf("common: %+v, %v", common, err)
	}
}

// prune forgets the images with the digests, as they are gone.
func prune(t *testing.T, e *scanner.Engine, digests ...string) (known []string) {
	t.Helper()
	err := e.Prune(t.Context(), func(_ context.Context, batch []string) (gone []string, err error) {
		known = append(known, batch...)
		for _, digest := range batch {
			if slices.Contains(digests, digest) {
				gone = append(gone, digest)
			}
		}
		return gone, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(known)
	return known
}

// What is gone is forgotten with all that was in no other image, and a scan
// waits for that.
func TestPrune(t *testing.T) {
	data := t.TempDir()
	e, b := engine(t, func(o *scanner.Options) { o.Data = data })
	feed(t, e, "CVE-2020-1 openssl 2-r0 High")
	one, two := b.image(alpine(t, "openssl=1-r0")), b.image(alpine(t, "openssl=1-r0"), layer(t, file{"x", "y"}))
	other := b.image(alpine(t, "onlyhere=1-r0"))
	for _, image := range []scanner.Image{one, two, other} {
		scan(t, e, image)
	}
	file, err := sql.Open("sqlite", "file:"+filepath.Join(data, scanner.ScanFile)+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	packages := func() []string {
		t.Helper()
		var names string
		if err := file.QueryRow(`SELECT group_concat(name, ' ') FROM (SELECT DISTINCT name FROM package WHERE name <> '' ORDER BY name)`).Scan(&names); err != nil {
			t.Fatal(err)
		}
		return strings.Fields(names)
	}
	same(t, "packages before", packages(), []string{"onlyhere", "openssl"})
	same(t, "asked for", prune(t, e, one.Digest, other.Digest), slices.Sorted(slices.Values([]string{one.Digest, two.Digest, other.Digest})))
	if _, err := e.Report(t.Context(), one.Digest); !core.IsNotFound(err) {
		t.Errorf("the report of a forgotten image: %v", err)
	}
	if _, err := e.IndexReport(t.Context(), one.Digest); !core.IsNotFound(err) {
		t.Errorf("the index report of a forgotten image: %v", err)
	}
	same(t, "packages after", packages(), []string{"openssl"})
	same(t, "asked for", prune(t, e), []string{two.Digest})
	opened := b.opened
	same(t, "findings of the other", lines(scan(t, e, two)), []string{"CVE-2020-1 High fixable=true kev=false"})
	if b.opened != opened {
		t.Error("a layer that the other image shares was read again")
	}

	scanned := make(chan error, 1)
	err = e.Prune(t.Context(), func(ctx context.Context, batch []string) ([]string, error) {
		go func() {
			_, err := e.Scan(ctx, two)
			scanned <- err
		}()
		select {
		case <-scanned:
			t.Error("an image was scanned while it was being forgotten")
		case <-time.After(50 * time.Millisecond): // it can only be seen not to happen
		}
		return batch, nil
	})
	if err := errors.Join(err, <-scanned); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Report(t.Context(), two.Digest); err != nil {
		t.Errorf("the image that came back: %v", err)
	}
}

// Images that cannot be read, each with its own reason, and an innocent one
// after them.
func TestHostileImages(t *testing.T) {
	e, b := engine(t, func(o *scanner.Options) { o.MaxImage = 1 << 20; o.Timeout = time.Minute })
	feed(t, e, "CVE-2020-1 openssl 2-r0 High")
	good := alpine(t, "openssl=1-r0")
	packed := gzipped(t, good)
	absent := b.image(good)
	absent.Layers = []string{"sha256:" + strings.Repeat("1", 64)}
	for name, tc := range map[string]struct {
		image       scanner.Image
		code        core.Code
		unscannable bool
	}{
		"bomb":           {b.image(gzipped(t, make([]byte, 64<<20))), core.CodeTooLarge, false},
		"zstd bomb":      {b.image(zstded(t, make([]byte, 64<<20))), core.CodeTooLarge, false},
		"two halves":     {b.image(gzipped(t, append(good, make([]byte, 600<<10)...)), gzipped(t, append(alpine(t, "a=1"), make([]byte, 600<<10)...))), core.CodeTooLarge, false},
		"too large":      {b.image(append(good[:len(good):len(good)], make([]byte, 2<<20)...)), core.CodeTooLarge, false},
		"truncated gzip": {b.image(packed[:len(packed)/2]), core.CodeInternal, false},
		"no archive":     {b.image([]byte(strings.Repeat(`{"json": true}`, 100))), core.CodePrecondition, true},
		"absent layer":   {absent, core.CodeNotFound, false},
		"no layers":      {scanner.Image{Digest: "sha256:" + strings.Repeat("2", 64)}, core.CodePrecondition, true},
		"no digest":      {scanner.Image{Digest: "../../etc", Layers: []string{"sha256:" + strings.Repeat("3", 64)}}, core.CodeBadRequest, false},
	} {
		_, err := e.Scan(t.Context(), tc.image)
		if err == nil || core.ErrorCode(err) != tc.code || errors.Is(err, scanner.ErrUnscannable) != tc.unscannable {
			t.Errorf("%s: %s unscannable=%v: %v", name, core.ErrorCode(err), errors.Is(err, scanner.ErrUnscannable), err)
		}
	}
	same(t, "an innocent image", lines(scan(t, e, b.image(packed))), []string{"CVE-2020-1 High fixable=true kev=false"})
	left, err := os.ReadDir(e.TempDir())
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFullDisk(t *testing.T) {
	free := int64(1)
	e, b := engine(t, func(o *scanner.Options) { o.Free = func() (int64, error) { return free, nil } })
	image := b.image(gzipped(t, alpine(t, "openssl=1-r0")))
	if _, err := e.Scan(t.Context(), image); core.ErrorCode(err) != core.CodeNoSpace {
		t.Errorf("on a full disk: %v", err)
	}
	free = 1 << 40
	scan(t, e, image)
}

func TestDeadline(t *testing.T) {
	e, b := engine(t, func(o *scanner.Options) { o.Timeout = time.Nanosecond })
	_, err := e.Scan(t.Context(), b.image(alpine(t, "openssl=1-r0")))
	if core.ErrorCode(err) != core.CodeUnavailable || !strings.Contains(err.Error(), "took longer") {
		t.Errorf("got %v", err)
	}
}

func TestNothingIsOpenedAtTheStart(t *testing.T) {
	data := t.TempDir()
	e, _ := engine(t, func(o *scanner.Options) { o.Data = data })
	for _, name := range []string{scanner.CVEFile, scanner.ScanFile} {
		if _, err := os.Stat(filepath.Join(data, name)); err == nil {
			t.Errorf("%s was made before it was needed", name)
		}
	}
	prune(t, e)
	if _, err := os.Stat(filepath.Join(data, scanner.ScanFile)); err == nil {
		t.Error("what was never used was opened to be pruned")
	}
}

// Packages of Node.js, which claircore does not look for by itself, and a matcher
// that leaves the comparison of versions to the database.
func TestNodeJS(t *testing.T) {
	e, b := engine(t)
	db, err := e.Vulnerabilities(t.Context())
	must(t, err)
	below := func(name, upper string) *claircore.Vulnerability {
		return &claircore.Vulnerability{Name: name, Updater: "osv/npm", Package: &claircore.Package{Name: "lodash", Kind: types.BinaryPackage},
			Repo: &claircore.Repository{Name: "npm", URI: "https://www.npmjs.com/"}, FixedInVersion: "fixed=" + upper,
			Range: &claircore.Range{Lower: claircore.Version{Kind: "semver"}, Upper: claircore.FromSemver(semver.MustParse(upper))}}
	}
	_, err = db.UpdateVulnerabilities(t.Context(), "osv/npm", "", []*claircore.Vulnerability{below("CVE-2020-8203", "4.17.19"), below("CVE-2019-10744", "4.17.12")})
	must(t, err)
	r := scan(t, e, b.image(layer(t, file{"usr/lib/node_modules/lodash/package.json", `{"name": "lodash", "version": "4.17.15"}`})))
	same(t, "findings", lines(r), []string{"CVE-2020-8203 Unknown fixable=true kev=false"})
	if f := r.Report.Findings[0]; f.Fixed != "4.17.19" || f.Version != "4.17.15" {
		t.Errorf("finding %+v", f)
	}
}

// A new mapping file is used by the next scan, which then looks at old layers
// again: the mapping decides what is found in them.
func TestMappingFiles(t *testing.T) {
	data := t.TempDir()
	e, b := engine(t, func(o *scanner.Options) { o.Data = data })
	image := b.image(layer(t,
		file{"etc/os-release", "ID=rhel\nVERSION_ID=8.4\nNAME=\"Red Hat Enterprise Linux\"\nCPE_NAME=\"cpe:/o:redhat:enterprise_linux:8.4:GA\"\n"},
		file{"root/buildinfo/content_manifests/ubi8.json", `{"metadata":{"image_layer_index":0},"content_sets":["rhel-8-for-x86_64-baseos-rpms"]}`}))
	repositories := func() int {
		t.Helper()
		scan(t, e, image)
		opened, err := scandb.Open(t.Context(), filepath.Join(data, scanner.ScanFile), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer opened.Close(t.Context())
		found, err := opened.RepositoriesByLayer(t.Context(), claircore.MustParseDigest(image.Layers[0]),
			indexer.VersionedScanners{&rhel.RepositoryScanner{}})
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	if n := repositories(); n != 0 {
		t.Fatalf("with the empty file, %d repositories", n)
	}
	put := func(content string) {
		t.Helper()
		name := filepath.Join(e.MappingDir(), scanner.RepositoryMapping)
		if err := errors.Join(os.WriteFile(name+".new", []byte(content), 0o600), os.Rename(name+".new", name)); err != nil {
			t.Fatal(err)
		}
	}
	put(`{"data":{"rhel-8-for-x86_64-baseos-rpms":{"cpes":["cpe:/o:redhat:enterprise_linux:8::baseos"]}}}`)
	if n := repositories(); n != 1 {
		t.Errorf("with the new file, %d repositories", n)
	}
	opened := b.opened
	if n := repositories(); n != 1 || b.opened != opened {
		t.Errorf("with the same file again, %d repositories, %d layers read", n, b.opened-opened)
	}
	put("this is no JSON")
	repositories() // goes on with the old one
}
