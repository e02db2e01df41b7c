package store_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

func TestScanFacts(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		fact := core.ScanFact{Digest: "sha256:a", Status: core.ScanSuccess, Engine: "claircore 1", Feed: "7", ScannedAt: day.UTC(), Duration: 3 * time.Second,
			Findings: []core.Finding{{CVE: "CVE-1", Severity: core.SeverityCritical, Fixable: true, KEV: true}, {CVE: "CVE-2", Severity: core.SeverityHigh},
				{CVE: "GHSA-3", Severity: core.SeverityUnknown, Fixable: true}}}
		failed := core.ScanFact{Digest: "sha256:b", Status: core.ScanError, Message: "broken", ScannedAt: day.UTC()}
		update(t, s, func(tx *store.Tx) error {
			if err := tx.SetScanFact(core.ScanFact{Digest: fact.Digest, Status: core.ScanError}); err != nil {
				return err
			}
			if err := tx.SetScanFact(fact); err != nil {
				return err
			}
			return tx.SetScanFact(failed)
		})
		view(t, s, func(tx *store.Tx) error {
			facts, err := tx.ScanFacts(fact.Digest, failed.Digest, "sha256:none")
			if want := map[string]core.ScanFact{fact.Digest: fact, failed.Digest: failed}; !reflect.DeepEqual(facts, want) {
				t.Errorf("facts = %+v, want %+v", facts, want)
			}
			return err
		})
	})
}

func TestScanOfWhatNobodyHasIsForgotten(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		p, _ := twoProjects(t, s)
		id := newManifest(t, s, p, "p/app", "sha256:a")
		forget := func() (forgotten bool) {
			update(t, s, func(tx *store.Tx) (err error) {
				forgotten, err = tx.ForgetScan("sha256:a")
				return err
			})
			return forgotten
		}
		update(t, s, func(tx *store.Tx) error {
			return tx.SetScanFact(core.ScanFact{Digest: "sha256:a", Status: core.ScanSuccess})
		})
		if forget() {
			t.Error("the scan of an image that is still there was forgotten")
		}
		update(t, s, func(tx *store.Tx) error { return tx.DeleteManifest(id) })
		if !forget() || forget() {
			t.Error("the scan of an image that is gone must be forgotten once")
		}
	})
}

// newManifest publishes a manifest of nothing but itself.
func newManifest(t *testing.T, s *store.Store, projectID int64, repository, digest string) (id int64) {
	t.Helper()
	update(t, s, func(tx *store.Tx) error {
		repositoryID, err := tx.EnsureRepository(projectID, repository)
		if err != nil {
			return err
		}
		a := core.Artifact{RepositoryID: repositoryID, ProjectID: projectID, Digest: digest, Kind: core.KindImage}
		if !strings.Contains(digest, "index") {
			a.Config = "config"
		}
		if a.Blob, err = tx.LiveBlob(digest); err == store.ErrNoRow {
			a.Blob.ID, err = tx.CreateBlob(core.Blob{Digest: digest, Generation: 1})
		}
		if err != nil {
			return err
		}
		id, err = tx.CreateManifest(a)
		return err
	})
	return id
}

func TestTrustFacts(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		p, _ := twoProjects(t, s)
		index, child := newManifest(t, s, p, "p/app", "sha256:index"), newManifest(t, s, p, "p/app", "sha256:child")
		other := newManifest(t, s, p, "p/other", "sha256:index")
		var repository int64
		update(t, s, func(tx *store.Tx) (err error) {
			if repository, err = tx.EnsureRepository(p, "p/app"); err != nil {
				return err
			}
			return tx.AddChild(index, child, core.Descriptor{})
		})
		notary := core.TrustFact{RepositoryID: repository, Tag: "v1", Digest: "sha256:index", Kind: core.TrustNotary, KeyID: "k", Signer: "alice",
			SignedAt: day.UTC(), ValidUntil: day.Add(time.Hour).UTC()}
		second := notary
		second.KeyID, second.Signer = "k2", "bob"
		cosign := core.TrustFact{RepositoryID: repository, Digest: "sha256:index", Kind: core.TrustCosign, KeyID: "c"}
		replace := func(kind core.TrustKind, digest string, facts ...core.TrustFact) {
			update(t, s, func(tx *store.Tx) error { return tx.ReplaceTrustFacts(repository, kind, digest, facts) })
		}
		replace(core.TrustNotary, "", notary, second)
		replace(core.TrustCosign, "sha256:index", cosign)
		view(t, s, func(tx *store.Tx) error {
			facts, err := tx.TrustFacts(repository, "sha256:index")
			if want := []core.TrustFact{cosign, notary, second}; err != nil || !reflect.DeepEqual(facts, want) {
				t.Errorf("facts = %+v, %v, want %+v", facts, err, want)
			}
			byDigest, err := tx.TrustFactsOf(repository, []string{"sha256:index", "sha256:child"})
			if err != nil || len(byDigest) != 1 || len(byDigest["sha256:index"]) != 3 {
				t.Errorf("facts by digest = %+v, %v", byDigest, err)
			}
			above, err := tx.IndexTrustFacts(child, other)
			if len(above) != 1 || len(above[child]) != 3 {
				t.Errorf("facts of the indexes above = %+v", above)
			}
			return err
		})
		replace(core.TrustNotary, "sha256:else")
		replace(core.TrustCosign, "")
		view(t, s, func(tx *store.Tx) error {
			facts, err := tx.TrustFacts(repository, "sha256:index")
			if len(facts) != 2 {
				t.Errorf("facts = %+v, want those of notary", facts)
			}
			return err
		})
	})
}

