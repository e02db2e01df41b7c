package scanner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/quay/claircore"
	"github.com/quay/claircore/indexer"
)

// arena gives claircore the layers out of the registry's own blob files.
type arena struct{ engine *Engine }

var _ indexer.FetchArena = (*arena)(nil)

// Realizer implements indexer.FetchArena: one for each image.
func (a *arena) Realizer(context.Context) indexer.Realizer {
	return &realizer{engine: a.engine, budget: a.engine.options.MaxImage, contents: map[string]io.ReaderAt{}}
}

// Close implements indexer.FetchArena.
func (a *arena) Close(context.Context) error { return nil }

// realizer holds the layers of one image while they are scanned.
type realizer struct {
	engine   *Engine
	budget   int64 // bytes that may still be inflated
	contents map[string]io.ReaderAt
	files    []io.Closer
	layers   []*claircore.Layer
}

// plainLayer is the media type of what claircore is given: everything is
// inflated before.
const plainLayer = "application/vnd.oci.image.layer.v1.tar"

// Realize implements indexer.Realizer. The layers it opens must be closed, by
// Close: claircore ends the process over one that was forgotten.
func (r *realizer) Realize(ctx context.Context, layers []*claircore.Layer) error {
	for _, l := range layers {
		digest := l.Hash.String()
		content, err := r.content(ctx, digest)
		if err != nil {
			return fmt.Errorf("layer %s: %w", digest, err)
		}
		if err := l.Init(ctx, &claircore.LayerDescription{Digest: digest, MediaType: plainLayer}, content); err != nil {
			return &layerError{digest: digest, err: err}
		}
		r.layers = append(r.layers, l)
	}
	return nil
}

// content opens a layer, inflated, once.
func (r *realizer) content(ctx context.Context, digest string) (io.ReaderAt, error) {
	if known, ok := r.contents[digest]; ok {
		return known, nil
	}
	blob, err := r.engine.options.Blobs.OpenBlob(ctx, digest)
	if err != nil {
		return nil, err
	}
	format, err := sniff(blob)
	if err != nil {
		return nil, errors.Join(err, blob.Close())
	}
	if format == nil {
		if r.budget -= blob.Size(); r.budget < 0 {
			return nil, errors.Join(tooLarge(r.engine.options.MaxImage), blob.Close())
		}
		r.files = append(r.files, blob)
		r.contents[digest] = io.NewSectionReader(blob, 0, blob.Size())
		return r.contents[digest], nil
	}
	defer blob.Close()
	file, err := r.inflate(ctx, blob, format)
	if err != nil {
		return nil, err
	}
	r.files = append(r.files, file)
	r.contents[digest] = file
	return file, nil
}

// Close implements indexer.Realizer.
func (r *realizer) Close() error {
	var errs []error
	for _, l := range r.layers {
		errs = append(errs, l.Close())
	}
	for _, f := range r.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// tempFile makes a file that is gone with the last use of it, however the
// process ends.
func (r *realizer) tempFile() (*os.File, error) {
	f, err := os.CreateTemp(r.engine.TempDir(), "layer-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
