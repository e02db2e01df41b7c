package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

const artifactsPath = "/projects/:project_name/repositories/:repository_name/artifacts"

func (h *api) artifactRoutes() []route {
	return []route{
		{http.MethodGet, projectPath + "/artifacts", h.listProjectArtifacts},
		{http.MethodGet, artifactsPath, h.listArtifacts},
		{http.MethodPost, artifactsPath, h.copyArtifact},
		{http.MethodGet, artifactsPath + "/:reference", h.getArtifact},
		{http.MethodDelete, artifactsPath + "/:reference", h.deleteArtifact},
		{http.MethodGet, artifactsPath + "/:reference/tags", h.listTags},
		{http.MethodPost, artifactsPath + "/:reference/tags", h.createTag},
		{http.MethodDelete, artifactsPath + "/:reference/tags/:tag_name", h.deleteTag},
		{http.MethodGet, artifactsPath + "/:reference/accessories", h.listAccessories},
		{http.MethodGet, artifactsPath + "/:reference/signatures", h.listSignatures},
		{http.MethodGet, artifactsPath + "/:reference/additions/build_history", h.getBuildHistory},
		{http.MethodGet, artifactsPath + "/:reference/additions/sbom", h.getSBOM},
	}
}

// artifactView is Harbor's Artifact.
type artifactView struct {
	ID                int64                    `json:"id"`
	Type              string                   `json:"type"`
	MediaType         string                   `json:"media_type"` // of the config, as in Harbor
	ManifestMediaType string                   `json:"manifest_media_type"`
	ArtifactType      string                   `json:"artifact_type"`
	ProjectID         int64                    `json:"project_id"`
	RepositoryID      int64                    `json:"repository_id"`
	RepositoryName    string                   `json:"repository_name"`
	Digest            string                   `json:"digest"`
	Size              int64                    `json:"size"`
	PushTime          time.Time                `json:"push_time"`
	PullTime          time.Time                `json:"pull_time"`
	ExtraAttrs        map[string]any           `json:"extra_attrs,omitempty"`
	Annotations       map[string]string        `json:"annotations,omitempty"`
	References        []referenceView          `json:"references,omitempty"`
	Tags              []tagView                `json:"tags"`
	Accessories       []accessoryView          `json:"accessories"`
	Labels            []labelJSON              `json:"labels"`
	AdditionLinks     map[string]additionLink  `json:"addition_links,omitempty"`
	ScanOverview      map[string]*overviewJSON `json:"scan_overview,omitempty"`
}

