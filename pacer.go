package main

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// pacer has long work in the background, such as an import of CVE feeds, leave
// the machine to clients: while requests come, it works at most a fifth of the
// time, and not for long, because that is what a request may have to wait for.
// make bench-import tells whether that is little enough.
type pacer struct {
	open    atomic.Int64 // requests that are being answered
	ended   atomic.Int64 // when the last one was answered, in nanoseconds
	resumed atomic.Int64 // when the work went on, in nanoseconds
}

const (
	// piece is how long the work goes on without a rest.
	piece = 500 * time.Microsecond
	// busyFor is how long after a request the next one is expected.
	busyFor = 200 * time.Millisecond
	// restFactor is how many times as long as a piece of work took the rest is.
	restFactor = 4
	// maxRest bounds one rest. Longer pieces, such as a commit, cannot be divided.
	maxRest = 250 * time.Millisecond
)

// watch counts the requests that next answers.
func (p *pacer) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.open.Add(1)
		defer func() {
			p.open.Add(-1)
			p.ended.Store(time.Now().UnixNano())
		}()
		next.ServeHTTP(w, r)
	})
}

// rest is called often by the work. Whenever a piece is done it waits for a
// multiple of what that took, if there are clients.
func (p *pacer) rest(ctx context.Context) {
	now := time.Now()
	took := now.Sub(time.Unix(0, p.resumed.Load()))
	if took < piece {
		return
	}
	if p.open.Load() > 0 || now.Sub(time.Unix(0, p.ended.Load())) < busyFor {
		select {
		case <-ctx.Done():
		case <-time.After(min(restFactor*took, maxRest)):
		}
	}
	p.resumed.Store(time.Now().UnixNano())
}
