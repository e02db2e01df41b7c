package app

import (
	"context"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Me is an account with what it may do outside of projects.
type Me struct {
	core.User
	CreatesProjects bool
	ChoosesLimits   bool // of the storage of new projects
	Administers     bool // the whole registry
	SeesSecurity    bool // what was found in all images
}

// Me returns the account of a caller who has signed in.
func (a *App) Me(ctx context.Context, c core.Caller) (me Me, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if c.Kind != core.KindUser {
			return core.Errorf(core.CodeUnauthorized, "sign in with a user account")
		}
		u, err := s.User(c.ID)
		if err != nil {
			return err
		}
		me = Me{User: u, SeesSecurity: s.onSystem(core.ResSecurityHub, core.ActRead) == nil, Administers: s.sysadmin, ChoosesLimits: s.sysadmin,
			CreatesProjects: s.mayCreateProject() == nil}
		return nil
	})
	return me, err
}

// MayCreateProject says whether the caller may make a project; the error says
// why not.
func (a *App) MayCreateProject(ctx context.Context, c core.Caller) error {
	return a.view(ctx, c, func(s *session) error { return s.mayCreateProject() })
}

// PushableProject returns the name of a project into which the caller may push,
// the one that changed last among those it sees; "" when there is none among
// the first hundred.
func (a *App) PushableProject(ctx context.Context, c core.Caller) (name string, err error) {
	latest := core.Query{Page: 1, PageSize: core.MaxPageSize, Sort: []core.SortKey{{Field: "update_time", Descending: true}}}
	push := core.Permission{Resource: core.ResRepository, Action: core.ActPush}
	err = a.view(ctx, c, func(s *session) error {
		projects, _, err := s.Projects(s.visibility(), latest)
		if err != nil {
			return err
		}
		ids := make([]int64, len(projects))
		for i, p := range projects {
			ids[i] = p.ID
		}
		roles, err := s.RolesOf(s.userID(), ids)
		for _, p := range projects {
			if name == "" && s.may(p, roles[p.ID], push) {
				name = p.Name
			}
		}
		return err
	})
	return name, err
}
