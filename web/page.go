package web

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/httpx"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// page is one route of the user interface. Only a session cookie counts there,
// as only the Authorization header counts for programs.
type page struct {
	method, path string
	handle       echo.HandlerFunc
	open         bool // to those who have not signed in
}

// pages is every route of the user interface. Each group of pages has a file of
// its own, page_NAME.go, with a method that returns its pages.
func (h *api) pages() []page {
	return slices.Concat(
		h.loginPages(),
		h.overviewPages(),
		h.projectPages(),
		h.profilePages(),
		h.jobPages(),
		h.gcPages(),
		h.feedPages(),
		h.scanningPages(),
		h.securityPages(),
		h.configurationPages(),
		h.auditPages(),
		h.certificatePages(),
		h.searchPages(),
		h.userPages(),
		h.oneProjectPages(),
		h.repositoryPages(),
		h.artifactPages(),
		h.scanPages(),
		h.trustPages(),
		h.reportPages(),
		h.allowlistPages(),
		h.memberPages(),
		h.robotPages(),
		h.policyPages(),
		h.anchorPages(),
		h.retentionPages(),
		h.labelPages(),
		h.notificationPages(),
		h.aboutPages(),
		h.quotaPages(),
		h.artifactLabelPages(),
		h.projectSettingsPages(),
		h.projectLogPages(),
	)
}

// pagePolicy lets a page load from this server only, and run nothing that is
// not a file of it.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// meKey is where framed leaves the account of the session.
const meKey = "breakwater.me"

// me is the account of the session; without a name for those who have none.
func me(c echo.Context) app.Me {
	known, _ := c.Get(meKey).(app.Me)
	return known
}

// framed prepares the request of a page: its policy, the reader's language and
// whose session it is. Without a session it leads to the sign-in.
func (h *api) framed(p page) echo.HandlerFunc {
	return func(c echo.Context) error {
		beginPage(c)
		if err := h.recognise(c); err != nil {
			return err
		}
		if !p.open && caller(c).Kind == core.KindAnonymous {
			return toLogin(c)
		}
		if p.method != http.MethodGet {
			return h.once.do(c, p.handle)
		}
		return p.handle(c)
	}
}

func beginPage(c echo.Context) {
	header := c.Response().Header()
	header.Set("Content-Security-Policy", pagePolicy)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	r := c.Request()
	language := i18n.Choose(preference(r, languageCookie), r.Header.Get("Accept-Language"))
	c.SetRequest(r.WithContext(i18n.With(r.Context(), language)))
	c.Set(meKey, app.Me{})
}

// recognise finds the account of the session cookie, and nothing else: a
// browser may hold other credentials of this server for its API.
func (h *api) recognise(c echo.Context) error {
	r := c.Request()
	who := core.Caller{Subject: core.Anonymous, Origin: origin(c)}
	if token := sessionToken(r); token != "" {
		subject, err := h.app.Resume(r.Context(), token)
		if err != nil && core.ErrorCode(err) != core.CodeUnauthorized {
			return err
		}
		if err == nil {
			who.Subject = subject
		}
	}
	if who.Kind != core.KindAnonymous {
		known, err := h.app.Me(r.Context(), who)
		if core.ErrorCode(err) == core.CodeUnauthorized {
			who.Subject = core.Anonymous
		} else if err != nil {
			return err
		}
		c.Set(meKey, known)
	}
	httpx.SetActor(r, who.Subject)
	c.Set(callerKey, who)
	return nil
}

// toLogin leads to the sign-in, and back from there to where the reader is.
func toLogin(c echo.Context) error {
	r := c.Request()
	next := r.URL.RequestURI()
	if r.Method != http.MethodGet || isPartial(r) {
		next = referrer(r)
	}
	values := url.Values{}
	if next = localPath(next); next != "/" {
		values.Set("next", next)
	}
	if sessionToken(r) != "" {
		values.Set("ended", "1")
	}
	target := "/login"
	if len(values) > 0 {
		target += "?" + values.Encode()
	}
	return redirect(c, target)
}

// redirect leads the browser to a path of this server by GET; htmx by its own
// header, because it would put the answer into the page.
func redirect(c echo.Context, path string) error {
	if c.Request().Header.Get("HX-Request") != "" {
		c.Response().Header().Set("HX-Redirect", path)
		return c.NoContent(http.StatusOK)
	}
	return c.Redirect(http.StatusSeeOther, path)
}

// referrer is the path of the page from which the request comes; "" when that
// is none of this server's.
func referrer(r *http.Request) string {
	u, err := url.Parse(r.Referer())
	if err != nil || u.Host != r.Host {
		return ""
	}
	return u.RequestURI()
}

// maxLocalPath bounds where a reader may be led, in bytes.
const maxLocalPath = 1024

// localPath returns path when it leads to a page of this server and nowhere
// else, whatever a browser makes of it (CVE-2024-22244), and "/" when not.
func localPath(path string) string {
	u, err := url.Parse(path)
	odd := strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f })
	switch {
	case err != nil, odd, len(path) > maxLocalPath:
	case !strings.HasPrefix(path, "/"), strings.HasPrefix(path, "//"):
	case u.Scheme != "", u.Host != "", u.User != nil, u.Opaque != "":
	case strings.HasPrefix(u.Path, "//"), strings.Contains(u.Path, "\\"), u.Path == "/login", u.Path == "/logout":
	default:
		return path
	}
	return "/"
}

// isPartial says whether htmx will put the answer into a page that is there.
func isPartial(r *http.Request) bool {
	return r.Header.Get("HX-Request") == "true" && r.Header.Get("HX-Request-Type") == "partial"
}

// show answers with a page, or with its main part where htmx asks for it.
// section is the entry of the navigation to which the page belongs.
func (h *api) show(c echo.Context, status int, section, title string, body templ.Component) error {
	frame := h.frame(c, section, title)
	switch {
	case isPartial(c.Request()):
		return render(c, status, ui.Partial(frame), body)
	case frame.User == "":
		return render(c, status, ui.Bare(frame), body)
	}
	frame.Toast = takeToast(c)
	var err error
	if frame.Unseen, err = h.app.UnseenNotifications(c.Request().Context(), caller(c)); err != nil {
		return err
	}
	return render(c, status, ui.Layout(frame), body)
}

// render writes the page to memory first, so that an error is still an error.
func render(c echo.Context, status int, outer, inner templ.Component) error {
	var buf bytes.Buffer
	ctx := c.Request().Context()
	if inner != nil {
		ctx = templ.WithChildren(ctx, inner)
	}
	if err := outer.Render(ctx, &buf); err != nil {
		return err
	}
	return c.HTMLBlob(status, buf.Bytes())
}

// frame is what surrounds every page, for this reader.
func (h *api) frame(c echo.Context, section, title string) ui.Frame {
	settings := h.app.Settings()
	ctx := c.Request().Context()
	account := me(c)
	return ui.Frame{
		Title: title, Section: section, Theme: preference(c.Request(), themeCookie), Path: localPath(c.Request().URL.RequestURI()),
		Host: hostOf(h.deps.ExternalURL), Version: h.deps.Version, User: account.Username, Nav: navigation(ctx, account), Search: account.Username != "",
		Banner: settings.Banner, ReadOnly: settings.ReadOnly, HasCA: h.caPEM() != nil,
	}
}
