package registry

import (
	"net/http"
	"strings"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/opencontainers/go-digest"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// kind is what a path under /v2/ names.
type kind int

const (
	kindBase kind = iota
	kindCatalog
	kindTags
	kindManifest
	kindBlob
	kindUploads
	kindUpload
	kindReferrers
)

// target is a parsed path: what it names, in which repository, and the tag,
// digest or upload id at its end.
type target struct {
	kind       kind
	repository string
	reference  string
}

// parsePath reads a path of the API. Repository names may hold words such as
// "blobs" themselves, so it reads from the end. An escaped path is refused: the
// name that is authorised must be the one that is used (CVE-2020-29662).
func parsePath(r *http.Request) (target, error) {
	rest, ok := strings.CutPrefix(r.URL.Path, "/v2/")
	if !ok || r.URL.RawPath != "" {
		return target{}, fail(errcode.ErrorCodeNameInvalid, "the path must not hold escaped characters")
	}
	switch rest {
	case "":
		return target{kind: kindBase}, nil
	case "_catalog":
		return target{kind: kindCatalog}, nil
	}
	t, ok := splitPath(strings.Split(rest, "/"))
	if !ok {
		return target{}, fail(errcode.ErrorCodeUnsupported, "there is no such path in the registry API").withStatus(http.StatusNotFound)
	}
	return t, t.check()
}

func splitPath(parts []string) (target, bool) {
	n := len(parts)
	name := func(tail int) string { return strings.Join(parts[:n-tail], "/") }
	last := parts[n-1]
	switch {
	case n >= 4 && parts[n-3] == "blobs" && parts[n-2] == "uploads" && last != "":
		return target{kindUpload, name(3), last}, true
	case n >= 4 && parts[n-3] == "blobs" && parts[n-2] == "uploads":
		return target{kindUploads, name(3), ""}, true
	case n >= 3 && parts[n-2] == "blobs" && last == "uploads":
		return target{kindUploads, name(2), ""}, true
	case n >= 3 && parts[n-2] == "blobs":
		return target{kindBlob, name(2), last}, true
	case n >= 3 && parts[n-2] == "manifests":
		return target{kindManifest, name(2), last}, true
	case n >= 3 && parts[n-2] == "referrers":
		return target{kindReferrers, name(2), last}, true
	case n >= 3 && parts[n-2] == "tags" && last == "list":
		return target{kindTags, name(2), ""}, true
	}
	return target{}, false
}

// check validates the name and the reference by the specification's grammar.
func (t target) check() error {
	if err := checkName(t.repository); err != nil {
		return err
	}
	switch t.kind {
	case kindBlob, kindReferrers:
		_, err := parseDigest(t.reference)
		return err
	case kindManifest:
		if strings.Contains(t.reference, ":") {
			_, err := parseDigest(t.reference)
			return err
		}
		if err := core.ValidateTag(t.reference); err != nil {
			return fail(errcode.ErrorCodeTagInvalid, "%s", err).withStatus(http.StatusBadRequest)
		}
	}
	return nil
}

func checkName(name string) error {
	if len(name) > core.MaxRepositoryName {
		return fail(errcode.ErrorCodeNameInvalid, "the repository name has more than %d characters", core.MaxRepositoryName)
	}
	if !core.IsRepositoryName(name) {
		return fail(errcode.ErrorCodeNameInvalid, "the repository name %q must have lower case letters and digits in parts joined by '.', '_', '-' or '/'", core.Clip(name, 64))
	}
	if !strings.Contains(name, "/") {
		return fail(errcode.ErrorCodeNameInvalid, "the repository name %q has no project: images live in projects here, so push to HOST/PROJECT/%s instead", core.Clip(name, 64), core.Clip(name, 64))
	}
	return nil
}

// parseDigest accepts the two algorithms of the specification.
func parseDigest(s string) (digest.Digest, error) {
	d, err := digest.Parse(s)
	if err != nil || (d.Algorithm() != digest.SHA256 && d.Algorithm() != digest.SHA512) {
		return "", fail(errcode.ErrorCodeDigestInvalid, "%q is not a digest such as sha256:<64 hex digits> or sha512:<128 hex digits>", core.Clip(s, 160))
	}
	return d, nil
}
