package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// firstAdmin is the id of the account that Bootstrap makes. As in Harbor it
// cannot be deleted.
const firstAdmin = 1

// reservedNames would be taken for someone else in the audit log.
var reservedNames = []string{"anonymous", "system"}

// NewUser is the account that CreateUser is to make.
type NewUser struct {
	Username, Email, Realname, Comment string
	Password                           string
	SysAdmin                           bool // only a system admin may ask for it
}

// account returns the user with that id when it is the caller, or when the
// caller has the right on all users. Only a system admin may change another
// system admin, so that the right to manage users does not lead further.
func (s *session) account(id int64, action core.Action) (core.User, error) {
	own := s.owns(id)
	if !own {
		if err := s.onSystem(core.ResUser, action); err != nil {
			return core.User{}, err
		}
	}
	u, err := s.User(id)
	if errors.Is(err, store.ErrNoRow) {
		return core.User{}, core.Errorf(core.CodeNotFound, "user %d not found", id)
	}
	if err == nil && !own && u.SysAdmin && !s.sysadmin && action != core.ActRead {
		return core.User{}, s.deny(fmt.Sprintf("user %d", id), 0, core.Permission{Resource: core.ResUser, Action: action})
	}
	return u, err
}

func (s *session) owns(id int64) bool { return s.caller.Kind == core.KindUser && s.caller.ID == id }

// Users lists all accounts.
func (a *App) Users(ctx context.Context, c core.Caller, q core.Query) (users []core.User, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResUser, core.ActList); err != nil {
			return err
		}
		users, total, err = s.Users(q)
		return err
	})
	return users, total, err
}

// UsersPage reads one page of the accounts by name.
func (a *App) UsersPage(ctx context.Context, c core.Caller, filters []core.Filter, w core.Window) (users []core.User, ends core.Ends, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResUser, core.ActList); err != nil {
			return err
		}
		users, ends, err = s.Tx.UsersPage(filters, w)
		return err
	})
	return users, ends, err
}

// SearchUsers lists accounts whose name contains part, for anyone signed in: a
// project's administrator has to find new members. Transports show no more of
// them than id and name.
func (a *App) SearchUsers(ctx context.Context, c core.Caller, part string, q core.Query) (users []core.User, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.signedIn("search users"); err != nil {
			return err
		}
		if strings.TrimSpace(part) == "" {
			return core.Errorf(core.CodeBadRequest, "the username parameter must hold at least one character of the name")
		}
		users, total, err = s.SearchUsers(part, core.Query{Page: q.Page, PageSize: q.PageSize})
		return err
	})
	return users, total, err
}

// User returns one account: the caller's own, or any to who may read users.
func (a *App) User(ctx context.Context, c core.Caller, id int64) (u core.User, err error) {
	err = a.view(ctx, c, func(s *session) error {
		u, err = s.account(id, core.ActRead)
		return err
	})
	return u, err
}

// CurrentUser returns the caller's own account.
func (a *App) CurrentUser(ctx context.Context, c core.Caller) (u core.User, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.signedIn("see your account"); err != nil {
			return err
		}
		if c.Kind != core.KindUser {
			return core.Errorf(core.CodeForbidden, "%s is not a user, so it has no profile", s.username)
		}
		u, err = s.User(c.ID)
		return err
	})
	return u, err
}

// CreateUser makes an account and returns its id. Without the right on users it
// works only while self-registration is on, and then never makes an admin.
func (a *App) CreateUser(ctx context.Context, c core.Caller, n NewUser) (id int64, err error) {
	if err := checkNewUser(n); err != nil {
		return 0, err
	}
	may := func(s *session) error { return s.mayCreateUser(n.SysAdmin) }
	if err := a.view(ctx, c, may); err != nil {
		return 0, err
	}
	if err := a.slowRegistration(c); err != nil {
		return 0, err
	}
	hash, err := a.passwords.Hash(ctx, n.Password)
	if err != nil {
		return 0, err
	}
	err = a.update(ctx, c, func(s *session) error {
		if err := may(s); err != nil {
			return err
		}
		id, err = s.createUser(n, hash)
		return err
	})
	return id, err
}

func checkNewUser(n NewUser) error {
	if err := core.ValidateUsername(n.Username); err != nil {
		return err
	}
	if slices.Contains(reservedNames, strings.ToLower(n.Username)) {
		return core.Errorf(core.CodeBadRequest, "the username %q is reserved; choose another", n.Username)
	}
	return core.ValidateProfile(n.Email, n.Realname, n.Comment)
}

// mayCreateUser closes CVE-2019-16097: who registers can never ask for more
// than an ordinary account.
func (s *session) mayCreateUser(sysadmin bool) error {
	if sysadmin && !s.sysadmin {
		return s.deny("a system administrator's account", 0, core.Permission{Resource: core.ResUser, Action: core.ActCreate})
	}
	if s.app.Settings().SelfRegistration && s.robot == nil {
		return nil
	}
	return s.onSystem(core.ResUser, core.ActCreate)
}

