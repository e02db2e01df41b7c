package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/distribution/distribution/v3/registry/api/errcode"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/blobs"
)

// problem is an answer in the error envelope of the distribution
// specification (section "Error Codes").
type problem struct {
	status  int
	code    string
	message string
	detail  any
	after   time.Duration // how long to wait before the next try; 0 says nothing
}

// Error returns the code and the message.
func (p *problem) Error() string { return p.code + ": " + p.message }

// fail makes the problem of a registered code. Without a format the message is
// the one that the specification gives.
func fail(code errcode.ErrorCode, format string, args ...any) *problem {
	d := code.Descriptor()
	p := &problem{status: d.HTTPStatusCode, code: d.Value, message: d.Message}
	if format != "" {
		p.message = fmt.Sprintf(format, args...)
	}
	return p
}

// withStatus changes the HTTP status that the code stands for.
func (p *problem) withStatus(status int) *problem {
	p.status = status
	return p
}

// notFound says which code an absent object has on this route.
func notFound(err error, code errcode.ErrorCode, what string) error {
	if errors.Is(err, app.ErrDamaged) {
		return fail(code, "%s is damaged; push it again", what)
	}
	if core.IsNotFound(err) {
		return fail(code, "%s is not in this repository", what)
	}
	return err
}

// lost says which code content has on this route that is known, but without a file.
func lost(err error, code errcode.ErrorCode) error {
	if core.IsNotFound(err) {
		return fail(code, "%s", core.ErrorMessage(err))
	}
	return err
}

// problemOf translates any error. Foreign ones tell nothing of the house.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if e, ok := errors.AsType[*app.MissingContentError](err); ok {
		p := fail(errcode.ErrorCodeManifestBlobUnknown, "%s", e.Error()).withStatus(http.StatusNotFound)
		p.detail = map[string]string{"digest": e.Digest}
		return p
	}
	if e, ok := errors.AsType[*blobs.ErrDigestMismatch](err); ok {
		return fail(errcode.ErrorCodeDigestInvalid, "%s", e.Error())
	}
	p := problemOfCode(core.ErrorCode(err), core.ErrorMessage(err))
	if late, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		p.after = late.RetryAfter()
	}
	return p
}

// problemOfCode maps the codes of the use cases to those of the specification.
func problemOfCode(code core.Code, message string) *problem {
	switch code {
	case core.CodeUnauthorized:
		return fail(errcode.ErrorCodeUnauthorized, "%s", message)
	case core.CodeForbidden:
		// The very words docker shows, and the same for what is hidden and
		// what does not exist.
		return fail(errcode.ErrorCodeDenied, "").withStatus(http.StatusForbidden)
	case core.CodeDenied:
		return fail(errcode.ErrorCodeDenied, "%s", message).withStatus(http.StatusForbidden)
	case core.CodeNotFound:
		return fail(errcode.ErrorCodeNameUnknown, "%s", message)
	case core.CodeBadRequest:
		return fail(errcode.ErrorCodeNameInvalid, "%s", message)
	case core.CodeConflict:
		return fail(errcode.ErrorCodeDenied, "%s", message).withStatus(http.StatusConflict)
	case core.CodePrecondition, core.CodePolicyViolation:
		return &problem{status: http.StatusPreconditionFailed, code: string(code), message: message}
	case core.CodeTooLarge:
		return fail(errcode.ErrorCodeSizeInvalid, "%s", message).withStatus(http.StatusRequestEntityTooLarge)
	case core.CodeTooManyRequests:
		return fail(errcode.ErrorCodeTooManyRequests, "%s", message)
	case core.CodeUnavailable:
		return fail(errcode.ErrorCodeUnavailable, "%s", message)
	case core.CodeNoSpace:
		return fail(errcode.ErrorCodeUnavailable, "%s", message).withStatus(http.StatusInsufficientStorage)
	}
	return fail(errcode.ErrorCodeUnknown, "internal server error").withStatus(http.StatusInternalServerError)
}

type wireError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Detail  any    `json:"detail,omitempty"`
}

func (p *problem) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	if p.after > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.after.Seconds()))))
	}
	w.WriteHeader(p.status)
	body := map[string][]wireError{"errors": {{p.code, p.message, p.detail}}}
	_ = json.NewEncoder(w).Encode(body) // a client that hung up needs no answer
}
