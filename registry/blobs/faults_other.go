//go:build !linux

package blobs

import "syscall"

// euclean is Linux's; elsewhere a damaged filesystem is an I/O error.
const euclean = syscall.EIO
