package blobs_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/blobs"
)

func open(t testing.TB, root string, opts ...blobs.Option) *blobs.FileStore {
	t.Helper()
	s, err := blobs.Open(t.Context(), root, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// spied returns a store with all its folders, whose disk can be made to fail.
func spied(t testing.TB) (*blobs.FileStore, *spyLayer, string) {
	t.Helper()
	layer, root := &spyLayer{}, emptyRoot(t)
	s := open(t, root, blobs.WithFileLayer(layer))
	warm(t, s)
	layer.take()
	return s, layer, root
}

// warm has the store make its folders.
func warm(t testing.TB, s *blobs.FileStore) {
	t.Helper()
	for _, algorithm := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		f := blobs.File{Digest: algorithm.FromString("")}
		if err := errors.Join(s.Put(t.Context(), f, nil), s.Remove(t.Context(), f)); err != nil {
			t.Fatal(err)
		}
	}
}

func random(seed uint64, size int) []byte {
	r, p := rand.New(rand.NewPCG(seed, 1)), make([]byte, size)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

func content(t *testing.T, s *blobs.FileStore, f blobs.File) []byte {
	t.Helper()
	b, err := s.OpenBlob(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	data, err := io.ReadAll(b)
	if err != nil || b.Size() != int64(len(data)) {
		t.Fatalf("read %d of %d bytes: %v", len(data), b.Size(), err)
	}
	return data
}

func wantCode(t *testing.T, err error, code core.Code) {
	t.Helper()
	if core.ErrorCode(err) != code {
		t.Fatalf("error %v has code %q, want %q", err, core.ErrorCode(err), code)
	}
}

func leftovers(t *testing.T, root string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(root, "uploads", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestLayoutIsDurable(t *testing.T) {
	layer, root := &spyLayer{}, filepath.Join(t.TempDir(), "new", "root")
	s := open(t, root, blobs.WithFileLayer(layer))
	if n := len(layer.take()); n > 15 {
		t.Errorf("Open did %d operations", n)
	}
	warm(t, s)
	ops := layer.take()
	for _, dir := range []string{"blobs", "sha256", "sha512"} {
		if !slices.Contains(ops, "syncdir "+dir) {
			t.Errorf("%s was not synced", dir)
		}
	}
	for _, dir := range []string{"uploads", "blobs/sha256/00", "blobs/sha256/ff", "blobs/sha512/a7"} {
		if info, err := os.Stat(filepath.Join(root, dir)); err != nil || !info.IsDir() {
			t.Errorf("%s: %v", dir, err)
		}
	}
	warm(t, s)
	if ops := layer.take(); slices.Contains(ops, "syncdir blobs") {
		t.Errorf("the folders were made again: %v", ops)
	}
	s = open(t, root, blobs.WithFileLayer(layer))
	warm(t, s)
	// The process before may have died between making and syncing them.
	if ops := layer.take(); !slices.Contains(ops, "syncdir sha256") || len(ops) > 40 {
		t.Errorf("operations over an old folder: %v", ops)
	}
}

func TestLayoutFails(t *testing.T) {
	data := []byte("x")
	f := blobs.File{Digest: digest.FromBytes(data)}
	for _, op := range []string{"mkdir", "syncdir sha256", "syncdir blobs"} {
		layer := &spyLayer{}
		s := open(t, t.TempDir(), blobs.WithFileLayer(layer))
		layer.failOn(op, syscall.ENOSPC)
		wantCode(t, s.Put(t.Context(), f, data), core.CodeNoSpace)
		layer.setFail(nil)
		if err := s.Put(t.Context(), f, data); err != nil {
			t.Errorf("after %s failed: %v", op, err)
		}
		if ops := layer.take(); !slices.Contains(ops, "syncdir sha256") {
			t.Errorf("after %s failed the folders were not synced", op)
		}
	}
}

func TestOpenFails(t *testing.T) {
	root := emptyRoot(t)
	for errno, code := range map[syscall.Errno]core.Code{
		syscall.ENOSPC: core.CodeNoSpace, syscall.EDQUOT: core.CodeNoSpace,
		syscall.EROFS: core.CodeUnavailable, syscall.EIO: core.CodeUnavailable, syscall.EACCES: core.CodeUnavailable,
	} {
		for _, op := range []string{"mkdir", "syncdir " + filepath.Base(root)} {
			layer := &spyLayer{}
			layer.failOn(op, errno)
			s, err := blobs.Open(t.Context(), root, blobs.WithFileLayer(layer))
			wantCode(t, err, code)
			if s != nil || !errors.Is(err, errno) {
				t.Errorf("%s: store %v, error %v", op, s, err)
			}
		}
	}
}

func TestPut(t *testing.T) {
	s, layer, root := spied(t)
	data := []byte(`{"schemaVersion":2}`)
	for _, algorithm := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		f := blobs.File{Digest: algorithm.FromBytes(data), Generation: 3}
		hex := f.Digest.Encoded()
		if err := s.Put(t.Context(), f, data); err != nil {
			t.Fatal(err)
		}
		if got := content(t, s, f); !bytes.Equal(got, data) {
			t.Errorf("read %q", got)
		}
		if _, err := os.Stat(filepath.Join(root, "blobs", string(algorithm), hex[:2], hex+".3")); err != nil {
			t.Error(err)
		}
		want := []string{"open", "write", "rename", "sync", "syncdir " + hex[:2]}
		if ops := layer.take(); !slices.Equal(ops, want) {
			t.Errorf("operations %v, want %v", ops, want)
		}
	}
	if left := leftovers(t, root); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestPutRefusesWrongContent(t *testing.T) {
	s, layer, _ := spied(t)
	want := digest.FromString("a")
	err := s.Put(t.Context(), blobs.File{Digest: want}, []byte("b"))
	wantCode(t, err, core.CodeBadRequest)
	if e, ok := errors.AsType[*blobs.ErrDigestMismatch](err); !ok || e.Want != want || e.Got != digest.FromString("b") {
		t.Errorf("error %v", err)
	}
	if ops := layer.take(); len(ops) > 0 {
		t.Errorf("operations %v", ops)
	}
}

func TestPutFails(t *testing.T) {
	data := []byte("x")
	f := blobs.File{Digest: digest.FromBytes(data)}
	for _, op := range []string{"open", "write", "sync", "rename", "syncdir " + f.Digest.Encoded()[:2]} {
		s, layer, root := spied(t)
		layer.failOn(op, syscall.EIO)
		wantCode(t, s.Put(t.Context(), f, data), core.CodeUnavailable)
		if left := leftovers(t, root); len(left) > 0 {
			t.Errorf("%s: left %v", op, left)
		}
		layer.setFail(nil)
		if err := s.Put(t.Context(), f, data); err != nil {
			t.Errorf("after %s failed: %v", op, err)
		}
	}
}

func TestPutMakesMissingFolder(t *testing.T) {
	s, layer, root := spied(t)
	data := []byte("x")
	f := blobs.File{Digest: digest.FromBytes(data)}
	sub := f.Digest.Encoded()[:2]
	if err := os.Remove(filepath.Join(root, "blobs", "sha256", sub)); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), f, data); err != nil {
		t.Fatal(err)
	}
	want := []string{"open", "write", "rename", "mkdir", "syncdir sha256", "rename", "sync", "syncdir " + sub}
	if ops := layer.take(); !slices.Equal(ops, want) {
		t.Errorf("operations %v, want %v", ops, want)
	}
}

func TestHostileFiles(t *testing.T) {
	s, layer, _ := spied(t)
	good := digest.FromString("x")
	for _, f := range []blobs.File{
		{}, {Digest: "sha256:../../../etc/passwd"}, {Digest: "sha384:" + digest.Digest(strings.Repeat("a", 96))},
		{Digest: "md5:d41d8cd98f00b204e9800998ecf8427e"}, {Digest: digest.Digest(strings.ToUpper(string(good)))},
		{Digest: good, Generation: -1}, {Digest: good + "\n"}, {Digest: "sha256:" + digest.Digest(strings.Repeat("/", 64))},
	} {
		if err := s.Put(t.Context(), f, []byte("x")); err == nil {
			t.Errorf("Put took %q", f.Digest)
		}
		if err := s.Remove(t.Context(), f); err == nil {
			t.Errorf("Remove took %q", f.Digest)
		}
		if b, err := s.OpenBlob(t.Context(), f); err == nil {
			t.Errorf("OpenBlob took %q: %v", f.Digest, b)
		}
	}
	if ops := layer.take(); len(ops) > 0 {
		t.Errorf("operations %v", ops)
	}
}

func TestOpenBlobServesRangesFromTheFile(t *testing.T) {
	s := open(t, emptyRoot(t))
	data := random(1, 1<<20)
	f := blobs.File{Digest: digest.FromBytes(data), Generation: 1}
	if err := s.Put(t.Context(), f, data); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := s.OpenBlob(r.Context(), f)
		if err != nil {
			t.Error(err)
			return
		}
		defer b.Close()
		if _, ok := b.Content().(*os.File); !ok {
			t.Errorf("Content is a %T, which net/http cannot sendfile", b.Content())
		}
		http.ServeContent(w, r, "", time.Time{}, b.Content())
	}))
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", "bytes=1000-70000")
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusPartialContent || !bytes.Equal(got, data[1000:70001]) {
		t.Errorf("status %d, %d bytes, %v", resp.StatusCode, len(got), err)
	}
}

