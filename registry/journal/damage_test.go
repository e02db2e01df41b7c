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
	"syscall"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/journal"
)

func wantCorrupt(t testing.TB, err error, name string, line int) {
	t.Helper()
	e, ok := errors.AsType[*journal.CorruptError](err)
	if !ok || e.File != name || e.Line != line {
		t.Fatalf("error %v, want one for %s line %d", err, name, line)
	}
	if !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), fmt.Sprintf("line %d", line)) {
		t.Errorf("message %q", err)
	}
}

func TestCrashWhileRotating(t *testing.T) {
	dir := t.TempDir()
	put(t, open(t, dir), "a", "b")
	write(t, filepath.Join(dir, "000002.jsonl"), nil)
	put(t, open(t, dir), "c")
	wantReplay(t, dir, "1:a", "2:b", "3:c")
}

func TestTornAtEveryByte(t *testing.T) {
	source := t.TempDir()
	j := open(t, source)
	put(t, j, "a")
	whole := len(read(t, first(source)))
	put(t, j, "b")
	data := read(t, first(source))
	dir := t.TempDir()
	for size := whole; size < len(data); size++ {
		write(t, first(dir), data[:size])
		wantReplay(t, dir, "1:a")
		var log bytes.Buffer
		j := open(t, dir, journal.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		if torn := size > whole; torn != strings.Contains(log.String(), "line=2") {
			t.Fatalf("%d bytes: logged %q", size, &log)
		}
		if got := len(read(t, first(dir))); got != whole {
			t.Fatalf("%d bytes: cut to %d, want %d", size, got, whole)
		}
		if from, _ := put(t, j, "c"); from != 2 {
			t.Fatalf("continues at %d", from)
		}
		wantReplay(t, dir, "1:a", "2:c")
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCutIsDurable(t *testing.T) {
	for _, op := range []string{"truncate", "sync"} {
		dir := t.TempDir()
		put(t, open(t, dir), "a")
		write(t, first(dir), append(read(t, first(dir)), "torn"...))
		layer := newSpy()
		layer.fail[op] = syscall.EIO
		if _, err := journal.Open(dir, journal.WithFileLayer(layer), journal.WithLogger(slog.New(slog.DiscardHandler))); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v", op, err)
		}
	}
}

// TestHolesInTheLastBatch has the pages of the last batch arrive on the disk in
// any order.
func TestHolesInTheLastBatch(t *testing.T) {
	source := t.TempDir()
	j := open(t, source)
	put(t, j, "a", "b")
	put(t, j, "c", "d", "e")
	lines := bytes.SplitAfter(read(t, first(source)), []byte("\n"))
	for missing := 2; missing < 5; missing++ {
		for _, zeroNewline := range []bool{false, true} {
			torn := slices.Clone(lines)
			torn[missing] = make([]byte, len(torn[missing]))
			if !zeroNewline {
				torn[missing][len(torn[missing])-1] = '\n'
			}
			dir := t.TempDir()
			write(t, first(dir), slices.Concat(torn...))
			want := []string{"1:a", "2:b", "3:c", "4:d"}[:missing]
			wantReplay(t, dir, want...)
			put(t, open(t, dir), "f")
			wantReplay(t, dir, append(want, fmt.Sprintf("%d:f", missing+1))...)
		}
	}
}

func TestLongGarbageAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	put(t, open(t, dir), "a")
	write(t, first(dir), append(read(t, first(dir)), make([]byte, 300_000)...))
	put(t, open(t, dir), "b")
	wantReplay(t, dir, "1:a", "2:b")
}

func TestBrokenLineInTheMiddle(t *testing.T) {
	source := t.TempDir()
	j := open(t, source)
	put(t, j, "a")
	put(t, j, "b", "c")
	put(t, j, "d")
	lines := bytes.SplitAfter(read(t, first(source)), []byte("\n"))
	for broken := range 3 {
		dir := t.TempDir()
		bad := slices.Clone(lines)
		bad[broken] = bytes.Replace(bad[broken], []byte("alpine"), []byte("alpinf"), 1)
		data := slices.Concat(bad...)
		write(t, first(dir), data)
		_, err := journal.Open(dir)
		wantCorrupt(t, err, first(dir), broken+1)
		wantCorrupt(t, journal.Replay(dir, func(core.JournalEntry) error { return nil }), first(dir), broken+1)
		if !bytes.Equal(read(t, first(dir)), data) {
			t.Error("the damaged file was changed")
		}
	}
}

func TestLostLineAndLostFile(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, journal.WithFileSize(400))
	for range 8 {
		put(t, j, "x")
	}
	none := func(core.JournalEntry) error { return nil }
	second := filepath.Join(dir, "000002.jsonl")
	data := read(t, second)
	_, rest, _ := bytes.Cut(data, []byte("\n"))
	write(t, second, rest)
	wantCorrupt(t, journal.Replay(dir, none), second, 1)
	write(t, second, data[:len(data)-5]) // torn, but not the newest file
	wantCorrupt(t, journal.Replay(dir, none), second, bytes.Count(data, []byte("\n")))
	if err := os.Remove(second); err != nil {
		t.Fatal(err)
	}
	wantCorrupt(t, journal.Replay(dir, none), second, 0)
	_, err := journal.Open(dir)
	wantCorrupt(t, err, second, 0)
}