func TestCVEAllowlists(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		p, _ := twoProjects(t, s)
		update(t, s, func(tx *store.Tx) error {
			if err := tx.SetCVEAllowlist(core.CVEAllowlist{Items: []string{"CVE-1"}}); err != nil {
				return err
			}
			if err := tx.SetCVEAllowlist(core.CVEAllowlist{ProjectID: p}); err != nil {
				return err
			}
			return tx.SetCVEAllowlist(core.CVEAllowlist{ProjectID: p, Items: []string{"CVE-2", "CVE-3"}, ExpiresAt: day.UTC()})
		})
		view(t, s, func(tx *store.Tx) error {
			system, err := tx.CVEAllowlist(0)
			if err != nil || len(system.Items) != 1 || !system.ExpiresAt.IsZero() || system.CreatedAt.IsZero() {
				t.Errorf("system list = %+v, %v", system, err)
			}
			own, err := tx.CVEAllowlist(p)
			if len(own.Items) != 2 || !own.ExpiresAt.Equal(day) {
				t.Errorf("project list = %+v", own)
			}
			return err
		})
		update(t, s, func(tx *store.Tx) error { return tx.DeleteProject(p) })
		view(t, s, func(tx *store.Tx) error {
			own, err := tx.CVEAllowlist(p)
			if len(own.Items) != 0 || own.ProjectID != p {
				t.Errorf("the list of a project that is gone = %+v", own)
			}
			return err
		})
	})
}

func TestProjectPolicy(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		p, _ := twoProjects(t, s)
		update(t, s, func(tx *store.Tx) error { return tx.SetProjectPolicy(p, `{"prevent":true}`) })
		view(t, s, func(tx *store.Tx) error {
			whole, err := tx.Project(core.ProjectRef{ID: p})
			if err != nil || whole.Policy != `{"prevent":true}` {
				t.Errorf("project = %+v, %v", whole, err)
			}
			brief, _, err := tx.ProjectAccess(core.ProjectRef{Name: "q"}, 0)
			if brief.Policy != "" {
				t.Errorf("project without a policy = %+v", brief)
			}
			return err
		})
	})
}

