package web

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

func (h *api) policyPages() []page {
	return []page{
		{method: http.MethodGet, path: projectPage + "/policies", handle: h.policiesPage},
		{method: http.MethodPost, path: projectPage + "/policies", handle: h.savePoliciesPage},
		{method: http.MethodGet, path: projectPage + "/policies/immutability/new", handle: h.newImmutablePage},
		{method: http.MethodPost, path: projectPage + "/policies/immutability", handle: h.createImmutablePage},
		{method: http.MethodPost, path: projectPage + "/policies/immutability/:immutable_rule_id/disabled", handle: h.switchImmutablePage},
		{method: http.MethodPost, path: projectPage + "/policies/immutability/:immutable_rule_id/delete", handle: h.deleteImmutablePage},
	}
}

// policySection is a part of the form of a project's policies. Each part of the
// registry that has a policy in the metadata of projects adds one.
type policySection struct {
	keys []string // of the metadata that it shows
	show func(ctx context.Context, form ui.Form, values map[string]string) templ.Component
	// read returns what the form asks for, and marks in it what cannot be saved.
	read func(c echo.Context, form *ui.Form) map[string]string
}

// policySections are the parts of the form in their order.
func (h *api) policySections() []policySection {
	return []policySection{h.accessSection(), scanSection(), trustSection(), untaggedSection()}
}

func (h *api) accessSection() policySection {
	return policySection{
		keys: []string{"public"},
		show: func(_ context.Context, _ ui.Form, values map[string]string) templ.Component {
			return ui.AccessSection(values["public"] == "true", h.app.Settings().AnonymousAccess)
		},
		read: func(c echo.Context, _ *ui.Form) map[string]string {
			return map[string]string{"public": strconv.FormatBool(c.Request().PostForm.Get("access") == "public")}
		},
	}
}

// untaggedKey is the metadata of how many days artifacts stay without a tag.
const untaggedKey = "untagged_days"

func untaggedSection() policySection {
	return policySection{
		keys: []string{untaggedKey},
		show: func(_ context.Context, form ui.Form, values map[string]string) templ.Component {
			days := values[untaggedKey]
			if days == "-1" {
				days = ""
			}
			return ui.UntaggedSection(form, days)
		},
		read: func(c echo.Context, form *ui.Form) map[string]string {
			ctx := c.Request().Context()
			days := strings.TrimSpace(c.Request().PostForm.Get(untaggedKey))
			if days == "" {
				return map[string]string{untaggedKey: "-1"}
			}
			if n, err := strconv.Atoi(days); err != nil || n < 0 || n > 36500 {
				form.Wrong(untaggedKey, i18n.T(ctx, "policies.untagged"), i18n.T(ctx, "policies.untagged.invalid"))
			}
			return map[string]string{untaggedKey: days}
		},
	}
}

func (h *api) policiesPage(c echo.Context) error {
	p, err := h.openPolicies(c)
	if err != nil {
		return err
	}
	view := ui.PoliciesView{Form: ui.NewForm()}
	return h.showPolicies(c, http.StatusOK, p, view, nil)
}

// openPolicies is openProject for those who may see any of the policies.
func (h *api) openPolicies(c echo.Context) (app.OpenedProject, error) {
	p, err := h.openProject(c)
	if err != nil || p.Rights.May(core.ResTagRetention, core.ActRead) {
		return p, err
	}
	return p, h.app.MayInProject(c.Request().Context(), caller(c), core.ProjectRef{ID: p.ID}, core.ResMetadata, core.ActRead)
}

// showPolicies shows what the reader may see; typed are the values of a form
// that was refused.
func (h *api) showPolicies(c echo.Context, status int, p app.OpenedProject, view ui.PoliciesView, typed map[string]string) error {
	ctx := c.Request().Context()
	ref := core.ProjectRef{ID: p.ID}
	view.Head, view.Path = projectHead(c, p, tabPolicies), projectURL(p.Name, "policies")
	view.MayChange = p.Rights.May(core.ResMetadata, core.ActUpdate)
	if p.Rights.May(core.ResMetadata, core.ActRead) {
		values, err := h.app.ProjectMetadata(ctx, caller(c), ref)
		if err != nil {
			return err
		}
		for _, section := range h.policySections() {
			for _, key := range section.keys {
				view.Was = append(view.Was, ui.Hidden{Name: "was-" + key, Value: values[key]})
				if value, ok := typed[key]; ok {
					values[key] = value
				}
			}
			view.Sections = append(view.Sections, section.show(ctx, view.Form, values))
		}
	}
	var err error
	if view.Trust, err = h.anchorsCard(c, p); err != nil {
		return err
	}
	if p.Rights.May(core.ResImmutableTag, core.ActList) {
		rules, _, err := h.app.ImmutableRules(ctx, caller(c), ref, core.Query{Page: 1, PageSize: core.MaxPageSize})
		if err != nil {
			return err
		}
		view.SeesImmutability, view.MayImmutability = true, p.Rights.May(core.ResImmutableTag, core.ActCreate)
		view.Immutability = mapAll(rules, func(r core.ImmutableRule) ui.RuleRow { return immutableRow(ctx, p, r) })
	}
	if p.Rights.May(core.ResMetadata, core.ActRead) {
		project, err := h.app.Project(ctx, caller(c), ref)
		if err != nil {
			return err
		}
		view.Allowlist = allowlistSummary(ctx, p, project)
	}
	if p.Rights.May(core.ResTagRetention, core.ActRead) {
		policy, err := h.app.ProjectRetention(ctx, caller(c), ref)
		if err != nil {
			return err
		}
		view.Retention = retentionSummary(ctx, p, policy)
	}
	return h.showProject(c, status, p, tabPolicies, ui.Policies(view))
}

