// Package torture_test kills the real server with SIGKILL at random moments
// while it is pushed to, and checks after each restart that every acknowledged
// image is there byte by byte and that what was not acknowledged happened
// wholly or not at all.
package torture_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math/rand"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	_ "modernc.org/sqlite" // to age leases while the server is down

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

const (
	workers = 6
	project = "torture"

	// usualKills is how often the server is killed in the end-to-end tier.
	usualKills = 10
	// manyKills are enough for the garbage collection to have found something.
	manyKills = 50
	// longest is how long the server lives at most before it is killed.
	longest = 1200 * time.Millisecond
)

// TestTorture is in the end-to-end tier; TORTURE_KILLS=N asks for N kills
// whatever the tier. TORTURE_SEED repeats the choices of a run, as far as the
// machine's own timing lets it.
func TestTorture(t *testing.T) {
	kills := usualKills
	if text := os.Getenv("TORTURE_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	} else {
		testenv.RequireE2E(t)
	}
	tt := newTorture(t, chooseSeed(t))
	began := time.Now()
	for n := range kills {
		tt.round(n)
		if t.Failed() {
			return
		}
	}
	purged := tt.purged()
	tt.srv.Stop(t)
	tt.fsck()
	t.Logf("%d kills in %s: %d changes acknowledged, %d garbage collections begun, %d blobs collected",
		kills, time.Since(began).Round(time.Second), tt.changes(), tt.collections.Load(), purged)
	if kills >= manyKills && purged == 0 {
		t.Error("no blob was ever collected: the garbage collection was not tested")
	}
}

func chooseSeed(t *testing.T) int64 {
	seed := time.Now().UnixNano()
	if text := os.Getenv("TORTURE_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseInt(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("TORTURE_SEED=%d", seed)
	return seed
}

// torture is one server with those who change it.
type torture struct {
	t           *testing.T
	srv         *testenv.Server
	admin       *client
	workers     []*worker
	random      *rand.Rand
	killed      atomic.Bool
	collections atomic.Int64
}

func newTorture(t *testing.T, seed int64) *torture {
	tt := &torture{t: t, random: rand.New(rand.NewSource(seed)),
		srv: testenv.StartServer(t, testenv.ServerOptions{Env: []string{"BREAKWATER_LOG_LEVEL=warn"}})}
	tt.admin = newClient(tt.srv, tt.srv.AdminUser, tt.srv.AdminPassword, false)
	user, secret := tt.robot()
	shared, exhibits := make([]blob, 12), &gallery{}
	for i := range shared {
		data := make([]byte, 1+tt.random.Intn(256<<10))
		_, _ = tt.random.Read(data) // never fails
		shared[i] = newBlob(data)
	}
	for i := range workers {
		tt.workers = append(tt.workers, &worker{client: newClient(tt.srv, user, secret, i%2 == 0),
			repo:   newRepository(project + "/worker" + strconv.Itoa(i)),
			random: rand.New(rand.NewSource(tt.random.Int63())), gallery: exhibits, common: shared})
	}
	return tt
}

// robot makes the project, and the account that the workers use.
func (tt *torture) robot() (name, secret string) {
	tt.srv.JSON(tt.t, http.MethodPost, "/api/v2.0/projects", tt.srv.AdminUser, tt.srv.AdminPassword,
		map[string]any{"project_name": project}, http.StatusCreated, nil)
	var access []map[string]string
	for _, right := range [][2]string{{"repository", "pull"}, {"repository", "push"}, {"artifact", "delete"}, {"tag", "delete"}} {
		access = append(access, map[string]string{"resource": right[0], "action": right[1]})
	}
	var robot struct{ Name, Secret string }
	tt.srv.JSON(tt.t, http.MethodPost, "/api/v2.0/robots", tt.srv.AdminUser, tt.srv.AdminPassword, map[string]any{
		"name": "worker", "level": "system", "duration": -1,
		"permissions": []any{map[string]any{"kind": "project", "namespace": project, "access": access}}}, http.StatusCreated, &robot)
	return robot.Name, robot.Secret
}

func (tt *torture) changes() (n int) {
	for _, w := range tt.workers {
		n += w.acked
	}
	return n
}

// round lets the workers work, kills the server among it, and looks at what is
// left.
func (tt *torture) round(n int) {
	ctx, cancel := context.WithCancel(tt.t.Context())
	defer cancel()
	tt.killed.Store(false)
	var group sync.WaitGroup
	for _, w := range tt.workers {
		group.Go(func() { tt.judge(w.run(ctx)) })
	}
	if tt.random.Intn(2) == 0 {
		wait := time.Duration(tt.random.Int63n(int64(longest / 3)))
		group.Go(func() { tt.judge(tt.collect(ctx, wait)) })
	}
	time.Sleep(20*time.Millisecond + time.Duration(tt.random.Int63n(int64(longest)))) // the moment is the point
	tt.killed.Store(true)
	tt.srv.Kill(tt.t)
	cancel()
	group.Wait()
	if tt.random.Intn(2) == 0 {
		tt.endLeases()
	}
	if n%25 == 24 {
		tt.fsck()
	}
	tt.srv.Restart(tt.t)
	tt.check(n)
}

// judge fails the test for an error that the kill does not explain.
func (tt *torture) judge(err error) {
	if err == nil {
		return
	}
	_, answered := errors.AsType[*statusError](err)
	_, alsoAnswered := errors.AsType[*transport.Error](err)
	_, broken := errors.AsType[*violation](err)
	if answered || alsoAnswered || broken || !tt.killed.Load() {
		tt.t.Error(err)
	}
}

// collect has garbage collected.
func (tt *torture) collect(ctx context.Context, wait time.Duration) error {
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(wait):
	}
	_, err := tt.admin.send(ctx, http.MethodPost, "/api/v2.0/system/gc/schedule", []byte(`{"schedule":{"type":"Manual"}}`),
		map[string]string{"Content-Type": "application/json"})
	if isStatus(err, http.StatusConflict) || isStatus(err, http.StatusPreconditionFailed) {
		return nil // one is running
	}
	if err == nil {
		tt.collections.Add(1)
	}
	return err
}

