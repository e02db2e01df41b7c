package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// retentionPage is where the pages of a project's retention policy begin.
const retentionPage = projectPage + "/policies/retention"

func (h *api) retentionPages() []page {
	return []page{
		{method: http.MethodGet, path: retentionPage, handle: h.retentionPage},
		{method: http.MethodGet, path: retentionPage + "/new", handle: h.newRetentionRulePage},
		{method: http.MethodPost, path: retentionPage + "/rules", handle: h.addRetentionRulePage},
		{method: http.MethodPost, path: retentionPage + "/rules/delete", handle: h.deleteRetentionRulePage},
		{method: http.MethodPost, path: retentionPage + "/schedule", handle: h.scheduleRetentionPage},
		{method: http.MethodPost, path: retentionPage + "/runs", handle: h.runRetentionPage},
		{method: http.MethodGet, path: retentionPage + "/runs/:execution_id", handle: h.retentionRunPage},
		{method: http.MethodPost, path: retentionPage + "/runs/:execution_id/stop", handle: h.stopRetentionPage},
		{method: http.MethodGet, path: retentionPage + "/runs/:execution_id/:task_id", handle: h.retentionTaskPage},
	}
}

func retentionURL(project string, below ...string) string {
	return projectURL(project, append([]string{"policies", "retention"}, below...)...)
}

// retentionSummary is the policy as the page of all policies shows it.
func retentionSummary(ctx context.Context, p app.OpenedProject, policy core.RetentionPolicy) *ui.RetentionSummary {
	summary := &ui.RetentionSummary{Href: retentionURL(p.Name)}
	for _, rule := range policy.Rules {
		summary.Rules = append(summary.Rules, retentionText(ctx, rule))
	}
	return summary
}

// retentionText says in one sentence what a rule retains.
func retentionText(ctx context.Context, rule core.RetentionRule) string {
	if rule.Template == core.RetainAlways || rule.Template == core.RetainNothing {
		return i18n.T(ctx, "retention.rule."+rule.Template)
	}
	return i18n.N(ctx, "retention.rule."+rule.Template, int64(rule.N))
}

func retentionRow(ctx context.Context, p app.OpenedProject, policy core.RetentionPolicy, i int) ui.RuleRow {
	rule := policy.Rules[i]
	row := ui.RuleRow{Text: retentionText(ctx, rule), Repositories: selectorText(ctx, rule.Repositories, core.SelectOtherRepos),
		Tags: selectorText(ctx, rule.Tags, core.SelectOtherTags), Disabled: rule.Disabled}
	if p.Rights.May(core.ResTagRetention, core.ActUpdate) {
		row.Delete = &ui.Confirm{ID: "delete-rule-" + strconv.Itoa(i), Title: i18n.T(ctx, "retention.delete.title"), Text: i18n.T(ctx, "retention.delete.text"),
			Action: retentionURL(p.Name, "rules", "delete"), Verb: i18n.T(ctx, "policies.rule.delete"),
			Hidden: []ui.Hidden{{Name: "rule", Value: strconv.Itoa(i)}, {Name: "seen", Value: seenOf(policy)}}}
	}
	return row
}

// seenOf is when the reader saw the policy change last, in microseconds.
func seenOf(policy core.RetentionPolicy) string {
	if policy.ID == 0 {
		return ""
	}
	return strconv.FormatInt(policy.UpdatedAt.UnixMicro(), 10)
}

// openRetention returns the project in the path with its policy, as the reader
// has seen it: what has changed since is told when it is to be changed.
func (h *api) openRetention(c echo.Context) (app.OpenedProject, core.RetentionPolicy, error) {
	p, err := h.openProject(c)
	if err != nil {
		return p, core.RetentionPolicy{}, err
	}
	policy, err := h.app.ProjectRetention(c.Request().Context(), caller(c), core.ProjectRef{ID: p.ID})
	return p, policy, err
}

// saveRetention writes the policy, the first time as a new one.
func (h *api) saveRetention(c echo.Context, policy core.RetentionPolicy) error {
	ctx := c.Request().Context()
	if policy.ID == 0 {
		_, err := h.app.CreateRetention(ctx, caller(c), policy)
		return err
	}
	if seen, err := strconv.ParseInt(c.Request().PostForm.Get("seen"), 10, 64); err == nil {
		policy.UpdatedAt = time.UnixMicro(seen).UTC()
	}
	return h.app.UpdateRetention(ctx, caller(c), policy)
}

