package journal_test

import (
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/journal"
)

func TestReadAhead(t *testing.T) {
	dir := t.TempDir()
	j, err := journal.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	put := func(n int) {
		if _, _, err := j.Append(make([]core.JournalEntry, n)); err != nil {
			t.Fatal(err)
		}
	}
	check := func(position, from, to uint64, batches int) {
		t.Helper()
		got, err := journal.ReadAhead(dir, position)
		if err != nil || got.From != from || got.To != to || got.Batches != batches || got.Since.IsZero() != (from == 0) {
			t.Errorf("after %d: %+v, %v; want %d to %d in %d batches", position, got, err, from, to, batches)
		}
	}
	check(0, 0, 0, 0)
	put(2)
	put(3)
	check(0, 1, 5, 2)
	check(2, 3, 5, 1)
	check(5, 0, 0, 0)
	if err := j.Abort(3, 5); err != nil {
		t.Fatal(err)
	}
	check(2, 0, 0, 0)
	put(1)
	check(2, 7, 7, 1)
}
