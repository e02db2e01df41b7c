package scanner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const (
	// inflateStep is how much is inflated between two looks at the clock and the disk.
	inflateStep = 4 << 20
	// windowSize bounds the memory that one zstd frame may ask for.
	windowSize = 128 << 20
)

// inflater makes a reader of what is compressed.
type inflater func(io.Reader) (io.ReadCloser, error)

// sniff tells by the first bytes how a layer is compressed, nil for not at all:
// media types are what the pusher says, the bytes are what there is.
func sniff(blob Blob) (inflater, error) {
	var magic [4]byte
	n, err := blob.ReadAt(magic[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic[:n], []byte{0x1f, 0x8b}):
		return func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }, nil
	case bytes.Equal(magic[:n], []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return func(r io.Reader) (io.ReadCloser, error) {
			z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(windowSize))
			if err != nil {
				return nil, err
			}
			return z.IOReadCloser(), nil
		}, nil
	}
	return nil, nil
}

// inflate writes the inflated layer to a temporary file, within the budget of
// the image and of the disk.
func (r *realizer) inflate(ctx context.Context, blob Blob, format inflater) (_ *os.File, err error) {
	source, err := format(io.NewSectionReader(blob, 0, blob.Size()))
	if err != nil {
		return nil, err
	}
	defer source.Close()
	file, err := r.tempFile()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	for {
		if err := r.mayGoOn(ctx); err != nil {
			return nil, err
		}
		n, err := io.CopyN(file, source, min(inflateStep, r.budget+1))
		if r.budget -= n; r.budget < 0 {
			return nil, tooLarge(r.engine.options.MaxImage)
		}
		switch {
		case errors.Is(err, io.EOF):
			return file, nil
		case errors.Is(err, syscall.ENOSPC):
			return nil, diskFull(err)
		case err != nil:
			return nil, err
		}
	}
}

func (r *realizer) mayGoOn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.engine.options.Free == nil {
		return nil
	}
	free, err := r.engine.options.Free()
	if err == nil && free < inflateStep {
		err = diskFull(nil)
	}
	return err
}

func tooLarge(limit int64) error {
	return core.Errorf(core.CodeTooLarge,
		"the layers of the image are larger than %s when they are inflated, so it is not scanned; raise the limit for scans if the image is meant to be that large", size(limit))
}

func diskFull(err error) error {
	return &core.Error{Code: core.CodeNoSpace, Err: err,
		Message: "the disk has no room to inflate the layers of the image; free space, then scan it again"}
}

// size writes a number of bytes for people.
func size(n int64) string {
	for _, unit := range []struct {
		name  string
		bytes int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= unit.bytes {
			return fmt.Sprintf("%.3g %s", float64(n)/float64(unit.bytes), unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
