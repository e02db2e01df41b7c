package web

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

func (h *api) robotRoutes() []route {
	return []route{
		{http.MethodGet, "/robots", h.listRobots},
		{http.MethodPost, "/robots", h.createRobot},
		{http.MethodGet, "/robots/:robot_id", h.getRobot},
		{http.MethodPut, "/robots/:robot_id", h.updateRobot},
		{http.MethodPatch, "/robots/:robot_id", h.renewRobotSecret},
		{http.MethodDelete, "/robots/:robot_id", h.deleteRobot},
	}
}

// robotJSON is Harbor's Robot.
type robotJSON struct {
	ID           int64                 `json:"id"`
	Name         string                `json:"name"`
	Description  string                `json:"description"`
	Level        string                `json:"level"`
	Duration     int64                 `json:"duration"` // days, -1 is for ever
	Editable     bool                  `json:"editable"`
	Disable      bool                  `json:"disable"`
	ExpiresAt    int64                 `json:"expires_at"` // Unix seconds, -1 is never
	Permissions  []robotPermissionJSON `json:"permissions"`
	CreatorType  string                `json:"creator_type"`
	CreatorRef   int64                 `json:"creator_ref"`
	CreationTime time.Time             `json:"creation_time"`
	UpdateTime   time.Time             `json:"update_time"`
}

// robotPermissionJSON is Harbor's RobotPermission.
type robotPermissionJSON struct {
	Kind      string       `json:"kind"`
	Namespace string       `json:"namespace"`
	Access    []accessJSON `json:"access"`
}

// accessJSON is Harbor's Access.
type accessJSON struct {
	Resource string `json:"resource"`
	Action   string `json:"action"`
	Effect   string `json:"effect,omitempty"`
}

func newRobotJSON(r core.Robot) robotJSON {
	j := robotJSON{ID: r.ID, Name: r.Name, Description: r.Description, Level: app.RobotLevel(r), Duration: r.Duration,
		Editable: true, Disable: r.Disabled, ExpiresAt: expiresAt(r), Permissions: newPermissionsJSON(r.Grants),
		CreationTime: r.CreatedAt, UpdateTime: r.UpdatedAt}
	if creator, ok := core.ParseSubject(r.Creator); ok {
		j.CreatorType, j.CreatorRef = "local", creator.ID
		if creator.Kind == core.KindRobot {
			j.CreatorType = "robot"
		}
	}
	return j
}

func expiresAt(r core.Robot) int64 {
	if r.ExpiresAt.IsZero() {
		return -1
	}
	return r.ExpiresAt.Unix()
}

// newPermissionsJSON groups grants by where they hold.
func newPermissionsJSON(grants []core.RobotGrant) []robotPermissionJSON {
	all := []robotPermissionJSON{}
	for _, g := range grants {
		kind, namespace := app.GrantNamespace(g)
		i := slices.IndexFunc(all, func(p robotPermissionJSON) bool { return p.Kind == kind && p.Namespace == namespace })
		if i < 0 {
			i = len(all)
			all = append(all, robotPermissionJSON{Kind: kind, Namespace: namespace})
		}
		all[i].Access = append(all[i].Access, accessJSON{Resource: string(g.Resource), Action: string(g.Action)})
	}
	return all
}

// listRobots lists those of the system or, with q=Level=project,ProjectID=N,
// those of a project, as Harbor does.
func (h *api) listRobots(c echo.Context) error {
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	project, rest, err := robotScope(q.Filters)
	if err != nil {
		return err
	}
	q.Filters = rest
	robots, total, err := h.app.Robots(c.Request().Context(), caller(c), project, q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(robots, newRobotJSON))
}

// robotScope takes level and project out of the filters; 0 is the system.
func robotScope(filters []core.Filter) (project int64, rest []core.Filter, err error) {
	level := app.RobotLevelSystem
	for _, f := range filters {
		switch f.Field {
		case "Level", "level":
			level = f.Values[0]
		case "ProjectID", "project_id":
			if project, err = strconv.ParseInt(f.Values[0], 10, 64); err != nil || project < 0 {
				return 0, nil, core.Errorf(core.CodeBadRequest, "Project ID must be int type.")
			}
		default:
			rest = append(rest, f)
		}
	}
	switch {
	case level == app.RobotLevelSystem && project == 0, level == app.RobotLevelProject && project > 0:
		return project, rest, nil
	case level == app.RobotLevelProject:
		return 0, nil, core.Errorf(core.CodeBadRequest, "must with project ID when to query project robots")
	}
	return 0, nil, core.Errorf(core.CodeBadRequest, "use q=Level=project,ProjectID=ID for the robot accounts of a project, and nothing for those of the system")
}

