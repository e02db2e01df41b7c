package vulndb_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"
	"unique"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/quay/claircore"
	"github.com/quay/claircore/datastore"
	"github.com/quay/claircore/datastore/postgres"
	"github.com/quay/claircore/libvuln/driver"
	"github.com/quay/claircore/test"
	"github.com/quay/claircore/toolkit/types"

	"github.com/breakwater-registry/breakwater/internal/testenv"
	"github.com/breakwater-registry/breakwater/scanner/vulndb"
)

func openStore(t testing.TB) *vulndb.Store {
	t.Helper()
	s, err := vulndb.Open(t.Context(), filepath.Join(t.TempDir(), "cve.db"), vulndb.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// opener returns an empty store for a test.
type opener func(t testing.TB) datastore.MatcherStore

// behaviours are what both this store and claircore's own do; that the latter
// passes proves that they ask for what claircore does.
var behaviours = []struct {
	name string
	test func(t *testing.T, open opener)
}{
	{"update operations", testUpdateOperations},
	{"diff of similar updates", testDiffOfSimilarUpdates},
	{"diff refuses what is no update", testDiffRefusesWhatIsNoUpdate},
	{"delta updates", testDeltaUpdates},
	{"rows that come back", testRowsThatComeBack},
	{"iterators", testIterators},
	{"garbage collection", testGC},
	{"latest updates", testLatestUpdates},
	{"enrichments", testEnrichments},
	{"match constraints", testMatchConstraints},
	{"match only fixed", testMatchOnlyFixed},
	{"match by name and kind", testMatchByNameAndKind},
	{"version filter", testVersionFilter},
}

func TestBehaviour(t *testing.T) {
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) {
			b.test(t, func(t testing.TB) datastore.MatcherStore { return openStore(t) })
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
	if _, err := postgres.InitPostgresMatcherStore(t.Context(), pool, true); err != nil {
		t.Fatal(err)
	}
	empty := func(t testing.TB) datastore.MatcherStore {
		t.Helper()
		if _, err := pool.Exec(t.Context(), `TRUNCATE update_operation, vuln, enrichment, uo_vuln, uo_enrich, alias, alias_namespace CASCADE;
			REFRESH MATERIALIZED VIEW latest_update_operations`); err != nil {
			t.Fatal(err)
		}
		return postgres.NewMatcherStore(pool)
	}
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) { b.test(t, empty) })
	}
}

const updater = "test-updater"

func vuln(name, pkg string, change ...func(*claircore.Vulnerability)) *claircore.Vulnerability {
	v := &claircore.Vulnerability{Updater: updater, Name: name, Package: &claircore.Package{Name: pkg}}
	for _, fn := range change {
		fn(v)
	}
	return v
}

func severity(text string) func(*claircore.Vulnerability) {
	return func(v *claircore.Vulnerability) { v.Severity = text }
}

func record(pkg string) *claircore.IndexRecord {
	return &claircore.IndexRecord{
		Package:      &claircore.Package{ID: "1", Name: pkg, Source: &claircore.Package{}},
		Distribution: &claircore.Distribution{}, Repository: &claircore.Repository{},
	}
}

