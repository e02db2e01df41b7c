package app_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

func retain(template string, n int, tags string) core.RetentionRule {
	return core.RetentionRule{Template: template, N: n, Tags: selectors(core.SelectTags, tags), Repositories: selectors(core.SelectRepositories, "**")}
}

// policy gives the project p a retention policy.
func (i *images) policy(t *testing.T, rules ...core.RetentionRule) int64 {
	t.Helper()
	id, err := i.CreateRetention(t.Context(), system, core.RetentionPolicy{ProjectID: i.project, Rules: rules})
	i.must(t, err)
	return id
}

// started queues an execution and takes it from the queue.
func (i *images) started(t *testing.T, c core.Caller, policy int64, dryRun bool) core.Job {
	t.Helper()
	id, err := i.StartRetention(t.Context(), c, policy, dryRun)
	i.must(t, err)
	job, err := i.StartJob(t.Context(), app.JobRetention)
	i.must(t, err)
	if job.ID != id || job.Target != policy {
		t.Fatalf("job = %+v, want %d", job, id)
	}
	return job
}

func ignoreProgress(app.RetentionProgress, string) {}

// execute runs the policy to its end and returns "repository:tag=fate" of all
// lines; an artifact without a tag has the first letters of its digest.
func (i *images) execute(t *testing.T, c core.Caller, policy int64, dryRun bool) (lines []string) {
	t.Helper()
	job := i.started(t, c, policy, dryRun)
	i.must(t, i.RunRetention(t.Context(), job, ignoreProgress))
	i.must(t, i.EndJob(t.Context(), job, core.JobSuccess, ""))
	return i.lines(t, policy, job.ID)
}

func (i *images) lines(t *testing.T, policy, execution int64) (lines []string) {
	t.Helper()
	tasks, _, err := i.RetentionTasks(t.Context(), system, policy, execution, listAll)
	i.must(t, err)
	for _, task := range tasks {
		_, results, err := i.RetentionTask(t.Context(), system, policy, execution, task.ID)
		i.must(t, err)
		for _, r := range results {
			name := r.Tag
			if name == "" {
				name = r.Digest[7:11]
			}
			lines = append(lines, fmt.Sprintf("%s:%s=%s", task.Repository, name, r.Fate))
		}
	}
	return lines
}

func (i *images) tags(t *testing.T, repository string) []string {
	t.Helper()
	names, _, err := i.TagNames(t.Context(), system, repository, "", 1000)
	i.must(t, err)
	return names
}

func (i *images) exists(t *testing.T, repository, content string) bool {
	t.Helper()
	_, err := i.Artifact(t.Context(), system, repository, digestOf(content))
	if err != nil && !core.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil
}

func TestDryRunIsTheRunThatFollows(t *testing.T) {
	i := newImages(t)
	for n := 1; n <= 4; n++ {
		i.must(t, i.push(t, "p/a", fmt.Sprintf("image %d", n), fmt.Sprintf("v%d", n), core.Manifest{}))
	}
	i.must(t, i.push(t, "p/a", "image 1", "stable", core.Manifest{})) // the latest push: keeps image 1 with v1
	i.must(t, i.push(t, "p/a", "untagged", "", core.Manifest{}))
	i.must(t, i.push(t, "p/b", "other", "x", core.Manifest{}))
	only := retain(core.RetainLatestPushed, 2, "v*")
	only.Tags[0].Extras = `{"untagged":false}`
	only.Repositories = selectors(core.SelectRepositories, "a")
	policy := i.policy(t, only)
	want := []string{"p/a:stable=retained", "p/a:v1=retained", "p/a:v2=deleted", "p/a:v3=deleted", "p/a:v4=retained",
		"p/a:" + digestOf("untagged")[7:11] + "=deleted"}
	slices.Sort(want)
	for _, dryRun := range []bool{true, false} {
		got := i.execute(t, system, policy, dryRun)
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("dry run %v:\n got %v\nwant %v", dryRun, got, want)
		}
		if dryRun && len(i.tags(t, "p/a")) != 5 {
			t.Errorf("a dry run left %v", i.tags(t, "p/a"))
		}
	}
	if got := i.tags(t, "p/a"); !slices.Equal(got, []string{"stable", "v1", "v4"}) || i.exists(t, "p/a", "image 2") || i.exists(t, "p/a", "untagged") {
		t.Errorf("left: %v", got)
	}
	if got := i.tags(t, "p/b"); len(got) != 1 {
		t.Errorf("a repository that no rule selects lost tags: %v", got)
	}
	if got := i.used(t); got != 300 {
		t.Errorf("used %d bytes, want 300", got)
	}
	tasks, total, err := i.RetentionTasks(t.Context(), system, policy, 2, listAll)
	if err != nil || total != 1 || tasks[0].Total != 5 || tasks[0].Retained != 2 || tasks[0].Status != core.JobSuccess {
		t.Errorf("tasks = %+v, %d, %v", tasks, total, err)
	}
}

