package app

import (
	"context"
	"errors"
	"unicode/utf8"

	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// minSecretChars makes up for the fast hash that CLI secrets are stored as:
// they are for programs, which do not mind long ones.
const minSecretChars = 20

// CheckPassword says whether a new password obeys the rule of passwords.
func CheckPassword(password string) error { return auth.CheckPassword(password) }

// errChanged is for an account that two callers changed at the same time.
func errChanged() error {
	return core.Errorf(core.CodeConflict, "the password was changed by someone else at the same moment; try again")
}

// ChangePassword sets an account's password and ends all its sessions. For
// one's own account the old password is needed. When an administrator sets it
// for someone else the CLI secret goes too: the account is taken to be lost.
func (a *App) ChangePassword(ctx context.Context, c core.Caller, id int64, old, password string) error {
	var u core.User
	own := false
	err := a.view(ctx, c, func(s *session) (err error) {
		u, err = s.account(id, core.ActUpdate)
		own = s.owns(id)
		return err
	})
	if err != nil {
		return err
	}
	if err := auth.CheckPassword(password); err != nil {
		return err
	}
	if own {
		if err := a.confirm(ctx, c, u, old, password); err != nil {
			return err
		}
	}
	hash, err := a.passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	return a.update(ctx, c, func(s *session) error {
		now, err := s.account(id, core.ActUpdate)
		if err != nil {
			return err
		}
		if own && now.Credential.PasswordHash != u.Credential.PasswordHash {
			return errChanged()
		}
		return s.setPassword(now, hash, !own)
	})
}

// confirm checks the old password, throttled like a login: a stolen session
// must not be a way to guess it.
func (a *App) confirm(ctx context.Context, c core.Caller, u core.User, old, password string) error {
	address := addressOf(c.Origin)
	if wait, ok := a.throttle.Allow(u.Username, address); !ok {
		return throttled(wait)
	}
	right, err := a.passwords.Verify(ctx, u.Credential.PasswordHash, old)
	if err != nil {
		return err
	}
	if !right {
		a.throttle.Failed(u.Username, address)
		a.events.add(core.AuditEvent{Actor: c.Subject.String(), Username: u.Username, Origin: c.Origin, Operation: "update",
			ResourceType: "user", Resource: u.Username, Description: "password: the current one was wrong"})
		return core.Errorf(core.CodeForbidden, "the current password is wrong")
	}
	if wait, ok := a.throttle.Succeeded(u.Username, address); !ok {
		return throttled(wait)
	}
	if old == password {
		return core.Errorf(core.CodeBadRequest, "the new password must not be the current one")
	}
	return nil
}

func (s *session) setPassword(u core.User, hash string, lost bool) error {
	u.Credential.PasswordHash = hash
	description := "password"
	if lost && u.Credential.SecretHash != "" {
		u.Credential.SecretHash = ""
		description = "password; CLI secret removed"
	}
	if err := s.saveAndSignOut(u); err != nil {
		return err
	}
	return s.audit(act{operation: "update", resourceType: "user", resource: u.Username, description: description})
}

// SetCLISecret sets the secret that docker and other programs may use in place
// of the password: 20 to 128 characters that obey the rule of passwords.
func (a *App) SetCLISecret(ctx context.Context, c core.Caller, id int64, secret string) error {
	return a.update(ctx, c, func(s *session) error {
		u, err := s.account(id, core.ActUpdate)
		if err != nil {
			return err
		}
		if err := checkSecret(secret); err != nil {
			return err
		}
		u.Credential.SecretHash = auth.HashSecret(secret)
		if err := s.UpdateUser(u); err != nil {
			return err
		}
		return s.audit(act{operation: "update", resourceType: "user", resource: u.Username, description: "CLI secret"})
	})
}

// NewCLISecret sets a secret made for the account in place of the one it has,
// and returns it: nobody can read it later.
func (a *App) NewCLISecret(ctx context.Context, c core.Caller, id int64) (string, error) {
	secret := auth.NewSecret(secretPrefix)
	return secret, a.SetCLISecret(ctx, c, id, secret)
}

// secretPrefix has a made secret obey the rule of passwords, whatever follows.
const secretPrefix = "Bw1"

// RemoveCLISecret leaves the account with its password only.
func (a *App) RemoveCLISecret(ctx context.Context, c core.Caller, id int64) error {
	return a.update(ctx, c, func(s *session) error {
		u, err := s.account(id, core.ActUpdate)
		if err != nil || !u.HasSecret {
			return err
		}
		u.Credential.SecretHash = ""
		if err := s.UpdateUser(u); err != nil {
			return err
		}
		return s.audit(act{operation: "update", resourceType: "user", resource: u.Username, description: "CLI secret removed"})
	})
}

// checkSecret has a secret that somebody chose be as good as a made one: only
// such a secret may be kept as a plain hash.
func checkSecret(secret string) error {
	if auth.CheckPassword(secret) != nil || utf8.RuneCountInString(secret) < minSecretChars {
		return core.Errorf(core.CodeBadRequest, "the secret must be %d to 128 random characters with at least "+
			"1 uppercase letter, 1 lowercase letter and 1 number, such as openssl rand -base64 24 prints", minSecretChars)
	}
	return nil
}

// itself is the registry as a caller: first start and command line.
var itself = core.Caller{Subject: core.System}

// Bootstrap makes the system admin "admin" with that password when there is no
// account yet, and says whether it did.
func (a *App) Bootstrap(ctx context.Context, password string) (created bool, err error) {
	return a.BootstrapWith(ctx, func() (string, error) { return a.passwords.Hash(ctx, password) })
}

// BootstrapWith is Bootstrap with a hash of the password, as auth.Passwords makes
// it, which is asked for where it is needed: it takes longer than all else of a
// first start, so that one begins it early.
func (a *App) BootstrapWith(ctx context.Context, hashed func() (string, error)) (created bool, err error) {
	empty := func(s *session) (bool, error) {
		all, _, err := s.CountUsers()
		return all == 0, err
	}
	err = a.view(ctx, itself, func(s *session) error {
		created, err = empty(s)
		return err
	})
	if err != nil || !created {
		return false, err
	}
	hash, err := hashed()
	if err != nil {
		return false, err
	}
	err = a.update(ctx, itself, func(s *session) error {
		if created, err = empty(s); err != nil || !created {
			return err
		}
		_, err = s.createUser(NewUser{Username: "admin", Realname: "system admin", SysAdmin: true}, hash)
		return err
	})
	return created && err == nil, err
}

// ResetPassword sets the password of the named account for an administrator at
// the command line, ends its sessions and removes its CLI secret. A disabled
// account is enabled: it is the way back in when nobody else can.
func (a *App) ResetPassword(ctx context.Context, username, password string) error {
	hash, err := a.passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	return a.update(ctx, itself, func(s *session) error {
		u, err := s.UserByName(username)
		if errors.Is(err, store.ErrNoRow) {
			return core.Errorf(core.CodeNotFound, "there is no user %q; name one that exists, such as admin", core.Clip(username, 64))
		}
		if err != nil {
			return err
		}
		u.Disabled = false
		return s.setPassword(u, hash, true)
	})
}
