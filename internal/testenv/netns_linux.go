package testenv

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Netns is a network namespace of one test. It has a loopback device and a veth
// pair, nothing that leads outside, and it is gone when the last process in it
// has ended and the test is over: it has no name that could be left behind.
type Netns struct {
	// Addr is the address of one veth end, in the range for tests of network
	// devices (RFC 2544). Every namespace has the same one, of its own.
	Addr netip.Addr

	file *os.File // holds the namespace open
}

// netnsSetup is what ip(8) does in a fresh namespace.
const netnsSetup = `link set lo up
link add bw0 type veth peer name bw1
addr add %s/30 dev bw0
link set bw0 up
link set bw1 up
`

// NewNetns makes a network namespace; it needs root and iproute2.
func NewNetns(t testing.TB) *Netns {
	t.Helper()
	ip := tool(t, "ip", "iproute2")
	file, err := unshareNet()
	if err != nil {
		t.Fatalf("make a network namespace: %v", err)
	}
	t.Cleanup(func() { _ = file.Close() })
	n := &Netns{Addr: netip.MustParseAddr("198.18.0.1"), file: file}
	setup := n.Exec(t.Context(), ip, "-batch", "-")
	setup.Stdin = strings.NewReader(fmt.Sprintf(netnsSetup, n.Addr))
	if out, err := setup.CombinedOutput(); err != nil {
		t.Fatalf("set up the network namespace: %v\n%s", err, out)
	}
	return n
}

// Exec returns a command that runs inside the namespace. Only its network is
// another one; files, cgroups and environment are those of the test.
func (n *Netns) Exec(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{"--net=" + n.path(), "--"}, args...)...)
}

// DialContext connects from inside the namespace; addr must hold an IP address.
// It fits http.Transport.
func (n *Netns) DialContext(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	err = onThread(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		conn, err = new(net.Dialer).DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

// Listen listens inside the namespace, for a server that is part of the test;
// addr must hold an IP address.
func (n *Netns) Listen(ctx context.Context, network, addr string) (l net.Listener, err error) {
	err = onThread(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		l, err = new(net.ListenConfig).Listen(ctx, network, addr)
		return err
	})
	return l, err
}

// path names the namespace for other processes while this one lives.
func (n *Netns) path() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.file.Fd())
}

// unshareNet makes a namespace and opens it.
func unshareNet() (file *os.File, err error) {
	err = onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		file, err = os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
		return err
	})
	return file, err
}

// onThread runs f on a thread that no other code ever runs on: it stays locked,
// so that it ends with its goroutine and its namespace is nobody else's.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	return <-done
}
