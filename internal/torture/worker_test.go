package torture_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

const (
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
	ociConfig   = "application/vnd.oci.image.config.v1+json"
	ociLayer    = "application/vnd.oci.image.layer.v1.tar"

	// maxImages is how many manifests a repository holds before some go.
	maxImages = 10
	// tagNames is how few tags there are, so that they are moved often.
	tagNames = 4
)

// gallery is what all workers have pushed so far, to mount from.
type gallery struct {
	mu   sync.Mutex
	list []exhibit
}

type exhibit struct {
	repository string
	image      *image
}

// maxExhibits bounds the memory of a long run.
const maxExhibits = 64

func (g *gallery) add(repository string, img *image) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.list = append(g.list, exhibit{repository, img}); len(g.list) > maxExhibits {
		g.list = g.list[1:]
	}
}

func (g *gallery) pick(r *rand.Rand) (exhibit, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.list) == 0 {
		return exhibit{}, false
	}
	return g.list[r.Intn(len(g.list))], true
}

// worker changes one repository, one change after the other.
type worker struct {
	*client
	repo    *repository
	random  *rand.Rand
	gallery *gallery
	common  []blob  // layers that all workers push
	paused  *paused // an upload to be taken up again
	acked   int
}

// paused is an upload of which the server has acknowledged some bytes.
type paused struct {
	location string
	blob     blob
	acked    int
	sent     int // of which an answer may be missing
}

// run makes changes until one fails, as it will when the server is killed.
func (w *worker) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := w.change(ctx); err != nil {
			return err
		}
		w.acked++
	}
	return nil
}

// change makes one change.
func (w *worker) change(ctx context.Context) error {
	if loose := w.repo.now().loose(); len(w.repo.now().images) > maxImages && len(loose) > 0 {
		return w.deleteImage(ctx, loose[w.random.Intn(len(loose))])
	}
	switch n := w.random.Intn(100); {
	case n < 20:
		return w.pushRandom(ctx)
	case n < 45:
		img := w.build()
		return w.push(ctx, img, w.tag(), w.uploads(ctx, img))
	case n < 55:
		return w.duel(ctx)
	case n < 62:
		return w.pushIndex(ctx)
	case n < 74:
		return w.moveTag(ctx)
	case n < 80:
		return w.deleteTag(ctx)
	case n < 86:
		return w.copyImage(ctx)
	case n < 93:
		return w.pauseOrResume(ctx)
	}
	return w.abandon(ctx)
}

func (w *worker) tag() string { return fmt.Sprintf("t%d", w.random.Intn(tagNames)) }

func (w *worker) bytes(n int) []byte {
	data := make([]byte, n)
	_, _ = w.random.Read(data) // never fails
	return data
}

// size is mostly small and now and then large.
func (w *worker) size() int {
	if w.random.Intn(12) == 0 {
		return 1<<20 + w.random.Intn(2<<20)
	}
	return 1 + w.random.Intn(64<<10)
}

