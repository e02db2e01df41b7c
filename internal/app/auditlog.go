package app

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

const (
	// exportBatch is how many rows one read of an export or a check takes.
	exportBatch = 500
	// purgeBatch is how many rows one transaction of the retention removes, so
	// that it never holds up a push for long.
	purgeBatch = 1000
	// purgeEvery is how often the retention looks for old rows.
	purgeEvery = time.Hour
)

// auditScope selects the rows that the caller may see: all to a system admin,
// to others those about projects whose log they may list.
func (s *session) auditScope() (store.AuditScope, error) {
	if err := s.signedIn("see the audit log"); err != nil {
		return store.AuditScope{}, err
	}
	scope := store.AuditScope{All: s.onSystem(core.ResAuditLog, core.ActList) == nil, UserID: s.userID()}
	for role := core.RoleProjectAdmin; role.Valid(); role++ {
		if role.Allows(core.ResLog, core.ActList) {
			scope.Roles = append(scope.Roles, role)
		}
	}
	if s.robot != nil {
		scope.AllProjects, scope.IDs = robotLogs(s.robot)
	}
	return scope, nil
}

// robotLogs tells in which projects the robot account may list the log.
func robotLogs(r *core.Robot) (all bool, ids []int64) {
	for _, g := range r.Grants {
		switch {
		case g.Resource != core.ResLog || g.Action != core.ActList:
		case g.AllProjects:
			all = true
		case g.ProjectID != 0:
			ids = append(ids, g.ProjectID)
		}
	}
	return all, ids
}

// AuditLog lists the rows that the caller may see, the newest first.
func (a *App) AuditLog(ctx context.Context, c core.Caller, q core.Query) (rows []core.AuditEvent, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		scope, err := s.auditScope()
		if err != nil {
			return err
		}
		rows, total, err = s.Audit(scope, q)
		return err
	})
	return rows, total, err
}

// AuditPage reads one page of the rows that the caller may see and that the
// filters select, the newest first. It does not count them: that would take the
// longer the older the registry is.
func (a *App) AuditPage(ctx context.Context, c core.Caller, filters []core.Filter, w core.Window) (rows []core.AuditEvent, ends core.Ends, err error) {
	err = a.view(ctx, c, func(s *session) error {
		scope, err := s.auditScope()
		if err != nil {
			return err
		}
		rows, ends, err = s.AuditWindow(scope, filters, w)
		return err
	})
	return rows, ends, err
}

// ProjectLog lists the rows about one project, the newest first.
func (a *App) ProjectLog(ctx context.Context, c core.Caller, ref core.ProjectRef, q core.Query) (rows []core.AuditEvent, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResLog, core.ActList)
		if err != nil {
			return err
		}
		rows, total, err = s.Audit(store.AuditScope{IDs: []int64{project.ID}}, q)
		return err
	})
	return rows, total, err
}

// ProjectLogWindow reads one page of the rows about one project that the filters
// select, the newest first.
func (a *App) ProjectLogWindow(ctx context.Context, c core.Caller, ref core.ProjectRef, filters []core.Filter, w core.Window) (rows []core.AuditEvent, ends core.Ends, err error) {
	err = a.view(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResLog, core.ActList)
		if err != nil {
			return err
		}
		rows, ends, err = s.AuditWindow(store.AuditScope{IDs: []int64{project.ID}}, filters, w)
		return err
	})
	return rows, ends, err
}

// ExportAudit calls write with all rows that the caller may see and that the
// filters select, the oldest first, some hundred at a time. No transaction is
// open meanwhile, and the rights are read again for each of them. It ends with
// the rows that there were when it began; that it was done is audited.
func (a *App) ExportAudit(ctx context.Context, c core.Caller, filters []core.Filter, write func([]core.AuditEvent) error) error {
	var position, end int64
	for first := true; ; first = false {
		var rows []core.AuditEvent
		err := a.view(ctx, c, func(s *session) error {
			scope, err := s.auditScope()
			if err != nil {
				return err
			}
			if first {
				last, err := s.LastAudit()
				if err != nil {
					return err
				}
				end = last.ID
			}
			if rows, err = s.AuditPage(scope, filters, position, end, exportBatch); err == nil && first {
				a.events.add(s.event(act{operation: "export", resourceType: string(core.ResAuditLog), resource: "the registry"}))
			}
			return err
		})
		if err != nil {
			return err
		}
		if err := write(rows); err != nil {
			return err
		}
		if len(rows) < exportBatch {
			return nil
		}
		position = rows[len(rows)-1].ID
	}
}

// VerifyAudit walks the chain of the audit log from its anchor to its end and
// returns how many rows it checked. A row that was changed, inserted or taken
// out is CodePrecondition, with the id where the chain breaks. That the end
// was cut off shows only against a copy, such as the forwarded log.
func (a *App) VerifyAudit(ctx context.Context) (rows int64, err error) {
	var link store.AuditLink
	for {
		var page []core.AuditEvent
		err := a.store.View(ctx, func(tx *store.Tx) error {
			anchor, err := tx.AuditAnchor()
			if err != nil {
				return err
			}
			if anchor.ID > link.ID { // the start, or retention has overtaken
				link = anchor
			}
			page, err = tx.AuditAfter(link.ID, exportBatch)
			return err
		})
		if err != nil || len(page) == 0 {
			return rows, err
		}
		for _, row := range page {
			if row.ID != link.ID+1 || row.Hash != store.AuditHash(link.Hash, row) {
				return rows, core.Errorf(core.CodePrecondition,
					"the audit log is broken at row %d: the row does not follow row %d as it was written. Somebody changed the database; compare it with a backup or the forwarded log", row.ID, link.ID)
			}
			link = store.AuditLink{ID: row.ID, Hash: row.Hash}
			rows++
		}
	}
}

// PurgeAudit removes the rows that are older than the retention setting, and
// returns how many. Each batch that goes is itself in the audit log. Rows that
// still wait to be forwarded stay.
func (a *App) PurgeAudit(ctx context.Context) (removed int64, err error) {
	keep := a.Settings().AuditRetention
	if keep == 0 {
		return 0, nil
	}
	for {
		var n int64
		err := a.update(ctx, itself, func(s *session) (err error) {
			n, err = s.purge(s.Now().Add(-keep))
			return err
		})
		removed += n
		if err != nil || n < purgeBatch {
			return removed, err
		}
	}
}

func (s *session) purge(before time.Time) (int64, error) {
	through := int64(math.MaxInt64)
	if s.app.Settings().AuditForwardEndpoint != "" {
		var err error
		if through, err = s.AuditCursor(); errors.Is(err, store.ErrNoRow) {
			return 0, nil
		} else if err != nil {
			return 0, err
		}
	}
	n, last, err := s.RemoveAudit(before, through, purgeBatch)
	if err != nil || n == 0 {
		return 0, err
	}
	return n, s.audit(act{operation: "delete", resourceType: string(core.ResAuditLog), resource: "the registry",
		description: fmt.Sprintf("retention: %d rows up to %d, older than %s", n, last, before.UTC().Format(time.RFC3339))})
}

// RunAuditRetention removes old rows every hour until ctx ends.
func (a *App) RunAuditRetention(ctx context.Context) {
	tick := time.NewTicker(purgeEvery)
	defer tick.Stop()
	for {
		if n, err := a.PurgeAudit(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("old audit rows could not be removed", "error", err)
		} else if n > 0 {
			a.log.Info("old audit rows removed", "rows", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