// purged is how many blobs the collections tell that they removed.
func (tt *torture) purged() (n int) {
	var runs []struct {
		Parameters string `json:"job_parameters"`
	}
	tt.srv.JSON(tt.t, http.MethodGet, "/api/v2.0/system/gc?page_size=100", tt.srv.AdminUser, tt.srv.AdminPassword, nil, http.StatusOK, &runs)
	for _, run := range runs {
		var result struct {
			Blobs int `json:"purged_blobs"`
		}
		if err := json.Unmarshal([]byte(run.Parameters), &result); err != nil {
			tt.t.Errorf("job_parameters %q: %v", run.Parameters, err)
		}
		n += result.Blobs
	}
	return n
}

// endLeases makes some of the blobs that no manifest uses garbage now and not
// in a day, so that the next collection has something to do.
func (tt *torture) endLeases() {
	db, err := sql.Open("sqlite", filepath.Join(tt.srv.Data, "breakwater.db"))
	if err != nil {
		tt.t.Fatal(err)
	}
	_, err = db.Exec(`UPDATE blob_link SET leased_until = 1 WHERE blob_id % 3 <> ?`, tt.random.Intn(3))
	if err := errors.Join(err, db.Close()); err != nil {
		tt.t.Fatal(err)
	}
}

// fsck runs the product's own check over the data folder, which nobody uses.
func (tt *torture) fsck() {
	cmd := exec.CommandContext(tt.t.Context(), testenv.Binary(tt.t), "fsck", "--data", tt.srv.Data)
	cmd.Env = []string{"HOME=" + tt.t.TempDir()} // without the settings of the tests
	out, err := cmd.CombinedOutput()
	if err != nil {
		tt.t.Errorf("breakwater fsck: %v\n%s", err, out)
	}
}

// check looks at every repository while nothing changes.
func (tt *torture) check(round int) {
	ctx := tt.t.Context()
	var group sync.WaitGroup
	for _, w := range tt.workers {
		group.Go(func() {
			if err := w.check(ctx); err != nil {
				tt.t.Errorf("after kill %d: %v", round+1, err)
			}
		})
	}
	group.Wait()
	if tt.t.Failed() {
		return
	}
	if err := tt.checkJournal(); err != nil {
		tt.t.Errorf("after kill %d: %v", round+1, err)
	}
}

// check settles what was in doubt and reads all images of the repository.
func (w *worker) check(ctx context.Context) error {
	if err := w.look(ctx); err != nil {
		return err
	}
	for _, img := range w.repo.now().images {
		if err := w.verify(ctx, w.repo.name, img); err != nil {
			return err
		}
	}
	return nil
}

// TestModel shows that the model tells a wrong state from a right one: a test
// of the test.
func TestModel(t *testing.T) {
	a, b := &image{blob: newBlob([]byte("a"))}, &image{blob: newBlob([]byte("b"))}
	r := newRepository("x/y")
	lost := errors.New("lost")
	before := r.now()
	if err := r.attempt(func() error { return lost }, before.with(a, "t")); !errors.Is(err, lost) {
		t.Fatal(err)
	}
	if len(r.possible) != 2 {
		t.Fatalf("%d possible states after a push in doubt", len(r.possible))
	}
	if err := r.settle(before.with(b, "t")); err == nil {
		t.Error("a state that never was is accepted")
	}
	half := state{map[string]string{"t": a.digest}, map[string]*image{}}
	if err := r.settle(half); err == nil {
		t.Error("a tag without its image is accepted")
	}
	if err := r.settle(before.with(a, "t")); err != nil {
		t.Error(err)
	}
	if err := r.attempt(func() error { return nil }, r.now().withoutImage(a.digest)); err != nil || !r.now().equal(before) {
		t.Errorf("deleted: %v, %v", r.now(), err)
	}
	if err := r.settle(before.with(a, "t")); err == nil {
		t.Error("a deleted image is accepted")
	}
}
