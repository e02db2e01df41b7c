package torture_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

// tool runs a program of the system that a test needs as root.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// mount mounts a filesystem on a fresh folder until the end of the test, which
// must come after that of the server.
func mount(t *testing.T, args ...string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "breakwater-disk-")
	if err != nil {
		t.Fatal(err)
	}
	tool(t, "mount", append(args, dir)...)
	t.Cleanup(func() {
		tool(t, "umount", dir)
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func tmpfs(t *testing.T, size string) string {
	t.Helper()
	return mount(t, "-t", "tmpfs", "-o", "size="+size, "tmpfs")
}

// lonely is a server with one worker.
func lonely(t *testing.T, data string) (*torture, *worker) {
	t.Helper()
	tt := &torture{t: t, random: rand.New(rand.NewSource(1)), srv: testenv.StartServer(t, testenv.ServerOptions{Data: data,
		Args: []string{"--disk-reserve=0"}, Env: []string{"BREAKWATER_LOG_LEVEL=warn"}})}
	user, secret := tt.robot()
	w := &worker{client: newClient(tt.srv, user, secret, false), repo: newRepository(project + "/disk"), random: tt.random, gallery: &gallery{}}
	tt.workers = []*worker{w}
	return tt, w
}

// plain makes an image of one layer.
func (w *worker) plain(size int) *image {
	img := &image{mediaType: ociManifest, blobs: []blob{newBlob(fmt.Appendf(nil, `{"nonce":"%x"}`, w.bytes(8))), newBlob(w.bytes(size))}}
	img.blob = newBlob(document(map[string]any{"schemaVersion": 2, "mediaType": ociManifest,
		"config": describe(ociConfig, img.blobs[0]), "layers": []any{describe(ociLayer, img.blobs[1])}}))
	return img
}

// fill pushes images until the server refuses one and checks how it does so.
func (w *worker) fill(t *testing.T, size, atLeast, atMost int) {
	t.Helper()
	for n := range atMost {
		img := w.plain(size)
		err := w.push(t.Context(), img, fmt.Sprintf("n%d", n), w.uploads(t.Context(), img))
		if err == nil {
			continue
		}
		e, ok := errors.AsType[*statusError](err)
		if !ok || e.status != http.StatusInsufficientStorage || !strings.Contains(string(e.text), "disk is full") {
			t.Fatalf("push %d on a full disk: %v", n, err)
		}
		if n < atLeast {
			t.Errorf("the disk was full after %d images already: %v", n, err)
		}
		t.Logf("push %d was refused: %v", n, err)
		return
	}
	t.Fatalf("%d images were pushed and the disk is not full", atMost)
}

// works checks that all is there and that more can be pushed.
func (w *worker) works(t *testing.T) {
	t.Helper()
	if err := w.check(t.Context()); err != nil {
		t.Error(err)
	}
	img := w.plain(1000)
	if err := w.push(t.Context(), img, "more", w.uploads(t.Context(), img)); err != nil {
		t.Error(err)
	} else if err := w.check(t.Context()); err != nil {
		t.Error(err)
	}
}

// fullDisk fills the disk mounted on dir, looks at what is left, also after a
// kill, and then makes the disk larger.
func fullDisk(t *testing.T, tt *torture, dir, larger string) {
	t.Helper()
	w := tt.workers[0]
	if err := w.check(t.Context()); err != nil {
		t.Errorf("on the full disk: %v", err)
	}
	tt.srv.Kill(t)
	tt.srv.Restart(t)
	if err := w.check(t.Context()); err != nil {
		t.Errorf("after a start on the full disk: %v", err)
	}
	tt.srv.Kill(t)
	tool(t, "mount", "-o", "remount,size="+larger, dir)
	tt.srv.Restart(t)
	w.works(t)
	if err := tt.checkJournal(); err != nil {
		t.Error(err)
	}
	tt.srv.Stop(t)
	tt.fsck()
}

// The disk is full: pushes are refused with a clear error, what is there is
// served, and all goes on once there is space.
func TestDiskFull(t *testing.T) {
	testenv.RequireE2E(t)
	dir := tmpfs(t, "64m")
	tt, w := lonely(t, filepath.Join(dir, "data"))
	w.fill(t, 1<<20, 30, 100)
	fullDisk(t, tt, dir, "128m")
}

// Only the disk of database and journal is full: the blobs lie elsewhere.
func TestDatabaseDiskFull(t *testing.T) {
	testenv.RequireE2E(t)
	dir := tmpfs(t, "6m")
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"blobs", "uploads"} {
		elsewhere := filepath.Join(t.TempDir(), name)
		if err := errors.Join(os.Mkdir(elsewhere, 0o750), os.Symlink(elsewhere, filepath.Join(data, name))); err != nil {
			t.Fatal(err)
		}
	}
	tt, w := lonely(t, data)
	w.fill(t, 100, 20, 5000)
	fullDisk(t, tt, dir, "32m")
}

// The filesystem turns read-only under the server, as ext4 does after an error
// of its disk: pulls go on, pushes are refused.
func TestReadOnlyDisk(t *testing.T) {
	testenv.RequireE2E(t)
	disk := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(disk, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(disk, 96<<20); err != nil {
		t.Fatal(err)
	}
	tool(t, "mkfs.ext4", "-q", disk)
	dir := mount(t, "-o", "loop,errors=remount-ro", disk)
	tt, w := lonely(t, filepath.Join(dir, "data"))
	for n := range 5 {
		img := w.plain(100 << 10)
		if err := w.push(t.Context(), img, fmt.Sprintf("n%d", n), w.uploads(t.Context(), img)); err != nil {
			t.Fatal(err)
		}
	}
	device := filepath.Base(tool(t, "findmnt", "-no", "SOURCE", dir))
	if err := os.WriteFile(filepath.Join("/sys/fs/ext4", device, "trigger_fs_error"), []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		img := w.plain(1000)
		err := w.push(t.Context(), img, "n0", w.uploads(t.Context(), img))
		if e, ok := errors.AsType[*statusError](err); !ok || e.status != http.StatusServiceUnavailable || !strings.Contains(string(e.text), "read-only") {
			t.Errorf("push on a read-only disk: %v", err)
		}
		if err := w.check(t.Context()); err != nil {
			t.Errorf("on the read-only disk: %v", err)
		}
	}
	tt.srv.Kill(t)
	tool(t, "umount", dir)
	tool(t, "sh", "-c", "e2fsck -fy '"+disk+"' || test $? = 1") // which says that it has corrected the disk
	tool(t, "mount", "-o", "loop,errors=remount-ro", disk, dir)
	tt.srv.Restart(t)
	w.works(t)
	if err := tt.checkJournal(); err != nil {
		t.Error(err)
	}
	tt.srv.Stop(t)
	tt.fsck()
}
