package registry

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/httpx"
	"github.com/breakwater-registry/breakwater/internal/signin"
	"github.com/breakwater-registry/breakwater/registry/blobs"
)

// Registry serves /v2/ and /service/token.
type Registry struct {
	app         *app.App
	blobs       *blobs.FileStore
	door        signin.Door
	log         *slog.Logger
	generations generations
	recent      *lru.Cache[blobs.File, []byte] // manifests that were read last
}

const (
	// recentManifests and recentSize, in bytes, bound the manifests in memory.
	recentManifests = 512
	recentSize      = 16 << 10
)

// Options are what a Registry is made of.
type Options struct {
	App    *app.App
	Blobs  *blobs.FileStore
	Tokens *auth.Tokens
	// Realm returns the URL of the token service as the client must call it.
	Realm func(*http.Request) string
	Log   *slog.Logger
}

// New makes a Registry.
func New(o Options) *Registry {
	recent, err := lru.New[blobs.File, []byte](recentManifests)
	if err != nil {
		panic(err) // of a size that is not positive
	}
	return &Registry{app: o.App, blobs: o.Blobs, log: o.Log, recent: recent,
		door: signin.Door{App: o.App, Tokens: o.Tokens, Realm: o.Realm}}
}

// request is one request on its way through its handler.
type request struct {
	*Registry
	target
	w      http.ResponseWriter
	r      *http.Request
	caller core.Caller
}

func (q *request) ctx() context.Context { return q.r.Context() }

// ServeHTTP answers a request under /v2/.
func (g *Registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	q := &request{Registry: g, w: w, r: r}
	if err := q.serve(); err != nil {
		q.refuse(err)
	}
}

func (q *request) serve() (err error) {
	if q.target, err = parsePath(q.r); err != nil {
		return err
	}
	handle, ok := handlers[q.kind][q.r.Method]
	if !ok {
		q.w.Header().Set("Allow", allowed(q.kind))
		return fail(errcode.ErrorCodeUnsupported, "this path does not take %s requests", core.Clip(q.r.Method, 16)).withStatus(http.StatusMethodNotAllowed)
	}
	if q.caller, err = q.door.Caller(q.r); err != nil {
		return err
	}
	httpx.SetActor(q.r, q.caller.Subject)
	return handle(q)
}

// handlers are all routes of the API: what a path names, and the method.
var handlers = map[kind]map[string]func(*request) error{
	kindBase:      {"GET": (*request).base, "HEAD": (*request).base},
	kindCatalog:   {"GET": (*request).catalog},
	kindTags:      {"GET": (*request).tags},
	kindManifest:  {"GET": (*request).getManifest, "HEAD": (*request).getManifest, "PUT": (*request).putManifest, "DELETE": (*request).deleteManifest},
	kindBlob:      {"GET": (*request).getBlob, "HEAD": (*request).headBlob, "DELETE": (*request).deleteBlob},
	kindUploads:   {"POST": (*request).startUpload},
	kindUpload:    {"GET": (*request).uploadStatus, "PATCH": (*request).patchUpload, "PUT": (*request).putUpload, "DELETE": (*request).cancelUpload},
	kindReferrers: {"GET": (*request).referrers},
}

func allowed(k kind) string {
	var methods []string
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		if _, ok := handlers[k][method]; ok {
			methods = append(methods, method)
		}
	}
	return strings.Join(methods, ", ")
}

// base tells a client whether it is signed in (docker login), which the bearer
// of a token is only for as long as the account may be used.
func (q *request) base() error {
	known, err := q.app.Known(q.ctx(), q.caller)
	if err != nil {
		return err
	}
	if !known {
		return fail(errcode.ErrorCodeUnauthorized, "sign in to use this registry")
	}
	q.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, err = io.WriteString(q.w, "{}")
	return err
}

// refuse answers with err. A request without the right credentials is told
// where to get them.
func (q *request) refuse(err error) {
	p := problemOf(err)
	switch {
	case p.status == http.StatusUnauthorized:
		q.w.Header().Set("WWW-Authenticate", q.door.Challenge(q.r, q.caller, q.scope()))
	case p.status == http.StatusForbidden && p.detail == nil:
		// docker shows the usual message of a code only if a detail is with it.
		p.detail = map[string]string{"scope": q.scope()}
	}
	if p.status >= http.StatusInternalServerError && !errors.Is(err, context.Canceled) {
		q.log.ErrorContext(q.ctx(), "registry request failed", "method", q.r.Method, "path", q.r.URL.Path, "error", err)
	}
	q.drain()
	p.write(q.w)
}

// maxDrain is how much of a refused body is read, so that a client that is
// still sending gets the answer and keeps its connection. To read the body of a
// client that waits for leave to send it (RFC 9110, 10.1.1) would give it.
const maxDrain = 256 << 10

func (q *request) drain() {
	if q.r.Body != nil && q.r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, q.r.Body, maxDrain)
	}
}