func TestPullFacts(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		p, _ := twoProjects(t, s)
		ids := map[string]int64{}
		for _, name := range []string{"image", "second", "inner", "outer", "deep"} {
			ids[name] = newManifest(t, s, p, "p/app", name)
		}
		var repository int64
		var shared core.Blob
		update(t, s, func(tx *store.Tx) (err error) {
			if repository, err = tx.EnsureRepository(p, "p/app"); err != nil {
				return err
			}
			for _, edge := range [][2]string{{"inner", "image"}, {"inner", "second"}, {"outer", "inner"}, {"outer", "image"}, {"deep", "outer"}} {
				err := tx.AddChild(ids[edge[0]], ids[edge[1]], core.Descriptor{Platform: &core.Platform{OS: edge[0], Architecture: "a"}})
				if err != nil {
					return err
				}
			}
			if err := tx.SetScanFact(core.ScanFact{Digest: "image", Status: core.ScanSuccess, Findings: []core.Finding{{CVE: "CVE-1", Severity: core.SeverityLow}}}); err != nil {
				return err
			}
			facts := []core.TrustFact{{Digest: "outer", KeyID: "k"}, {Digest: "second", KeyID: "k"}}
			if err := tx.ReplaceTrustFacts(repository, core.TrustCosign, "", facts); err != nil {
				return err
			}
			if shared.ID, err = tx.CreateBlob(core.Blob{Digest: "shared", Generation: 1}); err != nil {
				return err
			}
			for _, name := range []string{"image", "second", "inner"} {
				if err := tx.UseBlob(core.Artifact{ID: ids[name], ProjectID: p, RepositoryID: repository}, shared.ID); err != nil {
					return err
				}
			}
			return nil
		})
		view(t, s, func(tx *store.Tx) error {
			outer, err := tx.ManifestPullFacts(ids["outer"], true)
			if err != nil {
				return err
			}
			if len(outer.Children) != 2 || len(outer.Trust) != 1 || len(outer.IndexTrust) != 0 || outer.RepositoryID != repository || outer.Scan != nil {
				t.Fatalf("outer = %+v", outer)
			}
			image, inner := outer.Children[0], outer.Children[1]
			if image.Digest != "image" || image.Platform.OS != "outer" || image.Scan == nil || len(image.Scan.Findings) != 1 || len(image.IndexTrust) != 1 {
				t.Errorf("image = %+v", image)
			}
			if len(inner.Children) != 2 || inner.Children[0].Platform.OS != "inner" || len(inner.Children[1].Trust) != 1 || len(inner.IndexTrust) != 1 {
				t.Errorf("inner = %+v", inner)
			}
			deep, err := tx.ManifestPullFacts(ids["deep"], false)
			if err != nil || len(deep.Children) != 1 || len(deep.Children[0].Children) != 2 || len(deep.Children[0].Children[1].Children) != 0 || deep.Children[0].Trust != nil {
				t.Errorf("deep = %+v, %v", deep, err)
			}
			if _, err := tx.ManifestPullFacts(99, true); err != store.ErrNoRow {
				t.Errorf("an absent manifest: %v", err)
			}
			newest, err := tx.BlobPullFacts(p, repository, shared.ID, 1<<62, 2, true)
			if err != nil || len(newest) != 2 || newest[0].Digest != "inner" || newest[1].Digest != "second" {
				t.Errorf("users of the blob = %+v, %v", newest, err)
			}
			last, err := tx.BlobPullFacts(p, repository, shared.ID, newest[1].ID, 2, true)
			if len(last) != 1 || last[0].Digest != "image" {
				t.Errorf("the other users = %+v", last)
			}
			return err
		})
	})
}

func TestImagesToScan(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		p, q := twoProjects(t, s)
		a := newManifest(t, s, p, "p/a", "a")
		newManifest(t, s, p, "p/b", "b")
		newManifest(t, s, q, "q/a", "a")
		newManifest(t, s, q, "q/a", "index")
		update(t, s, func(tx *store.Tx) error {
			repository, err := tx.EnsureRepository(p, "p/a")
			if err != nil {
				return err
			}
			if _, err := tx.SetTag(repository, a, "v1"); err != nil {
				return err
			}
			for digest, n := range map[string]int{"a": 3, "b": 1} {
				fact := core.ScanFact{Digest: digest, Status: core.ScanSuccess}
				for range n {
					fact.Findings = append(fact.Findings, core.Finding{CVE: "CVE-1", Severity: core.SeverityCritical, Fixable: true})
				}
				if err := tx.SetScanFact(fact); err != nil {
					return err
				}
			}
			return tx.SetScanFact(core.ScanFact{Digest: "c", Status: core.ScanError})
		})
		view(t, s, func(tx *store.Tx) error {
			all, err := tx.ImagesToScan(store.ImageSelection{}, "", 10)
			if err != nil || !slices.Equal(all, []string{"a", "b"}) {
				t.Errorf("images = %v, %v", all, err)
			}
			own, err := tx.ImagesToScan(store.ImageSelection{ProjectID: p}, "a", 10)
			if err != nil || !slices.Equal(own, []string{"b"}) {
				t.Errorf("images of the project = %v, %v", own, err)
			}
			n, err := tx.CountImages(store.ImageSelection{ProjectID: q})
			if err != nil || n != 1 {
				t.Errorf("%d images, %v", n, err)
			}
			unused, err := tx.Unused([]string{"a", "x"})
			if err != nil || !slices.Equal(unused, []string{"x"}) {
				t.Errorf("unused = %v, %v", unused, err)
			}
			holders, err := tx.ArtifactsByDigest("a", 10)
			if err != nil || len(holders) != 2 {
				t.Errorf("holders = %v, %v", holders, err)
			}
			c, err := tx.CountSecurity()
			if err != nil || c.Images != 2 || c.Scanned != 2 || c.Failed != 1 || c.Critical != 4 || c.Fixable != 4 || c.Total() != 4 {
				t.Errorf("counts = %+v, %v", c, err)
			}
			worst, err := tx.DangerousImages(1)
			if err != nil || len(worst) != 1 || worst[0].Digest != "a" || worst[0].Repository != "p/a" {
				t.Errorf("worst = %+v, %v", worst, err)
			}
			tagged, err := tx.FilteredImages(store.ImageFilter{Tag: "v1", ProjectIDs: []int64{p}})
			if err != nil || !slices.Equal(tagged, []string{"a"}) {
				t.Errorf("tagged = %v, %v", tagged, err)
			}
			in, err := tx.Holders([]string{"a", "b"}, store.ImageFilter{})
			if err != nil || in["a"].Repository != "p/a" || !slices.Equal(in["a"].Tags, []string{"v1"}) || in["b"].ProjectID != p || in["b"].Tags != nil {
				t.Errorf("holders = %+v, %v", in, err)
			}
			in, err = tx.Holders([]string{"a"}, store.ImageFilter{Repository: "q/a"})
			if in["a"].ProjectID != q {
				t.Errorf("holder in q = %+v", in)
			}
			return err
		})
	})
}

