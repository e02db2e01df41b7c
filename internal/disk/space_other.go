//go:build !linux && !darwin

// Package disk asks the operating system about filesystems.
package disk

import (
	"errors"
	"fmt"
)

// Space is not known on this system.
func Space(dir string) (total, free uint64, err error) {
	return 0, 0, fmt.Errorf("free space of %s: %w", dir, errors.ErrUnsupported)
}
