package fsck

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/journal"
)

// MendJournal moves a damaged journal to the quarantine within the data folder,
// so that a new one can be written from the database. It returns nil when the
// journal is whole. No registry may run.
func MendJournal(data, dir string) (*Problem, error) {
	err := journal.Replay(dir, func(core.JournalEntry) error { return nil })
	damage, ok := errors.AsType[*journal.CorruptError](err)
	if !ok {
		return nil, err
	}
	aside := filepath.Join(data, "quarantine", time.Now().UTC().Format("journal.20060102T150405.000000Z"))
	if err := os.MkdirAll(filepath.Dir(aside), 0o750); err != nil {
		return nil, fmt.Errorf("move the damaged journal aside: %w", err)
	}
	if err := os.Rename(dir, aside); err != nil {
		return nil, fmt.Errorf("move the damaged journal aside: %w", err)
	}
	layer := journal.OSLayer{}
	err = errors.Join(layer.SyncDir(filepath.Dir(aside)), layer.SyncDir(data))
	return &Problem{Subject: "journal", Text: damage.Error(),
		Repair: "it is in " + aside + ", and a new journal is written from the database"}, err
}

// Tail is what the journal holds that the database did not commit.
type Tail struct {
	From, To uint64 // 0: nothing
	// Foreign says that more is missing than one crash can have cut off: the
	// database is new, or an older one was restored.
	Foreign bool
}

// Unsettled returns what the journal in dir holds after the entry position, the
// last that the database has. One commit writes one batch, so that a crash
// leaves one batch at most, and never one that is older than the database.
func Unsettled(ctx context.Context, checks app.Checks, dir string, position uint64) (Tail, error) {
	ahead, err := journal.ReadAhead(dir, position)
	if err != nil || ahead.From == 0 {
		return Tail{}, err
	}
	made, err := checks.DatabaseMade(ctx)
	foreign := ahead.Batches > 1 || ahead.Since.Before(made)
	return Tail{From: ahead.From, To: ahead.To, Foreign: foreign}, err
}
