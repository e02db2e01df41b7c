package registry_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/httpx"
	"github.com/breakwater-registry/breakwater/registry"
	"github.com/breakwater-registry/breakwater/registry/blobs"
	"github.com/breakwater-registry/breakwater/registry/journal"
	"github.com/breakwater-registry/breakwater/store"
)

// repo is the repository of the fault tests.
const repo = "p/a"

// disk says which operations fail, and with what. An operation is the call and
// the folder of the file, such as "write uploads".
type disk struct {
	mu   sync.Mutex
	fail func(op string) error
}

func (d *disk) do(op, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail == nil {
		return nil
	}
	return d.fail(op + " " + filepath.Base(filepath.Dir(name)))
}

// breakDown makes the operations that begin with op fail from now on.
func (d *disk) breakDown(op string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = func(got string) error {
		if strings.HasPrefix(got, op) {
			return err
		}
		return nil
	}
}

func (d *disk) repair() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = nil
}

// blobLayer is the layer of the blob store over a disk that can break.
type blobLayer struct {
	blobs.OSLayer
	*disk
}

func (l blobLayer) OpenFile(name string, flag int, perm fs.FileMode) (blobs.LayerFile, error) {
	if err := l.do("open", name); err != nil {
		return nil, err
	}
	f, err := l.OSLayer.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return blobFile{f, l.disk, name}, nil
}

func (l blobLayer) Rename(from, to string) error {
	if err := l.do("rename", from); err != nil {
		return err
	}
	return l.OSLayer.Rename(from, to)
}

func (l blobLayer) SyncDir(name string) error {
	if err := l.do("syncdir", name); err != nil {
		return err
	}
	return l.OSLayer.SyncDir(name)
}

type blobFile struct {
	blobs.LayerFile
	disk *disk
	name string
}

// WriteAt writes half of p before it fails, as a full disk does.
func (f blobFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.disk.do("write", f.name); err != nil {
		n, _ := f.LayerFile.WriteAt(p[:len(p)/2], off)
		return n, err
	}
	return f.LayerFile.WriteAt(p, off)
}

func (f blobFile) Sync() error {
	if err := f.disk.do("sync", f.name); err != nil {
		return err
	}
	return f.LayerFile.Sync()
}

// journalLayer is the layer of the journal over a disk that can break.
type journalLayer struct {
	journal.OSLayer
	*disk
}

func (l journalLayer) OpenFile(name string, flag int, perm fs.FileMode) (journal.LayerFile, error) {
	f, err := l.OSLayer.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return journalFile{f, l.disk, name}, nil
}

type journalFile struct {
	journal.LayerFile
	disk *disk
	name string
}

func (f journalFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.disk.do("write", f.name); err != nil {
		n, _ := f.LayerFile.WriteAt(p[:len(p)/2], off)
		return n, err
	}
	return f.LayerFile.WriteAt(p, off)
}

func (f journalFile) Sync() error {
	if err := f.disk.do("sync", f.name); err != nil {
		return err
	}
	return f.LayerFile.Sync()
}

func (f journalFile) Truncate(size int64) error {
	if err := f.disk.do("truncate", f.name); err != nil {
		return err
	}
	return f.LayerFile.Truncate(size)
}

// world is a registry over TCP whose disks can break.
type world struct {
	data    string
	blobs   *blobs.FileStore
	journal *journal.Journal
	store   *store.Store
	app     *app.App
	server  *httptest.Server
	token   string
	content *disk // under the blobs
	log     *disk // under the journal
	project int64
	closed  sync.Map // addresses of clients whose connections the server has closed
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{data: t.TempDir(), content: &disk{}, log: &disk{}}
	w.open(t)
	t.Cleanup(func() { w.close(t) })
	if _, err := w.app.Bootstrap(t.Context(), "Correct-Horse-1"); err != nil {
		t.Fatal(err)
	}
	admin := core.Caller{Subject: core.Subject{Kind: core.KindUser, ID: 1}}
	var err error
	if w.project, err = w.app.CreateProject(t.Context(), admin, app.NewProject{Name: "p"}); err != nil {
		t.Fatal(err)
	}
	w.push(t, "warm", []byte("the first push makes the folders")) // which is not what is tested
	return w
}

