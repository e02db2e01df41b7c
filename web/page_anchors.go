package web

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

func (h *api) anchorPages() []page {
	const path = projectPage + "/policies/trust"
	return []page{
		{method: http.MethodGet, path: path + "/new", handle: h.newAnchorPage},
		{method: http.MethodPost, path: path, handle: h.uploaded(h.createAnchorPage)},
		{method: http.MethodGet, path: path + "/:anchor_id", handle: h.anchorPage},
		{method: http.MethodPost, path: path + "/:anchor_id", handle: h.uploaded(h.changeAnchorPage)},
		{method: http.MethodPost, path: path + "/:anchor_id/delete", handle: h.deleteAnchorPage},
	}
}

// uploaded reads a form with a file before handle runs.
func (h *api) uploaded(handle echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := c.Request().ParseMultipartForm(maxBody)
		if err == http.ErrNotMultipart { //nolint:errorlint // as net/http returns it
			return handle(c)
		}
		if err != nil {
			return bodyError(err)
		}
		return h.once.do(c, handle)
	}
}

// trustKeys are the metadata of which kinds of signature a project asks for, with
// the kind of each.
func trustKeys() []struct {
	key  string
	kind core.TrustKind
} {
	return []struct {
		key  string
		kind core.TrustKind
	}{{"enable_content_trust", core.TrustNotary}, {"enable_content_trust_cosign", core.TrustCosign}, {"enable_content_trust_notation", core.TrustNotation}}
}

// trustSection says which kinds of signature pulls need.
func trustSection() policySection {
	section := policySection{
		show: func(ctx context.Context, _ ui.Form, values map[string]string) templ.Component {
			var boxes []ui.Check
			for _, each := range trustKeys() {
				boxes = append(boxes, ui.Check{Name: each.key, Label: i18n.T(ctx, "anchors.need."+string(each.kind)), Hint: i18n.T(ctx, "anchors.need."+string(each.kind)+".text"),
					Checked: values[each.key] == "true"})
			}
			return ui.TrustSection(boxes)
		},
		read: func(c echo.Context, _ *ui.Form) map[string]string {
			typed := map[string]string{}
			for _, each := range trustKeys() {
				typed[each.key] = strconv.FormatBool(c.Request().PostForm.Get(each.key) == "true")
			}
			return typed
		},
	}
	for _, each := range trustKeys() {
		section.keys = append(section.keys, each.key)
	}
	return section
}

func anchorsURL(project string, below ...string) string {
	return projectURL(project, append([]string{"policies", "trust"}, below...)...)
}

// anchorsCard lists what a project trusts signatures by, for its policies.
func (h *api) anchorsCard(c echo.Context, p app.OpenedProject) (templ.Component, error) {
	if !p.Rights.May(core.ResConfiguration, core.ActRead) {
		return nil, nil //nolint:nilnil // nothing is shown to those who may not
	}
	anchors, _, err := h.app.TrustAnchors(c.Request().Context(), caller(c), core.ProjectRef{ID: p.ID}, core.Query{Page: 1, PageSize: core.MaxPageSize})
	if err != nil {
		return nil, err
	}
	view := ui.AnchorsView{MayChange: p.Rights.May(core.ResMetadata, core.ActUpdate), New: anchorsURL(p.Name, "new")}
	for _, a := range anchors {
		view.Anchors = append(view.Anchors, anchorRow(c.Request().Context(), p, a))
	}
	return ui.Anchors(view), nil
}

func anchorRow(ctx context.Context, p app.OpenedProject, a core.TrustAnchor) ui.AnchorRow {
	row := ui.AnchorRow{Href: anchorsURL(p.Name, strconv.FormatInt(a.ID, 10)), Name: a.Name, Type: i18n.T(ctx, "anchors.type."+string(a.Type)), Key: core.Clip(a.KeyID, 200),
		Subject: core.Clip(a.Subject, 300), Expires: a.ExpiresAt, By: a.CreatedBy}
	if a.Type == core.AnchorCertificate && (row.Expires.IsZero() || a.NotAfter.Before(row.Expires)) {
		row.Expires = a.NotAfter
	}
	if a.Type == core.AnchorIdentity {
		row.Key, row.Subject = core.Clip(a.Subject, 300), core.Clip(a.Issuer, 300)
	}
	return row
}

