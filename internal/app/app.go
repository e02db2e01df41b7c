// Package app holds the use cases of the registry. Each one authorises the
// caller, makes its change and writes the audit row in one transaction; no
// other package decides who may do what. Transports (web, registry) translate
// requests into calls of this package and errors back.
package app

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// Content reads what blobs hold.
type Content interface {
	// ReadBlob returns the bytes of a blob of at most max bytes; a larger one
	// is CodeTooLarge.
	ReadBlob(ctx context.Context, blob core.Blob, max int64) ([]byte, error)
}

// App is the use cases over one store.
type App struct {
	store       *store.Store
	content     Content
	log         *slog.Logger
	passwords   *auth.Passwords
	remembered  *auth.Remembered
	throttle    *auth.Throttle
	events      *events
	settings    settings
	policies    policies
	scanner     Scanner                           // nil: nothing can be scanned
	scanned     announcements                     // of scans that were kept
	allowlist   atomic.Pointer[core.CVEAllowlist] // of the registry
	days        dayCache
	trustHosts  trustHosts
	anchorCheck AnchorCheck   // nil: see CheckTrustAnchors
	jobs        chan struct{} // filled when a job is queued or is to be stopped
}

// New makes the use cases over st. Call Run to have their background work
// done, and Close before the store is closed.
func New(ctx context.Context, st *store.Store, content Content, log *slog.Logger) (*App, error) {
	a := &App{
		store:      st,
		content:    content,
		log:        log,
		passwords:  auth.NewPasswords(),
		remembered: auth.NewRemembered(time.Now),
		throttle:   auth.NewThrottle(time.Now),
		events:     newEvents(st, log),
		jobs:       make(chan struct{}, 1),
	}
	if err := a.loadSettings(ctx); err != nil {
		return nil, err
	}
	if err := a.loadAllowlist(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

// Close writes the audit events that still wait.
func (a *App) Close() { a.events.close() }

// view runs fn with the caller's rights as they are now, reading only.
func (a *App) view(ctx context.Context, c core.Caller, fn func(*session) error) error {
	return a.result(c, a.look(ctx, c, fn))
}

// look is view for one who may look again: it audits nothing, and its error is
// for result.
func (a *App) look(ctx context.Context, c core.Caller, fn func(*session) error) error {
	return a.store.View(ctx, func(tx *store.Tx) error {
		return a.in(tx, c, fn)
	})
}

// update runs fn with the caller's rights as they are now, and commits what it
// changed together with its audit rows.
func (a *App) update(ctx context.Context, c core.Caller, fn func(*session) error) error {
	err := a.store.Update(ctx, func(tx *store.Tx) error { return a.in(tx, c, fn) })
	return a.result(c, err)
}

// lease is update for a change that only lets a push go on: a power cut may undo
// it until the manifest that the push ends with, or any other update, is durable.
func (a *App) lease(ctx context.Context, c core.Caller, fn func(*session) error) error {
	err := a.store.UpdateRelaxed(ctx, func(tx *store.Tx) error { return a.in(tx, c, fn) })
	return a.result(c, err)
}

func (a *App) in(tx *store.Tx, c core.Caller, fn func(*session) error) error {
	s, err := a.session(tx, c)
	if err != nil {
		return err
	}
	return fn(s)
}

// result makes the error of a transaction one that a transport may show, and
// has a denial, or a refusal by policy, audited.
func (a *App) result(c core.Caller, err error) error {
	if errors.Is(err, store.ErrNoRow) {
		err = &core.Error{Code: core.CodeNotFound, Message: "not found", Err: err}
	}
	if d, ok := errors.AsType[interface {
		error
		event(core.Caller) core.AuditEvent
	}](err); ok {
		a.events.add(d.event(c))
	}
	return err
}
