package web

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// maxBody bounds the body of every request of the API, in bytes.
const maxBody = 1 << 20

// bind reads the JSON body into dst, a pointer. Fields that dst does not have
// are ignored, as in Harbor. A body above 1 MiB is CodeTooLarge; invalid UTF-8,
// a key given twice, null, or anything after the value is CodeBadRequest: what
// two readers could understand in two ways is not accepted at all.
func bind(c echo.Context, dst any) error {
	body, err := io.ReadAll(c.Request().Body) // bounded by the middleware
	if err != nil {
		return bodyError(err)
	}
	if err := core.CheckJSON(body); err != nil {
		return core.Errorf(core.CodeBadRequest, "the request body cannot be used: %s", err)
	}
	if err := json.Unmarshal(body, dst); err != nil {
		return jsonError(err)
	}
	return nil
}

func bodyError(err error) error {
	if status, _ := describe(err); status < 500 {
		return err
	}
	return &core.Error{Code: core.CodeBadRequest, Message: "the request body could not be read; send it again", Err: err}
}

// jsonError tells which field is of the wrong type, without Go's words.
func jsonError(err error) error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field != "" {
		return core.Errorf(core.CodeBadRequest, "the field %q of the request body must not be a %s", core.Clip(e.Field, 64), e.Value)
	}
	return &core.Error{Code: core.CodeBadRequest, Message: "the request body does not have the expected form", Err: err}
}
