package journal_test

import (
	"io/fs"

	"github.com/breakwater-registry/breakwater/registry/journal"
)

// spyLayer counts the calls that change the disk and fails those that fail
// names: open, write, truncate, sync, syncdir.
type spyLayer struct {
	journal.OSLayer
	calls map[string]int
	fail  map[string]error
}

func newSpy() *spyLayer { return &spyLayer{calls: map[string]int{}, fail: map[string]error{}} }

func (l *spyLayer) do(op string) error {
	l.calls[op]++
	return l.fail[op]
}

func (l *spyLayer) OpenFile(name string, flag int, perm fs.FileMode) (journal.LayerFile, error) {
	if err := l.do("open"); err != nil {
		return nil, err
	}
	f, err := l.OSLayer.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &spyFile{f, l}, nil
}

func (l *spyLayer) SyncDir(name string) error {
	if err := l.do("syncdir"); err != nil {
		return err
	}
	return l.OSLayer.SyncDir(name)
}

type spyFile struct {
	journal.LayerFile
	layer *spyLayer
}

// WriteAt writes half of p before it fails, as a full disk does.
func (f *spyFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.layer.do("write"); err != nil {
		n, _ := f.LayerFile.WriteAt(p[:len(p)/2], off)
		return n, err
	}
	return f.LayerFile.WriteAt(p, off)
}

func (f *spyFile) Truncate(size int64) error {
	if err := f.layer.do("truncate"); err != nil {
		return err
	}
	return f.LayerFile.Truncate(size)
}

// Sync fails only the first time when "once" is set.
func (f *spyFile) Sync() error {
	if err := f.layer.do("sync"); err != nil {
		if f.layer.fail["once"] != nil {
			delete(f.layer.fail, "sync")
		}
		return err
	}
	return f.LayerFile.Sync()
}
