package feeds_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/quay/claircore"
	"github.com/quay/claircore/datastore"
	"github.com/quay/claircore/libvuln/driver"

	"github.com/breakwater-registry/breakwater/scanner/feeds"
)

// memory is a database that keeps the latest operation of each part.
type memory struct {
	datastore.Updater // what is not used here

	mu   sync.Mutex
	part map[string]*operation
}

type operation struct {
	kind        driver.UpdateKind
	fingerprint driver.Fingerprint
	rows        []*claircore.Vulnerability
	records     []driver.EnrichmentRecord
	written     int // how many operations there were
}

func newMemory() *memory { return &memory{part: map[string]*operation{}} }

func (m *memory) get(name string) operation {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.part[name]; p != nil {
		return *p
	}
	return operation{}
}

func (m *memory) put(name string, o operation) uuid.UUID {
	m.mu.Lock()
	defer m.mu.Unlock()
	o.written = 1
	if p := m.part[name]; p != nil {
		o.written = p.written + 1
	}
	m.part[name] = &o
	return uuid.New()
}

func (m *memory) UpdateVulnerabilitiesIter(_ context.Context, name string, f driver.Fingerprint, rows datastore.VulnerabilityIter) (uuid.UUID, error) {
	o := operation{kind: driver.VulnerabilityKind, fingerprint: f}
	var failure error
	rows(func(row *claircore.Vulnerability, err error) bool {
		failure = err
		if err == nil {
			o.rows = append(o.rows, row)
		}
		return err == nil
	})
	if failure != nil {
		return uuid.Nil, failure
	}
	return m.put(name, o), nil
}

func (m *memory) UpdateEnrichmentsIter(_ context.Context, name string, f driver.Fingerprint, records datastore.EnrichmentIter) (uuid.UUID, error) {
	o := operation{kind: driver.EnrichmentKind, fingerprint: f}
	var failure error
	records(func(record *driver.EnrichmentRecord, err error) bool {
		failure = err
		if err == nil {
			o.records = append(o.records, *record)
		}
		return err == nil
	})
	if failure != nil {
		return uuid.Nil, failure
	}
	return m.put(name, o), nil
}

func (m *memory) DeltaUpdateVulnerabilities(_ context.Context, name string, f driver.Fingerprint, rows []*claircore.Vulnerability, deleted []string) (uuid.UUID, error) {
	gone := map[string]bool{}
	for _, name := range deleted {
		gone[name] = true
	}
	for _, row := range rows {
		gone[row.Name] = true
	}
	o := operation{kind: driver.VulnerabilityKind, fingerprint: f, rows: rows}
	for _, row := range m.get(name).rows {
		if !gone[row.Name] {
			o.rows = append(o.rows, row)
		}
	}
	return m.put(name, o), nil
}

func (m *memory) GetUpdateOperations(_ context.Context, kind driver.UpdateKind, names ...string) (map[string][]driver.UpdateOperation, error) {
	if len(names) != 1 {
		return nil, errors.New("one name was expected")
	}
	o := m.get(names[0])
	if o.written == 0 || o.kind != kind {
		return nil, nil
	}
	return map[string][]driver.UpdateOperation{names[0]: {{Updater: names[0], Kind: kind, Fingerprint: o.fingerprint, Date: time.Now()}}}, nil
}

func (m *memory) GC(context.Context, int) (int64, error) { return 0, nil }

// batch is several updates of a memory; what is staged is seen on Commit.
type batch struct {
	target, staged *memory
}

func (m *memory) begin(context.Context) (feeds.Batch, error) {
	return &batch{target: m, staged: newMemory()}, nil
}

func (b *batch) UpdateVulnerabilitiesIter(ctx context.Context, name string, f driver.Fingerprint, rows datastore.VulnerabilityIter) (uuid.UUID, error) {
	return b.staged.UpdateVulnerabilitiesIter(ctx, name, f, rows)
}

func (b *batch) UpdateEnrichmentsIter(ctx context.Context, name string, f driver.Fingerprint, rows datastore.EnrichmentIter) (uuid.UUID, error) {
	return b.staged.UpdateEnrichmentsIter(ctx, name, f, rows)
}

func (b *batch) Commit(context.Context) error {
	for name, o := range b.staged.part {
		b.target.put(name, *o)
	}
	return nil
}

func (b *batch) Rollback() error { return nil }
