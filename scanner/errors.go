package scanner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// ErrUnscannable is in the chain of an error that means that an image holds
// nothing the scanner can read, now and later; any other error may go away.
var ErrUnscannable = errors.New("the image cannot be scanned")

// layerError is a layer that is no file system.
type layerError struct {
	digest string
	err    error
}

func (e *layerError) Error() string { return fmt.Sprintf("layer %s: %v", e.digest, e.err) }
func (e *layerError) Unwrap() error { return e.err }

// explain tells why indexing failed, for people.
func explain(ctx context.Context, digest string, timeout time.Duration, err error) error {
	if _, ok := errors.AsType[*core.Error](err); ok {
		return fmt.Errorf("scan %s: %w", digest, err)
	}
	if e, ok := errors.AsType[*layerError](err); ok {
		return &core.Error{Code: core.CodePrecondition, Err: errors.Join(ErrUnscannable, e),
			Message: fmt.Sprintf("the layer %s of the image is no file system archive, so the image cannot be scanned", e.digest)}
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &core.Error{Code: core.CodeUnavailable, Err: err,
			Message: fmt.Sprintf("the scan of %s took longer than %s and was given up; scan it again when the registry is less busy", digest, timeout)}
	}
	return fmt.Errorf("scan %s: %w", digest, err)
}
