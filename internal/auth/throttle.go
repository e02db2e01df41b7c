package auth

import (
	"crypto/sha256"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// The rules of throttling.
const (
	freePairFailures = 5                // of one account from one address
	firstPairDelay   = time.Second      // after those, doubled by each further failure
	maxDelay         = 5 * time.Minute  // the longest wait of any kind
	forgetPairAfter  = 15 * time.Minute // without a failure

	freeAddressFailures    = 50              // of any accounts from one address
	addressFailureInterval = 6 * time.Second // after those, one failure each; 50 in 5 minutes

	trustPairFor = 24 * time.Hour // after a login

	throttleMax = 16384 // entries of each table
)

// Throttle slows down guessing. It counts failed logins per pair of account and
// address, and per address; never per account alone, so nobody can lock an
// account out from elsewhere. A pair that logged in within a day is exempt from
// the count of its address: one attacker behind a NAT does not stop the robots
// that work behind it. IPv6 addresses count by their /64 network.
//
// It never asks whether an account exists, so it cannot tell.
type Throttle struct {
	now func() time.Time

	mu        sync.Mutex
	pairs     *lru[pair, pairFailures]
	addresses *lru[netip.Prefix, time.Time]
	// trusted has a table of its own, which failures cannot flush.
	trusted *lru[pair, time.Time]
}

// pair is an account at an address. The account is hashed because an attacker
// chooses how long it is.
type pair struct {
	account [sha256.Size]byte
	address netip.Prefix
}

type pairFailures struct {
	count int
	last  time.Time
}

// NewThrottle makes a Throttle without any failures; now is the clock.
func NewThrottle(now func() time.Time) *Throttle {
	return &Throttle{
		now:       now,
		pairs:     newLRU[pair, pairFailures](throttleMax),
		addresses: newLRU[netip.Prefix, time.Time](throttleMax),
		trusted:   newLRU[pair, time.Time](throttleMax),
	}
}

// Allow says whether account may try to log in from addr now, and if not, after
// which time it may. It is to be asked before any password is hashed, with the
// account as the client wrote it. A refused attempt does not count as failed.
func (t *Throttle) Allow(account string, addr netip.Addr) (retryAfter time.Duration, ok bool) {
	p, now := newPair(account, addr), t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	retryAfter = t.wait(p, now)
	return retryAfter, retryAfter == 0
}

// Failed counts a failed login.
func (t *Throttle) Failed(account string, addr netip.Addr) {
	p, now := newPair(account, addr), t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	failures, _ := t.pairs.get(p)
	if failures.forgotten(now) {
		failures.count = 0
	}
	t.pairs.put(p, pairFailures{count: failures.count + 1, last: now})
	t.countAddress(p.address, now)
}

// Succeeded takes note that the right password was given, and says as Allow
// whether the login may stand. It may not when so many attempts have failed
// since Allow that this one would be refused now; answering it like a refused
// one takes away what could be gained from guessing in parallel.
func (t *Throttle) Succeeded(account string, addr netip.Addr) (retryAfter time.Duration, ok bool) {
	p, now := newPair(account, addr), t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if retryAfter = t.wait(p, now); retryAfter > 0 {
		return retryAfter, false
	}
	t.pairs.remove(p)
	t.trusted.put(p, now)
	return 0, true
}

// TooManyLogins is the error for an attempt that Allow or Succeeded refused.
func TooManyLogins(retryAfter time.Duration) *core.Error {
	seconds := max(1, (retryAfter+time.Second-1)/time.Second)
	return core.Errorf(core.CodeTooManyRequests, "too many failed logins; try again in %d seconds", seconds)
}

// wait returns how long p has to wait, 0 when it need not.
func (t *Throttle) wait(p pair, now time.Time) time.Duration {
	wait := t.pairWait(p, now)
	if since, ok := t.trusted.get(p); !ok || now.Sub(since) >= trustPairFor {
		wait = max(wait, t.addressWait(p.address, now))
	}
	return wait
}

func (t *Throttle) pairWait(p pair, now time.Time) time.Duration {
	failures, ok := t.pairs.get(p)
	if !ok || failures.count < freePairFailures || failures.forgotten(now) {
		return 0
	}
	delay := maxDelay
	if doublings := failures.count - freePairFailures; doublings < 9 { // 2^9 seconds are more than maxDelay
		delay = min(maxDelay, firstPairDelay<<doublings)
	}
	return max(0, failures.last.Add(delay).Sub(now))
}

func (f pairFailures) forgotten(now time.Time) bool {
	return now.Sub(f.last) >= forgetPairAfter
}

// addressBurst is how far ahead of the clock an address may be and still try.
const addressBurst = (freeAddressFailures - 1) * addressFailureInterval

// countAddress moves the time until which the failures of an address are paid
// for (the generic cell rate algorithm: a leaky bucket in one number).
func (t *Throttle) countAddress(address netip.Prefix, now time.Time) {
	paid, ok := t.addresses.get(address)
	if !ok || paid.Before(now) {
		paid = now
	}
	paid = paid.Add(addressFailureInterval)
	if limit := now.Add(addressBurst + maxDelay); paid.After(limit) {
		paid = limit
	}
	t.addresses.put(address, paid)
}

func (t *Throttle) addressWait(address netip.Prefix, now time.Time) time.Duration {
	paid, ok := t.addresses.get(address)
	if !ok {
		return 0
	}
	return max(0, paid.Sub(now)-addressBurst)
}

// newPair folds case, because the lookup of accounts may.
func newPair(account string, addr netip.Addr) pair {
	return pair{account: sha256.Sum256([]byte(strings.ToLower(account))), address: network(addr)}
}

// network returns what counts as one address: IPv4 as it is (also when mapped
// into IPv6), IPv6 by /64, which is what one customer has at least. All invalid
// addresses are one.
func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap()
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.Prefix(bits) // drops the zone
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