func (h *api) retentionPage(c echo.Context) error {
	p, policy, err := h.openRetention(c)
	if err != nil {
		return err
	}
	return h.showRetention(c, http.StatusOK, p, policy, ui.RetentionView{Form: ui.NewForm(), Cron: policy.Cron, Schedule: scheduleOf(policy.Cron)})
}

// schedules are the ways in which a policy runs by itself, with their crons.
var schedules = []struct{ name, cron string }{{"none", ""}, {"hourly", "0 0 * * * *"}, {"daily", "0 0 0 * * *"}, {"weekly", "0 0 0 * * 0"}, {"custom", ""}}

func scheduleOf(cron string) string {
	for _, s := range schedules {
		if s.cron == cron {
			return s.name
		}
	}
	return "custom"
}

func (h *api) showRetention(c echo.Context, status int, p app.OpenedProject, policy core.RetentionPolicy, view ui.RetentionView) error {
	ctx := c.Request().Context()
	view.Project, view.Policies, view.Path = p.Name, projectURL(p.Name, "policies"), retentionURL(p.Name)
	view.MayChange, view.Seen = p.Rights.May(core.ResTagRetention, core.ActUpdate), seenOf(policy)
	for i := range policy.Rules {
		view.Rules = append(view.Rules, retentionRow(ctx, p, policy, i))
	}
	for _, s := range schedules {
		view.Schedules = append(view.Schedules, ui.Option{Value: s.name, Label: i18n.T(ctx, "retention.schedule."+s.name)})
	}
	if policy.ID != 0 {
		q := listPage(c)
		runs, total, err := h.app.RetentionExecutions(ctx, caller(c), policy.ID, q)
		if err != nil {
			return err
		}
		view.Runs = mapAll(runs, func(run app.RetentionExecution) ui.RunRow { return runRow(ctx, p, run) })
		view.Pager = pager(view.Path, url.Values{}, q, len(runs), total)
	}
	return h.showProject(c, status, p, tabPolicies, ui.Retention(view))
}

func runRow(ctx context.Context, p app.OpenedProject, run app.RetentionExecution) ui.RunRow {
	row := ui.RunRow{Href: retentionURL(p.Name, "runs", strconv.FormatInt(run.ID, 10)), DryRun: run.DryRun, Status: string(run.Status),
		StatusText: i18n.T(ctx, "retention.status."+string(run.Status)), By: run.CreatedBy, Begun: run.CreatedAt, Running: !run.Status.Ended(), Message: run.Message}
	if run.Trigger == core.JobTriggerSchedule {
		row.By = i18n.T(ctx, "retention.by-schedule")
	}
	if !run.EndedAt.IsZero() && !run.StartedAt.IsZero() {
		row.Took = i18n.Span(run.EndedAt.Sub(run.StartedAt))
	}
	return row
}

// templates are the kinds of rules in the order in which they are offered.
func templates() []string {
	return []string{core.RetainLatestPushed, core.RetainLatestPulled, core.RetainPushedWithin, core.RetainPulledWithin, core.RetainAlways}
}

func (h *api) newRetentionRulePage(c echo.Context) error {
	p, policy, err := h.openRetention(c)
	if err != nil {
		return err
	}
	if err := h.app.MayInProject(c.Request().Context(), caller(c), core.ProjectRef{ID: p.ID}, core.ResTagRetention, core.ActUpdate); err != nil {
		return err
	}
	view := ui.RetentionRuleView{Form: ui.NewForm(), Template: core.RetainLatestPushed, N: "10", Untagged: true,
		Selectors: ui.SelectorFields{Repositories: "**", Tags: "**"}}
	return h.showRetentionRule(c, http.StatusOK, p, policy, view)
}

func (h *api) showRetentionRule(c echo.Context, status int, p app.OpenedProject, policy core.RetentionPolicy, view ui.RetentionRuleView) error {
	ctx := c.Request().Context()
	view.Project, view.Path, view.Seen = p.Name, retentionURL(p.Name), seenOf(policy)
	for _, template := range templates() {
		view.Templates = append(view.Templates, ui.Option{Value: template, Label: i18n.T(ctx, "retention.template."+template)})
	}
	return h.showProject(c, status, p, tabPolicies, ui.RetentionRule(view))
}

