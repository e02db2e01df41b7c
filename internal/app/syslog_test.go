package app_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

func TestSyslogMessage(t *testing.T) {
	e := core.AuditEvent{
		ID: 42, Time: time.Date(2026, 1, 2, 3, 4, 5, 678900000, time.FixedZone("", 3600)), Actor: "user:1", Username: "ada", Operation: "create",
		ResourceType: "artifact", Resource: "p/r:t", ProjectID: 3, Digest: "sha256:00",
		Origin:  core.Origin{Address: "2001:db8::1", Client: `docker "x" [y] \z` + "\n<0>1 forged", RequestID: "r"},
		Success: true, Description: "push", Repeats: 2, Hash: "abc",
	}
	const want = `<110>1 2026-01-02T02:04:05.678900Z registry.test breakwater - AUDIT [audit@32473 id="42" actor="user:1" username="ada" ` +
		`operation="create" resourceType="artifact" resource="p/r:t" projectId="3" digest="sha256:00" address="2001:db8::1" ` +
		`client="docker \"x\" [y\] \\z <0>1 forged" requestId="r" success="true" repeats="2" hash="abc"] ada create artifact p/r:t (push)`
	if got := app.SyslogMessage("registry.test", e); got != want {
		t.Errorf("message = %s\nwant      %s", got, want)
	}
	e.Success, e.Description, e.Resource, e.Origin.Client = false, "", "bad\xff\u2028\x1b[31m", strings.Repeat("é", 3000)
	got := app.SyslogMessage("my host\n", e)
	if !strings.HasPrefix(got, "<108>1 ") || !strings.Contains(got, " myhost breakwater ") || strings.ContainsAny(got, "\n\x1b\u2028") || len(got) > 4096 {
		t.Errorf("message = %s", got)
	}
	if !strings.HasPrefix(app.SyslogMessage("", e), "<108>1 2026-01-02T02:04:05.678900Z - breakwater ") {
		t.Error("a missing host name must be -")
	}
}

// receiver collects the ids of the rows that arrive, whatever the transport.
type receiver struct {
	mu      sync.Mutex
	ids     []int64
	arrived chan struct{}
	hangups chan error // of connections
}

func newReceiver() *receiver {
	return &receiver{arrived: make(chan struct{}, 1), hangups: make(chan error, 1)}
}

var rowID = regexp.MustCompile(` \[audit@32473 id="([0-9]+)" `)

func (r *receiver) take(message string) {
	match := rowID.FindStringSubmatch(message)
	if match == nil {
		return
	}
	id, _ := strconv.ParseInt(match[1], 10, 64)
	r.mu.Lock()
	r.ids = append(r.ids, id)
	r.mu.Unlock()
	select {
	case r.arrived <- struct{}{}:
	default:
	}
}

// missing returns the first id up to last that has not arrived, 0 for none.
func (r *receiver) missing(first, last int64) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := map[int64]bool{}
	for _, id := range r.ids {
		seen[id] = true
	}
	for id := first; id <= last; id++ {
		if !seen[id] {
			return id
		}
	}
	return 0
}

func (r *receiver) waitFor(t *testing.T, first, last int64) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		id := r.missing(first, last)
		if id == 0 {
			return
		}
		select {
		case <-r.arrived:
		case <-deadline:
			t.Fatalf("row %d did not arrive", id)
		}
	}
}

// serve reads octet-counted messages from every connection of the listener
// until it is closed, and then hangs up.
func (r *receiver) serve(l net.Listener) (stop func()) {
	var open sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { _ = conn.Close() })
			open.Go(func() {
				select {
				case r.hangups <- r.read(conn):
				default:
				}
			})
		}
	})
	return func() { _ = l.Close(); cancel(); open.Wait() }
}

func (r *receiver) read(conn net.Conn) error {
	in := bufio.NewReader(conn)
	for {
		count, err := in.ReadString(' ')
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(strings.TrimSpace(count))
		if err != nil || n > 1<<16 {
			return errors.New("not octet counting: " + count)
		}
		message := make([]byte, n)
		if _, err := io.ReadFull(in, message); err != nil {
			return err
		}
		r.take(string(message))
	}
}

