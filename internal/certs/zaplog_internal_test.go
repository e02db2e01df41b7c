package certs

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
)

func TestZapBridge(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	logger := zap.New(zapBridge{log: log}).With(zap.String("a", "1"))
	logger.Debug("a request with a key authorization")
	logger.Info("obtained", zap.Strings("names", []string{"x", "y"}))
	logger.Warn("slow")
	logger.Error("failed", zap.Error(errors.New("no route")))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	want := []string{
		`level=INFO msg=obtained a=1 component=acme names="[x y]"`,
		`level=WARN msg=slow a=1 component=acme`,
		`level=ERROR msg=failed a=1 component=acme error="no route"`,
	}
	if len(lines) != len(want) {
		t.Fatalf("lines:\n%s", out.String())
	}
	for i, line := range lines {
		if !strings.HasSuffix(line, want[i]) {
			t.Errorf("line = %q, want ... %q", line, want[i])
		}
	}
}
