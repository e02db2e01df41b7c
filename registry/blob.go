package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/opencontainers/go-digest"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/blobs"
)

// fileOf is where the bytes of b are.
func fileOf(b core.Blob) blobs.File {
	return blobs.File{Digest: digest.Digest(b.Digest), Generation: b.Generation}
}

// Content reads blobs for the use cases.
type Content struct{ Blobs *blobs.FileStore }

// ReadBlob implements app.Content.
func (c Content) ReadBlob(ctx context.Context, blob core.Blob, limit int64) (text []byte, err error) {
	if blob.Size > limit {
		return nil, core.Errorf(core.CodeTooLarge, "%s has %d bytes; at most %d are read here", blob.Digest, blob.Size, limit)
	}
	content, err := c.Blobs.OpenBlob(ctx, fileOf(blob))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	text = make([]byte, blob.Size)
	_, err = io.ReadFull(content, text)
	return text, err
}

func (q *request) getBlob() (err error) {
	blob, err := q.app.Blob(q.ctx(), q.caller, q.repository, q.reference)
	if err != nil {
		return notFound(err, errcode.ErrorCodeBlobUnknown, "the blob "+q.reference)
	}
	content, err := q.blobs.OpenBlob(q.ctx(), fileOf(blob))
	if err != nil {
		return lost(err, errcode.ErrorCodeBlobUnknown)
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	contentHeaders(q.w.Header(), blob, "application/octet-stream")
	http.ServeContent(q.w, q.r, "", time.Time{}, content.Content())
	return nil
}

func (q *request) headBlob() error {
	blob, err := q.app.StatBlob(q.ctx(), q.caller, q.repository, q.reference)
	if err != nil {
		return notFound(err, errcode.ErrorCodeBlobUnknown, "the blob "+q.reference)
	}
	h := q.w.Header()
	contentHeaders(h, blob, "application/octet-stream")
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.FormatInt(blob.Size, 10))
	return nil
}

// contentHeaders describes content that never changes under its digest.
func contentHeaders(h http.Header, blob core.Blob, mediaType string) {
	h.Set("Content-Type", mediaType)
	h.Set("Docker-Content-Digest", blob.Digest)
	h.Set("Etag", `"`+blob.Digest+`"`)
	h.Set("X-Content-Type-Options", "nosniff")
}

func (q *request) deleteBlob() error {
	if err := q.app.DeleteBlob(q.ctx(), q.caller, q.repository, q.reference); err != nil {
		return notFound(err, errcode.ErrorCodeBlobUnknown, "the blob "+q.reference)
	}
	q.w.WriteHeader(http.StatusAccepted)
	return nil
}
