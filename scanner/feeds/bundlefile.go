package feeds

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// bundleReader reads a bundle, or a file of clairctl, from its beginning to its
// end. Its kind is seen in its content.
type bundleReader struct {
	file    *os.File
	counter *countingReader
	plain   *bufio.Reader // unpacked
	close   func() error
	archive *tar.Reader // nil for clairctl's
	lines   *bufio.Reader
	inside  string    // the file of the archive that lines reads
	hash    hash.Hash // of it
	length  int64     // of it so far
	visit   visitor
	seen    []bundleFile
	head    *header
	last    *manifest
}

// visitor is told what a bundle has beside its records; nil is not told.
type visitor struct {
	mapping func(name string, content []byte) error
}

const (
	maxUnpackerMemory = 128 << 20
	maxSmallFile      = 64 << 20
)

var errNoBundle = core.Errorf(core.CodeBadRequest, "the file is neither a bundle of breakwater feeds export nor one of clairctl export-updaters")

// openBundle begins to read the file at path; read is told how many bytes of
// the file were read.
func openBundle(path string, read func(n int), visit visitor) (*bundleReader, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	b := &bundleReader{file: file, counter: &countingReader{file, read}, visit: visit, close: func() error { return nil }}
	if err := b.begin(); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

type countingReader struct {
	io.Reader
	read func(n int)
}

// Read implements io.Reader.
func (c *countingReader) Read(buf []byte) (int, error) {
	n, err := c.Reader.Read(buf)
	c.read(n)
	return n, err
}

// Close implements io.Closer.
func (b *bundleReader) Close() error { return errors.Join(b.close(), b.file.Close()) }

const tarMagicAt = 257

func (b *bundleReader) begin() error {
	packed := bufio.NewReaderSize(b.counter, 1<<20)
	magic, err := packed.Peek(4)
	if err != nil {
		return core.Errorf(core.CodeBadRequest, "the file is empty, or too short to be a bundle")
	}
	var unpacked io.Reader = packed
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(packed)
		if err != nil {
			return broken(err)
		}
		unpacked, b.close = z, z.Close
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpackerMemory), zstd.WithDecoderLowmem(true))
		if err != nil {
			return broken(err)
		}
		unpacked, b.close = z, func() error { z.Close(); return nil }
	}
	b.plain = bufio.NewReaderSize(unpacked, 1<<20)
	start, err := b.plain.Peek(tarMagicAt + 5)
	if err != nil && !errors.Is(err, io.EOF) {
		return broken(err)
	}
	switch {
	case len(start) == tarMagicAt+5 && string(start[tarMagicAt:]) == "ustar":
		b.archive = tar.NewReader(b.plain)
	case len(start) > 0 && start[0] == '{':
		b.lines = b.plain
	default:
		return errNoBundle
	}
	return nil
}

func broken(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return &core.Error{Code: core.CodeBadRequest, Message: fmt.Sprintf("the bundle is damaged or not whole: %v; copy it again", err), Err: err}
}

// next returns the next line with a record, io.EOF after the last. Until then
// nothing of a bundle is known to be right: the manifest comes last.
func (b *bundleReader) next() ([]byte, error) {
	for {
		if b.lines != nil {
			text, err := readLine(b.lines, maxLine)
			switch {
			case err == nil && len(bytes.TrimSpace(text)) == 0:
				continue
			case err == nil:
				return text, nil
			case !errors.Is(err, io.EOF):
				return nil, broken(err)
			case b.archive == nil:
				return nil, io.EOF
			}
			b.fileEnds()
		}
		if err := b.nextFile(); err != nil {
			return nil, err
		}
	}
}

// fileEnds notes the checksum of the file of records that was read.
func (b *bundleReader) fileEnds() {
	b.seen = append(b.seen, bundleFile{b.inside, b.length, hex.EncodeToString(b.hash.Sum(nil))})
	b.lines = nil
}

// Write implements io.Writer for what is read of a file of records.
func (b *bundleReader) Write(piece []byte) (int, error) {
	b.length += int64(len(piece))
	return b.hash.Write(piece)
}

// nextFile goes to the next file of the archive; io.EOF after the manifest.
func (b *bundleReader) nextFile() error {
	entry, err := b.archive.Next()
	switch {
	case errors.Is(err, io.EOF) && b.last != nil:
		return b.rest()
	case errors.Is(err, io.EOF):
		return broken(errors.New("it has no manifest"))
	case err != nil:
		return broken(err)
	case b.last != nil || entry.Typeflag != tar.TypeReg:
		return broken(fmt.Errorf("%q is not part of a bundle", entry.Name))
	}
	if strings.HasPrefix(entry.Name, recordsFolder) && b.head != nil {
		b.inside, b.hash, b.length = entry.Name, sha256.New(), 0
		b.lines = bufio.NewReaderSize(io.TeeReader(b.archive, b), 1<<20)
		return nil
	}
	content, err := io.ReadAll(io.LimitReader(b.archive, maxSmallFile+1))
	if err == nil && len(content) > maxSmallFile {
		err = fmt.Errorf("%s is too large", entry.Name)
	}
	if err != nil {
		return broken(err)
	}
	return b.smallFile(entry.Name, content)
}

// rest reads what follows the archive, which has a checksum too: zeros.
func (b *bundleReader) rest() error {
	buf := make([]byte, 32<<10)
	for {
		n, err := b.plain.Read(buf)
		if len(bytes.Trim(buf[:n], "\x00")) > 0 {
			return broken(errors.New("something follows its end"))
		}
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		if err != nil {
			return broken(err)
		}
	}
}

func (b *bundleReader) smallFile(name string, content []byte) error {
	switch {
	case name == headerName && b.head == nil:
		if err := b.begins(content); err != nil {
			return err
		}
	case b.head == nil:
		return errNoBundle
	case name == manifestName:
		return b.ends(content)
	case name == RepositoryMapping || name == ContainerMapping:
		if _, err := checkMapping(name, content); err != nil {
			return broken(err)
		}
		if b.visit.mapping != nil {
			if err := b.visit.mapping(name, content); err != nil {
				return err
			}
		}
	default:
		return broken(fmt.Errorf("%q is not part of a bundle", name))
	}
	sum := sha256.Sum256(content)
	b.seen = append(b.seen, bundleFile{name, int64(len(content)), hex.EncodeToString(sum[:])})
	return nil
}

func (b *bundleReader) begins(content []byte) error {
	var head header
	if err := json.Unmarshal(content, &head); err != nil || head.Format != bundleFormat {
		return errNoBundle
	}
	if head.Schema != bundleSchema {
		return core.Errorf(core.CodeBadRequest, "the bundle has the schema version %d, and this registry reads version %d; export it with the release of Breakwater that this registry has",
			head.Schema, bundleSchema)
	}
	b.head = &head
	return nil
}

// ends compares what was read with the manifest.
func (b *bundleReader) ends(content []byte) error {
	var last manifest
	if err := json.Unmarshal(content, &last); err != nil {
		return broken(err)
	}
	for i, want := range last.Files {
		if i >= len(b.seen) || b.seen[i].Name != want.Name {
			return broken(fmt.Errorf("the file %q of its manifest is missing", want.Name))
		}
		if b.seen[i] != want {
			return broken(fmt.Errorf("the file %q has not the checksum that its manifest says", want.Name))
		}
	}
	if len(b.seen) > len(last.Files) {
		return broken(fmt.Errorf("the file %q is not in its manifest", b.seen[len(last.Files)].Name))
	}
	b.last = &last
	return nil
}
