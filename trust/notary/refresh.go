package notary

import (
	"context"
	"errors"
	"time"

	canonical "github.com/docker/go/canonical/json"
	"github.com/theupdateframework/notary/tuf/data"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/seal"
)

// refreshEvery is how often the registry looks for what runs out.
const refreshEvery = time.Hour

// maxDue is how many GUNs one look takes.
const maxDue = 1000

var system = core.Caller{Subject: core.System}

// Run keeps what the registry signs from expiring, and the facts about
// signatures true when others expire, until ctx ends.
func (s *Server) Run(ctx context.Context) {
	if err := s.Reseal(ctx); err != nil && ctx.Err() == nil {
		s.log.Error("keys of the trust server cannot be opened; repositories with such keys cannot be signed", "error", err)
	}
	if err := s.app.NoteTrustHosts(ctx); err != nil && ctx.Err() == nil {
		s.log.Error("trust data could not be judged by the names of the registry", "error", err)
	}
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	for {
		s.refreshDue(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-s.wake:
		}
	}
}

// Reseal seals every key with the master key that seals now, after a change of it.
func (s *Server) Reseal(ctx context.Context) error {
	return s.app.ResealTUFKeys(ctx, func(gun string, key core.TUFKey) ([]byte, error) {
		if s.box.Current(key.Sealed) {
			return nil, nil
		}
		secret, err := s.box.Open(key.Sealed, sealContext(gun, key))
		if err != nil {
			return nil, err
		}
		return s.box.Seal(secret, sealContext(gun, key)), nil
	})
}

func (s *Server) refreshDue(ctx context.Context) {
	due, err := s.app.DueGUNs(ctx, time.Now(), maxDue)
	failed, last := 0, err
	for _, gun := range due {
		if ctx.Err() != nil {
			return
		}
		if err := s.refresh(ctx, gun); err != nil {
			failed, last = failed+1, err
		}
	}
	if last != nil && ctx.Err() == nil {
		s.log.Error("trust data could not be signed again", "repositories", failed, "error", last)
	}
}

// refresh signs again what runs out soon. Callers at the same time share one run.
func (s *Server) refresh(ctx context.Context, gun string) error {
	_, err, _ := s.refreshing.Do(gun, func() (any, error) {
		return nil, s.refreshNow(context.WithoutCancel(ctx), gun)
	})
	return err
}

func (s *Server) refreshNow(ctx context.Context, gun string) error {
	state, err := s.app.TUFState(ctx, system, gun)
	if err != nil || state.RefreshAt.IsZero() || state.RefreshAt.After(time.Now()) {
		return err
	}
	update, err := judgeRefresh(state, s.box, s.lives)
	if err != nil {
		return err
	}
	err = s.app.PublishTUF(ctx, system, gun, update)
	if errors.Is(err, app.ErrTUFMoved) {
		return nil // another change was first, and brought a new timestamp
	}
	return err
}

// judgeRefresh says what the passing of time makes of a GUN: the registry's own
// signatures are made again when half their life is over, and the rest is judged
// by what has not expired.
func judgeRefresh(state app.TUFState, box *seal.Box, lives Lives) (app.TUFUpdate, error) {
	j := newJudgement(state, box, lives)
	if err := j.readRoot(); err != nil {
		return app.TUFUpdate{}, err
	}
	role, err := j.root.BuildBaseRole(data.CanonicalSnapshotRole)
	if err != nil {
		return app.TUFUpdate{}, err
	}
	if j.ring.holds(role) && due(j.before[snapshot], lives.Snapshot) {
		if err := j.signSnapshot(); err != nil {
			return app.TUFUpdate{}, err
		}
	}
	if len(j.made) > 0 || due(j.before[timestamp], lives.Timestamp) {
		if err := j.makeTimestamp(); err != nil {
			return app.TUFUpdate{}, err
		}
	}
	// Whatever is wrong with the rest, clients will see; nothing counts then.
	var problem error
	j.chain, problem = readChain(state.Name, j.after, j.ring.holds)
	return j.update(problem), nil
}

func due(file core.TUFFile, life time.Duration) bool {
	return renewAt(expiresOf(file), life).Before(time.Now())
}

// expiresOf reads when a stored file expires.
func expiresOf(file core.TUFFile) time.Time {
	var m data.SignedMeta
	_ = canonical.Unmarshal(file.Content, &m) // it was read before it was stored
	return m.Signed.Expires
}
