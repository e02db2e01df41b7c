package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// settings is the snapshot that is in force. It is replaced as a whole, in the
// order of the commits.
type settings struct {
	current atomic.Pointer[core.Settings]
}

// Settings returns what is in force now.
func (a *App) Settings() core.Settings { return *a.settings.current.Load() }

func (a *App) loadSettings(ctx context.Context) error {
	return a.store.View(ctx, func(tx *store.Tx) error {
		stored, err := storedSettings(tx)
		if err == nil {
			a.settings.current.Store(&stored)
		}
		return err
	})
}

// storedSettings are the defaults with what the database says. A value that is
// not allowed stops the caller: to go on with a default could open what an
// administrator had closed.
func storedSettings(tx *store.Tx) (core.Settings, error) {
	result := core.DefaultSettings()
	rows, err := tx.Settings()
	if err != nil {
		return result, err
	}
	for _, key := range core.SettingKeys() {
		text, ok := rows[key]
		if !ok {
			continue
		}
		if result, err = result.With(key, text); err != nil {
			return result, fmt.Errorf("the setting %s in the database: %w", key, err)
		}
	}
	return result, nil
}

// writable refuses changes of images while the registry is read-only. The text
// is Harbor's.
func (a *App) writable() error {
	if a.Settings().ReadOnly {
		return core.Errorf(core.CodeDenied, "The system is in read only mode. Any modification is prohibited.")
	}
	return nil
}

// Configuration returns the settings to a system admin.
func (a *App) Configuration(ctx context.Context, c core.Caller) (result core.Settings, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResConfiguration, core.ActRead); err != nil {
			return err
		}
		result, err = storedSettings(s.Tx)
		return err
	})
	return result, err
}

// Configure changes settings, all or none: keys to values as Settings.With
// reads them. They are in force when it returns.
func (a *App) Configure(ctx context.Context, c core.Caller, changes map[string]string) error {
	return a.ConfigureSeen(ctx, c, changes, nil)
}

// ConfigureSeen is Configure for somebody who has decided on the changes when
// the settings were as seen, keys to values as Settings.Get writes them:
// CodeConflict when one of them is another by now.
func (a *App) ConfigureSeen(ctx context.Context, c core.Caller, changes, seen map[string]string) error {
	return a.update(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResConfiguration, core.ActUpdate); err != nil {
			return err
		}
		next, err := storedSettings(s.Tx)
		if err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(seen)) {
			if now, err := next.Get(key); err != nil {
				return err
			} else if now != seen[key] {
				return core.Errorf(core.CodeConflict, "%s was changed by someone else meanwhile; look at it and save again", key)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(changes)) {
			if next, err = s.configure(next, key, changes[key]); err != nil {
				return err
			}
		}
		s.AfterCommit(func() { a.settings.current.Store(&next) })
		return nil
	})
}

func (s *session) configure(old core.Settings, key, text string) (core.Settings, error) {
	next, err := old.With(key, text)
	if err != nil || next == old {
		return next, err
	}
	before, err := old.Get(key)
	if err != nil {
		return next, err
	}
	after, err := next.Get(key)
	if err != nil {
		return next, err
	}
	if err := s.SetSetting(key, after); err != nil {
		return next, err
	}
	return next, s.audit(act{operation: "update", resourceType: "configuration", resource: key,
		description: fmt.Sprintf("%q -> %q", core.Clip(before, 200), core.Clip(after, 200))})
}
