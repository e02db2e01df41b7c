// Package signin reads who sends a request to the machines' side of the
// registry: the distribution API, its token service and the trust server. They
// share one token service and one realm, and never look at cookies.
package signin

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/httpx"
)

// Service is the name of the registry in challenges and tokens.
const Service = "breakwater"

// Door reads credentials and says where to get them.
type Door struct {
	App    *app.App
	Tokens *auth.Tokens
	// Realm returns the URL of the token service as the client must call it.
	Realm func(*http.Request) string
}

// Caller reads who sends the request: a bearer token, a name with password or
// secret, or nobody. Bad credentials are CodeUnauthorized.
func (d Door) Caller(r *http.Request) (core.Caller, error) {
	caller := core.Caller{Subject: core.Anonymous, Origin: httpx.Origin(r)}
	header := r.Header.Get("Authorization")
	scheme, credentials, _ := strings.Cut(header, " ")
	switch {
	case header == "":
		return caller, nil
	case strings.EqualFold(scheme, "Bearer"):
		return d.bearer(caller, strings.TrimSpace(credentials))
	}
	return d.Basic(r)
}

func (d Door) bearer(caller core.Caller, token string) (core.Caller, error) {
	claims, err := d.Tokens.Verify(token)
	if err != nil {
		return caller, err
	}
	subject, ok := core.ParseSubject(claims.Subject)
	if !ok {
		return caller, core.Errorf(core.CodeUnauthorized, "the token names no account")
	}
	caller.Subject, caller.Limited, caller.Scopes = subject, true, claims.Access
	return caller, nil
}

// Basic reads the name and the password or secret that the request must carry.
func (d Door) Basic(r *http.Request) (core.Caller, error) {
	caller := core.Caller{Subject: core.Anonymous, Origin: httpx.Origin(r)}
	username, secret, ok := r.BasicAuth()
	if !ok {
		return caller, core.Errorf(core.CodeUnauthorized, "the Authorization header must hold a Bearer token or Basic credentials")
	}
	var err error
	caller.Subject, err = d.App.Authenticate(r.Context(), username, secret, caller.Origin)
	return caller, err
}

// Challenge tells where to get a token and for which scope, "" for any (RFC 6750
// and the distribution token specification).
func (d Door) Challenge(r *http.Request, caller core.Caller, scope string) string {
	c := fmt.Sprintf(`Bearer realm="%s",service="%s"`, d.Realm(r), Service)
	if scope != "" {
		c += fmt.Sprintf(`,scope="%s"`, scope)
	}
	if r.Header.Get("Authorization") == "" {
		return c
	}
	if caller.Limited {
		return c + `,error="insufficient_scope"`
	}
	return c + `,error="invalid_token"`
}