func (w *world) open(t *testing.T) {
	t.Helper()
	var err error
	if w.blobs, err = blobs.Open(t.Context(), w.data, blobs.WithFileLayer(blobLayer{disk: w.content})); err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	if w.journal, err = journal.Open(filepath.Join(w.data, "journal"), journal.WithFileLayer(journalLayer{disk: w.log}), journal.WithLogger(quiet)); err != nil {
		t.Fatal(err)
	}
	if w.store, err = store.Open(t.Context(), filepath.Join(w.data, "test.db"), w.journal); err != nil {
		t.Fatal(err)
	}
	if w.app, err = app.New(t.Context(), w.store, registry.Content{Blobs: w.blobs}, quiet); err != nil {
		t.Fatal(err)
	}
	tokens, err := auth.OpenTokens(filepath.Join(w.data, "keys"), auth.TokenOptions{Issuer: "t", Audience: "t", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	w.token, err = tokens.Issue(auth.Claims{ID: "1", Subject: "user:1",
		Access: []core.Scope{{Type: "repository", Name: repo, Actions: []string{"pull", "push", "delete"}}}}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	images := registry.New(registry.Options{App: w.app, Blobs: w.blobs, Tokens: tokens, Log: quiet,
		Realm: func(*http.Request) string { return "https://registry.test/service/token" }})
	w.server = httptest.NewUnstartedServer(httpx.Edge{Log: quiet}.Wrap(httpx.Patient(images)))
	w.server.Config.ConnState = func(conn net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			w.closed.Store(conn.RemoteAddr().String(), true)
		}
	}
	w.server.Start()
}

func (w *world) close(t *testing.T) {
	t.Helper()
	w.server.Close()
	w.app.Close()
	if err := w.store.Close(); err != nil {
		t.Error(err)
	}
	if err := w.journal.Close(); err != nil {
		t.Error(err)
	}
}

// restart opens everything again.
func (w *world) restart(t *testing.T) {
	t.Helper()
	w.close(t)
	w.open(t)
}

// answer is a response with its body.
type answer struct {
	status int
	header http.Header
	body   string
}

func (w *world) request(ctx context.Context, method, path string, body io.Reader, header map[string]string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, w.server.URL+path, body)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := w.server.Client().Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(text)}, err
}

