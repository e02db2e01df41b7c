package app_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/policy"
	"github.com/breakwater-registry/breakwater/store"
)

// gated is a project "p" that refuses findings from High on, with a guest, a
// developer and a project administrator, and a project "q" that asks for nothing.
type gated struct {
	*images
	guest, dev, boss core.Caller
	free             int64
}

var preventHigh = policy.Project{Prevent: true, Threshold: core.SeverityHigh}

func newGated(t *testing.T, p policy.Project) *gated {
	t.Helper()
	g := &gated{images: newImages(t)}
	g.free = g.newProject(t, "q")
	for name, member := range map[string]struct {
		caller *core.Caller
		role   core.Role
	}{"guest": {&g.guest, core.RoleGuest}, "dev": {&g.dev, core.RoleDeveloper}, "boss": {&g.boss, core.RoleProjectAdmin}} {
		*member.caller = g.addUser(t, name)
		g.join(t, core.ProjectRef{ID: g.project}, *member.caller, member.role)
		g.join(t, core.ProjectRef{ID: g.free}, *member.caller, core.RoleDeveloper)
	}
	g.policy(t, p)
	return g
}

func (g *gated) policy(t *testing.T, p policy.Project) {
	t.Helper()
	text, err := json.Marshal(p)
	g.must(t, err)
	g.update(t, func(tx *store.Tx) error { return tx.SetProjectPolicy(g.project, string(text)) })
}

// image publishes an image with a layer of its own and a base that all share.
func (g *gated) image(t *testing.T, repository, content, tag string) string {
	t.Helper()
	blobs := []core.Descriptor{g.blob(t, repository, "layer of "+content, 10), g.blob(t, repository, "base", 10)}
	g.must(t, g.push(t, repository, content, tag, core.Manifest{Config: digestOf("config"), Blobs: blobs}))
	return digestOf(content)
}

// index publishes an index of images that are there.
func (g *gated) index(t *testing.T, repository, content, tag string, children ...string) string {
	t.Helper()
	m := core.Manifest{}
	for _, child := range children {
		m.Children = append(m.Children, core.Descriptor{Digest: child, Platform: &core.Platform{OS: "linux", Architecture: "amd64"}})
	}
	g.must(t, g.push(t, repository, content, tag, m))
	return digestOf(content)
}

func (g *gated) found(t *testing.T, digest string, severities ...core.Severity) {
	t.Helper()
	fact := core.ScanFact{Digest: digest, Status: core.ScanSuccess, ScannedAt: time.Now()}
	for _, s := range severities {
		fact.Findings = append(fact.Findings, core.Finding{CVE: "CVE-2026-" + s.String(), Severity: s})
	}
	g.update(t, func(tx *store.Tx) error { return tx.SetScanFact(fact) })
}

// world has in p/app a blocked image "bad", an open one "good" and the index
// "both" of them.
func (g *gated) world(t *testing.T) (bad, good, both string) {
	t.Helper()
	bad, good = g.image(t, "p/app", "bad", "bad"), g.image(t, "p/app", "good", "good")
	both = g.index(t, "p/app", "both", "both", bad, good)
	g.found(t, bad, core.SeverityLow, core.SeverityCritical)
	g.found(t, good, core.SeverityMedium)
	return bad, good, both
}

// pushToken is the caller with a token to pull from and push to the repository.
func pushToken(c core.Caller, repository string) core.Caller {
	c.Limited, c.Scopes = true, []core.Scope{{Type: "repository", Name: repository, Actions: []string{"pull", "push"}}}
	return c
}

func (g *gated) get(t *testing.T, c core.Caller, reference string) error {
	t.Helper()
	_, err := g.Manifest(t.Context(), c, "p/app", reference, true)
	return err
}

func (g *gated) head(t *testing.T, c core.Caller, reference string) error {
	t.Helper()
	_, err := g.Manifest(t.Context(), c, "p/app", reference, false)
	return err
}

func wantBlocked(t *testing.T, what string, err error) {
	t.Helper()
	wantCode(t, what, err, core.CodePolicyViolation)
}