func TestRetentionLeavesImmutableTagsAndParts(t *testing.T) {
	i := newImages(t)
	i.must(t, i.push(t, "p/a", "child", "child", core.Manifest{}))
	i.must(t, i.push(t, "p/a", "index", "v1", core.Manifest{Children: []core.Descriptor{{Digest: digestOf("child")}}}))
	i.must(t, i.push(t, "p/a", "signature", "", core.Manifest{Subject: digestOf("index")}))
	i.must(t, i.push(t, "p/a", "old", "old", core.Manifest{}))
	i.must(t, i.push(t, "p/a", "sbom", "sbom-of-old", core.Manifest{Subject: digestOf("old")}))
	i.protect(t)
	policy := i.policy(t, retain(core.RetainNothing, 0, "**"))
	want := []string{"p/a:child=deleted", "p/a:v1=immutable", "p/a:old=deleted", "p/a:sbom-of-old=deleted"}
	if got := i.execute(t, system, policy, true); !slices.Equal(got, want) {
		t.Errorf("dry run: %v", got)
	}
	if got := i.execute(t, system, policy, false); !slices.Equal(got, want) {
		t.Errorf("run: %v", got)
	}
	if got := i.tags(t, "p/a"); !slices.Equal(got, []string{"v1"}) {
		t.Errorf("tags = %v", got)
	}
	for content, left := range map[string]bool{"child": true, "index": true, "signature": true, "old": false, "sbom": false} {
		if i.exists(t, "p/a", content) != left {
			t.Errorf("%s is there: %v", content, !left)
		}
	}
}

// A signature goes in the same run as its image, also when it was pushed first.
func TestRetentionTakesSignaturesAlong(t *testing.T) {
	i := newImages(t)
	i.must(t, i.push(t, "p/a", "signature", "sig", core.Manifest{Subject: digestOf("image")}))
	i.must(t, i.push(t, "p/a", "cosign", strings.Replace(digestOf("image"), ":", "-", 1)+".sig", core.Manifest{}))
	i.must(t, i.push(t, "p/a", "image", "v1", core.Manifest{}))
	policy := i.policy(t, retain(core.RetainNothing, 0, "**"))
	preview := i.execute(t, system, policy, true)
	if got := i.execute(t, system, policy, false); !slices.Equal(got, preview) || len(got) != 3 || len(i.tags(t, "p/a")) != 0 {
		t.Errorf("preview %v\n    run %v\n   left %v", preview, got, i.tags(t, "p/a"))
	}
}

