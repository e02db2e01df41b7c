package web

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

func (h *api) retentionRoutes() []route {
	const policy = "/retentions/:retention_id"
	const execution = policy + "/executions/:execution_id"
	return []route{
		{http.MethodGet, "/retentions/metadatas", h.getRetentionMetadata},
		{http.MethodPost, "/retentions", h.createRetention},
		{http.MethodGet, policy, h.getRetention},
		{http.MethodPut, policy, h.updateRetention},
		{http.MethodDelete, policy, h.deleteRetention},
		{http.MethodGet, policy + "/executions", h.listRetentionExecutions},
		{http.MethodPost, policy + "/executions", h.startRetention},
		{http.MethodPatch, execution, h.stopRetention},
		{http.MethodGet, execution + "/tasks", h.listRetentionTasks},
		{http.MethodGet, execution + "/tasks/:task_id", h.getRetentionTask},
	}
}

// The words of a retention policy that have one value each.
const (
	retentionAlgorithm = "or"
	retentionAction    = "retain"
	retentionTrigger   = "Schedule"
	retentionLevel     = "project"
)

// retentionJSON is Harbor's RetentionPolicy.
type retentionJSON struct {
	ID        int64                `json:"id"`
	Algorithm string               `json:"algorithm"`
	Rules     []retentionRuleJSON  `json:"rules"`
	Trigger   retentionTriggerJSON `json:"trigger"`
	Scope     retentionScopeJSON   `json:"scope"`
}

// retentionRuleJSON is Harbor's RetentionRule. N is the one parameter, with the
// name of the template.
type retentionRuleJSON struct {
	ID             int             `json:"id"`
	Priority       int64           `json:"priority"`
	Disabled       bool            `json:"disabled"`
	Action         string          `json:"action"`
	Template       string          `json:"template"`
	Params         map[string]any  `json:"params"`
	TagSelectors   []core.Selector `json:"tag_selectors"`
	ScopeSelectors scopeSelectors  `json:"scope_selectors"`
}

type retentionTriggerJSON struct {
	Kind       string                `json:"kind"`
	Settings   retentionSettingsJSON `json:"settings"`
	References struct{}              `json:"references"`
}

// retentionSettingsJSON has an empty cron when the policy runs by hand only.
type retentionSettingsJSON struct {
	Cron string `json:"cron"`
}

type retentionScopeJSON struct {
	Level string `json:"level"`
	Ref   int64  `json:"ref"` // the project's id
}

func newRetentionJSON(p core.RetentionPolicy) retentionJSON {
	v := retentionJSON{ID: p.ID, Algorithm: retentionAlgorithm, Rules: []retentionRuleJSON{},
		Trigger: retentionTriggerJSON{Kind: retentionTrigger, Settings: retentionSettingsJSON{p.Cron}},
		Scope:   retentionScopeJSON{retentionLevel, p.ProjectID}}
	for i, r := range p.Rules {
		params := map[string]any{}
		if _, counts := core.RetentionTemplates()[r.Template]; counts {
			params[r.Template] = r.N
		}
		v.Rules = append(v.Rules, retentionRuleJSON{ID: i, Priority: r.Priority, Disabled: r.Disabled, Action: retentionAction,
			Template: r.Template, Params: params, TagSelectors: r.Tags, ScopeSelectors: scopeSelectors{scopeRepository: r.Repositories}})
	}
	return v
}

// bindRetention reads a policy; its rules are checked by the use cases.
func bindRetention(c echo.Context) (core.RetentionPolicy, error) {
	var body retentionJSON
	if err := bind(c, &body); err != nil {
		return core.RetentionPolicy{}, err
	}
	p := core.RetentionPolicy{ID: body.ID, ProjectID: body.Scope.Ref, Cron: body.Trigger.Settings.Cron}
	switch {
	case body.Algorithm != retentionAlgorithm:
		return p, core.Errorf(core.CodeBadRequest, "the algorithm of a retention policy is %q", retentionAlgorithm)
	case body.Scope.Level != retentionLevel:
		return p, core.Errorf(core.CodeBadRequest, "scope %s is not support; the level is %q and ref a project's id", core.Clip(body.Scope.Level, 64), retentionLevel)
	case p.ProjectID <= 0:
		return p, core.Errorf(core.CodeBadRequest, "invalid Project id %d", p.ProjectID)
	case body.Trigger.Kind != retentionTrigger && (body.Trigger.Kind != "" || p.Cron != ""):
		return p, core.Errorf(core.CodeBadRequest, "the trigger of a retention policy is of the kind %q; an empty cron in its settings means none", retentionTrigger)
	}
	for i, r := range body.Rules {
		rule, err := r.rule()
		if err != nil {
			return p, core.Errorf(core.CodeBadRequest, "rule %d: %s", i, core.ErrorMessage(err))
		}
		p.Rules = append(p.Rules, rule)
	}
	return p, nil
}