// slowRegistration treats each registration of an anonymous caller as a failed
// login of one account, so that an address makes a handful at once and then
// ever fewer.
func (a *App) slowRegistration(c core.Caller) error {
	if c.Kind != core.KindAnonymous {
		return nil
	}
	const registration = "\x00registration" // nobody's name
	if wait, ok := a.throttle.Allow(registration, addressOf(c.Origin)); !ok {
		return throttled(wait)
	}
	a.throttle.Failed(registration, addressOf(c.Origin))
	return nil
}

func (s *session) createUser(n NewUser, hash string) (int64, error) {
	id, err := s.Tx.CreateUser(core.User{Username: n.Username, Email: n.Email, Realname: n.Realname, Comment: n.Comment,
		SysAdmin: n.SysAdmin, Credential: core.Credential{PasswordHash: hash}})
	if err != nil {
		return 0, taken(err)
	}
	description := ""
	if n.SysAdmin {
		description = "as system administrator"
	}
	return id, s.audit(act{operation: "create", resourceType: "user", resource: n.Username, description: description})
}

func taken(err error) error {
	if errors.Is(err, store.ErrDuplicate) {
		return core.Errorf(core.CodeConflict, "the username or the e-mail address is in use already; choose another")
	}
	return err
}

// UpdateProfile replaces the free fields of an account.
func (a *App) UpdateProfile(ctx context.Context, c core.Caller, id int64, email, realname, comment string) error {
	return a.update(ctx, c, func(s *session) error {
		u, err := s.account(id, core.ActUpdate)
		if err != nil {
			return err
		}
		if err := core.ValidateProfile(email, realname, comment); err != nil {
			return err
		}
		u.Email, u.Realname, u.Comment = email, realname, comment
		if err := s.UpdateUser(u); err != nil {
			return taken(err)
		}
		return s.audit(act{operation: "update", resourceType: "user", resource: u.Username, description: "profile"})
	})
}

// SetSysAdmin makes an account a system admin, or an ordinary one. The last
// system admin stays one.
func (a *App) SetSysAdmin(ctx context.Context, c core.Caller, id int64, admin bool) error {
	return a.update(ctx, c, func(s *session) error {
		if !s.sysadmin {
			return s.deny(fmt.Sprintf("user %d", id), 0, core.Permission{Resource: core.ResUser, Action: core.ActUpdate})
		}
		u, err := s.account(id, core.ActUpdate)
		if err != nil || u.SysAdmin == admin {
			return err
		}
		if err := s.keepsAdmin(u); err != nil {
			return err
		}
		u.SysAdmin = admin
		if err := s.saveAndSignOut(u); err != nil {
			return err
		}
		return s.audit(act{operation: "update", resourceType: "user", resource: u.Username,
			description: fmt.Sprintf("system administrator: %t -> %t", !admin, admin)})
	})
}

// SetDisabled keeps everyone out of an account, or lets them in again. What it
// owns and is a member of stays; its sessions end. Neither one's own account
// nor the last system admin can be disabled.
func (a *App) SetDisabled(ctx context.Context, c core.Caller, id int64, disabled bool) error {
	return a.update(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResUser, core.ActUpdate); err != nil {
			return err
		}
		u, err := s.account(id, core.ActUpdate)
		if err != nil || u.Disabled == disabled {
			return err
		}
		if s.owns(id) {
			return core.Errorf(core.CodeForbidden, "%s is your own account; another administrator has to disable it", u.Username)
		}
		if err := s.keepsAdmin(u); err != nil {
			return err
		}
		u.Disabled = disabled
		if err := s.saveAndSignOut(u); err != nil {
			return err
		}
		return s.audit(act{operation: "update", resourceType: "user", resource: u.Username,
			description: fmt.Sprintf("disabled: %t -> %t", !disabled, disabled)})
	})
}

// keepsAdmin refuses to lose the last system admin with u.
func (s *session) keepsAdmin(u core.User) error {
	if !u.SysAdmin || u.Disabled {
		return nil
	}
	_, admins, err := s.CountUsers()
	if err == nil && admins <= 1 {
		return core.Errorf(core.CodePrecondition, "%s is the last system administrator; make another user one first", u.Username)
	}
	return err
}

// saveAndSignOut writes u and ends all its sessions.
func (s *session) saveAndSignOut(u core.User) error {
	if err := s.UpdateUser(u); err != nil {
		return err
	}
	return s.DeleteSessions(u.ID)
}

// DeleteUser removes an account with its memberships and sessions. Neither the
// first admin nor one's own account can be deleted, as in Harbor.
func (a *App) DeleteUser(ctx context.Context, c core.Caller, id int64) error {
	return a.update(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResUser, core.ActDelete); err != nil {
			return err
		}
		u, err := s.account(id, core.ActDelete)
		if err != nil {
			return err
		}
		if id == firstAdmin || s.owns(id) {
			return core.Errorf(core.CodeForbidden, "%s cannot be deleted: it is the first account or your own", u.Username)
		}
		if err := s.keepsAdmin(u); err != nil {
			return err
		}
		if err := s.Tx.DeleteUser(id); err != nil {
			return err
		}
		return s.audit(act{operation: "delete", resourceType: "user", resource: u.Username})
	})
}