// update replaces the rows of the updater.
func update(t testing.TB, s datastore.MatcherStore, vulns ...*claircore.Vulnerability) uuid.UUID {
	t.Helper()
	ref, err := s.UpdateVulnerabilities(t.Context(), updater, "fingerprint", vulns)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func get(t testing.TB, s datastore.Vulnerability, opts datastore.GetOpts, records ...*claircore.IndexRecord) []*claircore.Vulnerability {
	t.Helper()
	res, err := s.Get(t.Context(), records, opts)
	if err != nil {
		t.Fatal(err)
	}
	var all []*claircore.Vulnerability
	for _, list := range res {
		all = append(all, list...)
	}
	return all
}

// names lists what matches a package, as NAME or NAME=SEVERITY.
func names(t testing.TB, s datastore.Vulnerability, pkg string) []string {
	t.Helper()
	list := []string{}
	for _, v := range get(t, s, datastore.GetOpts{}, record(pkg)) {
		name := v.Name
		if v.Severity != "" {
			name += "=" + v.Severity
		}
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

func expect[T any](t testing.TB, what string, got, want T, opts ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, opts...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

var anyID = cmpopts.IgnoreFields(claircore.Vulnerability{}, "ID", "Package.ID", "Dist.ID", "Repo.ID")

var anyTime = cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })

// Updates that each take away some rows and bring others: what is listed, what
// differs, and what is left when they are deleted.
func testUpdateOperations(t *testing.T, open opener) {
	for _, size := range []struct{ insert, updates int }{{10, 2}, {100, 2}, {10, 20}} {
		t.Run(fmt.Sprintf("%d rows %d updates", size.insert, size.updates), func(t *testing.T) {
			updateOperations(t, open(t), size.insert, size.updates)
		})
	}
}

func updateOperations(t *testing.T, s datastore.MatcherStore, insert, updates int) {
	const step = 10
	all := test.GenUniqueVulnerabilities(insert+step*updates, updater)
	var refs []uuid.UUID
	for i := range updates {
		refs = append(refs, update(t, s, all[i*step:i*step+insert]...))
		r := record(all[i*step].Package.Name)
		r.Package.Kind = types.BinaryPackage
		expect(t, "a row", get(t, s, datastore.GetOpts{}, r), []*claircore.Vulnerability{all[i*step]}, anyID, anyTime)
	}
	ops, err := s.GetUpdateOperations(t.Context(), driver.VulnerabilityKind, updater)
	if err != nil {
		t.Fatal(err)
	}
	var listed []uuid.UUID
	for _, op := range ops[updater] {
		listed = append(listed, op.Ref)
		if op.Updater != updater || op.Fingerprint != "fingerprint" || time.Since(op.Date).Abs() > time.Hour {
			t.Errorf("operation %+v", op)
		}
	}
	slices.Reverse(listed)
	expect(t, "operations, the newest first", listed, refs)
	for i, ref := range refs {
		compareUpdates(t, s, refs, i, ref, all, insert, step)
	}
	for _, ref := range refs {
		if n, err := s.DeleteUpdateOperations(t.Context(), ref, uuid.New()); err != nil || n != 1 {
			t.Errorf("deleted %d operations, %v", n, err)
		}
	}
	ops, err = s.GetUpdateOperations(t.Context(), "")
	expect(t, "operations left", len(ops), 0)
	if err != nil {
		t.Error(err)
	}
	expect(t, "rows left", names(t, s, all[len(all)-step-1].Package.Name), []string{})
}

func compareUpdates(t *testing.T, s datastore.MatcherStore, refs []uuid.UUID, i int, ref uuid.UUID, all []*claircore.Vulnerability, insert, step int) {
	t.Helper()
	prev, added, removed := uuid.Nil, all[:insert], []*claircore.Vulnerability{}
	if i > 0 {
		prev = refs[i-1]
		added, removed = all[(i-1)*step+insert:i*step+insert], all[(i-1)*step:i*step]
	}
	diff, err := s.GetUpdateDiff(t.Context(), prev, ref)
	if err != nil {
		t.Fatal(err)
	}
	byName := cmpopts.SortSlices(func(a, b claircore.Vulnerability) bool { return a.Name < b.Name })
	expect(t, "added", diff.Added, values(added), anyID, anyTime, byName, cmpopts.EquateEmpty())
	expect(t, "removed", diff.Removed, values(removed), anyID, anyTime, byName, cmpopts.EquateEmpty())
	if diff.Cur.Ref != ref || diff.Prev.Ref != prev {
		t.Errorf("the difference is of %v and %v", diff.Prev.Ref, diff.Cur.Ref)
	}
}

func values(list []*claircore.Vulnerability) []claircore.Vulnerability {
	out := make([]claircore.Vulnerability, len(list))
	for i, v := range list {
		out[i] = *v
	}
	return out
}

func testDiffOfSimilarUpdates(t *testing.T, open opener) {
	for _, tc := range []struct {
		name           string
		first, second  []string
		added, removed int
	}{
		{"two more", []string{"vi"}, []string{"vi", "vim", "nano"}, 2, 0},
		{"one differs", []string{"grep", "sed"}, []string{"grep", "awk"}, 1, 1},
		{"two less", []string{"python3", "python3-crypto", "python3-urllib3"}, []string{"python3"}, 0, 2},
		{"the same", []string{"perl"}, []string{"perl"}, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t)
			first, second := []*claircore.Vulnerability{}, []*claircore.Vulnerability{}
			for _, pkg := range tc.first {
				first = append(first, vuln("", pkg))
			}
			for _, pkg := range tc.second {
				second = append(second, vuln("", pkg))
			}
			diff, err := s.GetUpdateDiff(t.Context(), update(t, s, first...), update(t, s, second...))
			if err != nil {
				t.Fatal(err)
			}
			expect(t, "added and removed", [2]int{len(diff.Added), len(diff.Removed)}, [2]int{tc.added, tc.removed})
		})
	}
}