func TestOpenBlobReadsAt(t *testing.T) {
	s := open(t, emptyRoot(t))
	f := blobs.File{Digest: digest.FromString("0123456789")}
	if err := s.Put(t.Context(), f, []byte("0123456789")); err != nil {
		t.Fatal(err)
	}
	b, err := s.OpenBlob(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	p := make([]byte, 3)
	if _, err := b.ReadAt(p, 4); err != nil || string(p) != "456" {
		t.Errorf("ReadAt gave %q, %v", p, err)
	}
	if _, err := b.Seek(8, io.SeekStart); err != nil {
		t.Error(err)
	}
	if rest, err := io.ReadAll(b); err != nil || string(rest) != "89" {
		t.Errorf("read %q, %v", rest, err)
	}
}

func TestRemove(t *testing.T) {
	s, layer, _ := spied(t)
	f := blobs.File{Digest: digest.FromString("x"), Generation: 1}
	next := blobs.File{Digest: f.Digest, Generation: 2}
	for _, f := range []blobs.File{f, next} {
		if err := s.Put(t.Context(), f, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	layer.take()
	sync := "syncdir " + f.Digest.Encoded()[:2]
	for range 2 { // the second time it is absent
		if err := s.Remove(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		if ops := layer.take(); !slices.Equal(ops, []string{"remove", sync}) {
			t.Errorf("operations %v", ops)
		}
	}
	_, err := s.OpenBlob(t.Context(), f)
	wantCode(t, err, core.CodeNotFound)
	if got := content(t, s, next); string(got) != "x" {
		t.Errorf("the next generation reads %q", got)
	}
	layer.failOn(sync, syscall.EIO)
	wantCode(t, s.Remove(t.Context(), next), core.CodeUnavailable)
}

func TestWalk(t *testing.T) {
	s, _, root := spied(t)
	want := map[blobs.File]int64{}
	for i := range 20 {
		data := random(uint64(i), i*10)
		f := blobs.File{Digest: digest.FromBytes(data), Generation: int64(i)}
		if i%2 == 0 {
			f.Digest = digest.SHA512.FromBytes(data)
		}
		if err := s.Put(t.Context(), f, data); err != nil {
			t.Fatal(err)
		}
		want[f] = int64(len(data))
	}
	hex := digest.FromString("foreign").Encoded()
	for _, name := range []string{"README", hex, hex + ".", hex + ".01", hex + ".+1", hex + ".1.2", "00" + hex[2:] + ".1"} {
		if err := os.WriteFile(filepath.Join(root, "blobs", "sha256", hex[:2], name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := map[blobs.File]int64{}
	err := s.Walk(t.Context(), func(f blobs.File, size int64, modTime time.Time) error {
		if since := time.Since(modTime); since < 0 || since > time.Hour {
			t.Errorf("%v modified %v ago", f, since)
		}
		got[f] = size
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Errorf("%d files, want %d: %v", len(got), len(want), got)
	}
	for f, size := range want {
		if gotSize, ok := got[f]; !ok || gotSize != size {
			t.Errorf("%v: size %d, want %d", f, gotSize, size)
		}
	}
	stop := errors.New("stop")
	if err := s.Walk(t.Context(), func(blobs.File, int64, time.Time) error { return stop }); err != stop {
		t.Errorf("Walk returned %v", err)
	}
}
