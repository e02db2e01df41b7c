package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// maxQuota bounds a storage limit: 1 EiB.
const maxQuota = 1 << 60

func checkStorage(hard int64) error {
	if hard == -1 || hard >= 1 && hard <= maxQuota {
		return nil
	}
	return core.Errorf(core.CodeBadRequest, "the storage limit must be a number of bytes from 1 to %d, or -1 for no limit", int64(maxQuota))
}

// Quotas lists the projects with their quotas. The id of a quota is that of
// its project.
func (a *App) Quotas(ctx context.Context, c core.Caller, q core.Query) (projects []core.Project, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResQuota, core.ActList); err != nil {
			return err
		}
		projects, total, err = s.Quotas(q)
		return err
	})
	return projects, total, err
}

// Quota returns the project whose quota has that id.
func (a *App) Quota(ctx context.Context, c core.Caller, id int64) (project core.Project, err error) {
	err = a.view(ctx, c, func(s *session) error {
		project, err = s.quota(id, core.ActRead)
		return err
	})
	return project, err
}

func (s *session) quota(id int64, action core.Action) (core.Project, error) {
	if err := s.onSystem(core.ResQuota, action); err != nil {
		return core.Project{}, err
	}
	project, err := s.Project(core.ProjectRef{ID: id})
	if errors.Is(err, store.ErrNoRow) {
		err = core.Errorf(core.CodeNotFound, "quota %d not found", id)
	}
	return project, err
}

// SetQuota changes a project's storage limit, in bytes or -1 for none. As in
// Harbor it may be less than what is used: nothing more fits then.
func (a *App) SetQuota(ctx context.Context, c core.Caller, id, hard int64) error {
	return a.setQuota(ctx, c, id, 0, hard)
}

// ChangeQuota is SetQuota for an editor that has seen the limit was;
// CodeConflict when it has become another one since.
func (a *App) ChangeQuota(ctx context.Context, c core.Caller, id, was, hard int64) error {
	return a.setQuota(ctx, c, id, was, hard)
}

// setQuota takes a was of 0, which no limit is, for whatever it was.
func (a *App) setQuota(ctx context.Context, c core.Caller, id, was, hard int64) error {
	return a.update(ctx, c, func(s *session) error {
		project, err := s.quota(id, core.ActUpdate)
		if err != nil {
			return err
		}
		if was != 0 && was != project.QuotaHard {
			return changedMeanwhile("the storage limit of " + project.Name)
		}
		if err := checkStorage(hard); err != nil {
			return err
		}
		if err := s.Tx.SetQuota(id, hard); err != nil {
			return err
		}
		return s.audit(act{operation: "update", resourceType: "quota", resource: project.Name, project: id,
			description: fmt.Sprintf("storage: %d -> %d", project.QuotaHard, hard)})
	})
}

// quotaExceeded refuses add bytes more; the text is Harbor's
// (src/pkg/quota/errors.go), which docker shows after "denied: ".
func quotaExceeded(add, used, hard int64) error {
	return core.Errorf(core.CodeDenied,
		"adding %s of storage resource, which when updated to current usage of %s will exceed the configured upper limit of %s.",
		formatBytes(add), formatBytes(used), formatBytes(hard))
}

// formatBytes writes a size as Harbor does (src/pkg/quota/types/format.go).
func formatBytes(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	size, prefix := float64(n)/unit, 0
	for rest := n / unit; rest >= unit; rest /= unit {
		size /= unit
		prefix++
	}
	return fmt.Sprintf("%.1f %ciB", size, "KMGTPE"[prefix])
}
