package web_test

import (
	"strconv"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// addRules gives the project an immutability rule and a trust anchor, and all but one
// a retention policy with an execution that has done one repository.
func (w *world) addRules(t *testing.T, p *place, policy bool) {
	t.Helper()
	tags := []core.Selector{{Kind: core.SelectorKind, Decoration: core.SelectTags, Pattern: "kept-*"}}
	repositories := []core.Selector{{Kind: core.SelectorKind, Decoration: core.SelectRepositories, Pattern: "**"}}
	rule, err := w.app.CreateImmutableRule(t.Context(), system, core.ProjectRef{ID: p.id}, core.ImmutableRule{Tags: tags, Repositories: repositories})
	if err != nil {
		t.Fatal(err)
	}
	p.values["immutable_rule_id"] = strconv.FormatInt(rule, 10)
	anchor, err := w.app.CreateTrustAnchor(t.Context(), system, core.ProjectRef{ID: p.id}, core.TrustAnchor{Type: core.AnchorIdentity,
		Name: "ci", Issuer: "https://issuer.test", Subject: "builder@example.test"})
	if err != nil {
		t.Fatal(err)
	}
	p.values["anchor_id"] = strconv.FormatInt(anchor, 10)
	if !policy {
		return
	}
	id, err := w.app.CreateRetention(t.Context(), system, core.RetentionPolicy{ProjectID: p.id, Rules: []core.RetentionRule{
		{Template: core.RetainLatestPushed, N: 3, Tags: tags, Repositories: repositories}}})
	if err != nil {
		t.Fatal(err)
	}
	execution, err := w.app.StartRetention(t.Context(), system, id, true)
	if err != nil {
		t.Fatal(err)
	}
	var task core.RetentionTask
	err = w.store.Update(t.Context(), func(tx *store.Tx) (err error) {
		if task, err = tx.BeginRetentionTask(execution, p.values["repository"]); err != nil {
			return err
		}
		task.Status, task.Total = core.JobSuccess, 1
		return tx.EndRetentionTask(task, []core.RetentionResult{{Digest: p.values["reference"], Tag: p.values["tag_name"], Fate: core.FateDeleted}})
	})
	if err != nil {
		t.Fatal(err)
	}
	p.values["retention_id"], p.values["execution_id"] = strconv.FormatInt(id, 10), strconv.FormatInt(execution, 10)
	p.values["task_id"] = strconv.FormatInt(task.ID, 10)
}

const (
	newImmutableRule = `{"disabled":false,"action":"immutable","template":"immutable_template","tag_selectors":[{"kind":"doublestar","decoration":"matches","pattern":"fresh-*"}],` +
		`"scope_selectors":{"repository":[{"kind":"doublestar","decoration":"repoMatches","pattern":"**"}]}}`
	newRetention = `{"algorithm":"or","rules":[{"disabled":false,"action":"retain","template":"nDaysSinceLastPull","params":{"nDaysSinceLastPull":7},` +
		`"tag_selectors":[{"kind":"doublestar","decoration":"matches","pattern":"**","extras":"{\"untagged\":true}"}],` +
		`"scope_selectors":{"repository":[{"kind":"doublestar","decoration":"repoMatches","pattern":"**"}]}}],` +
		`"trigger":{"kind":"Schedule","references":{},"settings":{"cron":"0 0 0 * * *"}},"scope":{"level":"project","ref":{project_id}}}`
	newAnchor     = `{"type":"cosign-identity","name":"fresh","issuer":"https://issuer.test","subject":"someone@example.test"}`
	anchorPath    = "/projects/:project_name_or_id/trust/anchors"
	immutablePath = "/projects/:project_name_or_id/immutabletagrules"
	retentionPath = "/retentions/:retention_id"
	executionPath = retentionPath + "/executions/:execution_id"
)
