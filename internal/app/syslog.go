package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// forwardSetting is the setting that names the receiver.
const forwardSetting = "audit_log_forward_endpoint"

// forwarder sends the audit log to a syslog receiver. How far it has come is
// in the database, so that nothing is skipped while the receiver is away or
// the registry is restarted. Syslog has no receipts: a batch counts as
// delivered when the connection still stands some time after it was written,
// and rows may arrive twice (their id tells).
type forwarder struct {
	app      *App
	tls      *tls.Config
	hostname string
	idle     time.Duration // between looks for new rows
	settle   time.Duration // after a batch, before it counts as delivered
	retry    time.Duration // after a failure; doubled up to maxRetry
	maxRetry time.Duration
}

const (
	forwardBatch    = 200
	forwardBatchUDP = 20 // more at once would overrun the receiver's buffer
	dialTimeout     = 10 * time.Second
	sendTimeout     = 10 * time.Second
)

// RunSyslog forwards the audit log to the receiver of the settings, where
// there is one, until ctx ends. TLS receivers are checked against the system's
// certificate authorities.
func (a *App) RunSyslog(ctx context.Context) {
	hostname, err := os.Hostname()
	if err != nil {
		hostname = ""
	}
	f := &forwarder{app: a, tls: &tls.Config{MinVersion: tls.VersionTLS12}, hostname: hostname,
		idle: time.Second, settle: 200 * time.Millisecond, retry: time.Second, maxRetry: time.Minute}
	f.run(ctx)
}

func (f *forwarder) run(ctx context.Context) {
	wait := f.retry
	for ctx.Err() == nil {
		endpoint := f.app.Settings().AuditForwardEndpoint
		progress, err := f.forward(ctx, endpoint)
		if progress {
			wait = f.retry
		}
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			_ = pause(ctx, f.idle, nil)
			continue
		}
		f.app.log.Warn("the audit log cannot be forwarded", "endpoint", endpoint, "retry_in", wait, "error", err)
		_ = pause(ctx, wait, nil)
		wait = min(2*wait, f.maxRetry)
	}
}

// pause waits; it ends early with the error of ctx or of broken.
func pause(ctx context.Context, d time.Duration, broken <-chan error) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case err := <-broken:
		return err
	}
}

// forward sends rows over one connection until it breaks, the endpoint is
// changed or ctx ends. progress says whether any rows were delivered.
func (f *forwarder) forward(ctx context.Context, endpoint string) (progress bool, err error) {
	if endpoint == "" {
		return false, f.forget(ctx)
	}
	target, err := core.ParseSyslogTarget(endpoint)
	if err != nil {
		return false, err
	}
	cursor, err := f.begin(ctx)
	if err != nil {
		return false, err
	}
	conn, err := f.dial(ctx, target)
	if err != nil {
		return false, err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }()
	broken := watch(conn)
	for f.app.Settings().AuditForwardEndpoint == endpoint {
		sent, err := f.batch(ctx, conn, target, cursor, broken)
		if err != nil {
			return progress, err
		}
		progress, cursor = progress || sent > cursor, sent
	}
	return progress, nil
}

// batch sends the rows after cursor and returns the last one's id.
func (f *forwarder) batch(ctx context.Context, conn net.Conn, target core.SyslogTarget, cursor int64, broken <-chan error) (int64, error) {
	size := forwardBatch
	if target.Network == "udp" {
		size = forwardBatchUDP
	}
	var rows []core.AuditEvent
	err := f.app.store.View(ctx, func(tx *store.Tx) (err error) {
		rows, err = tx.AuditAfter(cursor, size)
		return err
	})
	if err != nil {
		return cursor, err
	}
	if len(rows) == 0 {
		return cursor, pause(ctx, f.idle, broken)
	}
	if err := f.send(conn, target, rows); err != nil {
		return cursor, err
	}
	if err := pause(ctx, f.settle, broken); err != nil {
		return cursor, err
	}
	last := rows[len(rows)-1].ID
	return last, f.app.store.Update(ctx, func(tx *store.Tx) error { return tx.SetAuditCursor(last) })
}

// send writes one datagram for each row (RFC 5426) or, on a stream, each row
// with its length in front (RFC 6587 3.4.1, RFC 5425 4.3).
func (f *forwarder) send(conn net.Conn, target core.SyslogTarget, rows []core.AuditEvent) error {
	if err := conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return err
	}
	if target.Network == "udp" {
		for _, row := range rows {
			if _, err := io.WriteString(conn, syslogMessage(f.hostname, row)); err != nil {
				return err
			}
		}
		return nil
	}
	var stream []byte
	for _, row := range rows {
		message := syslogMessage(f.hostname, row)
		stream = fmt.Appendf(stream, "%d %s", len(message), message)
	}
	_, err := conn.Write(stream)
	return err
}

// begin returns the id after which forwarding goes on. It starts with the row
// that tells of its being switched on.
func (f *forwarder) begin(ctx context.Context) (cursor int64, err error) {
	err = f.app.store.View(ctx, func(tx *store.Tx) (err error) {
		cursor, err = tx.AuditCursor()
		return err
	})
	if !errors.Is(err, store.ErrNoRow) {
		return cursor, err
	}
	err = f.app.store.Update(ctx, func(tx *store.Tx) error {
		on, err := tx.LastAuditOf("configuration", forwardSetting)
		if err != nil {
			return err
		}
		cursor = max(0, on-1)
		return tx.SetAuditCursor(cursor)
	})
	return cursor, err
}

// forget lets a receiver that is set later begin anew.
func (f *forwarder) forget(ctx context.Context) error {
	err := f.app.store.View(ctx, func(tx *store.Tx) error {
		_, err := tx.AuditCursor()
		return err
	})
	if errors.Is(err, store.ErrNoRow) {
		return nil
	}
	return f.app.store.Update(ctx, (*store.Tx).ClearAuditCursor)
}

func (f *forwarder) dial(ctx context.Context, target core.SyslogTarget) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: dialTimeout}
	if target.Network != "tls" {
		return dialer.DialContext(ctx, target.Network, target.Address)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return (&tls.Dialer{NetDialer: dialer, Config: f.tls}).DialContext(ctx, "tcp", target.Address)
}

// watch reads what a receiver has no business to send, to learn at once when
// it hangs up or, over UDP, that nobody listens there.
func watch(conn net.Conn) <-chan error {
	broken := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, conn)
		if err == nil {
			err = errors.New("the receiver closed the connection")
		}
		broken <- err
	}()
	return broken
}
