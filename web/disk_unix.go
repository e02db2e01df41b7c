//go:build linux || darwin

package web

import "syscall"

// diskSpace returns the size of the file system that holds dir, and what of it
// the server may still fill, in bytes.
func diskSpace(dir string) (total, free uint64, err error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, 0, diskError(dir, err)
	}
	size := uint64(fs.Bsize) //nolint:unconvert // its type differs between systems
	return fs.Blocks * size, fs.Bavail * size, nil
}
