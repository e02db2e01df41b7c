package core

import (
	"errors"
	"fmt"
)

// Code classifies an error for every transport. The words are Harbor's error
// codes (src/lib/errors), so that the REST envelope needs no translation.
type Code string

// The error codes of the product. web maps each to one HTTP status and the
// registry to one code of the distribution spec.
const (
	CodeBadRequest      Code = "BAD_REQUEST"
	CodeUnauthorized    Code = "UNAUTHORIZED"
	CodeForbidden       Code = "FORBIDDEN"
	CodeDenied          Code = "DENIED"
	CodeNotFound        Code = "NOT_FOUND"
	CodeConflict        Code = "CONFLICT"
	CodePrecondition    Code = "PRECONDITION"
	CodeTooLarge        Code = "REQUEST_ENTITY_TOO_LARGE"
	CodeTooManyRequests Code = "TOO_MANY_REQUEST"
	CodeUnavailable     Code = "SERVICE_UNAVAILABLE"
	CodeNoSpace         Code = "INSUFFICIENT_STORAGE"
	CodePolicyViolation Code = "PROJECTPOLICYVIOLATION"
	CodeInternal        Code = "UNKNOWN"
)

// Error is an error that a user may see: Message says what happened and what
// to do next. Err, if any, is the cause; it goes to the log and never to the user.
type Error struct {
	Code    Code
	Message string
	Err     error
}

// Error returns the message, followed by the cause when there is one.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error whose message is formatted as by fmt.Sprintf.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// ErrorCode returns the code of the first Error in err's chain, CodeInternal
// for any other error and "" for nil.
func ErrorCode(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// ErrorMessage returns what a user may read about err. Foreign errors carry
// details of the house, so they read "internal server error".
func ErrorMessage(err error) string {
	if e, ok := errors.AsType[*Error](err); ok && e.Code != CodeInternal {
		return e.Message
	}
	return "internal server error"
}

// IsNotFound says whether err means that an object is absent.
func IsNotFound(err error) bool { return ErrorCode(err) == CodeNotFound }
