package blobs_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/opencontainers/go-digest"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/blobs"
)

const scope = "library/alpine"

func begin(t testing.TB, s *blobs.FileStore) *blobs.Upload {
	t.Helper()
	u, err := s.Begin(t.Context(), scope)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Release)
	return u
}

func resume(t testing.TB, s *blobs.FileStore, id string) *blobs.Upload {
	t.Helper()
	u, err := s.Upload(t.Context(), scope, id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Release)
	return u
}

func add(t testing.TB, u *blobs.Upload, data []byte) {
	t.Helper()
	n, err := u.Append(t.Context(), bytes.NewReader(data), -1)
	if err != nil || n != int64(len(data)) {
		t.Fatalf("appended %d of %d bytes: %v", n, len(data), err)
	}
}

func finish(t testing.TB, u *blobs.Upload, f blobs.File) {
	t.Helper()
	if err := u.Verify(t.Context(), f.Digest); err != nil {
		t.Fatal(err)
	}
	if err := u.Commit(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func wantGone(t *testing.T, s *blobs.FileStore, id string) {
	t.Helper()
	_, err := s.Upload(t.Context(), scope, id)
	wantCode(t, err, core.CodeNotFound)
}

func TestPushInThreeRequests(t *testing.T) {
	s, layer, root := spied(t)
	data := random(2, 600_000)
	f := blobs.File{Digest: digest.FromBytes(data), Generation: 7}
	u := begin(t, s)
	id := u.ID()
	u.Release()
	u = resume(t, s, id)
	add(t, u, data[:300_000])
	u.Release()
	u = resume(t, s, id)
	if u.Size() != 300_000 {
		t.Errorf("offset %d", u.Size())
	}
	add(t, u, data[300_000:])
	u.Release()
	u = resume(t, s, id)
	finish(t, u, f)
	u.Release()

	if got := content(t, s, f); !bytes.Equal(got, data) {
		t.Error("the blob differs")
	}
	ops := slices.DeleteFunc(layer.take(), func(op string) bool { return op == "open" || op == "write" })
	want := []string{"rename", "sync", "syncdir " + f.Digest.Encoded()[:2]}
	if !slices.Equal(ops, want) {
		t.Errorf("operations %v, want %v", ops, want)
	}
	wantGone(t, s, id)
	if left := leftovers(t, root); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestSHA512(t *testing.T) {
	s := open(t, emptyRoot(t))
	data := random(3, 700_001)
	f := blobs.File{Digest: digest.SHA512.FromBytes(data)}
	u := begin(t, s)
	add(t, u, data)
	finish(t, u, f)
	if got := content(t, s, f); !bytes.Equal(got, data) {
		t.Error("the blob differs")
	}
}

func TestEmptyBlob(t *testing.T) {
	s := open(t, emptyRoot(t))
	f := blobs.File{Digest: digest.FromString("")}
	finish(t, begin(t, s), f)
	if got := content(t, s, f); len(got) > 0 {
		t.Errorf("read %q", got)
	}
}

func TestResumeAfterReopening(t *testing.T) {
	root, data := emptyRoot(t), random(4, 500_000)
	for _, algorithm := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		f := blobs.File{Digest: algorithm.FromBytes(data)}
		u := begin(t, open(t, root))
		add(t, u, data[:400_000])
		s := open(t, root)
		again := resume(t, s, u.ID())
		if again.Size() != 400_000 {
			t.Fatalf("offset %d", again.Size())
		}
		add(t, again, data[400_000:])
		finish(t, again, f)
		if got := content(t, s, f); !bytes.Equal(got, data) {
			t.Error("the blob differs")
		}
	}
}

// TestSurvivesKill appends in another process, which then kills itself.
func TestSurvivesKill(t *testing.T) {
	const rootVar = "BLOBS_TEST_KILL_ROOT"
	data := random(5, 300_000)
	if root := os.Getenv(rootVar); root != "" {
		u := begin(t, open(t, root))
		add(t, u, data)
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		select {}
	}
	root := emptyRoot(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSurvivesKill$")
	cmd.Env = append(os.Environ(), rootVar+"="+root)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("%v: %s", err, out)
	}
	left := leftovers(t, root)
	if len(left) != 1 {
		t.Fatalf("uploads: %v", left)
	}
	id, _, _ := strings.Cut(filepath.Base(left[0]), ".")
	s, f := open(t, root), blobs.File{Digest: digest.FromBytes(data)}
	finish(t, resume(t, s, id), f)
	if got := content(t, s, f); !bytes.Equal(got, data) {
		t.Error("the blob differs")
	}
}

func TestRunningHashesAreBounded(t *testing.T) {
	s := open(t, emptyRoot(t), blobs.WithIdleUploads(2))
	var ids []string
	for i := range 5 {
		u := begin(t, s)
		add(t, u, []byte{byte(i)})
		ids = append(ids, u.ID())
		u.Release()
	}
	for i, id := range ids {
		u := resume(t, s, id)
		add(t, u, []byte("!"))
		finish(t, u, blobs.File{Digest: digest.FromBytes([]byte{byte(i), '!'})})
	}
}

func (lazyReader) Read([]byte) (int, error) { return 0, nil }

func TestDiscard(t *testing.T) {
	s, _, root := spied(t)
	u := begin(t, s)
	add(t, u, []byte("x"))
	if err := u.Discard(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := u.Discard(t.Context()); err != nil {
		t.Error(err)
	}
	u.Release()
	wantGone(t, s, u.ID())
	if left := leftovers(t, root); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestOneRequestAtATime(t *testing.T) {
	s := open(t, emptyRoot(t))
	first := begin(t, s)
	id := first.ID()
	_, err := s.Upload(t.Context(), scope, id)
	wantCode(t, err, core.CodeConflict)
	first.Release()
	second := resume(t, s, id)
	first.Release() // must not free what second has
	_, err = s.Upload(t.Context(), scope, id)
	wantCode(t, err, core.CodeConflict)
	_, err = first.Append(t.Context(), strings.NewReader("x"), -1)
	wantCode(t, err, core.CodeNotFound)
	add(t, second, []byte("y"))
	finish(t, second, blobs.File{Digest: digest.FromString("y")})
}

// push uploads data in two requests.
func push(ctx context.Context, s *blobs.FileStore, data []byte) error {
	u, err := s.Begin(ctx, scope)
	if err != nil {
		return err
	}
	u.Release()
	if u, err = s.Upload(ctx, scope, u.ID()); err != nil {
		return err
	}
	defer u.Release()
	if _, err := u.Append(ctx, bytes.NewReader(data), -1); err != nil {
		return err
	}
	f := blobs.File{Digest: digest.FromBytes(data)}
	if err := u.Verify(ctx, f.Digest); err != nil {
		return err
	}
	return u.Commit(ctx, f)
}

// grow appends one byte to an upload that others use too; false when one of
// them has it.
func grow(ctx context.Context, s *blobs.FileStore, id string) (bool, error) {
	u, err := s.Upload(ctx, scope, id)
	if core.ErrorCode(err) == core.CodeConflict {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer u.Release()
	n, err := u.Append(ctx, strings.NewReader("z"), 1)
	return n == 1, err
}

func TestConcurrentUploads(t *testing.T) {
	s := open(t, emptyRoot(t), blobs.WithIdleUploads(3))
	shared := begin(t, s)
	shared.Release()
	var wg sync.WaitGroup
	var grown atomic.Int64
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				if err := push(t.Context(), s, random(uint64(i*100+j), 1000)); err != nil {
					t.Error(err)
				}
				ok, err := grow(t.Context(), s, shared.ID())
				if err != nil {
					t.Error(err)
				}
				if ok {
					grown.Add(1)
				}
			}
		})
	}
	wg.Wait()
	u := resume(t, s, shared.ID())
	if u.Size() != grown.Load() || u.Size() == 0 {
		t.Errorf("%d bytes, want %d", u.Size(), grown.Load())
	}
	finish(t, u, blobs.File{Digest: digest.FromString(strings.Repeat("z", int(u.Size())))})
}

func TestExpire(t *testing.T) {
	s, layer, root := spied(t)
	uploads := map[string]*blobs.Upload{}
	for _, name := range []string{"stale", "young", "used"} {
		u := begin(t, s)
		add(t, u, []byte(name))
		uploads[name] = u
	}
	uploads["stale"].Release()
	uploads["young"].Release()
	crashed := filepath.Join(root, "uploads", "put."+uuid.NewString())
	foreign := filepath.Join(root, "uploads", "README")
	for _, name := range []string{crashed, foreign} {
		if err := os.WriteFile(name, []byte("1234"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-2 * time.Hour)
	for _, name := range leftovers(t, root) {
		if strings.Contains(name, uploads["young"].ID()) {
			continue
		}
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	layer.failOn("remove", syscall.EIO)
	if n, _, err := s.Expire(t.Context(), time.Hour); n != 0 || core.ErrorCode(err) != core.CodeUnavailable {
		t.Errorf("removed %d, %v", n, err)
	}
	layer.setFail(nil)
	n, freed, err := s.Expire(t.Context(), time.Hour)
	if err != nil || n != 2 || freed != 9 {
		t.Errorf("removed %d of %d bytes, %v", n, freed, err)
	}
	wantGone(t, s, uploads["stale"].ID())
	if resume(t, s, uploads["young"].ID()).Size() != 5 {
		t.Error("young is damaged")
	}
	finish(t, uploads["used"], blobs.File{Digest: digest.FromString("used")})
	if _, err := os.Stat(foreign); err != nil {
		t.Error(err)
	}
}

func TestIdleUploadsHoldNoFile(t *testing.T) {
	s, layer, _ := spied(t)
	for range 5 {
		u := begin(t, s)
		add(t, u, []byte("x"))
		if n := layer.count(0); n != 1 {
			t.Errorf("%d open files while in use", n)
		}
		u.Release()
	}
	if n := layer.count(0); n != 0 {
		t.Errorf("%d open files", n)
	}
}