func TestRetentionRemovesIndexesWhole(t *testing.T) {
	i := newImages(t)
	i.must(t, i.push(t, "p/a", "shared", "", core.Manifest{}))
	for n := range 3 {
		children := []core.Descriptor{{Digest: digestOf("shared")}}
		child := fmt.Sprintf("child %d", n)
		i.must(t, i.push(t, "p/a", child, "", core.Manifest{}))
		index := fmt.Sprintf("index %d", n)
		i.must(t, i.push(t, "p/a", index, fmt.Sprintf("v%d", n), core.Manifest{Children: append(children, core.Descriptor{Digest: digestOf(child)})}))
		i.must(t, i.push(t, "p/a", "signature of "+index, "", core.Manifest{Subject: digestOf(index)}))
	}
	i.execute(t, system, i.policy(t, retain(core.RetainLatestPushed, 1, "**")), false)
	for content, left := range map[string]bool{"index 2": true, "child 2": true, "signature of index 2": true, "shared": true,
		"index 1": false, "child 1": false, "signature of index 1": false, "index 0": false} {
		if i.exists(t, "p/a", content) != left {
			t.Errorf("%s is there: %v", content, !left)
		}
	}
}

// What happens between the decision and the deletion is respected.
func TestRetentionKeepsWhatChangedMeanwhile(t *testing.T) {
	i := newImages(t)
	signature := core.Manifest{Subject: digestOf("named")}
	for content, tag := range map[string]string{"named": "v1", "moved": "v2", "protected": "v3", "deleted": "v4", "doomed": "v5", "listed": "", "loose": ""} {
		i.must(t, i.push(t, "p/a", content, tag, core.Manifest{}))
	}
	i.must(t, i.push(t, "p/a", "signature", "sig", signature))
	policy := i.policy(t, retain(core.RetainNothing, 0, "**"))
	job := i.started(t, system, policy, false)
	fates, err := i.DecideAndRemove(t.Context(), job, "p/a", func() {
		i.must(t, i.CreateTag(t.Context(), system, "p/a", digestOf("named"), "keep"))
		i.must(t, i.push(t, "p/a", "new", "v2", core.Manifest{}))
		_, err := i.CreateImmutableRule(t.Context(), system, core.ProjectRef{ID: i.project}, immutableRule("**", "v3"))
		i.must(t, err)
		i.must(t, i.DeleteManifest(t.Context(), system, "p/a", digestOf("deleted")))
		i.must(t, i.push(t, "p/a", "index", "i", core.Manifest{Children: []core.Descriptor{{Digest: digestOf("listed")}}}))
	})
	i.must(t, err)
	for content, want := range map[string]core.Fate{"named": core.FateRetained, "signature": core.FateRetained, "moved": core.FateRetained,
		"protected": core.FateImmutable, "deleted": core.FateDeleted, "doomed": core.FateDeleted, "listed": core.FateRetained, "loose": core.FateDeleted} {
		if got := fates[digestOf(content)]; got != want {
			t.Errorf("%s is %s, want %s", content, got, want)
		}
		if i.exists(t, "p/a", content) != (want != core.FateDeleted) {
			t.Errorf("%s is there: %v", content, want == core.FateDeleted)
		}
	}
	if got := i.tags(t, "p/a"); !slices.Equal(got, []string{"i", "keep", "sig", "v1", "v2", "v3"}) {
		t.Errorf("tags = %v", got)
	}
}

// A policy that is deleted while it runs deletes nothing any more, and a
// repository that is gone is no failure.
func TestRetentionEndsWithItsPolicy(t *testing.T) {
	i := newImages(t)
	i.must(t, i.push(t, "p/a", "one", "v1", core.Manifest{}))
	i.must(t, i.push(t, "p/b", "two", "v1", core.Manifest{}))
	policy := i.policy(t, retain(core.RetainNothing, 0, "**"))
	job := i.started(t, system, policy, false)
	fates, err := i.DecideAndRemove(t.Context(), job, "p/b", func() { i.must(t, i.DeleteRepository(t.Context(), system, "p/b")) })
	if err != nil || fates[digestOf("two")] != core.FateDeleted {
		t.Errorf("a deleted repository: %v, %v", fates, err)
	}
	fates, err = i.DecideAndRemove(t.Context(), job, "p/a", func() { i.must(t, i.DeleteRetention(t.Context(), system, policy)) })
	if !core.IsNotFound(err) || fates[digestOf("one")] != core.FateFailed || !i.exists(t, "p/a", "one") {
		t.Errorf("a deleted policy: %v, %v", fates, err)
	}
}

