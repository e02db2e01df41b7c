package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

func (h *api) layersPage(c echo.Context) error {
	ctx := c.Request().Context()
	a, reference, err := h.openArtifact(c)
	if err != nil {
		return err
	}
	contents, damaged, err := h.contents(c, a)
	if err != nil {
		return err
	}
	view := ui.LayersView{Head: h.artifactHead(ctx, a, reference, tabLayers), Damaged: damaged, Steps: steps(contents)}
	return h.showArtifact(c, http.StatusOK, a, reference, ui.Layers(view))
}

// steps lists how an image was built with the layer that each step made; where
// the two do not fit, and for what is no image, the layers alone.
func steps(contents app.Contents) []ui.LayerStep {
	var all []ui.LayerStep
	layers := contents.Layers
	if contents.Image != nil && fits(contents.Image.History, layers) {
		for _, entry := range contents.Image.History {
			step := ui.LayerStep{Command: command(entry), Comment: core.Clip(entry.Comment, 200)}
			if !entry.EmptyLayer {
				step.Layer, layers = layerOf(layers[0]), layers[1:]
			}
			all = append(all, step)
		}
		return all
	}
	for _, layer := range layers {
		all = append(all, ui.LayerStep{Layer: layerOf(layer)})
	}
	return all
}

// fits says whether each layer has a step of the history.
func fits(history []app.HistoryEntry, layers []core.Descriptor) bool {
	full := 0
	for _, entry := range history {
		if !entry.EmptyLayer {
			full++
		}
	}
	return len(history) > 0 && full == len(layers)
}

// command is a step as its author wrote it, without what builders put around it.
func command(entry app.HistoryEntry) string {
	text := strings.TrimSpace(entry.CreatedBy)
	if rest, ok := strings.CutPrefix(text, "/bin/sh -c #(nop)"); ok {
		text = strings.TrimSpace(rest)
	} else if rest, ok := strings.CutPrefix(text, "/bin/sh -c "); ok {
		text = "RUN " + rest
	}
	return core.Clip(strings.TrimSuffix(strings.TrimSpace(text), "# buildkit"), 4000)
}

func layerOf(d core.Descriptor) *ui.Layer {
	title := d.Annotations["org.opencontainers.image.title"]
	return &ui.Layer{Digest: d.Digest, MediaType: d.MediaType, Title: core.Clip(title, 200), Size: d.Size}
}

func (h *api) referrersPage(c echo.Context) error {
	ctx := c.Request().Context()
	a, reference, err := h.openArtifact(c)
	if err != nil {
		return err
	}
	tree, whole, err := h.app.ReferrerTree(ctx, caller(c), a.Repository.Name, a.Digest)
	if err != nil {
		return err
	}
	view := ui.ReferrersView{Head: h.artifactHead(ctx, a, reference, tabReferrers), Tree: referrerNodes(tree), Whole: whole}
	return h.showArtifact(c, http.StatusOK, a, reference, ui.Referrers(view))
}

func referrerNodes(tree []app.Referrer) []ui.ReferrerNode {
	nodes := make([]ui.ReferrerNode, len(tree))
	for i, r := range tree {
		nodes[i] = ui.ReferrerNode{Href: artifactURLPage(r.Artifact), Digest: r.Digest, Type: core.Clip(r.ArtifactType, 120), Size: r.TotalSize,
			Pushed: r.PushedAt, PushedBy: r.PushedBy, Below: referrerNodes(r.Referrers)}
	}
	return nodes
}

func (h *api) artifactTagsPage(c echo.Context) error {
	a, reference, err := h.openArtifact(c)
	if err != nil {
		return err
	}
	return h.showArtifactTags(c, http.StatusOK, a, reference, ui.NewForm(), "")
}

func (h *api) showArtifactTags(c echo.Context, status int, a app.OpenedArtifact, reference string, form ui.Form, typed string) error {
	ctx := c.Request().Context()
	w := window(c)
	tags, ends, err := h.app.TagWindow(ctx, caller(c), a.Repository.Name, a.Digest, "", w)
	if err != nil {
		return err
	}
	path := artifactURLPage(a.Artifact.Artifact) + "/tags"
	if lost(w, tags) {
		return redirect(c, path)
	}
	view := ui.ArtifactTagsView{Form: form, Head: h.artifactHead(ctx, a, reference, tabTags), Path: path, Typed: typed,
		MayTag: a.Repository.Project.Rights.May(core.ResTag, core.ActCreate), Tags: h.tagRows(ctx, a.Repository, tags, path),
		Beside: beside(path, url.Values{}, ends, i18n.T(ctx, "repository.by-name"))}
	return h.showArtifact(c, status, a, reference, ui.ArtifactTags(view))
}

