package app

import (
	"context"
	"slices"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// JobScrub is the kind of the jobs that read all blobs again, slowly.
const JobScrub = "SCRUB"

// QueueScrub queues a pass over all blobs when the settings ask for one by now,
// and none waits or runs.
func (a *App) QueueScrub(ctx context.Context) error {
	settings := a.Settings()
	if settings.ScrubRate == 0 {
		return nil
	}
	due := false
	err := a.store.View(ctx, func(tx *store.Tx) error {
		state, err := tx.Scrub()
		if err != nil {
			return err
		}
		running, err := tx.RunningJobs()
		busy := slices.ContainsFunc(running, func(j core.Job) bool { return j.Kind == JobScrub })
		due = !busy && (state.Position > 0 || tx.Now().Sub(state.Ended) >= settings.ScrubInterval)
		return err
	})
	if err != nil || !due {
		return err
	}
	return a.update(ctx, itself, func(s *session) error {
		_, err := s.queue(newJob{kind: JobScrub, trigger: core.JobTriggerSchedule, parameters: struct{}{}})
		return err
	})
}

// ScrubPosition returns the blob after which the pass goes on, 0 at its start.
func (c Checks) ScrubPosition(ctx context.Context) (int64, error) {
	state, err := read(ctx, c, (*store.Tx).Scrub)
	return state.Position, err
}

// SetScrubPosition keeps how far the pass has come.
func (c Checks) SetScrubPosition(ctx context.Context, after int64) error {
	return c.app.store.Update(ctx, func(tx *store.Tx) error { return tx.SetScrubPosition(after) })
}

// EndScrub notes that the pass has come to its end.
func (c Checks) EndScrub(ctx context.Context) error {
	return c.app.store.Update(ctx, (*store.Tx).EndScrub)
}

// ScrubRate is how fast blobs are to be read now, in bytes a second; 0 is not
// at all.
func (c Checks) ScrubRate() int64 { return c.app.Settings().ScrubRate }
