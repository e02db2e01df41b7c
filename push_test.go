package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const pusherPassword = "Pusher-Password-1"

// pusher is a registry with an administrator who pushes.
type pusher struct {
	script
	dir   string
	flags []string // of serve
}

func newPusher(t *testing.T, flags ...string) *pusher {
	t.Helper()
	p := &pusher{dir: t.TempDir(), flags: flags}
	if err := os.WriteFile(filepath.Join(p.dir, "breakwater.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.start(t)
	return p
}

func (p *pusher) start(t *testing.T) {
	t.Helper()
	server, err := launch(p.dir, append(plainEnv(p.dir), "BREAKWATER_ADMIN_PASSWORD="+pusherPassword), p.flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.end(syscall.SIGKILL) })
	p.server, p.url, p.addr = server, server.url, hostPort(server.url)
	p.client = newClient(server.addr, filepath.Join(server.data, "tls", "ca.crt"))
	t.Cleanup(p.client.CloseIdleConnections)
}

// api sends JSON as the administrator and demands a status; the body is p.body.
func (p *pusher) api(t *testing.T, want int, method, path, body string) {
	t.Helper()
	status, err := p.do(method, path, options{user: "admin", password: pusherPassword, body: body, header: http.Header{}})
	if err != nil || status != want {
		t.Fatalf("%s %s answered %d, want %d: %v\n%s", method, path, status, want, err, p.body)
	}
}

func (p *pusher) options() []remote.Option {
	return p.remoteOptions(options{user: "admin", password: pusherPassword})
}

// push pushes the image of that number and returns its size with all it refers to.
func (p *pusher) push(number int64, repository string) (int64, error) {
	ref, err := name.ParseReference(fmt.Sprintf("%s/%s:%d", p.addr, repository, number))
	if err != nil {
		return 0, err
	}
	img, err := image(options{numbers: map[string]int64{"seed": number, "size": 4000, "layers": 3}})
	if err != nil {
		return 0, err
	}
	size, err := totalSize(img)
	if err != nil {
		return 0, err
	}
	return size, remote.Write(ref, img, p.options()...)
}

func totalSize(img v1.Image) (int64, error) {
	manifest, err := img.Manifest()
	if err != nil {
		return 0, err
	}
	size, err := img.Size()
	for _, layer := range append(manifest.Layers, manifest.Config) {
		size += layer.Size
	}
	return size, err
}

// TestQuotaIsExact pushes at once what does not fit as a whole: what was taken
// is paid for to the byte, and the rest was refused with the quota's text.
func TestQuotaIsExact(t *testing.T) {
	t.Parallel()
	p := newPusher(t)
	const limit = 50_000
	p.api(t, http.StatusCreated, http.MethodPost, "/api/v2.0/projects", fmt.Sprintf(`{"project_name":"small","storage_limit":%d}`, limit))
	var group sync.WaitGroup
	var mu sync.Mutex
	var taken, refused int64
	for number := range int64(10) {
		group.Go(func() {
			size, err := p.push(number, "small/app")
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				taken += size
			case strings.Contains(err.Error(), "will exceed the configured upper limit of 48.8 KiB."):
				refused++
			default:
				t.Errorf("push %d: %v", number, err)
			}
		})
	}
	group.Wait()
	p.api(t, http.StatusOK, http.MethodGet, "/api/v2.0/projects/small/summary", "")
	used, err := lookup(p.body, "quota.used.storage")
	if err != nil || used != fmt.Sprint(taken) || taken > limit || taken == 0 || refused == 0 {
		t.Errorf("%d bytes were taken and %d pushes refused, used is %s of %d: %v", taken, refused, used, limit, err)
	}
}

