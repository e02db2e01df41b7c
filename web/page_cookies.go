package web

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// The cookies beside the session's. They hold no secret; their prefix keeps
// other hosts of the domain from setting them.
const (
	themeCookie    = "__Host-breakwater-theme"
	languageCookie = "__Host-breakwater-language"
	toastCookie    = "__Host-breakwater-toast"
)

const (
	preferenceSeconds = 365 * 24 * 60 * 60
	toastSeconds      = 60
	maxToast          = 1024 // bytes of the cookie
)

func newCookie(name, value string, seconds int) *http.Cookie {
	cookie := newSessionCookie(value)
	cookie.Name, cookie.MaxAge = name, seconds
	return cookie
}

// preferences are the values that a preference may have; "" is the default.
func preferences(name string) []string {
	if name == themeCookie {
		return []string{"light", "dark"}
	}
	var codes []string
	for _, language := range i18n.Languages() {
		codes = append(codes, language.Code)
	}
	return codes
}

// preference reads a choice that the reader made before.
func preference(r *http.Request, name string) string {
	cookie, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	for _, value := range preferences(name) {
		if cookie.Value == value {
			return value
		}
	}
	return ""
}

// prefer keeps what the reader chooses; any other value goes back to the default.
func (h *api) prefer(c echo.Context) error {
	for field, name := range map[string]string{"theme": themeCookie, "language": languageCookie} {
		if !c.Request().PostForm.Has(field) {
			continue
		}
		cookie := newCookie(name, "", -1)
		for _, value := range preferences(name) {
			if c.Request().PostForm.Get(field) == value {
				cookie = newCookie(name, value, preferenceSeconds)
			}
		}
		c.SetCookie(cookie)
	}
	back := c.Request().PostForm.Get("back")
	if back != "/login" {
		back = localPath(back)
	}
	return redirect(c, back)
}

// toast is a message for the next page: the key of a text that contains
// ".toast." and what its verbs are filled with.
type toast struct {
	Key  string   `json:"k"`
	Args []string `json:"a,omitempty"`
}

// done leads to path, where the text of key tells that the change was made.
func done(c echo.Context, path, key string, args ...string) error {
	text, err := json.Marshal(toast{key, args})
	if err != nil {
		return err
	}
	if value := base64.RawURLEncoding.EncodeToString(text); len(value) <= maxToast {
		c.SetCookie(newCookie(toastCookie, value, toastSeconds))
	}
	return redirect(c, path)
}

// takeToast returns the message that waits for the reader, once.
func takeToast(c echo.Context) *ui.Toast {
	cookie, err := c.Cookie(toastCookie)
	if err != nil {
		return nil // there is none
	}
	c.SetCookie(newCookie(toastCookie, "", -1))
	text, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil || len(cookie.Value) > maxToast {
		return nil
	}
	var waiting toast
	if err := json.Unmarshal(text, &waiting); err != nil || !strings.Contains(waiting.Key, ".toast.") || !i18n.Has(waiting.Key) {
		return nil
	}
	args := make([]any, len(waiting.Args))
	for i, arg := range waiting.Args {
		args[i] = arg
	}
	return &ui.Toast{Kind: "ok", Text: i18n.T(c.Request().Context(), waiting.Key, args...)}
}
