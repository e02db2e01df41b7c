// Package systemd tells the service manager how the server is doing, by the
// protocol of sd_notify(3). Outside systemd every call does nothing.
package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// watchdogShare is the part of the watchdog's interval between two pings and
// also the time one ping may take. A quarter makes the worst case, a ping that
// succeeds at its last moment, arrive at half of the interval.
const watchdogShare = 4

// Notifier sends state changes to the service manager named by the variable
// NOTIFY_SOCKET.
type Notifier struct {
	log *slog.Logger
}

// New returns a Notifier. A message that cannot be delivered is logged and
// otherwise ignored, because the server works without its manager.
func New(log *slog.Logger) *Notifier { return &Notifier{log: log} }

// Ready says that the start, or a reload, is complete.
func (n *Notifier) Ready() { n.send(daemon.SdNotifyReady) }

// Stopping says that the server has begun to shut down.
func (n *Notifier) Stopping() { n.send(daemon.SdNotifyStopping) }

// Reloading says that settings are being read again; Ready must follow. It
// carries the time stamp that units of Type=notify-reload require.
func (n *Notifier) Reloading() {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		n.log.Warn("cannot read the monotonic clock for systemd", "error", err)
		return
	}
	n.send(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, ts.Nano()/int64(time.Microsecond)))
}

func (n *Notifier) send(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.log.Warn("cannot notify systemd", "state", state, "error", err)
	}
}

// Watchdog pets the unit's watchdog (WatchdogSec=) for as long as ping
// succeeds, until ctx ends. Without a watchdog it returns at once. A failing
// ping is logged and not forwarded, so that systemd restarts a server whose
// database no longer answers. Each ping has a quarter of the interval.
func (n *Notifier) Watchdog(ctx context.Context, ping func(context.Context) error) error {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("read the watchdog settings of systemd: %w", err)
	}
	period := interval / watchdogShare
	if period <= 0 {
		return nil
	}
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		n.pet(ctx, period, ping)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (n *Notifier) pet(ctx context.Context, limit time.Duration, ping func(context.Context) error) {
	pingCtx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := ping(pingCtx)
	switch {
	case err == nil:
		n.send(daemon.SdNotifyWatchdog)
	case ctx.Err() == nil:
		n.log.Error("self check failed, systemd will restart the service if this goes on", "error", err)
	}
}