// TestSameImageAtOnce pushes one image to many repositories while others of the
// same content are deleted: each is whole, and the project pays for one.
func TestSameImageAtOnce(t *testing.T) {
	t.Parallel()
	p := newPusher(t)
	p.api(t, http.StatusCreated, http.MethodPost, "/api/v2.0/projects", `{"project_name":"lib"}`)
	var size atomic.Int64
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			repository := fmt.Sprintf("lib/app%d", i)
			for range 3 {
				n, err := p.push(1, repository)
				if err != nil {
					t.Errorf("push to %s: %v", repository, err)
				}
				size.Store(n)
				if i%2 == 1 {
					p.remove(t, repository)
				}
			}
		})
	}
	group.Wait()
	for i := 0; i < 8; i += 2 {
		ref, err := name.ParseReference(fmt.Sprintf("%s/lib/app%d:1", p.addr, i))
		if err == nil {
			err = pullAll(ref, p.options())
		}
		if err != nil {
			t.Error(err)
		}
	}
	p.api(t, http.StatusOK, http.MethodGet, "/api/v2.0/projects/lib/summary", "")
	if used, err := lookup(p.body, "quota.used.storage"); err != nil || used != fmt.Sprint(size.Load()) {
		t.Errorf("the project pays for %s bytes, the image has %d: %v", used, size.Load(), err)
	}
}

// remove deletes the image that push made in the repository, by its digest.
func (p *pusher) remove(t *testing.T, repository string) {
	ref, err := name.ParseReference(fmt.Sprintf("%s/%s:1", p.addr, repository))
	if err != nil {
		t.Error(err)
		return
	}
	found, err := remote.Head(ref, p.options()...)
	if err == nil {
		err = remote.Delete(ref.Context().Digest(found.Digest.String()), p.options()...)
	}
	if err != nil {
		t.Errorf("delete %s: %v", repository, err)
	}
}

// TestKilledPushes kills the server in the middle of pushes: after the restart
// every image whose push was acknowledged is there, whole, and every other one
// is there whole or not at all.
func TestKilledPushes(t *testing.T) {
	t.Parallel()
	p := newPusher(t)
	p.api(t, http.StatusCreated, http.MethodPost, "/api/v2.0/projects", `{"project_name":"lib"}`)
	for round := range int64(3) {
		acknowledged := p.killDuringPushes(t, round)
		p.start(t)
		for number := range acknowledged {
			if err := p.pull(number); err != nil {
				t.Errorf("round %d: image %d was acknowledged and is lost: %v", round, number, err)
			}
		}
		p.checkRest(t, round, acknowledged)
	}
	if err := p.server.end(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}

const pushesPerRound = 24

// killDuringPushes ends the server after some pushes and returns those that
// were acknowledged.
func (p *pusher) killDuringPushes(t *testing.T, round int64) map[int64]bool {
	t.Helper()
	numbers, acks := make(chan int64, pushesPerRound), make(chan int64, pushesPerRound)
	for i := range int64(pushesPerRound) {
		numbers <- round*pushesPerRound + i
	}
	close(numbers)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for number := range numbers {
				if _, err := p.push(number, "lib/app"); err == nil {
					acks <- number
				}
			}
		})
	}
	go func() {
		group.Wait()
		close(acks)
	}()
	done := map[int64]bool{}
	for number := range acks {
		done[number] = true
		if int64(len(done)) == 4+3*round {
			_ = p.server.end(syscall.SIGKILL)
		}
	}
	return done
}

func (p *pusher) pull(number int64) error {
	ref, err := name.ParseReference(fmt.Sprintf("%s/lib/app:%d", p.addr, number))
	if err != nil {
		return err
	}
	return pullAll(ref, p.options())
}

func (p *pusher) checkRest(t *testing.T, round int64, acknowledged map[int64]bool) {
	t.Helper()
	if len(acknowledged) == pushesPerRound {
		t.Errorf("round %d: the server was killed after the last push", round)
	}
	for number := round * pushesPerRound; number < (round+1)*pushesPerRound; number++ {
		err := p.pull(number)
		var refusal *transport.Error
		if err != nil && (!errors.As(err, &refusal) || refusal.StatusCode != http.StatusNotFound) {
			t.Errorf("round %d: image %d is neither whole nor absent: %v", round, number, err)
		}
	}
}
