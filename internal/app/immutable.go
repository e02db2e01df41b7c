package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// maxImmutableRules bounds the immutability rules of one project; all of them
// are read when one of its tags is to be moved or deleted.
const maxImmutableRules = 100

// keepImmutable is the one place that enforces immutability: whatever moves or
// deletes tags of the repository calls it in the same transaction. Its error is
// CodePrecondition and says what Harbor says for that change: a push or a copy
// onto the tag, or its deletion.
func (s *session) keepImmutable(projectID int64, repository string, refusal func(name, tag string) error, tags ...string) error {
	if len(tags) == 0 {
		return nil
	}
	rules, err := s.immutability(projectID, repository)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		if rules.Holds(tag) {
			_, name, _ := core.SplitRepository(repository)
			return refusal(name, tag)
		}
	}
	return nil
}

func cannotMove(name, tag string) error {
	return core.Errorf(core.CodePrecondition, "Failed to process request due to '%s:%s' configured as immutable.", name, tag)
}

func cannotDelete(_, tag string) error {
	return core.Errorf(core.CodePrecondition, "the tag %s configured as immutable, cannot be deleted", tag)
}

// immutability reads what the rules of the project forbid in the repository.
func (s *session) immutability(projectID int64, repository string) (core.Immutability, error) {
	rules, err := s.Tx.ImmutableRules(projectID)
	if err != nil || len(rules) == 0 {
		return core.Immutability{}, err
	}
	return core.ImmutabilityOf(rules, repository)
}

// pointTag lets a tag point at the manifest, unless it points at another one
// and must stay there. It says whether that is new.
func (s *session) pointTag(projectID, repositoryID int64, repository string, manifestID int64, tag string) (moved bool, err error) {
	old, err := s.Tag(repositoryID, tag)
	switch {
	case errors.Is(err, store.ErrNoRow):
	case err != nil:
		return false, err
	case old.ArtifactID == manifestID:
		return false, nil
	default:
		if err := s.keepImmutable(projectID, repository, cannotMove, tag); err != nil {
			return false, err
		}
	}
	if err := s.tagSigned(repositoryID, tag); err != nil {
		return false, err
	}
	return s.SetTag(repositoryID, manifestID, tag)
}

// markImmutable notes on each of the tags whether it must stay.
func markImmutable(rules core.Immutability, tags []core.Tag) {
	for i := range tags {
		tags[i].Immutable = rules.Holds(tags[i].Name)
	}
}

// ImmutableRules lists the immutability rules of a project and counts all that
// match.
func (a *App) ImmutableRules(ctx context.Context, c core.Caller, ref core.ProjectRef, q core.Query) (rules []core.ImmutableRule, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResImmutableTag, core.ActList)
		if err != nil {
			return err
		}
		rules, total, err = s.ListImmutableRules(project.ID, q)
		return err
	})
	return rules, total, err
}

// CreateImmutableRule adds a rule to a project and returns its id. CodeConflict
// when there is one that selects the same.
func (a *App) CreateImmutableRule(ctx context.Context, c core.Caller, ref core.ProjectRef, r core.ImmutableRule) (id int64, err error) {
	err = a.update(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResImmutableTag, core.ActCreate)
		if err != nil {
			return err
		}
		r.ID, r.ProjectID = 0, project.ID
		if err := s.checkImmutableRule(r); err != nil {
			return err
		}
		if id, err = s.Tx.CreateImmutableRule(r); err != nil {
			return err
		}
		r.ID = id
		return s.auditImmutableRule("create", project, r)
	})
	return id, err
}

// UpdateImmutableRule replaces a rule of a project; CodeNotFound when the
// project has none with that id.
func (a *App) UpdateImmutableRule(ctx context.Context, c core.Caller, ref core.ProjectRef, r core.ImmutableRule) error {
	return a.update(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResImmutableTag, core.ActUpdate)
		if err != nil {
			return err
		}
		if _, err := s.immutableRule(project, r.ID); err != nil {
			return err
		}
		r.ProjectID = project.ID
		if err := s.checkImmutableRule(r); err != nil {
			return err
		}
		if err := s.SetImmutableRule(r); err != nil {
			return err
		}
		return s.auditImmutableRule("update", project, r)
	})
}

// DeleteImmutableRule removes a rule of a project; CodeNotFound when the
// project has none with that id.
func (a *App) DeleteImmutableRule(ctx context.Context, c core.Caller, ref core.ProjectRef, id int64) error {
	return a.update(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResImmutableTag, core.ActDelete)
		if err != nil {
			return err
		}
		r, err := s.immutableRule(project, id)
		if err != nil {
			return err
		}
		if err := s.Tx.DeleteImmutableRule(project.ID, id); err != nil {
			return err
		}
		return s.auditImmutableRule("delete", project, r)
	})
}

// immutableRule returns a rule that must be the project's: the id in a path is
// never enough (CVE-2022-31669).
func (s *session) immutableRule(project core.Project, id int64) (core.ImmutableRule, error) {
	r, err := s.Tx.ImmutableRule(project.ID, id)
	if errors.Is(err, store.ErrNoRow) {
		return r, core.Errorf(core.CodeNotFound, "the project %s has no immutability rule %d", project.Name, id)
	}
	return r, err
}

// checkImmutableRule checks a rule that is to be written beside the others of
// its project.
func (s *session) checkImmutableRule(r core.ImmutableRule) error {
	if err := r.Validate(); err != nil {
		return err
	}
	rules, err := s.Tx.ImmutableRules(r.ProjectID)
	if err != nil {
		return err
	}
	for _, other := range rules {
		if other.ID != r.ID && other.SameSelectors(r) {
			return core.Errorf(core.CodeConflict, "immutable rule already exists: rule %d selects the same", other.ID)
		}
	}
	if r.ID == 0 && len(rules) >= maxImmutableRules {
		return core.Errorf(core.CodePrecondition, "a project has at most %d immutability rules; several patterns fit into one rule as {a,b}", maxImmutableRules)
	}
	return nil
}

func (s *session) auditImmutableRule(operation string, project core.Project, r core.ImmutableRule) error {
	tags, repositories := r.Tags[0], r.Repositories[0]
	return s.audit(act{operation: operation, resourceType: string(core.ResImmutableTag), resource: fmt.Sprintf("%s rule %d", project.Name, r.ID),
		project: project.ID, description: fmt.Sprintf("repositories %s %s, tags %s %s, disabled: %t", repositories.Decoration,
			core.Clip(repositories.Pattern, 100), tags.Decoration, core.Clip(tags.Pattern, 100), r.Disabled)})
}
