package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// Members lists the members of a project; name selects those whose user name
// contains it.
func (a *App) Members(ctx context.Context, c core.Caller, ref core.ProjectRef, name string, q core.Query) (members []core.Member, total int64, err error) {
	if name != "" {
		q.Filters = append(slices.Clone(q.Filters), core.Filter{Field: "entity_name", Match: core.MatchFuzzy, Values: []string{name}})
	}
	err = a.view(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResMember, core.ActList)
		if err != nil {
			return err
		}
		members, total, err = s.Members(project.ID, q)
		return err
	})
	return members, total, err
}

// Member returns one member of a project.
func (a *App) Member(ctx context.Context, c core.Caller, ref core.ProjectRef, id int64) (m core.Member, err error) {
	err = a.view(ctx, c, func(s *session) error {
		_, m, err = s.member(ref, id, core.ActRead)
		return err
	})
	return m, err
}

// member authorises action on one member. Ids of other projects are absent here.
func (s *session) member(ref core.ProjectRef, id int64, action core.Action) (core.Project, core.Member, error) {
	project, err := s.onProject(ref, core.ResMember, action)
	if err != nil {
		return core.Project{}, core.Member{}, err
	}
	m, err := s.Tx.Member(project.ID, id)
	if errors.Is(err, store.ErrNoRow) {
		err = core.Errorf(core.CodeNotFound, "the project has no member %d", id)
	}
	return project, m, err
}

// AddMember gives a user, named by id or where that is 0 by name, a role in a
// project. It returns the ids of the project and the member.
func (a *App) AddMember(ctx context.Context, c core.Caller, ref core.ProjectRef, user core.User, role core.Role) (projectID, id int64, err error) {
	err = a.update(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResMember, core.ActCreate)
		if err != nil {
			return err
		}
		if err := s.mayGive(project, role); err != nil {
			return err
		}
		if user, err = s.namedUser(user); err != nil {
			return err
		}
		id, err = s.Tx.AddMember(project.ID, user.ID, role)
		if errors.Is(err, store.ErrDuplicate) {
			return core.Errorf(core.CodeConflict, "%s is a member of the project already; change the role instead", user.Username)
		}
		if err != nil {
			return err
		}
		projectID = project.ID
		return s.audit(act{operation: "create", resourceType: "member", resource: user.Username, project: project.ID,
			description: fmt.Sprintf("%s in %s", role, project.Name)})
	})
	return projectID, id, err
}

func (s *session) namedUser(u core.User) (found core.User, err error) {
	switch {
	case u.ID != 0:
		found, err = s.User(u.ID)
	case u.Username != "":
		found, err = s.UserByName(u.Username)
	default:
		return found, core.Errorf(core.CodeBadRequest, "member_user must name a user by its username or user_id; there are no groups in this release")
	}
	if errors.Is(err, store.ErrNoRow) {
		return found, core.Errorf(core.CodeBadRequest, "the user to add does not exist; check the name")
	}
	return found, err
}

// mayGive checks the role. A robot account that manages members must hold
// itself whatever of the role a robot account can hold: it could otherwise
// make an administrator that has more rights than it.
func (s *session) mayGive(project core.Project, role core.Role) error {
	if !role.Valid() {
		return core.Errorf(core.CodeBadRequest, "role_id must be 1 (projectAdmin), 2 (developer), 3 (guest), 4 (maintainer) or 5 (limitedGuest)")
	}
	if s.robot == nil {
		return nil
	}
	_, grantable := core.GrantablePermissions()
	for _, p := range grantable {
		if role.Allows(p.Resource, p.Action) && !s.covers(core.RobotGrant{ProjectID: project.ID, Permission: p}) {
			return s.tooWide(core.RobotGrant{ProjectID: project.ID, ProjectName: project.Name, Permission: p})
		}
	}
	return nil
}

// SetMemberRole changes the role of a member.
func (a *App) SetMemberRole(ctx context.Context, c core.Caller, ref core.ProjectRef, id int64, role core.Role) error {
	return a.update(ctx, c, func(s *session) error { return s.setMemberRole(ref, id, 0, role) })
}

// ChangeMemberRole is SetMemberRole for an editor that has seen the role was;
// CodeConflict when it has become another one since.
func (a *App) ChangeMemberRole(ctx context.Context, c core.Caller, ref core.ProjectRef, id int64, was, role core.Role) error {
	return a.update(ctx, c, func(s *session) error { return s.setMemberRole(ref, id, was, role) })
}

func (s *session) setMemberRole(ref core.ProjectRef, id int64, was, role core.Role) error {
	project, m, err := s.member(ref, id, core.ActUpdate)
	if err != nil {
		return err
	}
	if was != 0 && was != m.Role {
		return changedMeanwhile("the role of " + m.Username)
	}
	if err := s.mayGive(project, role); err != nil {
		return err
	}
	if err := s.Tx.SetMemberRole(project.ID, id, role); err != nil {
		return err
	}
	return s.audit(act{operation: "update", resourceType: "member", resource: m.Username, project: project.ID,
		description: fmt.Sprintf("%s -> %s in %s", m.Role, role, project.Name)})
}

// RemoveMember takes a member out of a project. It may be the last one: a
// system admin can always add another.
func (a *App) RemoveMember(ctx context.Context, c core.Caller, ref core.ProjectRef, id int64) error {
	return a.update(ctx, c, func(s *session) error {
		project, m, err := s.member(ref, id, core.ActDelete)
		if err != nil {
			return err
		}
		if err := s.Tx.RemoveMember(project.ID, id); err != nil {
			return err
		}
		return s.audit(act{operation: "delete", resourceType: "member", resource: m.Username, project: project.ID,
			description: fmt.Sprintf("%s in %s", m.Role, project.Name)})
	})
}
