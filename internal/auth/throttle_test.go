package auth_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/core"
)

var (
	home   = netip.MustParseAddr("192.0.2.1")
	attack = netip.MustParseAddr("198.51.100.7")
)

func failTimes(th *auth.Throttle, n int, account string, addr netip.Addr) {
	for range n {
		th.Failed(account, addr)
	}
}

func wantWait(t *testing.T, th *auth.Throttle, account string, addr netip.Addr, want time.Duration) {
	t.Helper()
	wait, ok := th.Allow(account, addr)
	if wait != want || ok != (want == 0) {
		t.Fatalf("Allow(%s, %s) = %v, %v; want %v", account, addr, wait, ok, want)
	}
}

func TestThrottlePairDelays(t *testing.T) {
	c := newClock()
	th := auth.NewThrottle(c.Now)
	failTimes(th, 4, "alice", home)
	wantWait(t, th, "alice", home, 0)
	want := time.Second
	for range 15 {
		th.Failed("alice", home)
		wantWait(t, th, "alice", home, want)
		c.Advance(want - time.Millisecond)
		wantWait(t, th, "alice", home, time.Millisecond)
		c.Advance(time.Millisecond)
		wantWait(t, th, "alice", home, 0)
		want = min(2*want, 5*time.Minute)
	}
}

func TestThrottleForgetsAPair(t *testing.T) {
	c := newClock()
	th := auth.NewThrottle(c.Now)
	failTimes(th, 12, "alice", home)
	c.Advance(15 * time.Minute)
	failTimes(th, 4, "alice", home)
	wantWait(t, th, "alice", home, 0)
	th.Failed("alice", home)
	wantWait(t, th, "alice", home, time.Second)
}

func TestThrottleLocksNobodyOutFromElsewhere(t *testing.T) {
	th := auth.NewThrottle(newClock().Now)
	failTimes(th, 1000, "robot$ci", attack)
	wantWait(t, th, "robot$ci", home, 0)
	if _, ok := th.Allow("robot$ci", attack); ok {
		t.Error("the attacker is not throttled")
	}
}

func TestThrottleSuccess(t *testing.T) {
	c := newClock()
	th := auth.NewThrottle(c.Now)
	failTimes(th, 5, "alice", home)
	c.Advance(time.Second)
	if _, ok := th.Succeeded("alice", home); !ok {
		t.Fatal("the right password after the delay is refused")
	}
	failTimes(th, 4, "alice", home)
	wantWait(t, th, "alice", home, 0)
}

// Guesses that all passed Allow before the first of them failed.
func TestThrottleParallelGuesses(t *testing.T) {
	th := auth.NewThrottle(newClock().Now)
	wantWait(t, th, "alice", attack, 0)
	failTimes(th, 5, "alice", attack)
	if wait, ok := th.Succeeded("alice", attack); ok || wait != time.Second {
		t.Errorf("Succeeded = %v, %v: the sixth parallel guess must be refused", wait, ok)
	}
	wantWait(t, th, "alice", attack, time.Second)
}

func TestThrottleAddress(t *testing.T) {
	c := newClock()
	th := auth.NewThrottle(c.Now)
	for i := range 49 {
		th.Failed(fmt.Sprint("user", i), attack)
	}
	wantWait(t, th, "next", attack, 0)
	th.Failed("user49", attack)
	wantWait(t, th, "next", attack, 6*time.Second)
	wantWait(t, th, "next", home, 0)
	c.Advance(6 * time.Second)
	wantWait(t, th, "next", attack, 0)
	th.Failed("next", attack)
	wantWait(t, th, "another", attack, 6*time.Second)
	for i := range 1000 {
		th.Failed(fmt.Sprint("more", i), attack)
	}
	wantWait(t, th, "another", attack, 5*time.Minute)
	c.Advance(15 * time.Minute)
	wantWait(t, th, "another", attack, 0)
}

func TestThrottleSparesWhoLoggedInFromTheAddress(t *testing.T) {
	c := newClock()
	th := auth.NewThrottle(c.Now)
	th.Succeeded("robot$ci", home)
	for i := range 1000 {
		th.Failed(fmt.Sprint("guess", i), home)
	}
	wantWait(t, th, "robot$ci", home, 0)
	wantWait(t, th, "stranger", home, 5*time.Minute)
	c.Advance(24 * time.Hour)
	for i := range 1000 {
		th.Failed(fmt.Sprint("guess", i), home)
	}
	wantWait(t, th, "robot$ci", home, 5*time.Minute)
}

func TestThrottleGroupsAddresses(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
	} {
		th := auth.NewThrottle(newClock().Now)
		failTimes(th, 5, "alice", netip.MustParseAddr(c.a))
		if _, ok := th.Allow("alice", netip.MustParseAddr(c.b)); ok == c.same {
			t.Errorf("%s and %s: allowed = %v", c.a, c.b, ok)
		}
	}
	th := auth.NewThrottle(newClock().Now)
	failTimes(th, 5, "alice", netip.Addr{})
	wantWait(t, th, "alice", netip.Addr{}, time.Second)
}

func TestThrottleFoldsCase(t *testing.T) {
	th := auth.NewThrottle(newClock().Now)
	failTimes(th, 5, "Alice", home)
	wantWait(t, th, "aLICE", home, time.Second)
}

func TestThrottleIsBounded(t *testing.T) {
	th := auth.NewThrottle(newClock().Now)
	th.Succeeded("alice", home)
	for i := range auth.ThrottleMax + 100 {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		th.Failed("alice", addr)
	}
	pairs, addresses, trusted := th.Sizes()
	if pairs != auth.ThrottleMax || addresses != auth.ThrottleMax || trusted != 1 {
		t.Errorf("entries: %d pairs, %d addresses, %d trusted", pairs, addresses, trusted)
	}
}

func TestTooManyLogins(t *testing.T) {
	for wait, want := range map[time.Duration]string{
		0:                       "too many failed logins; try again in 1 seconds",
		1500 * time.Millisecond: "too many failed logins; try again in 2 seconds",
		5 * time.Minute:         "too many failed logins; try again in 300 seconds",
	} {
		err := auth.TooManyLogins(wait)
		wantCode(t, err, core.CodeTooManyRequests)
		if err.Message != want {
			t.Errorf("message %q, want %q", err.Message, want)
		}
	}
}