// An interrupted run goes on with what is left, and a stopped one does not.
func TestRetentionGoesOnAfterAnInterruption(t *testing.T) {
	i := newImages(t)
	for _, repository := range []string{"p/a", "p/b", "p/c"} {
		i.must(t, i.push(t, repository, "old "+repository, "old", core.Manifest{}))
		i.must(t, i.push(t, repository, "new "+repository, "new", core.Manifest{}))
	}
	policy := i.policy(t, retain(core.RetainLatestPushed, 1, "**"))
	job := i.started(t, system, policy, false)
	ctx, cancel := context.WithCancel(t.Context())
	err := i.RunRetention(ctx, job, func(app.RetentionProgress, string) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	if len(i.tags(t, "p/a")) != 1 || len(i.tags(t, "p/c")) != 2 {
		t.Fatalf("after the first repository: %v, %v", i.tags(t, "p/a"), i.tags(t, "p/c"))
	}
	var last app.RetentionProgress
	i.must(t, i.RunRetention(t.Context(), job, func(p app.RetentionProgress, _ string) { last = p }))
	if last != (app.RetentionProgress{Repositories: 2, Done: 2, Artifacts: 4, Deleted: 2}) || len(i.tags(t, "p/c")) != 1 {
		t.Errorf("progress = %+v, tags = %v", last, i.tags(t, "p/c"))
	}
	if got := i.lines(t, policy, job.ID); len(got) != 6 || got[1] != "p/a:new=retained" || got[0] != "p/a:old=deleted" {
		t.Errorf("lines = %v", got)
	}
	i.must(t, i.EndJob(t.Context(), job, core.JobSuccess, ""))
	waiting, err := i.StartRetention(t.Context(), system, policy, false)
	i.must(t, err)
	i.must(t, i.StopRetention(t.Context(), system, policy, waiting))
	runs, total, err := i.RetentionExecutions(t.Context(), system, policy, listAll)
	if err != nil || total != 2 || runs[0].ID != waiting || runs[0].Status != core.JobStopped || runs[0].DryRun {
		t.Errorf("executions = %+v, %d, %v", runs, total, err)
	}
}

func TestRetentionInReadOnlyModeTellsWhy(t *testing.T) {
	i := newImages(t)
	i.must(t, i.push(t, "p/a", "one", "v1", core.Manifest{}))
	policy := i.policy(t, retain(core.RetainNothing, 0, "**"))
	i.configure(t, "read_only", "true")
	job := i.started(t, system, policy, false)
	if err := i.RunRetention(t.Context(), job, ignoreProgress); core.ErrorCode(err) != core.CodeUnavailable {
		t.Errorf("run = %v", err)
	}
	if got := i.lines(t, policy, job.ID); !slices.Equal(got, []string{"p/a:v1=error"}) {
		t.Errorf("lines = %v", got)
	}
	tasks, _, err := i.RetentionTasks(t.Context(), system, policy, job.ID, listAll)
	i.must(t, err)
	if tasks[0].Status != core.JobError || !strings.Contains(tasks[0].Message, "read only") || tasks[0].Retained != 1 {
		t.Errorf("task = %+v", tasks[0])
	}
}

// The audit log names who started the run, although it acts with the rights of
// the registry: a developer may clean up and may delete no artifact.
func TestRetentionIsAuditedAsItsStarter(t *testing.T) {
	i := newImages(t)
	dev := i.addUser(t, "dev")
	i.join(t, core.ProjectRef{ID: i.project}, dev, core.RoleDeveloper)
	i.must(t, i.push(t, "p/a", "one", "v1", core.Manifest{}))
	i.must(t, i.push(t, "p/a", "one", "v1.0", core.Manifest{}))
	wantCode(t, "delete by hand", i.DeleteArtifact(t.Context(), dev, "p/a", "v1"), core.CodeForbidden)
	policy, err := i.CreateRetention(t.Context(), dev, core.RetentionPolicy{ProjectID: i.project, Rules: []core.RetentionRule{retain(core.RetainNothing, 0, "**")}})
	i.must(t, err)
	i.execute(t, dev, policy, false)
	text := strings.Join(i.audited(t), "\n")
	for _, want := range []string{"dev create tag-retention p policy 1 ok 1 rules", "dev operate tag-retention p policy 1 ok execution 1, dry run: false",
		"dev delete artifact p/a@" + digestOf("one") + " ok tag retention policy 1, execution 1, tags v1, v1.0"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the audit log:\n%s", want, text)
		}
	}
	i.must(t, i.store.View(t.Context(), func(tx *store.Tx) error {
		events, err := tx.AuditAfter(0, 100)
		if last := events[len(events)-1]; last.Actor != dev.Subject.String() || last.ProjectID != i.project {
			t.Errorf("the last event is %+v", last)
		}
		return err
	}))
}

