package app

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// SyslogMessage is the form in which rows are forwarded.
func SyslogMessage(hostname string, e core.AuditEvent) string { return syslogMessage(hostname, e) }

// QuotaExceeded is the refusal of a push for lack of quota.
func QuotaExceeded(add, used, hard int64) error { return quotaExceeded(add, used, hard) }

// ForwardQuickly is RunSyslog with the patience of a test.
func (a *App) ForwardQuickly(ctx context.Context, trust *tls.Config) {
	f := &forwarder{app: a, tls: trust, hostname: "test", idle: 5 * time.Millisecond, settle: 20 * time.Millisecond,
		retry: 5 * time.Millisecond, maxRetry: 20 * time.Millisecond}
	f.run(ctx)
}