// The ways by which clients have got around Harbor's policies.
func TestBypassesOfHarbor(t *testing.T) {
	g := newGated(t, preventHigh)
	bad, good, both := g.world(t)
	ctx := t.Context()
	t.Run("by tag and by digest", func(t *testing.T) {
		for _, c := range []core.Caller{g.guest, g.dev, g.boss, system} {
			wantBlocked(t, "by tag", g.get(t, c, "bad"))
			wantBlocked(t, "by digest", g.get(t, c, bad))
			g.must(t, g.get(t, c, "good"))
			g.must(t, g.get(t, c, good))
		}
	})
	t.Run("by another tag", func(t *testing.T) {
		g.must(t, g.CreateTag(ctx, g.dev, "p/app", bad, "innocent"))
		wantBlocked(t, "by another tag", g.get(t, g.guest, "innocent"))
	})
	t.Run("HEAD", func(t *testing.T) {
		wantBlocked(t, "HEAD by tag", g.head(t, g.guest, "bad"))
		wantBlocked(t, "HEAD by digest", g.head(t, g.guest, bad))
		wantBlocked(t, "HEAD without a token to push", g.head(t, g.dev, bad))
		other := pushToken(g.dev, "p/other")
		other.Scopes = append(other.Scopes, core.Scope{Type: "repository", Name: "p/app", Actions: []string{"pull"}})
		wantBlocked(t, "HEAD with a token to push elsewhere", g.head(t, other, "bad"))
		wantBlocked(t, "HEAD of a guest with a token to push", g.head(t, pushToken(g.guest, "p/app"), "bad"))
		g.must(t, g.head(t, pushToken(g.dev, "p/app"), "bad"))
		g.must(t, g.head(t, pushToken(g.dev, "p/app"), bad))
		wantBlocked(t, "GET with a token to push", g.get(t, pushToken(g.dev, "p/app"), "bad"))
	})
	t.Run("blobs by digest", func(t *testing.T) {
		layer := digestOf("layer of bad")
		_, err := g.Blob(ctx, g.guest, "p/app", layer)
		wantBlocked(t, "blob", err)
		_, err = g.StatBlob(ctx, g.guest, "p/app", layer)
		wantBlocked(t, "HEAD of a blob", err)
		_, err = g.Blob(ctx, pushToken(g.dev, "p/app"), "p/app", layer)
		wantBlocked(t, "blob with a token to push", err)
		_, err = g.StatBlob(ctx, pushToken(g.dev, "p/app"), "p/app", layer)
		g.must(t, err)
		for _, digest := range []string{digestOf("layer of good"), digestOf("base")} {
			_, err := g.Blob(ctx, g.guest, "p/app", digest)
			g.must(t, err)
		}
	})
	t.Run("parts of an index", func(t *testing.T) {
		g.must(t, g.get(t, g.guest, "both"))
		wantBlocked(t, "the blocked part", g.get(t, g.guest, bad))
		g.index(t, "p/app", "bad alone", "alone", bad)
		wantBlocked(t, "an index of blocked parts", g.get(t, g.guest, "alone"))
		g.index(t, "p/app", "nested", "nested", digestOf("bad alone"))
		wantBlocked(t, "an index of such indexes", g.get(t, g.guest, "nested"))
		g.index(t, "p/app", "nested both", "nested", both)
		g.must(t, g.get(t, g.guest, "nested"))
	})
	t.Run("mount", func(t *testing.T) {
		if err := g.MountBlob(ctx, g.dev, "q/app", "p/app", digestOf("layer of bad")); !core.IsNotFound(err) {
			t.Errorf("a blocked layer was mounted: %v", err)
		}
		g.must(t, g.MountBlob(ctx, g.dev, "q/app", "p/app", digestOf("base")))
	})
	t.Run("copy", func(t *testing.T) {
		for _, from := range []string{"p/app:bad", "p/app@" + bad, "p/app:both"} {
			_, err := g.CopyArtifact(ctx, g.dev, "q/copy", from)
			wantBlocked(t, "copy of "+from, err)
		}
		_, err := g.CopyArtifact(ctx, g.dev, "q/copy", "p/app:good")
		g.must(t, err)
	})
	t.Run("retag and push in place", func(t *testing.T) { // who holds the bytes may push them; they stay blocked
		g.must(t, g.push(t, "p/app", "bad", "again", core.Manifest{Config: digestOf("config")}))
		wantBlocked(t, "pushed again", g.get(t, g.guest, "again"))
	})
	t.Run("the manifest as a blob", func(t *testing.T) {
		g.blob(t, "p/app", "bad", 100) // by one who has its bytes
		_, err := g.Blob(ctx, g.guest, "p/app", bad)
		wantBlocked(t, "manifest as a blob", err)
	})
}

