package web

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

// projectPath is where one project is; the parameter is what projectRef reads.
const projectPath = "/projects/:project_name_or_id"

func (h *api) projectRoutes() []route {
	return []route{
		{http.MethodGet, "/projects", h.listProjects},
		{http.MethodHead, "/projects", h.headProject},
		{http.MethodPost, "/projects", h.createProject},
		{http.MethodGet, projectPath, h.getProject},
		{http.MethodPut, projectPath, h.updateProject},
		{http.MethodDelete, projectPath, h.deleteProject},
		{http.MethodGet, projectPath + "/_deletable", h.projectDeletable},
		{http.MethodGet, projectPath + "/summary", h.projectSummary},
	}
}

// projectJSON is Harbor's Project.
type projectJSON struct {
	ProjectID          int64             `json:"project_id"`
	OwnerID            int64             `json:"owner_id"`
	OwnerName          string            `json:"owner_name"`
	Name               string            `json:"name"`
	CreationTime       time.Time         `json:"creation_time"`
	UpdateTime         time.Time         `json:"update_time"`
	Deleted            bool              `json:"deleted"`
	Togglable          bool              `json:"togglable"`
	CurrentUserRoleID  int64             `json:"current_user_role_id"`
	CurrentUserRoleIDs []int64           `json:"current_user_role_ids"`
	RepoCount          int64             `json:"repo_count"`
	Metadata           map[string]string `json:"metadata"`
	CVEAllowlist       allowlistJSON     `json:"cve_allowlist"`
}

func newProjectJSON(v app.ProjectView) projectJSON {
	p := projectJSON{
		ProjectID: v.ID, OwnerID: v.OwnerID, OwnerName: v.OwnerName, Name: v.Name,
		CreationTime: v.CreatedAt, UpdateTime: v.UpdatedAt, Togglable: v.Togglable,
		CurrentUserRoleID: int64(v.Role), CurrentUserRoleIDs: []int64{},
		RepoCount: v.RepoCount, Metadata: v.Metadata, CVEAllowlist: newAllowlistJSON(v.Allowlist),
	}
	p.CVEAllowlist.ID, p.CVEAllowlist.ProjectID = v.ID, v.ID // also where none was ever set
	if v.Role != 0 {
		p.CurrentUserRoleIDs = []int64{int64(v.Role)}
	}
	return p
}

// listProjects answers with every detail, whatever with_detail says. name
// matches a part, owner and public are exact.
func (h *api) listProjects(c echo.Context) error {
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	if name := c.QueryParam("name"); name != "" {
		q.Filters = append(q.Filters, core.Filter{Field: "name", Match: core.MatchFuzzy, Values: []string{name}})
	}
	for _, field := range []string{"owner", "public"} {
		if value := c.QueryParam(field); value != "" {
			q.Filters = append(q.Filters, core.Filter{Field: field, Values: []string{value}})
		}
	}
	projects, total, err := h.app.Projects(c.Request().Context(), caller(c), q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(projects, newProjectJSON))
}

