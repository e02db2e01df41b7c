package blobs

import "syscall"

// euclean is how ext4 and XFS tell that their own structures are damaged.
const euclean = syscall.EUCLEAN
