//go:build linux || darwin

// Package disk asks the operating system about filesystems.
package disk

import (
	"fmt"
	"syscall"
)

// Space returns the size of the filesystem that holds dir, without the blocks that
// it keeps for root, and what of it this process may still fill, in bytes: what
// df reckons its percentage from.
func Space(dir string) (total, free uint64, err error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	size := uint64(fs.Bsize) //nolint:unconvert // its type differs between systems
	return (fs.Blocks - fs.Bfree + fs.Bavail) * size, fs.Bavail * size, nil
}
