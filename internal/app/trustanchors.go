package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/policy"
	"github.com/breakwater-registry/breakwater/store"
)

// maxTrustAnchors bounds the trust anchors of one project; all are tried on a
// signature.
const maxTrustAnchors = 200

// AnchorCheck says whether an anchor can be used to verify beside the others of
// its project; its error is for people.
type AnchorCheck func(anchor core.TrustAnchor, others []core.TrustAnchor) error

// CheckTrustAnchors has anchors checked by what verifies signatures. Without
// it, only what the content says of itself is checked. Call it before Run.
func (a *App) CheckTrustAnchors(check AnchorCheck) { a.anchorCheck = check }

// TrustAnchors lists what a project trusts signatures by, and counts all that
// match. Public keys are no secret: every member may read them.
func (a *App) TrustAnchors(ctx context.Context, c core.Caller, ref core.ProjectRef, q core.Query) (list []core.TrustAnchor, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResConfiguration, core.ActRead)
		if err != nil {
			return err
		}
		list, total, err = s.ListTrustAnchors(project.ID, q)
		return err
	})
	return list, total, err
}

// CreateTrustAnchor adds an anchor to a project and returns its id. CodeConflict
// when the project has one of that type with its name or key. All signatures in
// the project are verified anew soon after.
func (a *App) CreateTrustAnchor(ctx context.Context, c core.Caller, ref core.ProjectRef, anchor core.TrustAnchor) (id int64, err error) {
	err = a.update(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResMetadata, core.ActUpdate)
		if err != nil {
			return err
		}
		if anchor, err = anchor.Complete(); err != nil {
			return err
		}
		anchor.ProjectID, anchor.CreatedBy = project.ID, s.username
		if err := s.checkTrustAnchor(anchor); err != nil {
			return err
		}
		if id, err = s.Tx.CreateTrustAnchor(anchor); err != nil {
			return anchorTaken(anchor, err)
		}
		return s.trustChanged("create", project, anchor)
	})
	return id, err
}

func anchorTaken(anchor core.TrustAnchor, err error) error {
	if errors.Is(err, store.ErrDuplicate) {
		return core.Errorf(core.CodeConflict, "the project has a %s with the name %q or the same content already", anchor.Type, anchor.Name)
	}
	return err
}

// TrustAnchor returns one anchor of a project; CodeNotFound when the project has
// none with that id.
func (a *App) TrustAnchor(ctx context.Context, c core.Caller, ref core.ProjectRef, id int64) (anchor core.TrustAnchor, err error) {
	err = a.view(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResConfiguration, core.ActRead)
		if err != nil {
			return err
		}
		anchor, err = s.trustAnchor(project, id)
		return err
	})
	return anchor, err
}

func (s *session) trustAnchor(project core.Project, id int64) (core.TrustAnchor, error) {
	anchor, err := s.Tx.TrustAnchor(project.ID, id)
	if errors.Is(err, store.ErrNoRow) {
		return anchor, core.Errorf(core.CodeNotFound, "the project %s has no trust anchor %d", project.Name, id)
	}
	return anchor, err
}

// ChangeTrustAnchor replaces what the anchor with that id says; its type stays.
// What it vouched for by another key or identity counts no more at once. The
// errors are those of CreateTrustAnchor and DeleteTrustAnchor.
func (a *App) ChangeTrustAnchor(ctx context.Context, c core.Caller, ref core.ProjectRef, anchor core.TrustAnchor) error {
	return a.update(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResMetadata, core.ActUpdate)
		if err != nil {
			return err
		}
		before, err := s.trustAnchor(project, anchor.ID)
		if err != nil {
			return err
		}
		if anchor.Type != before.Type {
			return core.Errorf(core.CodeBadRequest, "the type of a trust anchor stays %s; add another one instead", before.Type)
		}
		if anchor, err = anchor.Complete(); err != nil {
			return err
		}
		anchor.ProjectID = project.ID
		if !anchor.ExpiresAt.Equal(before.ExpiresAt) {
			if err := s.anchorEnds(anchor); err != nil {
				return err
			}
		}
		if err := s.replaceTrustAnchor(anchor, before); err != nil {
			return err
		}
		return s.trustChanged("update", project, anchor)
	})
}