func TestOpenJobs(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		queue := func(kind, parameters string) {
			update(t, s, func(tx *store.Tx) error {
				_, err := tx.QueueJob(core.Job{Kind: kind, Parameters: parameters})
				return err
			})
		}
		queue("A", "1")
		queue("B", "1")
		queue("A", "2")
		queue("C", "1")
		update(t, s, func(tx *store.Tx) error {
			_, err := tx.StartJob("A")
			return err
		})
		view(t, s, func(tx *store.Tx) error {
			open, err := tx.OpenJobs([]string{"A", "B"}, []string{"1", "3"})
			if len(open) != 1 || open["1"].Status != core.JobRunning || open["1"].Kind != "A" {
				t.Errorf("open = %+v", open)
			}
			return err
		})
		update(t, s, func(tx *store.Tx) error {
			open, err := tx.OpenJobs([]string{"A"}, []string{"2"})
			if err == nil {
				_, err = tx.StopJob(open["2"].ID)
			}
			return err
		})
		view(t, s, func(tx *store.Tx) error {
			stopped, err := tx.StoppedJobs([]string{"A", "B"}, []string{"1", "2"})
			if len(stopped) != 1 || stopped["2"].IsZero() {
				t.Errorf("stopped = %v", stopped)
			}
			return err
		})
	})
}

func TestNotifications(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		p, q := twoProjects(t, s)
		var member int64
		update(t, s, func(tx *store.Tx) (err error) {
			if member, err = tx.CreateUser(core.User{Username: "dana"}); err != nil {
				return err
			}
			if _, err = tx.AddMember(p, member, core.RoleGuest); err != nil {
				return err
			}
			for _, id := range []int64{p, q, 0} {
				if err := tx.AddNotification(core.Notification{Kind: core.NotifyWorse, ProjectID: id, Resource: "r", Digest: "d", Text: "t"}); err != nil {
					return err
				}
			}
			return nil
		})
		scope := store.AuditScope{UserID: member, Roles: []core.Role{core.RoleGuest}}
		view(t, s, func(tx *store.Tx) error {
			list, total, err := tx.Notifications(scope, listAll)
			if err != nil || total != 1 || list[0].ProjectID != p || list[0].Text != "t" {
				t.Errorf("notifications = %+v, %v", list, err)
			}
			n, err := tx.UnseenNotifications(store.AuditScope{All: true}, list[0].ID)
			if n != 2 {
				t.Errorf("%d are new to the administrator", n)
			}
			return err
		})
		update(t, s, func(tx *store.Tx) error {
			if err := tx.SetSeenNotification(member, 7); err != nil {
				return err
			}
			return tx.SetSeenNotification(member, 5)
		})
		update(t, s, func(tx *store.Tx) error { return tx.TrimNotifications(time.Now().Add(time.Hour)) })
		view(t, s, func(tx *store.Tx) error {
			if id, err := tx.SeenNotification(member); id != 7 || err != nil {
				t.Errorf("seen = %d, %v", id, err)
			}
			_, total, err := tx.Notifications(store.AuditScope{All: true}, listAll)
			if total != 0 {
				t.Errorf("%d are left", total)
			}
			return err
		})
	})
}
