package web

import (
	"net/http"
	"sync"

	"github.com/labstack/echo/v4"
)

const (
	// onceKept bounds how many forms are remembered.
	onceKept = 1024
	// onceLength is that of the random value in a form.
	onceLength = 26
)

// once makes the second click on a button harmless: a form that was sent and
// did its work answers again as it did, without doing it again. A form that
// was refused may be sent again.
type once struct {
	mu    sync.Mutex
	known map[string]*sent
	order []string
}

// sent is a form that was sent. Its lock is held while it is worked on.
type sent struct {
	mu       sync.Mutex
	location string
	cookies  []string
}

func newOnce() *once { return &once{known: map[string]*sent{}} }

// do runs handle unless the form has done its work before.
func (o *once) do(c echo.Context, handle echo.HandlerFunc) error {
	r := c.Request()
	if err := r.ParseForm(); err != nil {
		return bodyError(err)
	}
	value := r.PostForm.Get("once")
	if len(value) != onceLength {
		return handle(c)
	}
	form := o.form(caller(c).Subject.String() + " " + r.URL.Path + " " + value)
	form.mu.Lock()
	defer form.mu.Unlock()
	header := c.Response().Header()
	if form.location != "" {
		header["Set-Cookie"] = append([]string{}, form.cookies...)
		return redirect(c, form.location)
	}
	if err := handle(c); err != nil {
		return err
	}
	if c.Response().Status == http.StatusSeeOther {
		form.location, form.cookies = header.Get("Location"), header.Values("Set-Cookie")
	}
	return nil
}

func (o *once) form(key string) *sent {
	o.mu.Lock()
	defer o.mu.Unlock()
	if known, ok := o.known[key]; ok {
		return known
	}
	if len(o.order) >= onceKept {
		delete(o.known, o.order[0])
		o.order = o.order[1:]
	}
	form := &sent{}
	o.known[key] = form
	o.order = append(o.order, key)
	return form
}
