package registry

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const (
	// maxPage is the most entries of one answer; a Link leads to the rest.
	maxPage = 10_000
	// maxReferrersPage keeps one page of referrers well below MaxManifest.
	maxReferrersPage = 1_000
)

// pageSize reads the n parameter.
func (q *request) pageSize() (int, error) {
	text := q.r.URL.Query().Get("n")
	if text == "" {
		return maxPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fail(errcode.ErrorCodePaginationNumberInvalid, "n must be a number of entries, 0 or more").withStatus(http.StatusBadRequest)
	}
	return min(n, maxPage), nil
}

// next links to the page after last (RFC 5988).
func (q *request) next(parameters url.Values) {
	u := url.URL{Path: q.r.URL.Path, RawQuery: parameters.Encode()}
	q.w.Header().Set("Link", "<"+u.String()+`>; rel="next"`)
}

func (q *request) writeJSON(mediaType string, v any) error {
	q.w.Header().Set("Content-Type", mediaType)
	return json.NewEncoder(q.w).Encode(v)
}

func (q *request) tags() error {
	n, err := q.pageSize()
	if err != nil {
		return err
	}
	names, more, err := q.app.TagNames(q.ctx(), q.caller, q.repository, q.r.URL.Query().Get("last"), n)
	if err != nil {
		return notFound(err, errcode.ErrorCodeNameUnknown, "the repository "+q.repository)
	}
	q.nextNames(names, more, n)
	return q.writeJSON("application/json; charset=utf-8", map[string]any{"name": q.repository, "tags": orEmpty(names)})
}

func (q *request) catalog() error {
	n, err := q.pageSize()
	if err != nil {
		return err
	}
	names, more, err := q.app.Catalog(q.ctx(), q.caller, q.r.URL.Query().Get("last"), n)
	if err != nil {
		return err
	}
	q.nextNames(names, more, n)
	return q.writeJSON("application/json; charset=utf-8", map[string]any{"repositories": orEmpty(names)})
}

func (q *request) nextNames(names []string, more bool, n int) {
	if more && len(names) > 0 {
		q.next(url.Values{"last": {names[len(names)-1]}, "n": {strconv.Itoa(n)}})
	}
}

// orEmpty has an empty list written as [] and not as null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// referrers answers with an index of the manifests whose subject is the digest
// (distribution specification, "Listing Referrers").
func (q *request) referrers() error {
	query := q.r.URL.Query()
	after, err := strconv.ParseInt(query.Get("after"), 10, 64)
	if query.Get("after") != "" && (err != nil || after < 0) {
		return fail(errcode.ErrorCodePaginationNumberInvalid, "the after parameter comes from the Link header; follow that").withStatus(http.StatusBadRequest)
	}
	artifactType := query.Get("artifactType")
	found, more, err := q.app.Referrers(q.ctx(), q.caller, q.repository, q.reference, artifactType, after, maxReferrersPage)
	if err != nil {
		return err
	}
	if artifactType != "" {
		q.w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	if more {
		values := url.Values{"after": {strconv.FormatInt(found[len(found)-1].ID, 10)}}
		if artifactType != "" {
			values.Set("artifactType", artifactType)
		}
		q.next(values)
	}
	descriptors := make([]core.Descriptor, len(found))
	for i, a := range found {
		descriptors[i] = core.Descriptor{MediaType: a.MediaType, Digest: a.Digest, Size: a.Size, ArtifactType: a.ArtifactType, Annotations: a.Annotations}
	}
	return q.writeJSON(v1.MediaTypeImageIndex, map[string]any{
		"schemaVersion": 2, "mediaType": v1.MediaTypeImageIndex, "manifests": descriptors,
	})
}