// savePoliciesPage changes the policies that are metadata, unless somebody else
// has changed them since the reader saw them.
func (h *api) savePoliciesPage(c echo.Context) error {
	ctx := c.Request().Context()
	p, err := h.openProject(c)
	if err != nil {
		return err
	}
	form := c.Request().PostForm
	view := ui.PoliciesView{Form: ui.NewForm()}
	was, typed := map[string]string{}, map[string]string{}
	for _, section := range h.policySections() {
		for key, value := range section.read(c, &view.Form) {
			typed[key] = value
		}
		for _, key := range section.keys {
			if form.Has("was-" + key) {
				was[key] = form.Get("was-" + key)
			}
		}
	}
	if view.Failed() {
		if err := h.app.MayInProject(ctx, caller(c), core.ProjectRef{ID: p.ID}, core.ResMetadata, core.ActUpdate); err != nil {
			return err
		}
		return h.showPolicies(c, http.StatusUnprocessableEntity, p, view, typed)
	}
	err = h.app.ChangeProjectMetadata(ctx, caller(c), core.ProjectRef{ID: p.ID}, was, typed)
	switch core.ErrorCode(err) {
	case "":
		return done(c, projectURL(p.Name, "policies"), "policies.toast.saved")
	case core.CodeConflict:
		view.Theirs = true
	case core.CodeBadRequest:
		view.Problem = sentence(core.ErrorMessage(err))
	default:
		return err
	}
	return h.showPolicies(c, statusOfForm(err), p, view, typed)
}

// selectorText says what a selector chooses.
func selectorText(ctx context.Context, selectors []core.Selector, excludes string) string {
	if len(selectors) == 0 {
		return ""
	}
	s := selectors[0]
	if s.Decoration == excludes {
		return i18n.T(ctx, "policies.all-but", s.Pattern)
	}
	if s.Pattern == "**" {
		return i18n.T(ctx, "policies.all")
	}
	return s.Pattern
}

func immutableRow(ctx context.Context, p app.OpenedProject, r core.ImmutableRule) ui.RuleRow {
	path := projectURL(p.Name, "policies", "immutability", strconv.FormatInt(r.ID, 10))
	row := ui.RuleRow{Path: path, Repositories: selectorText(ctx, r.Repositories, core.SelectOtherRepos), Tags: selectorText(ctx, r.Tags, core.SelectOtherTags),
		Disabled: r.Disabled, MayChange: p.Rights.May(core.ResImmutableTag, core.ActUpdate)}
	if p.Rights.May(core.ResImmutableTag, core.ActDelete) {
		row.Delete = &ui.Confirm{ID: "delete-rule-" + strconv.FormatInt(r.ID, 10), Title: i18n.T(ctx, "policies.immutable.delete.title"),
			Text: i18n.T(ctx, "policies.immutable.delete.text"), Action: path + "/delete", Verb: i18n.T(ctx, "policies.rule.delete")}
	}
	return row
}

func (h *api) newImmutablePage(c echo.Context) error {
	p, err := h.openProject(c)
	if err != nil {
		return err
	}
	if err := h.app.MayInProject(c.Request().Context(), caller(c), core.ProjectRef{ID: p.ID}, core.ResImmutableTag, core.ActCreate); err != nil {
		return err
	}
	return h.showNewImmutable(c, http.StatusOK, p, ui.ImmutableView{Form: ui.NewForm(), Selectors: ui.SelectorFields{Repositories: "**", Tags: "v*"}})
}

