package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// loadAllowlist reads the registry's CVE allowlist, which is kept at hand for
// the pulls of the projects that use it.
func (a *App) loadAllowlist(ctx context.Context) error {
	return a.store.View(ctx, func(tx *store.Tx) error {
		list, err := tx.CVEAllowlist(0)
		a.allowlist.Store(&list)
		return err
	})
}

// SystemCVEAllowlist returns the registry's CVE allowlist.
func (a *App) SystemCVEAllowlist(ctx context.Context, c core.Caller) (list core.CVEAllowlist, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.signedIn("read the CVE allowlist"); err != nil {
			return err
		}
		list, err = s.CVEAllowlist(0)
		return err
	})
	return list, err
}

// SetSystemCVEAllowlist replaces the registry's CVE allowlist; it is in force
// when it returns. A list with an UpdatedAt replaces the one of that time only;
// CodeConflict when there is a newer one.
func (a *App) SetSystemCVEAllowlist(ctx context.Context, c core.Caller, list core.CVEAllowlist) error {
	return a.update(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResConfiguration, core.ActUpdate); err != nil {
			return err
		}
		list.ProjectID = 0
		if err := s.setAllowlist("the registry", list); err != nil {
			return err
		}
		s.AfterCommit(func() { a.allowlist.Store(&list) })
		return nil
	})
}

// setProjectAllowlist replaces the allowlist of a project unless it is nil; the
// caller applies the policy after it.
func (s *session) setProjectAllowlist(project core.Project, list *core.CVEAllowlist) error {
	if list == nil {
		return nil
	}
	own := *list
	own.ProjectID = project.ID
	return s.setAllowlist(project.Name, own)
}

// setAllowlist writes an allowlist and audits what it changes.
func (s *session) setAllowlist(owner string, list core.CVEAllowlist) error {
	if err := list.Validate(); err != nil {
		return err
	}
	before, err := s.CVEAllowlist(list.ProjectID)
	if err != nil {
		return err
	}
	if !list.UpdatedAt.IsZero() && !list.UpdatedAt.Equal(before.UpdatedAt) {
		return changedMeanwhile("the CVE allowlist")
	}
	if slices.Equal(before.Items, list.Items) && before.ExpiresAt.Equal(list.ExpiresAt) {
		return nil
	}
	if err := s.SetCVEAllowlist(list); err != nil {
		return err
	}
	return s.audit(act{operation: "update", resourceType: "cve-allowlist", resource: owner, project: list.ProjectID,
		description: describeAllowlist(before, list)})
}

// describeAllowlist tells what came, what went and until when the list holds.
func describeAllowlist(before, after core.CVEAllowlist) string {
	changes := func(from, to []string) []string {
		var only []string
		for _, id := range to {
			if _, found := slices.BinarySearch(from, id); !found {
				only = append(only, id)
			}
		}
		return only
	}
	until := "never expires"
	if !after.ExpiresAt.IsZero() {
		until = "expires at " + after.ExpiresAt.UTC().Format(time.RFC3339)
	}
	return core.Clip(fmt.Sprintf("%s; added %v, removed %v", until, changes(before.Items, after.Items), changes(after.Items, before.Items)), 1000)
}
