package web

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/httpx"
)

func origin(c echo.Context) core.Origin { return httpx.Origin(c.Request()) }

// secureHeaders has browsers neither guess types, nor run or frame anything,
// nor keep answers. A page of the user interface sets its own policy over it.
func (h *api) secureHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	https := strings.HasPrefix(h.deps.ExternalURL, "https:")
	return func(c echo.Context) error {
		header := c.Response().Header()
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		if https {
			header.Set("Strict-Transport-Security", "max-age=31536000")
		}
		return next(c)
	}
}

// newCrossOrigin refuses writes that a page of another site makes a browser
// send. Requests without a browser's headers pass: they carry no cookie that
// the other site could misuse.
func newCrossOrigin(externalURL string) (echo.MiddlewareFunc, error) {
	protection := http.NewCrossOriginProtection()
	if externalURL != "" {
		// A proxy in front may have changed the Host header.
		if err := protection.AddTrustedOrigin(externalURL); err != nil {
			return nil, err
		}
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if err := protection.Check(c.Request()); err != nil {
				return &core.Error{Code: core.CodeForbidden, Err: err,
					Message: "the request comes from another web site; open the registry itself and try again"}
			}
			return next(c)
		}
	}, nil
}

// wholeQuery refuses a query that cannot be read whole. net/http drops the part
// with the mistake, and a condition that is silently dropped shows too much.
func wholeQuery(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if _, err := url.ParseQuery(c.Request().URL.RawQuery); err != nil {
			return core.Errorf(core.CodeBadRequest, "the query of the address is malformed; encode ; as %%3B and %% as %%25")
		}
		return next(c)
	}
}

// limitBody bounds all bodies but those of the two routes which store it as it
// comes.
func limitBody(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Path() == apiPrefix+feedImportPath || c.Path() == feedImportPage {
			return next(c)
		}
		r := c.Request()
		r.Body = http.MaxBytesReader(c.Response(), r.Body, maxBody)
		return next(c)
	}
}

// identify finds out who makes the request before next runs.
func (h *api) identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		subject, err := h.subject(c)
		if err != nil {
			return err
		}
		httpx.SetActor(c.Request(), subject)
		c.Set(callerKey, core.Caller{Subject: subject, Origin: origin(c)})
		return next(c)
	}
}

// subject reads the Authorization header, else the session cookie. Credentials
// that are sent and are wrong are refused: nobody is anonymous by mistake. A
// cookie whose session has ended is none.
func (h *api) subject(c echo.Context) (core.Subject, error) {
	r := c.Request()
	if len(r.Header.Values("Authorization")) > 0 {
		username, secret, ok := r.BasicAuth()
		if !ok {
			return core.Anonymous, core.Errorf(core.CodeUnauthorized, "the API takes a username and password (Basic authentication) only")
		}
		return h.app.Authenticate(r.Context(), username, secret, origin(c))
	}
	token := sessionToken(r)
	if token == "" {
		return core.Anonymous, nil
	}
	subject, err := h.app.Resume(r.Context(), token)
	if core.ErrorCode(err) == core.CodeUnauthorized {
		return core.Anonymous, nil
	}
	return subject, err
}
