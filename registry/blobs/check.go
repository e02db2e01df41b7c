package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"
)

// quarantineDir holds files that were found damaged, under flat names.
const quarantineDir = "/quarantine"

// Finding is what the file of a blob was found to be.
type Finding struct {
	Size   int64         // of the file, bytes
	Digest digest.Digest // of its content; empty when the content was not read
	Fault  string        // why it is not the blob, in words; empty when it is
	// Unreadable says that the disk refused: what the file holds is not known.
	Unreadable bool
}

// Whole says whether the file holds what its name says.
func (f Finding) Whole() bool { return f.Fault == "" }

// Inspect reads the whole file of a blob and compares its content with the
// digest in its name. pace, unless nil, is asked before each part of n bytes, at
// most MaxPart, is read. The error is ctx's, pace's, or one that says nothing
// about the file, such as too many open files.
func (s *FileStore) Inspect(ctx context.Context, f File, pace func(ctx context.Context, n int) error) (Finding, error) {
	p, err := f.path()
	if err != nil {
		return Finding{}, err
	}
	return s.inspect(ctx, p, f.Digest, pace)
}

// InspectQuarantined is Inspect of the copy of the file in the quarantine.
func (s *FileStore) InspectQuarantined(ctx context.Context, f File) (Finding, error) {
	p, err := f.quarantinePath()
	if err != nil {
		return Finding{}, err
	}
	return s.inspect(ctx, p, f.Digest, nil)
}

// MaxPart is how many bytes Inspect reads at once.
const MaxPart = bufferSize

func (s *FileStore) inspect(ctx context.Context, p string, want digest.Digest, pace func(context.Context, int) error) (Finding, error) {
	file, err := os.Open(s.full(p))
	if err != nil {
		return findingOf(err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	found, err := s.hash(ctx, file, want.Algorithm(), pace)
	if err != nil || !found.Whole() {
		return found, err
	}
	if found.Digest != want {
		found.Fault = fmt.Sprintf("its content has the digest %s", found.Digest)
	}
	return found, nil
}

func (s *FileStore) hash(ctx context.Context, file *os.File, algorithm digest.Algorithm, pace func(context.Context, int) error) (found Finding, err error) {
	info, err := file.Stat()
	if err != nil {
		return findingOf(err)
	}
	h := newHash(algorithm)
	buf := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	for {
		if err := ctx.Err(); err != nil {
			return found, err
		}
		if pace != nil {
			if err := pace(ctx, int(max(0, min(MaxPart, info.Size()-found.Size)))); err != nil {
				return found, err
			}
		}
		n, err := io.ReadFull(file, *buf)
		h.Write((*buf)[:n])
		found.Size += int64(n)
		switch {
		case err == io.EOF, err == io.ErrUnexpectedEOF:
			found.Digest = digest.NewDigest(algorithm, h)
			return found, nil
		case err != nil:
			return findingOf(err)
		}
	}
}

// findingOf tells what an error says about the file; some say nothing.
func findingOf(err error) (Finding, error) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Finding{Fault: "its file is missing"}, nil
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.EUCLEAN), errors.Is(err, syscall.EBADMSG), errors.Is(err, syscall.EISDIR):
		return Finding{Fault: fmt.Sprintf("its file cannot be read (%v)", errors.Unwrap(err)), Unreadable: true}, nil
	}
	return Finding{}, explain("read a blob", err)
}

// Stat returns the size of the file of a blob in bytes, and whether it exists.
func (s *FileStore) Stat(ctx context.Context, f File) (size int64, exists bool, err error) {
	p, err := f.path()
	if err != nil {
		return 0, false, err
	}
	info, err := s.driver.Stat(ctx, p)
	if isNotFound(err) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, explain("find a blob", err)
	}
	return info.Size(), true, nil
}

// quarantinePath returns where the file goes when it is damaged, below the
// driver's root.
func (f File) quarantinePath() (string, error) {
	if _, err := f.path(); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s/%s.%s.%d", quarantineDir, f.Digest.Algorithm(), f.Digest.Encoded(), f.Generation), nil
}

// Quarantine moves the file of a blob out of the blobs, durably. An absent one
// is fine.
func (s *FileStore) Quarantine(_ context.Context, f File) error {
	return explain("move a damaged blob to the quarantine", s.exchange(f, func(live, kept string) error {
		if err := makeDirs(s.layer, path.Dir(kept)); err != nil {
			return err
		}
		err := s.layer.Rename(live, kept)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return s.synced(err, kept, live)
	}))
}

// Restore moves the file of a blob back out of the quarantine, durably.
func (s *FileStore) Restore(_ context.Context, f File) error {
	return explain("move a blob back from the quarantine", s.exchange(f, func(live, kept string) error {
		return s.synced(s.layer.Rename(kept, live), live, kept)
	}))
}

func (s *FileStore) exchange(f File, move func(live, kept string) error) error {
	live, err := f.path()
	if err != nil {
		return err
	}
	kept, err := f.quarantinePath()
	if err != nil {
		return err
	}
	return move(s.full(live), s.full(kept))
}

// synced makes a rename durable: the new name first, so that no power cut
// leaves the file without any.
func (s *FileStore) synced(err error, to, from string) error {
	if err != nil {
		return err
	}
	if err := s.layer.SyncDir(path.Dir(to)); err != nil {
		return err
	}
	return s.layer.SyncDir(path.Dir(from))
}

// WalkQuarantine is Walk for the files in the quarantine.
func (s *FileStore) WalkQuarantine(ctx context.Context, visit func(f File, size int64, modTime time.Time) error) error {
	list, err := s.driver.List(ctx, quarantineDir)
	if err != nil && !isNotFound(err) {
		return explain("list the quarantine", err)
	}
	for _, p := range list {
		parts := strings.Split(path.Base(p), ".")
		if len(parts) != 3 {
			continue
		}
		generation, err := strconv.ParseInt(parts[2], 10, 64)
		f := File{Digest: digest.NewDigestFromEncoded(digest.Algorithm(parts[0]), parts[1]), Generation: generation}
		if canonical, e := f.quarantinePath(); err != nil || e != nil || canonical != p {
			continue
		}
		info, err := s.driver.Stat(ctx, p)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return explain("list the quarantine", err)
		}
		if err := visit(f, info.Size(), info.ModTime()); err != nil {
			return err
		}
	}
	return nil
}
