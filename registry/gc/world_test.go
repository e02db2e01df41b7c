package gc_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
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
	"github.com/breakwater-registry/breakwater/registry/gc"
	"github.com/breakwater-registry/breakwater/store"
)

var system = core.Caller{Subject: core.System}

// memoryJournal keeps what is journaled.
type memoryJournal struct {
	mu      sync.Mutex
	entries []core.JournalEntry
}

func (j *memoryJournal) Append(entries []core.JournalEntry) (from, to uint64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, entries...)
	return 1, uint64(len(entries)), nil
}

func (j *memoryJournal) Abort(uint64, uint64) error { return nil }

func (j *memoryJournal) has(op core.JournalOp, digest string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.ContainsFunc(j.entries, func(e core.JournalEntry) bool { return e.Op == op && e.Digest == digest })
}

// spyLayer tells of files that get their final name.
type spyLayer struct {
	blobs.OSLayer
	named func(name string)
}

func (l *spyLayer) Rename(from, to string) error {
	if l.named != nil {
		l.named(to)
	}
	return l.OSLayer.Rename(from, to)
}

// world is a registry as clients see it, with its collector.
type world struct {
	data      string
	journal   memoryJournal
	layer     spyLayer
	store     *store.Store
	app       *app.App
	blobs     *blobs.FileStore
	db        *sql.DB // a connection beside the store's own, to turn the time
	images    *registry.Registry
	handler   http.Handler
	token     string
	collector *gc.Collector
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{data: t.TempDir()}
	w.open(t)
	t.Cleanup(func() { w.close(t) })
	if _, err := w.app.Bootstrap(t.Context(), "Correct-Horse-1"); err != nil {
		t.Fatal(err)
	}
	w.project(t, "p")
	return w
}

