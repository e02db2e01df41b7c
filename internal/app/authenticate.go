package app

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// maxLoginName bounds the names that are looked up, in bytes: a robot's full
// name has two parts of at most 255.
const maxLoginName = 1024

// attempt is one login.
type attempt struct {
	username, secret string
	origin           core.Origin
	interactive      bool // at the sign-in page: the password of a user, nothing else
}

// candidate is the account that an attempt names, with what its secret is
// checked against.
type candidate struct {
	subject  core.Subject
	name     string
	password string // argon2id hash; empty admits none
	secret   string // SHA-256 of a CLI or robot secret; empty admits none
	refused  error  // why the account may not be used although its secret is right
}

// outcome is what became of an attempt.
type outcome struct {
	right      bool
	remembered bool // right, and verified within the last minute already
}

// throttledError is the refusal of a login before its secret was looked at.
type throttledError struct {
	error
	after time.Duration
}

// Unwrap lets the code and the message be found.
func (e *throttledError) Unwrap() error { return e.error }

// RetryAfter is how long the client has to wait.
func (e *throttledError) RetryAfter() time.Duration { return e.after }

func throttled(wait time.Duration) error {
	return &throttledError{error: auth.TooManyLogins(wait), after: wait}
}

// wrongCredentials is the one answer to all failed logins, so that it does not
// tell which accounts exist.
func wrongCredentials() error {
	return core.Errorf(core.CodeUnauthorized, "wrong username or password; check both and try again")
}

// Authenticate returns who may use username with secret: a user with the
// password or the CLI secret, or a robot account with its secret. Failures are
// CodeUnauthorized, or CodeTooManyRequests after many of them. Logins are in
// the audit log, but not those that repeat one of the last minute.
func (a *App) Authenticate(ctx context.Context, username, secret string, origin core.Origin) (core.Subject, error) {
	who, err := a.authenticate(ctx, attempt{username: username, secret: secret, origin: origin})
	return who.subject, err
}

func (a *App) authenticate(ctx context.Context, t attempt) (candidate, error) {
	address := addressOf(t.origin)
	if wait, ok := a.throttle.Allow(t.username, address); !ok {
		return candidate{}, throttled(wait)
	}
	who, err := a.candidate(ctx, t)
	if err != nil {
		return candidate{}, err
	}
	result, err := a.verify(ctx, who, t)
	if err != nil {
		return candidate{}, err
	}
	if !result.right {
		a.throttle.Failed(t.username, address)
		a.loginEvent(t, core.Anonymous, false, "wrong username or password")
		return candidate{}, wrongCredentials()
	}
	if who.refused != nil {
		a.loginEvent(t, who.subject, false, core.ErrorMessage(who.refused))
		return candidate{}, who.refused
	}
	if result.remembered {
		return who, nil
	}
	if wait, ok := a.throttle.Succeeded(t.username, address); !ok {
		return candidate{}, throttled(wait)
	}
	a.loginEvent(t, who.subject, true, "")
	return who, nil
}

func addressOf(o core.Origin) netip.Addr {
	address, err := netip.ParseAddr(o.Address)
	if err != nil {
		return netip.Addr{} // a Unix socket: all its clients are one
	}
	return address
}

// candidate looks up the account. A name that is nobody's gives an empty one.
func (a *App) candidate(ctx context.Context, t attempt) (who candidate, err error) {
	if len(t.username) > maxLoginName || !utf8.ValidString(t.username) || strings.ContainsRune(t.username, 0) {
		return candidate{}, nil
	}
	err = a.store.View(ctx, func(tx *store.Tx) error {
		if strings.HasPrefix(t.username, core.RobotPrefix) {
			who, err = robotCandidate(tx, t)
		} else {
			who, err = userCandidate(tx, t)
		}
		return err
	})
	if errors.Is(err, store.ErrNoRow) {
		return candidate{}, nil
	}
	return who, err
}

func userCandidate(tx *store.Tx, t attempt) (candidate, error) {
	u, err := tx.UserByName(t.username)
	if err != nil {
		return candidate{}, err
	}
	who := candidate{subject: core.Subject{Kind: core.KindUser, ID: u.ID}, name: u.Username, password: u.Credential.PasswordHash}
	if !t.interactive {
		who.secret = u.Credential.SecretHash
	}
	if u.Disabled {
		who.refused = disabledAccount(u.Username)
	}
	return who, nil
}

func robotCandidate(tx *store.Tx, t attempt) (candidate, error) {
	r, err := tx.RobotByName(t.username)
	if err != nil || t.interactive {
		return candidate{}, err
	}
	return candidate{subject: core.Subject{Kind: core.KindRobot, ID: r.ID}, name: r.Name, secret: r.SecretHash, refused: usable(r, tx)}, nil
}

// verify checks the secret. A login that ends in a password check takes the
// same time whether the account exists or not.
func (a *App) verify(ctx context.Context, who candidate, t attempt) (outcome, error) {
	if auth.SecretMatches(who.secret, t.secret) {
		return a.recall(who, who.secret, t), nil
	}
	if who.subject.Kind == core.KindRobot {
		return outcome{}, nil
	}
	if who.password == "" {
		return outcome{}, a.passwords.VerifyNobody(ctx, t.secret)
	}
	if !t.interactive && a.remembered.Knows(memoryKey(who, who.password), t.secret) {
		return outcome{right: true, remembered: true}, nil
	}
	right, err := a.passwords.Verify(ctx, who.password, t.secret)
	if err != nil || !right {
		return outcome{}, err
	}
	a.remembered.Remember(memoryKey(who, who.password), t.secret)
	return outcome{right: true}, nil
}

// recall says whether a right secret is one of the last minute, and remembers it.
func (a *App) recall(who candidate, hash string, t attempt) outcome {
	key := memoryKey(who, hash)
	known := a.remembered.Knows(key, t.secret)
	if !known {
		a.remembered.Remember(key, t.secret)
	}
	return outcome{right: true, remembered: known}
}

// memoryKey holds the stored hash, so that nothing has to be forgotten: a new
// password has a new key.
func memoryKey(who candidate, hash string) string { return who.subject.String() + " " + hash }

func (a *App) loginEvent(t attempt, subject core.Subject, success bool, description string) {
	name := core.Clip(strings.ReplaceAll(t.username, "\x00", ""), 255)
	kind := string(core.KindUser)
	if strings.HasPrefix(name, core.RobotPrefix) {
		kind = string(core.KindRobot)
	}
	a.events.add(core.AuditEvent{Actor: subject.String(), Username: name, Origin: t.origin, Operation: "login",
		ResourceType: kind, Resource: name, Success: success, Description: description})
}
