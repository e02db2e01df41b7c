package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// grantsOf reads the permissions that r is to have, each once. Only those of
// Harbor's list of permissions for robot accounts can be given.
func (s *session) grantsOf(r core.Robot, permissions []RobotPermission) ([]core.RobotGrant, error) {
	system, project := core.GrantablePermissions()
	var all []core.RobotGrant
	seen := map[core.RobotGrant]bool{}
	for _, p := range permissions {
		scope, err := s.grantScope(r, p)
		if err != nil {
			return nil, err
		}
		list := project
		if p.Kind == RobotLevelSystem {
			list = system
		}
		for _, scope.Permission = range p.Access {
			if !slices.Contains(list, scope.Permission) {
				return nil, core.Errorf(core.CodeBadRequest, "bad request permission: %s:%s of kind %s; GET /api/v2.0/permissions lists what can be given",
					core.Clip(string(scope.Resource), 64), core.Clip(string(scope.Action), 64), p.Kind)
			}
			if !seen[scope] {
				seen[scope], all = true, append(all, scope)
			}
		}
	}
	return all, countGrants(all)
}

// GrantNamespace says where a grant holds, as RobotPermission names it.
func GrantNamespace(g core.RobotGrant) (kind, namespace string) {
	switch {
	case g.AllProjects:
		return RobotLevelProject, "*"
	case g.ProjectID == 0:
		return RobotLevelSystem, "/"
	}
	return RobotLevelProject, g.ProjectName
}

// SetRobotAccess replaces what a robot account may do in one place; without any
// access it has no rights there any more. What it may do elsewhere stays.
func (a *App) SetRobotAccess(ctx context.Context, c core.Caller, id int64, p RobotPermission) error {
	return a.update(ctx, c, func(s *session) error {
		r, err := s.robotFor(id, core.ActUpdate)
		if err != nil {
			return err
		}
		if err := s.coversAll(r.Grants); err != nil {
			return err
		}
		r.Grants = slices.DeleteFunc(r.Grants, func(g core.RobotGrant) bool {
			kind, namespace := GrantNamespace(g)
			return kind == p.Kind && namespace == p.Namespace
		})
		if len(p.Access) > 0 {
			given, err := s.grantsOf(r, []RobotPermission{p})
			if err != nil {
				return err
			}
			r.Grants = append(r.Grants, given...)
		}
		if err := countGrants(r.Grants); err != nil {
			return err
		}
		if err := s.coversAll(r.Grants); err != nil {
			return err
		}
		if err := s.Tx.UpdateRobot(r); err != nil {
			return err
		}
		return s.audit(act{operation: "update", resourceType: "robot", resource: r.Name, project: r.ProjectID, description: describeRobot(r)})
	})
}

func countGrants(grants []core.RobotGrant) error {
	if len(grants) == 0 || len(grants) > maxRobotGrants {
		return core.Errorf(core.CodeBadRequest, "a robot account needs 1 to %d permissions", maxRobotGrants)
	}
	return nil
}

// grantScope is a grant without its permission: where it holds.
func (s *session) grantScope(r core.Robot, p RobotPermission) (core.RobotGrant, error) {
	if len(p.Access) == 0 {
		return core.RobotGrant{}, core.Errorf(core.CodeBadRequest, "bad request empty access: each entry of permissions needs at least one access")
	}
	switch {
	case r.ProjectID != 0:
		if p.Kind != RobotLevelProject || p.Namespace != r.ProjectName {
			return core.RobotGrant{}, core.Errorf(core.CodeBadRequest, "a robot account of the project %s can have permissions in that project only", r.ProjectName)
		}
		return core.RobotGrant{ProjectID: r.ProjectID, ProjectName: r.ProjectName}, nil
	case p.Kind == RobotLevelSystem && p.Namespace == "/":
		return core.RobotGrant{}, nil
	case p.Kind == RobotLevelProject && p.Namespace == "*":
		return core.RobotGrant{AllProjects: true}, nil
	case p.Kind == RobotLevelProject:
		return s.projectScope(p)
	}
	return core.RobotGrant{}, core.Errorf(core.CodeBadRequest, `a permission is of kind project, with a project's name or * as namespace, or of kind system with /`)
}

func (s *session) projectScope(p RobotPermission) (core.RobotGrant, error) {
	project, _, err := s.ProjectAccess(core.ProjectRef{Name: p.Namespace}, 0)
	if errors.Is(err, store.ErrNoRow) {
		if !s.sysadmin { // the same answer as for a project that is hidden
			return core.RobotGrant{}, s.tooWide(core.RobotGrant{ProjectName: p.Namespace, Permission: p.Access[0]})
		}
		return core.RobotGrant{}, core.Errorf(core.CodeBadRequest, "there is no project %s", core.Clip(p.Namespace, 64))
	}
	return core.RobotGrant{ProjectID: project.ID, ProjectName: project.Name}, err
}

// coversAll refuses grants beyond the caller's own rights: nobody gets further
// by making a robot account, or by taking one over.
func (s *session) coversAll(grants []core.RobotGrant) error {
	roles := map[int64]core.Role{}
	for _, g := range grants {
		if s.covers(g) {
			continue
		}
		role, known := roles[g.ProjectID]
		if !known && g.ProjectID != 0 && s.userID() != 0 {
			var err error
			if _, role, err = s.ProjectAccess(core.ProjectRef{ID: g.ProjectID}, s.userID()); err != nil {
				return err
			}
			roles[g.ProjectID] = role
		}
		if !roleGives(role, g.Permission) {
			return s.tooWide(g)
		}
	}
	return nil
}

// roleGives says whether a member of that role may give the permission to a
// robot account. Harbor's roles have no list of metadata, which says no more
// than reading each.
func roleGives(role core.Role, p core.Permission) bool {
	if p == (core.Permission{Resource: core.ResMetadata, Action: core.ActList}) {
		p.Action = core.ActRead
	}
	return role.Allows(p.Resource, p.Action)
}

// covers says whether a system admin or a robot account has the right itself.
func (s *session) covers(g core.RobotGrant) bool {
	if s.sysadmin || s.robot == nil {
		return s.sysadmin
	}
	return slices.ContainsFunc(s.robot.Grants, func(own core.RobotGrant) bool {
		switch {
		case own.Permission != g.Permission:
			return false
		case own.AllProjects:
			return g.AllProjects || g.ProjectID != 0
		case own.ProjectID != 0:
			return own.ProjectID == g.ProjectID
		}
		return !g.AllProjects && g.ProjectID == 0
	})
}

// tooWide is the refusal of a grant beyond the caller's own rights, in
// Harbor's words where the caller is a robot account.
func (s *session) tooWide(g core.RobotGrant) error {
	cause := core.Errorf(core.CodeForbidden, "you cannot give %s of %s in %s, because you do not have that right yourself",
		g.Action, g.Resource, grantPlace(g))
	if s.robot != nil {
		cause = core.Errorf(core.CodeDenied,
			"permission scope is invalid. It must be equal to or more restrictive than the creator robot's permissions: %s", s.robot.Name)
	}
	return &denial{cause: cause, permission: core.Permission{Resource: core.ResRobot, Action: core.ActUpdate},
		object: fmt.Sprintf("%s of %s in %s", g.Action, g.Resource, grantPlace(g)), project: g.ProjectID, username: s.username}
}

func grantPlace(g core.RobotGrant) string {
	switch {
	case g.AllProjects:
		return "all projects"
	case g.ProjectName != "":
		return "project " + core.Clip(g.ProjectName, 64)
	}
	return "the registry"
}
