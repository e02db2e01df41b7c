package fsck_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/httpx"
	"github.com/breakwater-registry/breakwater/registry"
	"github.com/breakwater-registry/breakwater/registry/blobs"
	"github.com/breakwater-registry/breakwater/registry/fsck"
	"github.com/breakwater-registry/breakwater/registry/gc"
	"github.com/breakwater-registry/breakwater/registry/journal"
	"github.com/breakwater-registry/breakwater/store"
)

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	indexType    = "application/vnd.oci.image.index.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
)

var system = core.Caller{Subject: core.System}

// world is a registry over a data folder, as its clients see it.
type world struct {
	data    string
	blobs   *blobs.FileStore
	journal *journal.Journal
	store   *store.Store
	app     *app.App
	handler http.Handler
	images  *registry.Registry
	tokens  *auth.Tokens
	scopes  []core.Scope
	token   string
	db      *sql.DB // a connection that obeys no constraint
}

// newWorld makes a registry with the project p.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{data: t.TempDir()}
	w.open(t)
	t.Cleanup(func() { w.close(t) })
	w.bootstrap(t)
	if _, err := w.app.CreateProject(t.Context(), system, app.NewProject{Name: "p", StorageLimit: -1}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) bootstrap(t *testing.T) {
	t.Helper()
	_, err := w.app.Bootstrap(t.Context(), "Correct-Horse-1")
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) open(t *testing.T) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	var err error
	w.blobs, err = blobs.Open(t.Context(), w.data)
	must(t, err)
	w.journal, err = journal.Open(w.journalDir(), journal.WithLogger(log))
	must(t, err)
	w.store, err = store.Open(t.Context(), w.database(), w.journal)
	must(t, err)
	w.app, err = app.New(t.Context(), w.store, registry.Content{Blobs: w.blobs}, log)
	must(t, err)
	w.db, err = sql.Open("sqlite", "file:"+w.database()+"?_pragma=busy_timeout(5000)")
	must(t, err)
	tokens, err := auth.OpenTokens(filepath.Join(w.data, "keys"), auth.TokenOptions{Issuer: "t", Audience: "t", Now: time.Now})
	must(t, err)
	w.images = registry.New(registry.Options{App: w.app, Blobs: w.blobs, Tokens: tokens, Log: log,
		Realm: func(*http.Request) string { return "https://registry.test/service/token" }})
	w.handler = httpx.Edge{Log: log}.Wrap(w.images)
	w.tokens = tokens
	w.token = w.tokenFor(t, "p/a", "p/b", "p/c", "q/d/e")
}

// tokenFor lets the administrator do everything in the repositories.
func (w *world) tokenFor(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		w.scopes = append(w.scopes, core.Scope{Type: "repository", Name: name, Actions: []string{"pull", "push", "delete"}})
	}
	token, err := w.tokens.Issue(auth.Claims{ID: "1", Subject: "user:1", Access: w.scopes}, time.Hour)
	must(t, err)
	return token
}

func (w *world) close(t *testing.T) {
	t.Helper()
	w.app.Close()
	if err := errors.Join(w.db.Close(), w.store.Close(), w.journal.Close()); err != nil {
		t.Error(err)
	}
}

// reopen is a restart, with something done in between.
func (w *world) reopen(t *testing.T, between func()) {
	t.Helper()
	w.close(t)
	between()
	w.open(t)
}

func (w *world) journalDir() string { return filepath.Join(w.data, "journal") }
func (w *world) database() string   { return filepath.Join(w.data, "breakwater.db") }

