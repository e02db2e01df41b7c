package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// measurement is one line of the report.
type measurement struct {
	name      string
	unit      string
	floor     float64 // the ratio to reach; 0 for none
	limit     bool    // floor is the most that Breakwater may have, in the unit
	less      bool    // less is better
	plainOnly bool
	prepare   func(context.Context, *server) error // once for each server
	run       func(context.Context, *server) (sample, error)
}

// sample is what one measurement saw.
type sample struct {
	ops  float64 // of the unit: operations, megabytes, milliseconds
	took time.Duration
	cpu  time.Duration
}

// measurements lists everything that is measured on servers that run.
func measurements(o options) []measurement {
	pushing := func(clients int) func(context.Context, *server) (sample, error) {
		return func(ctx context.Context, s *server) (sample, error) {
			users, err := s.users(ctx, clients, func(i int) string { return fmt.Sprintf("client%d", i) })
			if err != nil {
				return sample{}, err
			}
			return rate(ctx, o.window, users, func(ctx context.Context, c *client) error {
				_, err := c.pushImage(ctx, fmt.Sprintf("t%d", rand.Uint64()))
				return err
			})
		}
	}
	reading := func(clients int, method, path string) func(context.Context, *server) (sample, error) {
		return func(ctx context.Context, s *server) (sample, error) {
			return s.reading(ctx, o.window, clients, method, path)
		}
	}
	return []measurement{
		{name: "push, 1 client", unit: "images/s", floor: 3, run: pushing(1)},
		{name: "push, 8 clients", unit: "images/s", floor: 2.5, run: pushing(8)},
		{name: "blob up, POST+PUT", unit: "MB/s", floor: 1.2, run: func(ctx context.Context, s *server) (sample, error) { return s.large(ctx, o.blob, false) }},
		{name: "blob up, one PATCH", unit: "MB/s", floor: 1.2, run: func(ctx context.Context, s *server) (sample, error) { return s.large(ctx, o.blob, true) }},
		{name: "blob down", unit: "MB/s", floor: 0.9, run: func(ctx context.Context, s *server) (sample, error) { return s.download(ctx, o.blob) }},
		{name: "manifest GET by tag", unit: "requests/s", floor: 1.7, prepare: readable, run: reading(8, http.MethodGet, "/manifests/latest")},
		{name: "manifest GET by digest", unit: "requests/s", floor: 1.7, prepare: readable, run: reading(8, http.MethodGet, "/manifests/DIGEST")},
		{name: "manifest HEAD by tag", unit: "requests/s", floor: 2.5, prepare: readable, run: reading(8, http.MethodHead, "/manifests/latest")},
		{name: "blob HEAD", unit: "requests/s", prepare: readable, run: reading(8, http.MethodHead, "/blobs/CONFIG")},
		{name: "tags, all at once", unit: "lists/s", floor: 8, plainOnly: true, prepare: manyTags(o.names), run: listing(o, "/v2/"+project+"/tags/tags/list", o.names)},
		{name: "tags, pages of 100", unit: "lists/s", floor: 8, plainOnly: true, prepare: manyTags(o.names), run: listing(o, "/v2/"+project+"/tags/tags/list?n=100", o.names)},
		{name: "catalog, pages of 1000", unit: "lists/s", floor: 8, plainOnly: true, prepare: manyRepositories(o.names), run: listing(o, "/v2/_catalog?n=1000", o.names)},
		{name: "catalog, pages of 100", unit: "lists/s", floor: 8, plainOnly: true, prepare: manyRepositories(o.names), run: listing(o, "/v2/_catalog?n=100", o.names)},
	}
}

// users makes clients, each of the repository that name gives it.
func (s *server) users(ctx context.Context, n int, name func(i int) string) ([]*client, error) {
	users := make([]*client, n)
	for i := range users {
		var err error
		if users[i], err = s.newClient(ctx, name(i)); err != nil {
			return nil, err
		}
	}
	return users, nil
}

// rate has users repeat work for as long as the window lasts.
func rate[T any](ctx context.Context, window time.Duration, users []T, work func(context.Context, T) error) (sample, error) {
	var done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for _, c := range users {
		group.Go(func() error {
			for time.Since(began) < window {
				if err := work(ctx, c); err != nil {
					return err
				}
				done.Add(1)
			}
			return nil
		})
	}
	err := group.Wait()
	return sample{ops: float64(done.Load()), took: time.Since(began)}, err
}

// readable pushes the image that is read.
func readable(ctx context.Context, s *server) error {
	c, err := s.newClient(ctx, "read")
	if err != nil {
		return err
	}
	_, err = c.pushImage(ctx, "latest")
	return err
}

