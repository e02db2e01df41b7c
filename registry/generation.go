package registry

import (
	"sync"
	"time"
)

// generations gives out the numbers of new files and remembers those that are
// being written: the database does not know such a file yet.
type generations struct {
	mu      sync.Mutex
	last    int64
	writing map[int64]struct{}
}

// next returns a number that no file has had: the time in microseconds, made
// unique. written must be called once the database knows the file or the file
// has been given up.
func (g *generations) next() (n int64, written func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n = max(time.Now().UnixMicro(), g.last+1)
	g.last = n
	if g.writing == nil {
		g.writing = map[int64]struct{}{}
	}
	g.writing[n] = struct{}{}
	return n, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.writing, n)
	}
}

// Writing says whether a push is about to tell the database of a file of that
// generation. The garbage collection asks before it takes a file for a
// leftover, whatever the clocks say.
func (g *Registry) Writing(generation int64) bool {
	g.generations.mu.Lock()
	defer g.generations.mu.Unlock()
	_, yes := g.generations.writing[generation]
	return yes
}
