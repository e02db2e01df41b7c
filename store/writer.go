package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// maxBatch bounds how many transactions share one commit, and how many wait.
const maxBatch = 64

// job is one Update on its way through the writer.
type job struct {
	fn      func(*Tx) error
	relaxed bool
	tx      *Tx
	err     error
	panic   any
	done    chan struct{}
}

// Update runs fn in a write transaction and returns when it is durable.
// Transactions that wait at the same time are committed together, each in a
// savepoint of its own, so that one failing leaves the others alone. fn must
// not call View or Update, and may run on another caller's goroutine.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	return s.do(ctx, &job{fn: fn, done: make(chan struct{})})
}

// UpdateRelaxed is Update for what nobody may rely on yet: it outlives the
// process at once, but a power cut only with the next Update, whose commit makes
// all before it durable too. fn must not change the images: it may not Record.
func (s *Store) UpdateRelaxed(ctx context.Context, fn func(*Tx) error) error {
	return s.do(ctx, &job{fn: fn, relaxed: true, done: make(chan struct{})})
}

func (s *Store) do(ctx context.Context, j *job) error {
	select { // alone, because the queue may still have room
	case <-s.stop:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	default:
	}
	select {
	case s.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stop:
		return errClosed
	}
	if !s.await(j) {
		return errClosed
	}
	if j.panic != nil {
		panic(j.panic)
	}
	return j.err
}

// await returns when j, which is queued, has been done: false when the store was
// closed before. Whoever finds the writer's connection free does what is queued.
// A goroutine for that alone would cost each commit two changes of thread.
func (s *Store) await(j *job) bool {
	select {
	case <-j.done:
	case c := <-s.writer:
		s.drain(c)
	case <-s.ended:
	}
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

// drain does what is queued, as one batch, and gives the connection back.
func (s *Store) drain(c *conn) {
	defer func() { s.writer <- c }()
	if batch := s.collect(); len(batch) > 0 {
		s.runBatch(c, batch)
	}
}

// finish does the last jobs, and no others after them.
func (s *Store) finish(c *conn) {
	defer close(s.ended)
	for batch := s.collect(); len(batch) > 0; batch = s.collect() {
		s.runBatch(c, batch)
	}
}

// collect takes what has queued up, which holds the job of whoever calls.
func (s *Store) collect() []*job {
	var batch []*job
	for len(batch) < maxBatch {
		select {
		case j := <-s.jobs:
			batch = append(batch, j)
		default:
			return batch
		}
	}
	return batch
}

// runBatch does the jobs and tells who waits for them, whatever happens.
func (s *Store) runBatch(c *conn, batch []*job) {
	err := errors.New("the database writer was broken off; whether the change was kept is not known")
	defer func() {
		for _, j := range batch {
			if j.err == nil {
				j.err = err
			}
			close(j.done)
		}
	}()
	if err = s.commitBatch(c, batch); err != nil {
		return
	}
	for _, j := range batch {
		if j.err == nil && j.panic == nil {
			for _, fn := range j.tx.after {
				fn()
			}
		}
	}
}

const (
	// busyPatience is how long a commit waits for another process.
	busyPatience = 30 * time.Second
	// busyPause is how often it looks whether that is done.
	busyPause = time.Millisecond
)

// begin begins a write transaction, when no other process has one. SQLite would
// wait too, but in steps of up to 100 ms, between which a process that writes
// all the time always wins.
func (s *Store) begin(c *conn) error {
	for limit := time.Now().Add(busyPatience); ; time.Sleep(busyPause + rand.N(busyPause)) {
		_, err := c.exec(s.dialect.beginWrite)
		if !locked(err) || time.Now().After(limit) {
			return err
		}
	}
}

// commitBatch runs the jobs, journals what they did and commits. Its error
// means that nothing of the batch happened.
func (s *Store) commitBatch(c *conn, batch []*job) (err error) {
	if err := c.relax(s.dialect, relaxed(batch)); err != nil {
		return writeError("prepare", err)
	}
	if err := s.begin(c); err != nil {
		return writeError("begin", err)
	}
	committed := false
	defer func() {
		if !committed {
			_, _ = c.exec("ROLLBACK") // the error that led here is the one to report
		}
	}()
	now := time.Now()
	var entries []core.JournalEntry
	good := 0
	for _, j := range batch {
		if len(batch) == 1 {
			j.run(c, now) // what it did is rolled back with the transaction
		} else if err := runInSavepoint(c, j, now); err != nil {
			return err
		}
		if j.err == nil && j.panic == nil {
			entries = append(entries, j.tx.journal...)
			good++
		}
	}
	if good == 0 {
		return nil
	}
	var from, to uint64
	if len(entries) > 0 {
		if from, to, err = s.journal.Append(entries); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
	}
	if len(entries) > 0 {
		err = setJournalPosition(c, to)
	}
	if err == nil {
		_, err = c.exec("COMMIT")
	}
	if err == nil {
		committed = true
		return nil
	}
	err = writeError("commit", err)
	if len(entries) > 0 {
		if e := s.journal.Abort(from, to); e != nil {
			return fmt.Errorf("%w; and the journal: %w", err, e)
		}
	}
	return err
}

// relaxed says whether nobody of the batch waits for the disk.
func relaxed(batch []*job) bool {
	return !slices.ContainsFunc(batch, func(j *job) bool { return !j.relaxed })
}

// run runs the job and keeps its error or panic.
func (j *job) run(c *conn, now time.Time) {
	j.tx = &Tx{conn: c, now: now}
	func() {
		defer func() { j.panic = recover() }()
		j.err = j.fn(j.tx)
	}()
	if j.relaxed && len(j.tx.journal) > 0 {
		j.err = errors.New("a relaxed update may not change the images")
	}
	if noSpace(j.err) {
		j.err = writeError("write", j.err)
	}
}

// runInSavepoint runs one job of several. Its own error is the connection's, not
// the job's.
func runInSavepoint(c *conn, j *job, now time.Time) error {
	if _, err := c.exec("SAVEPOINT job"); err != nil {
		return writeError("savepoint", err)
	}
	j.run(c, now)
	if j.err != nil || j.panic != nil {
		if _, err := c.exec("ROLLBACK TO SAVEPOINT job"); err != nil {
			return writeError("rollback", err)
		}
	}
	if _, err := c.exec("RELEASE SAVEPOINT job"); err != nil {
		return writeError("release", err)
	}
	return nil
}

func writeError(step string, err error) error {
	if noSpace(err) {
		return &core.Error{
			Code:    core.CodeNoSpace,
			Message: "the registry's disk is full; nothing was changed. Ask the administrator to free space, then try again",
			Err:     fmt.Errorf("%s: %w", step, err),
		}
	}
	if locked(err) {
		return &core.Error{
			Code:    core.CodeUnavailable,
			Message: "another process keeps writing to the registry's database; nothing was changed. Try again later",
			Err:     fmt.Errorf("%s: %w", step, err),
		}
	}
	return fmt.Errorf("database %s: %w", step, err)
}
