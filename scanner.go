package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/opencontainers/go-digest"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/disk"
	"github.com/breakwater-registry/breakwater/registry/blobs"
	"github.com/breakwater-registry/breakwater/scanner"
)

// openScanner prepares the scanner, which opens its databases when they are
// first needed.
func (s *server) openScanner() (err error) {
	s.scanner, err = scanner.Open(scanner.Options{Data: s.cfg.Data, Blobs: layers{s.app, s.blobs}, Log: s.log, Free: s.freeSpace, Pace: s.pacer.rest})
	if err != nil {
		return err
	}
	s.opened(s.scanner.Close)
	slog.SetDefault(slog.New(onlyWarnings{s.log.Handler()})) // claircore has no logger of its own
	return os.Setenv("TMPDIR", s.scanner.TempDir())
}

// freeSpace is what may still be written to the disk of the data folder.
func (s *server) freeSpace() (int64, error) {
	total, free, err := disk.Space(s.cfg.Data)
	return int64(free) - int64(s.cfg.DiskReserve.Of(total)), err
}

// onlyWarnings leaves out what is told of each step.
type onlyWarnings struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h onlyWarnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

// layers opens the layers of images.
type layers struct {
	app   *app.App
	blobs *blobs.FileStore
}

// OpenBlob implements scanner.Blobs.
func (l layers) OpenBlob(ctx context.Context, name string) (scanner.Blob, error) {
	blob, err := l.app.StoredBlob(ctx, name)
	if err != nil {
		return nil, err
	}
	content, err := l.blobs.OpenBlob(ctx, blobs.File{Digest: digest.Digest(blob.Digest), Generation: blob.Generation})
	if err != nil {
		return nil, err
	}
	return content, nil
}
