package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/journal"
)

func open(t testing.TB, dir string, opts ...journal.Option) *journal.Journal {
	t.Helper()
	j, err := journal.Open(dir, append([]journal.Option{journal.WithLogger(slog.New(slog.DiscardHandler))}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func tags(names ...string) []core.JournalEntry {
	var entries []core.JournalEntry
	for _, name := range names {
		entries = append(entries, core.JournalEntry{Op: core.JournalPutTag, Repository: "library/alpine", Tag: name, Actor: "admin"})
	}
	return entries
}

func put(t testing.TB, j *journal.Journal, names ...string) (from, to uint64) {
	t.Helper()
	from, to, err := j.Append(tags(names...))
	if err != nil {
		t.Fatal(err)
	}
	return from, to
}

// replay returns the tags of all entries as "seq:tag".
func replay(t testing.TB, dir string) []string {
	t.Helper()
	var got []string
	err := journal.Replay(dir, func(e core.JournalEntry) error {
		got = append(got, fmt.Sprintf("%d:%s", e.Seq, e.Tag))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func wantReplay(t testing.TB, dir string, want ...string) {
	t.Helper()
	if got := replay(t, dir); !slices.Equal(got, want) {
		t.Fatalf("replay gave %v, want %v", got, want)
	}
}

func first(dir string) string { return filepath.Join(dir, "000001.jsonl") }

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAppendAndReplay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "journal")
	j := open(t, dir)
	entries := tags("a", "b", "c")
	before := time.Now().Add(-time.Second)
	from, to, err := j.Append(entries)
	if err != nil || from != 1 || to != 3 {
		t.Fatalf("%d to %d, %v", from, to, err)
	}
	if e := entries[2]; e.Seq != 3 || e.Time.Before(before) || e.Time.Location() != time.UTC {
		t.Errorf("entry %+v", e)
	}
	if from, to := put(t, j); from != 0 || to != 0 {
		t.Errorf("no entries are %d to %d", from, to)
	}
	var got []core.JournalEntry
	if err := journal.Replay(dir, func(e core.JournalEntry) error { got = append(got, e); return nil }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, entries) {
		t.Errorf("got %+v, want %+v", got, entries)
	}
	stop := errors.New("stop")
	if err := journal.Replay(dir, func(core.JournalEntry) error { return stop }); err != stop {
		t.Errorf("Replay returned %v", err)
	}
}

func TestReopenContinues(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		j := open(t, dir)
		if j.Last() != uint64(i) {
			t.Errorf("last is %d", j.Last())
		}
		put(t, j, "x")
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		_, _, err := j.Append(tags("late"))
		if core.ErrorCode(err) != core.CodeUnavailable {
			t.Errorf("append after Close: %v", err)
		}
	}
	wantReplay(t, dir, "1:x", "2:x", "3:x")
}

func TestReplayOfNothing(t *testing.T) {
	wantReplay(t, filepath.Join(t.TempDir(), "absent"))
}

func TestOneWriteAndOneSyncPerBatch(t *testing.T) {
	layer := newSpy()
	j := open(t, t.TempDir(), journal.WithFileLayer(layer))
	if layer.calls["syncdir"] != 2 {
		t.Errorf("Open made %d syncs of folders", layer.calls["syncdir"])
	}
	clear(layer.calls)
	put(t, j, "a", "b", "c", "d")
	if layer.calls["write"] != 1 || layer.calls["sync"] != 1 || len(layer.calls) != 2 {
		t.Errorf("calls %v", layer.calls)
	}
}

func TestAbort(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, journal.WithFileSize(400))
	put(t, j, "a")
	from, to := put(t, j, "b", "c")
	put(t, j, "d")
	if err := j.Abort(from, to); err != nil {
		t.Fatal(err)
	}
	put(t, j, "e")
	if err := j.Abort(6, 6); err != nil {
		t.Fatal(err)
	}
	put(t, j, "f")
	wantReplay(t, dir, "1:a", "4:d", "8:f")
	for _, r := range [][2]uint64{{0, 0}, {0, 1}, {2, 1}, {1, 9}, {9, 9}} {
		if err := j.Abort(r[0], r[1]); err == nil {
			t.Errorf("took the abort of %v", r)
		}
	}
	if _, _, err := j.Append([]core.JournalEntry{{Op: core.JournalAbort, From: 1, To: 1}}); err == nil {
		t.Error("Append took an abort")
	}
	wantReplay(t, dir, "1:a", "4:d", "8:f")
}

func TestAbortsInAnyOrder(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	for _, name := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"} {
		put(t, j, name)
	}
	for _, r := range [][2]uint64{{8, 8}, {2, 4}, {3, 3}, {2, 2}, {6, 6}} {
		if err := j.Abort(r[0], r[1]); err != nil {
			t.Fatal(err)
		}
	}
	wantReplay(t, dir, "1:1", "5:5", "7:7", "9:9")
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	layer := newSpy()
	var want []string
	for range 3 { // reopened twice
		j := open(t, dir, journal.WithFileLayer(layer), journal.WithFileSize(1000))
		for range 20 {
			from, to := put(t, j, "x", "y")
			want = append(want, fmt.Sprintf("%d:x", from), fmt.Sprintf("%d:y", to))
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wantReplay(t, dir, want...)
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(files) < 10 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, name := range files {
		if size := len(read(t, name)); size > 1000 || size == 0 {
			t.Errorf("%s has %d bytes", name, size)
		}
	}
	if want := len(files) - 1 + 3*2; layer.calls["syncdir"] != want {
		t.Errorf("%d syncs of folders, want %d", layer.calls["syncdir"], want)
	}
}

func TestBatchLargerThanAFile(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, journal.WithFileSize(100))
	put(t, j, "a", "b", "c")
	put(t, j, "d")
	wantReplay(t, dir, "1:a", "2:b", "3:c", "4:d")
	if got := bytes.Count(read(t, first(dir)), []byte("\n")); got != 3 {
		t.Errorf("the first file has %d lines", got)
	}
}

// TestReplayWhileAppending aborts an entry that was written after Replay had
// begun.
func TestReplayWhileAppending(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	put(t, j, slices.Repeat([]string{"x"}, 2000)...) // more than a buffer
	count := 0
	err := journal.Replay(dir, func(core.JournalEntry) error {
		if count++; count > 1 {
			return nil
		}
		return j.Abort(put(t, j, "late"))
	})
	if err != nil || count != 2000 {
		t.Errorf("%d entries, %v", count, err)
	}
}

func TestTooLongEntryWritesNothing(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	_, _, err := j.Append(tags("a", strings.Repeat("b", 1<<17)))
	if core.ErrorCode(err) != core.CodeBadRequest {
		t.Errorf("error %v", err)
	}
	put(t, j, "c")
	wantReplay(t, dir, "1:c")
}

func TestConcurrentAppends(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, journal.WithFileSize(4000))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				from, to, err := j.Append(tags("x", "y", "z"))
				if err != nil || from%3 != 1 || to != from+2 {
					t.Errorf("batch %d to %d, %v", from, to, err)
				}
			}
		})
	}
	wg.Wait()
	if got := len(replay(t, dir)); got != 480 {
		t.Errorf("%d entries", got)
	}
}

func BenchmarkAppend(b *testing.B) {
	j := open(b, b.TempDir())
	for b.Loop() {
		put(b, j, "latest")
	}
}

// BenchmarkOpen64MiB opens a journal whose newest file is full.
func BenchmarkOpen64MiB(b *testing.B) {
	dir := b.TempDir()
	j := open(b, dir)
	batch := tags(slices.Repeat([]string{"latest"}, 1000)...)
	for size := 0; size < 62<<20; size += 175 * 1000 {
		if _, _, err := j.Append(batch); err != nil {
			b.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := open(b, dir).Close(); err != nil {
			b.Fatal(err)
		}
	}
}