// loseDatabase is what nobody wants to happen.
func (w *world) loseDatabase(t *testing.T) {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(w.database() + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// sql changes the database behind the registry's back.
func (w *world) sql(t *testing.T, statement string, args ...any) {
	t.Helper()
	result, err := w.db.ExecContext(t.Context(), statement, args...)
	must(t, err)
	if n, err := result.RowsAffected(); n == 0 || err != nil {
		t.Fatalf("%s changed %d rows: %v", statement, n, err)
	}
}

// sqlAny is sql for statements that change no row.
func (w *world) sqlAny(t *testing.T, statement string) {
	t.Helper()
	_, err := w.db.ExecContext(t.Context(), statement)
	must(t, err)
}

func (w *world) number(t *testing.T, query string, args ...any) (n int64) {
	t.Helper()
	must(t, w.db.QueryRowContext(t.Context(), query, args...).Scan(&n))
	return n
}

// findings keeps what a check reports.
type findings []fsck.Problem

func (f findings) String() string {
	var b strings.Builder
	for _, p := range f {
		fmt.Fprintf(&b, "%s: %s; part of %s; %s\n", p.Subject, p.Text, p.Uses, p.Repair)
	}
	return b.String()
}

// has returns the finding about the subject whose text holds the words.
func (f findings) has(t *testing.T, subject, text string) fsck.Problem {
	t.Helper()
	for _, p := range f {
		if strings.HasSuffix(p.Subject, subject) && strings.Contains(p.Text, text) {
			return p
		}
	}
	t.Errorf("nothing was found about %q with %q, but:\n%s", subject, text, f)
	return fsck.Problem{}
}

type silence struct{}

func (silence) Phase(string, int64, bool) {}
func (silence) Add(int64)                 {}

func (w *world) checker(found *findings) *fsck.Checker {
	return fsck.New(fsck.Parts{App: w.app, Blobs: w.blobs, Journal: w.journalDir(), Progress: silence{},
		Resume: gc.New(w.app, w.blobs, nil).Resume, Found: func(p fsck.Problem) { *found = append(*found, p) }})
}

// check runs a check to its end.
func (w *world) check(t *testing.T, o fsck.Options) (findings, fsck.Result) {
	t.Helper()
	var found findings
	result, err := w.checker(&found).Run(t.Context(), o)
	must(t, err)
	if int(result.Problems) != len(found) {
		t.Errorf("%d problems are counted, %d were reported", result.Problems, len(found))
	}
	return found, result
}

// clean demands that nothing is wrong.
func (w *world) clean(t *testing.T) {
	t.Helper()
	for _, o := range []fsck.Options{{}, {Beside: true}, {Fast: true}, {Jobs: 1, Repair: true}} {
		if found, _ := w.check(t, o); len(found) != 0 {
			t.Errorf("with %+v something is wrong:\n%s", o, found)
		}
	}
}

// image is a manifest with the blobs it needs; an index has none.
type image struct {
	mediaType string
	manifest  []byte
	parts     [][]byte
}

func digestOf(content []byte) string { return digest.FromBytes(content).String() }

func (i image) digest() string { return digestOf(i.manifest) }

type descriptor struct {
	MediaType string            `json:"mediaType"`
	Digest    string            `json:"digest"`
	Size      int               `json:"size"`
	Platform  map[string]string `json:"platform,omitempty"`
}

func document(fields map[string]any) []byte {
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return text
}

// newImage makes an image whose config and manifest are its own.
func newImage(seed string, layers ...[]byte) image { return newReferrer(seed, nil, layers...) }

// newReferrer makes an image that refers to another.
func newReferrer(seed string, subject *image, layers ...[]byte) image {
	config := fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","comment":%q}`, seed)
	list := []descriptor{}
	for _, layer := range layers {
		list = append(list, descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar", Digest: digestOf(layer), Size: len(layer)})
	}
	fields := map[string]any{"schemaVersion": 2, "mediaType": manifestType, "annotations": map[string]string{"seed": seed},
		"config": descriptor{MediaType: configType, Digest: digestOf(config), Size: len(config)}, "layers": list}
	if subject != nil {
		fields["subject"] = descriptor{MediaType: subject.mediaType, Digest: subject.digest(), Size: len(subject.manifest)}
	}
	return image{manifestType, document(fields), append([][]byte{config}, layers...)}
}

// newIndex lists manifests.
func newIndex(entries ...image) image {
	list := []descriptor{}
	for _, e := range entries {
		list = append(list, descriptor{MediaType: e.mediaType, Digest: e.digest(), Size: len(e.manifest), Platform: map[string]string{"architecture": "amd64", "os": "linux"}})
	}
	return image{indexType, document(map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": list}), nil}
}

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

func (w *world) expect(t *testing.T, status int, method, path, contentType string, body []byte) string {
	t.Helper()
	rec := w.request(method, path, contentType, body)
	if rec.Code != status {
		t.Fatalf("%s %s = %d, want %d: %s", method, path, rec.Code, status, rec.Body)
	}
	return rec.Body.String()
}

// push does as docker does: it sends what HEAD does not find.
func (w *world) push(t *testing.T, repository, tag string, i image) {
	t.Helper()
	for _, part := range i.parts {
		d := digestOf(part)
		if w.request("HEAD", "/v2/"+repository+"/blobs/"+d, "", nil).Code != http.StatusOK {
			w.expect(t, http.StatusCreated, "POST", "/v2/"+repository+"/blobs/uploads/?digest="+d, "application/octet-stream", part)
		}
	}
	if tag == "" {
		tag = i.digest()
	}
	w.expect(t, http.StatusCreated, "PUT", "/v2/"+repository+"/manifests/"+tag, i.mediaType, i.manifest)
}

// pull reads all of the image, byte by byte.
func (w *world) pull(t *testing.T, repository, tag string, i image) {
	t.Helper()
	all := map[string][]byte{"manifests/" + i.digest(): i.manifest}
	if tag != "" {
		all["manifests/"+tag] = i.manifest
	}
	for _, part := range i.parts {
		all["blobs/"+digestOf(part)] = part
	}
	for path, want := range all {
		rec := w.request("GET", "/v2/"+repository+"/"+path, "", nil)
		if rec.Code != http.StatusOK || !bytes.Equal(rec.Body.Bytes(), want) {
			t.Errorf("GET %s/%s = %d with %d bytes, want %d: %.200s", repository, path, rec.Code, rec.Body.Len(), len(want), rec.Body)
		}
	}
}

// file is where the bytes of a blob are.
func (w *world) file(t *testing.T, content []byte) string {
	t.Helper()
	generation := w.number(t, `SELECT generation FROM blob WHERE digest = ? AND NOT deleting`, digestOf(content))
	hex := digest.FromBytes(content).Encoded()
	return filepath.Join(w.data, "blobs", "sha256", hex[:2], fmt.Sprintf("%s.%d", hex, generation))
}

// flip changes one bit of a file.
func flip(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile(name)
	must(t, err)
	text[len(text)/2] ^= 4
	must(t, os.WriteFile(name, text, 0o640))
}

// tables are all rows of the tables that images are made of, without what a pull
// changes a moment later.
func (w *world) tables(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, table := range []string{"project", "repository", "blob", "blob_link", "manifest", "manifest_blob", "manifest_child", "tag", "setting"} {
		rows, err := w.db.QueryContext(t.Context(), `SELECT * FROM `+table+` ORDER BY 1, 2`)
		must(t, err)
		columns, err := rows.Columns()
		must(t, err)
		for rows.Next() {
			values, pointers := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				pointers[i] = &values[i]
			}
			must(t, rows.Scan(pointers...))
			for i, column := range columns {
				if strings.HasPrefix(column, "pull") {
					values[i] = nil
				}
			}
			fmt.Fprintln(&all, table, values)
		}
		must(t, errors.Join(rows.Err(), rows.Close()))
	}
	return all.String()
}