// robotReq is Harbor's RobotCreate, and Robot of an update. A secret is read
// so that giving one here is refused, never overlooked.
type robotReq struct {
	Name        string                `json:"name"`
	Description string                `json:"description"`
	Secret      string                `json:"secret"`
	Level       string                `json:"level"`
	Disable     bool                  `json:"disable"`
	Duration    int64                 `json:"duration"`
	Permissions []robotPermissionJSON `json:"permissions"`
}

func (r robotReq) spec() (app.RobotSpec, error) {
	spec := app.RobotSpec{Name: r.Name, Level: r.Level, Description: r.Description, Duration: r.Duration, Disabled: r.Disable}
	if r.Secret != "" {
		return spec, core.Errorf(core.CodeBadRequest, "the secret of a robot account is made by the registry; PATCH /robots/ID changes it")
	}
	for _, p := range r.Permissions {
		permission := app.RobotPermission{Kind: p.Kind, Namespace: p.Namespace}
		for _, a := range p.Access {
			if a.Effect != "" && a.Effect != "allow" {
				return spec, core.Errorf(core.CodeBadRequest, "the effect of an access is allow; what is not listed is denied anyway")
			}
			permission.Access = append(permission.Access, core.Permission{Resource: core.Resource(a.Resource), Action: core.Action(a.Action)})
		}
		spec.Permissions = append(spec.Permissions, permission)
	}
	return spec, nil
}

func bindRobot(c echo.Context) (app.RobotSpec, error) {
	var body robotReq
	if err := bind(c, &body); err != nil {
		return app.RobotSpec{}, err
	}
	return body.spec()
}

// robotCreatedJSON is Harbor's RobotCreated.
type robotCreatedJSON struct {
	ID           int64     `json:"id"`
	Name         string    `json:"name"`
	Secret       string    `json:"secret"`
	CreationTime time.Time `json:"creation_time"`
	ExpiresAt    int64     `json:"expires_at"`
}

func (h *api) createRobot(c echo.Context) error {
	spec, err := bindRobot(c)
	if err != nil {
		return err
	}
	r, secret, err := h.app.CreateRobot(c.Request().Context(), caller(c), spec)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderLocation, fmt.Sprintf("%s/robots/%d", apiPrefix, r.ID))
	return c.JSON(http.StatusCreated, robotCreatedJSON{r.ID, r.Name, secret, r.CreatedAt.UTC(), expiresAt(r)})
}

func (h *api) getRobot(c echo.Context) error {
	id, err := pathID(c, "robot_id")
	if err != nil {
		return err
	}
	r, err := h.app.Robot(c.Request().Context(), caller(c), id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newRobotJSON(r))
}

func (h *api) updateRobot(c echo.Context) error {
	id, err := pathID(c, "robot_id")
	if err != nil {
		return err
	}
	spec, err := bindRobot(c)
	if err != nil {
		return err
	}
	if err := h.app.UpdateRobot(c.Request().Context(), caller(c), id, spec); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

// robotSecretJSON is Harbor's RobotSec. The answer holds a secret only when
// the registry made it.
type robotSecretJSON struct {
	Secret string `json:"secret"`
}

func (h *api) renewRobotSecret(c echo.Context) error {
	id, err := pathID(c, "robot_id")
	if err != nil {
		return err
	}
	var body robotSecretJSON
	if err := bind(c, &body); err != nil {
		return err
	}
	made, err := h.app.RenewRobotSecret(c.Request().Context(), caller(c), id, body.Secret)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, robotSecretJSON{made})
}

func (h *api) deleteRobot(c echo.Context) error {
	id, err := pathID(c, "robot_id")
	if err != nil {
		return err
	}
	if err := h.app.DeleteRobot(c.Request().Context(), caller(c), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}