func (h *api) addTagPage(c echo.Context) error {
	ctx := c.Request().Context()
	a, reference, err := h.openArtifact(c)
	if err != nil {
		return err
	}
	form, typed := ui.NewForm(), strings.TrimSpace(c.Request().PostForm.Get("tag"))
	err = h.app.CreateTag(ctx, caller(c), a.Repository.Name, a.Digest, typed)
	switch core.ErrorCode(err) {
	case "":
		return done(c, artifactURLPage(a.Artifact.Artifact)+"/tags", "artifact.toast.tagged", typed)
	case core.CodeConflict:
		form.Wrong("tag", i18n.T(ctx, "artifact.tag"), i18n.T(ctx, "artifact.tag.taken"))
	case core.CodeBadRequest:
		form.Wrong("tag", i18n.T(ctx, "artifact.tag"), i18n.T(ctx, "artifact.tag.invalid"))
	default:
		return err
	}
	return h.showArtifactTags(c, http.StatusUnprocessableEntity, a, reference, form, typed)
}

func (h *api) deleteArtifactPage(c echo.Context) error {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return err
	}
	if err := h.app.DeleteArtifact(c.Request().Context(), caller(c), repository, reference); err != nil {
		return err
	}
	if _, err := h.app.OpenRepository(c.Request().Context(), caller(c), repository); err != nil {
		project, _, _ := core.SplitRepository(repository)
		return done(c, projectURL(project), "artifact.toast.deleted")
	}
	return done(c, repositoryURL(repository), "artifact.toast.deleted")
}

// copyView is the form for a copy before anything was typed.
func (h *api) copyView(ctx context.Context, a app.OpenedArtifact) ui.CopyView {
	project, name, _ := core.SplitRepository(a.Repository.Name)
	view := ui.CopyView{Form: ui.NewForm(), Project: project, Repository: name, Digest: a.Digest, Path: artifactURLPage(a.Artifact.Artifact),
		Crumbs: []ui.Link{{Href: projectURL(project), Label: project}, {Href: repositoryURL(a.Repository.Name), Label: name}}}
	for _, tag := range a.Tags {
		view.Tags = append(view.Tags, ui.Option{Value: tag.Name, Label: tag.Name})
	}
	view.Tags = append(view.Tags, ui.Option{Value: "", Label: i18n.T(ctx, "artifact.copy.no-tag")})
	view.Tag = view.Tags[0].Value
	return view
}

func (h *api) copyPage(c echo.Context) error {
	a, reference, err := h.openArtifact(c)
	if err != nil {
		return err
	}
	return h.showArtifact(c, http.StatusOK, a, reference, ui.Copy(h.copyView(c.Request().Context(), a)))
}

func (h *api) copyArtifactPage(c echo.Context) error {
	ctx := c.Request().Context()
	a, reference, err := h.openArtifact(c)
	if err != nil {
		return err
	}
	form := c.Request().PostForm
	view := h.copyView(ctx, a)
	view.Project, view.Repository, view.Tag = strings.TrimSpace(form.Get("project")), strings.TrimSpace(form.Get("repository")), form.Get("tag")
	from := a.Repository.Name + "@" + a.Digest
	if view.Tag != "" {
		from = a.Repository.Name + ":" + view.Tag
	}
	to := view.Project + "/" + view.Repository
	digest, err := h.app.CopyArtifact(ctx, caller(c), to, from)
	switch core.ErrorCode(err) {
	case "":
		return done(c, repositoryURL(to, "artifacts", digest), "artifact.toast.copied", to)
	case core.CodeForbidden, core.CodeNotFound:
		view.Wrong("project", i18n.T(ctx, "artifact.copy.project"), i18n.T(ctx, "artifact.copy.forbidden"))
	case core.CodeBadRequest:
		view.Wrong("repository", i18n.T(ctx, "artifact.copy.repository"), i18n.T(ctx, "artifact.copy.invalid"))
	case core.CodePrecondition, core.CodeDenied, core.CodeConflict:
		view.Problem = sentence(core.ErrorMessage(err))
	default:
		return err
	}
	return h.showArtifact(c, http.StatusUnprocessableEntity, a, reference, ui.Copy(view))
}