func (h *api) showNewImmutable(c echo.Context, status int, p app.OpenedProject, view ui.ImmutableView) error {
	view.Project, view.Path = p.Name, projectURL(p.Name, "policies")
	return h.showProject(c, status, p, tabPolicies, ui.NewImmutable(view))
}

// formSelectors reads what a rule is to choose.
func formSelectors(c echo.Context) ui.SelectorFields {
	form := c.Request().PostForm
	return ui.SelectorFields{Repositories: strings.TrimSpace(form.Get("repositories")), OtherRepositories: form.Get("repositories-as") == "excludes",
		Tags: strings.TrimSpace(form.Get("tags")), OtherTags: form.Get("tags-as") == "excludes"}
}

// selectors are the selectors that the fields ask for; what cannot be read is
// marked in the form.
func selectors(ctx context.Context, f ui.SelectorFields, form *ui.Form) (tags, repositories []core.Selector) {
	tag := core.Selector{Kind: core.SelectorKind, Decoration: core.SelectTags, Pattern: f.Tags}
	if f.OtherTags {
		tag.Decoration = core.SelectOtherTags
	}
	repository := core.Selector{Kind: core.SelectorKind, Decoration: core.SelectRepositories, Pattern: f.Repositories}
	if f.OtherRepositories {
		repository.Decoration = core.SelectOtherRepos
	}
	if _, err := core.ParseGlob(f.Repositories); err != nil {
		form.Wrong("repositories", i18n.T(ctx, "project.tab.repositories"), i18n.T(ctx, "policies.pattern.invalid"))
	}
	if _, err := core.ParseGlob(f.Tags); err != nil {
		form.Wrong("tags", i18n.T(ctx, "repository.tab.tags"), i18n.T(ctx, "policies.pattern.invalid"))
	}
	return []core.Selector{tag}, []core.Selector{repository}
}

func (h *api) createImmutablePage(c echo.Context) error {
	ctx := c.Request().Context()
	p, err := h.openProject(c)
	if err != nil {
		return err
	}
	view := ui.ImmutableView{Form: ui.NewForm(), Selectors: formSelectors(c)}
	var rule core.ImmutableRule
	rule.Tags, rule.Repositories = selectors(ctx, view.Selectors, &view.Form)
	if view.Failed() {
		return h.showNewImmutable(c, http.StatusUnprocessableEntity, p, view)
	}
	_, err = h.app.CreateImmutableRule(ctx, caller(c), core.ProjectRef{ID: p.ID}, rule)
	switch core.ErrorCode(err) {
	case "":
		return done(c, projectURL(p.Name, "policies"), "policies.toast.rule-added")
	case core.CodeConflict, core.CodeBadRequest, core.CodePrecondition:
		view.Problem = sentence(core.ErrorMessage(err))
		return h.showNewImmutable(c, http.StatusUnprocessableEntity, p, view)
	}
	return err
}

// immutableRuleInPath returns the rule of the project that the path names.
func (h *api) immutableRuleInPath(c echo.Context) (app.OpenedProject, core.ImmutableRule, error) {
	p, err := h.openProject(c)
	if err != nil {
		return p, core.ImmutableRule{}, err
	}
	id, err := pathID(c, "immutable_rule_id")
	if err != nil {
		return p, core.ImmutableRule{}, err
	}
	rules, _, err := h.app.ImmutableRules(c.Request().Context(), caller(c), core.ProjectRef{ID: p.ID}, core.Query{Page: 1, PageSize: core.MaxPageSize})
	if err != nil {
		return p, core.ImmutableRule{}, err
	}
	for _, r := range rules {
		if r.ID == id {
			return p, r, nil
		}
	}
	return p, core.ImmutableRule{}, core.Errorf(core.CodeNotFound, "the project %s has no immutability rule %d", p.Name, id)
}

func (h *api) switchImmutablePage(c echo.Context) error {
	p, rule, err := h.immutableRuleInPath(c)
	if err != nil {
		return err
	}
	rule.Disabled = c.Request().PostForm.Get("disabled") == "true"
	if err := h.app.UpdateImmutableRule(c.Request().Context(), caller(c), core.ProjectRef{ID: p.ID}, rule); err != nil {
		return err
	}
	return done(c, projectURL(p.Name, "policies"), "policies.toast.rule-changed")
}

func (h *api) deleteImmutablePage(c echo.Context) error {
	p, rule, err := h.immutableRuleInPath(c)
	if err != nil {
		return err
	}
	if err := h.app.DeleteImmutableRule(c.Request().Context(), caller(c), core.ProjectRef{ID: p.ID}, rule.ID); err != nil {
		return err
	}
	return done(c, projectURL(p.Name, "policies"), "policies.toast.rule-deleted")
}
