package blobs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/blobs"
)

// stored opens a store with one blob.
func stored(t *testing.T, content []byte, opts ...blobs.Option) (*blobs.FileStore, blobs.File, string) {
	t.Helper()
	root := emptyRoot(t)
	s, err := blobs.Open(t.Context(), root, opts...)
	if err != nil {
		t.Fatal(err)
	}
	f := blobs.File{Digest: digest.FromBytes(content), Generation: 7}
	if err := s.Put(t.Context(), f, content); err != nil {
		t.Fatal(err)
	}
	hex := f.Digest.Encoded()
	return s, f, filepath.Join(root, "blobs", "sha256", hex[:2], hex+".7")
}

func TestInspect(t *testing.T) {
	content := bytes.Repeat([]byte("breakwater"), 60_000) // more than two parts
	s, f, name := stored(t, content)
	var paced int
	found, err := s.Inspect(t.Context(), f, func(_ context.Context, n int) error {
		if n > blobs.MaxPart {
			t.Errorf("a part of %d bytes", n)
		}
		paced += n
		return nil
	})
	if err != nil || !found.Whole() || found.Size != int64(len(content)) || found.Digest != f.Digest || paced != len(content) {
		t.Errorf("of a whole file: %+v, %v; paced %d", found, err, paced)
	}
	for _, tt := range []struct {
		name, fault string
		do          func() error
	}{
		{"truncated", "its content has the digest sha256:", func() error { return os.Truncate(name, 3) }},
		{"missing", "its file is missing", func() error { return os.Remove(name) }},
		{"unreadable", "its file cannot be read", func() error { return os.Mkdir(name, 0o700) }},
	} {
		if err := tt.do(); err != nil {
			t.Fatal(err)
		}
		found, err := s.Inspect(t.Context(), f, nil)
		if err != nil || found.Whole() || !strings.Contains(found.Fault, tt.fault) || found.Unreadable != (tt.name == "unreadable") {
			t.Errorf("%s: %+v, %v", tt.name, found, err)
		}
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

func TestInspectEndsWithItsCaller(t *testing.T) {
	s, f, _ := stored(t, []byte("content"))
	stop := errors.New("stop")
	if _, err := s.Inspect(t.Context(), f, func(context.Context, int) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Inspect = %v, want pace's error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Inspect(ctx, f, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Inspect = %v, want ctx's error", err)
	}
}

// spyDirs tells which directories were synced after a rename.
type spyDirs struct {
	blobs.OSLayer
	calls []string
}

func (l *spyDirs) Rename(from, to string) error {
	l.calls = append(l.calls, "rename")
	return l.OSLayer.Rename(from, to)
}

func (l *spyDirs) SyncDir(name string) error {
	l.calls = append(l.calls, "sync "+filepath.Base(name))
	return l.OSLayer.SyncDir(name)
}

func TestQuarantineAndBack(t *testing.T) {
	layer := &spyDirs{}
	s, f, name := stored(t, []byte("content"), blobs.WithFileLayer(layer))
	fan := "sync " + filepath.Base(filepath.Dir(name))
	layer.calls = nil
	if err := s.Quarantine(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(layer.calls, ", "); !strings.HasSuffix(got, "rename, sync quarantine, "+fan) {
		t.Errorf("the calls are %s", got)
	}
	if _, exists, err := s.Stat(t.Context(), f); exists || err != nil {
		t.Errorf("it is still in place: %v", err)
	}
	walked := ""
	err := s.WalkQuarantine(t.Context(), func(f blobs.File, size int64, _ time.Time) error {
		walked += fmt.Sprint(f.Digest, f.Generation, size)
		return nil
	})
	if want := fmt.Sprint(f.Digest, f.Generation, 7); walked != want || err != nil {
		t.Errorf("in the quarantine: %q, want %q: %v", walked, want, err)
	}
	if found, err := s.InspectQuarantined(t.Context(), f); !found.Whole() || err != nil {
		t.Errorf("%+v, %v", found, err)
	}
	if err := s.Quarantine(t.Context(), f); err != nil {
		t.Errorf("of an absent file: %v", err)
	}
	layer.calls = nil
	if err := s.Restore(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(layer.calls, ", "); got != "rename, "+fan+", sync quarantine" {
		t.Errorf("the calls are %s", got)
	}
	if size, exists, err := s.Stat(t.Context(), f); size != 7 || !exists || err != nil {
		t.Errorf("it is not back: %v", err)
	}
}

// disk is a filesystem whose free space a test sets.
type disk struct {
	free  uint64
	asked int
	err   error
}

func (d *disk) space() (total, free uint64, err error) {
	d.asked++
	return 1000, d.free, d.err
}

// The clock stands still but where the test says, so that the disk is asked
// exactly when it should be.
func TestReserve(t *testing.T) { synctest.Test(t, checkReserve) }

func checkReserve(t *testing.T) {
	d := &disk{free: 150}
	s, f, _ := stored(t, []byte("content"), blobs.WithReserve(d.space, func(total uint64) uint64 { return total / 10 }))
	refused := func(what string, err error) {
		t.Helper()
		if core.ErrorCode(err) != core.CodeNoSpace || !strings.Contains(core.ErrorMessage(err), "disk-reserve") {
			t.Errorf("%s with a full disk = %v", what, err)
		}
	}
	upload, err := s.Begin(t.Context(), "a/b")
	if err != nil {
		t.Fatal(err)
	}
	defer upload.Release()
	// 150 less 7 less 40 are 103; what is written counts before the disk is asked again.
	if n, err := upload.Append(t.Context(), bytes.NewReader(make([]byte, 40)), -1); n != 40 || err != nil {
		t.Errorf("Append = %d, %v", n, err)
	}
	n, err := upload.Append(t.Context(), bytes.NewReader(make([]byte, 4)), -1)
	refused("Append", err)
	if n != 0 || upload.Size() != 40 {
		t.Errorf("Append added %d bytes, the upload has %d", n, upload.Size())
	}
	small := []byte("1234")
	refused("Put", s.Put(t.Context(), blobs.File{Digest: digest.FromBytes(small), Generation: 1}, small))
	if d.asked != 1 {
		t.Errorf("the disk was asked %d times within a second", d.asked)
	}
	d.free = 99
	time.Sleep(time.Second)
	refused("CheckSpace", s.CheckSpace())
	_, err = s.Begin(t.Context(), "a/b")
	refused("Begin", err)
	// What frees space, and what reads, goes on.
	if blob, err := s.OpenBlob(t.Context(), f); err != nil || blob.Close() != nil {
		t.Errorf("OpenBlob = %v", err)
	}
	if err := errors.Join(upload.Discard(t.Context()), s.Remove(t.Context(), f)); err != nil {
		t.Error(err)
	}
}

func TestUnknownSpace(t *testing.T) {
	d := &disk{err: errors.New("canary")}
	s, err := blobs.Open(t.Context(), emptyRoot(t), blobs.WithReserve(d.space, func(uint64) uint64 { return 1 }))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Begin(t.Context(), "a/b"); core.ErrorCode(err) != core.CodeUnavailable || strings.Contains(core.ErrorMessage(err), "canary") {
		t.Errorf("Begin = %v", err)
	}
}
