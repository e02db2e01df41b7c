package app

import (
	"context"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/policy"
)

// Rights are what a caller may do in a project.
type Rights map[core.Permission]bool

// May says whether action on resource is among the rights.
func (r Rights) May(resource core.Resource, action core.Action) bool {
	return r[core.Permission{Resource: resource, Action: action}]
}

// rightsIn returns the caller's rights in the project: those of the matrix of
// roles that may grants.
func (s *session) rightsIn(project core.Project, role core.Role) Rights {
	rights := Rights{}
	for _, p := range core.RoleProjectAdmin.Permissions() {
		if s.may(project, role, p) {
			rights[p] = true
		}
	}
	return rights
}

// OpenedProject is a project as a page shows it: without its counts, which
// need not be read for every page, and with what the caller may do in it.
type OpenedProject struct {
	core.Project
	Role     core.Role // of the caller as a member; 0 for none
	Rights   Rights
	Enforces bool // pulls must meet something
}

// OpenProject returns a project with the caller's rights in it.
func (a *App) OpenProject(ctx context.Context, c core.Caller, ref core.ProjectRef) (opened OpenedProject, err error) {
	err = a.view(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResProject, core.ActRead)
		if err != nil {
			return err
		}
		opened, err = s.opened(project)
		return err
	})
	return opened, err
}

func (s *session) opened(project core.Project) (OpenedProject, error) {
	project, role, err := s.ProjectAccess(core.ProjectRef{ID: project.ID}, s.userID())
	if err != nil {
		return OpenedProject{}, err
	}
	p, err := s.app.policyOf(project)
	return OpenedProject{Project: project, Role: role, Rights: s.rightsIn(project, role), Enforces: p.Enforces()}, err
}

// MayInProject says whether the caller may do action on resource in the project;
// the error says why not.
func (a *App) MayInProject(ctx context.Context, c core.Caller, ref core.ProjectRef, resource core.Resource, action core.Action) error {
	return a.view(ctx, c, func(s *session) error {
		_, err := s.onProject(ref, resource, action)
		return err
	})
}

// ListedRepository is a repository in a list.
type ListedRepository struct {
	core.Repository
	Scans core.ScanSum
}

// RepositoryWindow reads one page of the repositories of a project.
func (a *App) RepositoryWindow(ctx context.Context, c core.Caller, ref core.ProjectRef, f core.RepositoryFilter, w core.Window) (list []ListedRepository, ends core.Ends, err error) {
	err = a.view(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResRepository, core.ActList)
		if err != nil {
			return err
		}
		plain, e, err := s.RepositoryPage(project.ID, f, w)
		if err != nil {
			return err
		}
		ends = e
		list, err = s.withScans(project.ID, plain)
		return err
	})
	return list, ends, err
}

func (s *session) withScans(projectID int64, plain []core.Repository) ([]ListedRepository, error) {
	list, ids := make([]ListedRepository, len(plain)), make([]int64, len(plain))
	for i, r := range plain {
		ids[i] = r.ID
	}
	sums, err := s.ScanSums(projectID, ids)
	for i, r := range plain {
		list[i] = ListedRepository{r, sums[r.ID]}
	}
	return list, err
}

// OpenedRepository is a repository with its project as a page shows them.
type OpenedRepository struct {
	core.Repository
	Project OpenedProject
}

// OpenRepository returns a repository, with the caller's rights, to whoever may
// list what is in it.
func (a *App) OpenRepository(ctx context.Context, c core.Caller, full string) (opened OpenedRepository, err error) {
	err = a.view(ctx, c, func(s *session) error {
		opened, err = s.openedRepository(full)
		return err
	})
	return opened, err
}

func (s *session) openedRepository(full string) (opened OpenedRepository, err error) {
	project, repository, err := s.repository(full, core.ResArtifact, core.ActList)
	if err != nil {
		return opened, err
	}
	opened.Repository = repository
	opened.Project, err = s.opened(project)
	return opened, err
}

