package web

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
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

// jobEvents streams the part of a job's page that changes (WHATWG HTML, section
// 9.2) until the job, the session or the right to see it ends.
func (h *api) jobEvents(c echo.Context) error {
	view, err := h.jobView(c)
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
		if err := stream.send(ui.JobLive(view).Render, view.Status.Ended()); err != nil || view.Status.Ended() {
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
		if view, err = h.jobView(c); err != nil {
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
