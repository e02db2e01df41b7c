package notary

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"
	"github.com/theupdateframework/notary/tuf/data"
	"github.com/theupdateframework/notary/tuf/validation"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

const (
	// maxUpload bounds the body of an update.
	maxUpload = 8 << 20
	// maxTries is how often an update is judged because another one was first:
	// once for each of those that may have arrived with it.
	maxTries = maxUploads
)

// silence keeps the TUF packages from writing lines of their own: what they
// complain about is told to the client.
func silence() { logrus.SetOutput(io.Discard) }

// update takes the files of an update, judges them and publishes what they make.
func (q *request) update() error {
	if err := q.app.MaySign(q.ctx(), q.caller, q.gun); err != nil {
		return err
	}
	if err := q.space(); err != nil {
		return err
	}
	release, err := enter(q, q.uploads)
	if err != nil {
		return err
	}
	defer release()
	uploaded, err := q.readUpload()
	if err != nil {
		return err
	}
	done, err := enter(q, q.judging)
	if err != nil {
		return err
	}
	defer done()
	for range maxTries {
		if err = q.publish(uploaded); !errors.Is(err, app.ErrTUFMoved) {
			break
		}
	}
	return err
}

// enter takes a place, waiting for one as long as the client does.
func enter(q *request, places chan struct{}) (leave func(), err error) {
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-q.ctx().Done():
		return nil, errBusy
	}
}

func (q *request) publish(uploaded []core.TUFFile) error {
	state, err := q.app.TUFState(q.ctx(), q.caller, q.gun)
	if err != nil {
		return err
	}
	update, err := judgeUpdate(state, uploaded, q.box, q.lives)
	if err != nil {
		return refusal(err)
	}
	return q.app.PublishTUF(q.ctx(), q.caller, q.gun, update)
}

// refusal makes an error of the judgement one for clients. What is not about the
// update stays hidden.
func refusal(err error) error {
	if _, other := validation.NewSerializableError(err); other == nil {
		return invalid(err)
	}
	return err
}

// readUpload reads the parts of the body. The role is the whole name of a part's
// file: multipart's FileName would cut "targets/alice" to "alice".
func (q *request) readUpload() ([]core.TUFFile, error) {
	q.r.Body = http.MaxBytesReader(q.w, q.r.Body, maxUpload)
	reader, err := q.r.MultipartReader()
	if err != nil {
		return nil, errMalformed
	}
	var uploaded []core.TUFFile
	for {
		part, err := reader.NextRawPart()
		if err == io.EOF {
			return uploaded, checkUpload(uploaded)
		}
		if err != nil {
			return nil, unreadable(err)
		}
		file, err := readPart(part)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(uploaded, func(f core.TUFFile) bool { return f.Role == file.Role }) {
			return nil, invalid(validation.ErrValidation{Msg: file.Role + " is there twice"})
		}
		uploaded = append(uploaded, file)
	}
}

func readPart(part *multipart.Part) (core.TUFFile, error) {
	_, parameters, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	role := strings.TrimSuffix(parameters["filename"], ".json")
	switch {
	case err != nil || role == "":
		return core.TUFFile{}, errNoFilename
	case !data.ValidRole(data.RoleName(role)) || role == timestamp: // which only the registry signs
		return core.TUFFile{}, errInvalidRole.withDetail(core.Clip(role, 255))
	}
	content, err := io.ReadAll(part)
	if err != nil {
		return core.TUFFile{}, unreadable(err)
	}
	file, err := readFile(role, content)
	if err != nil {
		return file, invalid(blame(role, err))
	}
	return file, nil
}

func unreadable(err error) error {
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return errTooLarge.withDetail(fmt.Sprintf("an update must not have more than %d bytes", maxUpload))
	}
	return errMalformed
}

func checkUpload(uploaded []core.TUFFile) error {
	if len(uploaded) == 0 {
		return errMalformed
	}
	return nil
}
