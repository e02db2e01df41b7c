package app

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// Ping says whether the database answers.
func (a *App) Ping(ctx context.Context) error {
	return a.store.View(ctx, func(tx *store.Tx) error {
		_, _, err := tx.CountUsers()
		return err
	})
}

// SchemaVersion is that of the database.
func (a *App) SchemaVersion() int { return store.SchemaVersion() }

// Authorize says whether the caller may do action on a resource of the whole
// registry; for what a transport reads outside the database.
func (a *App) Authorize(ctx context.Context, c core.Caller, resource core.Resource, action core.Action) error {
	return a.view(ctx, c, func(s *session) error { return s.onSystem(resource, action) })
}

// Manage runs something outside the database for a caller with the right to
// update the resource, and audits how it went. description says what is done.
func (a *App) Manage(ctx context.Context, c core.Caller, resource core.Resource, description string, run func(context.Context) error) error {
	if err := a.Authorize(ctx, c, resource, core.ActUpdate); err != nil {
		return err
	}
	failure := run(ctx)
	if failure != nil {
		description += ": " + core.ErrorMessage(failure)
	}
	// The client may be gone by now; what was done is audited all the same.
	err := a.update(context.WithoutCancel(ctx), c, func(s *session) error {
		event := s.event(act{operation: "update", resourceType: string(resource), resource: "the registry", description: description})
		event.Success = failure == nil
		return s.AppendAudit(event)
	})
	return errors.Join(failure, err)
}

// Known says whether the caller has an account; such a caller may see more of
// the registry's own description.
func (a *App) Known(ctx context.Context, c core.Caller) (known bool, err error) {
	err = a.view(ctx, c, func(s *session) error {
		known = s.signedIn("") == nil
		return nil
	})
	return known, err
}

// Statistics is what GET /statistics of Harbor tells: the projects that the
// caller may see and, to a system admin, the totals.
type Statistics struct {
	store.Statistics
	Totals bool // the caller may see totals and storage
}

// Statistics counts projects and repositories.
func (a *App) Statistics(ctx context.Context, c core.Caller) (result Statistics, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.signedIn("see statistics"); err != nil {
			return err
		}
		result.Totals = s.sysadmin
		result.Statistics, err = s.Tx.Statistics(s.visibility())
		return err
	})
	return result, err
}

// PermissionsIn lists what the caller may do in a project. To a caller without
// any right there, a hidden project and an absent one are both empty.
func (a *App) PermissionsIn(ctx context.Context, c core.Caller, ref core.ProjectRef) (held []core.Permission, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.signedIn("see your permissions"); err != nil {
			return err
		}
		project, role, err := s.ProjectAccess(ref, s.userID())
		if errors.Is(err, store.ErrNoRow) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, p := range core.RoleProjectAdmin.Permissions() {
			if s.may(project, role, p) {
				held = append(held, p)
			}
		}
		return nil
	})
	slices.SortFunc(held, func(a, b core.Permission) int {
		return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Action, b.Action))
	})
	return held, err
}

// GrantablePermissions lists what a robot account may be given, to those who
// may make one: on the system to a system admin, in a project to an
// administrator of any project too.
func (a *App) GrantablePermissions(ctx context.Context, c core.Caller) (system, project []core.Permission, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if s.sysadmin {
			system, project = core.GrantablePermissions()
			return nil
		}
		administers, err := s.AdministersProject(s.userID())
		if err != nil {
			return err
		}
		if !administers {
			return s.deny("the registry", 0, core.Permission{Resource: core.ResRobot, Action: core.ActCreate})
		}
		_, project = core.GrantablePermissions()
		return nil
	})
	return system, project, err
}