func (r retentionRuleJSON) rule() (core.RetentionRule, error) {
	rule := core.RetentionRule{Disabled: r.Disabled, Priority: r.Priority, Template: r.Template, Tags: r.TagSelectors}
	if r.Action != "" && r.Action != retentionAction {
		return rule, core.Errorf(core.CodeBadRequest, "the action is %s", retentionAction)
	}
	if _, counts := core.RetentionTemplates()[r.Template]; counts {
		n, ok := r.Params[r.Template].(float64) // the type of every number in JSON
		rule.N = int(n)
		if !ok || float64(rule.N) != n {
			return rule, core.Errorf(core.CodeBadRequest, "params needs a whole number %s", r.Template)
		}
	}
	var err error
	rule.Repositories, err = r.ScopeSelectors.repositories()
	return rule, err
}

func (h *api) createRetention(c echo.Context) error {
	policy, err := bindRetention(c)
	if err != nil {
		return err
	}
	id, err := h.app.CreateRetention(c.Request().Context(), caller(c), policy)
	if err != nil {
		return err
	}
	return createdBelow(c, id)
}

func (h *api) getRetention(c echo.Context) error {
	id, err := pathID(c, "retention_id")
	if err != nil {
		return err
	}
	policy, err := h.app.Retention(c.Request().Context(), caller(c), id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newRetentionJSON(policy))
}