func testDiffRefusesWhatIsNoUpdate(t *testing.T, open opener) {
	s := open(t)
	ref := update(t, s, vuln("CVE-1", "vi"))
	for _, pair := range [][2]uuid.UUID{{ref, uuid.Nil}, {ref, uuid.New()}, {uuid.New(), ref}} {
		if _, err := s.GetUpdateDiff(t.Context(), pair[0], pair[1]); err == nil {
			t.Errorf("no error for %v", pair)
		}
	}
}

func testDeltaUpdates(t *testing.T, open opener) {
	type op struct {
		vulns   []*claircore.Vulnerability
		deleted []string
	}
	for _, tc := range []struct {
		name          string
		first, second op
		pkg           string
		want          []string
	}{
		{"what is not touched stays",
			op{vulns: []*claircore.Vulnerability{vuln("CVE-123", "vi")}},
			op{vulns: []*claircore.Vulnerability{vuln("CVE-456", "vim"), vuln("CVE-789", "nano")}},
			"vi", []string{"CVE-123"}},
		{"what is touched is replaced",
			op{vulns: []*claircore.Vulnerability{vuln("CVE-123", "grep", severity("BAD")), vuln("CVE-456", "sed")}},
			op{vulns: []*claircore.Vulnerability{vuln("CVE-123", "grep", severity("FINE"))}},
			"grep", []string{"CVE-123=FINE"}},
		{"one name in several packages",
			op{vulns: []*claircore.Vulnerability{vuln("CVE-123", "grep", severity("BAD")), vuln("CVE-123", "sed", severity("BAD"))}},
			op{vulns: []*claircore.Vulnerability{vuln("CVE-123", "grep", severity("FINE"))}},
			"sed", []string{}},
		{"two names of one package",
			op{vulns: []*claircore.Vulnerability{vuln("CVE-000", "python3")}},
			op{vulns: []*claircore.Vulnerability{vuln("CVE-123", "python3"), vuln("CVE-456", "python3-crypto")}},
			"python3", []string{"CVE-000", "CVE-123"}},
		{"what is deleted goes",
			op{vulns: []*claircore.Vulnerability{vuln("CVE-000", "jq"), vuln("CVE-001", "jq")}},
			op{vulns: []*claircore.Vulnerability{vuln("CVE-456", "jq-libs")}, deleted: []string{"CVE-000", "CVE-never-seen"}},
			"jq", []string{"CVE-001"}},
		{"the same again",
			op{vulns: []*claircore.Vulnerability{vuln("CVE-1", "jq"), vuln("CVE-2", "jq")}},
			op{vulns: []*claircore.Vulnerability{vuln("CVE-1", "jq")}},
			"jq", []string{"CVE-1", "CVE-2"}},
		{"deleted and brought back in one update",
			op{vulns: []*claircore.Vulnerability{vuln("CVE-1", "jq")}},
			op{vulns: []*claircore.Vulnerability{vuln("CVE-1", "jq")}, deleted: []string{"CVE-1"}},
			"jq", []string{"CVE-1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t)
			for _, o := range []op{tc.first, tc.second} {
				if _, err := s.DeltaUpdateVulnerabilities(t.Context(), updater, "", o.vulns, o.deleted); err != nil {
					t.Fatal(err)
				}
			}
			expect(t, "what matches "+tc.pkg, names(t, s, tc.pkg), tc.want)
		})
	}
}

