package scanner_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/scanner"
)

// blobs are layers in memory.
type blobs struct {
	mutex   sync.Mutex
	content map[string][]byte
	open    int // not closed yet
	opened  int
}

type blob struct {
	*bytes.Reader
	blobs *blobs
}

func (b *blob) Close() error {
	b.blobs.mutex.Lock()
	defer b.blobs.mutex.Unlock()
	b.blobs.open--
	return nil
}

func (b *blobs) OpenBlob(_ context.Context, digest string) (scanner.Blob, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	content, ok := b.content[digest]
	if !ok {
		return nil, core.Errorf(core.CodeNotFound, "no blob %s", digest)
	}
	b.open++
	b.opened++
	return &blob{bytes.NewReader(content), b}, nil
}

// put stores a blob and returns its digest.
func (b *blobs) put(content []byte) string {
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(content))
	b.content[digest] = content
	return digest
}

// file is a file of a layer: its path and content.
type file struct{ path, content string }

// layer makes a tar archive.
func layer(t testing.TB, files ...file) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.path, Mode: 0o755, Size: int64(len(f.content)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func zstded(t testing.TB, content []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(content, nil)
}

// image names an image of these layers; its digest stands for a manifest.
func (b *blobs) image(layers ...[]byte) scanner.Image {
	var image scanner.Image
	hash := sha256.New()
	for _, content := range layers {
		digest := b.put(content)
		image.Layers = append(image.Layers, digest)
		hash.Write([]byte(digest))
	}
	image.Digest = fmt.Sprintf("sha256:%x", hash.Sum(nil))
	return image
}

// alpine is an Alpine system with packages given as NAME=VERSION.
func alpine(t testing.TB, packages ...string) []byte {
	t.Helper()
	var db bytes.Buffer
	for _, p := range packages {
		name, version, _ := bytes.Cut([]byte(p), []byte("="))
		fmt.Fprintf(&db, "P:%s\nV:%s\nA:x86_64\no:%s\nc:0\n\n", name, version, name)
	}
	return layer(t,
		file{"etc/os-release", "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.11.6\nPRETTY_NAME=\"Alpine Linux v3.11\"\n"},
		file{"lib/apk/db/installed", db.String()})
}

// engine is an engine over an empty data folder.
func engine(t testing.TB, change ...func(*scanner.Options)) (*scanner.Engine, *blobs) {
	t.Helper()
	b := &blobs{content: map[string][]byte{}}
	options := scanner.Options{Data: t.TempDir(), Blobs: b, Log: slog.New(slog.DiscardHandler)}
	for _, fn := range change {
		fn(&options)
	}
	e, err := scanner.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", e.TempDir())
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if b.open != 0 {
			t.Errorf("%d blobs were left open", b.open)
		}
	})
	return e, b
}

func scan(t testing.TB, e *scanner.Engine, image scanner.Image) *scanner.Result {
	t.Helper()
	r, err := e.Scan(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// lines writes the findings of a result, each as one line.
func lines(r *scanner.Result) []string {
	var list []string
	for _, f := range r.Findings() {
		list = append(list, fmt.Sprintf("%s %s fixable=%v kev=%v", f.CVE, f.Severity, f.Fixable, f.KEV))
	}
	return list
}

func same(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // claircore logs there
	m.Run()
}
