package web

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const (
	// maxStreams bounds the streams of events that are open at once: the pages
	// of all others ask again now and then.
	maxStreams = 64
	// streamEvery is how often a stream looks for something new.
	streamEvery = time.Second
	// streamAlive is how often an idle stream sends a comment, so that proxies
	// do not take it for dead.
	streamAlive = 15 * time.Second
)

// live is the part of a page that changes, as it is now, and whether it will not
// change any more.
type live func(c echo.Context) (part templ.Component, ended bool, err error)

// livePage answers with the part alone: for browsers that cannot hold a stream
// of events open.
func livePage(look live) echo.HandlerFunc {
	return func(c echo.Context) error {
		part, _, err := look(c)
		if err != nil {
			return err
		}
		return render(c, http.StatusOK, part, nil)
	}
}

// events streams the part (WHATWG HTML, section 9.2) until it, the session or
// the right to see it ends.
func (h *api) events(look live) echo.HandlerFunc {
	return func(c echo.Context) error { return h.stream(c, look) }
}

func (h *api) stream(c echo.Context, look live) error {
	part, ended, err := look(c)
	if err != nil {
		return err
	}
	if h.streams.Add(1) > maxStreams {
		h.streams.Add(-1)
		return core.Errorf(core.CodeUnavailable, "too many pages are watching already; this one asks again now and then")
	}
	defer h.streams.Add(-1)
	header := c.Response().Header()
	header.Set(echo.HeaderContentType, "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // nginx would hold the events back
	c.Response().WriteHeader(http.StatusOK)
	stream := &eventStream{c: c, sent: time.Now()}
	tick := time.NewTicker(streamEvery)
	defer tick.Stop()
	for {
		if err := stream.send(part.Render, ended); err != nil || ended {
			return nil // the reader has gone, or there is nothing more to tell
		}
		select {
		case <-c.Request().Context().Done():
			return nil
		case <-h.deps.Closing:
			return nil
		case <-tick.C:
		}
		if err := h.recognise(c); err != nil || caller(c).Kind == core.KindAnonymous {
			return nil // the session has ended: the next request leads to the sign-in
		}
		if part, ended, err = look(c); err != nil {
			return nil
		}
	}
}

// eventStream is the answer of a stream; it does not repeat itself.
type eventStream struct {
	c    echo.Context
	last string
	sent time.Time
}

// send writes what render draws as an event when it is new, and at the end
// another one that says so.
func (s *eventStream) send(render func(context.Context, io.Writer) error, end bool) error {
	var buf bytes.Buffer
	if err := render(s.c.Request().Context(), &buf); err != nil {
		return err
	}
	var text string
	switch fresh := buf.String(); {
	case fresh != s.last:
		s.last = fresh
		text = "data: " + strings.ReplaceAll(fresh, "\n", "\ndata: ") + "\n\n"
	case time.Since(s.sent) > streamAlive:
		text = ": still here\n\n"
	}
	if end {
		text += "event: end\ndata: end\n\n"
	}
	if text == "" {
		return nil
	}
	s.sent = time.Now()
	if _, err := s.c.Response().Write([]byte(text)); err != nil {
		return err
	}
	s.c.Response().Flush()
	return nil
}