func TestPolicyIsOfTheProjectThatIsAsked(t *testing.T) {
	g := newGated(t, preventHigh)
	bad := g.image(t, "q/app", "bad", "bad")
	g.found(t, bad, core.SeverityCritical)
	_, err := g.Manifest(t.Context(), g.guest, "q/app", "bad", true)
	g.must(t, err)
	g.image(t, "p/app", "bad", "bad")
	wantBlocked(t, "in p", g.get(t, g.guest, "bad"))
	g.policy(t, policy.Project{Prevent: true, Threshold: core.SeverityHigh, Allowlist: core.CVEAllowlist{Items: []string{"CVE-2026-Critical"}}})
	g.must(t, g.get(t, g.guest, "bad"))
	g.policy(t, policy.Project{})
	g.must(t, g.get(t, g.guest, "bad"))
}

func TestSystemAllowlistIsInForceAtOnce(t *testing.T) {
	p := preventHigh
	p.SystemAllowlist = true
	g := newGated(t, p)
	g.world(t)
	wantBlocked(t, "before", g.get(t, g.guest, "bad"))
	list := core.CVEAllowlist{Items: []string{"CVE-2026-Critical"}}
	wantCode(t, "by a project administrator", g.SetSystemCVEAllowlist(t.Context(), g.boss, list), core.CodeForbidden)
	g.must(t, g.SetSystemCVEAllowlist(t.Context(), system, list))
	g.must(t, g.get(t, g.guest, "bad"))
	g.close(t)
	g.open(t)
	g.must(t, g.get(t, g.guest, "bad"))
	list.ExpiresAt = time.Now().Add(-time.Second)
	g.must(t, g.SetSystemCVEAllowlist(t.Context(), system, list))
	wantBlocked(t, "after its end", g.get(t, g.guest, "bad"))
	if rows := g.audited(t); !slices.ContainsFunc(rows, func(row string) bool { return strings.Contains(row, "CVE-2026-Critical") }) {
		t.Errorf("the audit log does not tell of the allowlist: %v", rows)
	}
}

func TestRefusedPullsAreAudited(t *testing.T) {
	g := newGated(t, preventHigh)
	bad, _, _ := g.world(t)
	for range 3 {
		wantBlocked(t, "pull", g.get(t, g.guest, "bad"))
	}
	g.App.Close() // writes what waits; the one of the clean-up finds nothing more
	var rows []core.AuditEvent
	err := g.store.View(t.Context(), func(tx *store.Tx) (err error) {
		rows, err = tx.AuditAfter(0, 1000)
		return err
	})
	g.must(t, err)
	refused := slices.DeleteFunc(rows, func(e core.AuditEvent) bool { return e.Success })
	if len(refused) != 1 || refused[0].Repeats != 3 || refused[0].Resource != "p/app:bad" || refused[0].Digest != bad ||
		refused[0].Username != "guest" || refused[0].Description != "refused by policy: vulnerable" || refused[0].ProjectID != g.project {
		t.Errorf("refusals in the audit log: %+v", refused)
	}
}

func TestUnreadablePolicyRefuses(t *testing.T) {
	g := newGated(t, policy.Project{})
	g.image(t, "p/app", "image", "v1")
	g.update(t, func(tx *store.Tx) error { return tx.SetProjectPolicy(g.project, `{"prevent":`) })
	wantCode(t, "with a damaged policy", g.get(t, g.boss, "v1"), core.CodeInternal)
}

func TestQuarantineIsForAdministrators(t *testing.T) {
	g := newGated(t, policy.Project{Quarantine: true, Threshold: core.SeverityHigh})
	image := g.image(t, "p/app", "image", "v1")
	wantBlocked(t, "before the scan", g.get(t, g.dev, "v1"))
	g.must(t, g.get(t, g.boss, "v1"))
	g.must(t, g.get(t, system, "v1"))
	_, err := g.Blob(t.Context(), g.boss, "p/app", digestOf("layer of image"))
	g.must(t, err)
	g.found(t, image, core.SeverityHigh)
	wantBlocked(t, "after a scan that fails it", g.get(t, g.dev, "v1"))
	g.found(t, image, core.SeverityLow)
	g.must(t, g.get(t, g.dev, "v1"))
}

