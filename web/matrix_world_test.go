package web_test

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/httpx"
	"github.com/breakwater-registry/breakwater/registry"
	"github.com/breakwater-registry/breakwater/registry/blobs"
	"github.com/breakwater-registry/breakwater/store"
	"github.com/breakwater-registry/breakwater/web"
)

// place is a project, or a gap where none is, with a value for every parameter
// that a route can have.
type place struct {
	label  string
	id     int64 // of the project; 0 where there is none
	public bool
	user   int64 // whom :user_id means
	values map[string]string
}

// but returns the place with some values of another.
func (p place) but(values map[string]string) place {
	p.values = maps.Clone(p.values)
	maps.Copy(p.values, values)
	return p
}

// with is but under another name.
func (p place) with(label string, values map[string]string) place {
	p.label += " " + label
	return p.but(values)
}

// fill puts the values into a template: :name in a path, {name} elsewhere.
func (p place) fill(template string) string {
	var pairs []string
	for _, key := range slices.SortedFunc(maps.Keys(p.values), func(a, b string) int { return len(b) - len(a) }) {
		pairs = append(pairs, ":"+key, p.values[key], "{"+key+"}", p.values[key])
	}
	return strings.NewReplacer(pairs...).Replace(template)
}

// mask takes the values out of an answer, so that two places can be compared.
func (p place) mask(text string) string {
	values := slices.SortedFunc(maps.Values(p.values), func(a, b string) int { return len(b) - len(a) })
	for _, v := range values {
		if len(v) > 3 { // ids and names of the test; "v1" and the like are no secrets
			text = strings.NewReplacer(v, "*", url.QueryEscape(v), "*").Replace(text)
		}
	}
	return text
}

// world is a registry with projects, accounts and images, and a copy of its
// rows to compare with and to go back to.
type world struct {
	app      *app.App
	store    *store.Store
	blobs    *blobs.FileStore
	tokens   *auth.Tokens
	handler  http.Handler
	routes   []string
	data     string
	db       *sql.DB // a connection beside the store's own
	tables   map[string]string
	version  int64 // of the database, as db saw it last
	people   []*person
	own      place // where the people have their roles
	bare     place // the same, without repositories
	open     place // public
	foreign  place // private
	absent   place
	robots   map[string]*person
	sysadmin *person
	strange  string // an upload of the foreign project
	other    int64  // an account that nobody here is
}

const (
	theirs = "zebra"         // in every name of the foreign project, and nowhere else
	nobody = "nulla"         // the same for the absent one
	mail   = "@mail.example" // of every account; only its owner and administrators see it
)

func newWorld(t *testing.T, wanted []entry) *world {
	t.Helper()
	w := &world{data: t.TempDir(), robots: map[string]*person{}}
	w.start(t)
	w.settle(t)
	for _, e := range wanted {
		w.robotsFor(t, e.rule)
	}
	w.remember(t)
	return w
}

// start opens everything that main does, without TLS.
func (w *world) start(t *testing.T) {
	t.Helper()
	var err error
	database := filepath.Join(w.data, "test.db")
	if w.blobs, err = blobs.Open(t.Context(), w.data); err != nil {
		t.Fatal(err)
	}
	if w.store, err = store.Open(t.Context(), database, noJournal{}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	if w.app, err = app.New(t.Context(), w.store, registry.Content{Blobs: w.blobs}, log); err != nil {
		t.Fatal(err)
	}
	if w.tokens, err = auth.OpenTokens(filepath.Join(w.data, "keys"), auth.TokenOptions{Issuer: "t", Audience: "t", Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	if w.db, err = sql.Open("sqlite", "file:"+database+"?_pragma=busy_timeout(5000)&_pragma=synchronous(0)&_pragma=foreign_keys(0)"); err != nil {
		t.Fatal(err)
	}
	w.db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		w.app.Close()
		for _, c := range []io.Closer{w.db, w.store} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	w.app.UseScanner(scans{})
	w.app.SetTrustHosts("registry.test:8443")
	w.mount(t, log)
}

func (w *world) mount(t *testing.T, log *slog.Logger) {
	t.Helper()
	closing := make(chan struct{})
	close(closing) // a stream of events tells how things are, and ends
	api, err := web.New(web.Deps{App: w.app, Log: log, Version: "1.2.3", ExternalURL: "https://registry.test:8443",
		DataDir: w.data, Certificates: &certificates{}, Uploads: uploads{}, Closing: closing})
	if err != nil {
		t.Fatal(err)
	}
	w.routes = routesOf(t, api)
	images := registry.New(registry.Options{App: w.app, Blobs: w.blobs, Tokens: w.tokens, Log: log,
		Realm: func(*http.Request) string { return "https://registry.test:8443/service/token" }})
	token := images.TokenService()
	w.handler = httpx.Edge{Log: log}.Wrap(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/v2/"):
			images.ServeHTTP(rw, r)
		case r.URL.Path == "/service/token":
			token.ServeHTTP(rw, r)
		default:
			api.ServeHTTP(rw, r)
		}
	}))
}

