package httpx

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// RequestIDHeader carries the id of a request, in and out.
const RequestIDHeader = "X-Request-Id"

const (
	maxRequestID = 64  // bytes; a longer id of a client is replaced
	maxAgent     = 255 // bytes of User-Agent that are kept
	maxPath      = 512 // bytes of the path that are logged
)

// record is what is known of one request while it runs.
type record struct {
	origin core.Origin
	actor  string
}

type recordKey struct{}

// Edge wraps the handlers of the whole server, once.
type Edge struct {
	Log     *slog.Logger
	Trusted []netip.Prefix // proxies whose X-Forwarded-For is believed
}

// Wrap returns next behind the edge. Each request gets an id (its own
// X-Request-Id when that is short and plain) that is also in the answer, and
// one line in the log when it ends. Neither headers nor the query are logged:
// they may hold secrets. A panic answers 500 in the API's envelope, or cuts the
// connection when the answer has begun, so that it is not taken for whole.
func (e Edge) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rec := &record{origin: e.origin(r), actor: core.Anonymous.String()}
		w.Header().Set(RequestIDHeader, rec.origin.RequestID)
		out := &Writer{ResponseWriter: w}
		defer e.finish(out, r, rec, began)
		next.ServeHTTP(out, r.WithContext(context.WithValue(r.Context(), recordKey{}, rec)))
	})
}

func (e Edge) origin(r *http.Request) core.Origin {
	return newOrigin(r, ClientAddress(r, e.Trusted), requestID(r))
}

func newOrigin(r *http.Request, address netip.Addr, id string) core.Origin {
	o := core.Origin{Client: core.Clip(r.UserAgent(), maxAgent), RequestID: id}
	if address.IsValid() {
		o.Address = address.String()
	}
	return o
}

// requestID returns the client's id when it is safe to log and send back.
func requestID(r *http.Request) string {
	id := r.Header.Get(RequestIDHeader)
	if id == "" || len(id) > maxRequestID {
		return rand.Text()
	}
	for _, b := range []byte(id) {
		plain := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '-' || b == '_' || b == '.'
		if !plain {
			return rand.Text()
		}
	}
	return id
}

// finish runs deferred: it ends a panic and writes the access line.
func (e Edge) finish(w *Writer, r *http.Request, rec *record, began time.Time) {
	cause := recover()
	if cause != nil && cause != http.ErrAbortHandler {
		e.Log.Error("a request panicked", "request_id", rec.origin.RequestID, "panic", cause, "stack", string(debug.Stack()))
		if w.status == 0 {
			writeInternal(w)
			cause = nil
		}
	}
	e.access(w, r, rec, time.Since(began))
	if cause != nil {
		panic(http.ErrAbortHandler) // the connection is cut without another word
	}
}

func writeInternal(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Del("Content-Length")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(w, `{"errors":[{"code":"UNKNOWN","message":"internal server error"}]}`+"\n") // nobody is left to tell
}

func (e Edge) access(w *Writer, r *http.Request, rec *record, took time.Duration) {
	path := r.URL.EscapedPath()
	if len(path) > maxPath {
		path = path[:maxPath] + "..."
	}
	e.Log.LogAttrs(r.Context(), slog.LevelInfo, "request",
		slog.String("method", core.Clip(r.Method, 16)), slog.String("path", path),
		slog.Int("status", w.Status()), slog.Int64("bytes", w.bytes), slog.Duration("duration", took),
		slog.String("actor", rec.actor), slog.String("address", rec.origin.Address), slog.String("request_id", rec.origin.RequestID))
}

// Origin returns where r came from. Without an Edge around the handler it
// trusts no proxy.
func Origin(r *http.Request) core.Origin {
	if rec, ok := r.Context().Value(recordKey{}).(*record); ok {
		return rec.origin
	}
	return newOrigin(r, ClientAddress(r, nil), requestID(r))
}

// SetActor has the access line of r name who made it. It is to be called by
// the goroutine that serves r.
func SetActor(r *http.Request, s core.Subject) {
	if rec, ok := r.Context().Value(recordKey{}).(*record); ok {
		rec.actor = s.String()
	}
}