// forwarding runs the forwarder until the test ends or stop is called.
func (a *accounts) forwarding(t *testing.T, trust *tls.Config) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); a.ForwardQuickly(ctx, trust) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// enable sets the receiver and returns the id of the row that tells of it.
func (a *accounts) enable(t *testing.T, endpoint string) (id int64) {
	t.Helper()
	a.configure(t, "audit_log_forward_endpoint", endpoint)
	if err := a.store.View(t.Context(), func(tx *store.Tx) (err error) {
		id, err = tx.LastAuditOf("configuration", "audit_log_forward_endpoint")
		return err
	}); err != nil || id == 0 {
		t.Fatalf("row of the setting: %d, %v", id, err)
	}
	return id
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestForwardingSurvivesTheReceiver(t *testing.T) {
	a := newAccounts(t)
	a.bootstrap(t)
	a.fill(t, 5, time.Now()) // from before it is switched on
	l := listen(t, "127.0.0.1:0")
	address := l.Addr().String()
	got := newReceiver()
	stopReceiver := got.serve(l)
	first := a.enable(t, "syslog+tcp://"+address)
	stop := a.forwarding(t, nil)
	a.fill(t, 300, time.Now())
	got.waitFor(t, first, first+300)
	if id := got.missing(first-1, first-1); id == 0 {
		t.Error("rows from before forwarding was switched on were sent")
	}

	stopReceiver()
	a.fill(t, 300, time.Now()) // nobody is there
	second := newReceiver()
	stopReceiver = second.serve(listen(t, address))
	second.waitFor(t, first+301, first+600)

	waitUntil(t, "the cursor has come to the end", func() bool {
		var cursor int64
		err := a.store.View(t.Context(), func(tx *store.Tx) (err error) {
			cursor, err = tx.AuditCursor()
			return err
		})
		return err == nil && cursor == first+600
	})
	stop() // the registry stops, work goes on, it starts again
	a.fill(t, 50, time.Now())
	a.forwarding(t, nil)
	second.waitFor(t, first+601, first+650)
	stopReceiver()
	second.mu.Lock()
	defer second.mu.Unlock()
	if seen := slices.Index(second.ids, first+601); slices.Contains(second.ids[seen:], first+600) {
		t.Error("what was delivered before the stop was sent again after it")
	}
}

func TestForwardingToNobodyIsNotLost(t *testing.T) {
	a := newAccounts(t)
	a.bootstrap(t)
	l := listen(t, "127.0.0.1:0")
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	first := a.enable(t, address) // Harbor's form
	a.forwarding(t, nil)
	a.fill(t, 20, time.Now())
	got := newReceiver()
	defer got.serve(listen(t, address))()
	got.waitFor(t, first, first+20)
}

func TestForwardingOverUDP(t *testing.T) {
	a := newAccounts(t)
	a.bootstrap(t)
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got := newReceiver()
	go func() {
		packet := make([]byte, 1<<16)
		for {
			n, _, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			got.take(string(packet[:n]))
		}
	}()
	first := a.enable(t, "syslog+udp://"+conn.LocalAddr().String())
	a.forwarding(t, nil)
	a.fill(t, 60, time.Now())
	got.waitFor(t, first, first+60)
}

func TestForwardingOverTLS(t *testing.T) {
	// A certificate for 127.0.0.1 that this test trusts and the system does not.
	identity := httptest.NewTLSServer(nil)
	defer identity.Close()
	roots := x509.NewCertPool()
	roots.AddCert(identity.Certificate())
	l := tls.NewListener(listen(t, "127.0.0.1:0"), &tls.Config{Certificates: identity.TLS.Certificates})

	a := newAccounts(t)
	a.bootstrap(t)
	got := newReceiver()
	defer got.serve(l)()
	first := a.enable(t, "syslog+tls://"+l.Addr().String())
	stop := a.forwarding(t, &tls.Config{RootCAs: x509.NewCertPool()})
	a.fill(t, 10, time.Now())
	if err := <-got.hangups; !strings.Contains(err.Error(), "bad certificate") {
		t.Errorf("the connection ended with %v", err)
	}
	stop()
	if got.missing(first, first) == 0 {
		t.Error("rows went to a receiver whose certificate is not trusted")
	}
	a.forwarding(t, &tls.Config{RootCAs: roots})
	got.waitFor(t, first, first+10)
}

// A receiver that is set again begins with the row that sets it; what happened
// while nothing was to be forwarded is not sent.
func TestForwardingBeginsAnew(t *testing.T) {
	a := newAccounts(t)
	a.bootstrap(t)
	l := listen(t, "127.0.0.1:0")
	got := newReceiver()
	defer got.serve(l)()
	a.forwarding(t, nil)
	first := a.enable(t, l.Addr().String())
	got.waitFor(t, first, first)
	a.enable(t, "")
	waitUntil(t, "the cursor is gone", func() bool {
		return errors.Is(a.store.View(t.Context(), func(tx *store.Tx) error {
			_, err := tx.AuditCursor()
			return err
		}), store.ErrNoRow)
	})
	a.fill(t, 5, time.Now())
	again := a.enable(t, l.Addr().String())
	got.waitFor(t, again, again)
	if id := got.missing(again-5, again-1); id != again-5 {
		t.Error(fmt.Sprint("rows were sent while forwarding was off; first missing is ", id))
	}
}

// waitUntil polls what has no channel to wait on.
func waitUntil(t *testing.T, what string, reached func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !reached() {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come to pass that %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
