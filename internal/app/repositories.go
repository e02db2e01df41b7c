package app

import (
	"context"
	"unicode/utf8"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Repositories lists the repositories of a project and counts all that match.
func (a *App) Repositories(ctx context.Context, c core.Caller, ref core.ProjectRef, q core.Query) (list []core.Repository, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResRepository, core.ActList)
		if err != nil {
			return err
		}
		list, total, err = s.Tx.Repositories(project.ID, q)
		return err
	})
	return list, total, err
}

// VisibleRepositories lists the repositories of every project that the caller
// may see.
func (a *App) VisibleRepositories(ctx context.Context, c core.Caller, q core.Query) (list []core.Repository, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		list, total, err = s.Tx.VisibleRepositories(s.visibleRepositories(), q)
		return err
	})
	return list, total, err
}

// Repository returns one repository by its full name.
func (a *App) Repository(ctx context.Context, c core.Caller, full string) (repo core.Repository, err error) {
	err = a.view(ctx, c, func(s *session) error {
		_, repo, err = s.repository(full, core.ResRepository, core.ActRead)
		return err
	})
	return repo, err
}

// maxDescription bounds a repository's description, which is Markdown, in bytes.
const maxDescription = 64 << 10

// SetRepositoryDescription replaces the description of a repository.
func (a *App) SetRepositoryDescription(ctx context.Context, c core.Caller, full, description string) error {
	return a.update(ctx, c, func(s *session) error { return s.describe(full, nil, description) })
}

// ChangeRepositoryDescription is SetRepositoryDescription for an editor that
// has seen was; CodeConflict when it has become another one since.
func (a *App) ChangeRepositoryDescription(ctx context.Context, c core.Caller, full, was, description string) error {
	return a.update(ctx, c, func(s *session) error { return s.describe(full, &was, description) })
}

func (s *session) describe(full string, was *string, description string) error {
	project, repo, err := s.repository(full, core.ResRepository, core.ActUpdate)
	if err != nil {
		return err
	}
	if was != nil && *was != repo.Description {
		return changedMeanwhile("the description of " + full)
	}
	if len(description) > maxDescription || !utf8.ValidString(description) {
		return core.Errorf(core.CodeBadRequest, "the description must be valid UTF-8 of at most %d bytes", maxDescription)
	}
	if err := s.Tx.SetRepositoryDescription(repo.ID, description); err != nil {
		return err
	}
	return s.audit(act{operation: "update", resourceType: "repository", resource: full, project: project.ID, description: "description changed"})
}

// changedMeanwhile refuses a change whose editor has seen what is not so any more.
func changedMeanwhile(what string) error {
	return core.Errorf(core.CodeConflict, "somebody has changed %s meanwhile; look at it again, then change it", what)
}
