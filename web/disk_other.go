//go:build !linux && !darwin

package web

import "errors"

// diskSpace is not known on this system.
func diskSpace(dir string) (total, free uint64, err error) {
	return 0, 0, diskError(dir, errors.ErrUnsupported)
}