// listedTags is how many tags of an artifact are read along with it.
const listedTags = 10

// ListedArtifact is an artifact in a list. Tags are the first of TagCount.
type ListedArtifact struct {
	Artifact
	TagCount int64
	Pull     policy.Verdict // on those who do not administer the project
	Sign     Signed
}

// Bytes is the size of the artifact, that of an index being what its entries
// add up to.
func (a Artifact) Bytes() int64 {
	total := a.TotalSize
	for _, child := range a.Children {
		total += child.TotalSize
	}
	return total
}

// ArtifactWindow reads one page of the artifacts of a repository that stand for
// themselves, the newest first.
func (a *App) ArtifactWindow(ctx context.Context, c core.Caller, full string, f core.ArtifactFilter, w core.Window) (list []ListedArtifact, ends core.Ends, err error) {
	err = a.view(ctx, c, func(s *session) error {
		project, repository, err := s.repository(full, core.ResArtifact, core.ActList)
		if err != nil {
			return err
		}
		plain, e, err := s.ArtifactPage(repository.ID, f, w)
		if err != nil {
			return err
		}
		ends = e
		list, err = s.listed(project, "", plain...)
		return err
	})
	return list, ends, err
}

// listed adds the first tags, the children, the state of the scan and what is
// decided about pulls, by tag where there is one, to artifacts of one repository.
func (s *session) listed(project core.Project, tag string, plain ...core.Artifact) ([]ListedArtifact, error) {
	list, ids := make([]ListedArtifact, len(plain)), artifactIDs(plain)
	children, err := s.ChildrenOf(ids)
	if err != nil {
		return nil, err
	}
	labels, err := s.LabelsOf(ids)
	if err != nil {
		return nil, err
	}
	scans, err := s.scanStates(plain, children)
	if err != nil {
		return nil, err
	}
	var rules core.Immutability
	for i, p := range plain {
		if i == 0 { // all are of one repository
			if rules, err = s.immutability(p.ProjectID, p.Repository); err != nil {
				return nil, err
			}
		}
		list[i].Artifact = Artifact{Artifact: p, Children: children[p.ID], Labels: labels[p.ID], Scan: scans[p.Digest]}
		if list[i].Tags, list[i].TagCount, err = s.firstTags(p.ID); err != nil {
			return nil, err
		}
		markImmutable(rules, list[i].Tags)
	}
	if err := s.signListed(list); err != nil {
		return nil, err
	}
	return list, s.judgeListed(project, tag, list)
}

func (s *session) firstTags(artifactID int64) (tags []core.Tag, total int64, err error) {
	tags, ends, err := s.TagPageOf(artifactID, core.Window{Size: listedTags})
	if err != nil || ends.Next == "" {
		return tags, int64(len(tags)), err
	}
	total, err = s.CountTags(artifactID)
	return tags, total, err
}

// TagWindow reads one page of the tags of a repository whose names contain
// text, or with a reference of the artifact that it names, by name.
func (a *App) TagWindow(ctx context.Context, c core.Caller, full, reference, text string, w core.Window) (list []ListedTag, ends core.Ends, err error) {
	err = a.view(ctx, c, func(s *session) error {
		_, repository, err := s.repository(full, core.ResTag, core.ActList)
		if err != nil {
			return err
		}
		var tags []core.Tag
		if reference == "" {
			tags, ends, err = s.TagPage(repository.ID, text, w)
		} else {
			found, e := s.find(full, reference)
			if e != nil {
				return e
			}
			tags, ends, err = s.TagPageOf(found.ID, w)
		}
		if err != nil {
			return err
		}
		rules, err := s.immutability(repository.ProjectID, full)
		if err != nil {
			return err
		}
		markImmutable(rules, tags)
		list, err = s.signTags(repository.ID, tags)
		return err
	})
	return list, ends, err
}