func TestContentTrust(t *testing.T) {
	g := newGated(t, policy.Project{Trust: policy.Trust{core.TrustNotary: nil, core.TrustCosign: nil}})
	one, two := g.image(t, "p/app", "one", "v1"), g.image(t, "p/app", "two", "v2")
	index := g.index(t, "p/app", "index", "v3", two)
	g.image(t, "p/other", "one", "v1")
	g.image(t, "p/other", "elsewhere", "v9")
	sign := func(repository string, kind core.TrustKind, facts ...core.TrustFact) {
		g.update(t, func(tx *store.Tx) error {
			id, err := tx.EnsureRepository(g.project, repository)
			if err != nil {
				return err
			}
			return tx.ReplaceTrustFacts(id, kind, "", facts)
		})
	}
	wantBlocked(t, "unsigned", g.get(t, g.guest, "v1"))
	sign("p/other", core.TrustCosign, core.TrustFact{Digest: one, KeyID: "k"}, core.TrustFact{Digest: digestOf("elsewhere"), KeyID: "k"})
	wantBlocked(t, "signed in another repository", g.get(t, g.guest, "v1"))
	_, err := g.Blob(t.Context(), g.guest, "p/app", digestOf("layer of one"))
	wantBlocked(t, "blob of an unsigned image", err)

	sign("p/app", core.TrustNotary, core.TrustFact{Digest: one, Tag: "v1", KeyID: "k"})
	g.must(t, g.get(t, g.guest, "v1"))
	g.must(t, g.get(t, g.guest, one))
	_, err = g.Blob(t.Context(), g.guest, "p/app", digestOf("layer of one"))
	g.must(t, err)
	g.must(t, g.CreateTag(t.Context(), g.dev, "p/app", one, "latest"))
	wantBlocked(t, "a tag that nobody signed", g.get(t, g.guest, "latest"))
	g.image(t, "p/app", "evil", "v1")
	wantBlocked(t, "a tag moved after signing", g.get(t, g.guest, "v1"))

	wantBlocked(t, "a platform of an unsigned index", g.get(t, g.guest, two))
	sign("p/app", core.TrustCosign, core.TrustFact{Digest: index, KeyID: "k"})
	g.must(t, g.get(t, g.guest, "v3"))
	g.must(t, g.get(t, g.guest, two))
	_, err = g.Blob(t.Context(), g.guest, "p/app", digestOf("layer of two"))
	g.must(t, err)
	sign("p/app", core.TrustCosign, core.TrustFact{Digest: index, KeyID: "k", ValidUntil: time.Now().Add(-time.Minute)})
	wantBlocked(t, "an expired signature", g.get(t, g.guest, "v3"))
}

// The newest manifests are judged first, and the search for an open one ends
// only when all were judged.
func TestBlobOfManyManifests(t *testing.T) {
	g := newGated(t, preventHigh)
	g.found(t, g.image(t, "p/app", "open", "open"))
	for _, name := range strings.Split(strings.Repeat("x ", 45), " ") {
		g.found(t, g.image(t, "p/app", "bad "+name+time.Now().String(), ""), core.SeverityHigh)
	}
	_, err := g.Blob(t.Context(), g.guest, "p/app", digestOf("base"))
	g.must(t, err)
	g.found(t, digestOf("open"), core.SeverityHigh)
	_, err = g.Blob(t.Context(), g.guest, "p/app", digestOf("base"))
	wantBlocked(t, "base of blocked images only", err)
}

func TestBlobOfNoManifestYet(t *testing.T) {
	g := newGated(t, preventHigh)
	d := g.blob(t, "p/app", "lonely", 3)
	_, err := g.Blob(t.Context(), g.dev, "p/app", d.Digest)
	g.must(t, err)
	_, err = g.Blob(t.Context(), g.guest, "p/app", d.Digest)
	if !core.IsNotFound(err) {
		t.Errorf("a guest is shown an unfinished push: %v", err)
	}
}
