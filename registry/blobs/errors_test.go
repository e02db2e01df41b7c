package blobs

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"

	"github.com/breakwater-registry/breakwater/internal/core"
)

func TestExplain(t *testing.T) {
	full := &os.PathError{Op: "write", Path: "/secret/place", Err: syscall.ENOSPC}
	for _, test := range []struct {
		err  error
		code core.Code
		text string
	}{
		{full, core.CodeNoSpace, "disk is full"},
		{storagedriver.Error{DriverName: "filesystem", Detail: full}, core.CodeNoSpace, "disk is full"},
		{errors.Join(errors.New("close"), syscall.EROFS), core.CodeUnavailable, "read-only"},
		{syscall.EMFILE, core.CodeUnavailable, "too many files"},
		{core.Errorf(core.CodeConflict, "mine"), core.CodeConflict, "mine"},
		{errors.New("strange"), core.CodeInternal, "internal server error"},
	} {
		err := explain("do it", test.err)
		message := core.ErrorMessage(err)
		if core.ErrorCode(err) != test.code || !strings.Contains(message, test.text) || strings.Contains(message, "secret") {
			t.Errorf("%v: %q, %q", test.err, core.ErrorCode(err), message)
		}
	}
	if err := explain("do it", nil); err != nil {
		t.Error(err)
	}
}
