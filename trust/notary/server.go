package notary

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/theupdateframework/notary/tuf/data"
	"golang.org/x/sync/singleflight"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/httpx"
	"github.com/breakwater-registry/breakwater/internal/seal"
	"github.com/breakwater-registry/breakwater/internal/signin"
)

// Options are what a Server is made of.
type Options struct {
	App  *app.App
	Door signin.Door
	Box  *seal.Box // seals the keys that the registry signs with
	Log  *slog.Logger
	// Space says whether there is room on the disk for more; nil does not ask.
	Space func() error
	// Lives are how long the registry's signatures are valid; zero: DefaultLives.
	Lives Lives
}

// Server answers the paths that Serves names.
type Server struct {
	app        *app.App
	door       signin.Door
	box        *seal.Box
	log        *slog.Logger
	space      func() error
	lives      Lives
	uploads    chan struct{} // a place for each upload that is being read
	judging    chan struct{} // a place for each upload that is being judged
	refreshing singleflight.Group
	wake       chan struct{} // filled to have Run look for what is due
}

const (
	maxUploads = 16
	maxJudging = 2
)

// New makes a Server. Run must run beside it.
func New(o Options) *Server {
	silence()
	if o.Lives == (Lives{}) {
		o.Lives = DefaultLives
	}
	if o.Space == nil {
		o.Space = func() error { return nil }
	}
	return &Server{app: o.App, door: o.Door, box: o.Box, log: o.Log, space: o.Space, lives: o.Lives,
		uploads: make(chan struct{}, maxUploads), judging: make(chan struct{}, maxJudging), wake: make(chan struct{}, 1)}
}

// request is one request on its way through its handler.
type request struct {
	*Server
	target
	w      http.ResponseWriter
	r      *http.Request
	caller core.Caller
}

func (q *request) ctx() context.Context { return q.r.Context() }

// ServeHTTP answers a request for trust data.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &request{Server: s, w: w, r: r}
	if err := q.serve(); err != nil {
		q.refuse(err)
	}
}

// handlers are all routes: what a path names, and the method.
var handlers = map[kind]map[string]func(*request) error{
	kindFile:    {"GET": (*request).getFile},
	kindKey:     {"GET": (*request).getKey, "POST": (*request).rotateKey},
	kindAll:     {"POST": (*request).update, "DELETE": (*request).deleteAll},
	kindFeed:    {"GET": (*request).changes},
	kindAllFeed: {"GET": (*request).changes},
}

func (q *request) serve() (err error) {
	if q.target, err = parsePath(q.r); err != nil {
		return err
	}
	handle, ok := handlers[q.kind][q.r.Method]
	if !ok {
		return errMethod
	}
	if q.caller, err = q.door.Caller(q.r); err != nil {
		return err
	}
	httpx.SetActor(q.r, q.caller.Subject)
	return handle(q)
}

// scope is what a token must be asked for to send this request.
func (q *request) scope() string {
	actions := "pull"
	switch {
	case q.kind == kindAllFeed:
		return "registry:catalog:*"
	case q.gun == "":
		return ""
	case q.r.Method == http.MethodDelete || (q.kind == kindKey && q.r.Method == http.MethodPost):
		actions = "*"
	case q.r.Method == http.MethodPost || q.kind == kindKey:
		actions = "push,pull"
	}
	return "repository:" + q.gun + ":" + actions
}

func (q *request) refuse(err error) {
	p := problemOf(err, q.caller.Limited)
	if p.status == http.StatusUnauthorized {
		q.w.Header().Set("WWW-Authenticate", q.door.Challenge(q.r, q.caller, q.scope()))
	}
	if p == errInternal && !errors.Is(err, context.Canceled) {
		q.log.Error("trust request failed", "method", q.r.Method, "path", q.r.URL.Path,
			"request_id", httpx.Origin(q.r).RequestID, "error", err)
	}
	p.write(q.w)
}

