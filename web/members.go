package web

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

func (h *api) memberRoutes() []route {
	const path = projectPath + "/members"
	return []route{
		{http.MethodGet, path, h.listMembers},
		{http.MethodPost, path, h.addMember},
		{http.MethodGet, path + "/:mid", h.getMember},
		{http.MethodPut, path + "/:mid", h.updateMember},
		{http.MethodDelete, path + "/:mid", h.deleteMember},
	}
}

// memberJSON is Harbor's ProjectMemberEntity.
type memberJSON struct {
	ID         int64  `json:"id"`
	ProjectID  int64  `json:"project_id"`
	EntityName string `json:"entity_name"`
	RoleName   string `json:"role_name"`
	RoleID     int64  `json:"role_id"`
	EntityID   int64  `json:"entity_id"`
	EntityType string `json:"entity_type"` // u: a user
}

func newMemberJSON(m core.Member) memberJSON {
	return memberJSON{ID: m.ID, ProjectID: m.ProjectID, EntityName: m.Username, RoleName: m.Role.String(),
		RoleID: int64(m.Role), EntityID: m.UserID, EntityType: "u"}
}

func (h *api) listMembers(c echo.Context) error {
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	members, total, err := h.app.Members(c.Request().Context(), caller(c), projectRef(c), c.QueryParam("entityname"), q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(members, newMemberJSON))
}

// memberReq is Harbor's ProjectMember. Clients send an empty member_group
// along with a user.
type memberReq struct {
	RoleID     int64 `json:"role_id"`
	MemberUser struct {
		UserID   int64  `json:"user_id"`
		Username string `json:"username"`
	} `json:"member_user"`
	MemberGroup struct {
		ID          int64  `json:"id"`
		GroupName   string `json:"group_name"`
		LDAPGroupDN string `json:"ldap_group_dn"`
	} `json:"member_group"`
}

func (h *api) addMember(c echo.Context) error {
	var body memberReq
	if err := bind(c, &body); err != nil {
		return err
	}
	if g := body.MemberGroup; g.ID != 0 || g.GroupName != "" || g.LDAPGroupDN != "" {
		return core.Errorf(core.CodeBadRequest, "there are no groups in this release; add users with member_user")
	}
	user := core.User{ID: body.MemberUser.UserID, Username: body.MemberUser.Username}
	project, id, err := h.app.AddMember(c.Request().Context(), caller(c), projectRef(c), user, core.Role(body.RoleID))
	if err != nil {
		return err
	}
	return created(c, fmt.Sprintf("%s/projects/%d/members/%d", apiPrefix, project, id))
}

func (h *api) getMember(c echo.Context) error {
	id, err := pathID(c, "mid")
	if err != nil {
		return err
	}
	m, err := h.app.Member(c.Request().Context(), caller(c), projectRef(c), id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newMemberJSON(m))
}

func (h *api) updateMember(c echo.Context) error {
	id, err := pathID(c, "mid")
	if err != nil {
		return err
	}
	var body struct {
		RoleID int64 `json:"role_id"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	if err := h.app.SetMemberRole(c.Request().Context(), caller(c), projectRef(c), id, core.Role(body.RoleID)); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

func (h *api) deleteMember(c echo.Context) error {
	id, err := pathID(c, "mid")
	if err != nil {
		return err
	}
	if err := h.app.RemoveMember(c.Request().Context(), caller(c), projectRef(c), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}