func TestRetentionPoliciesByRight(t *testing.T) {
	w := newTown(t)
	p := core.RetentionPolicy{ProjectID: w.here.ID, Rules: []core.RetentionRule{retain(core.RetainAlways, 0, "**")}}
	for _, c := range []core.Caller{w.gus, w.eve, w.zoe} {
		_, err := w.CreateRetention(t.Context(), c, p)
		wantCode(t, "create", err, core.CodeForbidden)
	}
	id, err := w.CreateRetention(t.Context(), w.ada, p)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.CreateRetention(t.Context(), w.ada, p)
	wantCode(t, "a second policy", err, core.CodeBadRequest)
	execution, err := w.StartRetention(t.Context(), w.dan, id, true)
	wantCode(t, "start", err, "")
	p.ID = id
	for _, c := range []core.Caller{w.gus, w.eve, w.zoe} { // hidden is as good as absent
		for _, policy := range []int64{id, id + 99} {
			p := p
			p.ID = policy
			_, err := w.Retention(t.Context(), c, policy)
			wantCode(t, "read", err, core.CodeNotFound)
			wantCode(t, "update", w.UpdateRetention(t.Context(), c, p), core.CodeNotFound)
			wantCode(t, "delete", w.DeleteRetention(t.Context(), c, policy), core.CodeNotFound)
			_, err = w.StartRetention(t.Context(), c, policy, false)
			wantCode(t, "start", err, core.CodeNotFound)
			wantCode(t, "stop", w.StopRetention(t.Context(), c, policy, execution), core.CodeNotFound)
			_, _, err = w.RetentionExecutions(t.Context(), c, policy, listAll)
			wantCode(t, "executions", err, core.CodeNotFound)
			_, _, err = w.RetentionTasks(t.Context(), c, policy, execution, listAll)
			wantCode(t, "tasks", err, core.CodeNotFound)
			_, _, err = w.RetentionTask(t.Context(), c, policy, execution, 1)
			wantCode(t, "task", err, core.CodeNotFound)
		}
	}
	_, err = w.Retention(t.Context(), anonymous, id)
	wantCode(t, "anonymous", err, core.CodeUnauthorized)
	moved := p
	moved.ProjectID = w.there.ID
	wantCode(t, "move to another project", w.UpdateRetention(t.Context(), w.ada, moved), core.CodeBadRequest)
	other, err := w.CreateRetention(t.Context(), w.eve, core.RetentionPolicy{ProjectID: w.there.ID})
	wantCode(t, "an empty policy", err, "")
	_, _, err = w.RetentionTasks(t.Context(), w.eve, other, execution, listAll)
	wantCode(t, "tasks of an execution of another policy", err, core.CodeNotFound)
	wantCode(t, "stop an execution of another policy", w.StopRetention(t.Context(), w.eve, other, execution), core.CodeNotFound)
	wantCode(t, "delete", w.DeleteRetention(t.Context(), w.ada, id), "")
	_, err = w.Retention(t.Context(), w.ada, id)
	wantCode(t, "read a deleted one", err, core.CodeNotFound)
}

