package registry

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/google/uuid"

	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/httpx"
)

// scope is what a token must be asked for to send this request.
func (q *request) scope() string {
	switch {
	case q.kind == kindCatalog:
		return "registry:catalog:*"
	case q.repository == "":
		return ""
	}
	actions := "pull"
	switch q.r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		actions = "pull,push"
	case http.MethodDelete:
		actions = "delete"
		if q.kind == kindUpload {
			actions = "pull,push"
		}
	}
	if q.kind == kindUpload {
		actions = "pull,push"
	}
	scope := "repository:" + q.repository + ":" + actions
	if from := q.r.URL.Query().Get("from"); q.kind == kindUploads && checkName(from) == nil {
		scope += " repository:" + from + ":pull"
	}
	return scope
}

// TokenService is the handler of /service/token: GET as docker asks, and POST
// with grant_type=password as containerd does (distribution token specification).
func (g *Registry) TokenService() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := g.serveToken(w, r); err != nil {
			p := problemOf(err)
			if p.status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Basic realm="breakwater"`)
			}
			if p.status >= http.StatusInternalServerError {
				g.log.ErrorContext(r.Context(), "token request failed", "error", err)
			}
			p.write(w)
		}
	})
}

// maxForm bounds the body of a token request.
const maxForm = 64 << 10

func (g *Registry) serveToken(w http.ResponseWriter, r *http.Request) error {
	caller, scopes, err := g.tokenRequest(w, r)
	if err != nil {
		return err
	}
	wanted, err := auth.ParseScopes(scopes)
	if err != nil {
		return fail(errcode.ErrorCodeUnsupported, "%s", core.ErrorMessage(err)).withStatus(http.StatusBadRequest)
	}
	if caller.Kind == core.KindAnonymous && len(wanted) == 0 {
		return core.Errorf(core.CodeUnauthorized, "sign in to get a token")
	}
	httpx.SetActor(r, caller.Subject)
	granted, err := g.app.Grant(r.Context(), caller, wanted)
	if err != nil {
		return err
	}
	return g.issue(w, caller, granted)
}

// tokenRequest reads who asks and for which scopes.
func (g *Registry) tokenRequest(w http.ResponseWriter, r *http.Request) (core.Caller, []string, error) {
	caller := core.Caller{Subject: core.Anonymous, Origin: httpx.Origin(r)}
	var err error
	switch r.Method {
	case http.MethodGet:
		if r.Header.Get("Authorization") != "" {
			caller, err = g.door.Basic(r)
		}
		return caller, r.URL.Query()["scope"], err
	case http.MethodPost:
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			return caller, nil, core.Errorf(core.CodeBadRequest, "the token request must be a form of at most %d bytes", maxForm)
		}
		if r.PostForm.Get("grant_type") != "password" {
			return caller, nil, fail(errcode.ErrorCodeUnsupported, "only grant_type=password is offered; sign in with a name and a password or secret").withStatus(http.StatusBadRequest)
		}
		caller.Subject, err = g.app.Authenticate(r.Context(), r.PostForm.Get("username"), r.PostForm.Get("password"), caller.Origin)
		return caller, r.PostForm["scope"], err
	}
	w.Header().Set("Allow", "GET, POST")
	return caller, nil, fail(errcode.ErrorCodeUnsupported, "the token service takes GET and POST").withStatus(http.StatusMethodNotAllowed)
}

func (g *Registry) issue(w http.ResponseWriter, caller core.Caller, granted []core.Scope) error {
	ttl := g.app.Settings().TokenExpiration
	now := time.Now().UTC().Truncate(time.Second)
	token, err := g.door.Tokens.Issue(auth.Claims{ID: uuid.NewString(), Subject: caller.Subject.String(), Access: granted}, ttl)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(map[string]any{
		"token": token, "access_token": token, "token_type": "Bearer",
		"expires_in": int(ttl.Seconds()), "issued_at": now.Format(time.RFC3339),
	})
}