// reading has clients ask for one thing again and again.
func (s *server) reading(ctx context.Context, window time.Duration, clients int, method, path string) (sample, error) {
	path, err := s.resolve(ctx, path)
	if err != nil {
		return sample{}, err
	}
	users, err := s.users(ctx, clients, func(int) string { return "read" })
	if err != nil {
		return sample{}, err
	}
	if s.transport == "tls" || s.transport == "tls2" {
		return rate(ctx, window, users, func(ctx context.Context, c *client) error {
			_, err := c.exchange(ctx, method, c.path(path), "", nil, http.StatusOK)
			return err
		})
	}
	wires := make([]*wire, clients)
	for i, c := range users {
		if wires[i], err = s.wire(ctx, c, method, c.path(path)); err != nil {
			return sample{}, err
		}
		defer wires[i].conn.Close() //nolint:errcheck // all answers were read
	}
	return rate(ctx, window, wires, func(_ context.Context, w *wire) error { return w.exchange() })
}

// resolve puts the digests of the readable image into path.
func (s *server) resolve(ctx context.Context, path string) (string, error) {
	c, err := s.newClient(ctx, "read")
	if err != nil {
		return "", err
	}
	res, err := c.send(ctx, http.MethodGet, c.path("/manifests/latest"), "", nil, 0, http.StatusOK)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return "", err
	}
	return strings.NewReplacer("DIGEST", digestOf(text), "CONFIG", m.Config.Digest).Replace(path), nil
}

// content is size bytes that no other blob has: a random start and a pattern.
type content struct {
	head    [32]byte
	pattern []byte
	size    int64
}

func newContent(c *client, size int64) *content {
	k := &content{pattern: make([]byte, 8<<20), size: size}
	_, _ = c.random.Read(k.head[:]) // never fails
	_, _ = c.random.Read(k.pattern)
	return k
}

func (k *content) reader() io.Reader {
	parts := []io.Reader{strings.NewReader(string(k.head[:]))}
	return io.LimitReader(io.MultiReader(append(parts, &repeat{pattern: k.pattern})...), k.size)
}

// repeat yields the pattern for ever.
type repeat struct {
	pattern []byte
	at      int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.pattern[r.at:])
	r.at = (r.at + n) % len(r.pattern)
	return n, nil
}

func (k *content) digest() (string, error) {
	h := sha256.New()
	_, err := io.CopyBuffer(h, k.reader(), make([]byte, 1<<20))
	return digestName(h.Sum(nil)), err
}

// large uploads one large blob.
func (s *server) large(ctx context.Context, size int64, patch bool) (sample, error) {
	c, err := s.newClient(ctx, "large")
	if err != nil {
		return sample{}, err
	}
	defer c.http.CloseIdleConnections()
	k := newContent(c, size)
	digest, err := k.digest()
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	err = c.upload(ctx, k, digest, patch)
	return sample{ops: float64(size) / 1e6, took: time.Since(began)}, err
}

func (c *client) upload(ctx context.Context, k *content, digest string, patch bool) error {
	location, err := c.startUpload(ctx)
	if err != nil {
		return err
	}
	method, target, want := http.MethodPut, location+"digest="+digest, http.StatusCreated
	if patch {
		method, target, want = http.MethodPatch, strings.TrimRight(location, "?&"), http.StatusAccepted
	}
	res, err := c.send(ctx, method, target, "application/octet-stream", k.reader(), k.size, want)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := c.discard(res.Body); err != nil || !patch {
		return err
	}
	_, err = c.exchange(ctx, http.MethodPut, withQuery(res.Header.Get("Location"))+"digest="+digest, "", nil, http.StatusCreated)
	return err
}

// download uploads a large blob and measures how it comes back.
func (s *server) download(ctx context.Context, size int64) (sample, error) {
	c, err := s.newClient(ctx, "large")
	if err != nil {
		return sample{}, err
	}
	defer c.http.CloseIdleConnections()
	k := newContent(c, size)
	digest, err := k.digest()
	if err != nil {
		return sample{}, err
	}
	if err := c.upload(ctx, k, digest, false); err != nil {
		return sample{}, err
	}
	before, err := s.cpu()
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	_, err = c.exchange(ctx, http.MethodGet, c.path("/blobs/", digest), "", nil, http.StatusOK)
	took := time.Since(began)
	if err != nil {
		return sample{}, err
	}
	after, err := s.cpu()
	return sample{ops: float64(size) / 1e6, took: took, cpu: after - before}, err
}
