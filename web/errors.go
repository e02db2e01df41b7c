package web

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// statuses maps error codes to HTTP as Harbor does (src/lib/http/error.go).
var statuses = map[core.Code]int{
	core.CodeBadRequest:      http.StatusBadRequest,
	core.CodeUnauthorized:    http.StatusUnauthorized,
	core.CodeForbidden:       http.StatusForbidden,
	core.CodeDenied:          http.StatusForbidden,
	core.CodeNotFound:        http.StatusNotFound,
	core.CodeConflict:        http.StatusConflict,
	core.CodePrecondition:    http.StatusPreconditionFailed,
	core.CodeTooLarge:        http.StatusRequestEntityTooLarge,
	core.CodeTooManyRequests: http.StatusTooManyRequests,
	core.CodeUnavailable:     http.StatusServiceUnavailable,
	core.CodeNoSpace:         http.StatusInsufficientStorage,
	core.CodePolicyViolation: http.StatusPreconditionFailed,
	core.CodeInternal:        http.StatusInternalServerError,
}

// envelope is Harbor's error body.
type envelope struct {
	Errors []envelopeError `json:"errors"`
}

type envelopeError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// codeMethodNotAllowed is the one code that only HTTP has.
const codeMethodNotAllowed = "METHOD_NOT_ALLOWED"

// writeError is echo's error handler: the one place that turns errors into
// answers. Server errors go to the log with their cause, and never to the client.
func (h *api) writeError(err error, c echo.Context) {
	if c.Response().Committed || errors.Is(err, context.Canceled) && c.Request().Context().Err() != nil {
		return // it is too late, or nobody is there to read it
	}
	status, body := describe(err)
	if status >= http.StatusInternalServerError {
		h.deps.Log.ErrorContext(c.Request().Context(), "request failed", "method", c.Request().Method, "route", c.Path(), "error", err)
	}
	page := wantsPage(c)
	if status == http.StatusUnauthorized && !page && wantsChallenge(c.Request()) {
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, `Basic realm="breakwater"`)
	}
	if late, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		setRetryAfter(c, late.RetryAfter())
	}
	answer := respond
	if page {
		answer = h.errorPage
	}
	if err := answer(c, status, body); err != nil {
		h.deps.Log.DebugContext(c.Request().Context(), "an error could not be sent", "error", err)
	}
}

func setRetryAfter(c echo.Context, after time.Duration) {
	c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(int(math.Ceil(after.Seconds()))))
}

func respond(c echo.Context, status int, body envelope) error {
	if c.Request().Method == http.MethodHead {
		return c.NoContent(status)
	}
	c.Response().Header().Set(echo.HeaderContentType, "application/json; charset=utf-8")
	return c.JSON(status, body)
}

// describe returns the status of err and what a client may read about it.
func describe(err error) (int, envelope) {
	if e, ok := errors.AsType[*echo.HTTPError](err); ok {
		return describeHTTP(e.Code)
	}
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		err = core.Errorf(core.CodeTooLarge, "the request body is larger than %d bytes", e.Limit)
	}
	code := core.ErrorCode(err)
	status, ok := statuses[code]
	if !ok {
		status = http.StatusInternalServerError
	}
	return status, newEnvelope(string(code), core.ErrorMessage(err))
}

// describeHTTP is for the errors that echo itself makes.
func describeHTTP(status int) (int, envelope) {
	switch status {
	case http.StatusNotFound:
		return status, newEnvelope(string(core.CodeNotFound), "there is nothing at this path")
	case http.StatusMethodNotAllowed:
		return status, newEnvelope(codeMethodNotAllowed, "this path does not answer to that method")
	}
	return http.StatusInternalServerError, newEnvelope(string(core.CodeInternal), "internal server error")
}

func newEnvelope(code, message string) envelope {
	return envelope{[]envelopeError{{code, message}}}
}

// wantsChallenge says whether a 401 may carry a challenge: to a script of our
// own pages it would make the browser show its password box.
func wantsChallenge(r *http.Request) bool {
	return r.Header.Get("X-Requested-With") == "" && !strings.EqualFold(r.Header.Get("Sec-Fetch-Site"), "same-origin")
}

// cutOff is the end of an answer of many parts. An error after its begin breaks
// the connection: that is the one way to tell the client that rows are missing.
func (h *api) cutOff(c echo.Context, what string, err error) error {
	if err != nil && c.Response().Committed {
		h.deps.Log.ErrorContext(c.Request().Context(), what+" was cut off", "error", err)
		panic(http.ErrAbortHandler)
	}
	return err
}
