package scandb_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/Masterminds/semver"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/quay/claircore"
	"github.com/quay/claircore/datastore/postgres"
	"github.com/quay/claircore/indexer"
	"github.com/quay/claircore/test"
	"github.com/quay/claircore/toolkit/types"

	"github.com/breakwater-registry/breakwater/internal/testenv"
	"github.com/breakwater-registry/breakwater/scanner/scandb"
)

func openStore(t testing.TB) *scandb.Store {
	t.Helper()
	s, err := scandb.Open(t.Context(), filepath.Join(t.TempDir(), "scan.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// opener returns an empty store for a test.
type opener func(t testing.TB) indexer.Store

// behaviours are what both this store and claircore's own do; that the latter
// passes proves that they ask for what claircore does.
var behaviours = []struct {
	name string
	test func(t *testing.T, open opener)
}{
	{"index and retrieve", testIndexAndRetrieve},
	{"packages as they were", testPackages},
	{"scanned", testScanned},
	{"index reports", testIndexReports},
	{"affected manifests", testAffectedManifests},
	{"delete manifests", testDeleteManifests},
}

func TestBehaviour(t *testing.T) {
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) {
			b.test(t, func(t testing.TB) indexer.Store { return openStore(t) })
		})
	}
}

func TestBehaviourOfClaircore(t *testing.T) {
	testenv.RequireE2E(t)
	pool, err := postgres.Connect(t.Context(), testenv.Postgres(t), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if _, err := postgres.InitPostgresIndexerStore(t.Context(), pool, true); err != nil {
		t.Fatal(err)
	}
	empty := func(t testing.TB) indexer.Store {
		t.Helper()
		if _, err := pool.Exec(t.Context(), `TRUNCATE scanner, layer, manifest, package, dist, repo, file CASCADE`); err != nil {
			t.Fatal(err)
		}
		return postgres.NewIndexerStore(pool)
	}
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) { b.test(t, empty) })
	}
}

