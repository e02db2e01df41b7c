package blobs_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/google/uuid"
	"github.com/opencontainers/go-digest"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/blobs"
)

func TestWrongScopeAndHostileIDs(t *testing.T) {
	s, _, root := spied(t)
	u := begin(t, s)
	id := u.ID()
	add(t, u, []byte("x"))
	u.Release()
	_, err := s.Upload(t.Context(), "library/other", id)
	wantCode(t, err, core.CodeNotFound)
	if err := os.WriteFile(filepath.Join(root, "secret"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"", ".", "..", "../secret", "../../etc/passwd", strings.ToUpper(id), "{" + id + "}", "urn:uuid:" + id,
		strings.ReplaceAll(id, "-", ""), id + "\x00", id + "/", id + "\n", " " + id, "put." + id, uuid.NewString(), strings.Repeat("a", 1<<16),
	} {
		u, err := s.Upload(t.Context(), scope, bad)
		if err == nil {
			t.Fatalf("%.80q gave an upload of %d bytes", bad, u.Size())
		}
		wantCode(t, err, core.CodeNotFound)
	}
	if resume(t, s, id).Size() != 1 {
		t.Error("the upload was lost")
	}
}

func TestDigestMismatch(t *testing.T) {
	data := []byte("hello")
	for _, want := range []digest.Digest{digest.FromString("x"), digest.SHA512.FromString("x")} {
		s, _, root := spied(t)
		u := begin(t, s)
		add(t, u, data)
		err := u.Verify(t.Context(), want)
		wantCode(t, err, core.CodeBadRequest)
		e, ok := errors.AsType[*blobs.ErrDigestMismatch](err)
		if !ok || e.Want != want || e.Got != want.Algorithm().FromBytes(data) {
			t.Errorf("error %v", err)
		}
		wantCode(t, u.Commit(t.Context(), blobs.File{Digest: want}), core.CodeNotFound)
		u.Release()
		wantGone(t, s, u.ID())
		if left := leftovers(t, root); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
}

func TestVerifyRefusesUnknownAlgorithm(t *testing.T) {
	u := begin(t, open(t, emptyRoot(t)))
	add(t, u, []byte("x"))
	for _, d := range []digest.Digest{"", "sha256:xyz", digest.SHA384.FromString("x"), "md5:0"} {
		wantCode(t, u.Verify(t.Context(), d), core.CodeBadRequest)
	}
	finish(t, u, blobs.File{Digest: digest.FromString("x")})
}

func TestCommitNeedsVerify(t *testing.T) {
	s := open(t, emptyRoot(t))
	u, f := begin(t, s), blobs.File{Digest: digest.FromString("ab")}
	add(t, u, []byte("ab"))
	if err := u.Commit(t.Context(), f); err == nil {
		t.Fatal("committed without Verify")
	}
	if err := u.Verify(t.Context(), f.Digest); err != nil {
		t.Fatal(err)
	}
	if err := u.Commit(t.Context(), blobs.File{Digest: digest.FromString("other")}); err == nil {
		t.Fatal("committed as another digest")
	}
	add(t, u, []byte("c"))
	if err := u.Commit(t.Context(), f); err == nil {
		t.Fatal("committed bytes that came after Verify")
	}
	finish(t, u, blobs.File{Digest: digest.FromString("abc")})
}

func TestAppendIsBounded(t *testing.T) {
	for _, max := range []int64{0, 1, 255, 256 << 10, 256<<10 + 1, 300_000} {
		data := random(6, int(max)+1)
		u := begin(t, open(t, emptyRoot(t)))
		n, err := u.Append(t.Context(), bytes.NewReader(data), max)
		wantCode(t, err, core.CodeTooLarge)
		if n != max || u.Size() != max {
			t.Errorf("max %d: appended %d, offset %d", max, n, u.Size())
		}
		if n, err := u.Append(t.Context(), bytes.NewReader(data[max:]), 1); err != nil || n != 1 {
			t.Errorf("max %d: then appended %d, %v", max, n, err)
		}
		finish(t, u, blobs.File{Digest: digest.FromBytes(data)})
	}
}

func TestBrokenBodyKeepsWhatArrived(t *testing.T) {
	data := random(7, 400_000)
	for _, broken := range []error{io.ErrUnexpectedEOF, context.Canceled, errors.New("reset")} {
		u := begin(t, open(t, emptyRoot(t)))
		body := io.MultiReader(iotest.OneByteReader(bytes.NewReader(data[:270_000])), iotest.ErrReader(broken))
		n, err := u.Append(t.Context(), body, -1)
		wantCode(t, err, core.CodeBadRequest)
		if !errors.Is(err, broken) || n != 270_000 || u.Size() != n {
			t.Fatalf("appended %d, offset %d, %v", n, u.Size(), err)
		}
		add(t, u, data[270_000:])
		finish(t, u, blobs.File{Digest: digest.FromBytes(data)})
	}
}

type lazyReader struct{}

func TestReaderThatNeverEnds(t *testing.T) {
	u := begin(t, open(t, emptyRoot(t)))
	if _, err := u.Append(t.Context(), lazyReader{}, -1); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("error %v", err)
	}
}

func TestFullDisk(t *testing.T) {
	s, layer, root := spied(t)
	data := random(8, 800_000)
	u := begin(t, s)
	writes := 0
	layer.setFail(func(op, _ string) error {
		if op == "write" {
			writes++
		}
		if op == "write" && writes == 3 {
			return syscall.ENOSPC
		}
		return nil
	})
	n, err := u.Append(t.Context(), bytes.NewReader(data), -1)
	wantCode(t, err, core.CodeNoSpace)
	if !strings.Contains(core.ErrorMessage(err), "disk is full") || n != 512<<10 || u.Size() != n {
		t.Fatalf("appended %d, offset %d, %v", n, u.Size(), err)
	}
	u.Release()
	if again := resume(t, open(t, root), u.ID()); again.Size() != n {
		t.Errorf("the file has %d bytes, want %d", again.Size(), n)
	}
	u = resume(t, s, u.ID())
	add(t, u, data[n:])
	finish(t, u, blobs.File{Digest: digest.FromBytes(data)})
}

func TestFailedTruncateEndsTheUpload(t *testing.T) {
	s, layer, _ := spied(t)
	u := begin(t, s)
	layer.setFail(func(op, _ string) error {
		if op == "write" || op == "truncate" {
			return syscall.EIO
		}
		return nil
	})
	_, err := u.Append(t.Context(), strings.NewReader("hello"), -1)
	wantCode(t, err, core.CodeUnavailable)
	layer.setFail(nil)
	_, err = u.Append(t.Context(), strings.NewReader("hello"), -1)
	wantCode(t, err, core.CodeNotFound)
	u.Release()
	wantGone(t, s, u.ID())
}

func TestFailedCommitEndsTheUpload(t *testing.T) {
	data := []byte("hello")
	f := blobs.File{Digest: digest.FromBytes(data), Generation: 1}
	for _, op := range []string{"sync", "rename", "syncdir " + f.Digest.Encoded()[:2]} {
		s, layer, root := spied(t)
		u := begin(t, s)
		add(t, u, data)
		if err := u.Verify(t.Context(), f.Digest); err != nil {
			t.Fatal(err)
		}
		layer.failOn(op, syscall.EIO)
		wantCode(t, u.Commit(t.Context(), f), core.CodeUnavailable)
		layer.setFail(nil)
		wantCode(t, u.Commit(t.Context(), f), core.CodeNotFound)
		wantCode(t, u.Verify(t.Context(), f.Digest), core.CodeNotFound)
		u.Release()
		wantGone(t, s, u.ID())
		if left := leftovers(t, root); len(left) > 0 {
			t.Errorf("%s: left %v", op, left)
		}
		if _, exists, err := s.Stat(t.Context(), f); err != nil || exists && op == "sync" {
			t.Errorf("%s: the file stayed though its bytes may be lost (%v)", op, err)
		}
	}
}

func TestUnsyncedBytesAreNeverContinued(t *testing.T) {
	s, layer, _ := spied(t)
	u := begin(t, s)
	add(t, u, []byte("hello"))
	f := blobs.File{Digest: digest.FromString("hello")}
	if err := u.Verify(t.Context(), f.Digest); err != nil {
		t.Fatal(err)
	}
	layer.setFail(func(op, _ string) error {
		if op == "sync" || op == "remove" {
			return syscall.EIO
		}
		return nil
	})
	if err := u.Commit(t.Context(), f); err == nil {
		t.Fatal("committed")
	}
	layer.setFail(nil)
	u.Release()
	if _, err := s.Upload(t.Context(), scope, u.ID()); err == nil {
		t.Fatal("the upload goes on although its fsync failed")
	}
}
