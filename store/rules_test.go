package store_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

func selector(decoration, pattern string) []core.Selector {
	return []core.Selector{{Kind: core.SelectorKind, Decoration: decoration, Pattern: pattern}}
}

// twoProjects makes the projects p and q and returns their ids.
func twoProjects(t *testing.T, s *store.Store) (p, q int64) {
	t.Helper()
	update(t, s, func(tx *store.Tx) (err error) {
		if p, err = tx.CreateProject(core.Project{Name: "p", QuotaHard: -1}); err != nil {
			return err
		}
		q, err = tx.CreateProject(core.Project{Name: "q", QuotaHard: -1})
		return err
	})
	return p, q
}

func TestImmutableRulesBelongToTheirProject(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		p, q := twoProjects(t, s)
		rule := core.ImmutableRule{ProjectID: p, Disabled: true, Priority: 7,
			Tags: selector(core.SelectTags, "v*"), Repositories: selector(core.SelectRepositories, "**")}
		update(t, s, func(tx *store.Tx) (err error) {
			if rule.ID, err = tx.CreateImmutableRule(rule); err != nil {
				return err
			}
			_, err = tx.CreateImmutableRule(core.ImmutableRule{ProjectID: q, Tags: rule.Tags, Repositories: rule.Repositories})
			return err
		})
		view(t, s, func(tx *store.Tx) error {
			found, err := tx.ImmutableRule(p, rule.ID)
			if err != nil {
				return err
			}
			if found.CreatedAt.IsZero() || !found.SameSelectors(rule) || !found.Disabled || found.Priority != 7 || found.ProjectID != p {
				t.Errorf("rule = %+v", found)
			}
			if _, err := tx.ImmutableRule(q, rule.ID); !errors.Is(err, store.ErrNoRow) {
				t.Errorf("the rule of another project: %v", err)
			}
			disabled := core.Query{Page: 1, PageSize: 10, Filters: []core.Filter{{Field: "disabled", Values: []string{"true"}}}}
			list, total, err := tx.ListImmutableRules(p, disabled)
			if err != nil || total != 1 || list[0].ID != rule.ID {
				t.Errorf("ListImmutableRules = %+v, %d, %v", list, total, err)
			}
			return nil
		})
		foreign := rule
		foreign.ProjectID = q
		for what, err := range map[string]error{
			"change": s.Update(t.Context(), func(tx *store.Tx) error { return tx.SetImmutableRule(foreign) }),
			"delete": s.Update(t.Context(), func(tx *store.Tx) error { return tx.DeleteImmutableRule(q, rule.ID) }),
		} {
			if !errors.Is(err, store.ErrNoRow) {
				t.Errorf("%s through another project: %v", what, err)
			}
		}
		rule.Disabled, rule.Tags = false, selector(core.SelectOtherTags, "dev-*")
		update(t, s, func(tx *store.Tx) error { return tx.SetImmutableRule(rule) })
		update(t, s, func(tx *store.Tx) error { return tx.DeleteProject(q) })
		view(t, s, func(tx *store.Tx) error {
			rules, err := tx.ImmutableRules(p)
			if len(rules) != 1 || rules[0].Disabled || !rules[0].SameSelectors(rule) {
				t.Errorf("after the update: %+v", rules)
			}
			left, e := tx.ImmutableRules(q)
			if len(left) != 0 {
				t.Errorf("rules outlived their project: %+v", left)
			}
			return errors.Join(err, e)
		})
		update(t, s, func(tx *store.Tx) error { return tx.DeleteImmutableRule(p, rule.ID) })
	})
}

func TestOneRetentionPolicyForEachProject(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		p, q := twoProjects(t, s)
		policy := core.RetentionPolicy{ProjectID: p, Cron: "0 0 0 * * *", Rules: []core.RetentionRule{{Template: core.RetainLatestPushed, N: 3,
			Tags:         []core.Selector{{Kind: core.SelectorKind, Decoration: core.SelectTags, Pattern: "**", Extras: `{"untagged":true}`}},
			Repositories: selector(core.SelectRepositories, "**")}}}
		create := func() error {
			return s.Update(t.Context(), func(tx *store.Tx) (err error) {
				id, err := tx.CreateRetention(policy)
				if err == nil {
					policy.ID = id
				}
				return err
			})
		}
		if err := create(); err != nil {
			t.Fatal(err)
		}
		if err := create(); !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("a second policy: %v", err)
		}
		policy.Rules[0].Disabled, policy.Cron = true, ""
		update(t, s, func(tx *store.Tx) error { return tx.SetRetention(policy) })
		view(t, s, func(tx *store.Tx) error {
			found, err := tx.Retention(policy.ID)
			if err != nil || found.ProjectID != p || found.Cron != "" || !reflect.DeepEqual(found.Rules, policy.Rules) {
				t.Errorf("policy = %+v, %v", found, err)
			}
			ids, err := tx.RetentionIDs(p, q)
			if len(ids) != 1 || ids[p] != policy.ID {
				t.Errorf("RetentionIDs = %v", ids)
			}
			return err
		})
		update(t, s, func(tx *store.Tx) error { return tx.DeleteProject(p) })
		view(t, s, func(tx *store.Tx) error {
			if _, err := tx.Retention(policy.ID); !errors.Is(err, store.ErrNoRow) {
				t.Errorf("the policy outlived its project: %v", err)
			}
			return nil
		})
	})
}

// startedJob queues and starts a job of the kind about the target.
func startedJob(t *testing.T, s *store.Store, kind string, target int64) int64 {
	t.Helper()
	var id int64
	update(t, s, func(tx *store.Tx) (err error) {
		if id, err = tx.QueueJob(core.Job{Kind: kind, Target: target, Parameters: "{}"}); err != nil {
			return err
		}
		_, err = tx.StartJob(kind)
		return err
	})
	return id
}

