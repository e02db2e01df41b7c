package main

import (
	"context"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/jobs"
)

// runRetention does the jobs of retention policies.
func runRetention(a *app.App) jobs.Handler {
	return func(ctx context.Context, run *jobs.Run) error {
		return a.RunRetention(ctx, run.Job, func(progress app.RetentionProgress, line string) {
			run.Progress(progress)
			run.Logf("%s", line)
		})
	}
}
