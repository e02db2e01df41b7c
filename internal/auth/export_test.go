package auth

// HoldSlots takes all slots of p and returns what gives them back.
func (p *Passwords) HoldSlots() (release func()) {
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
	return func() {
		for range cap(p.slots) {
			<-p.slots
		}
	}
}

// Waiting returns how many requests wait for a slot of p.
func (p *Passwords) Waiting() int { return int(p.waiting.Load()) }

// HashQueue is how many may wait.
const HashQueue = hashQueue

// RememberedMax and ThrottleMax bound the tables.
const (
	RememberedMax = rememberMax
	ThrottleMax   = throttleMax
)

// Sizes returns the number of entries in each table of t.
func (t *Throttle) Sizes() (pairs, addresses, trusted int) {
	return len(t.pairs.items), len(t.addresses.items), len(t.trusted.items)
}

// CachedTokens returns how many verified tokens are cached.
func (t *Tokens) CachedTokens() int { return len(t.verified.items) }

// MAC returns what r keeps of a secret.
func (r *Remembered) MAC(account, secret string) [32]byte { return r.mac(account, secret) }