func TestRetentionTasks(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		const kind, target = "RETENTION", 5
		jobID := startedJob(t, s, kind, target)
		results := []core.RetentionResult{{Digest: "d", Tag: "v1", PushedAt: day.UTC(), Fate: core.FateDeleted}}
		var task core.RetentionTask
		update(t, s, func(tx *store.Tx) (err error) {
			if task, err = tx.BeginRetentionTask(jobID, "p/app"); err != nil {
				return err
			}
			_, err = tx.BeginRetentionTask(jobID, "p/other")
			return err
		})
		update(t, s, func(tx *store.Tx) error { // after an interruption
			again, err := tx.BeginRetentionTask(jobID, "p/app")
			if again.ID != task.ID {
				t.Errorf("the task began twice: %d and %d", task.ID, again.ID)
			}
			return err
		})
		task.Status, task.Total, task.Retained, task.Message = core.JobSuccess, 9, 8, "m"
		update(t, s, func(tx *store.Tx) error { return tx.EndRetentionTask(task, results) })
		view(t, s, func(tx *store.Tx) error {
			ended, err := tx.EndedRetentionTasks(jobID)
			if err != nil || !slices.Equal(ended, []string{"p/app"}) {
				t.Errorf("ended = %v, %v", ended, err)
			}
			list, total, err := tx.RetentionTasks(jobID, listAll)
			if err != nil || total != 2 || list[0].Repository != "p/app" || list[1].Status != core.JobRunning {
				t.Errorf("tasks = %+v, %d, %v", list, total, err)
			}
			found, lines, err := tx.RetentionTask(jobID, task.ID)
			if err != nil || found.Total != 9 || found.Retained != 8 || found.Message != "m" || found.EndedAt.IsZero() || !reflect.DeepEqual(lines, results) {
				t.Errorf("task = %+v with %+v, %v", found, lines, err)
			}
			if _, _, err := tx.RetentionTask(jobID+1, task.ID); !errors.Is(err, store.ErrNoRow) {
				t.Errorf("the task of another job: %v", err)
			}
			return nil
		})
		update(t, s, func(tx *store.Tx) error { return tx.EndJob(jobID, core.JobSuccess, "") })
		second := startedJob(t, s, kind, target)
		update(t, s, func(tx *store.Tx) error { return tx.TrimRetentionTasks(kind, target, 1) })
		update(t, s, func(tx *store.Tx) error { return tx.DeleteJobs(kind, target) })
		view(t, s, func(tx *store.Tx) error {
			if _, total, err := tx.RetentionTasks(jobID, listAll); total != 0 || err != nil {
				t.Errorf("%d tasks of the first job are left, %v", total, err)
			}
			if _, err := tx.Job(kind, jobID); !errors.Is(err, store.ErrNoRow) {
				t.Errorf("a job that had ended: %v", err)
			}
			running, err := tx.Job(kind, second)
			if !running.Stopping {
				t.Errorf("the running job is %+v", running)
			}
			return err
		})
	})
}

func TestRetentionCandidates(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		p, _ := twoProjects(t, s)
		var repository int64
		ids := map[string]int64{}
		update(t, s, func(tx *store.Tx) (err error) {
			if repository, err = tx.EnsureRepository(p, "p/app"); err != nil {
				return err
			}
			for _, m := range []core.Artifact{{Digest: "index"}, {Digest: "child"}, {Digest: "tagged child"}, {Digest: "signature", Subject: "index"},
				{Digest: "tagged signature", Subject: "index"}, {Digest: "loose"}} {
				if m.Blob.ID, err = tx.CreateBlob(core.Blob{Digest: m.Digest, Generation: 1}); err != nil {
					return err
				}
				m.RepositoryID = repository
				if ids[m.Digest], err = tx.CreateManifest(m); err != nil {
					return err
				}
			}
			for _, child := range []string{"child", "tagged child"} {
				if err := tx.AddChild(ids["index"], ids[child], core.Descriptor{}); err != nil {
					return err
				}
			}
			return nil
		})
		update(t, s, func(tx *store.Tx) error { // later, so that the tags are younger
			for tag, digest := range map[string]string{"b": "index", "a": "index", "c": "tagged child", "s": "tagged signature"} {
				if _, err := tx.SetTag(repository, ids[digest], tag); err != nil {
					return err
				}
			}
			tag, err := tx.Tag(repository, "b")
			if err != nil {
				return err
			}
			return tx.CountPulls(repository, ids["index"], tag.ID, 1)
		})
		view(t, s, func(tx *store.Tx) error {
			all, err := tx.RetentionCandidates(repository, "")
			if err != nil {
				return err
			}
			var digests []string
			for _, c := range all {
				digests = append(digests, c.Digest)
			}
			if !slices.Equal(digests, []string{"index", "tagged child", "tagged signature", "loose"}) {
				t.Errorf("candidates = %v", digests)
			}
			index := all[0]
			if len(index.Tags) != 2 || index.Tags[0].Name != "a" || !index.PushedAt.Equal(index.Tags[0].PushedAt) || index.PulledAt.IsZero() {
				t.Errorf("index = %+v", index)
			}
			if all[2].Subject != "index" || len(all[3].Tags) != 0 || !all[3].PulledAt.IsZero() {
				t.Errorf("candidates = %+v", all)
			}
			one, err := tx.RetentionCandidates(repository, "index")
			if err != nil || len(one) != 1 || !one[0].Same(index) {
				t.Errorf("alone = %+v, %v", one, err)
			}
			none, err := tx.RetentionCandidates(repository, "child")
			if len(none) != 0 {
				t.Errorf("a part of an index is a candidate: %+v", none)
			}
			return err
		})
	})
}
