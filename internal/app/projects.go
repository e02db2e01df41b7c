package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// ProjectView is a project as one caller sees it.
type ProjectView struct {
	core.Project
	Role      core.Role // of the caller as a member; 0 for none
	Togglable bool      // the caller may change whether it is public
	Metadata  map[string]string
	Allowlist core.CVEAllowlist
	Scans     core.ScanSum
}

// NewProject is what CreateProject makes.
type NewProject struct {
	Name         string
	Metadata     map[string]string
	Allowlist    *core.CVEAllowlist // nil: an empty one
	StorageLimit int64              // bytes, -1 for none; 0 takes the setting
}

// projectNotEmpty is Harbor's text.
const projectNotEmpty = "the project contains repositories, can not be deleted"

// views adds the caller's role and the metadata to projects.
func (s *session) views(projects []core.Project) ([]ProjectView, error) {
	ids := make([]int64, len(projects))
	for i, p := range projects {
		ids[i] = p.ID
	}
	roles, err := s.RolesOf(s.userID(), ids)
	if err != nil {
		return nil, err
	}
	metadata, err := s.metadata(projects...)
	if err != nil {
		return nil, err
	}
	allowlists, err := s.CVEAllowlists(ids...)
	if err != nil {
		return nil, err
	}
	scans, err := s.ProjectScanSums(ids)
	if err != nil {
		return nil, err
	}
	all := make([]ProjectView, len(projects))
	for i, p := range projects {
		all[i] = ProjectView{Project: p, Role: roles[p.ID], Metadata: metadata[i], Allowlist: allowlists[p.ID], Scans: scans[p.ID],
			Togglable: s.may(p, roles[p.ID], core.Permission{Resource: core.ResMetadata, Action: core.ActUpdate})}
	}
	return all, nil
}

// Projects lists the projects that the caller may see.
func (a *App) Projects(ctx context.Context, c core.Caller, q core.Query) (projects []ProjectView, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		found, n, err := s.Projects(s.visibility(), q)
		if err != nil {
			return err
		}
		total = n
		projects, err = s.views(found)
		return err
	})
	return projects, total, err
}

// Project returns one project.
func (a *App) Project(ctx context.Context, c core.Caller, ref core.ProjectRef) (view ProjectView, err error) {
	err = a.view(ctx, c, func(s *session) error {
		project, err := s.wholeProject(ref, core.ResProject, core.ActRead)
		if err != nil {
			return err
		}
		views, err := s.views([]core.Project{project})
		if err != nil {
			return err
		}
		view = views[0]
		return nil
	})
	return view, err
}

// wholeProject is onProject with the counts and the owner.
func (s *session) wholeProject(ref core.ProjectRef, resource core.Resource, action core.Action) (core.Project, error) {
	project, err := s.onProject(ref, resource, action)
	if err != nil {
		return core.Project{}, err
	}
	return s.Tx.Project(core.ProjectRef{ID: project.ID})
}

// CreateProject makes a project, whose creator becomes its administrator, and
// returns its id. Who may is a setting; only a system admin chooses another
// storage limit than the one of the settings.
func (a *App) CreateProject(ctx context.Context, c core.Caller, n NewProject) (id int64, err error) {
	err = a.update(ctx, c, func(s *session) error {
		if err := s.mayCreateProject(); err != nil {
			return err
		}
		project, err := s.newProject(n)
		if err != nil {
			return err
		}
		if id, err = s.Tx.CreateProject(project); err != nil {
			return projectTaken(err, n.Name)
		}
		if _, err := s.AddMember(id, project.OwnerID, core.RoleProjectAdmin); err != nil {
			return err
		}
		if err := s.keepMetadata(core.Project{ID: id, Name: n.Name}, n.Metadata); err != nil {
			return err
		}
		if err := s.setProjectAllowlist(core.Project{ID: id, Name: n.Name}, n.Allowlist); err != nil {
			return err
		}
		if err := s.applyPolicy(id); err != nil {
			return err
		}
		return s.audit(act{operation: "create", resourceType: "project", resource: project.Name, project: id,
			description: fmt.Sprintf("public: %t, storage limit: %d", project.Public, project.QuotaHard)})
	})
	return id, err
}

func projectTaken(err error, name string) error {
	if errors.Is(err, store.ErrDuplicate) {
		return core.Errorf(core.CodeConflict, "a project named %s exists already; choose another name", name)
	}
	return err
}

func (s *session) mayCreateProject() error {
	if s.caller.Kind == core.KindUser && !s.app.Settings().ProjectCreationAdminOnly {
		return nil
	}
	return s.onSystem(core.ResProject, core.ActCreate)
}

