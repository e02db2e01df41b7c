package store

import "sync"

// pool holds the connections that read. It gives out the one that was used
// last, because that remembers the most of what the next request will ask.
type pool struct {
	free chan struct{} // holds one for each connection in idle
	mu   sync.Mutex
	idle []*conn
}

func newPool(n int) *pool { return &pool{free: make(chan struct{}, n)} }

// put gives a connection to the pool.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	p.idle = append(p.idle, c)
	p.mu.Unlock()
	p.free <- struct{}{}
}

// take returns a connection to a caller that has received from free.
func (p *pool) take() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	c := p.idle[last]
	p.idle = p.idle[:last]
	return c
}

// drain waits until nobody reads and leaves the pool empty.
func (p *pool) drain() {
	for range cap(p.free) {
		<-p.free
	}
}
