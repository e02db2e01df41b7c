package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// labelsOfAll is where the labels of all projects are.
const labelsOfAll = "/admin/labels"

// labelPages are the same twice: for the labels of all projects, and for those
// of one.
func (h *api) labelPages() []page {
	var all []page
	for base, id := range map[string]string{labelsOfAll: "/:global_label", projectPage + "/labels": "/:label_id"} {
		all = append(all,
			page{method: http.MethodGet, path: base, handle: h.labelsPage},
			page{method: http.MethodGet, path: base + "/new", handle: h.newLabelPage},
			page{method: http.MethodPost, path: base, handle: h.createLabelPage},
			page{method: http.MethodGet, path: base + id, handle: h.labelPage},
			page{method: http.MethodPost, path: base + id, handle: h.saveLabelPage},
			page{method: http.MethodPost, path: base + id + "/delete", handle: h.deleteLabelPage})
	}
	return all
}

// labelPlace is whose labels a page is about: a project's, or those of all.
type labelPlace struct{ place }

// labelPlace reads from the path whose labels the page is about.
func (h *api) labelPlace(c echo.Context) (labelPlace, error) {
	at, err := h.place(c, labelsOfAll, "labels")
	return labelPlace{at}, err
}

// openLabels is labelPlace for those who may do action on its labels.
func (h *api) openLabels(c echo.Context, action core.Action) (labelPlace, error) {
	at, err := h.labelPlace(c)
	if err != nil {
		return at, err
	}
	return at, h.mayAt(c, at.place, core.ResLabel, action)
}

// openLabel returns the label in the path, which must be one of the place.
func (h *api) openLabel(c echo.Context, action core.Action) (labelPlace, core.Label, error) {
	at, err := h.openLabels(c, action)
	if err != nil {
		return at, core.Label{}, err
	}
	name := "label_id"
	if at.project == nil {
		name = "global_label"
	}
	id, err := pathID(c, name)
	if err != nil {
		return at, core.Label{}, err
	}
	l, err := h.app.Label(c.Request().Context(), caller(c), id)
	if err == nil && l.ProjectID != at.id() {
		err = core.Errorf(core.CodeNotFound, "label %d not found", id)
	}
	return at, l, err
}

// may says what the reader may do with the labels of the place.
func (at labelPlace) may(c echo.Context, action core.Action) bool {
	if at.project == nil {
		return me(c).Administers
	}
	return at.project.Rights.May(core.ResLabel, action)
}

func (h *api) showLabels(c echo.Context, status int, at labelPlace, title string, body templ.Component) error {
	if at.project == nil {
		return h.show(c, status, sectionLabels, title, body)
	}
	return h.show(c, status, sectionProjects, title+" · "+at.project.Name, body)
}

func (h *api) labelsPage(c echo.Context) error {
	ctx := c.Request().Context()
	at, err := h.labelPlace(c)
	if err != nil {
		return err
	}
	q, text := listPage(c), strings.TrimSpace(c.QueryParam("name"))
	if text != "" {
		q.Filters = []core.Filter{{Field: "name", Match: core.MatchFuzzy, Values: []string{text}}}
	}
	labels, total, err := h.app.Labels(ctx, caller(c), at.id(), q)
	if err != nil {
		return err
	}
	view := ui.LabelsView{Path: at.path, Filter: text, MayCreate: at.may(c, core.ActCreate), OfAll: labelsOfAll,
		Pager: pager(at.path, url.Values{"name": {text}}, q, len(labels), total)}
	if at.project != nil {
		head := projectHead(c, *at.project, tabLabels)
		view.Project = &head
	}
	view.Labels = mapAll(labels, func(l core.Label) ui.LabelRow { return labelRow(ctx, c, at, l) })
	return h.showLabels(c, http.StatusOK, at, i18n.T(ctx, "labels.title"), ui.Labels(view))
}

func labelRow(ctx context.Context, c echo.Context, at labelPlace, l core.Label) ui.LabelRow {
	id := strconv.FormatInt(l.ID, 10)
	row := ui.LabelRow{Label: labelMark(l), Created: l.CreatedAt}
	if at.may(c, core.ActUpdate) {
		row.Edit = at.path + "/" + id
	}
	if at.may(c, core.ActDelete) {
		row.Delete = &ui.Confirm{ID: "delete-" + id, Title: i18n.T(ctx, "labels.delete.title", l.Name), Text: i18n.T(ctx, "labels.delete.text"),
			Action: at.path + "/" + id + "/delete", Verb: i18n.T(ctx, "labels.delete.verb")}
	}
	return row
}

func labelMark(l core.Label) ui.LabelMark {
	return ui.LabelMark{ID: l.ID, Name: l.Name, Description: l.Description, Color: l.Color}
}

// labelColors are the colours to choose from, each with enough contrast to the
// paper in light and dark; the text of each is labels.color.NAME.
func labelColors() []ui.Option {
	return []ui.Option{{Value: "", Label: "none"}, {Value: "#6B7785", Label: "grey"}, {Value: "#0E7C9F", Label: "sea"}, {Value: "#2F6FDE", Label: "blue"},
		{Value: "#7C56D6", Label: "violet"}, {Value: "#C2378F", Label: "pink"}, {Value: "#CF3E38", Label: "red"}, {Value: "#C2620A", Label: "orange"},
		{Value: "#9A7B00", Label: "yellow"}, {Value: "#2B8A4B", Label: "green"}}
}