func TestRetentionSchedule(t *testing.T) {
	w := newTown(t)
	p := core.RetentionPolicy{ProjectID: w.here.ID, Cron: "0 0 0 * *"}
	_, err := w.CreateRetention(t.Context(), w.ada, p)
	wantCode(t, "five fields", err, core.CodeBadRequest)
	p.Cron = "0 0 3 * * *"
	p.ID, err = w.CreateRetention(t.Context(), w.ada, p)
	wantCode(t, "create", err, "")
	scheduled := func() (s core.Schedule, err error) {
		err = w.store.View(t.Context(), func(tx *store.Tx) error {
			s, err = tx.Schedule(app.JobRetention, p.ID)
			return err
		})
		return s, err
	}
	if s, err := scheduled(); err != nil || s.Cron != p.Cron || s.NextAt.UTC().Hour() != 3 {
		t.Errorf("schedule = %+v, %v", s, err)
	}
	p.Cron = ""
	wantCode(t, "by hand only", w.UpdateRetention(t.Context(), w.ada, p), "")
	if s, err := scheduled(); !errors.Is(err, store.ErrNoRow) {
		t.Errorf("schedule = %+v, %v", s, err)
	}
	p.Cron = "0 30 1 * * 0"
	wantCode(t, "again", w.UpdateRetention(t.Context(), w.ada, p), "")
	wantCode(t, "delete the project", w.DeleteProject(t.Context(), w.ada, w.here), "")
	if s, err := scheduled(); !errors.Is(err, store.ErrNoRow) {
		t.Errorf("the schedule outlived the project: %+v, %v", s, err)
	}
}

// A scheduled execution is the registry's own.
func TestScheduledRetentionRuns(t *testing.T) {
	i := newImages(t)
	i.must(t, i.push(t, "p/a", "one", "v1", core.Manifest{}))
	policy := i.policy(t, retain(core.RetainNothing, 0, "**"))
	i.must(t, i.UpdateRetention(t.Context(), system, core.RetentionPolicy{ID: policy, ProjectID: i.project, Cron: "0 0 0 * * *",
		Rules: []core.RetentionRule{retain(core.RetainNothing, 0, "**")}}))
	i.update(t, func(tx *store.Tx) error {
		s, err := tx.Schedule(app.JobRetention, policy)
		if err != nil {
			return err
		}
		return tx.MoveSchedule(s.ID, tx.Now())
	})
	i.must(t, i.QueueDueJobs(t.Context()))
	job, err := i.StartJob(t.Context(), app.JobRetention)
	i.must(t, err)
	i.must(t, i.RunRetention(t.Context(), job, ignoreProgress))
	rows := i.audited(t)
	if last := rows[len(rows)-1]; !strings.HasPrefix(last, "system delete artifact p/a@") {
		t.Errorf("the last audit row is %q", last)
	}
}

func TestRetentionIDIsMetadata(t *testing.T) {
	w := newTown(t)
	id, err := w.CreateRetention(t.Context(), w.ada, core.RetentionPolicy{ProjectID: w.here.ID})
	if err != nil {
		t.Fatal(err)
	}
	values, err := w.ProjectMetadata(t.Context(), w.ada, w.here)
	if err != nil || values["retention_id"] != strconv.FormatInt(id, 10) {
		t.Errorf("metadata = %v, %v", values, err)
	}
	set := func(ref core.ProjectRef, value string) error {
		return w.UpdateProject(t.Context(), w.admin, ref, map[string]string{"retention_id": value, "public": "true"}, nil)
	}
	wantCode(t, "sent back as it was", set(w.here, strconv.FormatInt(id, 10)), "")
	wantCode(t, "another policy", set(w.here, strconv.FormatInt(id+1, 10)), core.CodeBadRequest)
	wantCode(t, "the policy of another project", set(w.there, strconv.FormatInt(id, 10)), core.CodeBadRequest)
	wantCode(t, "none", set(w.there, "0"), core.CodeBadRequest)
	wantCode(t, "delete the key", w.DeleteProjectMetadata(t.Context(), w.ada, w.here, "retention_id"), core.CodeNotFound)
}
