package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// The load beside which feeds are imported, and the targets.
const (
	getsPerSecond   = 300
	pushesPerSecond = 20
	getters         = 32 // connections
	pushers         = 24 // clients
	// mostSlower is how much longer than without an import requests may take.
	mostSlower = 2
	// mostMemory is what the server may use at most, in MB.
	mostMemory = 300
	// warmUp is how long the load lasts before it counts.
	warmUp = 5 * time.Second
)

// window is what was seen of the load for some time.
type window struct {
	gets, pushes   []timing
	took           time.Duration
	server, driver time.Duration // of the processors
}

// pacing measures what clients notice of an import of CVE feeds, and how long the
// import takes without them.
func (b *bench) pacing(ctx context.Context) (err error) {
	bundle := filepath.Join(b.dir, "bundle.zst")
	if err := writeBundle(bundle, b.rows); err != nil {
		return err
	}
	// The clocks of the streams sleep in system calls, which keep a processor of
	// the runtime for some milliseconds each.
	runtime.GOMAXPROCS(4 * runtime.NumCPU())
	r := &pacingReport{rows: b.rows}
	if r.alone, err = b.importAlone(ctx, bundle); err != nil {
		return err
	}
	err = b.importBeside(ctx, bundle, r)
	if r.during.took > 0 {
		r.print(os.Stdout)
	}
	return err
}

// importBeside offers the same load before, during and after an import.
func (b *bench) importBeside(ctx context.Context, bundle string, r *pacingReport) (err error) {
	s, err := b.start(ctx, b.running[0], b.transports[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	l, err := s.newOffered(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	if _, err := l.lasting(ctx, warmUp); err != nil {
		return err
	}
	if r.before, err = l.lasting(ctx, b.calm); err != nil {
		return err
	}
	r.loaded, r.during, err = l.importing(ctx, bundle, b.limit)
	peak, unknown := s.memory("VmHWM")
	if r.peak = peak; err != nil || unknown != nil {
		return errors.Join(err, unknown)
	}
	r.after, err = l.lasting(ctx, b.calm)
	return err
}

// importAlone imports into a registry that has nothing else to do.
func (b *bench) importAlone(ctx context.Context, bundle string) (result imported, err error) {
	if !b.alone {
		return result, nil
	}
	s, err := b.start(ctx, b.running[0], b.transports[0])
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, s.stop(), os.RemoveAll(s.home)) }()
	admin, err := s.administrator(ctx)
	if err != nil {
		return result, err
	}
	ctx, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	return admin.importBundle(ctx, bundle)
}

// offered is the load on a server.
type offered struct {
	server       *server
	admin        *client
	gets, pushes stream
	wires        []*wire
}

func (s *server) newOffered(ctx context.Context) (l *offered, err error) {
	l = &offered{server: s, gets: stream{rate: getsPerSecond}, pushes: stream{rate: pushesPerSecond}}
	if l.admin, err = s.administrator(ctx); err != nil {
		return nil, err
	}
	users, err := s.users(ctx, pushers, func(i int) string { return fmt.Sprintf("client%d", i) })
	if err != nil {
		return nil, err
	}
	for _, c := range users {
		l.pushes.workers = append(l.pushes.workers, c.pushing())
	}
	if err := l.addGetters(ctx); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// addGetters connects those who read the manifest of one image.
func (l *offered) addGetters(ctx context.Context) error {
	if err := readable(ctx, l.server); err != nil {
		return err
	}
	c, err := l.server.newClient(ctx, "read")
	if err != nil {
		return err
	}
	for range getters {
		w, err := l.server.wire(ctx, c, http.MethodGet, c.path("/manifests/latest"))
		if err != nil {
			return err
		}
		get := func(context.Context) error { return w.exchange() }
		l.wires = append(l.wires, w)
		l.gets.workers = append(l.gets.workers, func() (func(context.Context) error, error) { return get, nil })
	}
	return nil
}

func (l *offered) close() {
	for _, w := range l.wires {
		_ = w.conn.Close() // all answers were read
	}
}

// pushing is a worker that pushes a new image each time.
func (c *client) pushing() worker {
	tags := 0
	return func() (func(context.Context) error, error) {
		im, err := c.newImage()
		tags++
		return func(ctx context.Context) error { return c.push(ctx, im, fmt.Sprintf("t%d", tags)) }, err
	}
}

// lasting offers the load for some time.
func (l *offered) lasting(ctx context.Context, span time.Duration) (window, error) {
	stop := make(chan struct{})
	timer := time.AfterFunc(span, func() { close(stop) })
	defer timer.Stop()
	return l.until(ctx, stop)
}

// importing offers the load while the bundle is imported.
func (l *offered) importing(ctx context.Context, bundle string, limit time.Duration) (result imported, seen window, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(stop)
		limited, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the import takes longer than %s", limit))
		defer cancel()
		var err error
		if result, err = l.admin.importBundle(limited, bundle); limited.Err() != nil {
			err = context.Cause(limited)
		}
		ended <- err
	}()
	seen, err = l.until(ctx, stop)
	cancel() // when the load failed
	return result, seen, errors.Join(err, <-ended)
}

// until offers the load until stop is closed.
func (l *offered) until(ctx context.Context, stop <-chan struct{}) (w window, err error) {
	server, driver, err := l.processorTimes()
	if err != nil {
		return w, err
	}
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range []struct {
		stream *stream
		seen   *[]timing
	}{{&l.gets, &w.gets}, {&l.pushes, &w.pushes}} {
		group.Go(func() (err error) {
			*s.seen, err = s.stream.run(ctx, stop)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return w, err
	}
	serverNow, driverNow, err := l.processorTimes()
	w.took, w.server, w.driver = time.Since(began), serverNow-server, driverNow-driver
	fmt.Fprintf(os.Stderr, "%s, load %s: %s\n", w.took.Round(time.Second), loadAverage(), w.summary())
	return w, err
}

// processorTimes are those of the server and of this process so far.
func (l *offered) processorTimes() (server, driver time.Duration, err error) {
	if server, err = l.server.cpu(); err == nil {
		driver, err = processorTime(os.Getpid())
	}
	return server, driver, err
}

// loadAverage is how busy the machine was in the last minute, this program and
// the server included.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