// A row that goes and comes back, and one that stays all the time.
func testRowsThatComeBack(t *testing.T, open opener) {
	s := open(t)
	stays, comes := vuln("CVE-1", "jq"), vuln("CVE-2", "jq")
	first := update(t, s, stays, comes)
	second := update(t, s, stays)
	expect(t, "while it is gone", names(t, s, "jq"), []string{"CVE-1"})
	third := update(t, s, comes, stays)
	expect(t, "when it is back", names(t, s, "jq"), []string{"CVE-1", "CVE-2"})
	for _, tc := range []struct {
		prev, cur      uuid.UUID
		added, removed int
	}{{first, second, 0, 1}, {second, third, 1, 0}, {first, third, 0, 0}, {third, first, 0, 0}, {third, second, 0, 1}} {
		diff, err := s.GetUpdateDiff(t.Context(), tc.prev, tc.cur)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "difference", [2]int{len(diff.Added), len(diff.Removed)}, [2]int{tc.added, tc.removed})
	}
}

// Rows without a package match nothing and are left out; a single-pass iterator
// must not be asked twice.
func testIterators(t *testing.T, open opener) {
	s := open(t)
	alias := func(space, name string) claircore.Alias {
		return claircore.Alias{Space: unique.Make(space), Name: name}
	}
	want := vuln("CVE-2024-0001", "jq", func(v *claircore.Vulnerability) {
		v.Self = alias("CVE", "CVE-2024-0001")
		v.Aliases = []claircore.Alias{alias("GHSA", "GHSA-xxxx"), alias("RHSA", "RHSA-1")}
		v.Issued = time.Date(2024, 5, 6, 7, 8, 9, 123_456_000, time.UTC)
		v.NormalizedSeverity = claircore.High
		v.Dist, v.Repo = &claircore.Distribution{}, &claircore.Repository{}
	})
	asked := 0
	_, err := s.UpdateVulnerabilitiesIter(t.Context(), updater, "", func(yield func(*claircore.Vulnerability, error) bool) {
		if asked++; asked > 1 {
			return
		}
		_ = yield(want, nil) && yield(vuln("CVE-none", ""), nil) && yield(&claircore.Vulnerability{Name: "CVE-nil"}, nil) && yield(want, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	got := get(t, s, datastore.GetOpts{}, record("jq"))
	byName := cmpopts.SortSlices(func(a, b claircore.Alias) bool { return a.Name < b.Name })
	expect(t, "what was kept", got, []*claircore.Vulnerability{want}, anyID, anyTime, byName)
	broken := fmt.Errorf("the line is cut")
	_, err = s.UpdateVulnerabilitiesIter(t.Context(), updater, "", func(yield func(*claircore.Vulnerability, error) bool) {
		_ = yield(vuln("CVE-half", "jq"), nil) && yield(nil, broken)
	})
	if err == nil {
		t.Error("a broken iterator made an update")
	}
	expect(t, "after a broken update", names(t, s, "jq"), []string{"CVE-2024-0001"})
}

func testGC(t *testing.T, open opener) {
	for _, tc := range []struct {
		name          string
		updates, keep int
	}{{"small", 4, 3}, {"large", 100, 50}, {"odd", 37, 23}, {"fewer than kept", 10, 50}, {"throttled", 60, 5}} {
		t.Run(tc.name, func(t *testing.T) {
			gc(t, open(t), tc.updates, tc.keep)
		})
	}
}

func gc(t *testing.T, s datastore.MatcherStore, updates, keep int) {
	const throttle = 50
	ctx := t.Context()
	for i := range updates {
		update(t, s, vuln(fmt.Sprintf("CVE-%d", i), "jq"))
		if _, err := s.UpdateEnrichments(ctx, "test-enricher", "", []driver.EnrichmentRecord{
			{Tags: []string{fmt.Sprintf("CVE-%d", i)}, Enrichment: json.RawMessage(`{}`)}}); err != nil {
			t.Fatal(err)
		}
	}
	left := max(2*(updates-keep)-throttle, 0)
	remaining, err := s.GC(ctx, keep)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "remaining", remaining, int64(left))
	expect(t, "operations", countOperations(t, s), 2*min(updates, keep)+left)
	for remaining > 0 {
		if remaining, err = s.GC(ctx, keep); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, "operations in the end", countOperations(t, s), 2*min(updates, keep))
	newest := fmt.Sprintf("CVE-%d", updates-1)
	expect(t, "what matches", names(t, s, "jq"), []string{newest})
	if found, err := s.GetEnrichment(ctx, "test-enricher", []string{"CVE-0", newest}); err != nil || len(found) != 1 {
		t.Errorf("enrichments after the collection: %v, %v", found, err)
	}
}

func countOperations(t *testing.T, s datastore.MatcherStore) (n int) {
	t.Helper()
	ops, err := s.GetUpdateOperations(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range ops {
		n += len(list)
	}
	return n
}

func testLatestUpdates(t *testing.T, open opener) {
	s := open(t)
	ctx := t.Context()
	if ok, err := s.Initialized(ctx); ok || err != nil {
		t.Errorf("an empty store is initialized: %v, %v", ok, err)
	}
	if _, err := s.GetLatestUpdateRef(ctx, driver.VulnerabilityKind); err == nil {
		t.Error("an empty store has a latest update")
	}
	update(t, s, vuln("CVE-1", "jq"))
	last := update(t, s, vuln("CVE-2", "jq"))
	enrichment, err := s.UpdateEnrichments(ctx, "test-enricher", "e", test.GenEnrichments(2))
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := s.Initialized(ctx); !ok || err != nil {
		t.Errorf("initialized: %v, %v", ok, err)
	}
	for kind, want := range map[driver.UpdateKind]uuid.UUID{driver.VulnerabilityKind: last, driver.EnrichmentKind: enrichment, "": enrichment} {
		got, err := s.GetLatestUpdateRef(ctx, kind)
		if err != nil || got != want {
			t.Errorf("latest %q update is %v, %v", kind, got, err)
		}
	}
	refs, err := s.GetLatestUpdateRefs(ctx, driver.VulnerabilityKind)
	if err != nil || len(refs) != 1 || len(refs[updater]) != 1 || refs[updater][0].Ref != last {
		t.Errorf("latest updates: %v, %v", refs, err)
	}
	if refs, err = s.GetLatestUpdateRefs(ctx, ""); err != nil || len(refs) != 2 {
		t.Errorf("latest updates of all kinds: %v, %v", refs, err)
	}
}

func testEnrichments(t *testing.T, open opener) {
	s := open(t)
	ctx := context.Context(t.Context())
	put := func(records ...driver.EnrichmentRecord) {
		t.Helper()
		if _, err := s.UpdateEnrichments(ctx, "clair.cvss", "", records); err != nil {
			t.Fatal(err)
		}
	}
	rec := func(data string, tags ...string) driver.EnrichmentRecord {
		return driver.EnrichmentRecord{Tags: tags, Enrichment: json.RawMessage(data)}
	}
	find := func(tags ...string) []driver.EnrichmentRecord {
		t.Helper()
		got, err := s.GetEnrichment(ctx, "clair.cvss", tags)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	// claircore's parser of NVD files ends with an empty record.
	put(rec(`{"score": 1}`, "CVE-1", "CVE-1b"), rec(`{"score": 2}`, "CVE-2"), driver.EnrichmentRecord{})
	expect(t, "by one of its tags", find("CVE-1b"), []driver.EnrichmentRecord{rec(`{"score": 1}`, "CVE-1", "CVE-1b")})
	expect(t, "one at most", len(find("CVE-1", "CVE-2")), 1)
	expect(t, "unknown", len(find("CVE-3")), 0)
	put(rec(`{"score": 1}`, "CVE-1", "CVE-1b"), rec(`{"score": 9}`, "CVE-2"))
	expect(t, "after an update", find("CVE-2"), []driver.EnrichmentRecord{rec(`{"score": 9}`, "CVE-2")})
	put(rec(`{"score": 9}`, "CVE-2"))
	expect(t, "what is gone", len(find("CVE-1")), 0)
	if got, err := s.GetEnrichment(ctx, "clair.kev", []string{"CVE-2"}); err != nil || len(got) != 0 {
		t.Errorf("another updater's: %v, %v", got, err)
	}
}
