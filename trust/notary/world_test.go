package notary_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"path/filepath"
	"strings"
	"testing"
	"time"

	canonical "github.com/docker/go/canonical/json"
	"github.com/theupdateframework/notary"
	"github.com/theupdateframework/notary/client"
	"github.com/theupdateframework/notary/cryptoservice"
	"github.com/theupdateframework/notary/trustmanager"
	"github.com/theupdateframework/notary/trustpinning"
	"github.com/theupdateframework/notary/tuf"
	"github.com/theupdateframework/notary/tuf/data"
	"github.com/theupdateframework/notary/tuf/utils"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/httpx"
	"github.com/breakwater-registry/breakwater/internal/seal"
	"github.com/breakwater-registry/breakwater/internal/signin"
	"github.com/breakwater-registry/breakwater/registry"
	"github.com/breakwater-registry/breakwater/registry/blobs"
	"github.com/breakwater-registry/breakwater/registry/journal"
	"github.com/breakwater-registry/breakwater/store"
	trust "github.com/breakwater-registry/breakwater/trust/notary"
)

const (
	host     = "registry.example.com:8443"
	oldHost  = "old.example.com" // an alias
	gun      = host + "/p/app"
	password = "Correct-Horse-1"
)

// world is a registry with its trust server. Everyone has the same password.
type world struct {
	data    string
	key     string // master keys
	hosts   []string
	lives   trust.Lives
	journal *journal.Journal
	store   *store.Store
	app     *app.App
	notary  *trust.Server
	server  *httptest.Server
	ids     map[string]int64
}

var admin = core.Caller{Subject: core.Subject{Kind: core.KindUser, ID: 1}}

// members are the accounts and their roles in the project p; stranger is in the
// project q only, which the others are not in.
var members = map[string]core.Role{"padmin": core.RoleProjectAdmin, "maintainer": core.RoleMaintainer, "dev": core.RoleDeveloper,
	"guest": core.RoleGuest, "limited": core.RoleLimitedGuest}

func newWorld(t testing.TB) *world { return newWorldWith(t, trust.Lives{}) }

func newWorldWith(t testing.TB, lives trust.Lives) *world {
	t.Helper()
	w := &world{data: t.TempDir(), hosts: []string{host, oldHost}, lives: lives, ids: map[string]int64{},
		key: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}
	w.open(t)
	t.Cleanup(func() { w.close(t) })
	if _, err := w.app.Bootstrap(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	for _, project := range []string{"p", "q"} {
		if _, err := w.app.CreateProject(t.Context(), admin, app.NewProject{Name: project}); err != nil {
			t.Fatal(err)
		}
	}
	for name, role := range members {
		w.user(t, name, "p", role)
	}
	w.user(t, "stranger", "q", core.RoleProjectAdmin)
	return w
}

func (w *world) user(t testing.TB, name, project string, role core.Role) {
	t.Helper()
	id, err := w.app.CreateUser(t.Context(), admin, app.NewUser{Username: name, Email: name + "@example.com", Realname: name, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	w.ids[name] = id
	if _, _, err := w.app.AddMember(t.Context(), admin, core.ProjectRef{Name: project}, core.User{ID: id}, role); err != nil {
		t.Fatal(err)
	}
}

func (w *world) open(t testing.TB) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	var err error
	if w.journal, err = journal.Open(filepath.Join(w.data, "journal"), journal.WithLogger(quiet)); err != nil {
		t.Fatal(err)
	}
	if w.store, err = store.Open(t.Context(), filepath.Join(w.data, "test.db"), w.journal); err != nil {
		t.Fatal(err)
	}
	content, err := blobs.Open(t.Context(), w.data)
	if err != nil {
		t.Fatal(err)
	}
	if w.app, err = app.New(t.Context(), w.store, registry.Content{Blobs: content}, quiet); err != nil {
		t.Fatal(err)
	}
	w.app.SetTrustHosts(w.hosts[0], w.hosts[1:]...)
	tokens, err := auth.OpenTokens(filepath.Join(w.data, "keys"), auth.TokenOptions{Issuer: signin.Service, Audience: signin.Service, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.Parse(w.key)
	if err != nil {
		t.Fatal(err)
	}
	realm := func(*http.Request) string { return w.server.URL + "/service/token" }
	w.notary = trust.New(trust.Options{App: w.app, Box: box, Log: quiet, Lives: w.lives, Door: signin.Door{App: w.app, Tokens: tokens, Realm: realm}})
	images := registry.New(registry.Options{App: w.app, Blobs: content, Tokens: tokens, Log: quiet, Realm: realm})
	mux := http.NewServeMux()
	mux.Handle("/service/token", images.TokenService())
	mux.Handle("/v2/", images)
	w.server = httptest.NewServer(httpx.Edge{Log: quiet}.Wrap(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if trust.Serves(r.URL.Path) {
			w.notary.ServeHTTP(rw, r)
			return
		}
		mux.ServeHTTP(rw, r)
	})))
}

func (w *world) close(t testing.TB) {
	w.server.Close()
	w.app.Close()
	for _, err := range []error{w.store.Close(), w.journal.Close()} {
		if err != nil {
			t.Error(err)
		}
	}
}

// restart opens everything again, by the names and the master key that w has now.
func (w *world) restart(t testing.TB) {
	t.Helper()
	w.close(t)
	w.open(t)
}

// basic sends every request with a name and the password.
type basic struct{ name string }

func (b basic) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if b.name != "" {
		r.SetBasicAuth(b.name, password)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// answer is a response with its body.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// code is that of the error in the answer, "" when it is none.
func (a answer) code() string {
	var envelope struct{ Errors []struct{ Code string } }
	if json.Unmarshal(a.body, &envelope) != nil || len(envelope.Errors) != 1 {
		return ""
	}
	return envelope.Errors[0].Code
}

func (w *world) do(t testing.TB, rt http.RoundTripper, method, path, contentType string, body io.Reader) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.server.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	res, err := rt.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, text}
}

func (w *world) get(t testing.TB, who, path string) answer {
	t.Helper()
	return w.do(t, basic{who}, "GET", path, "", nil)
}

// part is one file of an upload.
type part struct {
	name    string
	content []byte
}

// upload sends the parts as notary's client does.
func (w *world) upload(t testing.TB, who, gun string, parts ...part) answer {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, p := range parts {
		h := textproto.MIMEHeader{"Content-Type": {"application/octet-stream"},
			"Content-Disposition": {fmt.Sprintf("form-data; name=\"files\"; filename=%q", p.name)}}
		part, err := form.CreatePart(h)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = part.Write(p.content)
	}
	_ = form.Close()
	return w.do(t, basic{who}, "POST", "/v2/"+gun+"/_trust/tuf/", form.FormDataContentType(), &body)
}

// accepted and refused judge the answer to an upload.
func (a answer) accepted(t testing.TB) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("answered %d %s, want it accepted", a.status, a.body)
	}
}