// settle makes the accounts and the projects. The ids of each kind begin far
// from those of all others, so that no test passes by a happy coincidence.
func (w *world) settle(t *testing.T) {
	t.Helper()
	if _, err := w.app.Bootstrap(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	for i, table := range []string{"project", "account", "member", "robot", "repository", "blob", "manifest", "tag",
		"immutable_rule", "retention", "job", "retention_task", "label", "trust_anchor"} {
		w.exec(t, fmt.Sprintf(`DELETE FROM sqlite_sequence WHERE name = '%s'`, table))
		w.exec(t, fmt.Sprintf(`INSERT INTO sqlite_sequence (name, seq) VALUES ('%s', %d)`, table, 7_100_000+i*100_000))
	}
	w.addPeople(t)
	keeper := w.addUser(t, "keeper", true)
	w.other = w.addUser(t, "bystander", false).id.ID
	w.own = w.addProject(t, keeper, "own-project", "app", "v1", false)
	w.own.values["gc_id"] = w.addGC(t)
	w.own.values["feed_name"], w.own.values["run_id"] = "debian", w.addFeedRun(t)
	w.own.values["job_id"] = w.own.values["gc_id"]
	w.own.values["ended_job"] = w.addEndedJob(t)
	w.own.values["global_label"] = w.addGlobalLabel(t)
	machine, _ := w.addRobot(t, place{}, "machine", app.RobotPermission{Kind: "system", Namespace: "/", Access: []core.Permission{{Resource: core.ResCatalog, Action: core.ActRead}}})
	w.own.values["system_robot"] = strconv.FormatInt(machine.id.ID, 10)
	w.bare = w.addProject(t, keeper, "bare-project", "", "", false)
	w.open = w.addProject(t, keeper, "open-project", "app", "v1", true)
	w.foreign = w.addProject(t, keeper, theirs+"-vault", theirs+"-app", theirs+"-tag", false)
	w.strange = w.newUpload(t, w.foreign.values["repository"])
	w.enrol(t)
	w.addSessions(t)
	w.absent = place{label: "absent", values: map[string]string{
		"project": nobody + "-place", "project_id": "7999901", "repository_name": nobody + "-image", "reference": digestOf(nobody),
		"tag_name": nobody + "-label", "mid": "7999902", "robot_id": "7999903", "blob": digestOf(nobody), "layer": digestOf(nobody),
		"upload": "00000000-0000-4000-8000-000000000000", "immutable_rule_id": "7999905", "anchor_id": "7999909", "retention_id": "7999906",
		"execution_id": "7999907", "task_id": "7999908", "label_id": "7999911", "report_id": reportOf(digestOf(nobody)), "free_label": "7999910"}}
	complete(&w.absent)
}

// addGC queues a garbage collection, which nobody runs.
func (w *world) addGC(t *testing.T) string {
	t.Helper()
	id, err := w.app.StartGC(t.Context(), core.Caller{Subject: core.System}, app.GCOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return strconv.FormatInt(id, 10)
}

// addLabels gives the project two labels, and one of them to its image.
func (w *world) addLabels(t *testing.T, p *place, image bool) {
	t.Helper()
	for _, name := range []string{"label_id", "free_label"} {
		id, err := w.app.CreateLabel(t.Context(), system, core.Label{ProjectID: p.id, Name: name})
		if err == nil && image && name == "label_id" {
			err = w.app.AddLabel(t.Context(), system, p.values["repository"], p.values["reference"], id)
		}
		if err != nil {
			t.Fatal(err)
		}
		p.values[name] = strconv.FormatInt(id, 10)
	}
}

// addGlobalLabel makes a label of all projects.
func (w *world) addGlobalLabel(t *testing.T) string {
	t.Helper()
	id, err := w.app.CreateLabel(t.Context(), system, core.Label{Name: "everywhere"})
	if err != nil {
		t.Fatal(err)
	}
	return strconv.FormatInt(id, 10)
}

// addEndedJob is a collection that was stopped before it began.
func (w *world) addEndedJob(t *testing.T) string {
	t.Helper()
	id, err := w.app.StartGC(t.Context(), core.Caller{Subject: core.System}, app.GCOptions{DryRun: true})
	if err == nil {
		err = w.app.StopGC(t.Context(), core.Caller{Subject: core.System}, id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return strconv.FormatInt(id, 10)
}

// sessionOf is the hash of a session of the account with that id.
func sessionOf(account string) string {
	return strings.TrimPrefix(digestOf("session "+account), "sha256:")
}

// addSessions signs every account in at a browser.
func (w *world) addSessions(t *testing.T) {
	t.Helper()
	err := w.store.Update(t.Context(), func(tx *store.Tx) error {
		users, _, err := tx.Users(core.Query{Page: 1, PageSize: core.MaxPageSize})
		for _, u := range users {
			if err == nil {
				err = tx.CreateSession(store.Session{Hash: sessionOf(strconv.FormatInt(u.ID, 10)), AccountID: u.ID, ExpiresAt: tx.Now().Add(time.Hour)}, 1)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// addFeedRun queues an update of the CVE feeds, which nobody runs.
func (w *world) addFeedRun(t *testing.T) string {
	t.Helper()
	id, err := w.app.StartFeedUpdate(t.Context(), core.Caller{Subject: core.System}, app.FeedJob{})
	if err != nil {
		t.Fatal(err)
	}
	return strconv.FormatInt(id, 10)
}

// uploads takes bundles of CVE feeds, which nobody imports.
type uploads struct{}

func (uploads) Keep(r io.Reader) (string, error) {
	_, err := io.Copy(io.Discard, r)
	return "import-test", err
}

func (uploads) Discard(string) error { return nil }

// complete adds the values that follow from others.
func complete(p *place) {
	v := p.values
	v["project_name_or_id"], v["project_name"], v["id"] = v["project"], v["project"], v["project_id"]
	v["repository"], v["manifest"], v["meta_name"] = v["project"]+"/"+v["repository_name"], v["reference"], "public"
}

func (w *world) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	if _, err := w.db.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func digestOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// addProject makes a project of keeper with a member, a robot account, images
// and a blob that no image uses.
func (w *world) addProject(t *testing.T, keeper *person, name, repository, tag string, public bool) place {
	t.Helper()
	id, err := w.app.CreateProject(t.Context(), keeper.caller(), app.NewProject{Name: name, Metadata: map[string]string{"public": strconv.FormatBool(public)}})
	if err != nil {
		t.Fatal(err)
	}
	keeper.roles[id] = core.RoleProjectAdmin
	p := place{label: strings.Split(name, "-")[0], id: id, public: public, values: map[string]string{
		"project": name, "project_id": strconv.FormatInt(id, 10), "repository_name": repository, "tag_name": tag}}
	_, member, err := w.app.AddMember(t.Context(), keeper.caller(), core.ProjectRef{ID: id}, core.User{ID: w.other}, core.RoleGuest)
	if err != nil {
		t.Fatal(err)
	}
	p.values["mid"] = strconv.FormatInt(member, 10)
	tool, _ := w.addRobot(t, p, "tool", app.RobotPermission{Kind: "project", Namespace: name,
		Access: []core.Permission{{Resource: core.ResRepository, Action: core.ActPull}}})
	p.values["robot_id"] = strconv.FormatInt(tool.id.ID, 10)
	complete(&p)
	if repository != "" {
		w.pushAll(t, keeper, &p)
	}
	w.addRules(t, &p, repository != "")
	w.addLabels(t, &p, repository != "")
	w.addScan(t, &p)
	return p
}

// pushAll pushes an image with a signature on it, a second image with a tag of
// its own, and a loose blob.
func (w *world) pushAll(t *testing.T, keeper *person, p *place) {
	t.Helper()
	full, tag := p.values["repository"], p.values["tag_name"]
	p.values["layer"] = w.pushBlob(t, keeper, full, "layer of "+full)
	p.values["config"] = w.pushBlob(t, keeper, full, `{"architecture":"amd64","os":"linux","history":[{"created_by":"`+full+`"}]}`)
	p.values["blob"] = w.pushBlob(t, keeper, full, "loose "+full)
	p.values["reference"] = w.pushManifest(t, keeper, *p, tag, "")
	w.pushManifest(t, keeper, *p, digestOf(p.fill(manifestOf("signature", p.values["reference"]))), p.values["reference"])
	w.pushSBOM(t, keeper, *p)
	p.values["sibling"] = "sibling-" + tag
	w.pushManifest(t, keeper, *p, p.values["sibling"], "")
	complete(p)
}

func (w *world) pushBlob(t *testing.T, as *person, repository, content string) string {
	t.Helper()
	d := digestOf(content)
	rec := w.send(t, as, http.MethodPost, "/v2/"+repository+"/blobs/uploads/?digest="+d, "application/octet-stream", content)
	if rec.Code != http.StatusCreated {
		t.Fatalf("push of a blob to %s = %d %s", repository, rec.Code, rec.Body)
	}
	return d
}

// manifestOf is the template of a manifest; note makes it one of its own.
func manifestOf(note, subject string) string {
	text := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",` +
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":1},` +
		`"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{layer}","size":1}],"annotations":{"note":"` + note + `"}`
	if subject != "" {
		text += `,"artifactType":"application/example","subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"` + subject + `","size":1}`
	}
	return text + "}"
}

// pushSBOM adds a software bill of materials to the image.
func (w *world) pushSBOM(t *testing.T, as *person, p place) {
	t.Helper()
	body := strings.ReplaceAll(p.fill(manifestOf("sbom", p.values["reference"])), "application/example", "application/spdx+json")
	rec := w.send(t, as, http.MethodPut, "/v2/"+p.values["repository"]+"/manifests/"+digestOf(body), manifestType, body)
	if rec.Code != http.StatusCreated {
		t.Fatalf("push of an SBOM to %s = %d %s", p.values["repository"], rec.Code, rec.Body)
	}
}

func (w *world) pushManifest(t *testing.T, as *person, p place, reference, subject string) string {
	t.Helper()
	note := reference
	if subject != "" {
		note = "signature"
	}
	body := p.fill(manifestOf(note, subject))
	rec := w.send(t, as, http.MethodPut, "/v2/"+p.values["repository"]+"/manifests/"+reference, manifestType, body)
	if rec.Code != http.StatusCreated {
		t.Fatalf("push of %s:%s = %d %s", p.values["repository"], reference, rec.Code, rec.Body)
	}
	return digestOf(body)
}

const manifestType = "application/vnd.oci.image.manifest.v1+json"

// newUpload begins an upload, for a request that uses it up.
func (w *world) newUpload(t *testing.T, repository string) string {
	t.Helper()
	u, err := w.blobs.Begin(t.Context(), repository)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Release()
	return u.ID()
}

// send makes a request as p, who may be nil, and names it in the User-Agent.
func (w *world) send(t *testing.T, p *person, method, url, contentType, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	r.Header.Set("User-Agent", t.Name())
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if p != nil && p.header != "" {
		r.Header.Set("Authorization", p.header)
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec
}
