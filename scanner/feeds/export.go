package feeds

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
	"github.com/quay/claircore"
	"github.com/quay/claircore/datastore"
	"github.com/quay/claircore/libvuln/driver"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Export reads the feeds and writes them as a bundle. What cannot be read is
// left out, named in the bundle and told in the results.
func Export(ctx context.Context, w io.Writer, runner Runner, wishes []Wish, report func(Progress)) (results []core.FeedResult, err error) {
	out, err := newExporter(w, runner.Agent, wishes)
	if err != nil {
		return nil, err
	}
	runner.Store, runner.Mappings = out, out
	for _, wish := range wishes {
		out.feed = wish.Feed.Name
		result, err := runner.Update(ctx, wish, report)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
		out.missed(result)
	}
	return results, out.close()
}

// exporter writes a bundle: a datastore.Updater that has nothing yet.
type exporter struct {
	datastore.Updater // what is not needed here

	packer   *zstd.Encoder
	archive  *tar.Writer
	began    time.Time
	feed     string
	manifest manifest
	chunk    []byte
	chunks   int
}

// chunkSize is how much of the records is in one file of the archive, which
// must know the size before: in bytes.
const chunkSize = 8 << 20

func newExporter(w io.Writer, product string, wishes []Wish) (*exporter, error) {
	packer, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	e := &exporter{packer: packer, archive: tar.NewWriter(packer), began: time.Now().UTC().Truncate(time.Second)}
	head := header{Format: bundleFormat, Schema: bundleSchema, Created: e.began, Product: product}
	for _, wish := range wishes {
		head.Feeds = append(head.Feeds, wish.Feed.Name)
	}
	text, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	return e, e.file(headerName, append(text, '\n'))
}

// file adds a file to the archive and its checksum to the manifest.
func (e *exporter) file(name string, content []byte) error {
	sum := sha256.Sum256(content)
	e.manifest.Files = append(e.manifest.Files, bundleFile{name, int64(len(content)), hex.EncodeToString(sum[:])})
	return e.add(name, content)
}

func (e *exporter) add(name string, content []byte) error {
	err := e.archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), ModTime: e.began, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR})
	if err != nil {
		return err
	}
	_, err = e.archive.Write(content)
	return err
}

// missed notes what failed.
func (e *exporter) missed(result core.FeedResult) {
	if result.Error != "" {
		e.manifest.Failed = append(e.manifest.Failed, failedPart{Feed: result.Feed, Error: result.Error})
	}
	for _, part := range result.Parts {
		if part.Error != "" {
			e.manifest.Failed = append(e.manifest.Failed, failedPart{result.Feed, part.Name, part.Error})
		}
	}
}

func (e *exporter) close() error {
	text, err := json.MarshalIndent(e.manifest, "", " ")
	if err != nil {
		return err
	}
	if err := e.add(manifestName, append(text, '\n')); err != nil {
		return err
	}
	return errors.Join(e.archive.Close(), e.packer.Close())
}

// SetMapping implements Mappings.
func (e *exporter) SetMapping(_ context.Context, name string, content []byte) (changed bool, err error) {
	return true, e.file(name, content)
}

// GetUpdateOperations implements datastore.Updater: there is nothing yet.
func (e *exporter) GetUpdateOperations(context.Context, driver.UpdateKind, ...string) (map[string][]driver.UpdateOperation, error) {
	return nil, nil
}

// UpdateVulnerabilitiesIter implements datastore.Updater.
func (e *exporter) UpdateVulnerabilitiesIter(ctx context.Context, name string, f driver.Fingerprint, rows datastore.VulnerabilityIter) (uuid.UUID, error) {
	return export(ctx, e, line{Updater: name, Fingerprint: f, Kind: driver.VulnerabilityKind}, rows,
		func(l *line, row *claircore.Vulnerability) { l.Vuln = row })
}

// UpdateEnrichmentsIter implements datastore.Updater.
func (e *exporter) UpdateEnrichmentsIter(ctx context.Context, name string, f driver.Fingerprint, rows datastore.EnrichmentIter) (uuid.UUID, error) {
	return export(ctx, e, line{Updater: name, Fingerprint: f, Kind: driver.EnrichmentKind}, rows,
		func(l *line, row *driver.EnrichmentRecord) { l.Enrichment = row })
}

// export writes the rows of one part to a temporary file first, and to the
// archive once they are whole.
func export[T any, I ~func(func(T, error) bool)](ctx context.Context, e *exporter, l line, rows I, fill func(*line, T)) (_ uuid.UUID, err error) {
	l.Ref, l.Date = uuid.New(), e.began
	file, err := os.CreateTemp("", "feeds-export.")
	if err != nil {
		return uuid.Nil, err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	packer, err := zstd.NewWriter(file, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return uuid.Nil, err
	}
	enc := json.NewEncoder(packer)
	enc.SetEscapeHTML(false)
	var n int64
	rows(func(row T, failure error) bool {
		if err = failure; err == nil {
			err = ctx.Err()
		}
		if err == nil {
			fill(&l, row)
			err = enc.Encode(&l)
			n++
		}
		return err == nil
	})
	if err = errors.Join(err, packer.Close()); err != nil {
		return uuid.Nil, err
	}
	e.manifest.Parts = append(e.manifest.Parts, bundlePart{e.feed, l.Updater, l.Kind, l.Ref, n})
	return l.Ref, e.records(file)
}

// records copies the lines of a part into files of the archive.
func (e *exporter) records(file *os.File) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	unpacker, err := zstd.NewReader(file, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer unpacker.Close()
	lines := bufio.NewReaderSize(unpacker, 1<<20)
	for {
		text, err := readLine(lines, maxLine)
		if errors.Is(err, io.EOF) {
			return e.flush()
		}
		if err != nil {
			return err
		}
		e.chunk = append(append(e.chunk, text...), '\n')
		if len(e.chunk) >= chunkSize {
			if err := e.flush(); err != nil {
				return err
			}
		}
	}
}

func (e *exporter) flush() error {
	if len(e.chunk) == 0 {
		return nil
	}
	e.chunks++
	err := e.file(fmt.Sprintf("%s%06d.jsonl", recordsFolder, e.chunks), e.chunk)
	e.chunk = e.chunk[:0]
	return err
}
