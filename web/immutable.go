package web

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

func (h *api) immutableRoutes() []route {
	const path = projectPath + "/immutabletagrules"
	return []route{
		{http.MethodGet, path, h.listImmutableRules},
		{http.MethodPost, path, h.createImmutableRule},
		{http.MethodPut, path + "/:immutable_rule_id", h.updateImmutableRule},
		{http.MethodDelete, path + "/:immutable_rule_id", h.deleteImmutableRule},
	}
}

// The one action and the one template of an immutability rule.
const (
	immutableAction   = "immutable"
	immutableTemplate = "immutable_template"
)

// immutableRuleJSON is Harbor's ImmutableRule.
type immutableRuleJSON struct {
	ID             int64           `json:"id"`
	ProjectID      int64           `json:"project_id"`
	Disabled       bool            `json:"disabled"`
	Priority       int64           `json:"priority"`
	Action         string          `json:"action"`
	Template       string          `json:"template"`
	TagSelectors   []core.Selector `json:"tag_selectors"`
	ScopeSelectors scopeSelectors  `json:"scope_selectors"`
}

// scopeSelectors are Harbor's selectors of where a rule holds, by what they
// choose; within a project that is a repository.
type scopeSelectors map[string][]core.Selector

// scopeRepository is the one key of scopeSelectors.
const scopeRepository = "repository"

func (s scopeSelectors) repositories() ([]core.Selector, error) {
	for key := range s {
		if key != scopeRepository {
			return nil, core.Errorf(core.CodeBadRequest, "scope_selectors has the one key %s, not %q", scopeRepository, core.Clip(key, 64))
		}
	}
	return s[scopeRepository], nil
}

func newImmutableRuleJSON(r core.ImmutableRule) immutableRuleJSON {
	return immutableRuleJSON{ID: r.ID, ProjectID: r.ProjectID, Disabled: r.Disabled, Priority: r.Priority, Action: immutableAction,
		Template: immutableTemplate, TagSelectors: r.Tags, ScopeSelectors: scopeSelectors{scopeRepository: r.Repositories}}
}

// bindImmutableRule reads a rule. As everywhere in Harbor's rules, an action or
// a template that is not given is the one there is.
func bindImmutableRule(c echo.Context) (core.ImmutableRule, error) {
	var body immutableRuleJSON
	if err := bind(c, &body); err != nil {
		return core.ImmutableRule{}, err
	}
	if body.Action != "" && body.Action != immutableAction || body.Template != "" && body.Template != immutableTemplate {
		return core.ImmutableRule{}, core.Errorf(core.CodeBadRequest, "the action of the rule is %s and its template %s", immutableAction, immutableTemplate)
	}
	repositories, err := body.ScopeSelectors.repositories()
	return core.ImmutableRule{ID: body.ID, Disabled: body.Disabled, Priority: body.Priority, Tags: body.TagSelectors, Repositories: repositories}, err
}

func (h *api) listImmutableRules(c echo.Context) error {
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	rules, total, err := h.app.ImmutableRules(c.Request().Context(), caller(c), projectRef(c), q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(rules, newImmutableRuleJSON))
}

func (h *api) createImmutableRule(c echo.Context) error {
	rule, err := bindImmutableRule(c)
	if err != nil {
		return err
	}
	id, err := h.app.CreateImmutableRule(c.Request().Context(), caller(c), projectRef(c), rule)
	if err != nil {
		return err
	}
	return createdBelow(c, id)
}

// createdBelow answers 201 for an object whose path is that of the request and
// its id.
func createdBelow(c echo.Context, id int64) error {
	return created(c, fmt.Sprintf("%s/%d", strings.TrimSuffix(c.Request().URL.EscapedPath(), "/"), id))
}

// updateImmutableRule takes the id in the path; one in the body must be equal.
func (h *api) updateImmutableRule(c echo.Context) error {
	id, err := pathID(c, "immutable_rule_id")
	if err != nil {
		return err
	}
	rule, err := bindImmutableRule(c)
	if err != nil {
		return err
	}
	if rule.ID != 0 && rule.ID != id {
		return core.Errorf(core.CodeBadRequest, "the immutable_rule_id doesn't match the id in the payload body of ImmutableRule")
	}
	rule.ID = id
	if err := h.app.UpdateImmutableRule(c.Request().Context(), caller(c), projectRef(c), rule); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

func (h *api) deleteImmutableRule(c echo.Context) error {
	id, err := pathID(c, "immutable_rule_id")
	if err != nil {
		return err
	}
	if err := h.app.DeleteImmutableRule(c.Request().Context(), caller(c), projectRef(c), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}