func expect[T any](t testing.TB, what string, got, want T, opts ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, opts...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fakeScanner is a name, version and kind.
type fakeScanner struct{ name, version, kind string }

func (s fakeScanner) Name() string    { return s.name }
func (s fakeScanner) Version() string { return s.version }
func (s fakeScanner) Kind() string    { return s.kind }

func scanners(n int) indexer.VersionedScanners {
	list := make(indexer.VersionedScanners, n)
	for i := range list {
		list[i] = fakeScanner{fmt.Sprintf("scanner-%d", i), fmt.Sprintf("v0.0.%d", i), "test"}
	}
	return list
}

// persist makes an image of n layers.
func persist(t testing.TB, s indexer.Store, layers ...*claircore.Layer) claircore.Manifest {
	t.Helper()
	if len(layers) == 0 {
		layers = []*claircore.Layer{{Hash: test.RandomSHA256Digest(t)}}
	}
	m := claircore.Manifest{Hash: test.RandomSHA256Digest(t), Layers: layers}
	must(t, s.PersistManifest(t.Context(), m))
	must(t, s.PersistManifest(t.Context(), m)) // twice is once
	return m
}

func testIndexAndRetrieve(t *testing.T, open opener) {
	for _, size := range []struct{ scanners, packages, dists, repos int }{{3, 100, 150, 50}, {6, 300, 150, 50}} {
		t.Run(fmt.Sprintf("%d scanners", size.scanners), func(t *testing.T) {
			s, ctx, vs := open(t), t.Context(), scanners(size.scanners)
			must(t, s.RegisterScanners(ctx, vs))
			must(t, s.RegisterScanners(ctx, vs))
			m := persist(t, s)
			files := []claircore.File{{Path: "a/.wh.b", Kind: claircore.FileKindWhiteout}, {Path: "c", Kind: "other"}}
			for _, v := range vs {
				for range 2 {
					must(t, s.IndexPackages(ctx, test.GenUniquePackages(size.packages), m.Layers[0], v))
					must(t, s.IndexDistributions(ctx, test.GenUniqueDistributions(size.dists), m.Layers[0], v))
					must(t, s.IndexRepositories(ctx, test.GenUniqueRepositories(size.repos), m.Layers[0], v))
					must(t, s.IndexFiles(ctx, files, m.Layers[0], v))
				}
			}
			hash := m.Layers[0].Hash
			packages, err := s.PackagesByLayer(ctx, hash, vs)
			must(t, err)
			dists, err := s.DistributionsByLayer(ctx, hash, vs)
			must(t, err)
			repos, err := s.RepositoriesByLayer(ctx, hash, vs)
			must(t, err)
			found, err := s.FilesByLayer(ctx, hash, vs[:1])
			must(t, err)
			expect(t, "counts", []int{len(packages), len(dists), len(repos), len(found)},
				[]int{size.scanners * size.packages, size.scanners * size.dists, size.scanners * size.repos, len(files)})
			none, err := s.PackagesByLayer(ctx, test.RandomSHA256Digest(t), vs)
			expect(t, "packages of an unknown layer", len(none), 0)
			must(t, err)
			byName := cmpopts.SortSlices(func(a, b *claircore.Distribution) bool { return a.Name < b.Name })
			one, err := s.DistributionsByLayer(ctx, hash, vs[:1])
			must(t, err)
			expect(t, "distributions", one, test.GenUniqueDistributions(size.dists), byName, cmpopts.IgnoreFields(claircore.Distribution{}, "ID"))
		})
	}
}

// What a package has in a layer comes back; what belongs to its source does not
// mix with it.
func testPackages(t *testing.T, open opener) {
	s, ctx, vs := open(t), t.Context(), scanners(1)
	must(t, s.RegisterScanners(ctx, vs))
	m := persist(t, s)
	full := test.GenUniquePackages(1)[0]
	full.NormalizedVersion = claircore.FromSemver(semver.MustParse("1.2.3"))
	full.Filepath = "usr/lib/thing"
	bare := &claircore.Package{Name: "bare", Version: "1", Kind: types.BinaryPackage}
	must(t, s.IndexPackages(ctx, []*claircore.Package{full, bare, {Version: "nameless"}}, m.Layers[0], vs[0]))
	got, err := s.PackagesByLayer(ctx, m.Layers[0].Hash, vs)
	must(t, err)
	slices.SortFunc(got, func(a, b *claircore.Package) int { return strings.Compare(a.Name, b.Name) })
	detector := &claircore.Detector{Name: vs[0].Name(), Version: vs[0].Version(), Kind: vs[0].Kind()}
	full.Detector, bare.Detector, bare.Source = detector, detector, &claircore.Package{}
	expect(t, "packages", got, []*claircore.Package{bare, full}, cmpopts.IgnoreFields(claircore.Package{}, "ID"))
	for _, p := range got {
		if p.ID == "" || p.Source.ID == "" || p.ID == p.Source.ID {
			t.Errorf("ids of %s: %q and %q", p.Name, p.ID, p.Source.ID)
		}
	}
}

func testScanned(t *testing.T, open opener) {
	s, ctx, vs := open(t), t.Context(), scanners(3)
	must(t, s.RegisterScanners(ctx, vs))
	m := persist(t, s)
	check := func(what string, v indexer.VersionedScanner, hash claircore.Digest, want bool) {
		t.Helper()
		ok, err := s.LayerScanned(ctx, hash, v)
		must(t, err)
		expect(t, what, ok, want)
	}
	check("before", vs[0], m.Layers[0].Hash, false)
	must(t, s.SetLayerScanned(ctx, m.Layers[0].Hash, vs[0]))
	must(t, s.SetLayerScanned(ctx, m.Layers[0].Hash, vs[0]))
	check("after", vs[0], m.Layers[0].Hash, true)
	check("by another scanner", vs[1], m.Layers[0].Hash, false)
	check("an unknown layer", vs[0], test.RandomSHA256Digest(t), false)
	if _, err := s.LayerScanned(ctx, m.Layers[0].Hash, fakeScanner{"never", "registered", "x"}); err == nil {
		t.Error("no error for a scanner that was never registered")
	}
}

func testIndexReports(t *testing.T, open opener) {
	s, ctx, vs := open(t), t.Context(), scanners(3)
	must(t, s.RegisterScanners(ctx, vs))
	m := persist(t, s)
	if _, ok, err := s.IndexReport(ctx, m.Hash); ok || err != nil {
		t.Errorf("a report before there is one: %v, %v", ok, err)
	}
	want := &claircore.IndexReport{Hash: m.Hash, State: "Testing", Err: "none",
		Packages:      map[string]*claircore.Package{"1": {ID: "1", Name: "jq", Kind: types.BinaryPackage, NormalizedVersion: claircore.FromSemver(semver.MustParse("1.2.3"))}},
		Distributions: map[string]*claircore.Distribution{"2": {ID: "2", DID: "debian"}},
		Environments:  map[string][]*claircore.Environment{"1": {{PackageDB: "db", IntroducedIn: m.Layers[0].Hash, DistributionID: "2"}}}}
	read := func() {
		t.Helper()
		got, ok, err := s.IndexReport(ctx, m.Hash)
		if !ok || err != nil {
			t.Fatalf("report: %v, %v", ok, err)
		}
		expect(t, "report", got, want, cmp.Comparer(func(a, b claircore.Digest) bool { return a.String() == b.String() }))
	}
	must(t, s.SetIndexReport(ctx, want))
	read()
	scanned, err := s.ManifestScanned(ctx, m.Hash, vs)
	if scanned || err != nil {
		t.Errorf("scanned before the end: %v, %v", scanned, err)
	}
	want.State, want.Success = "IndexFinished", true
	must(t, s.SetIndexFinished(ctx, want, vs[:2]))
	read()
	for n, done := range map[int]bool{1: true, 2: true, 3: false} {
		if scanned, err = s.ManifestScanned(ctx, m.Hash, vs[:n]); scanned != done || err != nil {
			t.Errorf("scanned by %d scanners: %v, %v", n, scanned, err)
		}
	}
	if scanned, err = s.ManifestScanned(ctx, test.RandomSHA256Digest(t), vs); scanned || err != nil {
		t.Errorf("an unknown image was scanned: %v, %v", scanned, err)
	}
}

// index stores an image with one package, as the indexer does.
func index(t testing.TB, s indexer.Store, p *claircore.Package, d *claircore.Distribution, r *claircore.Repository) claircore.Manifest {
	t.Helper()
	ctx, vs := t.Context(), scanners(1)
	must(t, s.RegisterScanners(ctx, vs))
	m := persist(t, s)
	must(t, s.IndexPackages(ctx, []*claircore.Package{p}, m.Layers[0], vs[0]))
	packages, err := s.PackagesByLayer(ctx, m.Layers[0].Hash, vs)
	must(t, err)
	ir := &claircore.IndexReport{Hash: m.Hash, Packages: map[string]*claircore.Package{}, Environments: map[string][]*claircore.Environment{}}
	env := &claircore.Environment{}
	if d != nil {
		must(t, s.IndexDistributions(ctx, []*claircore.Distribution{d}, m.Layers[0], vs[0]))
		dists, err := s.DistributionsByLayer(ctx, m.Layers[0].Hash, vs)
		must(t, err)
		env.DistributionID = dists[0].ID
		ir.Distributions = map[string]*claircore.Distribution{dists[0].ID: dists[0]}
	}
	if r != nil {
		must(t, s.IndexRepositories(ctx, []*claircore.Repository{r}, m.Layers[0], vs[0]))
		repos, err := s.RepositoriesByLayer(ctx, m.Layers[0].Hash, vs)
		must(t, err)
		env.RepositoryIDs = []string{repos[0].ID}
		ir.Repositories = map[string]*claircore.Repository{repos[0].ID: repos[0]}
	}
	ir.Packages[packages[0].ID] = packages[0]
	ir.Environments[packages[0].ID] = []*claircore.Environment{env}
	must(t, s.IndexManifest(ctx, ir))
	must(t, s.IndexManifest(ctx, ir))
	return m
}

func testAffectedManifests(t *testing.T, open opener) {
	buster := &claircore.Distribution{DID: "debian", Name: "Debian GNU/Linux", Version: "10 (buster)", VersionID: "10"}
	gzip := &claircore.Package{Name: "gzip", Version: "1.9-3+deb10u1", Kind: types.BinaryPackage,
		Source: &claircore.Package{Name: "gzip", Version: "1.9-3+deb10u1", Kind: types.SourcePackage}}
	module := &claircore.Package{Name: "github.com/go-errors/errors", Version: "v1.4.2", Kind: types.BinaryPackage,
		NormalizedVersion: claircore.FromSemver(semver.MustParse("v1.4.2"))}
	golang := &claircore.Repository{Name: "go", URI: "https://pkg.go.dev/"}
	below := func(upper string) *claircore.Range {
		return &claircore.Range{Lower: claircore.FromSemver(semver.MustParse("v0.0.1")), Upper: claircore.FromSemver(semver.MustParse(upper))}
	}
	debian := func(fixed string, d *claircore.Distribution) claircore.Vulnerability {
		return claircore.Vulnerability{Name: "CVE-1", FixedInVersion: fixed, Dist: d, Repo: &claircore.Repository{}, Package: &claircore.Package{Name: "gzip"}}
	}
	goVuln := func(upper string) claircore.Vulnerability {
		return claircore.Vulnerability{Name: "CVE-1", Range: below(upper), Dist: &claircore.Distribution{}, Repo: golang,
			Package: &claircore.Package{Name: "github.com/go-errors/errors"}}
	}
	s := open(t)
	one, two := index(t, s, gzip, buster, nil), index(t, s, module, nil, golang)
	for name, tc := range map[string]struct {
		vuln claircore.Vulnerability
		want []claircore.Digest
	}{
		"debian, fixed later":         {debian("1.9-3+deb10u2", buster), []claircore.Digest{one.Hash}},
		"debian, never fixed":         {debian("", buster), []claircore.Digest{one.Hash}},
		"debian, fixed before":        {debian("1.9-3", buster), nil},
		"another release":             {debian("1.9-3+deb10u2", &claircore.Distribution{DID: "debian", Name: "Debian GNU/Linux", VersionID: "9"}), nil},
		"no release":                  {debian("1.9-3+deb10u2", &claircore.Distribution{}), nil},
		"go, in the range":            {goVuln("v1.4.3"), []claircore.Digest{two.Hash}},
		"go, after the range":         {goVuln("v1.4.1"), nil},
		"go, at the end of the range": {goVuln("v1.4.2"), nil},
	} {
		got, err := s.AffectedManifests(t.Context(), tc.vuln)
		must(t, err)
		var hashes, want []string
		for _, d := range got {
			hashes = append(hashes, d.String())
		}
		for _, d := range tc.want {
			want = append(want, d.String())
		}
		expect(t, name, hashes, want)
	}
}

func testDeleteManifests(t *testing.T, open opener) {
	s, ctx, vs := open(t), t.Context(), scanners(1)
	must(t, s.RegisterScanners(ctx, vs))
	shared, own := &claircore.Layer{Hash: test.RandomSHA256Digest(t)}, &claircore.Layer{Hash: test.RandomSHA256Digest(t)}
	first, second := persist(t, s, shared, own), persist(t, s, shared)
	for _, l := range []*claircore.Layer{shared, own} {
		must(t, s.IndexPackages(ctx, test.GenUniquePackages(2), l, vs[0]))
		must(t, s.SetLayerScanned(ctx, l.Hash, vs[0]))
	}
	must(t, s.SetIndexFinished(ctx, &claircore.IndexReport{Hash: first.Hash}, vs))
	unknown := test.RandomSHA256Digest(t)
	deleted, err := s.DeleteManifests(ctx, unknown, first.Hash)
	if err != nil || len(deleted) != 1 || deleted[0].String() != first.Hash.String() {
		t.Errorf("deleted %v, %v", deleted, err)
	}
	if _, ok, err := s.IndexReport(ctx, first.Hash); ok || err != nil {
		t.Errorf("the report of a deleted image: %v, %v", ok, err)
	}
	for name, tc := range map[string]struct {
		layer *claircore.Layer
		want  bool
	}{"shared": {shared, true}, "own": {own, false}} {
		scanned, err := s.LayerScanned(ctx, tc.layer.Hash, vs[0])
		must(t, err)
		packages, err := s.PackagesByLayer(ctx, tc.layer.Hash, vs)
		must(t, err)
		if scanned != tc.want || (len(packages) > 0) != tc.want {
			t.Errorf("the %s layer: scanned %v, %d packages", name, scanned, len(packages))
		}
	}
	if deleted, err = s.DeleteManifests(ctx, first.Hash, second.Hash); err != nil || len(deleted) != 1 {
		t.Errorf("deleted %v, %v", deleted, err)
	}
}
