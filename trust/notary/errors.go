package notary

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/theupdateframework/notary/tuf/validation"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

// problem is an answer in notary's error envelope, with the codes of its
// package server/errors.
type problem struct {
	status  int
	code    string
	message string
	detail  any
}

// Error returns the code and the message.
func (p *problem) Error() string { return p.code + ": " + p.message }

var (
	errNotFound    = &problem{http.StatusNotFound, "METADATA_NOT_FOUND", "You have requested metadata that does not exist.", nil}
	errMalformed   = &problem{http.StatusBadRequest, "MALFORMED_UPLOAD", "The body of your request is malformed.", nil}
	errNoFilename  = &problem{http.StatusBadRequest, "NO_FILENAME", "No file/role name provided.", nil}
	errBusy        = &problem{http.StatusServiceUnavailable, "UNAVAILABLE", "Many trust updates are being checked at the moment; try again in a minute.", nil}
	errMethod      = &problem{http.StatusMethodNotAllowed, "UNSUPPORTED", "This path does not take such requests.", nil}
	errTooLarge    = &problem{http.StatusRequestEntityTooLarge, "SIZE_INVALID", "The trust data is too large.", nil}
	errInternal    = &problem{http.StatusInternalServerError, "UNKNOWN", "internal server error", nil}
	errInvalidRole = &problem{http.StatusBadRequest, "INVALID_ROLE", "The role you are attempting to operate on is invalid.", nil}
)

// withDetail is a copy with a detail.
func (p problem) withDetail(detail any) *problem {
	p.detail = detail
	return &p
}

// invalid is an update that is refused. Clients show the detail's text to their
// users when the status is 400.
func invalid(err error) *problem {
	return told("INVALID_UPDATE", "Update sent by the client is invalid.", err)
}

// oldVersion is an update that came too late.
func oldVersion(message string) *problem {
	return told("VERSION", "A newer version of metadata is already available.", validation.ErrValidation{Msg: message})
}

func told(code, message string, err error) *problem {
	detail, other := validation.NewSerializableError(err)
	if other != nil {
		detail, _ = validation.NewSerializableError(validation.ErrValidation{Msg: core.ErrorMessage(err)})
	}
	return &problem{http.StatusBadRequest, code, message, detail}
}

// problemOf translates any error. limited says that the caller came with a token,
// which another one may mend.
func problemOf(err error, limited bool) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if errors.Is(err, app.ErrTUFMoved) {
		return oldVersion("others keep publishing at the same time; try again")
	}
	message := core.ErrorMessage(err)
	switch core.ErrorCode(err) {
	case core.CodeUnauthorized:
		return &problem{http.StatusUnauthorized, "UNAUTHORIZED", message, nil}
	case core.CodeForbidden:
		if limited {
			return &problem{http.StatusUnauthorized, "UNAUTHORIZED", message, nil}
		}
		return &problem{http.StatusForbidden, "DENIED", message, nil}
	case core.CodeNotFound:
		return errNotFound
	case core.CodeBadRequest:
		return told("INVALID_GUN", message, err)
	case core.CodeDenied:
		return told("DENIED", message, err)
	case core.CodeTooLarge:
		return &problem{http.StatusRequestEntityTooLarge, "SIZE_INVALID", message, nil}
	case core.CodeUnavailable:
		return &problem{http.StatusServiceUnavailable, "UNAVAILABLE", message, nil}
	case core.CodeNoSpace:
		return &problem{http.StatusInsufficientStorage, "UNAVAILABLE", message, nil}
	case core.CodeTooManyRequests:
		return &problem{http.StatusTooManyRequests, "TOOMANYREQUESTS", message, nil}
	}
	return errInternal
}

type wireError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Detail  any    `json:"detail,omitempty"`
}

func (p *problem) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(map[string][]wireError{"errors": {{p.code, p.message, p.detail}}}) // a client that hung up needs no answer
}
