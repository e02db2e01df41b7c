package vulndb

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/quay/claircore/datastore"
	"github.com/quay/claircore/libvuln/driver"

	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

// Batch is several updates, each of another updater, that readers see at one
// moment or never. It is for one goroutine. Commit or Rollback must be called:
// until then nothing is cleaned from the database. A batch that a crash leaves
// is never seen, and undone as its updaters run again.
type Batch struct {
	store   *Store
	parts   []*importing
	unlocks []func()
	names   map[string]bool
	ended   bool
}

// Begin begins a batch.
func (s *Store) Begin() *Batch {
	s.cleaning.RLock()
	return &Batch{store: s, names: map[string]bool{}}
}

// UpdateVulnerabilitiesIter is Store's, shown by Commit.
func (b *Batch) UpdateVulnerabilitiesIter(ctx context.Context, updater string, fingerprint driver.Fingerprint, vulns datastore.VulnerabilityIter) (uuid.UUID, error) {
	return b.add(ctx, vulnRows, updater, fingerprint, func(im *importing) error { return im.vulnerabilities(ctx, vulns, nil) })
}

// UpdateEnrichmentsIter is Store's, shown by Commit.
func (b *Batch) UpdateEnrichmentsIter(ctx context.Context, updater string, fingerprint driver.Fingerprint, records datastore.EnrichmentIter) (uuid.UUID, error) {
	return b.add(ctx, enrichmentRows, updater, fingerprint, func(im *importing) error { return im.enrichments(ctx, records) })
}

func (b *Batch) add(ctx context.Context, kind rowKind, updater string, fingerprint driver.Fingerprint, fill func(*importing) error) (uuid.UUID, error) {
	name := string(kind.kind) + "/" + updater
	if b.ended || b.names[name] {
		return uuid.Nil, fmt.Errorf("update of %s: it is in the batch already, or the batch has ended", updater)
	}
	im, unlock, err := b.store.start(ctx, kind, updater, fingerprint)
	if err != nil {
		return uuid.Nil, fmt.Errorf("begin update of %s: %w", updater, err)
	}
	b.names[name] = true
	b.parts, b.unlocks = append(b.parts, im), append(b.unlocks, unlock)
	if err := fill(im); err != nil {
		return uuid.Nil, fmt.Errorf("update of %s: %w", updater, err)
	}
	im.intern, im.seen = nil, bitmap{} // they are large, and done with
	return im.ref, nil
}

// Commit shows all updates. When it fails none is shown.
func (b *Batch) Commit(ctx context.Context) error {
	if b.ended {
		return errors.New("the batch has ended")
	}
	err := b.store.file.Write(ctx, func(c *dbfile.Conn) error {
		for _, im := range b.parts {
			if err := im.showIn(c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("commit a batch of updates: %w", err)
	}
	b.end()
	changed := int64(0)
	for _, im := range b.parts {
		changed += im.changed
	}
	b.store.settleAfter(ctx, changed)
	return nil
}

// Rollback takes back what was not committed. After Commit it does nothing.
func (b *Batch) Rollback() error {
	if b.ended {
		return nil
	}
	defer b.end()
	var errs []error
	for _, im := range b.parts {
		errs = append(errs, b.store.undoOperation(context.Background(), im.rowKind, unfinished{im.op, im.stream, 0, 0}))
	}
	return errors.Join(errs...)
}

func (b *Batch) end() {
	b.ended = true
	for _, unlock := range b.unlocks {
		unlock()
	}
	b.store.cleaning.RUnlock()
}