// anchorTypes are all types of trust anchor in the order in which they are offered.
func anchorTypes() []core.AnchorType {
	return []core.AnchorType{core.AnchorKey, core.AnchorIdentity, core.AnchorRoot, core.AnchorCertificate, core.AnchorSubject, core.AnchorRevocation}
}

// anchorForm is the form for an anchor of that type; where that is none, of the
// first.
func (h *api) anchorForm(ctx context.Context, p app.OpenedProject, typ core.AnchorType) ui.AnchorForm {
	view := ui.AnchorForm{Form: ui.NewForm(), Project: p.Name, Policies: projectURL(p.Name, "policies"), Path: anchorsURL(p.Name), Type: string(core.AnchorKey)}
	for _, each := range anchorTypes() {
		view.Types = append(view.Types, ui.Option{Value: string(each), Label: i18n.T(ctx, "anchors.type."+string(each))})
		if each == typ {
			view.Type = string(typ)
		}
	}
	for _, store := range []core.CertificateStore{core.StoreCA, core.StoreSigningAuthority, core.StoreTSA} {
		view.Stores = append(view.Stores, ui.Option{Value: string(store), Label: i18n.T(ctx, "anchors.store."+string(store))})
	}
	view.Store = string(core.StoreCA)
	return view
}

func (h *api) newAnchorPage(c echo.Context) error {
	p, err := h.anchorsChangeable(c)
	if err != nil {
		return err
	}
	return h.showAnchor(c, http.StatusOK, p, h.anchorForm(c.Request().Context(), p, core.AnchorType(c.QueryParam("type"))))
}

// anchorsChangeable is openProject for those who may change what it trusts.
func (h *api) anchorsChangeable(c echo.Context) (app.OpenedProject, error) {
	p, err := h.openProject(c)
	if err != nil {
		return p, err
	}
	return p, h.app.MayInProject(c.Request().Context(), caller(c), core.ProjectRef{ID: p.ID}, core.ResMetadata, core.ActUpdate)
}

func (h *api) showAnchor(c echo.Context, status int, p app.OpenedProject, view ui.AnchorForm) error {
	return h.showProject(c, status, p, tabPolicies, ui.Anchor(view))
}

// anchorDay is how a form writes the end of an anchor: the last day on which it
// counts, in UTC.
const anchorDay = time.DateOnly

func lastDay(end time.Time) string {
	if end.IsZero() {
		return ""
	}
	return end.UTC().Add(-time.Microsecond).Format(anchorDay)
}

