package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Blob is the open content of a blob. Close must be called.
type Blob interface {
	io.ReadSeekCloser
	io.ReaderAt
	// Size returns the length in bytes.
	Size() int64
	// Content returns the reader to give to http.ServeContent: an *os.File,
	// which net/http hands to sendfile.
	Content() io.ReadSeeker
}

type fileBlob struct {
	*os.File
	size int64
}

func (b *fileBlob) Size() int64            { return b.size }
func (b *fileBlob) Content() io.ReadSeeker { return b.File }

// OpenBlob opens the file of a blob for reading. An absent file is a
// core.Error with CodeNotFound.
func (s *FileStore) OpenBlob(ctx context.Context, f File) (Blob, error) {
	p, err := f.path()
	if err != nil {
		return nil, err
	}
	r, err := s.driver.Reader(ctx, p, 0)
	if isNotFound(err) {
		return nil, &core.Error{Code: core.CodeNotFound, Message: fmt.Sprintf("the content of blob %s is missing: push it again", f.Digest), Err: err}
	}
	if err != nil {
		return nil, explain("open a blob", err)
	}
	file, ok := r.(*os.File)
	if !ok {
		return nil, errors.Join(fmt.Errorf("open blob %s: the storage driver gave a %T, not a file", f.Digest, r), r.Close())
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(explain("open a blob", err), file.Close())
	}
	return &fileBlob{File: file, size: info.Size()}, nil
}

// Put stores small content, such as a manifest, as durably as an upload: when
// it returns nil, the blob survives a power cut. It checks the digest first.
func (s *FileStore) Put(ctx context.Context, f File, content []byte) error {
	target, err := f.path()
	if err != nil {
		return err
	}
	if got := f.Digest.Algorithm().FromBytes(content); got != f.Digest {
		return mismatch(f.Digest, got)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.guard.admit(len(content)); err != nil {
		return err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("put blob: %w", err)
	}
	if err := s.ready(ctx, f.Digest.Algorithm()); err != nil {
		return explain("store a blob", err)
	}
	temp := putPrefix + id.String()
	session, _ := s.sessions.claim(temp) // keeps Expire away from it
	defer s.sessions.drop(session)
	return explain("store a blob", s.put(s.full(path.Join(uploadsDir, temp)), s.full(target), content))
}

func (s *FileStore) put(temp, target string, content []byte) error {
	f, err := s.layer.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, filePerm)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(content, 0); err == nil {
		err = s.publish(f, temp, target)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, removeFile(s.layer, temp))
	}
	return nil
}

// publish gives the open file temp its final name and makes content and name
// durable, in this order: on a filesystem with a journal the commit that makes
// the content durable holds the name too, and the directory costs nothing more.
// Only then may a row name the file. A power cut before that leaves a file that
// no row knows and that may not be whole: the garbage collection removes it, and
// fsck inspects it before use.
//
// When the content could not be synced, the file is removed: its bytes cannot
// be trusted. When only the name could not, it stays: another request may have
// published the same content there with success.
func (s *FileStore) publish(f LayerFile, temp, target string) error {
	if err := s.rename(temp, target); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, removeFile(s.layer, target))
	}
	return s.layer.SyncDir(filepath.Dir(target))
}

// rename moves a file, into a folder that is made when it is not there.
func (s *FileStore) rename(temp, target string) error {
	err := s.layer.Rename(temp, target)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeDirs(s.layer, filepath.Dir(target)); err != nil {
		return err
	}
	return s.layer.Rename(temp, target)
}

// Remove unlinks the file of a blob, durably. An absent file is fine; readers
// that have it open read on.
func (s *FileStore) Remove(ctx context.Context, f File) error {
	p, err := f.path()
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	name := s.full(p)
	if err := removeFile(s.layer, name); err != nil {
		return explain("remove a blob", err)
	}
	// Also when it was absent: the one who unlinked it may not have synced.
	err = s.layer.SyncDir(filepath.Dir(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return explain("remove a blob", err)
}

// Walk calls visit for every blob file, folder by folder, and stops at its
// first error. Files that are not named like a blob are left out. Blobs that
// come or go meanwhile may or may not be seen.
func (s *FileStore) Walk(ctx context.Context, visit func(f File, size int64, modTime time.Time) error) error {
	for _, algorithm := range algorithms() {
		for _, dir := range fanOut(path.Join(blobsDir, string(algorithm))) {
			if err := s.walkDir(ctx, dir, visit); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *FileStore) walkDir(ctx context.Context, dir string, visit func(File, int64, time.Time) error) error {
	list, err := s.driver.List(ctx, dir)
	if err != nil && !isNotFound(err) {
		return explain("list the blobs", err)
	}
	for _, p := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, ok := parseFile(p)
		if !ok {
			continue
		}
		info, err := s.driver.Stat(ctx, p)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return explain("list the blobs", err)
		}
		if err := visit(f, info.Size(), info.ModTime()); err != nil {
			return err
		}
	}
	return nil
}