// getFile sends metadata. What the registry signed is signed again in time.
func (q *request) getFile() error {
	pick := app.TUFPick{SHA256: q.sha256, Version: q.version}
	file, state, err := q.app.TUFFile(q.ctx(), q.caller, q.gun, q.role, pick)
	if err != nil {
		return err
	}
	current := pick == app.TUFPick{}
	if current && (q.role == timestamp || q.role == snapshot) && state.RefreshAt.Before(time.Now()) {
		if err := q.refresh(q.ctx(), q.gun); err != nil {
			q.log.Error("trust data could not be signed again", "gun", q.gun, "error", err)
		}
		if file, _, err = q.app.TUFFile(q.ctx(), q.caller, q.gun, q.role, pick); err != nil {
			return err
		}
	}
	h := q.w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(file.Content)))
	h.Set("Last-Modified", file.CreatedAt.UTC().Format(http.TimeFormat))
	h.Set("Cache-Control", "private, max-age=2592000, immutable")
	if current {
		h.Set("Cache-Control", "private, no-cache")
	}
	_, _ = q.w.Write(file.Content) // a client that hung up needs no answer
	return nil
}

// getKey tells the public key that the registry signs the role with: the one in
// the root, else one that is offered for the next root.
func (q *request) getKey() error {
	state, err := q.app.TUFState(q.ctx(), q.caller, q.gun)
	if err != nil {
		return err
	}
	j := newJudgement(state, q.box, q.lives)
	if _, ok := j.before[root]; ok {
		if err := j.readRoot(); err != nil {
			return err
		}
		role, err := j.root.BuildBaseRole(data.RoleName(q.role))
		if err != nil {
			return err
		}
		if key, ok := j.ring.of(role); ok {
			return q.sendKey(key)
		}
	}
	return q.offer(false)
}

// rotateKey offers a new key for the role. It is used once a root names it.
func (q *request) rotateKey() error { return q.offer(true) }

func (q *request) offer(rotate bool) error {
	key, err := newKey(q.gun, q.role, q.box)
	if err != nil {
		return err
	}
	offered, err := q.app.OfferTUFKey(q.ctx(), q.caller, q.gun, key, rotate)
	if err != nil {
		return err
	}
	return q.sendKey(offered)
}

func (q *request) sendKey(key core.TUFKey) error {
	q.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	q.w.Header().Set("Cache-Control", "no-store")
	_, _ = q.w.Write(key.Public) // a client that hung up needs no answer
	return nil
}

func (q *request) deleteAll() error {
	err := q.app.DeleteTUF(q.ctx(), q.caller, q.gun)
	select { // another name of the repository may decide now
	case q.wake <- struct{}{}:
	default:
	}
	return err
}

// maxChanges is how many changes one answer has at most.
const maxChanges = 1000

// wireChange is a change in the words of notary's package server/storage.
type wireChange struct {
	ID        string
	CreatedAt time.Time
	GUN       string
	Version   int64
	SHA256    string
	Category  string
}

// changes sends a part of the changefeed: after the id, or before it when a
// negative number of records is asked for; -1 is the end.
func (q *request) changes() error {
	query := q.r.URL.Query()
	n, err := strconv.Atoi(query.Get("records"))
	id, idErr := strconv.ParseInt(query.Get("change_id"), 10, 64)
	if query.Get("change_id") == "" {
		id, idErr = 0, nil
	}
	if err != nil || idErr != nil {
		return &problem{http.StatusBadRequest, "INVALID_PARAMETERS", "records and change_id must be numbers.", nil}
	}
	back := id < 0 || n < 0
	if n == 0 {
		n = 100
	}
	list, err := q.app.TUFChanges(q.ctx(), q.caller, q.gun, max(id, 0), min(max(n, -n), maxChanges), back)
	if err != nil {
		return err
	}
	records := make([]wireChange, len(list))
	for i, c := range list {
		records[i] = wireChange{strconv.FormatInt(c.ID, 10), c.CreatedAt, c.GUN, c.Version, c.SHA256, c.Category}
	}
	q.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	return json.NewEncoder(q.w).Encode(map[string]any{"count": len(records), "records": records})
}
