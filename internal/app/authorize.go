package app

import (
	"errors"
	"fmt"
	"slices"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// session is one transaction of one caller, with the rights that the caller
// has in it.
type session struct {
	*store.Tx
	app      *App
	caller   core.Caller
	username string
	sysadmin bool
	robot    *core.Robot
}

// session reads who the caller is now. An account that is gone, disabled or
// expired is refused, whatever token it still holds.
func (a *App) session(tx *store.Tx, c core.Caller) (*session, error) {
	s := &session{Tx: tx, app: a, caller: c}
	switch c.Kind {
	case core.KindAnonymous:
		s.username = "anonymous"
	case core.KindSystem:
		s.username, s.sysadmin = "system", true
	case core.KindUser:
		u, err := tx.UserAccess(c.ID)
		if err != nil {
			return nil, gone(err)
		}
		if u.Disabled {
			return nil, disabledAccount(u.Username)
		}
		s.username, s.sysadmin = u.Username, u.SysAdmin
	case core.KindRobot:
		r, err := tx.RobotAccess(c.ID)
		if err != nil {
			return nil, gone(err)
		}
		if err := usable(r, tx); err != nil {
			return nil, err
		}
		s.username, s.robot = r.Name, &r
	default:
		return nil, core.Errorf(core.CodeUnauthorized, "unknown kind of account")
	}
	return s, nil
}

func gone(err error) error {
	if errors.Is(err, store.ErrNoRow) {
		return core.Errorf(core.CodeUnauthorized, "this account does not exist any more; sign in with another one")
	}
	return err
}

// ErrDisabled is within the error of an account that is disabled.
var ErrDisabled = errors.New("the account is disabled")

func disabledAccount(username string) error {
	return &core.Error{Code: core.CodeUnauthorized, Err: ErrDisabled,
		Message: fmt.Sprintf("the account %s is disabled; a system administrator can enable it", core.Clip(username, 64))}
}

func usable(r core.Robot, tx *store.Tx) error {
	if r.Disabled {
		return core.Errorf(core.CodeUnauthorized, "the robot account %s is disabled; a project or system administrator can enable it", r.Name)
	}
	if r.Expired(tx.Now()) {
		return core.Errorf(core.CodeUnauthorized, "the robot account %s has expired; a project or system administrator can extend it", r.Name)
	}
	return nil
}

// denial is the error of a caller without the right. Its text is the same
// whether the object is hidden from the caller or does not exist.
type denial struct {
	cause      *core.Error
	permission core.Permission
	object     string
	project    int64
	username   string
}

// Error returns the text of the denial.
func (d *denial) Error() string { return d.cause.Error() }

// Unwrap lets the code and the message of the denial be found.
func (d *denial) Unwrap() error { return d.cause }

func (d *denial) event(c core.Caller) core.AuditEvent {
	return core.AuditEvent{
		Actor: c.Subject.String(), Username: d.username, Origin: c.Origin,
		Operation: string(d.permission.Action), ResourceType: string(d.permission.Resource),
		Resource: d.object, ProjectID: d.project, Description: "denied",
	}
}

func (s *session) deny(object string, project int64, p core.Permission) error {
	e := core.Errorf(core.CodeForbidden,
		"you may not %s %s of %s, or it does not exist; ask an administrator of the project or of the registry for the right", p.Action, p.Resource, object)
	if s.caller.Kind == core.KindAnonymous {
		e = core.Errorf(core.CodeUnauthorized, "sign in to %s %s of %s", p.Action, p.Resource, object)
	}
	return &denial{cause: e, permission: p, object: object, project: project, username: s.username}
}

// onSystem authorises action on a resource of the whole registry.
func (s *session) onSystem(resource core.Resource, action core.Action) error {
	p := core.Permission{Resource: resource, Action: action}
	if s.sysadmin || (s.robot != nil && grants(s.robot, p, func(g core.RobotGrant) bool { return !g.AllProjects && g.ProjectID == 0 })) {
		return nil
	}
	return s.deny("the registry", 0, p)
}

func grants(r *core.Robot, p core.Permission, scope func(core.RobotGrant) bool) bool {
	return slices.ContainsFunc(r.Grants, func(g core.RobotGrant) bool { return g.Permission == p && scope(g) })
}

// onProject returns the project when the caller may do action on resource in
// it. To everyone but a system admin, a project that is hidden and one that is
// absent answer alike.
func (s *session) onProject(ref core.ProjectRef, resource core.Resource, action core.Action) (core.Project, error) {
	p := core.Permission{Resource: resource, Action: action}
	project, role, err := s.ProjectAccess(ref, s.userID())
	if errors.Is(err, store.ErrNoRow) {
		if s.sysadmin {
			return core.Project{}, core.Errorf(core.CodeNotFound, "%s not found", refName(ref))
		}
		return core.Project{}, s.deny(refName(ref), 0, p)
	}
	if err != nil {
		return core.Project{}, err
	}
	if !s.may(project, role, p) {
		return core.Project{}, s.deny(refName(ref), project.ID, p)
	}
	return project, nil
}

func refName(ref core.ProjectRef) string {
	if ref.ID != 0 {
		return fmt.Sprintf("project %d", ref.ID)
	}
	return "project " + core.Clip(ref.Name, 64)
}

func (s *session) userID() int64 {
	if s.caller.Kind == core.KindUser {
		return s.caller.ID
	}
	return 0
}

// may is the one rule of rights within a project.
func (s *session) may(project core.Project, role core.Role, p core.Permission) bool {
	switch {
	case s.sysadmin, role.Allows(p.Resource, p.Action):
		return true
	case project.Public && s.seesPublic() && core.RolePublic.Allows(p.Resource, p.Action):
		return true
	}
	return s.robot != nil && grants(s.robot, p, func(g core.RobotGrant) bool { return g.AllProjects || g.ProjectID == project.ID })
}

// onRepository is onProject for the project of a repository named in full, for
// callers that may hold a bearer token: the token must have been made for it.
func (s *session) onRepository(full string, resource core.Resource, action core.Action) (core.Project, error) {
	name, _, ok := core.SplitRepository(full)
	if !ok {
		return core.Project{}, core.Errorf(core.CodeBadRequest, "the repository name %q has no project; use PROJECT/NAME", core.Clip(full, 64))
	}
	project, err := s.onProject(core.ProjectRef{Name: name}, resource, action)
	if err != nil {
		return core.Project{}, err
	}
	if !s.caller.Admits("repository", full, scopeAction(action)) {
		return core.Project{}, core.Errorf(core.CodeUnauthorized, "the token was not issued for %s of %s", scopeAction(action), full)
	}
	return project, nil
}

// scopeAction is the token scope that covers action.
func scopeAction(action core.Action) string {
	switch action {
	case core.ActPush, core.ActCreate, core.ActUpdate:
		return "push"
	case core.ActDelete:
		return "delete"
	}
	return "pull"
}

// repository is onRepository with the repository, which must have been
// published: CodeNotFound when it is not.
func (s *session) repository(full string, resource core.Resource, action core.Action) (core.Project, core.Repository, error) {
	project, err := s.onRepository(full, resource, action)
	if err != nil {
		return core.Project{}, core.Repository{}, err
	}
	repo, err := s.RepositoryByName(full)
	if errors.Is(err, store.ErrNoRow) || (err == nil && repo.CreatedAt.IsZero()) {
		return core.Project{}, core.Repository{}, core.Errorf(core.CodeNotFound, "repository %s not found", core.Clip(full, 255))
	}
	return project, repo, err
}

// signedIn authorises what every account may do.
func (s *session) signedIn(what string) error {
	if s.caller.Kind == core.KindAnonymous {
		return core.Errorf(core.CodeUnauthorized, "sign in to %s", what)
	}
	return nil
}

// seesPublic says whether public projects are open to the caller: to every
// account, and to all others unless the administrator has switched that off.
func (s *session) seesPublic() bool {
	return s.caller.Kind != core.KindAnonymous || s.app.Settings().AnonymousAccess
}

// visibility selects the projects that the caller may see. A robot account sees
// those where it has one of the permissions, or any where none is named.
func (s *session) visibility(needed ...core.Permission) store.Visibility {
	v := store.Visibility{All: s.sysadmin, None: !s.seesPublic(), UserID: s.userID()}
	if s.robot != nil {
		for _, g := range s.robot.Grants {
			if len(needed) > 0 && !slices.Contains(needed, g.Permission) {
				continue
			}
			v.All = v.All || g.AllProjects
			if g.ProjectID != 0 {
				v.IDs = append(v.IDs, g.ProjectID)
			}
		}
	}
	return v
}

// visibleRepositories is visibility for lists of repositories. Every role that
// sees a project may list them; a robot account need not.
func (s *session) visibleRepositories() store.Visibility {
	return s.visibility(core.Permission{Resource: core.ResRepository, Action: core.ActList},
		core.Permission{Resource: core.ResRepository, Action: core.ActPull})
}
