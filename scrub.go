package main

import (
	"context"

	"github.com/breakwater-registry/breakwater/internal/jobs"
	"github.com/breakwater-registry/breakwater/registry/fsck"
)

// runScrub does the jobs that read all blobs again.
func runScrub(scrubber *fsck.Scrubber) jobs.Handler {
	return func(ctx context.Context, run *jobs.Run) error {
		_, err := scrubber.Run(ctx, run)
		return err
	}
}
