package web

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// artifactPage is where an artifact's pages begin.
const artifactPage = repositoryPage + "/artifacts/:reference"

func (h *api) artifactPages() []page {
	return []page{
		{method: http.MethodGet, path: artifactPage, handle: h.artifactSummaryPage},
		{method: http.MethodGet, path: artifactPage + "/layers", handle: h.layersPage},
		{method: http.MethodGet, path: artifactPage + "/referrers", handle: h.referrersPage},
		{method: http.MethodGet, path: artifactPage + "/tags", handle: h.artifactTagsPage},
		{method: http.MethodPost, path: artifactPage + "/tags", handle: h.addTagPage},
		{method: http.MethodPost, path: artifactPage + "/delete", handle: h.deleteArtifactPage},
		{method: http.MethodGet, path: artifactPage + "/copy", handle: h.copyPage},
		{method: http.MethodPost, path: artifactPage + "/copy", handle: h.copyArtifactPage},
	}
}

// artifactTab is one of the tabs of an artifact; its text is artifact.tab.NAME.
type artifactTab struct {
	name, path string
	shown      func(app.OpenedArtifact) bool // nil for always
}

const (
	tabSummary   = "summary"
	tabLayers    = "layers"
	tabReferrers = "referrers"
)

// artifactTabs are all tabs of an artifact in their order.
func artifactTabs() []artifactTab {
	return []artifactTab{
		{tabSummary, "", nil},
		{tabReport, "vulnerabilities", func(a app.OpenedArtifact) bool { return a.Kind == core.KindImage }},
		{tabLayers, "layers", func(a app.OpenedArtifact) bool { return len(a.Children) == 0 }},
		{tabReferrers, "referrers", nil},
		{tabTags, "tags", nil},
		{tabLabels, "labels", nil},
	}
}

// openArtifact returns the artifact in the path with the reader's rights, and
// the tag or digest by which the path names it.
func (h *api) openArtifact(c echo.Context) (app.OpenedArtifact, string, error) {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return app.OpenedArtifact{}, "", err
	}
	a, err := h.app.OpenArtifact(c.Request().Context(), caller(c), repository, reference)
	return a, reference, err
}

// artifactHead is what all pages of an artifact begin with. Its links stay with
// the name by which the reader came; what changes something names the digest.
func (h *api) artifactHead(ctx context.Context, a app.OpenedArtifact, reference, current string) ui.ArtifactHead {
	repository := a.Repository.Name
	project, name, _ := core.SplitRepository(repository)
	head := ui.ArtifactHead{Project: ui.Link{Href: projectURL(project), Label: project}, Repository: ui.Link{Href: repositoryURL(repository), Label: name},
		Digest: a.Digest, Pull: pullView(a.Repository.Project, a.ListedArtifact), Image: hostOf(h.deps.ExternalURL) + "/" + repository, Reference: pullReference(reference), Copy: repositoryURL(repository, "artifacts", a.Digest, "copy")}
	if !strings.Contains(reference, ":") {
		head.Tag = reference
	}
	for _, tab := range artifactTabs() {
		if tab.shown == nil || tab.shown(a) {
			href := repositoryURL(repository, "artifacts", reference)
			if tab.path != "" {
				href += "/" + tab.path
			}
			head.Tabs = append(head.Tabs, ui.Tab{Href: href, Label: i18n.T(ctx, "artifact.tab."+tab.name), Current: tab.name == current})
		}
	}
	if a.Parent != "" {
		head.Parent = &ui.Link{Href: repositoryURL(repository, "artifacts", a.Parent), Label: a.Parent}
	}
	if a.Parent == "" && a.Repository.Project.Rights.May(core.ResArtifact, core.ActDelete) {
		head.Delete = deletionOf(ctx, a)
	}
	return head
}

// pullReference is what follows the repository in a pull command.
func pullReference(reference string) string {
	if strings.Contains(reference, ":") {
		return "@" + reference
	}
	return ":" + reference
}

