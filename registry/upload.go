package registry

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"strconv"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/opencontainers/go-digest"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/blobs"
)

// startUpload opens an upload session, or ends at once where the client sends
// the whole blob (?digest=) or names a repository to mount it from.
func (q *request) startUpload() error {
	query := q.r.URL.Query()
	want := query.Get("digest")
	known, err := q.app.MayPushBlob(q.ctx(), q.caller, q.repository, want)
	if err != nil {
		return err
	}
	if mounted, err := q.mount(query.Get("mount"), query.Get("from")); mounted || err != nil {
		return err
	}
	if want != "" {
		if _, err := parseDigest(want); err != nil {
			return err
		}
	}
	upload, err := q.blobs.Begin(q.ctx(), q.repository)
	if err != nil {
		return err
	}
	defer upload.Release()
	if want == "" {
		return q.accepted(upload)
	}
	return q.finish(upload, want, known)
}

// mount links a blob from another repository. It says false where that cannot
// be done and the client has to upload.
func (q *request) mount(want, from string) (bool, error) {
	if want == "" || from == "" {
		return false, nil
	}
	d, err := parseDigest(want)
	if err != nil {
		return false, err
	}
	if checkName(from) != nil {
		return false, nil
	}
	err = q.app.MountBlob(q.ctx(), q.caller, q.repository, from, d.String())
	if core.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	q.created(d)
	return true, nil
}

// upload finds the session of the request for a caller that may push.
func (q *request) upload() (*blobs.Upload, error) {
	if err := q.app.MayPush(q.ctx(), q.caller, q.repository); err != nil {
		return nil, err
	}
	return q.session()
}

// session finds the session of the request; the caller has been authorised.
func (q *request) session() (*blobs.Upload, error) {
	upload, err := q.blobs.Upload(q.ctx(), q.repository, q.reference)
	if core.IsNotFound(err) {
		return nil, fail(errcode.ErrorCodeBlobUploadUnknown, "")
	}
	return upload, err
}

func (q *request) uploadStatus() error {
	upload, err := q.upload()
	if err != nil {
		return err
	}
	defer upload.Release()
	q.progress(upload)
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (q *request) patchUpload() error {
	upload, err := q.upload()
	if err != nil {
		return err
	}
	defer upload.Release()
	if err := q.receive(upload); err != nil {
		return err
	}
	return q.accepted(upload)
}

func (q *request) putUpload() error {
	want := q.r.URL.Query().Get("digest")
	if _, err := parseDigest(want); err != nil {
		return err
	}
	known, err := q.app.MayPushBlob(q.ctx(), q.caller, q.repository, want)
	if err != nil {
		return err
	}
	upload, err := q.session()
	if err != nil {
		return err
	}
	defer upload.Release()
	return q.finish(upload, want, known)
}

func (q *request) cancelUpload() error {
	upload, err := q.upload()
	if err != nil {
		return err
	}
	defer upload.Release()
	if err := upload.Discard(q.ctx()); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

// contentRange is the header of a chunk: "0-99", without a unit (distribution
// specification, "Pushing a blob in chunks"); some clients send the unit.
var contentRange = regexp.MustCompile(`^(?:bytes[ =])?([0-9]{1,18})-([0-9]{1,18})(?:/[0-9*]+)?$`)

// parseContentRange returns the first byte of the chunk and its length.
func parseContentRange(s string) (start, length int64, ok bool) {
	m := contentRange.FindStringSubmatch(s)
	if m == nil {
		return 0, 0, false
	}
	start, err := strconv.ParseInt(m[1], 10, 64)
	end, err2 := strconv.ParseInt(m[2], 10, 64)
	if err != nil || err2 != nil || end < start {
		return 0, 0, false
	}
	return start, end - start + 1, true
}

// receive appends the body to the session. A chunk that does not follow on what
// is there is refused with 416, and what is there stays.
func (q *request) receive(upload *blobs.Upload) error {
	limit := int64(math.MaxInt64)
	if header := q.r.Header.Get("Content-Range"); header != "" {
		start, length, ok := parseContentRange(header)
		if !ok || start != upload.Size() || (q.r.ContentLength >= 0 && q.r.ContentLength != length) {
			q.progress(upload)
			return fail(errcode.ErrorCodeRangeInvalid, "the chunk %q does not follow on the %d bytes received so far; continue at that offset", core.Clip(header, 64), upload.Size()).withStatus(http.StatusRequestedRangeNotSatisfiable)
		}
		limit = length
	}
	_, err := upload.Append(q.ctx(), q.r.Body, limit)
	if core.ErrorCode(err) == core.CodeBadRequest {
		return fail(errcode.ErrorCodeBlobUploadInvalid, "%s", core.ErrorMessage(err)).withStatus(http.StatusBadRequest)
	}
	return err
}

// finish appends what the request carries and makes the session a blob; known
// says that the registry may have it already.
func (q *request) finish(upload *blobs.Upload, want string, known bool) error {
	if q.r.ContentLength != 0 {
		if err := q.receive(upload); err != nil {
			return err
		}
	}
	d := digest.Digest(want)
	if err := upload.Verify(q.ctx(), d); err != nil {
		return err
	}
	linked, err := q.keep(core.Blob{Digest: want, Size: upload.Size()}, known, func(f blobs.File) error { return upload.Commit(q.ctx(), f) })
	if err == nil && linked {
		err = upload.Discard(q.ctx())
	}
	if err != nil {
		return err
	}
	q.created(d)
	return nil
}

// keep gives a blob whose bytes are here to the repository: as a link where the
// registry has the blob already, which known says may be, else as a file of its
// own that write makes.
func (q *request) keep(blob core.Blob, known bool, write func(blobs.File) error) (linked bool, err error) {
	if known {
		if linked, err := q.app.LinkExisting(q.ctx(), q.caller, q.repository, blob); linked || err != nil {
			return linked, err
		}
	}
	generation, written := q.generations.next()
	defer written()
	blob.Generation = generation
	if err := write(fileOf(blob)); err != nil {
		return false, err
	}
	used, err := q.app.LinkBlob(q.ctx(), q.caller, q.repository, blob)
	return false, q.disown(blob, used, err)
}

// disown removes a file that the database did not take. After an error whose
// outcome is unknown the file stays, for the garbage collection to judge.
func (q *request) disown(blob core.Blob, used bool, err error) error {
	if used || (err != nil && problemOf(err).status >= http.StatusInternalServerError) {
		return err
	}
	return errors.Join(err, q.blobs.Remove(q.ctx(), fileOf(blob)))
}

// created answers that the blob is in the repository.
func (q *request) created(d digest.Digest) {
	h := q.w.Header()
	h.Set("Location", "/v2/"+q.repository+"/blobs/"+d.String())
	h.Set("Docker-Content-Digest", d.String())
	q.w.WriteHeader(http.StatusCreated)
}

func (q *request) accepted(upload *blobs.Upload) error {
	q.progress(upload)
	q.w.WriteHeader(http.StatusAccepted)
	return nil
}

// progress tells where the session is and how much has arrived.
func (q *request) progress(upload *blobs.Upload) {
	h := q.w.Header()
	h.Set("Location", "/v2/"+q.repository+"/blobs/uploads/"+upload.ID())
	h.Set("Range", fmt.Sprintf("0-%d", max(upload.Size()-1, 0)))
	h.Set("Docker-Upload-UUID", upload.ID())
}