func TestOpenChecksTheEndOfTheFileBefore(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, journal.WithFileSize(400))
	for range 3 {
		put(t, j, "x")
	}
	data := read(t, first(dir))
	for _, missing := range []int{1, 5, len(data)} {
		write(t, first(dir), data[:len(data)-missing])
		if _, err := journal.Open(dir); err == nil || !strings.Contains(err.Error(), first(dir)) {
			t.Errorf("%d bytes missing: %v", missing, err)
		}
	}
}

func TestFailedWriteIsTakenBack(t *testing.T) {
	for _, test := range []struct {
		op    string
		errno syscall.Errno
		code  core.Code
	}{
		{"write", syscall.ENOSPC, core.CodeNoSpace},
		{"write", syscall.EIO, core.CodeUnavailable},
		{"sync", syscall.EIO, core.CodeUnavailable},
		{"sync", syscall.EDQUOT, core.CodeNoSpace},
	} {
		dir, layer := t.TempDir(), newSpy()
		j := open(t, dir, journal.WithFileLayer(layer))
		put(t, j, "a")
		layer.fail[test.op], layer.fail["once"] = test.errno, errors.ErrUnsupported
		_, _, err := j.Append(tags("b", "c"))
		if core.ErrorCode(err) != test.code || !errors.Is(err, test.errno) {
			t.Errorf("%v: %v", test, err)
		}
		wantReplay(t, dir, "1:a")
		delete(layer.fail, test.op)
		if from, _ := put(t, j, "d"); from != 2 {
			t.Errorf("continues at %d", from)
		}
		wantReplay(t, dir, "1:a", "2:d")
	}
}

func TestRefusesAfterFailedCut(t *testing.T) {
	for _, op := range []string{"truncate", "sync"} {
		dir, layer := t.TempDir(), newSpy()
		j := open(t, dir, journal.WithFileLayer(layer))
		put(t, j, "a")
		layer.fail[op], layer.fail["write"] = syscall.EIO, syscall.EIO
		for range 2 {
			_, _, err := j.Append(tags("b"))
			if core.ErrorCode(err) != core.CodeUnavailable || !strings.Contains(core.ErrorMessage(err), "restart") {
				t.Errorf("%s: %v", op, err)
			}
			clear(layer.fail) // the disk recovers, the journal must not
		}
		if err := j.Abort(1, 1); err == nil {
			t.Error("took an abort")
		}
		put(t, open(t, dir), "c")
		wantReplay(t, dir, "1:a", "2:c")
	}
}

func TestFailedRotation(t *testing.T) {
	for _, test := range []struct {
		op    string
		again bool // appending works again once the disk does
	}{{"open", true}, {"syncdir", false}} {
		dir, layer := t.TempDir(), newSpy()
		j := open(t, dir, journal.WithFileLayer(layer), journal.WithFileSize(10))
		put(t, j, "a")
		layer.fail[test.op] = syscall.EIO
		if _, _, err := j.Append(tags("b")); core.ErrorCode(err) != core.CodeUnavailable {
			t.Errorf("%s: %v", test.op, err)
		}
		clear(layer.fail)
		if _, _, err := j.Append(tags("c")); (err == nil) != test.again {
			t.Errorf("%s: then %v", test.op, err)
		}
		put(t, open(t, dir), "d")
		got := replay(t, dir)
		if want := map[bool]string{true: "[1:a 2:c 3:d]", false: "[1:a 2:d]"}[test.again]; fmt.Sprint(got) != want {
			t.Errorf("%s: replay gave %v, want %s", test.op, got, want)
		}
	}
}
