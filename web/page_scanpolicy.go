package web

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

func (h *api) allowlistPages() []page {
	return []page{
		{method: http.MethodGet, path: projectPage + "/policies/allowlist", handle: h.allowlistPage},
		{method: http.MethodPost, path: projectPage + "/policies/allowlist", handle: h.saveAllowlistPage},
	}
}

// The metadata of a project that say what is scanned and what its findings mean.
var (
	scanFlags   = []string{"auto_scan", "auto_sbom_generation", "prevent_vul", "ignore_unfixed", "quarantine"}
	scanChoices = []string{"unknown_severity", "unscannable_images", "other_artifacts"}
)

const (
	thresholdKey   = "severity"
	scanWaitKey    = "scan_wait_seconds"
	maxScanWait    = 120
	usualScanWait  = "10"
	usualThreshold = "low"
)

// scanSection is the part of the policies about scans.
func scanSection() policySection {
	return policySection{
		keys: slices.Concat(scanFlags, scanChoices, []string{thresholdKey, scanWaitKey}),
		show: func(ctx context.Context, form ui.Form, values map[string]string) templ.Component {
			view := ui.ScanPolicyView{Form: form, On: map[string]bool{}, Choice: map[string]string{"unknown_severity": "refuse", "unscannable_images": "refuse", "other_artifacts": "allow"},
				Threshold: strings.ToLower(orElse(values[thresholdKey], usualThreshold)), Thresholds: thresholdOptions(ctx), Wait: orElse(values[scanWaitKey], usualScanWait)}
			for _, key := range scanFlags {
				view.On[key] = values[key] == "true"
			}
			for _, key := range scanChoices {
				view.Choice[key] = orElse(values[key], view.Choice[key])
			}
			return ui.ScanPolicy(view)
		},
		read: readScanPolicy,
	}
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func thresholdOptions(ctx context.Context) []ui.Option {
	var options []ui.Option
	for _, s := range core.Severities() {
		if s >= core.SeverityNegligible {
			options = append(options, ui.Option{Value: strings.ToLower(s.String()), Label: i18n.T(ctx, "scanpolicy.and-above", ui.SeverityWord(ctx, s))})
		}
	}
	return options
}

// readScanPolicy reads the section where the form has it: its boxes that are not
// ticked are not sent.
func readScanPolicy(c echo.Context, form *ui.Form) map[string]string {
	sent, ctx := c.Request().PostForm, c.Request().Context()
	values := map[string]string{}
	if !sent.Has("scanning") {
		return values
	}
	for _, key := range scanFlags {
		values[key] = strconv.FormatBool(sent.Get(key) == "true")
	}
	for _, key := range scanChoices {
		values[key] = sent.Get(key)
	}
	values[thresholdKey] = sent.Get(thresholdKey)
	if _, err := core.ParseSeverity(values[thresholdKey]); err != nil {
		form.Wrong(thresholdKey, i18n.T(ctx, "scanpolicy.threshold"), i18n.T(ctx, "scanpolicy.threshold.invalid"))
	}
	values[scanWaitKey] = strings.TrimSpace(sent.Get(scanWaitKey))
	if n, err := strconv.Atoi(values[scanWaitKey]); err != nil || n < 0 || n > maxScanWait {
		form.Wrong(scanWaitKey, i18n.T(ctx, "scanpolicy.wait"), i18n.T(ctx, "scanpolicy.wait.invalid", maxScanWait))
	}
	return values
}

// allowlistSummary is the allowlist of a project in a few words.
func allowlistSummary(ctx context.Context, p app.OpenedProject, view app.ProjectView) *ui.AllowlistSummary {
	summary := &ui.AllowlistSummary{System: view.Metadata["reuse_sys_cve_allowlist"] != "false", Count: int64(len(view.Allowlist.Items))}
	if until := view.Allowlist.ExpiresAt; !until.IsZero() {
		summary.Until, summary.Expired = lastDay(until), !time.Now().Before(until)
	}
	if p.Rights.May(core.ResProject, core.ActUpdate) {
		summary.Href = projectURL(p.Name, "policies", "allowlist")
	}
	return summary
}

// openAllowlist returns the project in the path with its allowlist, to those
// who may change it.
func (h *api) openAllowlist(c echo.Context) (p app.OpenedProject, view app.ProjectView, err error) {
	ctx := c.Request().Context()
	if p, err = h.openProject(c); err != nil {
		return p, view, err
	}
	ref := core.ProjectRef{ID: p.ID}
	if err = h.app.MayInProject(ctx, caller(c), ref, core.ResProject, core.ActUpdate); err != nil {
		return p, view, err
	}
	view, err = h.app.Project(ctx, caller(c), ref)
	return p, view, err
}

func (h *api) allowlistPage(c echo.Context) error {
	p, project, err := h.openAllowlist(c)
	if err != nil {
		return err
	}
	view := ui.AllowlistView{Form: ui.NewForm(), Source: "own", Items: strings.Join(project.Allowlist.Items, "\n")}
	if project.Metadata["reuse_sys_cve_allowlist"] != "false" {
		view.Source = "system"
	}
	if !project.Allowlist.ExpiresAt.IsZero() {
		view.Until = lastDay(project.Allowlist.ExpiresAt)
	}
	view.Was = view.Items
	if add := core.Clip(strings.TrimSpace(c.QueryParam("add")), 64); add != "" {
		view.Source, view.Items = "own", strings.TrimPrefix(view.Items+"\n"+add, "\n")
	}
	return h.showAllowlist(c, http.StatusOK, p, view)
}

func (h *api) showAllowlist(c echo.Context, status int, p app.OpenedProject, view ui.AllowlistView) error {
	view.Project, view.Policies = p.Name, projectURL(p.Name, "policies")
	return h.showProject(c, status, p, tabPolicies, ui.Allowlist(view))
}

// allowlistItems reads ids that are separated by spaces, commas or lines.
func allowlistItems(text string) []string {
	items := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ';' || r <= ' ' })
	for i, item := range items {
		if strings.HasPrefix(strings.ToUpper(item), "CVE-") {
			items[i] = strings.ToUpper(item)
		}
	}
	slices.Sort(items)
	return slices.Compact(items)
}