// typedAnchor reads the form into the view and makes an anchor of it; what
// cannot be read is marked. before is the anchor that is changed.
func typedAnchor(c echo.Context, view *ui.AnchorForm, before core.TrustAnchor) core.TrustAnchor {
	ctx := c.Request().Context()
	form := c.Request().PostForm
	view.Name, view.Content, view.Expires = strings.TrimSpace(form.Get("name")), newlines(form.Get("content")), strings.TrimSpace(form.Get("expires"))
	view.Issuer, view.Subject, view.Regexp = strings.TrimSpace(form.Get("issuer")), strings.TrimSpace(form.Get("subject")), form.Get("regexp") == "true"
	if store := form.Get("store"); store != "" {
		view.Store = store
	}
	anchor := core.TrustAnchor{ID: before.ID, Type: core.AnchorType(view.Type), Name: view.Name, Issuer: view.Issuer, Subject: view.Subject, Pattern: view.Regexp, ExpiresAt: before.ExpiresAt}
	if text, err := anchorFile(c, anchor.Type); err != nil {
		view.Wrong("file", i18n.T(ctx, "anchors.file"), i18n.T(ctx, "anchors.file.invalid"))
	} else if text != "" {
		view.Content = text
	}
	anchor.Content = view.Content
	if anchor.Type == core.AnchorCertificate {
		anchor.Store = core.CertificateStore(view.Store)
	}
	if view.Name == "" {
		view.Wrong("name", i18n.T(ctx, "anchors.name"), i18n.T(ctx, "anchors.name.missing"))
	}
	if view.Expires != lastDay(before.ExpiresAt) {
		anchor.ExpiresAt = time.Time{}
		if view.Expires != "" {
			day, err := time.Parse(anchorDay, view.Expires)
			anchor.ExpiresAt = day.Add(24 * time.Hour)
			if err != nil || !anchor.ExpiresAt.After(time.Now()) {
				view.Wrong("expires", i18n.T(ctx, "anchors.expires"), i18n.T(ctx, "anchors.expires.invalid"))
			}
		}
	}
	checkIdentity(ctx, view)
	return anchor
}

func checkIdentity(ctx context.Context, view *ui.AnchorForm) {
	if view.Type != string(core.AnchorIdentity) {
		return
	}
	if view.Issuer == "" {
		view.Wrong("issuer", i18n.T(ctx, "anchors.issuer"), i18n.T(ctx, "anchors.issuer.missing"))
	}
	if view.Subject == "" {
		view.Wrong("subject", i18n.T(ctx, "anchors.subject"), i18n.T(ctx, "anchors.subject.missing"))
	} else if _, err := regexp.Compile(view.Subject); view.Regexp && err != nil {
		view.Wrong("subject", i18n.T(ctx, "anchors.subject"), i18n.T(ctx, "anchors.subject.regexp"))
	}
}

// errNotText is what a file is that holds no text which can be shown again.
var errNotText = core.Errorf(core.CodeBadRequest, "the file is no text")

// anchorFile reads the file of the form, if there is one. Certificates and lists
// in DER become PEM.
func anchorFile(c echo.Context, typ core.AnchorType) (string, error) {
	if c.Request().MultipartForm == nil {
		return "", nil
	}
	file, err := c.FormFile("file")
	if err != nil || file.Size == 0 {
		return "", nil //nolint:nilerr // no file was chosen
	}
	opened, err := file.Open()
	if err != nil {
		return "", err
	}
	defer opened.Close() //nolint:errcheck // it is only read
	content, err := io.ReadAll(opened)
	if err != nil {
		return "", err
	}
	if utf8.Valid(content) && !strings.Contains(string(content), "\x00") {
		return newlines(string(content)), nil
	}
	switch typ {
	case core.AnchorCertificate:
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: content})), nil
	case core.AnchorKey:
		return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: content})), nil
	case core.AnchorRevocation:
		return base64.StdEncoding.EncodeToString(content), nil
	}
	return "", errNotText
}

// refusedAnchor marks in the form what the application has refused; other errors
// come back.
func refusedAnchor(ctx context.Context, view *ui.AnchorForm, err error) error {
	text := sentence(core.ErrorMessage(err))
	switch core.ErrorCode(err) {
	case core.CodeConflict:
		view.Wrong("name", i18n.T(ctx, "anchors.name"), i18n.T(ctx, "anchors.taken"))
	case core.CodePrecondition:
		view.Problem = text
	case core.CodeBadRequest:
		if view.Type == string(core.AnchorIdentity) || len(view.Name) > core.MaxAnchorName {
			view.Wrong("name", i18n.T(ctx, "anchors.name"), text)
		} else {
			view.Wrong("content", i18n.T(ctx, "anchors.content."+view.Type), text)
		}
	default:
		return err
	}
	return nil
}

