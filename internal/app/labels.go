package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// onLabels authorises action on the labels of a project or, with 0, on those of
// all projects: everyone who has signed in sees these.
func (s *session) onLabels(projectID int64, action core.Action) error {
	if projectID != 0 {
		_, err := s.onProject(core.ProjectRef{ID: projectID}, core.ResLabel, action)
		return err
	}
	if action == core.ActRead || action == core.ActList {
		return s.signedIn("see the labels")
	}
	return s.onSystem(core.ResLabel, action)
}

// labelFor returns the label when the caller may do action on it. A label is
// named by its id alone, so one of a hidden project is answered like none.
func (s *session) labelFor(id int64, action core.Action) (core.Label, error) {
	absent := core.Errorf(core.CodeNotFound, "label %d not found", id)
	anonymous := s.caller.Kind == core.KindAnonymous
	refused := s.deny(fmt.Sprintf("label %d", id), 0, core.Permission{Resource: core.ResLabel, Action: action})
	l, err := s.Tx.Label(id)
	if errors.Is(err, store.ErrNoRow) && anonymous {
		return l, refused
	}
	if errors.Is(err, store.ErrNoRow) {
		return l, absent
	}
	if err != nil {
		return l, err
	}
	err = s.onLabels(l.ProjectID, action)
	if err != nil && anonymous {
		return l, refused
	}
	if d, denied := errors.AsType[*denial](err); denied && l.ProjectID != 0 {
		if action == core.ActRead || s.onLabels(l.ProjectID, core.ActRead) != nil {
			d.cause = absent
		}
	}
	return l, err
}

// Labels lists the labels of a project or, with the id 0, those of all
// projects, and counts all that match.
func (a *App) Labels(ctx context.Context, c core.Caller, projectID int64, q core.Query) (labels []core.Label, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onLabels(projectID, core.ActList); err != nil {
			return err
		}
		labels, total, err = s.Tx.Labels(projectID, q)
		return err
	})
	return labels, total, err
}

// Label returns one label.
func (a *App) Label(ctx context.Context, c core.Caller, id int64) (l core.Label, err error) {
	err = a.view(ctx, c, func(s *session) error {
		l, err = s.labelFor(id, core.ActRead)
		return err
	})
	return l, err
}

func labelTaken(err error, name string) error {
	if errors.Is(err, store.ErrDuplicate) {
		return core.Errorf(core.CodeConflict, "there is a label %q already; choose another name", core.Clip(name, 64))
	}
	return err
}

// CreateLabel adds a label to the project that l names, or to all, and returns
// its id.
func (a *App) CreateLabel(ctx context.Context, c core.Caller, l core.Label) (id int64, err error) {
	err = a.update(ctx, c, func(s *session) error {
		if err := s.onLabels(l.ProjectID, core.ActCreate); err != nil {
			return err
		}
		if err := l.Validate(); err != nil {
			return err
		}
		if id, err = s.Tx.CreateLabel(l); err != nil {
			return labelTaken(err, l.Name)
		}
		return s.audit(act{operation: "create", resourceType: "label", resource: l.Name, project: l.ProjectID})
	})
	return id, err
}

// UpdateLabel replaces the name, the description and the colour of the label
// l.ID, which stays where it is.
func (a *App) UpdateLabel(ctx context.Context, c core.Caller, l core.Label) error {
	return a.updateLabel(ctx, c, nil, l)
}

// ChangeLabel is UpdateLabel for an editor that has seen the label was;
// CodeConflict when it has become another one since.
func (a *App) ChangeLabel(ctx context.Context, c core.Caller, was, l core.Label) error {
	return a.updateLabel(ctx, c, &was, l)
}

func (a *App) updateLabel(ctx context.Context, c core.Caller, was *core.Label, l core.Label) error {
	return a.update(ctx, c, func(s *session) error {
		old, err := s.labelFor(l.ID, core.ActUpdate)
		if err != nil {
			return err
		}
		if was != nil && !old.SameText(*was) {
			return changedMeanwhile("the label " + old.Name)
		}
		if err := l.Validate(); err != nil {
			return err
		}
		if err := s.Tx.UpdateLabel(l); err != nil {
			return labelTaken(err, l.Name)
		}
		return s.audit(act{operation: "update", resourceType: "label", resource: l.Name, project: old.ProjectID,
			description: fmt.Sprintf("%q -> %q", old.Name, l.Name)})
	})
}

// DeleteLabel removes a label, from the artifacts that have it too.
func (a *App) DeleteLabel(ctx context.Context, c core.Caller, id int64) error {
	return a.update(ctx, c, func(s *session) error {
		l, err := s.labelFor(id, core.ActDelete)
		if err != nil {
			return err
		}
		if err := s.Tx.DeleteLabel(id); err != nil {
			return err
		}
		return s.audit(act{operation: "delete", resourceType: "label", resource: l.Name, project: l.ProjectID})
	})
}

// LabelChoices lists the labels that an artifact of a project may get and whose
// names contain part: the project's and those of all projects, at most 100.
func (a *App) LabelChoices(ctx context.Context, c core.Caller, ref core.ProjectRef, part string) (labels []core.Label, err error) {
	err = a.view(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResLabel, core.ActList)
		if err != nil {
			return err
		}
		labels, err = s.Tx.LabelChoices(project.ID, part, core.MaxPageSize)
		return err
	})
	return labels, err
}

// AddLabel marks the artifact that a tag or digest names with a label of its
// project or of all projects; CodeConflict when it has the label.
func (a *App) AddLabel(ctx context.Context, c core.Caller, full, reference string, labelID int64) error {
	return a.markArtifact(ctx, c, full, reference, labelID, core.ActCreate, func(s *session, artifact core.Artifact) error {
		err := s.Tx.AddLabel(artifact.ID, labelID)
		if errors.Is(err, store.ErrDuplicate) {
			return core.Errorf(core.CodeConflict, "the artifact has the label %d already", labelID)
		}
		return err
	})
}

// RemoveLabel takes a label from an artifact; CodeNotFound when it does not
// have it.
func (a *App) RemoveLabel(ctx context.Context, c core.Caller, full, reference string, labelID int64) error {
	return a.markArtifact(ctx, c, full, reference, labelID, core.ActDelete, func(s *session, artifact core.Artifact) error {
		err := s.Tx.RemoveLabel(artifact.ID, labelID)
		if errors.Is(err, store.ErrNoRow) {
			return core.Errorf(core.CodeNotFound, "the artifact does not have the label %d", labelID)
		}
		return err
	})
}

func (a *App) markArtifact(ctx context.Context, c core.Caller, full, reference string, labelID int64, action core.Action, do func(*session, core.Artifact) error) error {
	return a.update(ctx, c, func(s *session) error {
		project, _, err := s.repository(full, core.ResArtifactLabel, action)
		if err != nil {
			return err
		}
		artifact, err := s.find(full, reference)
		if err != nil {
			return err
		}
		l, err := s.Tx.Label(labelID)
		if errors.Is(err, store.ErrNoRow) || (err == nil && l.ProjectID != 0 && l.ProjectID != project.ID) {
			return core.Errorf(core.CodeNotFound, "label %d not found", labelID)
		}
		if err != nil {
			return err
		}
		if err := do(s, artifact); err != nil {
			return err
		}
		return s.audit(act{operation: string(action), resourceType: "artifact-label", resource: full + "@" + artifact.Digest, project: project.ID,
			digest: artifact.Digest, description: l.Name})
	})
}
