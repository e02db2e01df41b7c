package scanner

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"github.com/quay/claircore"
)

// pruneBatch is how many images Prune asks about at once.
const pruneBatch = 100

// Prune forgets the images, of those that were scanned, that gone lists, and
// what was in no other. No image is scanned while gone is asked and what it
// lists is forgotten: one that comes back meanwhile is scanned after that. A
// scanner that was never used stays unopened.
func (e *Engine) Prune(ctx context.Context, gone func(ctx context.Context, digests []string) ([]string, error)) error {
	if !e.used() {
		return nil
	}
	o, err := e.open(ctx)
	if err != nil {
		return err
	}
	known, err := o.scans.Manifests(ctx)
	if err != nil {
		return err
	}
	forgot := 0
	for batch := range slices.Chunk(known, pruneBatch) {
		err := e.alone(ctx, func() error {
			n, err := o.forget(ctx, batch, gone)
			forgot += n
			return err
		})
		if err != nil {
			return err
		}
	}
	if forgot == 0 {
		return nil
	}
	if err := e.alone(ctx, func() error { return o.scans.Sweep(ctx) }); err != nil {
		return err
	}
	return o.scans.Settle(ctx)
}

// used says whether anything was ever scanned.
func (e *Engine) used() bool {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.opened != nil {
		return true
	}
	_, err := os.Stat(filepath.Join(e.options.Data, ScanFile))
	return err == nil
}

// alone runs fn while no image is scanned.
func (e *Engine) alone(ctx context.Context, fn func() error) error {
	e.quiet.Lock() // two that take turns one by one would wait for each other
	defer e.quiet.Unlock()
	for taken := range cap(e.turns) {
		select {
		case e.turns <- struct{}{}:
		case <-ctx.Done():
			e.giveBack(taken)
			return ctx.Err()
		}
	}
	defer e.giveBack(cap(e.turns))
	return fn()
}

func (e *Engine) giveBack(turns int) {
	for range turns {
		<-e.turns
	}
}

// forget removes what is known of those of the images that are gone; it returns
// how many these were.
func (o *opened) forget(ctx context.Context, known []string, gone func(context.Context, []string) ([]string, error)) (int, error) {
	digests, err := gone(ctx, known)
	if err != nil {
		return 0, err
	}
	hashes := make([]claircore.Digest, len(digests))
	for i, digest := range digests {
		if hashes[i], err = claircore.ParseDigest(digest); err != nil {
			return 0, err
		}
	}
	forgotten, err := o.scans.DeleteManifests(ctx, hashes...)
	return len(forgotten), err
}