func (h *api) addRetentionRulePage(c echo.Context) error {
	ctx := c.Request().Context()
	p, policy, err := h.openRetention(c)
	if err != nil {
		return err
	}
	form := c.Request().PostForm
	view := ui.RetentionRuleView{Form: ui.NewForm(), Template: form.Get("template"), N: strings.TrimSpace(form.Get("n")), Untagged: form.Get("untagged") == "true",
		Selectors: formSelectors(c)}
	rule := core.RetentionRule{Template: view.Template}
	rule.Tags, rule.Repositories = selectors(ctx, view.Selectors, &view.Form)
	// With "all but" Harbor turns the word around: it leaves the untagged out.
	rule.Tags[0].Extras = `{"untagged":` + strconv.FormatBool(view.Untagged != view.Selectors.OtherTags) + `}`
	if largest, counts := core.RetentionTemplates()[view.Template]; counts {
		if rule.N, err = strconv.Atoi(view.N); err != nil || rule.N < 1 || rule.N > largest {
			view.Wrong("n", i18n.T(ctx, "retention.n"), i18n.T(ctx, "retention.n.invalid", i18n.Number(ctx, int64(largest))))
		}
	}
	if view.Failed() {
		return h.showRetentionRule(c, http.StatusUnprocessableEntity, p, policy, view)
	}
	policy.Rules = append(policy.Rules, rule)
	err = h.saveRetention(c, policy)
	switch core.ErrorCode(err) {
	case "":
		return done(c, retentionURL(p.Name), "policies.toast.rule-added")
	case core.CodeConflict, core.CodeBadRequest:
		view.Problem = sentence(core.ErrorMessage(err))
		return h.showRetentionRule(c, statusOfForm(err), p, policy, view)
	}
	return err
}

func (h *api) deleteRetentionRulePage(c echo.Context) error {
	p, policy, err := h.openRetention(c)
	if err != nil {
		return err
	}
	i, err := strconv.Atoi(c.Request().PostForm.Get("rule"))
	if err != nil || i < 0 || i >= len(policy.Rules) {
		return core.Errorf(core.CodeNotFound, "the retention policy has no such rule")
	}
	policy.Rules = slices.Delete(slices.Clone(policy.Rules), i, i+1)
	if err := h.saveRetention(c, policy); err != nil {
		return err
	}
	return done(c, retentionURL(p.Name), "policies.toast.rule-deleted")
}

func (h *api) scheduleRetentionPage(c echo.Context) error {
	ctx := c.Request().Context()
	p, policy, err := h.openRetention(c)
	if err != nil {
		return err
	}
	form := c.Request().PostForm
	view := ui.RetentionView{Form: ui.NewForm(), Schedule: form.Get("schedule"), Cron: strings.TrimSpace(form.Get("cron"))}
	changed := policy
	changed.Cron = view.Cron
	for _, s := range schedules {
		if s.name == view.Schedule && s.name != "custom" {
			changed.Cron = s.cron
		}
	}
	err = h.saveRetention(c, changed)
	switch core.ErrorCode(err) {
	case "":
		return done(c, retentionURL(p.Name), "retention.toast.scheduled")
	case core.CodeBadRequest:
		view.Wrong("cron", i18n.T(ctx, "retention.cron"), sentence(core.ErrorMessage(err)))
	case core.CodeConflict:
		view.Problem = sentence(core.ErrorMessage(err))
	default:
		return err
	}
	return h.showRetention(c, statusOfForm(err), p, policy, view)
}

func (h *api) runRetentionPage(c echo.Context) error {
	p, policy, err := h.openRetention(c)
	if err != nil {
		return err
	}
	if policy.ID == 0 {
		return core.Errorf(core.CodeNotFound, "the project has no retention rules yet; add one first")
	}
	run, err := h.app.StartRetention(c.Request().Context(), caller(c), policy.ID, c.Request().PostForm.Get("dry") == "true")
	if err != nil {
		return err
	}
	return redirect(c, retentionURL(p.Name, "runs", strconv.FormatInt(run, 10)))
}

