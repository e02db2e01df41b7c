package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/httpx"
)

// sessionCookie is bound by its prefix to this very host and to TLS
// (RFC 6265bis, section 4.1.3).
const sessionCookie = "__Host-breakwater"

func (h *api) loginRoutes() []route {
	return []route{
		{http.MethodPost, "/c/login", h.login},
		{http.MethodPost, "/c/log_out", h.logout},
		{http.MethodGet, "/c/log_out", h.logoutByLink},
	}
}

func sessionToken(r *http.Request) string {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return "" // there is none
	}
	return cookie.Value
}

func newSessionCookie(token string) *http.Cookie {
	return &http.Cookie{Name: sessionCookie, Value: token, Path: "/", HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode}
}

// login is Harbor's form with the fields principal and password. It answers 200
// with the session cookie; the browser forgets it when it is closed.
func (h *api) login(c echo.Context) error {
	r := c.Request()
	if err := r.ParseForm(); err != nil {
		return bodyError(err)
	}
	username, password := r.PostForm.Get("principal"), r.PostForm.Get("password")
	if username == "" || password == "" {
		return core.Errorf(core.CodeBadRequest, "the form needs the fields principal and password")
	}
	token, err := h.app.SignIn(r.Context(), username, password, origin(c))
	if err != nil {
		return err
	}
	c.SetCookie(newSessionCookie(token))
	return c.NoContent(http.StatusOK)
}

// logoutByLink is Harbor's GET. It changes state, which a GET must not do for a
// link or an image of another site.
func (h *api) logoutByLink(c echo.Context) error {
	switch c.Request().Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return h.logout(c)
	}
	return core.Errorf(core.CodeForbidden, "the request comes from another web site; sign out at the registry itself")
}

func (h *api) logout(c echo.Context) error {
	r := c.Request()
	if token := sessionToken(r); token != "" {
		if err := h.app.SignOut(r.Context(), token, httpx.Origin(r)); err != nil {
			return err
		}
	}
	gone := newSessionCookie("")
	gone.MaxAge = -1
	c.SetCookie(gone)
	return c.NoContent(http.StatusOK)
}