// updateRetention takes the id in the path, as Harbor does.
func (h *api) updateRetention(c echo.Context) error {
	id, err := pathID(c, "retention_id")
	if err != nil {
		return err
	}
	policy, err := bindRetention(c)
	if err != nil {
		return err
	}
	policy.ID = id
	if err := h.app.UpdateRetention(c.Request().Context(), caller(c), policy); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

func (h *api) deleteRetention(c echo.Context) error {
	id, err := pathID(c, "retention_id")
	if err != nil {
		return err
	}
	if err := h.app.DeleteRetention(c.Request().Context(), caller(c), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

func (h *api) startRetention(c echo.Context) error {
	id, err := pathID(c, "retention_id")
	if err != nil {
		return err
	}
	var body struct {
		DryRun bool `json:"dry_run"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	execution, err := h.app.StartRetention(c.Request().Context(), caller(c), id, body.DryRun)
	if err != nil {
		return err
	}
	return createdBelow(c, execution)
}

// retentionExecutionJSON is Harbor's RetentionExecution.
type retentionExecutionJSON struct {
	ID        int64     `json:"id"`
	PolicyID  int64     `json:"policy_id"`
	StartTime time.Time `json:"start_time,omitzero"`
	EndTime   time.Time `json:"end_time,omitzero"`
	Status    string    `json:"status"`
	Trigger   string    `json:"trigger"`
	DryRun    bool      `json:"dry_run"`
}

func newRetentionExecutionJSON(x app.RetentionExecution) retentionExecutionJSON {
	return retentionExecutionJSON{ID: x.ID, PolicyID: x.Target, StartTime: x.StartedAt, EndTime: x.EndedAt,
		Status: string(x.Status), Trigger: strings.ToUpper(string(x.Trigger)), DryRun: x.DryRun}
}

func (h *api) listRetentionExecutions(c echo.Context) error {
	id, err := pathID(c, "retention_id")
	if err != nil {
		return err
	}
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	executions, total, err := h.app.RetentionExecutions(c.Request().Context(), caller(c), id, q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(executions, newRetentionExecutionJSON))
}

// executionPath returns the policy and the execution in the path.
func executionPath(c echo.Context) (policy, execution int64, err error) {
	if policy, err = pathID(c, "retention_id"); err != nil {
		return 0, 0, err
	}
	execution, err = pathID(c, "execution_id")
	return policy, execution, err
}

func (h *api) stopRetention(c echo.Context) error {
	policy, execution, err := executionPath(c)
	if err != nil {
		return err
	}
	var body struct {
		Action string `json:"action"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	if body.Action != "stop" {
		return core.Errorf(core.CodeBadRequest, "action should be 'stop'")
	}
	if err := h.app.StopRetention(c.Request().Context(), caller(c), policy, execution); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

// retentionTaskJSON is Harbor's RetentionExecutionTask: what an execution did
// in one repository, named without its project.
type retentionTaskJSON struct {
	ID          int64     `json:"id"`
	ExecutionID int64     `json:"execution_id"`
	Repository  string    `json:"repository"`
	JobID       string    `json:"job_id"`
	Status      string    `json:"status"`
	StatusCode  int       `json:"status_code"`
	StartTime   time.Time `json:"start_time,omitzero"`
	EndTime     time.Time `json:"end_time,omitzero"`
	Total       int64     `json:"total"`
	Retained    int64     `json:"retained"`
}

// statusCodes are Harbor's (src/jobservice/job/status.go).
var statusCodes = map[core.JobStatus]int{core.JobPending: 0, core.JobRunning: 2, core.JobStopped: 3, core.JobError: 3, core.JobSuccess: 3}

func newRetentionTaskJSON(t core.RetentionTask) retentionTaskJSON {
	_, name, _ := core.SplitRepository(t.Repository)
	return retentionTaskJSON{ID: t.ID, ExecutionID: t.ExecutionID, Repository: name, JobID: strconv.FormatInt(t.ExecutionID, 10),
		Status: string(t.Status), StatusCode: statusCodes[t.Status], StartTime: t.StartedAt, EndTime: t.EndedAt, Total: t.Total, Retained: t.Retained}
}

func (h *api) listRetentionTasks(c echo.Context) error {
	policy, execution, err := executionPath(c)
	if err != nil {
		return err
	}
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	tasks, total, err := h.app.RetentionTasks(c.Request().Context(), caller(c), policy, execution, q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(tasks, newRetentionTaskJSON))
}

// getRetentionTask answers with Harbor's log, a table in plain text, and with
// the same as JSON where that is what the client wants most.
func (h *api) getRetentionTask(c echo.Context) error {
	policy, execution, err := executionPath(c)
	if err != nil {
		return err
	}
	id, err := pathID(c, "task_id")
	if err != nil {
		return err
	}
	task, results, err := h.app.RetentionTask(c.Request().Context(), caller(c), policy, execution, id)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderVary, echo.HeaderAccept)
	if strings.HasPrefix(c.Request().Header.Get(echo.HeaderAccept), echo.MIMEApplicationJSON) {
		return c.JSON(http.StatusOK, results)
	}
	return c.String(http.StatusOK, retentionLog(task, results))
}

// retentionMarks are the words of Harbor's log.
var retentionMarks = map[core.Fate]string{core.FateRetained: "RETAIN", core.FateDeleted: "DEL", core.FateImmutable: "IMMUTABLE", core.FateFailed: "ERR"}

func retentionLog(task core.RetentionTask, results []core.RetentionResult) string {
	var text strings.Builder
	fmt.Fprintf(&text, "Repository: %s\nStatus: %s\nArtifacts: %d, retained: %d\n", task.Repository, task.Status, task.Total, task.Retained)
	if task.Message != "" {
		fmt.Fprintf(&text, "Error: %s\n", task.Message)
	}
	table := tabwriter.NewWriter(&text, 0, 0, 1, ' ', tabwriter.Debug)
	fmt.Fprintln(table, "Digest\t Tag\t PushedTime\t PulledTime\t Retention")
	for _, r := range results {
		fmt.Fprintf(table, "%s\t %s\t %s\t %s\t %s\n", r.Digest, r.Tag, logTime(r.PushedAt), logTime(r.PulledAt), retentionMarks[r.Fate])
	}
	_ = table.Flush() // a strings.Builder takes everything
	return text.String()
}

func logTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006/01/02 15:04:05")
}

// getRetentionMetadata lists what a policy can be made of, in Harbor's words.
func (h *api) getRetentionMetadata(c echo.Context) error {
	if err := h.app.SeeRetentionTemplates(c.Request().Context(), caller(c)); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, retentionMetadata)
}

type retentionMetadataJSON struct {
	Templates      []retentionTemplateJSON `json:"templates"`
	ScopeSelectors []selectorMetadataJSON  `json:"scope_selectors"`
	TagSelectors   []selectorMetadataJSON  `json:"tag_selectors"`
}

type retentionTemplateJSON struct {
	Template string               `json:"rule_template"`
	Text     string               `json:"display_text"`
	Action   string               `json:"action"`
	Params   []retentionParamJSON `json:"params"`
}

type retentionParamJSON struct {
	Type     string `json:"type"`
	Unit     string `json:"unit"`
	Required bool   `json:"required"`
}

type selectorMetadataJSON struct {
	Text        string   `json:"display_text"`
	Kind        string   `json:"kind"`
	Decorations []string `json:"decorations"`
}

var retentionMetadata = retentionMetadataJSON{
	Templates: []retentionTemplateJSON{
		{core.RetainLatestPushed, "the most recently pushed # artifacts", retentionAction, []retentionParamJSON{{"int", "COUNT", true}}},
		{core.RetainLatestPulled, "the most recently pulled # artifacts", retentionAction, []retentionParamJSON{{"int", "COUNT", true}}},
		{core.RetainPushedWithin, "pushed within the last # days", retentionAction, []retentionParamJSON{{"int", "DAYS", true}}},
		{core.RetainPulledWithin, "pulled within the last # days", retentionAction, []retentionParamJSON{{"int", "DAYS", true}}},
		{core.RetainAlways, "always", retentionAction, []retentionParamJSON{}},
	},
	ScopeSelectors: []selectorMetadataJSON{{"Repositories", core.SelectorKind, []string{core.SelectRepositories, core.SelectOtherRepos}}},
	TagSelectors:   []selectorMetadataJSON{{"Tags", core.SelectorKind, []string{core.SelectTags, core.SelectOtherTags}}},
}