func (a answer) refused(t testing.TB, status int, words ...string) {
	t.Helper()
	if a.status != status || a.code() == "" {
		t.Errorf("answered %d %s, want an error with %d", a.status, a.body, status)
	}
	for _, word := range words {
		if !strings.Contains(string(a.body), word) {
			t.Errorf("the answer does not say %q: %s", word, a.body)
		}
	}
}

// client is notary's own client, with its keys and cache in a fresh folder.
func (w *world) client(t testing.TB, who, gun string) client.Repository {
	t.Helper()
	return w.clientIn(t, t.TempDir(), who, gun)
}

func pass(string, string, bool, int) (string, bool, error) { return "passphrase", false, nil }

func (w *world) clientIn(t testing.TB, dir, who, gun string) client.Repository {
	t.Helper()
	r, err := client.NewFileCachedRepository(dir, data.GUN(gun), w.server.URL, basic{who}, pass, trustpinning.TrustPinConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// initialize makes a repository with a new root key, as docker push does.
func initialize(t testing.TB, r client.Repository, serverManaged ...data.RoleName) {
	t.Helper()
	key, err := r.GetCryptoService().Create(data.CanonicalRootRole, "", data.ECDSAKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Initialize([]string{key.ID()}, serverManaged...); err != nil {
		t.Fatal(err)
	}
}

// digest is the digest of a made up image.
func digest(image string) string { return fmt.Sprintf("sha256:%064x", image) }

func target(name, image string) *client.Target {
	sum := fmt.Appendf(nil, "%032s", "")
	_, _ = fmt.Sscanf(digest(image), "sha256:%x", &sum)
	return &client.Target{Name: name, Length: 7, Hashes: data.Hashes{notary.SHA256: sum}}
}

func publish(t testing.TB, r client.Repository) {
	t.Helper()
	if err := r.Publish(); err != nil {
		t.Fatalf("publish: %v", err)
	}
}

// facts are the signatures of the image that count in p/app: "TAG by SIGNER".
func (w *world) facts(t testing.TB, image string) (found []string) {
	t.Helper()
	err := w.store.View(t.Context(), func(tx *store.Tx) error {
		repo, err := tx.RepositoryByName("p/app")
		if err != nil {
			return err
		}
		facts, err := tx.TrustFacts(repo.ID, digest(image))
		for _, f := range facts {
			if f.Valid(time.Now()) && f.Signer != "root" {
				found = append(found, f.Tag+" by "+f.Signer)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// author makes metadata of any kind, also such as no client would.
type author struct {
	world *world
	gun   string
	keys  *cryptoservice.CryptoService
	repo  *tuf.Repo
}

// newAuthor makes an author with a repository that is not published yet. own are
// the roles beside root and targets that it signs itself.
func (w *world) newAuthor(t testing.TB, gun string, own ...data.RoleName) *author {
	t.Helper()
	a := &author{world: w, gun: gun, keys: cryptoservice.NewCryptoService(trustmanager.NewKeyMemoryStore(pass))}
	a.repo = tuf.NewRepo(a.keys)
	roles := map[data.RoleName]data.BaseRole{data.CanonicalRootRole: data.NewBaseRole(data.CanonicalRootRole, 1, a.rootKey(t, gun)),
		data.CanonicalTargetsRole: data.NewBaseRole(data.CanonicalTargetsRole, 1, a.newKey(t, data.CanonicalTargetsRole))}
	for _, role := range []data.RoleName{data.CanonicalTimestampRole, data.CanonicalSnapshotRole} {
		key := w.serverKey(t, gun, role)
		for _, o := range own {
			if o == role {
				key = a.newKey(t, role)
			}
		}
		roles[role] = data.NewBaseRole(role, 1, key)
	}
	must(t, a.repo.InitRoot(roles[data.CanonicalRootRole], roles[data.CanonicalTimestampRole], roles[data.CanonicalSnapshotRole],
		roles[data.CanonicalTargetsRole], false))
	_, err := a.repo.InitTargets(data.CanonicalTargetsRole)
	must(t, err)
	return a
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) serverKey(t testing.TB, gun string, role data.RoleName) data.PublicKey {
	t.Helper()
	a := w.get(t, "dev", "/v2/"+gun+"/_trust/tuf/"+string(role)+".key")
	a.accepted(t)
	key, err := data.UnmarshalPublicKey(a.body)
	must(t, err)
	return key
}

func (a *author) newKey(t testing.TB, role data.RoleName) data.PublicKey {
	t.Helper()
	key, err := a.keys.Create(role, data.GUN(a.gun), data.ECDSAKey)
	must(t, err)
	return key
}

// rootKey is a key in a certificate that names a GUN.
func (a *author) rootKey(t testing.TB, gun string) data.PublicKey {
	t.Helper()
	key := a.newKey(t, data.CanonicalRootRole)
	private, _, err := a.keys.GetPrivateKey(key.ID())
	must(t, err)
	cert, err := cryptoservice.GenerateCertificate(private, data.GUN(gun), time.Now().Add(-time.Hour), time.Now().AddDate(10, 0, 0))
	must(t, err)
	return utils.CertToKey(cert)
}

func inAYear() time.Time { return time.Now().AddDate(1, 0, 0) }

func content(t testing.TB, signed *data.Signed, err error) []byte {
	t.Helper()
	must(t, err)
	text, err := canonical.Marshal(signed)
	must(t, err)
	return text
}

func (a *author) root(t testing.TB, expires time.Time) part {
	t.Helper()
	signed, err := a.repo.SignRoot(expires, nil)
	return part{"root", content(t, signed, err)}
}

func (a *author) targets(t testing.TB, role data.RoleName, expires time.Time) part {
	t.Helper()
	signed, err := a.repo.SignTargets(role, expires)
	return part{string(role), content(t, signed, err)}
}

// snapshot signs the snapshot of root and targets as they are, for authors that
// have the key.
func (a *author) snapshot(t testing.TB, version int) part {
	t.Helper()
	if a.repo.Snapshot == nil {
		must(t, a.repo.InitSnapshot())
	}
	a.repo.Snapshot.Signed.Version = version - 1
	signed, err := a.repo.SignSnapshot(inAYear())
	return part{"snapshot", content(t, signed, err)}
}

func (a *author) sign(image, tag string, role data.RoleName) {
	m := target(tag, image)
	a.repo.Targets[role].Signed.Targets[tag] = data.FileMeta{Length: m.Length, Hashes: m.Hashes}
}

// delegate adds a delegation with a key of its own.
func (a *author) delegate(t testing.TB, role data.RoleName, paths ...string) {
	t.Helper()
	parent := a.repo.Targets[role.Parent()]
	key := a.newKey(t, role)
	r, err := data.NewRole(role, 1, []string{key.ID()}, paths)
	must(t, err)
	parent.Signed.Delegations.Keys[key.ID()] = key
	parent.Signed.Delegations.Roles = append(parent.Signed.Delegations.Roles, r)
	_, err = a.repo.InitTargets(role)
	must(t, err)
}

// published makes an author whose first version is published.
func (w *world) published(t testing.TB, gun string, own ...data.RoleName) *author {
	t.Helper()
	a := w.newAuthor(t, gun, own...)
	parts := []part{a.root(t, inAYear()), a.targets(t, data.CanonicalTargetsRole, inAYear())}
	if len(own) > 0 {
		parts = append(parts, a.snapshot(t, 1))
	}
	w.upload(t, "dev", gun, parts...).accepted(t)
	return a
}
