package blobs

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/opencontainers/go-digest"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const (
	dirPerm  = 0o750
	filePerm = 0o640

	blobsDir   = "/blobs"
	uploadsDir = "/uploads"

	// readers bounds how many calls of the storage driver run at once.
	readers = 256
	// bufferSize is what an append collects before it writes: large enough to
	// make few system calls, small enough to stay in the processor's cache
	// between writing and hashing.
	bufferSize = 256 << 10
	// idleUploads bounds the running hashes kept for uploads nobody is using,
	// some 300 bytes each. Beyond it the oldest is computed again when needed.
	idleUploads = 4096
)

// File names the file of one blob.
type File struct {
	Digest     digest.Digest // sha256 or sha512
	Generation int64         // from the database, not negative
}

// FileStore keeps blobs and uploads below one directory. Its methods may be
// called concurrently.
type FileStore struct {
	root     string
	driver   storagedriver.StorageDriver
	layer    FileLayer
	sessions *sessions
	guard    *guard    // nil: there is no reserve
	buffers  sync.Pool // of *[]byte, bufferSize long

	layout  sync.Mutex
	laidOut map[digest.Algorithm]bool // whose folders are all there, durably
}

// Option changes a FileStore while it is opened.
type Option func(*FileStore)

// WithFileLayer makes the store write through layer instead of OSLayer.
func WithFileLayer(layer FileLayer) Option {
	return func(s *FileStore) { s.layer = layer }
}

// WithIdleUploads bounds how many uploads that nobody is using keep their
// running hash in memory. The default is 4096.
func WithIdleUploads(n int) Option {
	return func(s *FileStore) { s.sessions.limit = n }
}

// Open opens the store below root and creates what is missing of it. It
// returns a core.Error when the disk is full, failing or not writable.
func Open(_ context.Context, root string, opts ...Option) (*FileStore, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("blobs: %w", err)
	}
	s := &FileStore{
		root:     root,
		driver:   filesystem.New(filesystem.DriverParameters{RootDirectory: root, MaxThreads: readers}),
		layer:    OSLayer{},
		sessions: newSessions(idleUploads),
		laidOut:  map[digest.Algorithm]bool{},
	}
	s.buffers.New = func() any { b := make([]byte, bufferSize); return &b }
	for _, opt := range opts {
		opt(s)
	}
	if err := s.makeLayout(); err != nil {
		return nil, explain("create the folders of the blob store", err)
	}
	return s, nil
}

// makeLayout creates the top directories. They are synced each time: an
// earlier process may have died between creating and syncing.
func (s *FileStore) makeLayout() error {
	for _, dir := range []string{uploadsDir, blobsDir} {
		if err := makeDirs(s.layer, s.full(dir)); err != nil {
			return err
		}
	}
	return s.layer.SyncDir(s.root)
}

// ready creates every directory a commit may need, at the first blob of an
// algorithm: making 256 of them takes longer than all else of a first start.
func (s *FileStore) ready(ctx context.Context, algorithm digest.Algorithm) error {
	s.layout.Lock()
	defer s.layout.Unlock()
	if s.laidOut[algorithm] {
		return nil
	}
	if err := s.makeFanOut(ctx, path.Join(blobsDir, string(algorithm))); err != nil {
		return err
	}
	s.laidOut[algorithm] = true
	return nil
}

// makeFanOut creates what is missing of an algorithm's directories, durably,
// those that a process may have made just before it died included.
func (s *FileStore) makeFanOut(ctx context.Context, dir string) error {
	if err := makeDirs(s.layer, s.full(dir)); err != nil {
		return err
	}
	present, err := s.driver.List(ctx, dir)
	if err != nil {
		return err
	}
	exists := make(map[string]bool, len(present))
	for _, p := range present {
		exists[p] = true
	}
	for _, sub := range fanOut(dir) {
		if exists[sub] {
			continue
		}
		if err := s.layer.Mkdir(s.full(sub), dirPerm); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return errors.Join(s.layer.SyncDir(s.full(dir)), s.layer.SyncDir(s.full(blobsDir)))
}

// full returns the path in the filesystem of a path below the driver's root.
func (s *FileStore) full(p string) string { return filepath.Join(s.root, filepath.FromSlash(p)) }

// algorithms lists what the OCI image spec registers; sha384 is not among it.
func algorithms() []digest.Algorithm { return []digest.Algorithm{digest.SHA256, digest.SHA512} }

// newHash returns nil for an algorithm that is not supported.
func newHash(algorithm digest.Algorithm) hash.Hash {
	switch algorithm {
	case digest.SHA256:
		return sha256.New()
	case digest.SHA512:
		return sha512.New()
	}
	return nil
}

// checkDigest makes sure that d is well formed and of a supported algorithm.
func checkDigest(d digest.Digest) error {
	if d.Validate() != nil || newHash(d.Algorithm()) == nil {
		return core.Errorf(core.CodeBadRequest, "the digest is malformed or of an unknown algorithm: use sha256:<64 hex digits> or sha512:<128 hex digits>")
	}
	return nil
}

// fanOut lists the 256 directories below the directory of an algorithm.
func fanOut(dir string) []string {
	list := make([]string, 256)
	for i := range list {
		list[i] = fmt.Sprintf("%s/%02x", dir, i)
	}
	return list
}

// path returns the file's path below the driver's root.
func (f File) path() (string, error) {
	if err := checkDigest(f.Digest); err != nil {
		return "", err
	}
	if f.Generation < 0 {
		return "", fmt.Errorf("blob %s: negative generation %d", f.Digest, f.Generation)
	}
	hex := f.Digest.Encoded()
	return fmt.Sprintf("%s/%s/%s/%s.%d", blobsDir, f.Digest.Algorithm(), hex[:2], hex, f.Generation), nil
}

// parseFile is the reverse of File.path; ok is false for a foreign file.
func parseFile(p string) (f File, ok bool) {
	hex, generation, _ := strings.Cut(path.Base(p), ".")
	n, err := strconv.ParseInt(generation, 10, 64)
	if err != nil {
		return File{}, false
	}
	algorithm := path.Base(path.Dir(path.Dir(p)))
	f = File{Digest: digest.NewDigestFromEncoded(digest.Algorithm(algorithm), hex), Generation: n}
	// Comparing with the canonical path refuses "+1", "01" and wrong folders.
	canonical, err := f.path()
	return f, err == nil && canonical == p
}
