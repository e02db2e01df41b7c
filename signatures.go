package main

import (
	"context"
	"time"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/jobs"
	"github.com/breakwater-registry/breakwater/trust/signature"
)

// runSignatures does the jobs that verify the signatures of cosign and
// notation. What cannot be read now is put off, and does not keep the others
// waiting.
func runSignatures(a *app.App) jobs.Handler {
	return func(ctx context.Context, run *jobs.Run) error {
		for done := 0; ; done++ {
			work, err := a.NextSignatures(ctx)
			if err != nil || work == nil {
				return err
			}
			found, err := verifySignatures(ctx, a, work)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				run.Logf("the signatures of %s@%s could not be verified: %s", work.Repository, work.Subject, err)
				if err := a.PutOffSignatures(ctx, work); err != nil {
					return err
				}
				continue
			}
			if err := a.SetSignatures(ctx, work, found); err != nil {
				return err
			}
			run.Progress(map[string]int{"images": done + 1})
		}
	}
}

func verifySignatures(ctx context.Context, a *app.App, work *app.SignatureWork) ([]core.Signature, error) {
	verifier, err := signature.New(work.Anchors, time.Now())
	if err != nil {
		return nil, err
	}
	var all []core.Signature
	for _, source := range work.Manifests {
		manifest, err := a.SignatureManifest(ctx, work, source)
		if err != nil {
			return nil, err
		}
		found, err := verifier.Verify(ctx, manifest, func(ctx context.Context, digest string, max int64) ([]byte, error) {
			return a.ReadSignature(ctx, source, digest, max)
		})
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}