func (w *world) do(t *testing.T, method, path string, body []byte) answer {
	t.Helper()
	a, err := w.request(t.Context(), method, path, bytes.NewReader(body), nil)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func (w *world) want(t *testing.T, status int, method, path string, body []byte) answer {
	t.Helper()
	a := w.do(t, method, path, body)
	if a.status != status {
		t.Errorf("%s %s: %d %s, want %d", method, path, a.status, a.body, status)
	}
	return a
}

// refused checks that the answer is an error a user can act on.
func (a answer) refused(t *testing.T, what string, status int, words ...string) {
	t.Helper()
	var envelope struct {
		Errors []struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(a.body), &envelope); err != nil || len(envelope.Errors) != 1 || envelope.Errors[0].Code == "" {
		t.Errorf("%s: the answer is not an error of the specification: %d %s", what, a.status, a.body)
	}
	if a.status != status {
		t.Errorf("%s: answered %d %s, want %d", what, a.status, a.body, status)
	}
	for _, word := range words {
		if !strings.Contains(a.body, word) {
			t.Errorf("%s: the answer does not say %q: %s", what, word, a.body)
		}
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// style is one of the ways to upload a blob. It returns the last answer.
type style struct {
	name string
	send func(t *testing.T, w *world, data []byte) answer
}

func digestOf(data []byte) string { return digest.FromBytes(data).String() }

func styles() []style {
	begin := func(t *testing.T, w *world) (string, answer) {
		a := w.do(t, http.MethodPost, "/v2/"+repo+"/blobs/uploads/", nil)
		return a.header.Get("Location"), a
	}
	return []style{
		{"POST", func(t *testing.T, w *world, data []byte) answer {
			return w.do(t, http.MethodPost, "/v2/"+repo+"/blobs/uploads/?digest="+digestOf(data), data)
		}},
		{"POST+PUT", func(t *testing.T, w *world, data []byte) answer {
			location, a := begin(t, w)
			if a.status != http.StatusAccepted {
				return a
			}
			return w.do(t, http.MethodPut, location+"?digest="+digestOf(data), data)
		}},
		{"POST+PATCH+PATCH+PUT", func(t *testing.T, w *world, data []byte) answer {
			location, a := begin(t, w)
			for _, chunk := range [][]byte{data[:len(data)/2], data[len(data)/2:]} {
				if a.status != http.StatusAccepted {
					return a
				}
				a = w.do(t, http.MethodPatch, location, chunk)
			}
			if a.status != http.StatusAccepted {
				return a
			}
			return w.do(t, http.MethodPut, location+"?digest="+digestOf(data), nil)
		}},
	}
}

// document is an image of one blob that is its config and its layer.
func document(content []byte) []byte {
	d := fmt.Sprintf(`{"mediaType":"application/octet-stream","digest":"%s","size":%d}`, digestOf(content), len(content))
	return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]}`, ociManifest, d, d)
}

const ociManifest = "application/vnd.oci.image.manifest.v1+json"

func (w *world) putManifest(t *testing.T, reference string, manifest []byte) answer {
	t.Helper()
	a, err := w.request(t.Context(), http.MethodPut, "/v2/"+repo+"/manifests/"+reference, bytes.NewReader(manifest), map[string]string{"Content-Type": ociManifest})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// push makes an image of the content and returns its digest.
func (w *world) push(t *testing.T, tag string, content []byte) string {
	t.Helper()
	w.want(t, http.StatusCreated, http.MethodPost, "/v2/"+repo+"/blobs/uploads/?digest="+digestOf(content), content)
	manifest := document(content)
	if a := w.putManifest(t, tag, manifest); a.status != http.StatusCreated {
		t.Fatalf("push: %d %s", a.status, a.body)
	}
	return digestOf(manifest)
}

// whole checks that the tag names the manifest and that all of it is there.
func (w *world) whole(t *testing.T, tag string, content []byte) {
	t.Helper()
	if a := w.want(t, http.StatusOK, http.MethodGet, "/v2/"+repo+"/manifests/"+tag, nil); a.body != string(document(content)) {
		t.Errorf("the tag %s names another manifest: %s", tag, a.body)
	}
	if a := w.want(t, http.StatusOK, http.MethodGet, "/v2/"+repo+"/blobs/"+digestOf(content), nil); a.body != string(content) {
		t.Errorf("the blob of %s has other bytes", tag)
	}
}

// absent checks that the registry shows nothing of the content.
func (w *world) absent(t *testing.T, what string, content []byte) {
	t.Helper()
	if a := w.do(t, http.MethodHead, "/v2/"+repo+"/blobs/"+digestOf(content), nil); a.status != http.StatusNotFound {
		t.Errorf("%s: the blob answers %d", what, a.status)
	}
}

// files lists what lies in a folder of the data, but empty folders.
func (w *world) files(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(w.data, dir), func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, filepath.Base(name))
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return names
}

// copies are the files that hold the content.
func (w *world) copies(t *testing.T, content []byte) []string {
	t.Helper()
	hex := digest.FromBytes(content).Encoded()
	return slices.DeleteFunc(w.files(t, "blobs"), func(name string) bool { return !strings.HasPrefix(name, hex) })
}

// reclaimed checks that no upload keeps any space once it has expired.
func (w *world) reclaimed(t *testing.T, what string) {
	t.Helper()
	if _, _, err := w.blobs.Expire(t.Context(), -time.Second); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if left := w.files(t, "uploads"); len(left) > 0 {
		t.Errorf("%s: uploads are left: %v", what, left)
	}
}

// edit changes the database beside the registry.
func (w *world) edit(t *testing.T, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.data, "test.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatal(err)
	}
}
