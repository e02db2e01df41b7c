package app

import (
	"context"
	"errors"
	"time"

	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

const (
	// sessionLifetime ends a session however much it is used.
	sessionLifetime = 24 * time.Hour
	// sessionsPerAccount bounds the sessions of one account; the one that was
	// not used for the longest time goes first.
	sessionsPerAccount = 50
	// touchEvery is how exactly the last use of a session is known.
	touchEvery = time.Minute
	// maxSessionToken is longer than any token, in bytes.
	maxSessionToken = 100
)

func sessionEnded() error {
	return core.Errorf(core.CodeUnauthorized, "the session has ended; sign in again")
}

// SignIn begins the session of a user at a browser and returns its token, 256
// random bits of which only a hash is stored. Only a user's password signs in:
// CLI and robot secrets do not. Failures are those of Authenticate.
func (a *App) SignIn(ctx context.Context, username, password string, origin core.Origin) (token string, err error) {
	who, err := a.authenticate(ctx, attempt{username: username, secret: password, origin: origin, interactive: true})
	if err != nil {
		return "", err
	}
	token = auth.NewSecret("")
	err = a.store.Update(ctx, func(tx *store.Tx) error {
		u, err := tx.User(who.subject.ID)
		if errors.Is(err, store.ErrNoRow) || (err == nil && (u.Disabled || u.Credential.PasswordHash != who.password)) {
			return wrongCredentials() // the account changed while the password was checked
		}
		if err != nil {
			return err
		}
		if err := tx.DeleteEndedSessions(tx.Now().Add(-a.Settings().SessionTimeout)); err != nil {
			return err
		}
		return tx.CreateSession(store.Session{Hash: auth.HashSecret(token), AccountID: u.ID, Address: origin.Address,
			Agent: origin.Client, ExpiresAt: tx.Now().Add(sessionLifetime)}, sessionsPerAccount)
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

// Resume returns whose session token is, and counts as its use. A session that
// has ended, by time or by a change of the account, is CodeUnauthorized.
func (a *App) Resume(ctx context.Context, token string) (core.Subject, error) {
	found, now, err := a.findSession(ctx, token)
	if err != nil {
		return core.Anonymous, err
	}
	if now.Sub(found.UsedAt) >= touchEvery {
		if err := a.touch(ctx, found); err != nil {
			return core.Anonymous, err
		}
	}
	return core.Subject{Kind: core.KindUser, ID: found.AccountID}, nil
}

// touch notes the use of a session. Where that cannot be written the session
// ends earlier, but an administrator can still free a full disk with it.
func (a *App) touch(ctx context.Context, found store.Session) error {
	err := a.store.Update(ctx, func(tx *store.Tx) error { return tx.TouchSession(found.Hash) })
	if errors.Is(err, store.ErrNoRow) {
		return sessionEnded()
	}
	if err != nil {
		a.log.WarnContext(ctx, "the use of a session could not be noted", "user_id", found.AccountID, "error", err)
	}
	return nil
}

func (a *App) findSession(ctx context.Context, token string) (found store.Session, now time.Time, err error) {
	if token == "" || len(token) > maxSessionToken {
		return found, now, sessionEnded()
	}
	err = a.store.View(ctx, func(tx *store.Tx) error {
		now = tx.Now()
		found, err = tx.Session(auth.HashSecret(token))
		return err
	})
	if errors.Is(err, store.ErrNoRow) {
		return found, now, sessionEnded()
	}
	if err == nil && (!now.Before(found.ExpiresAt) || now.Sub(found.UsedAt) > a.Settings().SessionTimeout) {
		return found, now, sessionEnded()
	}
	return found, now, err
}

// SignOut ends the session of token; one that has ended is no error.
func (a *App) SignOut(ctx context.Context, token string, origin core.Origin) error {
	found, _, err := a.findSession(ctx, token)
	if core.ErrorCode(err) == core.CodeUnauthorized {
		return nil
	}
	if err != nil {
		return err
	}
	caller := core.Caller{Subject: core.Subject{Kind: core.KindUser, ID: found.AccountID}, Origin: origin}
	return a.update(ctx, caller, func(s *session) error {
		if err := s.DeleteSession(found.Hash); err != nil {
			return err
		}
		return s.audit(act{operation: "logout", resourceType: "user", resource: s.username})
	})
}
