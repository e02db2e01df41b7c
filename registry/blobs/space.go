package blobs

import (
	"fmt"
	"sync"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Space tells the size of the filesystem below a store, and what of it the
// store may still fill, in bytes.
type Space func() (total, free uint64, err error)

// lookEvery is how often the filesystem is asked for its free space.
const lookEvery = time.Second

// guard refuses to store more once the disk is nearly full: a database on a
// full disk can neither take a delete nor tell why.
type guard struct {
	space   Space
	reserve func(total uint64) uint64
	now     func() time.Time

	mu      sync.Mutex
	asked   time.Time // when the filesystem was asked
	free    int64     // then, less what was written since
	wanted  int64     // the reserve, then
	failure error     // of asking
}

// WithReserve makes the store refuse new content, with CodeNoSpace, while space
// has less than reserve(total) bytes free. Without it, it stores until the disk
// is full.
func WithReserve(space Space, reserve func(total uint64) uint64) Option {
	return func(s *FileStore) { s.guard = &guard{space: space, reserve: reserve, now: time.Now} }
}

// CheckSpace says whether new content would be refused at this moment: nil, or
// a core.Error with CodeNoSpace.
func (s *FileStore) CheckSpace() error { return s.guard.admit(0) }

// admit says whether n bytes may be written, and counts them.
func (g *guard) admit(n int) error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := g.now(); g.asked.IsZero() || now.Sub(g.asked) >= lookEvery || now.Before(g.asked) {
		g.ask(now)
	}
	if g.failure != nil {
		return g.failure
	}
	if g.free-int64(n) < g.wanted {
		return core.Errorf(core.CodeNoSpace,
			"the registry's disk is nearly full: %s are free and %s are kept in reserve, so nothing can be pushed. An administrator must free space (delete images and collect the garbage), enlarge the disk or lower disk-reserve; then push again",
			mebibytes(g.free), mebibytes(g.wanted))
	}
	g.free -= int64(n)
	return nil
}

func (g *guard) ask(now time.Time) {
	total, free, err := g.space()
	g.asked, g.failure = now, nil
	if err != nil {
		g.failure = &core.Error{Code: core.CodeUnavailable, Err: err,
			Message: "the registry cannot tell how much space its disk has left: an administrator must check the disk of the data folder, then push again"}
		return
	}
	g.free, g.wanted = int64(free), int64(g.reserve(total))
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", max(n, 0)>>20) }
