package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// maxWaiting bounds how many pulls wait for scans; more are refused at once.
const maxWaiting = 100

// announcements lets pulls wait for the next scan to be kept.
type announcements struct {
	mu      sync.Mutex
	next    chan struct{} // closed with the next one
	waiting int
}

func (n *announcements) announce() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next != nil {
		close(n.next)
		n.next = nil
	}
}

// listen returns what the next announcement closes.
func (n *announcements) listen() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next == nil {
		n.next = make(chan struct{})
	}
	return n.next
}

// enter takes one of the places to wait in, if there is one.
func (n *announcements) enter() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting >= maxWaiting {
		return false
	}
	n.waiting++
	return true
}

func (n *announcements) leave() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting--
}

// afterScan runs look. Where that refuses because an image was never scanned,
// it has it scanned, waits as long as the project says, and looks again.
func (a *App) afterScan(ctx context.Context, look func() error) error {
	err := look()
	r, refused := errors.AsType[*refusal](err)
	if !refused || !r.verdict.Unscanned || a.scanner == nil {
		return err
	}
	if e := a.scanForPull(ctx, r.asked.Digest); e != nil {
		return e
	}
	if r.policy.ScanWait <= 0 || !a.scanned.enter() {
		return err
	}
	defer a.scanned.leave()
	timeout := time.NewTimer(r.policy.ScanWait)
	defer timeout.Stop()
	for {
		next := a.scanned.listen()
		if err = look(); !waitsForScan(err) {
			return err
		}
		select {
		case <-next:
		case <-timeout.C:
			return err
		case <-ctx.Done():
			return err
		}
	}
}

func waitsForScan(err error) bool {
	r, refused := errors.AsType[*refusal](err)
	return refused && r.verdict.Unscanned
}

// scanForPull queues the scan that a pull waits for, before those of pushes.
func (a *App) scanForPull(ctx context.Context, digest string) error {
	return a.update(ctx, itself, func(s *session) error {
		wanted := imageToScan{digest}.parameters()
		open, err := s.OpenJobs(scanJobs, []string{wanted})
		if err != nil || open[wanted].Status == core.JobRunning {
			return err
		}
		return s.queueScan(JobScanPull, digest, core.JobTriggerEvent)
	})
}
