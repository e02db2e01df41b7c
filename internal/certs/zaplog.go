package certs

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"go.uber.org/zap/zapcore"
)

// zapBridge lets certmagic, which logs with zap, write into the server's log.
// It is a zapcore.Core.
type zapBridge struct{ log *slog.Logger }

// Enabled drops debug lines: those of the ACME client show whole requests.
func (b zapBridge) Enabled(level zapcore.Level) bool {
	return level >= zapcore.InfoLevel && b.log.Enabled(context.Background(), slogLevel(level))
}

// With returns a bridge that adds fields to each line.
func (b zapBridge) With(fields []zapcore.Field) zapcore.Core {
	return zapBridge{log: b.log.With(attributes(fields)...)}
}

// Check adds the bridge to a line that is to be written.
func (b zapBridge) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(entry.Level) {
		return checked.AddCore(entry, b)
	}
	return checked
}

// Write writes one line.
func (b zapBridge) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	args := append([]any{"component", "acme"}, attributes(fields)...)
	b.log.Log(context.Background(), slogLevel(entry.Level), entry.Message, args...)
	return nil
}

// Sync has nothing to flush.
func (zapBridge) Sync() error { return nil }

func attributes(fields []zapcore.Field) []any {
	encoder := zapcore.NewMapObjectEncoder()
	for _, field := range fields {
		field.AddTo(encoder)
	}
	var args []any
	for _, key := range slices.Sorted(maps.Keys(encoder.Fields)) {
		args = append(args, slog.Any(key, encoder.Fields[key]))
	}
	return args
}

func slogLevel(level zapcore.Level) slog.Level {
	switch {
	case level >= zapcore.ErrorLevel:
		return slog.LevelError
	case level >= zapcore.WarnLevel:
		return slog.LevelWarn
	case level >= zapcore.InfoLevel:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}
