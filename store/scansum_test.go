package store_test

import (
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// The sums of a repository and a project follow every way in which they can
// change: a scan, another outcome of it, an image that comes and one that goes.
func TestScanSumsFollow(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		p, other := twoProjects(t, s)
		first := newManifest(t, s, p, "p/app", "sha256:a")
		newManifest(t, s, p, "p/app", "sha256:b")
		scanned := func(digest string, status core.ScanStatus, findings ...core.Finding) {
			update(t, s, func(tx *store.Tx) error {
				return tx.SetScanFact(core.ScanFact{Digest: digest, Status: status, Findings: findings})
			})
		}
		var app int64
		view(t, s, func(tx *store.Tx) error {
			repository, err := tx.RepositoryByName("p/app")
			app = repository.ID
			return err
		})
		expect := func(step string, repository, project core.ScanSum) {
			t.Helper()
			view(t, s, func(tx *store.Tx) error {
				sums, err := tx.ScanSums(p, []int64{app})
				if sums[app] != repository {
					t.Errorf("%s: sum of the repository = %+v, want %+v", step, sums[app], repository)
				}
				if err == nil {
					sums, err = tx.ProjectScanSums([]int64{p, other})
				}
				if sums[p] != project || sums[other] != (core.ScanSum{}) {
					t.Errorf("%s: sums of the projects = %+v, want %+v", step, sums, project)
				}
				return err
			})
		}
		high := core.Finding{CVE: "CVE-1", Severity: core.SeverityHigh, Fixable: true}
		low := core.Finding{CVE: "CVE-2", Severity: core.SeverityLow, KEV: true}
		one := core.ScanSum{Scanned: 1, Tally: core.Tally{High: 1, Fixable: 1}}

		expect("nothing scanned", core.ScanSum{}, core.ScanSum{})
		scanned("sha256:a", core.ScanError)
		expect("a scan failed", core.ScanSum{Failed: 1}, core.ScanSum{Failed: 1})
		scanned("sha256:a", core.ScanSuccess, high, low)
		scanned("sha256:a", core.ScanSuccess, high)
		expect("one scanned", one, one)
		newManifest(t, s, p, "p/copy", "sha256:a")
		twice := core.ScanSum{Scanned: 2, Tally: core.Tally{High: 2, Fixable: 2}}
		expect("copied to another repository", one, twice)
		scanned("sha256:a", core.ScanSuccess, low)
		expect("another outcome", core.ScanSum{Scanned: 1, Tally: core.Tally{Low: 1, KEV: 1}}, core.ScanSum{Scanned: 2, Tally: core.Tally{Low: 2, KEV: 2}})
		scanned("sha256:b", core.ScanSuccess, high, low)
		update(t, s, func(tx *store.Tx) error { return tx.DeleteManifest(first) })
		expect("deleted", core.ScanSum{Scanned: 1, Tally: core.Tally{High: 1, Low: 1, Fixable: 1, KEV: 1}},
			core.ScanSum{Scanned: 2, Tally: core.Tally{High: 1, Low: 2, Fixable: 1, KEV: 2}})
	})
}
