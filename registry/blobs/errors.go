package blobs

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/opencontainers/go-digest"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// ErrDigestMismatch says that content does not have the digest it was
// announced with. It arrives as the cause of a core.Error with CodeBadRequest.
type ErrDigestMismatch struct {
	Want digest.Digest // what the client announced
	Got  digest.Digest // what the bytes have, in the same algorithm
}

// Error names both digests.
func (e *ErrDigestMismatch) Error() string {
	return fmt.Sprintf("content has digest %s, not %s", e.Got, e.Want)
}

func mismatch(want, got digest.Digest) error {
	return &core.Error{
		Code:    core.CodeBadRequest,
		Message: fmt.Sprintf("the content does not match its digest (announced %s, received %s): send it again in a new upload", want, got),
		Err:     &ErrDigestMismatch{Want: want, Got: got},
	}
}

func unknownUpload() error {
	return core.Errorf(core.CodeNotFound, "this upload does not exist in this repository or has ended: start a new upload")
}

func busyUpload(id string) error {
	return core.Errorf(core.CodeConflict, "upload %s is in use by another request: wait for its end, then ask for the offset and continue there", id)
}

// explain turns an error of the filesystem into one that a user can act on.
// doing completes "could not ...".
func explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*core.Error](err); ok {
		return err
	}
	err = fmt.Errorf("could not %s: %w", doing, detail(err))
	code, message := classify(err)
	if code == "" {
		return err
	}
	return &core.Error{Code: code, Message: message, Err: err}
}

// detail digs the cause out of storagedriver.Error, which has no Unwrap.
func detail(err error) error {
	if e, ok := errors.AsType[storagedriver.Error](err); ok {
		return e.Detail
	}
	return err
}

func classify(err error) (core.Code, string) {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return core.CodeNoSpace, "the registry's disk is full and nothing more can be stored: an administrator must free space, then try again"
	case errors.Is(err, syscall.EROFS):
		return core.CodeUnavailable, "the registry's storage is read-only: an administrator must make it writable, then try again"
	case errors.Is(err, syscall.EIO):
		return core.CodeUnavailable, "the registry's storage reports a disk error: an administrator must check the disk, then try again"
	case errors.Is(err, fs.ErrPermission):
		return core.CodeUnavailable, "the registry may not access its own storage: an administrator must correct owner and mode of the data folder, then try again"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return core.CodeUnavailable, "the registry has too many files open: try again later"
	}
	return "", ""
}

func isNotFound(err error) bool {
	if _, ok := errors.AsType[storagedriver.PathNotFoundError](err); ok {
		return true
	}
	return errors.Is(err, fs.ErrNotExist)
}
