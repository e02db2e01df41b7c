package main

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/breakwater-registry/breakwater/internal/config"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/disk"
)

// bundleFolder is where bundles of CVE feeds wait to be imported.
type bundleFolder struct {
	path string
	room func() error // says why nothing more may be stored
}

// newBundleFolder is the folder within the data folder. room says why nothing
// more may be stored.
func newBundleFolder(data string, room func() error) bundleFolder {
	return bundleFolder{filepath.Join(data, "feeds", "import"), room}
}

// spaceOf says why nothing more may be stored, for a process that has not opened
// the registry's files.
func spaceOf(cfg config.Config) func() error {
	return func() error {
		total, free, err := disk.Space(cfg.Data)
		if err == nil && free < cfg.DiskReserve.Of(total) {
			err = core.Errorf(core.CodeNoSpace, "the registry's disk is nearly full; free space, enlarge it or lower disk-reserve")
		}
		return err
	}
}

const (
	// maxBundle bounds a bundle in bytes; all feeds together have some hundred
	// megabytes.
	maxBundle = 64 << 30
	// roomPiece is after how many bytes room is asked again.
	roomPiece = 16 << 20
	// bundlesKept is how long a bundle lies that no job has removed.
	bundlesKept = 7 * 24 * time.Hour
)

var bundleNames = regexp.MustCompile(`^import-[A-Z0-9]+$`)

// find returns the path of a kept bundle.
func (f bundleFolder) find(name string) (string, error) {
	if !bundleNames.MatchString(name) {
		return "", core.Errorf(core.CodeBadRequest, "%q is not the name of an uploaded bundle", core.Clip(name, 64))
	}
	path := filepath.Join(f.path, name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", core.Errorf(core.CodeNotFound, "the uploaded bundle is not there any more; upload it again")
	} else if err != nil {
		return "", err
	}
	return path, nil
}

// Keep implements web.Uploads.
func (f bundleFolder) Keep(r io.Reader) (name string, err error) {
	if err := os.MkdirAll(f.path, 0o700); err != nil {
		return "", err
	}
	name = "import-" + rand.Text()
	part, err := os.OpenFile(filepath.Join(f.path, name+".part"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	err = f.copy(part, r)
	if err == nil {
		err = errors.Join(f.own(part), part.Sync())
	}
	if err = errors.Join(err, part.Close()); err != nil {
		return "", errors.Join(err, os.Remove(part.Name()))
	}
	return name, os.Rename(part.Name(), filepath.Join(f.path, name))
}

func (f bundleFolder) copy(part *os.File, r io.Reader) error {
	for total := int64(0); ; {
		if err := f.room(); err != nil {
			return err
		}
		n, err := io.CopyN(part, r, roomPiece)
		total += n
		switch {
		case errors.Is(err, io.EOF) && total == 0:
			return core.Errorf(core.CodeBadRequest, "the file is empty")
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case total > maxBundle:
			return core.Errorf(core.CodeTooLarge, "the file has more than %d bytes", int64(maxBundle))
		}
	}
}

// own gives a file that an administrator brings at the command line to the
// account that the registry runs as.
func (f bundleFolder) own(part *os.File) error {
	info, err := os.Stat(filepath.Dir(filepath.Dir(f.path)))
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return errors.Join(part.Chown(int(owner.Uid), int(owner.Gid)), os.Chown(f.path, int(owner.Uid), int(owner.Gid)),
		os.Chown(filepath.Dir(f.path), int(owner.Uid), int(owner.Gid)))
}

// Discard implements web.Uploads.
func (f bundleFolder) Discard(name string) error {
	if !bundleNames.MatchString(name) {
		return core.Errorf(core.CodeBadRequest, "%q is not the name of an uploaded bundle", core.Clip(name, 64))
	}
	if err := os.Remove(filepath.Join(f.path, name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// expire removes what was left behind.
func (f bundleFolder) expire(now time.Time) error {
	entries, err := os.ReadDir(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		info, e := entry.Info()
		if e == nil && strings.HasPrefix(entry.Name(), "import-") && now.Sub(info.ModTime()) > bundlesKept {
			e = os.Remove(filepath.Join(f.path, entry.Name()))
		}
		err = errors.Join(err, e)
	}
	return err
}