// build makes an image whose layers are partly those of others.
func (w *worker) build() *image {
	img := &image{mediaType: ociManifest, blobs: []blob{newBlob(fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","nonce":"%x"}`, w.bytes(8)))}}
	for range 1 + w.random.Intn(3) {
		b := newBlob(w.bytes(w.size()))
		if w.random.Intn(3) == 0 {
			b = w.common[w.random.Intn(len(w.common))]
		}
		if !slices.ContainsFunc(img.blobs, func(other blob) bool { return other.digest == b.digest }) {
			img.blobs = append(img.blobs, b)
		}
	}
	var layers []map[string]any
	for _, b := range img.blobs[1:] {
		layers = append(layers, describe(ociLayer, b))
	}
	img.blob = newBlob(document(map[string]any{"schemaVersion": 2, "mediaType": ociManifest,
		"config": describe(ociConfig, img.blobs[0]), "layers": layers}))
	return img
}

func describe(mediaType string, b blob) map[string]any {
	return map[string]any{"mediaType": mediaType, "digest": b.digest, "size": len(b.data)}
}

func document(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of strings and numbers always have a JSON form
	}
	return text
}

// push makes img the tag's image; content brings its blobs there first.
func (w *worker) push(ctx context.Context, img *image, tag string, content func() error) error {
	reference := tag
	if tag == "" {
		reference = img.digest
	}
	err := w.repo.attempt(func() error {
		if err := content(); err != nil {
			return err
		}
		return w.putManifest(ctx, w.repo.name, reference, img)
	}, w.repo.now().with(img, tag))
	if err == nil {
		w.gallery.add(w.repo.name, img)
	}
	return err
}

// uploads returns what uploads the blobs of img, each in one of the ways that
// there are. What is there already is not sent.
func (w *worker) uploads(ctx context.Context, img *image) func() error {
	plan := make([]int, len(img.blobs))
	for i := range plan {
		plan[i] = w.random.Intn(4)
	}
	chunk := 1 + w.random.Intn(300<<10)
	return func() error {
		for i, b := range img.blobs {
			if there, err := w.has(ctx, w.repo.name, b); err != nil || there {
				if err != nil {
					return err
				}
				continue
			}
			var err error
			if plan[i] < 2 {
				err = w.whole(ctx, w.repo.name, b, plan[i] == 0)
			} else {
				err = w.chunked(ctx, w.repo.name, b, max(chunk, len(b.data)/4))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// pushRandom pushes an image as go-containerregistry does, with a token.
func (w *worker) pushRandom(ctx context.Context) error {
	made, err := random.Image(int64(w.size()), int64(1+w.random.Intn(3)), random.WithSource(rand.NewSource(w.random.Int63())))
	if err != nil {
		return err
	}
	img, err := readImage(made)
	if err != nil {
		return err
	}
	tag := w.tag()
	base, err := url.Parse(w.url)
	if err != nil {
		return err
	}
	ref, err := name.NewTag(base.Host + "/" + w.repo.name + ":" + tag)
	if err != nil {
		return err
	}
	return w.repo.attempt(func() error {
		return remote.Write(ref, made, remote.WithContext(ctx), remote.WithTransport(w.http.Transport),
			remote.WithAuth(&authn.Basic{Username: w.user, Password: w.secret}),
			remote.WithRetryBackoff(remote.Backoff{Steps: 1}), remote.WithRetryPredicate(func(error) bool { return false }),
			remote.WithRetryStatusCodes())
	}, w.repo.now().with(img, tag))
}

func readImage(made v1.Image) (*image, error) {
	text, err1 := made.RawManifest()
	config, err2 := made.RawConfigFile()
	mediaType, err3 := made.MediaType()
	layers, err4 := made.Layers()
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	img := &image{blob: newBlob(text), mediaType: string(mediaType), blobs: []blob{newBlob(config)}}
	for _, layer := range layers {
		r, err := layer.Compressed()
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
		img.blobs = append(img.blobs, newBlob(data))
	}
	return img, nil
}

// duel pushes two images to one tag at once, or one image twice.
func (w *worker) duel(ctx context.Context) error {
	a, tag := w.build(), w.tag()
	b := a
	if w.random.Intn(2) == 0 {
		b = w.build()
	}
	now := w.repo.now()
	// On the way there, either image may be there alone.
	both := []state{now.with(a, tag).with(b, tag), now.with(b, tag).with(a, tag)}
	w.repo.possible = append([]state{now, now.with(a, tag), now.with(b, tag)}, both...)
	results := make(chan error, 2)
	for _, img := range []*image{a, b} {
		content := w.uploads(ctx, img)
		go func() {
			err := content()
			if err == nil {
				err = w.putManifest(ctx, w.repo.name, tag, img)
			}
			results <- err
		}()
	}
	if err := errors.Join(<-results, <-results); err != nil {
		return err
	}
	w.repo.possible = both
	return w.look(ctx)
}

// look finds out which of the possible states the repository is in.
func (w *worker) look(ctx context.Context) error {
	actual, err := w.observe(ctx, w.repo)
	if err != nil {
		return err
	}
	return w.repo.settle(actual)
}

// pushIndex pushes two images by digest and an index of them.
func (w *worker) pushIndex(ctx context.Context) error {
	index := &image{mediaType: ociIndex}
	var entries []map[string]any
	for range 2 {
		child := w.build()
		if err := w.push(ctx, child, "", w.uploads(ctx, child)); err != nil {
			return err
		}
		index.children = append(index.children, child)
		entries = append(entries, describe(ociManifest, child.blob))
	}
	index.blob = newBlob(document(map[string]any{"schemaVersion": 2, "mediaType": ociIndex, "manifests": entries}))
	return w.push(ctx, index, w.tag(), func() error { return nil })
}

// moveTag lets a tag name another image that is there.
func (w *worker) moveTag(ctx context.Context) error {
	loose := w.repo.now().loose()
	if len(loose) == 0 {
		return nil
	}
	img := w.repo.now().images[loose[w.random.Intn(len(loose))]]
	return w.push(ctx, img, w.tag(), func() error { return nil })
}

func (w *worker) deleteTag(ctx context.Context) error {
	tag := w.tag()
	if _, ok := w.repo.now().tags[tag]; !ok {
		return nil
	}
	return w.repo.attempt(func() error { return w.delete(ctx, w.repo.name, tag) }, w.repo.now().withoutTag(tag))
}

func (w *worker) deleteImage(ctx context.Context, digest string) error {
	return w.repo.attempt(func() error { return w.delete(ctx, w.repo.name, digest) }, w.repo.now().withoutImage(digest))
}

// copyImage mounts the blobs of another repository's image and pushes its
// manifest here.
func (w *worker) copyImage(ctx context.Context) error {
	found, ok := w.gallery.pick(w.random)
	if !ok || len(found.image.children) > 0 || found.repository == w.repo.name {
		return nil
	}
	return w.push(ctx, found.image, w.tag(), func() error {
		for _, b := range found.image.blobs {
			if err := w.mount(ctx, w.repo.name, found.repository, b); err != nil {
				return err
			}
		}
		return nil
	})
}

// pauseOrResume sends a part of a blob, or the rest of one: whatever the server
// acknowledged before it was killed must still be there.
func (w *worker) pauseOrResume(ctx context.Context) error {
	if w.paused != nil {
		return w.resume(ctx)
	}
	b := newBlob(w.bytes(64 + w.size()))
	location, err := w.begin(ctx, w.repo.name)
	if err != nil {
		return err
	}
	w.paused = &paused{location: location, blob: b}
	return w.sendPart(ctx, len(b.data)/2)
}

func (w *worker) sendPart(ctx context.Context, n int) error {
	p := w.paused
	p.sent = p.acked + n
	location, err := w.patch(ctx, p.location, p.acked, p.blob.data[p.acked:p.sent])
	if err == nil {
		p.location, p.acked = location, p.sent
	}
	return err
}

func (w *worker) resume(ctx context.Context) error {
	p := w.paused
	a, err := w.send(ctx, http.MethodGet, p.location, nil, nil)
	if err != nil {
		return fmt.Errorf("an upload of which %d bytes were acknowledged: %w", p.acked, err)
	}
	last := -1
	if _, err := fmt.Sscanf(a.header.Get("Range"), "0-%d", &last); err != nil {
		return &violation{fmt.Sprintf("Range %q: %v", a.header.Get("Range"), err)}
	}
	there := last + 1
	if last == 0 {
		there = 0 // how an empty upload is told too; nobody sends a single byte
	}
	if there < p.acked || there > p.sent {
		return &violation{fmt.Sprintf("the upload has %d bytes; %d were sent and %d acknowledged", there, p.sent, p.acked)}
	}
	p.acked, w.paused = there, nil
	if err := w.finish(ctx, p.location, p.blob, p.blob.data[p.acked:]); err != nil {
		return err
	}
	return w.sameBlob(ctx, p.blob)
}

func (w *worker) sameBlob(ctx context.Context, b blob) error {
	data, err := w.get(ctx, "/v2/"+w.repo.name+"/blobs/"+b.digest)
	if err == nil && string(data) != string(b.data) {
		err = &violation{b.digest + ": the blob has other bytes than were uploaded"}
	}
	return err
}

// abandon starts an upload and cancels it, or just leaves it.
func (w *worker) abandon(ctx context.Context) error {
	location, err := w.begin(ctx, w.repo.name)
	if err != nil {
		return err
	}
	data := w.bytes(w.size())
	if location, err = w.patch(ctx, location, 0, data); err != nil {
		return err
	}
	if w.random.Intn(2) == 0 {
		return nil
	}
	_, err = w.send(ctx, http.MethodDelete, location, nil, nil)
	return err
}
