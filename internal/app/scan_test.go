package app_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/policy"
	"github.com/breakwater-registry/breakwater/store"
)

// engine is a scanner that finds what the test says.
type engine struct {
	mu      sync.Mutex
	found   map[string][]core.Finding
	fails   map[string]core.ScanFact
	scanned []string
	known   []string
	forgot  []string
}

func (e *engine) fact(digest string) core.ScanFact {
	e.mu.Lock()
	defer e.mu.Unlock()
	if f, ok := e.fails[digest]; ok {
		f.Digest = digest
		return f
	}
	return core.ScanFact{Digest: digest, Status: core.ScanSuccess, Findings: slices.Clone(e.found[digest])}
}

func (e *engine) Scan(_ context.Context, image core.ScanImage) (core.ScanFact, error) {
	e.mu.Lock()
	e.scanned = append(e.scanned, image.Digest)
	e.mu.Unlock()
	return e.fact(image.Digest), nil
}

func (e *engine) Rematch(ctx context.Context, done func(context.Context, core.ScanFact) error, progress func(done, total int)) error {
	for i, digest := range e.known {
		if err := done(ctx, e.fact(digest)); err != nil {
			return err
		}
		progress(i+1, len(e.known))
	}
	return nil
}

func (e *engine) Prune(ctx context.Context, gone func(context.Context, []string) ([]string, error)) error {
	digests, err := gone(ctx, e.known)
	e.forgot = append(e.forgot, digests...)
	return err
}

func (e *engine) Report(_ context.Context, digest string) (core.ScanReport, error) {
	return core.ScanReport{Digest: digest, Vulnerabilities: []core.Vulnerability{{CVE: "CVE-1"}}}, nil
}

func (e *engine) Search(_ context.Context, q core.VulnerabilityQuery) ([]core.ImageVulnerability, int64, error) {
	list := []core.ImageVulnerability{}
	for digest := range e.found {
		if q.Digests == nil || slices.Contains(q.Digests, digest) {
			list = append(list, core.ImageVulnerability{Digest: digest})
		}
	}
	return list, int64(len(list)), nil
}

func (e *engine) CommonCVEs(context.Context, core.VulnerabilityQuery, int) ([]core.CVECount, error) {
	return nil, nil
}

func newScanned(t *testing.T, p policy.Project) (*gated, *engine) {
	t.Helper()
	g := newGated(t, p)
	e := &engine{found: map[string][]core.Finding{}, fails: map[string]core.ScanFact{}}
	g.UseScanner(e)
	return g, e
}

// work does the jobs of the kinds that wait, as internal/jobs would.
func (g *gated) work(t *testing.T, kinds ...string) (lines []string) {
	t.Helper()
	for _, kind := range kinds {
		for {
			job, err := g.StartJob(t.Context(), kind)
			if core.IsNotFound(err) {
				break
			}
			g.must(t, err)
			status := core.JobSuccess
			if err := g.RunScan(t.Context(), job, func(_ app.ScanProgress, line string) { lines = append(lines, line) }); err != nil {
				status = core.JobError
			}
			g.must(t, g.EndJob(t.Context(), job, status, ""))
		}
	}
	return lines
}

func (g *gated) scanState(t *testing.T, digest string) app.ScanState {
	t.Helper()
	a, err := g.Artifact(t.Context(), system, "p/app", digest)
	g.must(t, err)
	return a.Scan
}