func (w *world) open(t *testing.T) {
	t.Helper()
	var err error
	database := filepath.Join(w.data, "test.db")
	if w.blobs, err = blobs.Open(t.Context(), w.data, blobs.WithFileLayer(&w.layer)); err != nil {
		t.Fatal(err)
	}
	if w.store, err = store.Open(t.Context(), database, &w.journal); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	if w.app, err = app.New(t.Context(), w.store, registry.Content{Blobs: w.blobs}, log); err != nil {
		t.Fatal(err)
	}
	if w.db, err = sql.Open("sqlite", "file:"+database+"?_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)"); err != nil {
		t.Fatal(err)
	}
	tokens, err := auth.OpenTokens(filepath.Join(w.data, "keys"), auth.TokenOptions{Issuer: "t", Audience: "t", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	w.images = registry.New(registry.Options{App: w.app, Blobs: w.blobs, Tokens: tokens, Log: log,
		Realm: func(*http.Request) string { return "https://registry.test/service/token" }})
	w.handler = httpx.Edge{Log: log}.Wrap(w.images)
	w.token = issue(t, tokens)
	w.collector = gc.New(w.app, w.blobs, w.images.Writing)
}

// issue makes a token of the admin for every repository of the tests.
func issue(t *testing.T, tokens *auth.Tokens) string {
	t.Helper()
	var scopes []core.Scope
	for _, name := range []string{"a", "b", "c", "0", "1", "2", "3", "4", "5", "6", "7"} {
		scopes = append(scopes, core.Scope{Type: "repository", Name: "p/" + name, Actions: []string{"pull", "push", "delete"}})
	}
	token, err := tokens.Issue(auth.Claims{ID: "1", Subject: "user:1", Access: scopes}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (w *world) close(t *testing.T) {
	t.Helper()
	w.app.Close()
	if err := w.db.Close(); err != nil {
		t.Error(err)
	}
	if err := w.store.Close(); err != nil {
		t.Error(err)
	}
}

func (w *world) project(t *testing.T, name string) {
	t.Helper()
	_, err := w.app.CreateProject(t.Context(), system, app.NewProject{Name: name, StorageLimit: -1})
	if err != nil {
		t.Fatal(err)
	}
}

// sql runs a statement beside the store.
func (w *world) sql(t *testing.T, statement string, args ...any) {
	t.Helper()
	if _, err := w.db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

// dayLater ends every lease, as the next day would.
func (w *world) dayLater(t *testing.T) {
	t.Helper()
	w.sql(t, `UPDATE blob_link SET leased_until = 1`)
	w.sql(t, `UPDATE repository SET updated_at = 1 WHERE published_at = 0`)
}

func (w *world) number(t *testing.T, query string) (n int64) {
	t.Helper()
	if err := w.db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// reports keeps what a run tells.
type reports struct {
	mu    sync.Mutex
	last  gc.Result
	lines []string
}

func (r *reports) Progress(v any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = v.(gc.Result)
}

func (r *reports) Logf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

// collect runs the collection to its end.
func (w *world) collect(t *testing.T, o app.GCOptions) gc.Result {
	t.Helper()
	result, err := w.collector.Run(t.Context(), o, &reports{})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// image is what a client pushes.
type image struct {
	manifest []byte
	parts    [][]byte // config and layers
}

func digestOf(content []byte) string { return digest.FromBytes(content).String() }

// newImage makes an image whose config and manifest are its own.
func newImage(seed string, layers ...[]byte) image {
	config := fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","comment":%q}`, seed)
	type descriptor struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
		Size      int    `json:"size"`
	}
	list := []descriptor{}
	for _, layer := range layers {
		list = append(list, descriptor{"application/vnd.oci.image.layer.v1.tar", digestOf(layer), len(layer)})
	}
	manifest, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": manifestType,
		"config": descriptor{"application/vnd.oci.image.config.v1+json", digestOf(config), len(config)}, "layers": list})
	if err != nil {
		panic(err)
	}
	return image{manifest, append([][]byte{config}, layers...)}
}

const manifestType = "application/vnd.oci.image.manifest.v1+json"

// bytesOf makes content from a name.
func bytesOf(seed string, size int) []byte {
	var out []byte
	for block := sha256.Sum256([]byte(seed)); len(out) < size; block = sha256.Sum256(block[:]) {
		out = append(out, block[:]...)
	}
	return out[:size]
}

func (w *world) request(method, path, contentType string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+w.token)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec
}

// expect is request where anything but the status is an error.
func (w *world) expect(status int, method, path, contentType string, body []byte) error {
	if rec := w.request(method, path, contentType, body); rec.Code != status {
		return fmt.Errorf("%s %s = %d, want %d: %s", method, path, rec.Code, status, rec.Body)
	}
	return nil
}

// pushBlob does as docker does: HEAD, then a mount where there is a source, then
// the upload.
func (w *world) pushBlob(repository, from string, content []byte) error {
	d := digestOf(content)
	if rec := w.request("HEAD", "/v2/"+repository+"/blobs/"+d, "", nil); rec.Code == http.StatusOK {
		return nil
	}
	if from != "" {
		rec := w.request("POST", "/v2/"+repository+"/blobs/uploads/?mount="+d+"&from="+from, "", nil)
		switch rec.Code {
		case http.StatusCreated:
			return nil
		case http.StatusAccepted:
			return w.expect(http.StatusCreated, "PUT", rec.Header().Get("Location")+"?digest="+d, "application/octet-stream", content)
		}
		return fmt.Errorf("mount of %s = %d: %s", d, rec.Code, rec.Body)
	}
	return w.expect(http.StatusCreated, "POST", "/v2/"+repository+"/blobs/uploads/?digest="+d, "application/octet-stream", content)
}

func (w *world) push(repository, from, tag string, i image) error {
	for _, part := range i.parts {
		if err := w.pushBlob(repository, from, part); err != nil {
			return err
		}
	}
	if tag == "" {
		tag = digestOf(i.manifest)
	}
	return w.expect(http.StatusCreated, "PUT", "/v2/"+repository+"/manifests/"+tag, manifestType, i.manifest)
}

// pull reads all of the image and compares it byte by byte.
func (w *world) pull(repository string, i image) error {
	for path, want := range i.paths(repository) {
		rec := w.request("GET", path, "", nil)
		if rec.Code != http.StatusOK || !bytes.Equal(rec.Body.Bytes(), want) {
			return fmt.Errorf("GET %s = %d with %d bytes, want %d", path, rec.Code, rec.Body.Len(), len(want))
		}
	}
	return nil
}

func (i image) paths(repository string) map[string][]byte {
	all := map[string][]byte{"/v2/" + repository + "/manifests/" + digestOf(i.manifest): i.manifest}
	for _, part := range i.parts {
		all["/v2/"+repository+"/blobs/"+digestOf(part)] = part
	}
	return all
}

func (w *world) remove(repository string, i image) error {
	return w.expect(http.StatusAccepted, "DELETE", "/v2/"+repository+"/manifests/"+digestOf(i.manifest), "", nil)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// files lists the blob files, with their sizes.
func (w *world) files(t *testing.T) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	must(t, w.blobs.Walk(t.Context(), func(f blobs.File, size int64, _ time.Time) error {
		all[fmt.Sprintf("%s.%d", f.Digest, f.Generation)] = size
		return nil
	}))
	return all
}

// checkTidy demands that files and rows are the same and nothing is half gone.
func (w *world) checkTidy(t *testing.T) {
	t.Helper()
	rows, err := w.db.QueryContext(t.Context(), `SELECT digest || '.' || generation, size, deleting FROM blob`)
	must(t, err)
	defer rows.Close()
	known := map[string]int64{}
	for rows.Next() {
		var name string
		var size int64
		var deleting bool
		must(t, rows.Scan(&name, &size, &deleting))
		if deleting {
			t.Errorf("%s is still being deleted", name)
		}
		known[name] = size
	}
	must(t, rows.Err())
	if files := w.files(t); !maps.Equal(files, known) {
		t.Errorf("there are %d files and %d rows of blobs:\n%v\n%v", len(files), len(known), slices.Sorted(maps.Keys(files)), slices.Sorted(maps.Keys(known)))
	}
}

// tables are all rows of the tables that images are made of.
func (w *world) tables(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, table := range []string{"project", "repository", "blob", "blob_link", "manifest", "manifest_blob", "manifest_child", "tag"} {
		rows, err := w.db.QueryContext(t.Context(), `SELECT * FROM `+table+` ORDER BY 1, 2`)
		must(t, err)
		columns, err := rows.Columns()
		must(t, err)
		for rows.Next() {
			values := make([]any, len(columns))
			pointers := make([]any, len(columns))
			for i := range values {
				pointers[i] = &values[i]
			}
			must(t, rows.Scan(pointers...))
			fmt.Fprintln(&all, table, values)
		}
		must(t, rows.Err())
		must(t, rows.Close())
	}
	return all.String()
}
