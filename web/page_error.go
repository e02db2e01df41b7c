package web

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// wantsPage says whether an error is to be a page: on the pages themselves, and
// for a browser at any address that is not for programs.
func wantsPage(c echo.Context) bool {
	if c.Get(meKey) != nil {
		return true
	}
	r := c.Request()
	for _, prefix := range []string{"/api/", "/c/", "/v2/", "/service/", "/assets/"} {
		if strings.HasPrefix(r.URL.Path, prefix) {
			return false
		}
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// errorPage says what happened and how to go on.
func (h *api) errorPage(c echo.Context, status int, body envelope) error {
	if c.Get(meKey) == nil {
		beginPage(c)
		if err := h.recognise(c); err != nil {
			h.deps.Log.WarnContext(c.Request().Context(), "a session could not be read for an error page", "error", err)
		}
	}
	if status == http.StatusUnauthorized {
		return toLogin(c)
	}
	view := errorView(c, status, body.Errors[0].Message)
	return h.show(c, status, "", view.Title, ui.ErrorPage(view))
}

func errorView(c echo.Context, status int, message string) ui.ErrorView {
	ctx := c.Request().Context()
	key := "error." + strconv.Itoa(status)
	if !i18n.Has(key) {
		key = "error.500"
	}
	view := ui.ErrorView{
		Icon: errorIcon(status), Code: strconv.Itoa(status), Title: i18n.T(ctx, key), Lead: i18n.T(ctx, key+".lead"),
		Facts: []ui.Fact{
			{Label: i18n.T(ctx, "error.address"), Value: core.Clip(c.Request().URL.Path, 200), Mono: true},
			{Label: i18n.T(ctx, "error.reference"), Value: origin(c).RequestID, Mono: true},
		},
		Back:         ui.Link{Href: "/", Label: i18n.T(ctx, "error.home")},
		Again:        status >= http.StatusInternalServerError && c.Request().Method == http.MethodGet,
		Quiet:        status == http.StatusNotFound,
		OtherAccount: status == http.StatusForbidden && me(c).Username != "",
	}
	if name := me(c).Username; name != "" {
		view.Facts = append(view.Facts, ui.Fact{Label: i18n.T(ctx, "error.signed-in"), Value: name})
	}
	if status < http.StatusInternalServerError && status != http.StatusNotFound && status != http.StatusMethodNotAllowed {
		view.Detail = sentence(message)
	}
	return view
}

func errorIcon(status int) string {
	switch {
	case status == http.StatusForbidden:
		return "lock"
	case status == http.StatusNotFound:
		return "search"
	}
	return "warn"
}

// sentence writes the message of an error as a page shows it.
func sentence(message string) string {
	if message == "" {
		return ""
	}
	text := strings.ToUpper(message[:1]) + message[1:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}