// SBOMs are made of images that are pushed where the project says so, and of
// those that somebody asks for; of nothing else.
func TestSBOMJobs(t *testing.T) {
	g, _ := newScanned(t, policy.Project{SBOMOnPush: true})
	digest := g.image(t, "p/app", "image", "v1")
	g.image(t, "q/app", "elsewhere", "v1") // of a project that does not want it
	g.must(t, g.push(t, "p/app", "chart", "", core.Manifest{}))
	next := func() (job core.Job, made app.SBOMJob) {
		t.Helper()
		job, err := g.StartJob(t.Context(), app.JobSBOM)
		g.must(t, err)
		g.must(t, json.Unmarshal([]byte(job.Parameters), &made))
		return job, made
	}
	none := func() {
		t.Helper()
		if job, err := g.StartJob(t.Context(), app.JobSBOM); !core.IsNotFound(err) {
			t.Errorf("there is another job: %+v, %v", job, err)
		}
	}
	job, made := next()
	if want := (app.SBOMJob{Repository: "p/app", Digest: digest}); made != want || job.Trigger != core.JobTriggerEvent {
		t.Errorf("the job is %+v of %+v", job, made)
	}
	g.must(t, g.StopSBOM(t.Context(), system, "p/app", "v1"))
	if job, err := g.AnyJob(t.Context(), system, job.ID); err != nil || !job.Stopping {
		t.Errorf("the job is %+v, %v", job, err)
	}
	g.must(t, g.EndJob(t.Context(), job, core.JobStopped, ""))
	none()
	if err := g.StopSBOM(t.Context(), system, "p/app", "v1"); core.ErrorCode(err) != core.CodeBadRequest {
		t.Errorf("stop without a job: %v", err)
	}
	g.must(t, g.GenerateSBOM(t.Context(), system, "q/app", "v1"))
	if job, made = next(); made.Repository != "q/app" || job.Trigger != core.JobTriggerManual {
		t.Errorf("the job is %+v of %+v", job, made)
	}
	if err := g.GenerateSBOM(t.Context(), system, "p/app", digestOf("chart")); core.ErrorCode(err) != core.CodeBadRequest {
		t.Errorf("of a chart: %v", err)
	}
	none()
}

func TestScanOnPush(t *testing.T) {
	g, e := newScanned(t, policy.Project{ScanOnPush: true})
	e.found[digestOf("image")] = []core.Finding{{CVE: "CVE-1", Severity: core.SeverityLow}}
	digest := g.image(t, "p/app", "image", "v1")
	if s := g.scanState(t, digest); s.Open != core.JobPending || s.Fact.Status != "" {
		t.Errorf("after the push the image is %+v", s)
	}
	g.image(t, "q/app", "elsewhere", "v1") // of a project that does not want it
	g.must(t, g.push(t, "p/app", "chart", "", core.Manifest{}))
	g.work(t, app.ScanKinds()...)
	if s := g.scanState(t, digest); s.Open != "" || s.Fact.Status != core.ScanSuccess || len(s.Fact.Findings) != 1 {
		t.Errorf("after the scan the image is %+v", s)
	}
	if !slices.Equal(e.scanned, []string{digest}) {
		t.Errorf("scanned = %v", e.scanned)
	}
	g.must(t, g.push(t, "p/app", "image", "v2", core.Manifest{Config: digestOf("config")}))
	if s := g.scanState(t, digest); s.Open != "" {
		t.Errorf("an image that is up to date is scanned again: %+v", s)
	}
	if rows := g.audited(t); !slices.ContainsFunc(rows, func(row string) bool { return strings.Contains(row, "1 Low") }) {
		t.Errorf("the outcome is not in the audit log: %v", rows)
	}
	g.must(t, g.DeleteManifest(t.Context(), system, "p/app", digest))
	g.update(t, func(tx *store.Tx) error {
		facts, err := tx.ScanFacts(digest)
		if len(facts) != 0 {
			t.Error("the fact of an image that is gone is still there")
		}
		return err
	})
}

// The first pull of an image has it scanned and waits for that.
func TestPullWaitsForTheFirstScan(t *testing.T) {
	p := preventHigh
	p.ScanWait = time.Minute
	g, e := newScanned(t, p)
	good, bad := g.image(t, "p/app", "good", "good"), g.image(t, "p/app", "bad", "bad")
	e.found[bad] = []core.Finding{{CVE: "CVE-1", Severity: core.SeverityCritical}}
	index := g.index(t, "p/app", "both", "both", bad, good)
	var pulls sync.WaitGroup
	errs := map[string]error{}
	var mu sync.Mutex
	for _, reference := range []string{"good", "bad", index} {
		pulls.Go(func() {
			_, err := g.Manifest(t.Context(), g.guest, "p/app", reference, true)
			mu.Lock()
			defer mu.Unlock()
			errs[reference] = err
		})
	}
	done := make(chan struct{})
	go func() { defer close(done); pulls.Wait() }()
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		case <-g.JobsChanged():
			g.work(t, app.JobScanPull)
		case <-t.Context().Done():
			t.Fatal("the pulls do not end")
		}
	}
	g.must(t, errs["good"])
	g.must(t, errs[index])
	wantBlocked(t, "the bad one", errs["bad"])
	if !strings.Contains(errs["bad"].Error(), `"critical" is equal or higher`) {
		t.Errorf("the text is %v", errs["bad"])
	}
}