// saveAllowlistPage replaces the allowlist, unless somebody else has changed it
// since the reader saw it.
func (h *api) saveAllowlistPage(c echo.Context) error {
	ctx := c.Request().Context()
	p, project, err := h.openAllowlist(c)
	if err != nil {
		return err
	}
	sent := c.Request().PostForm
	view := ui.AllowlistView{Form: ui.NewForm(), Source: sent.Get("source"), Items: newlines(sent.Get("items")), Until: strings.TrimSpace(sent.Get("until")),
		Was: strings.Join(project.Allowlist.Items, "\n")}
	if sent.Has("was") && newlines(sent.Get("was")) != view.Was {
		view.Theirs = true
		return h.showAllowlist(c, http.StatusConflict, p, view)
	}
	list := core.CVEAllowlist{Items: allowlistItems(view.Items)}
	if err := list.Validate(); err != nil {
		view.Wrong("items", i18n.T(ctx, "scanpolicy.allowlist.items"), sentence(core.ErrorMessage(err)))
	}
	list.ExpiresAt = readUntil(ctx, &view, project.Allowlist.ExpiresAt)
	if view.Failed() {
		return h.showAllowlist(c, http.StatusUnprocessableEntity, p, view)
	}
	metadata := map[string]string{"reuse_sys_cve_allowlist": strconv.FormatBool(view.Source != "own")}
	err = h.app.UpdateProject(ctx, caller(c), core.ProjectRef{ID: p.ID}, metadata, &list)
	if core.ErrorCode(err) == core.CodeBadRequest {
		view.Problem = sentence(core.ErrorMessage(err))
		return h.showAllowlist(c, http.StatusUnprocessableEntity, p, view)
	}
	if err != nil {
		return err
	}
	return done(c, projectURL(p.Name, "policies"), "scanpolicy.toast.allowlist")
}

// readUntil is when the list expires: at the end of the day that was typed, or
// at the moment that was set elsewhere where that is on this day.
func readUntil(ctx context.Context, view *ui.AllowlistView, was time.Time) time.Time {
	if view.Until == "" {
		return time.Time{}
	}
	if !was.IsZero() && view.Until == lastDay(was) {
		return was
	}
	day, err := time.Parse(time.DateOnly, view.Until)
	if err != nil {
		view.Wrong("until", i18n.T(ctx, "scanpolicy.allowlist.until"), i18n.T(ctx, "scanpolicy.allowlist.until.invalid"))
		return time.Time{}
	}
	end := day.Add(24 * time.Hour)
	if !end.After(time.Now()) {
		view.Wrong("until", i18n.T(ctx, "scanpolicy.allowlist.until"), i18n.T(ctx, "scanpolicy.allowlist.until.past"))
	}
	return end
}