func (h *api) createAnchorPage(c echo.Context) error {
	ctx := c.Request().Context()
	p, err := h.anchorsChangeable(c)
	if err != nil {
		return err
	}
	view := h.anchorForm(ctx, p, core.AnchorType(c.Request().PostForm.Get("type")))
	anchor := typedAnchor(c, &view, core.TrustAnchor{})
	if view.Failed() {
		return h.showAnchor(c, http.StatusUnprocessableEntity, p, view)
	}
	if _, err = h.app.CreateTrustAnchor(ctx, caller(c), core.ProjectRef{ID: p.ID}, anchor); err == nil {
		return done(c, projectURL(p.Name, "policies"), "anchors.toast.added", anchor.Name)
	}
	if err := refusedAnchor(ctx, &view, err); err != nil {
		return err
	}
	return h.showAnchor(c, http.StatusUnprocessableEntity, p, view)
}

// anchorInPath returns the anchor in the path with the form for it.
func (h *api) anchorInPath(c echo.Context) (p app.OpenedProject, anchor core.TrustAnchor, view ui.AnchorForm, err error) {
	ctx := c.Request().Context()
	if p, err = h.openProject(c); err != nil {
		return p, anchor, view, err
	}
	id, err := pathID(c, "anchor_id")
	if err != nil {
		return p, anchor, view, err
	}
	if anchor, err = h.app.TrustAnchor(ctx, caller(c), core.ProjectRef{ID: p.ID}, id); err != nil {
		return p, anchor, view, err
	}
	view = h.anchorForm(ctx, p, anchor.Type)
	view.Path, view.Row, view.MayChange = anchorsURL(p.Name, strconv.FormatInt(id, 10)), anchorRow(ctx, p, anchor), p.Rights.May(core.ResMetadata, core.ActUpdate)
	view.Name, view.Content, view.Expires = anchor.Name, anchor.Content, lastDay(anchor.ExpiresAt)
	view.Issuer, view.Subject, view.Regexp = anchor.Issuer, anchor.Subject, anchor.Pattern
	if anchor.Store != "" {
		view.Store = string(anchor.Store)
	}
	if view.MayChange {
		view.Delete = &ui.Confirm{ID: "delete", Title: i18n.T(ctx, "anchors.delete.title", anchor.Name), Text: i18n.T(ctx, "anchors.delete.text"),
			Action: view.Path + "/delete", Verb: i18n.T(ctx, "anchors.delete.verb")}
	}
	return p, anchor, view, nil
}

func (h *api) anchorPage(c echo.Context) error {
	p, _, view, err := h.anchorInPath(c)
	if err != nil {
		return err
	}
	return h.showAnchor(c, http.StatusOK, p, view)
}

func (h *api) changeAnchorPage(c echo.Context) error {
	ctx := c.Request().Context()
	if _, err := h.anchorsChangeable(c); err != nil {
		return err
	}
	p, before, view, err := h.anchorInPath(c)
	if err != nil {
		return err
	}
	anchor := typedAnchor(c, &view, before)
	if view.Failed() {
		return h.showAnchor(c, http.StatusUnprocessableEntity, p, view)
	}
	if err = h.app.ChangeTrustAnchor(ctx, caller(c), core.ProjectRef{ID: p.ID}, anchor); err == nil {
		return done(c, projectURL(p.Name, "policies"), "anchors.toast.changed", anchor.Name)
	}
	if err := refusedAnchor(ctx, &view, err); err != nil {
		return err
	}
	return h.showAnchor(c, http.StatusUnprocessableEntity, p, view)
}

func (h *api) deleteAnchorPage(c echo.Context) error {
	p, err := h.anchorsChangeable(c)
	if err != nil {
		return err
	}
	id, err := pathID(c, "anchor_id")
	if err != nil {
		return err
	}
	if err := h.app.DeleteTrustAnchor(c.Request().Context(), caller(c), core.ProjectRef{ID: p.ID}, id); err != nil {
		return err
	}
	return done(c, projectURL(p.Name, "policies"), "anchors.toast.deleted")
}
