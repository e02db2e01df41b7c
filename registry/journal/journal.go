package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const (
	dirPerm  = 0o750
	filePerm = 0o640
	// fileSize is when a new file begins, in bytes.
	fileSize = 64 << 20
	// keptBuffer is how much memory an append leaves for the next one.
	keptBuffer = 1 << 20
)

// Journal appends to the files of one directory. Its methods may be called
// concurrently; only one Journal may have a directory open.
type Journal struct {
	dir      string
	layer    FileLayer
	log      *slog.Logger
	fileSize int64

	mu      sync.Mutex
	file    LayerFile
	number  int    // of the file
	size    int64  // of the file, durable
	last    uint64 // sequence number of the last durable entry
	buffer  []byte
	refused error // set once nothing may be appended any more
}

// Option changes a Journal while it is opened.
type Option func(*Journal)

// WithFileLayer makes the journal write through layer instead of OSLayer.
func WithFileLayer(layer FileLayer) Option { return func(j *Journal) { j.layer = layer } }

// WithLogger makes the journal log to log instead of slog.Default().
func WithLogger(log *slog.Logger) Option { return func(j *Journal) { j.log = log } }

// WithFileSize makes a new file begin when one has reached size bytes instead
// of 64 MiB.
func WithFileSize(size int64) Option { return func(j *Journal) { j.fileSize = size } }

// Open opens the journal in dir and creates it when absent. It checks the
// newest file and cuts off, with a warning, what a crash left unfinished. The
// error is a *CorruptError when the file is damaged before its last batch.
func Open(dir string, opts ...Option) (*Journal, error) {
	j := &Journal{dir: dir, layer: OSLayer{}, log: slog.Default(), fileSize: fileSize}
	for _, opt := range opts {
		opt(j)
	}
	if err := os.MkdirAll(dir, dirPerm); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if err := j.openNewest(); err != nil {
		return nil, err
	}
	// The names may not be durable yet if the process that made them died.
	if err := errors.Join(j.layer.SyncDir(dir), j.layer.SyncDir(filepath.Dir(dir))); err != nil {
		return nil, errors.Join(fmt.Errorf("journal: %w", err), j.file.Close())
	}
	return j, nil
}

func (j *Journal) openNewest() error {
	count, err := countFiles(j.dir)
	if err != nil {
		return err
	}
	if count > 1 {
		if j.last, err = lastEntry(fileName(j.dir, count-1)); err != nil {
			return err
		}
	}
	s := scan{name: fileName(j.dir, max(count, 1)), newest: true, last: j.last}
	if count > 0 {
		if err := s.run(func(line) error { return nil }); err != nil {
			return err
		}
	}
	file, err := j.layer.OpenFile(s.name, os.O_RDWR|os.O_CREATE, filePerm)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.file, j.number, j.size, j.last = file, max(count, 1), s.size, s.last
	if s.torn > 0 {
		return j.cutTorn(s)
	}
	return nil
}

func (j *Journal) cutTorn(s scan) error {
	j.log.Warn("journal: a crash left an unfinished entry, which is cut off; nobody was told that it was stored",
		"file", s.name, "line", s.torn, "cause", s.cause, "last_entry", s.last)
	if err := j.cut(); err != nil {
		return errors.Join(fmt.Errorf("journal: cut off the unfinished end of %s: %w", s.name, err), j.file.Close())
	}
	return nil
}

// cut removes everything after the durable part of the file, durably.
func (j *Journal) cut() error {
	if err := j.file.Truncate(j.size); err != nil {
		return err
	}
	return j.file.Sync()
}

// Last returns the sequence number of the last durable entry, 0 when there is
// none.
func (j *Journal) Last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last
}