func deletionOf(ctx context.Context, a app.OpenedArtifact) *ui.Confirm {
	text := i18n.T(ctx, "artifact.delete.untagged")
	if a.TagCount > 0 {
		names := make([]string, len(a.Tags))
		for i, tag := range a.Tags {
			names[i] = tag.Name
		}
		if a.TagCount > int64(len(names)) {
			names = append(names, "…")
		}
		text = i18n.N(ctx, "artifact.delete.text", a.TagCount, strings.Join(names, ", "))
	}
	return &ui.Confirm{ID: "delete", Title: i18n.T(ctx, "artifact.delete.title"), Text: text,
		Action: artifactURLPage(a.Artifact.Artifact) + "/delete", Verb: i18n.T(ctx, "artifact.delete.verb")}
}

func (h *api) showArtifact(c echo.Context, status int, a app.OpenedArtifact, reference string, body templ.Component) error {
	return h.show(c, status, sectionProjects, a.Repository.Name+pullReference(reference), body)
}

func (h *api) artifactSummaryPage(c echo.Context) error {
	ctx := c.Request().Context()
	a, reference, err := h.openArtifact(c)
	if err != nil {
		return err
	}
	contents, damaged, err := h.contents(c, a)
	if err != nil {
		return err
	}
	readme := readmeOf(a.Annotations, contents)
	view := ui.ArtifactView{Head: h.artifactHead(ctx, a, reference, tabSummary), Facts: artifactFacts(ctx, a, contents), Damaged: damaged,
		Marks: mapAll(a.Labels, labelMark), Children: childRows(ctx, a), Readme: readme, Annotations: factsBut(readme, a.Annotations)}
	if a.Kind == core.KindImage || a.Repository.Project.Enforces {
		scan := artifactScan(ctx, a)
		scan.Report = reportURL(a, reference)
		view.Above = append(view.Above, ui.ArtifactScan(scan))
	}
	signatures, err := h.signaturesCard(c, a)
	if err != nil {
		return err
	}
	view.Sections = append(view.Sections, ui.Signatures(signatures))
	if contents.Image != nil {
		view.Config = configFacts(ctx, contents.Image.Config)
		view.Labels = factsBut(readme, contents.Image.Config.Labels)
	}
	return h.showArtifact(c, http.StatusOK, a, reference, ui.Artifact(view))
}

// contents reads the files of the artifact. The page is there without them,
// too: damaged then says that they cannot be read.
func (h *api) contents(c echo.Context, a app.OpenedArtifact) (contents app.Contents, damaged bool, err error) {
	contents, err = h.app.Contents(c.Request().Context(), caller(c), a.Repository.Name, a.Digest)
	switch core.ErrorCode(err) {
	case core.CodeTooLarge:
		return contents, true, nil
	case core.CodeInternal, core.CodeNotFound:
		h.deps.Log.WarnContext(c.Request().Context(), "the files of an artifact cannot be read for its page", "digest", a.Digest, "error", err)
		return contents, true, nil
	}
	return contents, false, err
}

func artifactFacts(ctx context.Context, a app.OpenedArtifact, contents app.Contents) []ui.Fact {
	facts := []ui.Fact{
		{Label: i18n.T(ctx, "repository.column.pushed"), Value: i18n.T(ctx, "artifact.pushed-by", i18n.Day(ctx, a.PushedAt), a.PushedBy)},
		{Label: i18n.T(ctx, "repository.column.pulled"), Value: dayOrNever(ctx, a)},
		{Label: i18n.T(ctx, "repository.column.size"), Value: sizeFact(ctx, a, contents)},
	}
	if platforms := platformsOf(a.Artifact); len(platforms) > 0 {
		facts = append(facts, ui.Fact{Label: i18n.T(ctx, "repository.column.platforms"), Value: strings.Join(platforms, ", ")})
	}
	if contents.Image != nil && contents.Image.Created != nil && contents.Image.Created.Year() > 1980 {
		facts = append(facts, ui.Fact{Label: i18n.T(ctx, "artifact.built"), Value: i18n.Day(ctx, *contents.Image.Created)})
	}
	kind := a.ArtifactType
	if kind == "" {
		kind = a.MediaType
	}
	return append(facts, ui.Fact{Label: i18n.T(ctx, "artifact.type"), Value: core.Clip(kind, 120), Mono: true})
}

