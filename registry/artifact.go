package registry

import (
	"context"
	"net/http"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/blobs"
)

// PutArtifact pushes an OCI manifest without a tag, and the blobs that it names,
// in the way of a client's push: for what the registry itself adds to an image.
// Pushing the same again changes nothing.
func (g *Registry) PutArtifact(ctx context.Context, caller core.Caller, repository string, manifest []byte, contents ...[]byte) error {
	q := &request{Registry: g, target: target{repository: repository}, r: new(http.Request).WithContext(ctx), caller: caller}
	if err := g.app.MayPush(ctx, caller, repository); err != nil {
		return err
	}
	for _, content := range contents {
		if err := q.putContent(content); err != nil {
			return err
		}
	}
	m, err := ParseManifest(manifest, v1.MediaTypeImageManifest)
	if err != nil {
		return err
	}
	m.Digest = digest.FromBytes(manifest).String()
	known, err := g.app.MayPushBlob(ctx, caller, repository, m.Digest)
	if err != nil {
		return err
	}
	return q.publish(m, nil, manifest, known)
}

// putContent gives a small blob to the repository.
func (q *request) putContent(content []byte) error {
	blob := core.Blob{Digest: digest.FromBytes(content).String(), Size: int64(len(content))}
	known, err := q.app.MayPushBlob(q.ctx(), q.caller, q.repository, blob.Digest)
	if err != nil {
		return err
	}
	_, err = q.keep(blob, known, func(f blobs.File) error { return q.blobs.Put(q.ctx(), f, content) })
	return err
}
