package blobs

import (
	"os"
	"syscall"
)

// syncFileRangeWrite is SYNC_FILE_RANGE_WRITE: write, but do not wait.
const syncFileRangeWrite = 2

// startWriteback asks the kernel to begin writing a range of a file to the
// disk, so that the fsync at the end of a large upload finds little left to
// do. It is a hint: whatever fails, fsync will tell.
func startWriteback(f LayerFile, offset, length int64) {
	file, ok := f.(*os.File)
	if !ok {
		return
	}
	if raw, err := file.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = syscall.SyncFileRange(int(fd), offset, length, syncFileRangeWrite)
		})
	}
}
