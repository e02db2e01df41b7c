package journal

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// FileLayer holds the calls of the filesystem that durability hangs on. The
// real one is OSLayer; a test embeds that and overrides what shall fail.
type FileLayer interface {
	// OpenFile opens a file like os.OpenFile.
	OpenFile(name string, flag int, perm fs.FileMode) (LayerFile, error)
	// SyncDir makes the entries of a directory durable.
	SyncDir(name string) error
}

// LayerFile is what the journal needs of an open file; *os.File has it.
type LayerFile interface {
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

// SyncDir opens the directory, calls fsync and closes it.
func (OSLayer) SyncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
