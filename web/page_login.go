package web

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/httpx"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

func (h *api) loginPages() []page {
	return []page{
		{method: http.MethodGet, path: "/login", handle: h.loginPage, open: true},
		{method: http.MethodPost, path: "/login", handle: h.signIn, open: true},
		{method: http.MethodPost, path: "/logout", handle: h.signOut, open: true},
		{method: http.MethodPost, path: "/preferences", handle: h.prefer, open: true},
	}
}

// loginPage shows the form. Who has a session already goes on.
func (h *api) loginPage(c echo.Context) error {
	next := localPath(c.QueryParam("next"))
	if caller(c).Kind != core.KindAnonymous {
		return redirect(c, next)
	}
	view := ui.LoginView{Next: next}
	ctx := c.Request().Context()
	switch {
	case c.QueryParam("ended") != "":
		view.Message = &ui.Notice{Kind: "info", Title: i18n.T(ctx, "login.ended"), Text: i18n.T(ctx, "login.ended.text")}
	case c.QueryParam("changed") != "":
		view.Message = &ui.Notice{Kind: "ok", Title: i18n.T(ctx, "login.changed"), Text: i18n.T(ctx, "login.changed.text")}
	case c.QueryParam("bye") != "":
		view.Message = &ui.Notice{Kind: "ok", Title: i18n.T(ctx, "login.signed-out")}
	}
	return h.showLogin(c, http.StatusOK, view)
}

func (h *api) showLogin(c echo.Context, status int, view ui.LoginView) error {
	view.Blocked = h.cookiesBlocked(c.Request())
	if view.Blocked && strings.HasPrefix(h.deps.ExternalURL, "https:") {
		view.Insecure = h.deps.ExternalURL
	}
	return render(c, status, ui.Login(h.frame(c, "", i18n.T(c.Request().Context(), "login.title")), view), nil)
}

// signIn begins a session. One that the browser holds already ends.
func (h *api) signIn(c echo.Context) error {
	r := c.Request()
	ctx := r.Context()
	username, password := r.PostForm.Get("username"), r.PostForm.Get("password")
	view := ui.LoginView{User: username, Next: localPath(r.PostForm.Get("next"))}
	if h.cookiesBlocked(r) {
		return h.showLogin(c, http.StatusForbidden, view)
	}
	if username == "" || password == "" {
		view.Message = &ui.Notice{Kind: "danger", Title: i18n.T(ctx, "login.empty"), Assertive: true}
		return h.showLogin(c, http.StatusUnprocessableEntity, view)
	}
	token, err := h.app.SignIn(ctx, username, password, origin(c))
	if status, message := refusal(c, err); message != nil {
		view.Message = message
		return h.showLogin(c, status, view)
	}
	if err != nil {
		return err
	}
	if err := h.endSession(r); err != nil {
		return err
	}
	c.SetCookie(newSessionCookie(token))
	return redirect(c, view.Next)
}

// refusal is what the form says about a sign-in that failed; nil when the error
// is none that the reader can change.
func refusal(c echo.Context, err error) (int, *ui.Notice) {
	ctx := c.Request().Context()
	if late, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		setRetryAfter(c, late.RetryAfter())
		return http.StatusTooManyRequests, &ui.Notice{Kind: "danger", Title: i18n.T(ctx, "login.wait"),
			Text: i18n.T(ctx, "login.wait.text", i18n.Span(max(time.Second, late.RetryAfter()))), Assertive: true}
	}
	if errors.Is(err, app.ErrDisabled) {
		return http.StatusForbidden, &ui.Notice{Kind: "danger", Title: i18n.T(ctx, "login.disabled"),
			Text: i18n.T(ctx, "login.disabled.text"), Assertive: true}
	}
	if core.ErrorCode(err) == core.CodeUnauthorized {
		return http.StatusUnprocessableEntity, &ui.Notice{Kind: "danger", Title: i18n.T(ctx, "login.wrong"),
			Text: i18n.T(ctx, "login.wrong.text"), Assertive: true}
	}
	return 0, nil
}

func (h *api) endSession(r *http.Request) error {
	if token := sessionToken(r); token != "" {
		return h.app.SignOut(r.Context(), token, httpx.Origin(r))
	}
	return nil
}

func (h *api) signOut(c echo.Context) error {
	if err := h.endSession(c.Request()); err != nil {
		return err
	}
	gone := newSessionCookie("")
	gone.MaxAge = -1
	c.SetCookie(gone)
	return redirect(c, "/login?bye=1")
}

// cookiesBlocked says whether the browser will drop the session cookie, which
// it keeps over TLS only. Browsers make an exception for a server on their own
// machine; whether they trust the connection shows in the Sec-Fetch headers,
// which they send to trustworthy addresses only (Fetch Metadata, section 4).
// So a proxy that speaks TLS in front of this server is recognised as well.
func (h *api) cookiesBlocked(r *http.Request) bool {
	if r.TLS != nil || r.Header.Get("Sec-Fetch-Mode") != "" || isLoopback(r.Host) {
		return false
	}
	browser := r.Header.Get("Upgrade-Insecure-Requests") != ""
	return browser || strings.HasPrefix(h.deps.ExternalURL, "http:")
}

// isLoopback says whether host, which may have a port, is this machine.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(strings.ToLower(host), "[]")
	address, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && address.IsLoopback()
}
