package main

import (
	"context"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// stream is requests that come due at a fixed rate, whether or not the ones
// before them were answered: what clients do that know nothing of each other.
type stream struct {
	rate    int // a second
	workers []worker
}

// worker prepares one piece of work, ahead of its time, and returns what does it.
type worker func() (func(context.Context) error, error)

// timing is what became of one piece of work. It took the time from the moment
// when it was due: where the server is slow and all workers wait for it, the
// time until one of them is free counts too.
type timing struct {
	due        time.Time
	late, took time.Duration // until it was begun, and until it was done
}

// duesAhead bounds how much may be due that no worker has begun.
const duesAhead = 1 << 16

// run works until stop is closed and what came due is done.
func (s *stream) run(ctx context.Context, stop <-chan struct{}) ([]timing, error) {
	group, ctx := errgroup.WithContext(ctx)
	dues := make(chan time.Time, duesAhead)
	group.Go(func() error { s.clock(ctx, stop, dues); return nil })
	seen := make([][]timing, len(s.workers))
	for i, w := range s.workers {
		group.Go(func() (err error) {
			seen[i], err = w.run(ctx, dues)
			return err
		})
	}
	err := group.Wait()
	return slices.Concat(seen...), err
}

// clock says what is due. It has a thread of its own, which sleeps more
// precisely than the timers of the runtime, whose milliseconds would count.
func (s *stream) clock(ctx context.Context, stop <-chan struct{}, dues chan<- time.Time) {
	defer close(dues)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := time.Now()
	for n := time.Duration(1); ; n++ {
		due := began.Add(n * time.Second / time.Duration(s.rate))
		sleepUntil(due)
		select {
		case <-ctx.Done():
			return
		case <-stop:
			return
		case dues <- due:
		}
	}
}

func (w worker) run(ctx context.Context, dues <-chan time.Time) (seen []timing, err error) {
	for {
		work, err := w()
		if err != nil {
			return seen, err
		}
		due, ok := <-dues
		if !ok {
			return seen, nil
		}
		began := time.Now()
		if err := work(ctx); err != nil {
			return seen, err
		}
		seen = append(seen, timing{due, began.Sub(due), time.Since(due)})
	}
}

// percentile is the time within which that part of the sorted times is.
func percentile(sorted []time.Duration, part float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(part*float64(len(sorted))))]
}
