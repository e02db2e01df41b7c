package app

import (
	"context"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// DecideAndRemove runs the job in one repository, with something that happens
// between the decision and the deletion, and returns the fates by digest.
func (a *App) DecideAndRemove(ctx context.Context, job core.Job, repository string, between func()) (map[string]core.Fate, error) {
	run := retentionRun{app: a, job: job}
	if _, err := run.plan(ctx); err != nil {
		return nil, err
	}
	candidates, fates, err := run.decide(ctx, repository)
	if err != nil {
		return nil, err
	}
	between()
	err = run.remove(ctx, repository, candidates, fates)
	all := map[string]core.Fate{}
	for i, c := range candidates {
		all[c.Digest] = fates[i]
	}
	return all, err
}
