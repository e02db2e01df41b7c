package vulndb_test

import (
	"testing"

	"github.com/quay/claircore"
	"github.com/quay/claircore/datastore"
	"github.com/quay/claircore/libvuln/driver"
	"github.com/quay/claircore/toolkit/types"
	"github.com/quay/claircore/toolkit/types/cpe"
)

// Every constraint, met and not met, alone.
func testMatchConstraints(t *testing.T, open opener) {
	dist := claircore.Distribution{DID: "did", Name: "name", Version: "version", VersionCodeName: "codename", VersionID: "id",
		Arch: "arch", PrettyName: "pretty", CPE: cpe.MustUnbind("cpe:/o:redhat:enterprise_linux:8")}
	for _, tc := range []struct {
		constraint driver.MatchConstraint
		spoil      func(r *claircore.IndexRecord)
	}{
		{driver.DistributionDID, func(r *claircore.IndexRecord) { r.Distribution.DID = "x" }},
		{driver.DistributionName, func(r *claircore.IndexRecord) { r.Distribution.Name = "x" }},
		{driver.DistributionVersion, func(r *claircore.IndexRecord) { r.Distribution.Version = "" }},
		{driver.DistributionVersionCodeName, func(r *claircore.IndexRecord) { r.Distribution.VersionCodeName = "x" }},
		{driver.DistributionVersionID, func(r *claircore.IndexRecord) { r.Distribution.VersionID = "x" }},
		{driver.DistributionArch, func(r *claircore.IndexRecord) { r.Distribution.Arch = "x" }},
		{driver.DistributionPrettyName, func(r *claircore.IndexRecord) { r.Distribution.PrettyName = "x" }},
		{driver.PackageModule, func(r *claircore.IndexRecord) { r.Package.Module = "nodejs:18" }},
		{driver.RepositoryName, func(r *claircore.IndexRecord) { r.Repository.Name = "x" }},
		{driver.RepositoryKey, func(r *claircore.IndexRecord) { r.Repository.Key = "x" }},
	} {
		t.Run(tc.constraint.String(), func(t *testing.T) {
			s := open(t)
			update(t, s, vuln("CVE-1", "jq", func(v *claircore.Vulnerability) {
				v.Dist, v.Repo = &dist, &claircore.Repository{Name: "repo", Key: "key", URI: "uri"}
				v.Package.Module = "nodejs:20"
			}))
			at := func() *claircore.IndexRecord {
				r := record("jq")
				same := dist
				r.Distribution, r.Repository, r.Package.Module = &same, &claircore.Repository{Name: "repo", Key: "key"}, "nodejs:20"
				return r
			}
			opts := datastore.GetOpts{Matchers: []driver.MatchConstraint{tc.constraint, tc.constraint}}
			expect(t, "equal", len(get(t, s, opts, at())), 1)
			spoiled := at()
			tc.spoil(spoiled)
			expect(t, "different", len(get(t, s, opts, spoiled)), 0)
			expect(t, "without the constraint", len(get(t, s, datastore.GetOpts{}, spoiled)), 1)
		})
	}
}

func testMatchOnlyFixed(t *testing.T, open opener) {
	s := open(t)
	update(t, s, vuln("CVE-1", "jq"), vuln("CVE-2", "jq", func(v *claircore.Vulnerability) { v.FixedInVersion = "1.2" }))
	got := get(t, s, datastore.GetOpts{Matchers: []driver.MatchConstraint{driver.HasFixedInVersion}}, record("jq"))
	if len(got) != 1 || got[0].Name != "CVE-2" {
		t.Errorf("got %v", got)
	}
}