func TestPullThatWaitsTooLong(t *testing.T) {
	p := preventHigh
	p.ScanWait = time.Millisecond
	g, _ := newScanned(t, p)
	digest := g.image(t, "p/app", "image", "v1")
	err := g.get(t, g.guest, "v1")
	wantBlocked(t, "before the scan", err)
	if !strings.Contains(err.Error(), "pull again in a minute") {
		t.Errorf("the text does not say to retry: %v", err)
	}
	if s := g.scanState(t, digest); s.Open != core.JobPending {
		t.Errorf("no scan is queued: %+v", s)
	}
}

func TestImagesThatGotWorseAreTold(t *testing.T) {
	g, e := newScanned(t, policy.Project{})
	worse, same, gone := g.image(t, "p/app", "worse", "v1"), g.image(t, "p/app", "same", "v2"), digestOf("gone")
	for _, digest := range []string{worse, same} {
		e.found[digest] = []core.Finding{{CVE: "CVE-1", Severity: core.SeverityLow}}
		g.must(t, g.ScanArtifact(t.Context(), g.boss, "p/app", digest))
	}
	g.work(t, app.JobScan)
	e.known = []string{worse, same, gone}
	e.found[worse] = append(e.found[worse], core.Finding{CVE: "CVE-2", Severity: core.SeverityHigh}, core.Finding{CVE: "CVE-3", Severity: core.SeverityCritical})
	g.must(t, g.RecordFeeds(t.Context(), core.FeedResult{Feed: "debian", Parts: []core.FeedPartResult{{Name: "debian/updater", Changed: true}}}))
	g.work(t, app.JobRematch)
	q := core.Query{Page: 1, PageSize: 10}
	for _, c := range []core.Caller{g.guest, g.boss, user(firstAdmin)} {
		list, total, seen, err := g.Notifications(t.Context(), c, q)
		if err != nil || total != 1 || seen != 0 || list[0].Digest != worse || list[0].Text != "CVE-3 (Critical) and 1 more" || list[0].Resource != "p/app" {
			t.Fatalf("notifications = %+v, %d, %v", list, total, err)
		}
		g.must(t, g.SeeNotifications(t.Context(), c, list[0].ID))
		if n, err := g.UnseenNotifications(t.Context(), c); n != 0 || err != nil {
			t.Errorf("%d are new after they were seen, %v", n, err)
		}
	}
	stranger := g.addUser(t, "stranger")
	if _, total, _, err := g.Notifications(t.Context(), stranger, q); total != 0 || err != nil {
		t.Errorf("a stranger is told of %d, %v", total, err)
	}
	_, _, _, err := g.Notifications(t.Context(), anonymous, q)
	wantCode(t, "anonymous", err, core.CodeUnauthorized)
	if !slices.Equal(e.forgot, []string{gone}) {
		t.Errorf("forgotten = %v", e.forgot)
	}
	g.work(t, app.JobRematch)
	e.found[worse] = e.found[worse][:1] // it got better
	g.work(t, app.JobRematch)
	if _, total, _, _ := g.Notifications(t.Context(), g.boss, q); total != 1 {
		t.Errorf("%d notifications, want the one", total)
	}
}

// A scan that fails does not take away what is known of the image.
func TestFailedScanKeepsWhatIsKnown(t *testing.T) {
	g, e := newScanned(t, preventHigh)
	digest := g.image(t, "p/app", "image", "v1")
	g.must(t, g.ScanArtifact(t.Context(), g.boss, "p/app", "v1"))
	g.work(t, app.JobScan)
	g.must(t, g.get(t, g.guest, "v1"))
	e.fails[digest] = core.ScanFact{Status: core.ScanError, Message: "out of disk"}
	g.must(t, g.ScanArtifact(t.Context(), g.boss, "p/app", "v1"))
	g.work(t, app.JobScan)
	g.must(t, g.get(t, g.guest, "v1"))
	fresh := g.image(t, "p/app", "fresh", "v2")
	e.fails[fresh] = core.ScanFact{Status: core.ScanUnscannable, Message: "no archive"}
	g.must(t, g.ScanArtifact(t.Context(), g.boss, "p/app", "v2"))
	g.work(t, app.JobScan)
	wantBlocked(t, "what cannot be scanned", g.get(t, g.guest, "v2"))
}

