package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/opencontainers/go-digest"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

// MaxManifest is the largest manifest in bytes: the specification asks
// registries to take at least 4 MiB.
const MaxManifest = 4 << 20

func (q *request) getManifest() error {
	m, err := q.app.Manifest(q.ctx(), q.caller, q.repository, q.reference, q.r.Method == http.MethodGet)
	if err != nil {
		return notFound(err, errcode.ErrorCodeManifestUnknown, "the manifest "+q.reference)
	}
	h := q.w.Header()
	contentHeaders(h, m.Blob, m.MediaType)
	if q.r.Method == http.MethodHead {
		h.Set("Content-Length", strconv.FormatInt(m.Size, 10))
		return nil
	}
	body, err := q.manifestBytes(m.Blob)
	if err != nil {
		return lost(err, errcode.ErrorCodeManifestUnknown)
	}
	http.ServeContent(q.w, q.r, "", time.Time{}, bytes.NewReader(body))
	return nil
}

// manifestBytes reads a manifest that the caller may pull. Small ones that were
// read last are in memory: the bytes of a digest never change, and whether they
// may be pulled is asked each time.
func (q *request) manifestBytes(blob core.Blob) ([]byte, error) {
	file := fileOf(blob)
	if body, ok := q.recent.Get(file); ok {
		return body, nil
	}
	body, err := Content{q.blobs}.ReadBlob(q.ctx(), blob, MaxManifest)
	if err == nil && len(body) <= recentSize {
		q.recent.Add(file, body)
	}
	return body, err
}

func (q *request) putManifest() error {
	if err := q.app.MayPush(q.ctx(), q.caller, q.repository); err != nil {
		return err
	}
	body, err := q.readManifest()
	if err != nil {
		return err
	}
	d, tags, err := q.manifestNames(body)
	if err != nil {
		return err
	}
	m, err := ParseManifest(body, q.r.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	m.Digest = d.String()
	known, err := q.prepare(&m)
	if err != nil {
		return err
	}
	if err := q.publish(m, tags, body, known); err != nil {
		return err
	}
	h := q.w.Header()
	h.Set("Location", "/v2/"+q.repository+"/manifests/"+m.Digest)
	h.Set("Docker-Content-Digest", m.Digest)
	if m.Subject != "" {
		h.Set("OCI-Subject", m.Subject)
	}
	for _, tag := range q.r.URL.Query()["tag"] {
		h.Add("OCI-Tag", tag)
	}
	q.w.WriteHeader(http.StatusCreated)
	return nil
}

func (q *request) readManifest() ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(q.w, q.r.Body, MaxManifest))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, fail(errcode.ErrorCodeManifestInvalid, "the manifest has more than %d bytes", MaxManifest).withStatus(http.StatusRequestEntityTooLarge)
	}
	if err != nil {
		return nil, fail(errcode.ErrorCodeManifestInvalid, "the manifest did not arrive whole; send it again")
	}
	return body, nil
}

// maxTags bounds how many tags one push may set.
const maxTags = 100

// manifestNames returns the digest of the manifest and the tags to set: the one
// in the path or, for a push by digest, those of the tag parameters.
func (q *request) manifestNames(body []byte) (digest.Digest, []string, error) {
	if !strings.Contains(q.reference, ":") {
		return digest.FromBytes(body), []string{q.reference}, nil
	}
	want := digest.Digest(q.reference)
	if got := want.Algorithm().FromBytes(body); got != want {
		return "", nil, fail(errcode.ErrorCodeDigestInvalid, "the manifest has the digest %s, not %s", got, want)
	}
	tags := q.r.URL.Query()["tag"]
	if len(tags) > maxTags {
		return "", nil, fail(errcode.ErrorCodeTagInvalid, "at most %d tags can be set at once", maxTags).withStatus(http.StatusRequestURITooLong)
	}
	for _, tag := range tags {
		if err := core.ValidateTag(tag); err != nil {
			return "", nil, fail(errcode.ErrorCodeTagInvalid, "%s", err).withStatus(http.StatusBadRequest)
		}
	}
	return want, tags, nil
}

// publish stores the bytes durably and then has the manifest published; known
// says that the registry may have the bytes already.
func (q *request) publish(m core.Manifest, tags []string, body []byte, known bool) error {
	file := core.Blob{Digest: m.Digest, Size: int64(len(body))}
	if known {
		_, err := q.app.PutManifest(q.ctx(), q.caller, q.repository, m, tags, file)
		if !errors.Is(err, app.ErrFileVanished) {
			return err
		}
	}
	generation, written := q.generations.next()
	defer written()
	file.Generation = generation
	if err := q.blobs.Put(q.ctx(), fileOf(file), body); err != nil {
		return err
	}
	used, err := q.app.PutManifest(q.ctx(), q.caller, q.repository, m, tags, file)
	return q.disown(file, used, err)
}

// MaxConfig bounds how much of an image's config, in bytes, is read for its
// platform.
const MaxConfig = 4 << 20

// prepare takes the platform of an image from its config, and says whether the
// registry has a file of the manifest. A config that is not there yet is found
// missing when the manifest is published; one that does not parse leaves the
// platform unknown, as the media type promised nothing more.
func (q *request) prepare(m *core.Manifest) (known bool, err error) {
	config := ""
	if IsImageConfig(m.ConfigType) {
		config = m.Config
	}
	known, file, err := q.app.ManifestFiles(q.ctx(), q.caller, q.repository, m.Digest, config)
	if err != nil || file.ID == 0 || file.Size > MaxConfig {
		return known, err
	}
	text, err := Content{q.blobs}.ReadBlob(q.ctx(), file, MaxConfig)
	if core.IsNotFound(err) {
		return known, nil // its lease was over and it was collected just now
	}
	if err == nil {
		m.Platform = PlatformOf(text)
	}
	return known, err
}

// PlatformOf returns what an image with this config runs on, nil when the
// config does not say.
func PlatformOf(config []byte) *core.Platform {
	var platform core.Platform
	if json.Unmarshal(config, &platform) != nil || platform.OS == "" {
		return nil
	}
	return &platform
}

func (q *request) deleteManifest() error {
	var err error
	if strings.Contains(q.reference, ":") {
		err = q.app.DeleteManifest(q.ctx(), q.caller, q.repository, q.reference)
	} else {
		err = q.app.DeleteTag(q.ctx(), q.caller, q.repository, q.reference)
	}
	if err != nil {
		return notFound(err, errcode.ErrorCodeManifestUnknown, "the manifest "+q.reference)
	}
	q.w.WriteHeader(http.StatusAccepted)
	return nil
}