// headProject says whether the caller may see a project of that name. As in
// Harbor the answer to an account is 200 or 404 and no other: tools read 404 as
// leave to create the project, and take 403 for a failure.
func (h *api) headProject(c echo.Context) error {
	name := c.QueryParam("project_name")
	if name == "" {
		return core.Errorf(core.CodeBadRequest, "the query needs a project_name")
	}
	_, err := h.app.Project(c.Request().Context(), caller(c), core.ProjectRef{Name: name})
	if core.ErrorCode(err) == core.CodeForbidden {
		return core.Errorf(core.CodeNotFound, "project %s not found", core.Clip(name, 64))
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

// projectReq is Harbor's ProjectReq. What this release does not have is read
// so that asking for it is refused, never overlooked.
type projectReq struct {
	ProjectName  string         `json:"project_name"`
	Public       *bool          `json:"public"` // of old clients
	Metadata     metadata       `json:"metadata"`
	StorageLimit int64          `json:"storage_limit"`
	RegistryID   int64          `json:"registry_id"`
	CVEAllowlist *allowlistJSON `json:"cve_allowlist"`
}

// allowlist returns the CVE allowlist that is asked for, nil where none is given.
func (r projectReq) allowlist() *core.CVEAllowlist {
	if r.CVEAllowlist == nil {
		return nil
	}
	list := r.CVEAllowlist.list()
	return &list
}

// values returns the metadata that are asked for.
func (r projectReq) values() (map[string]string, error) {
	if r.RegistryID != 0 {
		return nil, core.Errorf(core.CodeBadRequest, "this release has no proxy cache projects; leave registry_id out")
	}
	if _, given := r.Metadata["public"]; !given && r.Public != nil {
		return metadata{"public": strconv.FormatBool(*r.Public)}.with(r.Metadata), nil
	}
	return r.Metadata, nil
}

func (h *api) createProject(c echo.Context) error {
	var body projectReq
	if err := bind(c, &body); err != nil {
		return err
	}
	values, err := body.values()
	if err != nil {
		return err
	}
	id, err := h.app.CreateProject(c.Request().Context(), caller(c),
		app.NewProject{Name: body.ProjectName, Metadata: values, Allowlist: body.allowlist(), StorageLimit: body.StorageLimit})
	if err != nil {
		return err
	}
	if byName, err := strconv.ParseBool(c.Request().Header.Get("X-Resource-Name-In-Location")); err == nil && byName {
		return created(c, apiPrefix+"/projects/"+body.ProjectName)
	}
	return created(c, fmt.Sprintf("%s/projects/%d", apiPrefix, id))
}

func (h *api) getProject(c echo.Context) error {
	project, err := h.app.Project(c.Request().Context(), caller(c), projectRef(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newProjectJSON(project))
}

// updateProject changes the metadata that are given. As in Harbor the storage
// limit of the body is not looked at: PUT /quotas/ID changes it.
func (h *api) updateProject(c echo.Context) error {
	var body projectReq
	if err := bind(c, &body); err != nil {
		return err
	}
	values, err := body.values()
	if err != nil {
		return err
	}
	if err := h.app.UpdateProject(c.Request().Context(), caller(c), projectRef(c), values, body.allowlist()); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

func (h *api) deleteProject(c echo.Context) error {
	if err := h.app.DeleteProject(c.Request().Context(), caller(c), projectRef(c)); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

// deletableJSON is Harbor's ProjectDeletable.
type deletableJSON struct {
	Deletable bool   `json:"deletable"`
	Message   string `json:"message,omitempty"`
}

func (h *api) projectDeletable(c echo.Context) error {
	reason, err := h.app.ProjectDeletable(c.Request().Context(), caller(c), projectRef(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, deletableJSON{reason == "", reason})
}

// summaryJSON is Harbor's ProjectSummary.
type summaryJSON struct {
	RepoCount int64 `json:"repo_count"`
	*memberCountJSON
	Quota *quotaSummaryJSON `json:"quota,omitempty"`
}

type memberCountJSON struct {
	ProjectAdmins int64 `json:"project_admin_count"`
	Maintainers   int64 `json:"maintainer_count"`
	Developers    int64 `json:"developer_count"`
	Guests        int64 `json:"guest_count"`
	LimitedGuests int64 `json:"limited_guest_count"`
}

type quotaSummaryJSON struct {
	Hard storageJSON `json:"hard"`
	Used storageJSON `json:"used"`
}

func (h *api) projectSummary(c echo.Context) error {
	sum, err := h.app.ProjectSummary(c.Request().Context(), caller(c), projectRef(c))
	if err != nil {
		return err
	}
	body := summaryJSON{RepoCount: sum.RepoCount}
	if n := sum.Members; n != nil {
		body.memberCountJSON = &memberCountJSON{n[core.RoleProjectAdmin], n[core.RoleMaintainer], n[core.RoleDeveloper], n[core.RoleGuest], n[core.RoleLimitedGuest]}
	}
	if sum.Quota != nil {
		body.Quota = &quotaSummaryJSON{storageJSON{sum.Quota.Hard}, storageJSON{sum.Quota.Used}}
	}
	return c.JSON(http.StatusOK, body)
}
