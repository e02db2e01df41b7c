package blobs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// FileLayer holds the calls of the filesystem that durability hangs on. The
// real one is OSLayer; a test embeds that and overrides what shall fail.
type FileLayer interface {
	// OpenFile opens a file like os.OpenFile.
	OpenFile(name string, flag int, perm fs.FileMode) (LayerFile, error)
	// Mkdir creates one directory whose parent exists.
	Mkdir(name string, perm fs.FileMode) error
	// Rename moves a file and replaces the one at newName, if any.
	Rename(oldName, newName string) error
	// Remove unlinks a file.
	Remove(name string) error
	// SyncDir makes the entries of a directory durable.
	SyncDir(name string) error
}

// LayerFile is what the store needs of an open file; *os.File has it.
type LayerFile interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Sync() error
}

// OSLayer is the FileLayer of the operating system.
type OSLayer struct{}

// OpenFile opens a file like os.OpenFile.
func (OSLayer) OpenFile(name string, flag int, perm fs.FileMode) (LayerFile, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Mkdir creates one directory.
func (OSLayer) Mkdir(name string, perm fs.FileMode) error { return os.Mkdir(name, perm) }

// Rename moves a file within the filesystem.
func (OSLayer) Rename(oldName, newName string) error { return os.Rename(oldName, newName) }

// Remove unlinks a file.
func (OSLayer) Remove(name string) error { return os.Remove(name) }

// SyncDir opens the directory, calls fsync and closes it.
func (OSLayer) SyncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// makeDirs creates dir and its missing parents, and makes each new name durable.
func makeDirs(layer FileLayer, dir string) error {
	err := layer.Mkdir(dir, dirPerm)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeDirs(layer, filepath.Dir(dir)); err != nil {
			return err
		}
		err = layer.Mkdir(dir, dirPerm)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return layer.SyncDir(filepath.Dir(dir))
}

// removeFile unlinks a file; an absent one is fine.
func removeFile(layer FileLayer, name string) error {
	if err := layer.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