// retentionRunInPath returns the run of the project's policy that the path names.
func (h *api) retentionRunInPath(c echo.Context) (app.OpenedProject, core.RetentionPolicy, app.RetentionExecution, error) {
	p, policy, err := h.openRetention(c)
	if err != nil {
		return p, policy, app.RetentionExecution{}, err
	}
	id, err := pathID(c, "execution_id")
	if err != nil {
		return p, policy, app.RetentionExecution{}, err
	}
	absent := core.Errorf(core.CodeNotFound, "there is no run %d of the retention policy; the oldest are forgotten", id)
	if policy.ID == 0 {
		return p, policy, app.RetentionExecution{}, absent
	}
	byID := core.Query{Page: 1, PageSize: 1, Filters: []core.Filter{{Field: "id", Values: []string{strconv.FormatInt(id, 10)}}}}
	runs, _, err := h.app.RetentionExecutions(c.Request().Context(), caller(c), policy.ID, byID)
	if err == nil && len(runs) == 0 {
		err = absent
	}
	if err != nil {
		return p, policy, app.RetentionExecution{}, err
	}
	return p, policy, runs[0], nil
}

func (h *api) retentionRunPage(c echo.Context) error {
	ctx := c.Request().Context()
	p, policy, run, err := h.retentionRunInPath(c)
	if err != nil {
		return err
	}
	q := listPage(c)
	tasks, total, err := h.app.RetentionTasks(ctx, caller(c), policy.ID, run.ID, q)
	if err != nil {
		return err
	}
	path := retentionURL(p.Name, "runs", strconv.FormatInt(run.ID, 10))
	view := ui.RetentionRunView{Project: p.Name, Policies: projectURL(p.Name, "policies"), Retention: retentionURL(p.Name), Path: path, Run: runRow(ctx, p, run),
		MayStop: p.Rights.May(core.ResTagRetention, core.ActUpdate), Pager: pager(path, url.Values{}, q, len(tasks), total)}
	for _, task := range tasks {
		_, name, _ := core.SplitRepository(task.Repository)
		view.Tasks = append(view.Tasks, ui.TaskRow{Href: path + "/" + strconv.FormatInt(task.ID, 10), Repository: name, Total: task.Total,
			Retained: task.Retained, Status: i18n.T(ctx, "retention.status."+string(task.Status)), Message: task.Message})
	}
	return h.showProject(c, http.StatusOK, p, tabPolicies, ui.RetentionRun(view))
}

func (h *api) stopRetentionPage(c echo.Context) error {
	p, policy, run, err := h.retentionRunInPath(c)
	if err != nil {
		return err
	}
	if err := h.app.StopRetention(c.Request().Context(), caller(c), policy.ID, run.ID); err != nil {
		return err
	}
	return done(c, retentionURL(p.Name, "runs", strconv.FormatInt(run.ID, 10)), "retention.toast.stopping")
}

// maxResultRows is how many lines of a run in one repository a page shows.
const maxResultRows = 500

func (h *api) retentionTaskPage(c echo.Context) error {
	ctx := c.Request().Context()
	p, policy, run, err := h.retentionRunInPath(c)
	if err != nil {
		return err
	}
	id, err := pathID(c, "task_id")
	if err != nil {
		return err
	}
	task, results, err := h.app.RetentionTask(ctx, caller(c), policy.ID, run.ID, id)
	if err != nil {
		return err
	}
	_, name, _ := core.SplitRepository(task.Repository)
	runPath := retentionURL(p.Name, "runs", strconv.FormatInt(run.ID, 10))
	view := ui.RetentionTaskView{Project: p.Name, Policies: projectURL(p.Name, "policies"), Retention: retentionURL(p.Name), Run: runPath, Repository: name,
		DryRun: run.DryRun, Total: task.Total, Retained: task.Retained, Log: "/api/v2.0/retentions/" + strconv.FormatInt(policy.ID, 10) + "/executions/" +
			strconv.FormatInt(run.ID, 10) + "/tasks/" + strconv.FormatInt(id, 10), Cut: len(results) > maxResultRows}
	// What goes is what one looks for.
	slices.SortStableFunc(results, func(a, b core.RetentionResult) int { return fateOrder(a.Fate) - fateOrder(b.Fate) })
	for _, r := range results[:min(len(results), maxResultRows)] {
		view.Results = append(view.Results, ui.ResultRow{Tag: r.Tag, Digest: r.Digest, Pushed: r.PushedAt, Pulled: r.PulledAt, Fate: string(r.Fate)})
	}
	return h.showProject(c, http.StatusOK, p, tabPolicies, ui.RetentionTask(view))
}

func fateOrder(fate core.Fate) int {
	return slices.Index([]core.Fate{core.FateFailed, core.FateDeleted, core.FateImmutable, core.FateRetained}, fate)
}
