package scandb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/quay/claircore"
	"github.com/quay/claircore/indexer"

	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

// IndexManifest implements indexer.Store.
func (s *Store) IndexManifest(ctx context.Context, ir *claircore.IndexReport) error {
	return s.file.Write(ctx, func(c *dbfile.Conn) error {
		manifest, err := manifestID(c, ir.Hash)
		if err != nil {
			return err
		}
		for _, record := range ir.IndexRecords() {
			if record.Package == nil {
				continue
			}
			var dist, repo int64
			if record.Distribution != nil {
				if dist, err = strconv.ParseInt(record.Distribution.ID, 10, 64); err != nil {
					return fmt.Errorf("id of a distribution: %w", err)
				}
			}
			if record.Repository != nil {
				repo, _ = strconv.ParseInt(record.Repository.ID, 10, 64) // some repositories are made without an id by a coalescer
			}
			for _, p := range []*claircore.Package{record.Package.Source, record.Package} {
				if p == nil {
					continue
				}
				id, err := strconv.ParseInt(p.ID, 10, 64)
				if err != nil {
					return fmt.Errorf("id of package %s: %w", p.Name, err)
				}
				if _, err := c.Exec(`INSERT INTO manifest_index (manifest, package, dist, repo) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
					manifest, id, dist, repo); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// codec compresses index reports, to about a seventh.
var codec = sync.OnceValue(func() (c struct {
	*zstd.Encoder
	*zstd.Decoder
}) {
	var err error
	if c.Encoder, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true)); err != nil {
		panic(err) // the options are constant
	}
	if c.Decoder, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true)); err != nil {
		panic(err)
	}
	return c
})

// SetIndexReport implements indexer.Store.
func (s *Store) SetIndexReport(ctx context.Context, ir *claircore.IndexReport) error {
	return s.setIndexReport(ctx, ir, nil)
}

// SetIndexFinished implements indexer.Store.
func (s *Store) SetIndexFinished(ctx context.Context, ir *claircore.IndexReport, scanners indexer.VersionedScanners) error {
	return s.setIndexReport(ctx, ir, scanners)
}

func (s *Store) setIndexReport(ctx context.Context, ir *claircore.IndexReport, finished indexer.VersionedScanners) error {
	text, err := json.Marshal(ir)
	if err != nil {
		return fmt.Errorf("index report of %v: %w", ir.Hash, err)
	}
	report := codec().EncodeAll(text, nil)
	return s.file.Write(ctx, func(c *dbfile.Conn) error {
		manifest, err := manifestID(c, ir.Hash)
		if err != nil {
			return err
		}
		for _, v := range finished {
			id, err := scannerID(c, v)
			if err != nil {
				return err
			}
			if _, err := c.Exec(`INSERT INTO scanned_manifest (manifest, scanner) VALUES (?, ?) ON CONFLICT DO NOTHING`, manifest, id); err != nil {
				return err
			}
		}
		_, err = c.Exec(`INSERT INTO index_report (manifest, report) VALUES (?1, ?2) ON CONFLICT (manifest) DO UPDATE SET report = ?2`, manifest, report)
		return err
	})
}

// IndexReport implements indexer.Store.
func (s *Store) IndexReport(ctx context.Context, hash claircore.Digest) (*claircore.IndexReport, bool, error) {
	var packed []byte
	err := s.file.Read(ctx, func(c *dbfile.Conn) error {
		return c.Get(`SELECT r.report FROM manifest m JOIN index_report r ON r.manifest = m.id WHERE m.hash = ?`, []any{hash.String()}, &packed)
	})
	if errors.Is(err, dbfile.ErrNoRow) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	text, err := codec().DecodeAll(packed, nil)
	if err != nil {
		return nil, false, fmt.Errorf("index report of %v: %w", hash, err)
	}
	ir := &claircore.IndexReport{}
	if err := json.Unmarshal(text, ir); err != nil {
		return nil, false, fmt.Errorf("index report of %v: %w", hash, err)
	}
	return ir, true, nil
}
