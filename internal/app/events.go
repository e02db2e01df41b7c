package app

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

const (
	// flushEvery is the longest that an event waits; a crash loses at most that.
	flushEvery = time.Second
	// maxEvents bounds the distinct events that wait; past it a caller waits
	// for the writer, so that none is dropped.
	maxEvents = 10_000
)

// pull is a manifest that was read: what its counters are kept by.
type pull struct {
	repositoryID, artifactID, tagID int64
}

// events collects what is worth an audit row but changes nothing else: logins,
// denials, pulls. They are committed together at most a second later, equal
// ones folded into one row with a count.
type events struct {
	store *store.Store
	log   *slog.Logger

	mu      sync.Mutex
	rows    map[core.AuditEvent]*core.AuditEvent
	order   []*core.AuditEvent
	pulls   map[pull]int64
	timer   *time.Timer
	closed  bool
	flushed sync.Mutex // held while a batch is being written
}

func newEvents(st *store.Store, log *slog.Logger) *events {
	e := &events{store: st, log: log}
	e.reset()
	return e
}

func (e *events) reset() {
	e.rows, e.order, e.pulls, e.timer = map[core.AuditEvent]*core.AuditEvent{}, nil, map[pull]int64{}, nil
}

// add queues one event that happened now.
func (e *events) add(event core.AuditEvent) { e.queue(event, pull{}) }

// addPull queues the pull of an artifact with its audit event.
func (e *events) addPull(event core.AuditEvent, p pull) { e.queue(event, p) }

func (e *events) queue(event core.AuditEvent, p pull) {
	e.mu.Lock()
	e.fold(event)
	if p.artifactID != 0 {
		e.pulls[p]++
	}
	full := len(e.order) >= maxEvents
	if e.timer == nil {
		e.timer = time.AfterFunc(flushEvery, e.flush)
	}
	e.mu.Unlock()
	if full {
		e.flush()
	}
}

// foldKey is what two events must share to be counted as one: all but what
// differs between two requests of the same act.
func foldKey(event core.AuditEvent) core.AuditEvent {
	event.Time, event.Origin.RequestID, event.Repeats = time.Time{}, "", 0
	return event
}

// fold counts the event.
func (e *events) fold(event core.AuditEvent) {
	key := foldKey(event)
	if row, ok := e.rows[key]; ok {
		row.Repeats++
		return
	}
	event.Time, event.Repeats = time.Now(), 1
	e.rows[key] = &event
	e.order = append(e.order, &event)
}

func (e *events) flush() {
	e.flushed.Lock()
	defer e.flushed.Unlock()
	e.mu.Lock()
	rows, pulls := e.order, e.pulls
	if e.timer != nil {
		e.timer.Stop()
	}
	e.reset()
	e.mu.Unlock()
	if len(rows) == 0 && len(pulls) == 0 {
		return
	}
	err := e.store.Update(context.Background(), func(tx *store.Tx) error { return writeEvents(tx, rows, pulls) })
	if err != nil {
		e.log.Error("audit events could not be written; they are kept for the next try", "events", len(rows), "error", err)
		e.restore(rows, pulls)
	}
}

// restore queues again what could not be written. Past the bound the newest
// are given up, and counted in the log.
func (e *events) restore(rows []*core.AuditEvent, pulls map[pull]int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	later := e.order
	e.order, e.rows = nil, map[core.AuditEvent]*core.AuditEvent{}
	for _, row := range append(rows, later...) {
		if len(e.order) >= 2*maxEvents {
			e.log.Error("audit events are lost", "events", len(rows)+len(later)-len(e.order))
			break
		}
		e.rows[foldKey(*row)] = row
		e.order = append(e.order, row)
	}
	for p, n := range pulls {
		e.pulls[p] += n
	}
	if e.timer == nil && !e.closed {
		e.timer = time.AfterFunc(flushEvery, e.flush)
	}
}

func writeEvents(tx *store.Tx, rows []*core.AuditEvent, pulls map[pull]int64) error {
	for _, row := range rows {
		if err := tx.AppendAudit(*row); err != nil {
			return err
		}
	}
	for p, n := range pulls {
		if err := tx.CountPulls(p.repositoryID, p.artifactID, p.tagID, n); err != nil {
			return err
		}
	}
	return nil
}

// close writes what waits. What comes later is not written any more.
func (e *events) close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.flush()
}
