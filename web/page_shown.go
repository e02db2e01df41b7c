package web

import (
	"sync"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// shownFor is how long a new secret can be looked at: long enough for a page
// that is loaded twice because of a second click, and not for one that is left
// open.
const shownFor = time.Minute

// shownOnce hands a new secret from the form that made it to the page that
// shows it, to the same account only. It is in memory and nowhere else.
type shownOnce struct {
	mu      sync.Mutex
	secrets map[string]string
}

func newShownOnce() *shownOnce { return &shownOnce{secrets: map[string]string{}} }

func shownKey(who core.Subject, name string) string { return who.String() + " " + name }

func (s *shownOnce) put(who core.Subject, name, secret string) {
	key := shownKey(who, name)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[key] = secret
	time.AfterFunc(shownFor, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.secrets[key] == secret { // and not the next one
			delete(s.secrets, key)
		}
	})
}

// get returns the secret; "" when there is none, or its time is over.
func (s *shownOnce) get(who core.Subject, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secrets[shownKey(who, name)]
}