func dayOrNever(ctx context.Context, a app.OpenedArtifact) string {
	if a.PulledAt.IsZero() {
		return i18n.T(ctx, "repository.never")
	}
	return i18n.Day(ctx, a.PulledAt)
}

func sizeFact(ctx context.Context, a app.OpenedArtifact, contents app.Contents) string {
	if len(contents.Layers) == 0 {
		return i18n.Bytes(ctx, a.Bytes())
	}
	return i18n.N(ctx, "artifact.size", int64(len(contents.Layers)), i18n.Bytes(ctx, a.Bytes()))
}

func childRows(ctx context.Context, a app.OpenedArtifact) []ui.ChildRow {
	var rows []ui.ChildRow
	for _, child := range a.Children {
		row := ui.ChildRow{Href: repositoryURL(a.Repository.Name, "artifacts", child.Digest), Digest: child.Digest, Size: child.TotalSize,
			Scan: scanView(core.KindImage, a.ChildScans[child.Digest]), Sign: signatureMark(ctx, a.ChildSigns[child.Digest], time.Now())}
		switch {
		case child.Annotations["vnd.docker.reference.type"] != "":
			row.Name, row.Attached = i18n.T(ctx, "artifact.attestation"), true
			row.Scan = ui.ScanView{State: ui.ScanNotMeant}
		case child.Platform != nil:
			row.Name = child.Platform.String()
		default:
			row.Name = i18n.T(ctx, "artifact.no-platform")
		}
		rows = append(rows, row)
	}
	return rows
}

// descriptionKey is the annotation of the image specification that describes
// an artifact.
const descriptionKey = "org.opencontainers.image.description"

// readmeOf is the text in which an artifact tells about itself: an annotation
// or a label whose last part is "readme", else its description.
func readmeOf(annotations map[string]string, contents app.Contents) string {
	sources := []map[string]string{annotations}
	if contents.Image != nil {
		sources = append(sources, contents.Image.Config.Labels)
	}
	for _, source := range sources {
		for _, key := range slices.Sorted(maps.Keys(source)) {
			if last := key[strings.LastIndexByte(key, '.')+1:]; strings.EqualFold(last, "readme") && source[key] != "" {
				return source[key]
			}
		}
	}
	for _, source := range sources {
		if source[descriptionKey] != "" {
			return source[descriptionKey]
		}
	}
	return ""
}

// factsBut lists annotations or labels by name, without the text that the page
// shows by itself.
func factsBut(shown string, values map[string]string) []ui.Fact {
	var facts []ui.Fact
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if values[key] != shown {
			facts = append(facts, ui.Fact{Label: key, Value: core.Clip(values[key], 2000)})
		}
	}
	return facts
}

// configFacts are how a container of the image starts, as far as it says.
func configFacts(ctx context.Context, run app.ImageRun) []ui.Fact {
	var facts []ui.Fact
	add := func(key, value string) {
		if value != "" {
			facts = append(facts, ui.Fact{Label: i18n.T(ctx, "artifact.config."+key), Value: core.Clip(value, 8000), Mono: true})
		}
	}
	add("entrypoint", words(run.Entrypoint))
	add("cmd", words(run.Cmd))
	add("user", run.User)
	add("workdir", run.WorkingDir)
	add("ports", strings.Join(slices.Sorted(maps.Keys(run.ExposedPorts)), "\n"))
	add("volumes", strings.Join(slices.Sorted(maps.Keys(run.Volumes)), "\n"))
	add("stop", run.StopSignal)
	add("env", strings.Join(run.Env, "\n"))
	return facts
}

// words writes a command as a shell would take it.
func words(command []string) string {
	parts := make([]string, len(command))
	for i, word := range command {
		parts[i] = ui.ShellWord(word)
	}
	return strings.Join(parts, " ")
}