// Append writes entries as one batch and returns once they are durable, with
// the first and the last of their sequence numbers (0, 0 for no entries). It
// sets Seq and Time in entries. After an error none of them is in the journal.
// When that cannot be guaranteed either, this and every later call fail with
// CodeUnavailable.
func (j *Journal) Append(entries []core.JournalEntry) (from, to uint64, err error) {
	for _, e := range entries {
		if e.Op == core.JournalAbort {
			return 0, 0, errors.New("journal: an abort can only be written by Abort")
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.append(entries)
}

// Abort voids the entries from and to and those between: the change that they
// record did not happen. It returns once that is durable. After an error they
// are still valid.
func (j *Journal) Abort(from, to uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if from == 0 || from > to || to > j.last {
		return fmt.Errorf("journal: abort of entries %d to %d of %d", from, to, j.last)
	}
	_, _, err := j.append([]core.JournalEntry{{Op: core.JournalAbort, From: from, To: to}})
	return err
}

// Close closes the file. Every later append fails.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	j.refused = core.Errorf(core.CodeUnavailable, "the registry is shutting down: try again later")
	err := j.file.Close()
	j.file = nil
	return err
}

func (j *Journal) append(entries []core.JournalEntry) (from, to uint64, err error) {
	if j.refused != nil {
		return 0, 0, j.refused
	}
	if len(entries) == 0 {
		return 0, 0, nil
	}
	batch, err := j.encode(entries)
	if err != nil {
		return 0, 0, err
	}
	if j.size > 0 && j.size+int64(len(batch)) > j.fileSize {
		if err := j.rotate(); err != nil {
			return 0, 0, err
		}
	}
	if err := j.write(batch); err != nil {
		return 0, 0, err
	}
	from, to = j.last+1, j.last+uint64(len(entries))
	j.last = to
	return from, to, nil
}

func (j *Journal) encode(entries []core.JournalEntry) (batch []byte, err error) {
	batch = j.buffer[:0]
	now := time.Now().UTC().Truncate(time.Microsecond)
	for i := range entries {
		entries[i].Seq, entries[i].Time = j.last+1+uint64(i), now
		if batch, err = appendLine(batch, record{Batch: j.last + 1, Entry: entries[i]}); err != nil {
			return nil, err
		}
	}
	if cap(batch) <= keptBuffer {
		j.buffer = batch
	}
	return batch, nil
}

// write adds batch to the file, durably, or leaves the file as it was.
func (j *Journal) write(batch []byte) error {
	_, err := j.file.WriteAt(batch, j.size)
	if err == nil {
		err = j.file.Sync()
	}
	if err == nil {
		j.size += int64(len(batch))
		return nil
	}
	if cutErr := j.cut(); cutErr != nil {
		return j.refuse(errors.Join(err, cutErr))
	}
	return explain(err)
}

// rotate begins the next file.
func (j *Journal) rotate() error {
	name := fileName(j.dir, j.number+1)
	file, err := j.layer.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, filePerm)
	if errors.Is(err, fs.ErrExist) {
		return j.refuse(err)
	}
	if err != nil {
		return explain(err)
	}
	if err := j.layer.SyncDir(j.dir); err != nil {
		return j.refuse(errors.Join(err, file.Close()))
	}
	if err := j.file.Close(); err != nil {
		j.log.Warn("journal: close of a full file failed, its entries are durable", "file", fileName(j.dir, j.number), "error", err)
	}
	j.file, j.number, j.size = file, j.number+1, 0
	return nil
}

// refuse ends appending for good: the end of the journal is not known any more,
// and only a new Open can find it.
func (j *Journal) refuse(err error) error {
	j.refused = &core.Error{
		Code:    core.CodeUnavailable,
		Message: "the registry cannot write its journal and stores nothing until it is restarted: an administrator must check the disk of the data folder, then restart the registry",
		Err:     fmt.Errorf("journal %s: %w", fileName(j.dir, j.number), err),
	}
	j.log.Error("journal: closed for writing until restart", "error", err)
	return j.refused
}

func explain(err error) error {
	code, message := core.CodeUnavailable, "the registry could not write its journal and stored nothing: an administrator must check the disk of the data folder, then try again"
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		code, message = core.CodeNoSpace, "the registry's disk is full and nothing more can be stored: an administrator must free space, then try again"
	}
	return &core.Error{Code: code, Message: message, Err: fmt.Errorf("journal: %w", err)}
}
