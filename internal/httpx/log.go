package httpx

import (
	"context"
	"log/slog"
)

// LogHandler returns next with the id of the request added to every line that
// is logged with a context of that request, however deep in the house.
func LogHandler(next slog.Handler) slog.Handler { return logHandler{next} }

type logHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h logHandler) Handle(ctx context.Context, line slog.Record) error {
	if rec, ok := ctx.Value(recordKey{}).(*record); ok {
		line = line.Clone()
		line.AddAttrs(slog.String("request_id", rec.origin.RequestID))
	}
	return h.Handler.Handle(ctx, line)
}

// WithAttrs implements slog.Handler.
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h logHandler) WithGroup(name string) slog.Handler { return logHandler{h.Handler.WithGroup(name)} }
