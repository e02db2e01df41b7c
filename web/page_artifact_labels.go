package web

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

func (h *api) artifactLabelPages() []page {
	return []page{
		{method: http.MethodGet, path: artifactPage + "/labels", handle: h.artifactLabelsPage},
		{method: http.MethodPost, path: artifactPage + "/labels", handle: h.addLabelPage},
		{method: http.MethodPost, path: artifactPage + "/labels/:label_id/delete", handle: h.removeLabelPage},
	}
}

// labelFilter reads the label that a list of artifacts is filtered by.
func labelFilter(c echo.Context) int64 {
	id, err := strconv.ParseInt(c.QueryParam("label"), 10, 64)
	if err != nil || id < 0 {
		return 0
	}
	return id
}

// labelOptions are the labels that the list of artifacts of a project can be
// filtered by; none for those who may not see them, and where there are none.
func (h *api) labelOptions(c echo.Context, p app.OpenedProject, chosen int64) ([]ui.Option, error) {
	ctx := c.Request().Context()
	if !p.Rights.May(core.ResLabel, core.ActList) {
		return nil, nil
	}
	labels, err := h.app.LabelChoices(ctx, caller(c), core.ProjectRef{ID: p.ID}, "")
	if err != nil {
		return nil, err
	}
	if chosen != 0 && !slices.ContainsFunc(labels, func(l core.Label) bool { return l.ID == chosen }) {
		if l, err := h.app.Label(ctx, caller(c), chosen); err == nil { // one that the choices have no room for
			labels = append(labels, l)
		}
	}
	if len(labels) == 0 {
		return nil, nil
	}
	options := []ui.Option{{Value: "", Label: i18n.T(ctx, "labels.any")}}
	for _, l := range labels {
		options = append(options, ui.Option{Value: strconv.FormatInt(l.ID, 10), Label: l.Name})
	}
	return options, nil
}

// artifactLabelsPage shows the labels of an artifact and those that it may get.
func (h *api) artifactLabelsPage(c echo.Context) error {
	ctx := c.Request().Context()
	a, reference, err := h.openArtifact(c)
	if err != nil {
		return err
	}
	rights := a.Repository.Project.Rights
	path := artifactURLPage(a.Artifact.Artifact) + "/labels"
	view := ui.ArtifactLabelsView{Head: h.artifactHead(ctx, a, reference, tabLabels), Path: path, Filter: strings.TrimSpace(c.QueryParam("name")),
		Labels: mapAll(a.Labels, labelMark), MayRemove: rights.May(core.ResArtifactLabel, core.ActDelete)}
	if rights.May(core.ResArtifactLabel, core.ActCreate) && rights.May(core.ResLabel, core.ActList) {
		choices, err := h.app.LabelChoices(ctx, caller(c), core.ProjectRef{ID: a.Repository.Project.ID}, view.Filter)
		if err != nil {
			return err
		}
		view.MayAdd, view.More = true, len(choices) == core.MaxPageSize
		for _, l := range choices {
			if !slices.ContainsFunc(a.Labels, func(has core.Label) bool { return has.ID == l.ID }) {
				view.Choices = append(view.Choices, labelMark(l))
			}
		}
		if rights.May(core.ResLabel, core.ActCreate) {
			view.New = projectURL(a.Repository.Project.Name, "labels", "new")
		}
	}
	return h.showArtifact(c, http.StatusOK, a, reference, ui.ArtifactLabels(view))
}

// addLabelPage marks an artifact. One that has the label already is as the
// reader wanted it.
func (h *api) addLabelPage(c echo.Context) error {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(c.Request().PostForm.Get("label"), 10, 64)
	if err != nil {
		return core.Errorf(core.CodeBadRequest, "choose a label")
	}
	err = h.app.AddLabel(c.Request().Context(), caller(c), repository, reference, id)
	if err != nil && core.ErrorCode(err) != core.CodeConflict {
		return err
	}
	return done(c, repositoryURL(repository, "artifacts", reference, "labels"), "labels.toast.added")
}

func (h *api) removeLabelPage(c echo.Context) error {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return err
	}
	id, err := pathID(c, "label_id")
	if err != nil {
		return err
	}
	if err := h.app.RemoveLabel(c.Request().Context(), caller(c), repository, reference, id); err != nil {
		return err
	}
	return done(c, repositoryURL(repository, "artifacts", reference, "labels"), "labels.toast.removed")
}