func (s *session) newProject(n NewProject) (core.Project, error) {
	if err := core.ValidateProjectName(n.Name); err != nil {
		return core.Project{}, err
	}
	public, err := checkMetadata(n.Metadata)
	if err != nil {
		return core.Project{}, err
	}
	hard, err := s.storageLimit(n.StorageLimit)
	if err != nil {
		return core.Project{}, err
	}
	owner, err := s.owner()
	return core.Project{Name: n.Name, OwnerID: owner.ID, OwnerName: owner.Username,
		Public: public != nil && *public, QuotaHard: hard}, err
}

func (s *session) storageLimit(asked int64) (int64, error) {
	usual := s.app.Settings().StoragePerProject
	if asked == 0 || asked == usual {
		return usual, nil
	}
	if !s.sysadmin {
		return 0, core.Errorf(core.CodeForbidden, "only a system administrator chooses the storage limit of a project; leave storage_limit out to get the usual one")
	}
	return asked, checkStorage(asked)
}

// owner is the user to whom a new project belongs: the caller or, for a robot
// account and the registry itself, the first system admin, as in Harbor.
func (s *session) owner() (core.User, error) {
	if s.caller.Kind == core.KindUser {
		return s.User(s.caller.ID)
	}
	admins, _, err := s.Users(core.Query{Page: 1, PageSize: 1, Sort: []core.SortKey{{Field: "user_id"}},
		Filters: []core.Filter{{Field: "sysadmin_flag", Values: []string{"true"}}}})
	if err != nil {
		return core.User{}, err
	}
	if len(admins) == 0 {
		return core.User{}, core.Errorf(core.CodePrecondition, "there is no system administrator to whom the project could belong")
	}
	return admins[0], nil
}

// UpdateProject changes the metadata that are given and, unless it is nil, the
// CVE allowlist.
func (a *App) UpdateProject(ctx context.Context, c core.Caller, ref core.ProjectRef, metadata map[string]string, allowlist *core.CVEAllowlist) error {
	return a.update(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResProject, core.ActUpdate)
		if err != nil {
			return err
		}
		if err := s.setProjectAllowlist(project, allowlist); err != nil {
			return err
		}
		return s.setMetadata(project, metadata) // which applies the policy too
	})
}

// ProjectDeletable says why a project cannot be deleted; "" when it can.
func (a *App) ProjectDeletable(ctx context.Context, c core.Caller, ref core.ProjectRef) (reason string, err error) {
	err = a.view(ctx, c, func(s *session) error {
		project, err := s.wholeProject(ref, core.ResProject, core.ActDelete)
		if err == nil && project.RepoCount > 0 {
			reason = projectNotEmpty
		}
		return err
	})
	return reason, err
}

// DeleteProject removes a project without repositories, with its members and
// robot accounts. Repositories that were never published go with it: all they
// hold is blobs of pushes that did not end.
func (a *App) DeleteProject(ctx context.Context, c core.Caller, ref core.ProjectRef) error {
	return a.update(ctx, c, func(s *session) error {
		project, err := s.wholeProject(ref, core.ResProject, core.ActDelete)
		if err != nil {
			return err
		}
		if project.RepoCount > 0 {
			return core.Errorf(core.CodePrecondition, projectNotEmpty)
		}
		if err := s.forgetRetentionOf(project); err != nil {
			return err
		}
		if err := s.Tx.DeleteProject(project.ID); err != nil {
			return err
		}
		return s.audit(act{operation: "delete", resourceType: "project", resource: project.Name, project: project.ID})
	})
}

// ProjectSummary is a project in numbers. Members and Quota are nil for those
// who may not see them.
type ProjectSummary struct {
	RepoCount int64
	Members   map[core.Role]int64
	Quota     *Quota
}

// Quota is a project's storage in bytes; a Hard of -1 is no limit.
type Quota struct{ Hard, Used int64 }

// ProjectSummary counts what is in a project.
func (a *App) ProjectSummary(ctx context.Context, c core.Caller, ref core.ProjectRef) (sum ProjectSummary, err error) {
	err = a.view(ctx, c, func(s *session) error {
		project, err := s.wholeProject(ref, core.ResProject, core.ActRead)
		if err != nil {
			return err
		}
		sum.RepoCount = project.RepoCount
		byID := core.ProjectRef{ID: project.ID}
		if _, denied := s.onProject(byID, core.ResQuota, core.ActRead); denied == nil {
			sum.Quota = &Quota{project.QuotaHard, project.QuotaUsed}
		}
		if _, denied := s.onProject(byID, core.ResMember, core.ActList); denied == nil {
			sum.Members, err = s.CountMembers(project.ID)
		}
		return err
	})
	return sum, err
}