// labelForm is the form for a label. A colour that came over the API is one of
// the choices, too.
func labelForm(ctx context.Context, at labelPlace, l core.Label) ui.LabelForm {
	view := ui.LabelForm{Form: ui.NewForm(), Path: at.path, Back: at.path, Label: labelMark(l)}
	for _, color := range labelColors() {
		view.Colors = append(view.Colors, ui.Option{Value: color.Value, Label: i18n.T(ctx, "labels.color."+color.Label)})
	}
	known := func(o ui.Option) bool { return strings.EqualFold(o.Value, l.Color) }
	if i := slices.IndexFunc(view.Colors, known); i >= 0 {
		view.Label.Color = view.Colors[i].Value
	} else {
		view.Colors = append(view.Colors, ui.Option{Value: l.Color, Label: l.Color})
	}
	view.Crumbs = []ui.Link{{Href: at.path, Label: i18n.T(ctx, "labels.title")}}
	if at.project != nil {
		view.Crumbs = append([]ui.Link{{Href: "/projects", Label: i18n.T(ctx, "projects.title")}, {Href: projectURL(at.project.Name), Label: at.project.Name}}, view.Crumbs...)
	}
	return view
}

func (h *api) newLabelPage(c echo.Context) error {
	ctx := c.Request().Context()
	at, err := h.openLabels(c, core.ActCreate)
	if err != nil {
		return err
	}
	return h.showLabels(c, http.StatusOK, at, i18n.T(ctx, "labels.new"), ui.NewLabel(labelForm(ctx, at, core.Label{})))
}

// typedLabel reads a label from a form, whose fields begin with prefix.
func typedLabel(c echo.Context, prefix string) core.Label {
	form := c.Request().PostForm
	return core.Label{Name: strings.TrimSpace(form.Get(prefix + "name")), Description: strings.TrimSpace(form.Get(prefix + "description")), Color: form.Get(prefix + "color")}
}

// checkLabel marks the fields that cannot be saved.
func checkLabel(ctx context.Context, form *ui.Form, l core.Label) {
	if (core.Label{Name: l.Name}).Validate() != nil {
		form.Wrong("name", i18n.T(ctx, "labels.name"), i18n.T(ctx, "labels.name.invalid"))
	}
	if (core.Label{Name: "x", Description: l.Description}).Validate() != nil {
		form.Wrong("description", i18n.T(ctx, "repository.tab.description"), i18n.T(ctx, "labels.description.invalid"))
	}
	if (core.Label{Name: "x", Color: l.Color}).Validate() != nil {
		form.Wrong("color", i18n.T(ctx, "labels.color"), i18n.T(ctx, "labels.color.invalid"))
	}
}

func (h *api) createLabelPage(c echo.Context) error {
	ctx := c.Request().Context()
	at, err := h.openLabels(c, core.ActCreate)
	if err != nil {
		return err
	}
	typed := typedLabel(c, "")
	view := labelForm(ctx, at, typed)
	if checkLabel(ctx, &view.Form, typed); !view.Failed() {
		typed.ProjectID = at.id()
		_, err = h.app.CreateLabel(ctx, caller(c), typed)
		switch core.ErrorCode(err) {
		case "":
			return done(c, at.path, "labels.toast.created", typed.Name)
		case core.CodeConflict:
			view.Wrong("name", i18n.T(ctx, "labels.name"), i18n.T(ctx, "labels.name.taken"))
		default:
			return err
		}
	}
	return h.showLabels(c, http.StatusUnprocessableEntity, at, i18n.T(ctx, "labels.new"), ui.NewLabel(view))
}

func (h *api) labelPage(c echo.Context) error {
	ctx := c.Request().Context()
	at, l, err := h.openLabel(c, core.ActUpdate)
	if err != nil {
		return err
	}
	return h.showLabel(c, http.StatusOK, at, l, labelForm(ctx, at, l))
}

func (h *api) showLabel(c echo.Context, status int, at labelPlace, l core.Label, view ui.LabelForm) error {
	view.Was, view.Path = labelMark(l), at.path+"/"+strconv.FormatInt(l.ID, 10)
	return h.showLabels(c, status, at, l.Name, ui.EditLabel(view))
}

// saveLabelPage changes a label, unless somebody else has changed it since the
// reader saw it.
func (h *api) saveLabelPage(c echo.Context) error {
	ctx := c.Request().Context()
	at, l, err := h.openLabel(c, core.ActUpdate)
	if err != nil {
		return err
	}
	typed, was := typedLabel(c, ""), typedLabel(c, "was-")
	view := labelForm(ctx, at, typed)
	if checkLabel(ctx, &view.Form, typed); view.Failed() {
		return h.showLabel(c, http.StatusUnprocessableEntity, at, l, view)
	}
	typed.ID = l.ID
	err = h.app.ChangeLabel(ctx, caller(c), was, typed)
	switch core.ErrorCode(err) {
	case "":
		return done(c, at.path, "labels.toast.saved", typed.Name)
	case core.CodeConflict:
		if view.Theirs = !l.SameText(was); view.Theirs {
			return h.showLabel(c, http.StatusConflict, at, l, view)
		}
		view.Wrong("name", i18n.T(ctx, "labels.name"), i18n.T(ctx, "labels.name.taken"))
		return h.showLabel(c, http.StatusUnprocessableEntity, at, l, view)
	}
	return err
}

func (h *api) deleteLabelPage(c echo.Context) error {
	at, l, err := h.openLabel(c, core.ActDelete)
	if err != nil {
		return err
	}
	if err := h.app.DeleteLabel(c.Request().Context(), caller(c), l.ID); err != nil {
		return err
	}
	return done(c, at.path, "labels.toast.deleted", l.Name)
}
