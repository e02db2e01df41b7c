package web

import (
	"context"
	"net/http"
	"net/url"
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

// repositoryPage is where a repository's pages begin.
const repositoryPage = projectPage + "/repositories/:repository_name"

func (h *api) repositoryPages() []page {
	return []page{
		{method: http.MethodGet, path: repositoryPage, handle: h.artifactsPage},
		{method: http.MethodGet, path: repositoryPage + "/tags", handle: h.tagsPage},
		{method: http.MethodGet, path: repositoryPage + "/description", handle: h.descriptionPage},
		{method: http.MethodPost, path: repositoryPage + "/description", handle: h.describePage},
		{method: http.MethodPost, path: repositoryPage + "/delete", handle: h.deleteRepositoryPage},
		{method: http.MethodPost, path: repositoryPage + "/tags/delete", handle: h.deleteTagPage},
	}
}

// repositoryURL is the path of a repository's page, or of what is below it.
func repositoryURL(full string, below ...string) string {
	project, name, _ := core.SplitRepository(full)
	return projectURL(project, append([]string{"repositories", name}, below...)...)
}

// openRepository returns the repository in the path with the reader's rights.
func (h *api) openRepository(c echo.Context) (app.OpenedRepository, error) {
	name, err := repositoryName(c)
	if err != nil {
		return app.OpenedRepository{}, err
	}
	return h.app.OpenRepository(c.Request().Context(), caller(c), name)
}

// The tabs of a repository; the text of each is repository.tab.NAME.
const (
	tabArtifacts   = "artifacts"
	tabTags        = "tags"
	tabDescription = "description"
)

func (h *api) repositoryHead(ctx context.Context, r app.OpenedRepository, current string) ui.RepositoryHead {
	project, name, _ := core.SplitRepository(r.Name)
	head := ui.RepositoryHead{Project: ui.Link{Href: projectURL(project), Label: project}, Name: name, Description: firstLine(r.Description),
		Image: hostOf(h.deps.ExternalURL) + "/" + r.Name}
	for _, tab := range []struct{ name, href string }{
		{tabArtifacts, repositoryURL(r.Name)}, {tabTags, repositoryURL(r.Name, "tags")}, {tabTrust, repositoryURL(r.Name, "trust")}, {tabDescription, repositoryURL(r.Name, "description")},
	} {
		head.Tabs = append(head.Tabs, ui.Tab{Href: tab.href, Label: i18n.T(ctx, "repository.tab."+tab.name), Current: tab.name == current})
	}
	if r.Project.Rights.May(core.ResScan, core.ActCreate) {
		head.Scan = repositoryURL(r.Name, "scan")
	}
	if r.Project.Rights.May(core.ResRepository, core.ActDelete) {
		head.Delete = &ui.Confirm{ID: "delete", Title: i18n.T(ctx, "repository.delete.title", r.Name), Text: i18n.N(ctx, "repository.delete.text", r.ArtifactCount),
			Action: repositoryURL(r.Name, "delete"), Verb: i18n.T(ctx, "repository.delete.verb")}
	}
	return head
}

func (h *api) showRepository(c echo.Context, status int, r app.OpenedRepository, body templ.Component) error {
	return h.show(c, status, sectionProjects, r.Name, body)
}

func (h *api) artifactsPage(c echo.Context) error {
	r, err := h.openRepository(c)
	if err != nil {
		return err
	}
	view, start, err := h.artifactsView(c, r)
	if err != nil {
		return err
	}
	if start != "" {
		return redirect(c, start)
	}
	return h.showRepository(c, http.StatusOK, r, ui.Artifacts(view))
}

// artifactsView is the list of a repository; start is its first page where the
// one that was asked for is gone.
func (h *api) artifactsView(c echo.Context, r app.OpenedRepository) (view ui.ArtifactsView, start string, err error) {
	ctx := c.Request().Context()
	filter := core.ArtifactFilter{Text: strings.TrimSpace(c.QueryParam("q")), Label: labelFilter(c)}
	path, values := repositoryURL(r.Name), url.Values{"q": {filter.Text}}
	switch shown := c.QueryParam("show"); shown {
	case "tagged", "untagged":
		tagged := shown == "tagged"
		filter.Tagged = &tagged
		values.Set("show", shown)
	}
	if filter.Label != 0 {
		values.Set("label", strconv.FormatInt(filter.Label, 10))
	}
	labels, err := h.labelOptions(c, r.Project, filter.Label)
	if err != nil {
		return view, "", err
	}
	w := window(c)
	list, ends, err := h.app.ArtifactWindow(ctx, caller(c), r.Name, filter, w)
	if err != nil {
		return view, "", err
	}
	if lost(w, list) {
		return view, withQuery(path, values), nil
	}
	view = ui.ArtifactsView{Path: path, Filter: filter.Text, Show: values.Get("show"), Label: values.Get("label"), Labels: labels, Segments: artifactSegments(ctx, path, values),
		Beside: beside(path, values, ends, i18n.T(ctx, "repository.newest")), Push: h.pushHelp(c, r.Project), Enforces: r.Project.Enforces, Query: liveQuery(c, values)}
	for _, a := range list {
		view.Artifacts = append(view.Artifacts, artifactRow(ctx, r.Project, a))
	}
	view.Head = h.repositoryHead(ctx, r, tabArtifacts)
	view.Head.Reference = latestReference(view.Artifacts)
	view.Run, err = h.scanRun(c, r.Project, r.Name)
	return view, "", err
}

// latestReference is what a pull command for the repository asks for: a tag of
// the newest artifact that has one.
func latestReference(artifacts []ui.ArtifactRow) string {
	for _, a := range artifacts {
		if len(a.Tags) > 0 {
			return ":" + a.Tags[0].Label
		}
	}
	if len(artifacts) > 0 {
		return "@" + artifacts[0].Digest
	}
	return ""
}

// artifactSegments are the links that filter by whether there is a tag.
func artifactSegments(ctx context.Context, path string, values url.Values) []ui.Link {
	current := values.Get("show")
	defer values.Set("show", current)
	var links []ui.Link
	for _, choice := range []ui.Option{{Value: "", Label: "repository.show.all"}, {Value: "tagged", Label: "repository.show.tagged"}, {Value: "untagged", Label: "repository.show.untagged"}} {
		values.Set("show", choice.Value)
		links = append(links, ui.Link{Href: withQuery(path, values), Label: i18n.T(ctx, choice.Label), Current: choice.Value == current})
	}
	return links
}

func artifactRow(ctx context.Context, p app.OpenedProject, a app.ListedArtifact) ui.ArtifactRow {
	row := ui.ArtifactRow{Href: artifactURLPage(a.Artifact.Artifact), Digest: a.Digest, Kind: kindOf(a), Platforms: platformsOf(a.Artifact), Size: a.Bytes(),
		Pushed: a.PushedAt, PushedBy: a.PushedBy, Pulled: a.PulledAt, Scan: scanView(a.Kind, a.Scan), Pull: pullView(p, a), Labels: mapAll(a.Labels, labelMark)}
	for _, tag := range a.Tags[:min(len(a.Tags), maxRowTags)] {
		row.Tags = append(row.Tags, ui.Link{Href: repositoryURL(a.Repository, "artifacts", tag.Name), Label: tag.Name})
	}
	row.Sign = signatureMark(ctx, a.Sign, time.Now())
	row.MoreTags = a.TagCount - int64(len(row.Tags))
	return row
}

// maxRowTags is how many tags of an artifact its row in a list shows.
const maxRowTags = 6

// artifactURLPage is the path of an artifact's page by its digest.
func artifactURLPage(a core.Artifact) string {
	return repositoryURL(a.Repository, "artifacts", a.Digest)
}

// platformsOf lists the platforms of an image or of the entries of an index;
// attestations, whose platform is unknown, are none.
func platformsOf(a app.Artifact) []string {
	var names []string
	if a.Platform != nil {
		names = append(names, platformName(a.Platform))
	}
	for _, child := range a.Children {
		if child.Platform != nil && child.Platform.OS != "unknown" {
			names = append(names, platformName(child.Platform))
		}
	}
	return names
}

// platformName is a platform without its system where that is Linux, which
// goes without saying.
func platformName(p *core.Platform) string {
	return strings.TrimPrefix(p.String(), "linux/")
}

// kindOf names what an artifact is, where that is no plain image.
func kindOf(a app.ListedArtifact) string {
	switch {
	case len(a.Children) > 0:
		return "index"
	case a.Kind == core.KindImage:
		return ""
	case a.ArtifactType != "":
		return core.Clip(a.ArtifactType, 80)
	}
	return a.MediaType
}

func (h *api) tagsPage(c echo.Context) error {
	ctx := c.Request().Context()
	r, err := h.openRepository(c)
	if err != nil {
		return err
	}
	text, w := strings.TrimSpace(c.QueryParam("q")), window(c)
	list, ends, err := h.app.TagWindow(ctx, caller(c), r.Name, "", text, w)
	if err != nil {
		return err
	}
	path, values := repositoryURL(r.Name, "tags"), url.Values{"q": {text}}
	if lost(w, list) {
		return redirect(c, withQuery(path, values))
	}
	view := ui.TagsView{Head: h.repositoryHead(ctx, r, tabTags), Path: path, Filter: text, Beside: beside(path, values, ends, i18n.T(ctx, "repository.by-name")),
		Tags: h.tagRows(ctx, r, list, path)}
	return h.showRepository(c, http.StatusOK, r, ui.Tags(view))
}

// tagRows are the rows of a list of tags; back is where the reader is led after
// a tag was deleted.
func (h *api) tagRows(ctx context.Context, r app.OpenedRepository, tags []app.ListedTag, back string) []ui.TagRow {
	rows := make([]ui.TagRow, len(tags))
	for i, tag := range tags {
		rows[i] = ui.TagRow{Sign: signatureMark(ctx, tag.Sign, time.Now()), Name: tag.Name, Href: repositoryURL(r.Name, "artifacts", tag.Name), Digest: tag.Digest,
			Pushed: tag.PushedAt, Pulled: tag.PulledAt, Immutable: tag.Immutable}
		if r.Project.Rights.May(core.ResTag, core.ActDelete) && !tag.Immutable {
			rows[i].Delete = &ui.Confirm{ID: "delete-" + tag.Name, Title: i18n.T(ctx, "repository.untag.title", tag.Name),
				Text: i18n.T(ctx, "repository.untag.text"), Action: repositoryURL(r.Name, "tags", "delete"), Verb: i18n.T(ctx, "repository.untag.verb"),
				Hidden: []ui.Hidden{{Name: "tag", Value: tag.Name}, {Name: "digest", Value: tag.Digest}, {Name: "back", Value: back}}}
		}
	}
	return rows
}

// deleteTagPage removes a tag from the artifact on which the reader saw it.
func (h *api) deleteTagPage(c echo.Context) error {
	name, err := repositoryName(c)
	if err != nil {
		return err
	}
	form := c.Request().PostForm
	tag := form.Get("tag")
	if err := h.app.RemoveTagOf(c.Request().Context(), caller(c), name, form.Get("digest"), tag); err != nil {
		return err
	}
	back := localPath(form.Get("back"))
	if !strings.HasPrefix(back, repositoryURL(name)) {
		back = repositoryURL(name, "tags")
	}
	return done(c, back, "repository.toast.untagged", tag)
}

func (h *api) deleteRepositoryPage(c echo.Context) error {
	name, err := repositoryName(c)
	if err != nil {
		return err
	}
	if err := h.app.DeleteRepository(c.Request().Context(), caller(c), name); err != nil {
		return err
	}
	project, _, _ := core.SplitRepository(name)
	return done(c, projectURL(project), "repository.toast.deleted", name)
}

func (h *api) descriptionPage(c echo.Context) error {
	r, err := h.openRepository(c)
	if err != nil {
		return err
	}
	edit := c.QueryParam("edit") != "" && r.Project.Rights.May(core.ResRepository, core.ActUpdate)
	view := ui.DescriptionView{Form: ui.NewForm(), Text: r.Description, Was: r.Description, Edit: edit}
	return h.showDescription(c, http.StatusOK, r, view)
}

func (h *api) showDescription(c echo.Context, status int, r app.OpenedRepository, view ui.DescriptionView) error {
	view.Path, view.MayEdit = repositoryURL(r.Name, "description"), r.Project.Rights.May(core.ResRepository, core.ActUpdate)
	view.Head = h.repositoryHead(c.Request().Context(), r, tabDescription)
	return h.showRepository(c, status, r, ui.Description(view))
}

// describePage changes the description, unless somebody else has changed it
// since the reader began.
func (h *api) describePage(c echo.Context) error {
	ctx := c.Request().Context()
	r, err := h.openRepository(c)
	if err != nil {
		return err
	}
	form := c.Request().PostForm
	text, was := newlines(form.Get("description")), newlines(form.Get("was"))
	view := ui.DescriptionView{Form: ui.NewForm(), Text: text, Was: r.Description, Edit: true}
	err = h.app.ChangeRepositoryDescription(ctx, caller(c), r.Name, was, text)
	switch core.ErrorCode(err) {
	case "":
		return done(c, repositoryURL(r.Name, "description"), "repository.toast.described")
	case core.CodeConflict:
		view.Theirs = true
	case core.CodeBadRequest:
		view.Wrong("description", i18n.T(ctx, "repository.tab.description"), sentence(core.ErrorMessage(err)))
	default:
		return err
	}
	return h.showDescription(c, statusOfForm(err), r, view)
}

// newlines undoes what browsers do to the ends of lines in a form.
func newlines(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

// statusOfForm is the status of a form that is shown again because of err.
func statusOfForm(err error) int {
	if core.ErrorCode(err) == core.CodeConflict {
		return http.StatusConflict
	}
	return http.StatusUnprocessableEntity
}