// referenceView is Harbor's Reference: an entry of an index.
type referenceView struct {
	ParentID    int64             `json:"parent_id"`
	ChildID     int64             `json:"child_id"`
	ChildDigest string            `json:"child_digest"`
	Platform    *core.Platform    `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// tagView is Harbor's Tag.
type tagView struct {
	ID           int64     `json:"id"`
	RepositoryID int64     `json:"repository_id"`
	ArtifactID   int64     `json:"artifact_id"`
	Name         string    `json:"name"`
	PushTime     time.Time `json:"push_time"`
	PullTime     time.Time `json:"pull_time"`
	Immutable    bool      `json:"immutable"`
	Signed       bool      `json:"signed"`
}

// accessoryView is Harbor's Accessory: a manifest that refers to another.
type accessoryView struct {
	ID                    int64     `json:"id"`
	ArtifactID            int64     `json:"artifact_id"`
	SubjectArtifactDigest string    `json:"subject_artifact_digest"`
	Size                  int64     `json:"size"`
	Digest                string    `json:"digest"`
	Type                  string    `json:"type"`
	CreationTime          time.Time `json:"creation_time"`
}

type additionLink struct {
	Absolute bool   `json:"absolute"`
	HREF     string `json:"href"`
}

func viewTag(t core.Tag) tagView {
	return tagView{ID: t.ID, RepositoryID: t.RepositoryID, ArtifactID: t.ArtifactID, Name: t.Name, PushTime: t.PushedAt, PullTime: t.PulledAt, Immutable: t.Immutable,
		Signed: t.Signed}
}

// viewAccessories shows what refers to the digest; what a tag alone names as
// its signature does not say so itself.
func viewAccessories(digest string, list []core.Artifact) []accessoryView {
	return mapAll(list, func(a core.Artifact) accessoryView {
		return accessoryView{ID: a.ID, ArtifactID: a.ID, SubjectArtifactDigest: digest, Size: a.TotalSize, Digest: a.Digest,
			Type: a.AccessoryType(), CreationTime: a.PushedAt}
	})
}

func viewArtifact(a app.Artifact) artifactView {
	v := artifactView{ID: a.ID, Type: a.Kind, MediaType: a.ArtifactType, ManifestMediaType: a.MediaType, ArtifactType: a.ArtifactType,
		ProjectID: a.ProjectID, RepositoryID: a.RepositoryID, RepositoryName: a.Repository, Digest: a.Digest, Size: a.TotalSize,
		PushTime: a.PushedAt, PullTime: a.PulledAt, Annotations: a.Annotations, Tags: mapAll(a.Tags, viewTag)}
	if a.Platform != nil {
		v.ExtraAttrs = map[string]any{"architecture": a.Platform.Architecture, "os": a.Platform.OS}
	}
	for _, child := range a.Children {
		v.References = append(v.References, referenceView{a.ID, child.ID, child.Digest, child.Platform, child.Annotations})
	}
	v.AdditionLinks = additionLinks(a)
	return v
}

// additionLinks are the additions that the artifact has.
func additionLinks(a app.Artifact) map[string]additionLink {
	if a.Kind != core.KindImage {
		return nil
	}
	path := artifactURL(a.Repository, a.Digest) + "/additions/"
	links := map[string]additionLink{"vulnerabilities": {HREF: path + "vulnerabilities"}}
	if a.Config != "" {
		links["build_history"] = additionLink{HREF: path + "build_history"}
	}
	return links
}

// artifactViewer is viewArtifact with the labels and the overview of the last
// scan, where the query of the request asks for them.
func artifactViewer(c echo.Context) (func(app.Artifact) artifactView, error) {
	labelled, _ := strconv.ParseBool(c.QueryParam("with_label"))
	scanned, err := flagParam(c, "with_scan_overview")
	if err != nil {
		return nil, err
	}
	mime := ""
	if scanned {
		mime, err = reportType(c)
	}
	return func(a app.Artifact) artifactView {
		v := viewArtifact(a)
		if labelled {
			v.Labels = mapAll(a.Labels, newLabelJSON)
		}
		if scanned && (a.Scan.Fact.Status != "" || a.Scan.Open != "" || a.Scan.Stopped) {
			v.ScanOverview = map[string]*overviewJSON{mime: newOverview(a.Digest, a.Scan)}
		}
		return v
	}, err
}

// artifactURL is the path of an artifact in the API. A slash in the
// repository's name is encoded twice, as Harbor's clients expect.
func artifactURL(repository, reference string) string {
	project, name, _ := core.SplitRepository(repository)
	return apiPrefix + "/projects/" + project + "/repositories/" +
		url.PathEscape(url.PathEscape(name)) + "/artifacts/" + reference
}

// artifactPath returns the repository and the tag or digest in the path.
func artifactPath(c echo.Context) (repository, reference string, err error) {
	if repository, err = repositoryName(c); err != nil {
		return "", "", err
	}
	reference, err = pathText(c, "reference")
	return repository, reference, err
}

func (h *api) listArtifacts(c echo.Context) error {
	repository, err := repositoryName(c)
	if err != nil {
		return err
	}
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	tagged := takeTagFilter(&q)
	view, err := artifactViewer(c)
	if err != nil {
		return err
	}
	list, total, err := h.app.Artifacts(c.Request().Context(), caller(c), repository, tagged, q)
	if err != nil {
		return err
	}
	views := mapAll(list, view)
	if err := h.addAccessories(c, repository, views); err != nil {
		return err
	}
	return writeList(c, q, total, views)
}

// addAccessories adds to artifacts of a repository what refers to them, where
// the query asks for it.
func (h *api) addAccessories(c echo.Context, repository string, views []artifactView) error {
	if wanted, _ := strconv.ParseBool(c.QueryParam("with_accessory")); !wanted || len(views) == 0 {
		return nil
	}
	byDigest, err := h.app.AccessoriesOf(c.Request().Context(), caller(c), repository, mapAll(views, func(v artifactView) string { return v.Digest }))
	for i, v := range views {
		views[i].Accessories = viewAccessories(v.Digest, byDigest[v.Digest])
	}
	return err
}

// listProjectArtifacts is Harbor's list over all repositories of a project.
func (h *api) listProjectArtifacts(c echo.Context) error {
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	latest, _ := strconv.ParseBool(c.QueryParam("latest_in_repository"))
	tagged := takeTagFilter(&q)
	view, err := artifactViewer(c)
	if err != nil {
		return err
	}
	list, total, err := h.app.ProjectArtifacts(c.Request().Context(), caller(c), projectRef(c), tagged, latest, q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(list, view))
}

// takeTagFilter takes Harbor's q=tags=* (with a tag) and q=tags=nil (without)
// out of the query; they are about no value.
func takeTagFilter(q *core.Query) *bool {
	i := slices.IndexFunc(q.Filters, func(f core.Filter) bool {
		return f.Field == "tags" && f.Match == core.MatchExact && (f.Values[0] == "*" || f.Values[0] == "nil")
	})
	if i < 0 {
		return nil
	}
	tagged := q.Filters[i].Values[0] == "*"
	q.Filters = slices.Delete(q.Filters, i, i+1)
	return &tagged
}

func (h *api) getArtifact(c echo.Context) error {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return err
	}
	viewer, err := artifactViewer(c)
	if err != nil {
		return err
	}
	artifact, err := h.app.Artifact(c.Request().Context(), caller(c), repository, reference)
	if err != nil {
		return err
	}
	views := []artifactView{viewer(artifact)}
	if err := h.addAccessories(c, repository, views); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, views[0])
}

func (h *api) copyArtifact(c echo.Context) error {
	repository, err := repositoryName(c)
	if err != nil {
		return err
	}
	digest, err := h.app.CopyArtifact(c.Request().Context(), caller(c), repository, c.QueryParam("from"))
	if err != nil {
		return err
	}
	return created(c, artifactURL(repository, digest))
}

func (h *api) deleteArtifact(c echo.Context) error {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return err
	}
	if err := h.app.DeleteArtifact(c.Request().Context(), caller(c), repository, reference); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

func (h *api) listTags(c echo.Context) error {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return err
	}
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	tags, total, err := h.app.Tags(c.Request().Context(), caller(c), repository, reference, q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(tags, viewTag))
}

func (h *api) createTag(c echo.Context) error {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return err
	}
	var body struct {
		Name string `json:"name"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	if err := h.app.CreateTag(c.Request().Context(), caller(c), repository, reference, body.Name); err != nil {
		return err
	}
	return created(c, strings.TrimSuffix(c.Request().URL.EscapedPath(), "/")+"/"+body.Name)
}

func (h *api) deleteTag(c echo.Context) error {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return err
	}
	tag, err := pathText(c, "tag_name")
	if err != nil {
		return err
	}
	if err := h.app.RemoveTagOf(c.Request().Context(), caller(c), repository, reference, tag); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

func (h *api) listAccessories(c echo.Context) error {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return err
	}
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	digest, list, total, err := h.app.Accessories(c.Request().Context(), caller(c), repository, reference, q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, viewAccessories(digest, list))
}

func (h *api) getBuildHistory(c echo.Context) error {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return err
	}
	history, err := h.app.BuildHistory(c.Request().Context(), caller(c), repository, reference)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, history)
}