// claircore's store does not match by CPE at all, and no matcher asks for it.
func TestMatchByCPE(t *testing.T) {
	s := openStore(t)
	update(t, s, vuln("CVE-1", "jq", func(v *claircore.Vulnerability) {
		v.Dist = &claircore.Distribution{CPE: cpe.MustUnbind("cpe:/o:redhat:enterprise_linux:8")}
	}))
	for name, want := range map[string]int{"cpe:/o:redhat:enterprise_linux:8": 1, "cpe:/o:redhat:enterprise_linux:9": 0} {
		r := record("jq")
		r.Distribution.CPE = cpe.MustUnbind(name)
		expect(t, name, len(get(t, s, datastore.GetOpts{Matchers: []driver.MatchConstraint{driver.DistributionCPE}}, r)), want)
	}
}

// An unknown constraint matches nothing: claircore leaves such records out, and
// here it is an error, which cannot be overlooked.
func TestUnknownConstraint(t *testing.T) {
	s := openStore(t)
	update(t, s, vuln("CVE-1", "jq"))
	for _, m := range []driver.MatchConstraint{driver.PackageSourceName, driver.PackageName, 31} {
		if _, err := s.Get(t.Context(), []*claircore.IndexRecord{record("jq")}, datastore.GetOpts{Matchers: []driver.MatchConstraint{m}}); err == nil {
			t.Errorf("constraint %v: no error", m)
		}
	}
}

// A vulnerability of a source package matches the binary packages built from it.
func testMatchByNameAndKind(t *testing.T, open opener) {
	s := open(t)
	kind := func(k types.PackageKind) func(*claircore.Vulnerability) {
		return func(v *claircore.Vulnerability) { v.Package.Kind = k }
	}
	update(t, s, vuln("CVE-source", "openssl", kind(types.SourcePackage)), vuln("CVE-binary", "libssl3", kind(types.BinaryPackage)),
		vuln("CVE-other-kind", "openssl", kind(types.BinaryPackage)), vuln("CVE-both", "libssl3", kind(types.SourcePackage)))
	r := record("libssl3")
	r.Package.Kind = types.BinaryPackage
	r.Package.Source = &claircore.Package{ID: "2", Name: "openssl", Kind: types.SourcePackage}
	found := map[string]bool{}
	for _, v := range get(t, s, datastore.GetOpts{}, r, r) {
		if found[v.Name] {
			t.Errorf("%s is found twice", v.Name)
		}
		found[v.Name] = true
	}
	expect(t, "what matches", found, map[string]bool{"CVE-source": true, "CVE-binary": true})
}

func testVersionFilter(t *testing.T, open opener) {
	version := func(kind string, parts ...int32) claircore.Version {
		v := claircore.Version{Kind: kind}
		copy(v.V[1:], parts)
		return v
	}
	between := func(lower, upper claircore.Version) func(*claircore.Vulnerability) {
		return func(v *claircore.Vulnerability) { v.Range = &claircore.Range{Lower: lower, Upper: upper} }
	}
	for _, tc := range []struct {
		name string
		at   claircore.Version
		want bool
	}{
		{"below", version("semver", 1, 1, 9), false},
		{"the lower end", version("semver", 1, 2), true},
		{"inside", version("semver", 1, 19, 8), true},
		{"the upper end", version("semver", 1, 20, 3), false},
		{"above", version("semver", 1, 100), false},
		{"negative part", version("semver", 1, 2, -1), false},
		{"large part", version("semver", 1, 20, 2, 1<<31-1), true},
		{"another kind", version("pep440", 1, 19), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t)
			update(t, s, vuln("CVE-range", "stdlib", between(version("semver", 1, 2), version("semver", 1, 20, 3))),
				vuln("CVE-no-range", "stdlib"), vuln("CVE-mixed", "stdlib", between(version("semver"), version("pep440", 9))))
			r := record("stdlib")
			r.Package.NormalizedVersion = tc.at
			got := get(t, s, datastore.GetOpts{VersionFiltering: true}, r)
			expect(t, "matches", len(got) == 1 && got[0].Name == "CVE-range", tc.want)
			expect(t, "without the filter", len(get(t, s, datastore.GetOpts{}, r)), 3)
		})
	}
}
