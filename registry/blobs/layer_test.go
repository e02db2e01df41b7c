package blobs_test

import (
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/breakwater-registry/breakwater/registry/blobs"
)

// spyLayer records the calls that change the disk and fails those that fail
// names. An operation reads "sync uploads", the call and the entry's folder.
type spyLayer struct {
	blobs.OSLayer
	mu   sync.Mutex
	ops  []string
	open int // files open now
	fail func(op, name string) error
}

func (l *spyLayer) do(op, name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ops = append(l.ops, op)
	if l.fail == nil {
		return nil
	}
	return l.fail(op, name)
}

func (l *spyLayer) setFail(fail func(op, name string) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = fail
}

// failOn makes every later call of op fail with err.
func (l *spyLayer) failOn(op string, err error) {
	l.setFail(func(got, _ string) error {
		if got == op {
			return err
		}
		return nil
	})
}

// take returns the operations since the last take.
func (l *spyLayer) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	ops := l.ops
	l.ops = nil
	return ops
}

func (l *spyLayer) OpenFile(name string, flag int, perm fs.FileMode) (blobs.LayerFile, error) {
	if err := l.do("open", name); err != nil {
		return nil, err
	}
	f, err := l.OSLayer.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	l.count(1)
	return &spyFile{LayerFile: f, layer: l, name: name}, nil
}

// count adds n to the number of open files and returns it.
func (l *spyLayer) count(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open += n
	return l.open
}

func (l *spyLayer) Mkdir(name string, perm fs.FileMode) error {
	if err := l.do("mkdir", name); err != nil {
		return err
	}
	return l.OSLayer.Mkdir(name, perm)
}

func (l *spyLayer) Rename(oldName, newName string) error {
	if err := l.do("rename", newName); err != nil {
		return err
	}
	return l.OSLayer.Rename(oldName, newName)
}

func (l *spyLayer) Remove(name string) error {
	if err := l.do("remove", name); err != nil {
		return err
	}
	return l.OSLayer.Remove(name)
}

func (l *spyLayer) SyncDir(name string) error {
	if err := l.do("syncdir "+filepath.Base(name), name); err != nil {
		return err
	}
	return l.OSLayer.SyncDir(name)
}

type spyFile struct {
	blobs.LayerFile
	layer *spyLayer
	name  string
}

// WriteAt writes half of p before it fails, as a full disk does.
func (f *spyFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.layer.do("write", f.name); err != nil {
		n, _ := f.LayerFile.WriteAt(p[:len(p)/2], off)
		return n, err
	}
	return f.LayerFile.WriteAt(p, off)
}

func (f *spyFile) Truncate(size int64) error {
	if err := f.layer.do("truncate", f.name); err != nil {
		return err
	}
	return f.LayerFile.Truncate(size)
}

func (f *spyFile) Sync() error {
	if err := f.layer.do("sync", f.name); err != nil {
		return err
	}
	return f.LayerFile.Sync()
}

func (f *spyFile) Close() error {
	f.layer.count(-1)
	return f.LayerFile.Close()
}
