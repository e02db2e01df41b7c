package systemd_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/systemd"
)

// manager plays systemd: it owns the notify socket and reads what arrives.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

func listen(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return &manager{t: t, conn: conn}
}

// patience bounds what a test waits for; a healthy run needs a fraction of it.
const patience = time.Minute

// next returns the next message, or "" when none came within the limit.
func (m *manager) next(limit time.Duration) string {
	m.t.Helper()
	if err := m.conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		m.t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := m.conn.Read(buf)
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return ""
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return string(buf[:n])
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestNotifierSendsStates(t *testing.T) {
	m := listen(t)
	n := systemd.New(quiet())
	n.Ready()
	n.Stopping()
	n.Reloading()
	for _, want := range []string{"READY=1", "STOPPING=1"} {
		if got := m.next(patience); got != want {
			t.Errorf("message = %q, want %q", got, want)
		}
	}
	state, stamp, _ := strings.Cut(m.next(patience), "\n")
	usec, err := strconv.ParseInt(strings.TrimPrefix(stamp, "MONOTONIC_USEC="), 10, 64)
	if state != "RELOADING=1" || err != nil || usec <= 0 {
		t.Errorf("reload message = %q %q, want RELOADING=1 and a monotonic time", state, stamp)
	}
}

func TestNotifierWithoutSystemdDoesNothing(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	n := systemd.New(quiet())
	n.Ready()
	ping := func(context.Context) error {
		t.Error("pinged without a watchdog")
		return nil
	}
	if err := n.Watchdog(t.Context(), ping); err != nil {
		t.Error(err)
	}
}

func TestWatchdogPetsOnlyWhilePingSucceeds(t *testing.T) {
	m := listen(t)
	t.Setenv("WATCHDOG_USEC", "40000")
	t.Setenv("WATCHDOG_PID", "")
	var broken atomic.Bool
	failed := make(chan struct{}, 1000)
	ping := func(context.Context) error {
		if broken.Load() {
			failed <- struct{}{}
			return errors.New("database is gone")
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- systemd.New(quiet()).Watchdog(ctx, ping) }()

	for range 3 {
		if got := m.next(patience); got != "WATCHDOG=1" {
			t.Fatalf("message = %q, want WATCHDOG=1", got)
		}
	}
	broken.Store(true)
	<-failed // pings before this one may still have petted
	for m.next(20*time.Millisecond) != "" {
	}
	for range 3 {
		<-failed
	}
	if got := m.next(20 * time.Millisecond); got != "" {
		t.Errorf("message = %q although the ping fails", got)
	}
	broken.Store(false)
	if got := m.next(patience); got != "WATCHDOG=1" {
		t.Errorf("message after recovery = %q, want WATCHDOG=1", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWatchdogRefusesNonsense(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "soon")
	if err := systemd.New(quiet()).Watchdog(t.Context(), nil); err == nil {
		t.Error("WATCHDOG_USEC=soon was accepted")
	}
}
