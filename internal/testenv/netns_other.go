//go:build !linux

package testenv

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"testing"
)

// Netns is a network namespace of one test; there are none outside Linux.
type Netns struct {
	// Addr is the address of the namespace.
	Addr netip.Addr
}

// NewNetns skips the test: network namespaces exist on Linux only.
func NewNetns(t testing.TB) *Netns {
	t.Helper()
	lacking(t, "a kernel with network namespaces", "run the test on Linux")
	return nil
}

// Exec returns a command that cannot be found, since no Netns can be made here.
func (n *Netns) Exec(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", args...)
}

// DialContext fails, since no Netns can be made here.
func (n *Netns) DialContext(context.Context, string, string) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}

// Listen fails, since no Netns can be made here.
func (n *Netns) Listen(context.Context, string, string) (net.Listener, error) {
	return nil, errors.ErrUnsupported
}