func (s *session) replaceTrustAnchor(anchor, before core.TrustAnchor) error {
	others, err := s.Tx.TrustAnchors(anchor.ProjectID)
	if err != nil {
		return err
	}
	others = slices.DeleteFunc(others, func(o core.TrustAnchor) bool { return o.ID == anchor.ID })
	if err := s.usable(anchor, others); err != nil {
		return err
	}
	if err := s.Tx.UpdateTrustAnchor(anchor); err != nil {
		return anchorTaken(anchor, err)
	}
	if before.Signs() && (anchor.KeyID != before.KeyID || !anchor.Signs()) {
		return s.ForgetTrustKey(anchor.ProjectID, before.Kind(), before.KeyID)
	}
	return nil
}

func (s *session) anchorEnds(anchor core.TrustAnchor) error {
	if !anchor.ExpiresAt.IsZero() && !anchor.ExpiresAt.After(s.Now()) {
		return core.Errorf(core.CodeBadRequest, "expires_at must be in the future; leave it out for a trust anchor without end")
	}
	return nil
}

func (s *session) checkTrustAnchor(anchor core.TrustAnchor) error {
	if err := s.anchorEnds(anchor); err != nil {
		return err
	}
	others, err := s.Tx.TrustAnchors(anchor.ProjectID)
	if err != nil {
		return err
	}
	if len(others) >= maxTrustAnchors {
		return core.Errorf(core.CodePrecondition, "a project has at most %d trust anchors; remove those that are not used any more", maxTrustAnchors)
	}
	return s.usable(anchor, others)
}

// usable asks what verifies signatures about the anchor.
func (s *session) usable(anchor core.TrustAnchor, others []core.TrustAnchor) error {
	if s.app.anchorCheck == nil {
		return nil
	}
	return s.app.anchorCheck(anchor, others)
}

// DeleteTrustAnchor removes an anchor of a project; CodeNotFound when the
// project has none with that id. What it vouched for counts no more at once.
func (a *App) DeleteTrustAnchor(ctx context.Context, c core.Caller, ref core.ProjectRef, id int64) error {
	return a.update(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResMetadata, core.ActUpdate)
		if err != nil {
			return err
		}
		anchor, err := s.trustAnchor(project, id)
		if err != nil {
			return err
		}
		if err := s.Tx.DeleteTrustAnchor(project.ID, id); err != nil {
			return err
		}
		if anchor.Signs() {
			if err := s.ForgetTrustKey(project.ID, anchor.Kind(), anchor.KeyID); err != nil {
				return err
			}
		}
		return s.trustChanged("delete", project, anchor)
	})
}

// trustChanged has the policy of the project made anew and its signatures
// verified anew, and writes the audit row.
func (s *session) trustChanged(operation string, project core.Project, anchor core.TrustAnchor) error {
	if err := s.applyPolicy(project.ID); err != nil {
		return err
	}
	if err := s.SetProjectSignaturesDue(project.ID); err != nil {
		return err
	}
	if err := s.queueSignatures(); err != nil {
		return err
	}
	until := "no end"
	if !anchor.ExpiresAt.IsZero() {
		until = anchor.ExpiresAt.UTC().Format(time.RFC3339)
	}
	return s.audit(act{operation: operation, resourceType: "trust-anchor", resource: project.Name + " " + anchor.Name, project: project.ID,
		description: fmt.Sprintf("%s %s, until %s", anchor.Type, core.Clip(anchor.KeyID, 200), until)})
}

// signers are whose signatures of that kind count in a project with these
// anchors, for its policy. Where there is none, nobody's do.
func signers(anchors []core.TrustAnchor, kind core.TrustKind) []policy.Signer {
	var list []policy.Signer
	for _, a := range anchors {
		if a.Signs() && a.Kind() == kind {
			list = append(list, policy.Signer{KeyID: a.KeyID, Title: a.Name})
		}
	}
	if len(list) == 0 {
		return []policy.Signer{{Title: "a signer whom an administrator of the project still has to trust"}}
	}
	return list
}
