package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

const (
	rememberFor = 60 * time.Second
	rememberMax = 4096
)

// Remembered knows for at most 60 seconds which Basic credentials were verified,
// so that a client that sends them with each request does not cost a password
// hash each time. It holds an HMAC under a key that never leaves the process,
// not the secret. One secret per account is kept, 4096 accounts in all.
type Remembered struct {
	now func() time.Time
	key []byte

	mu       sync.Mutex
	accounts *lru[string, remembered]
}

// remembered is the MAC of a verified secret or, with forgotten set, the mark
// that the account has changed a moment ago.
type remembered struct {
	mac       [sha256.Size]byte
	until     time.Time
	forgotten bool
}

// NewRemembered makes an empty memory with a fresh key; now is the clock.
func NewRemembered(now func() time.Time) *Remembered {
	return &Remembered{now: now, key: randomBytes(sha256.Size), accounts: newLRU[string, remembered](rememberMax)}
}

// Remember records that secret was verified for account just now. It does
// nothing within 60 seconds of Forget(account): the verification may have begun
// before the change that caused the Forget.
func (r *Remembered) Remember(account, secret string) {
	mac, now := r.mac(account, secret), r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if entry, ok := r.accounts.get(account); ok && entry.forgotten && now.Before(entry.until) {
		return
	}
	r.accounts.put(account, remembered{mac: mac, until: now.Add(rememberFor)})
}

// Knows says whether secret was verified for account within 60 seconds.
func (r *Remembered) Knows(account, secret string) bool {
	mac, now := r.mac(account, secret), r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	entry, ok := r.accounts.get(account)
	return ok && !entry.forgotten && now.Before(entry.until) && hmac.Equal(mac[:], entry.mac[:])
}

// Forget drops what is known of account. It is to be called after every change
// of that account has been committed.
func (r *Remembered) Forget(account string) {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.accounts.put(account, remembered{until: now.Add(rememberFor), forgotten: true})
}

// mac covers the account too, so that one account's entry never fits another.
// The length keeps the border between both fixed.
func (r *Remembered) mac(account, secret string) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, r.key)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(account))))
	h.Write([]byte(account))
	h.Write([]byte(secret))
	h.Sum(sum[:0])
	return sum
}