func TestScanOfManyImages(t *testing.T) {
	g, e := newScanned(t, policy.Project{})
	a, b, c := g.image(t, "p/a", "a", ""), g.image(t, "p/b", "b", ""), g.image(t, "q/c", "c", "")
	g.image(t, "p/b", "a", "")
	scanned := func(want ...string) {
		t.Helper()
		slices.Sort(want)
		if slices.Sort(e.scanned); !slices.Equal(e.scanned, want) {
			t.Errorf("scanned %v, want %v", e.scanned, want)
		}
		e.scanned = nil
	}
	_, err := g.ScanRepository(t.Context(), g.boss, "p/a")
	g.must(t, err)
	g.work(t, app.JobScanProject)
	scanned(a)
	_, err = g.ScanProject(t.Context(), g.boss, core.ProjectRef{Name: "p"})
	g.must(t, err)
	g.work(t, app.JobScanProject)
	scanned(a, b)
	_, err = g.ScanAll(t.Context(), g.boss)
	wantCode(t, "scan all by a project administrator", err, core.CodeForbidden)
	_, err = g.ScanAll(t.Context(), system)
	g.must(t, err)
	_, err = g.ScanAll(t.Context(), system)
	wantCode(t, "a second scan of all", err, core.CodeConflict)
	g.work(t, app.JobScanAll)
	scanned(a, b, c)
	wantCode(t, "stop of what does not run", g.StopScan(t.Context(), g.boss, "p/a", a), core.CodeBadRequest)
	g.must(t, g.ScanArtifact(t.Context(), g.boss, "p/a", a))
	g.must(t, g.StopScan(t.Context(), g.boss, "p/a", a))
	g.work(t, app.JobScan)
	scanned()
	stopped := func() bool {
		t.Helper()
		found, err := g.Artifact(t.Context(), system, "p/a", a)
		g.must(t, err)
		return found.Scan.Stopped
	}
	if !stopped() {
		t.Error("nothing tells that the scan was stopped")
	}
	e.fails[a] = core.ScanFact{Status: core.ScanSuccess, ScannedAt: time.Now().Add(time.Second)}
	g.must(t, g.ScanArtifact(t.Context(), g.boss, "p/a", a))
	g.work(t, app.JobScan)
	if stopped() {
		t.Error("the next scan does not count")
	}
}

func TestPolicyIsMadeOfMetadata(t *testing.T) {
	g, _ := newScanned(t, policy.Project{})
	set := func(values map[string]string, list *core.CVEAllowlist) {
		g.must(t, g.UpdateProject(t.Context(), g.boss, core.ProjectRef{Name: "p"}, values, list))
	}
	stored := func() (p policy.Project) {
		g.update(t, func(tx *store.Tx) error {
			project, err := tx.Project(core.ProjectRef{ID: g.project})
			if project.Policy != "" {
				g.must(t, json.Unmarshal([]byte(project.Policy), &p))
			}
			return err
		})
		return p
	}
	set(map[string]string{"prevent_vul": "true", "severity": "high", "reuse_sys_cve_allowlist": "false", "ignore_unfixed": "true", "scan_wait_seconds": "3"},
		&core.CVEAllowlist{Items: []string{"CVE-2026-2", "CVE-2026-1"}})
	p := stored()
	if !p.Prevent || p.Threshold != core.SeverityHigh || !p.IgnoreUnfixed || p.AllowUnknown || p.ScanWait != 3*time.Second || p.SystemAllowlist || len(p.Allowlist.Items) != 2 {
		t.Errorf("policy = %+v", p)
	}
	set(map[string]string{"reuse_sys_cve_allowlist": "true", "quarantine": "true", "prevent_vul": "false"}, nil)
	if p := stored(); p.Prevent || !p.Quarantine || !p.ScanOnPush || !p.SystemAllowlist || len(p.Allowlist.Items) != 0 {
		t.Errorf("policy = %+v", p)
	}
	set(map[string]string{"quarantine": "false"}, nil)
	if p := stored(); p.Enforces() || p.ScanOnPush {
		t.Errorf("policy = %+v", p)
	}
}

// emptyManifests is content of which no manifest names any layers.
type emptyManifests struct{}

func (emptyManifests) ReadBlob(context.Context, core.Blob, int64) ([]byte, error) {
	return []byte(`{}`), nil
}
