package journal

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// numbers is a range of sequence numbers, both ends included.
type numbers struct{ from, to uint64 }

// Replay calls visit for every entry of the journal in dir, in the order they
// were written, and stops at its first error. Aborted entries are left out, so
// are the aborts themselves and what Open would cut off. It changes nothing and
// returns a *CorruptError for a damaged file.
func Replay(dir string, visit func(core.JournalEntry) error) error {
	return replay(dir, func(_ line, e core.JournalEntry) error { return visit(e) })
}

// replay is Replay with the line of each entry.
func replay(dir string, visit func(line, core.JournalEntry) error) error {
	aborted, last, err := findAborted(dir)
	if err != nil {
		return err
	}
	_, err = scanAll(dir, func(l line) error {
		// Later entries came meanwhile; an abort of theirs is not known.
		if l.seq > last {
			return nil
		}
		for len(aborted) > 0 && aborted[0].to < l.seq {
			aborted = aborted[1:]
		}
		if len(aborted) > 0 && aborted[0].from <= l.seq {
			return nil
		}
		e, err := l.decode()
		if err != nil || e.Op == core.JournalAbort {
			return err
		}
		return visit(l, e)
	})
	return err
}

// findAborted returns the aborted ranges by their beginning, and the number of
// the last entry.
func findAborted(dir string) (ranges []numbers, last uint64, err error) {
	mark := []byte(`"op":"` + core.JournalAbort + `"`)
	last, err = scanAll(dir, func(l line) error {
		if !bytes.Contains(l.entry, mark) {
			return nil
		}
		e, err := l.decode()
		if err == nil && e.Op == core.JournalAbort {
			ranges = append(ranges, numbers{e.From, e.To})
		}
		return err
	})
	slices.SortFunc(ranges, func(a, b numbers) int { return cmp.Compare(a.from, b.from) })
	return ranges, last, err
}

// scanAll goes through all files and returns the number of the last entry.
func scanAll(dir string, visit func(line) error) (last uint64, err error) {
	count, err := countFiles(dir)
	if err != nil {
		return 0, err
	}
	for number := 1; number <= count; number++ {
		s := scan{name: fileName(dir, number), newest: number == count, last: last}
		if err := s.run(visit); err != nil {
			return 0, err
		}
		last = s.last
	}
	return last, nil
}
