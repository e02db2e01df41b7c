package scanner

import (
	"context"
	"net/http"
	"time"

	"github.com/quay/claircore"
	"github.com/quay/claircore/datastore"
	"github.com/quay/claircore/enricher/cvss"
	"github.com/quay/claircore/enricher/kev"
	"github.com/quay/claircore/indexer"
	"github.com/quay/claircore/libvuln"
	"github.com/quay/claircore/libvuln/driver"
	"github.com/quay/claircore/libvuln/updates"

	"github.com/breakwater-registry/breakwater/scanner/scandb"
	"github.com/breakwater-registry/breakwater/scanner/vulndb"
)

// Stores returns the engine's own stores, to put them beside claircore's.
func (e *Engine) Stores(ctx context.Context) (*scandb.Store, *vulndb.Store, error) {
	o, err := e.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	return o.scans, o.vulns, nil
}

// IndexWith indexes an image as Scan does, with another store.
func (e *Engine) IndexWith(ctx context.Context, store indexer.Store, image Image) (*claircore.IndexReport, time.Duration, error) {
	if _, err := e.open(ctx); err != nil { // makes the mapping files
		return nil, 0, err
	}
	index, err := e.newIndexer(ctx, store)
	if err != nil {
		return nil, 0, err
	}
	began := time.Now()
	report, err := e.index(ctx, &opened{index: index}, image)
	return report, time.Since(began), err
}

// MatchWith makes claircore's own report, CVSS and KEV included, with any store.
func MatchWith(ctx context.Context, store datastore.MatcherStore, index *claircore.IndexReport) (*claircore.VulnerabilityReport, time.Duration, error) {
	matchers, err := guardedMatchers(ctx)
	if err != nil {
		return nil, 0, err
	}
	lib, err := libvuln.New(ctx, &libvuln.Options{Store: store, Locker: updates.NewLocalLockSource(), Client: http.DefaultClient,
		DisableBackgroundUpdates: true, UpdaterSets: []string{}, MatcherNames: []string{}, Matchers: matchers,
		Enrichers: []driver.Enricher{&cvss.Enricher{}, &kev.Enricher{}}})
	if err != nil {
		return nil, 0, err
	}
	began := time.Now()
	report, err := lib.Scan(ctx, index)
	return report, time.Since(began), err
}
