package journal

import (
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Ahead is what the journal holds after some entry, without what is aborted.
type Ahead struct {
	From, To uint64    // the first and the last of the entries; 0 when there are none
	Batches  int       // how many batches they are
	Since    time.Time // when the first was written
}

// ReadAhead returns what the journal in dir holds after the entry position. It
// reads all files.
func ReadAhead(dir string, position uint64) (Ahead, error) {
	var found Ahead
	var batch uint64
	err := replay(dir, func(l line, e core.JournalEntry) error {
		if l.seq <= position {
			return nil
		}
		if found.From == 0 {
			found.From, found.Since = l.seq, e.Time
		}
		found.To = l.seq
		if l.batch != batch {
			batch = l.batch
			found.Batches++
		}
		return nil
	})
	return found, err
}
