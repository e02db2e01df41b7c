package app

import (
	"context"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// inbox selects the notifications for the caller: of all projects and of the
// registry for a system admin, else of the projects whose scans it may read as
// a member.
func (s *session) inbox() (store.AuditScope, error) {
	if err := s.signedIn("see your notifications"); err != nil {
		return store.AuditScope{}, err
	}
	if s.caller.Kind != core.KindUser && s.caller.Kind != core.KindSystem {
		return store.AuditScope{}, core.Errorf(core.CodeForbidden, "only people have notifications; sign in with a user account")
	}
	scope := store.AuditScope{All: s.sysadmin, UserID: s.userID()}
	for role := core.RoleProjectAdmin; role.Valid(); role++ {
		if role.Allows(core.ResScan, core.ActRead) {
			scope.Roles = append(scope.Roles, role)
		}
	}
	return scope, nil
}

// Notifications lists the notifications for the caller, by default the newest
// first. Those with an id above seen are new to it.
func (a *App) Notifications(ctx context.Context, c core.Caller, q core.Query) (list []core.Notification, total, seen int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		scope, err := s.inbox()
		if err != nil {
			return err
		}
		if list, total, err = s.Tx.Notifications(scope, q); err != nil {
			return err
		}
		seen, err = s.SeenNotification(s.userID())
		return err
	})
	return list, total, seen, err
}

// NotificationWindow reads one page of the notifications for the caller, the
// newest first. Those with an id above seen are new to it.
func (a *App) NotificationWindow(ctx context.Context, c core.Caller, w core.Window) (list []core.Notification, ends core.Ends, seen int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		scope, err := s.inbox()
		if err != nil {
			return err
		}
		if list, ends, err = s.NotificationPage(scope, w); err != nil {
			return err
		}
		seen, err = s.SeenNotification(s.userID())
		return err
	})
	return list, ends, seen, err
}

// UnseenNotifications counts the notifications that are new to the caller, up
// to 100.
func (a *App) UnseenNotifications(ctx context.Context, c core.Caller) (n int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		scope, err := s.inbox()
		if err != nil {
			return err
		}
		seen, err := s.SeenNotification(s.userID())
		if err != nil {
			return err
		}
		n, err = s.Tx.UnseenNotifications(scope, seen)
		return err
	})
	return n, err
}

// SeeNotifications notes that the caller has seen all up to that id. It is no
// change that anybody else could notice, so it is not audited.
func (a *App) SeeNotifications(ctx context.Context, c core.Caller, through int64) error {
	return a.update(ctx, c, func(s *session) error {
		if _, err := s.inbox(); err != nil {
			return err
		}
		return s.SetSeenNotification(s.userID(), through)
	})
}
