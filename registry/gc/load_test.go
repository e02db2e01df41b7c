package gc_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/breakwater-registry/breakwater/internal/app"
)

// load is many clients over few layers, with a collection that never rests.
type load struct {
	*world
	night  sync.RWMutex // held for reading during a push: no lease ends in it
	layers [][]byte
	pushes atomic.Int64
	runs   atomic.Int64 // of the collection
	freed  atomic.Int64 // blobs
}

// enough waits until so much has happened that it proves something.
func (l *load) enough(ctx context.Context) {
	for least := time.Now().Add(2 * time.Second); ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(least) && l.pushes.Load() >= 20 && l.runs.Load() >= 3 && l.freed.Load() >= 10 {
			return
		}
	}
}

// Clients push, mount, pull and delete images that share their layers while the
// collection runs again and again and leases end between the pushes. No push
// fails, and no image that was pushed and not deleted ever lacks a byte.
func TestNothingLiveIsTakenUnderLoad(t *testing.T) {
	w := newWorld(t)
	l := &load{world: w}
	for n := range 6 {
		l.layers = append(l.layers, bytesOf(fmt.Sprint("layer", n), 2000))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		l.enough(ctx)
		cancel()
		return nil
	})
	images := make([]map[string]image, 8)
	for n := range images {
		group.Go(func() (err error) {
			images[n], err = l.client(ctx, n)
			return err
		})
	}
	group.Go(func() error {
		for ; ctx.Err() == nil; l.runs.Add(1) {
			got, err := w.collector.Run(ctx, app.GCOptions{}, &reports{})
			if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
				return err
			}
			l.freed.Add(got.Blobs)
		}
		return nil
	})
	group.Go(func() error { return l.nights(ctx) })
	must(t, group.Wait())
	w.dayLater(t)
	w.collect(t, app.GCOptions{})
	count := 0
	for n, mine := range images {
		for _, i := range mine {
			must(t, w.pull("p/"+strconv.Itoa(n), i))
			count++
		}
	}
	w.checkTidy(t)
	t.Logf("%d pushes, %d runs that freed %d blobs, %d images left", l.pushes.Load(), l.runs.Load(), l.freed.Load(), count)
	if l.pushes.Load() < 20 || l.runs.Load() < 3 || l.freed.Load() < 10 {
		t.Error("too little happened for this to prove anything")
	}
}

// nights ends all leases again and again, between pushes.
func (l *load) nights(ctx context.Context) error {
	for ctx.Err() == nil {
		l.night.Lock()
		_, err := l.db.Exec(`UPDATE blob_link SET leased_until = 1`)
		if err == nil {
			_, err = l.db.Exec(`UPDATE repository SET updated_at = 1 WHERE published_at = 0`)
		}
		l.night.Unlock()
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond): // the length of a day
		}
	}
	return nil
}

// client works on its own repository and returns the images that are in it.
func (l *load) client(ctx context.Context, n int) (map[string]image, error) {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	mine, repository := map[string]image{}, "p/"+strconv.Itoa(n)
	for ctx.Err() == nil {
		// The same few images come back: their manifests too are garbage for a
		// while.
		first, second := random.IntN(len(l.layers)), random.IntN(len(l.layers))
		i := newImage(fmt.Sprint("image", first, second), l.layers[first], l.layers[second])
		from := ""
		if random.IntN(2) == 0 {
			from = "p/" + strconv.Itoa(random.IntN(8))
		}
		l.night.RLock()
		err := l.push(repository, from, "", i)
		l.night.RUnlock()
		if err != nil {
			return nil, err
		}
		l.pushes.Add(1)
		mine[digestOf(i.manifest)] = i
		for _, i := range mine {
			if err := l.pull(repository, i); err != nil {
				return nil, err
			}
		}
		for d, i := range mine {
			if random.IntN(2) == 0 {
				if err := l.remove(repository, i); err != nil {
					return nil, err
				}
				delete(mine, d)
			}
		}
	}
	return mine, nil
}
