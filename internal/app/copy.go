package app

import (
	"context"
	"errors"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// maxCopyDepth bounds how deep indexes and referrers may nest in a copy.
const maxCopyDepth = 8

// CopyArtifact copies an artifact, named as PROJECT/REPOSITORY:TAG or
// PROJECT/REPOSITORY@DIGEST, with its children and referrers into a repository;
// a tag goes along. It is a pull of the source. No bytes are copied. It returns
// the digest.
func (a *App) CopyArtifact(ctx context.Context, c core.Caller, to, from string) (digest string, err error) {
	source, reference, err := splitReference(from)
	if err != nil {
		return "", err
	}
	err = a.update(ctx, c, func(s *session) error {
		project, err := s.onRepository(to, core.ResArtifact, core.ActCreate)
		if err != nil {
			return err
		}
		if err := core.ValidateRepositoryName(to); err != nil {
			return err
		}
		if err := s.app.writable(); err != nil {
			return err
		}
		fromProject, _, err := s.repository(source, core.ResRepository, core.ActPull)
		if err != nil {
			return err
		}
		found, err := s.find(source, reference)
		if err != nil {
			return err
		}
		digest = found.Digest
		k := copying{session: s, source: fromProject, project: project, to: to}
		if k.repositoryID, err = s.EnsureRepository(project.ID, to); err != nil {
			return err
		}
		if err := k.copy(found, maxCopyDepth); err != nil {
			return err
		}
		return k.name(reference, digest, from)
	})
	return digest, err
}

func splitReference(from string) (repository, reference string, err error) {
	repository, reference, ok := strings.Cut(from, "@")
	if !ok {
		if i := strings.LastIndexByte(from, ':'); i > 0 {
			repository, reference, ok = from[:i], from[i+1:], true
		}
	}
	if !ok || repository == "" || reference == "" {
		return "", "", core.Errorf(core.CodeBadRequest, "from must look like PROJECT/REPOSITORY:TAG or PROJECT/REPOSITORY@DIGEST")
	}
	return repository, reference, nil
}

// copying is one copy on its way into a repository.
type copying struct {
	*session
	source       core.Project
	project      core.Project
	to           string
	repositoryID int64
}

// copy publishes the artifact in the target, what it needs first. Each part is
// a pull by itself, so that no index takes along what may not be pulled.
func (k copying) copy(a core.Artifact, depth int) error {
	if depth == 0 {
		return core.Errorf(core.CodeBadRequest, "the artifact nests indexes or referrers more than %d deep", maxCopyDepth)
	}
	if err := k.mayPull(pulled{project: k.source, repository: a.Repository}, a.ID); err != nil {
		return err
	}
	children, err := k.ChildrenOf([]int64{a.ID})
	if err != nil {
		return err
	}
	for _, child := range children[a.ID] {
		if err := k.copyDigest(a.Repository, child.Digest, depth-1); err != nil {
			return err
		}
	}
	if err := k.publish(a, children[a.ID]); err != nil {
		return err
	}
	referrers, err := k.Tx.Referrers(a.Repository, a.Digest, "", 0, maxAccessories)
	if err != nil {
		return err
	}
	for _, r := range referrers {
		if err := k.copy(r, depth-1); err != nil {
			return err
		}
	}
	return k.copySignatures(a, depth)
}

// copySignatures takes along what cosign keeps below a tag, unless the target
// has such signatures of its own.
func (k copying) copySignatures(a core.Artifact, depth int) error {
	name := core.SignatureTag(a.Digest)
	tag, err := k.Tag(a.RepositoryID, name)
	if err == store.ErrNoRow {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := k.Tag(k.repositoryID, name); err != store.ErrNoRow {
		return err
	}
	if err := k.copyDigest(a.Repository, tag.Digest, depth-1); err != nil {
		return err
	}
	return k.point(name, tag.Digest)
}

// point gives the manifest a tag in the target.
func (k copying) point(tag, digest string) error {
	id, err := k.ManifestID(k.repositoryID, digest)
	if err != nil {
		return err
	}
	if _, err := k.pointTag(k.project.ID, k.repositoryID, k.to, id, tag); err != nil {
		return err
	}
	k.Record(core.JournalEntry{Op: core.JournalPutTag, Repository: k.to, Tag: tag, Digest: digest, Actor: k.username})
	return nil
}

func (k copying) copyDigest(repository, digest string, depth int) error {
	a, err := k.ArtifactByDigest(repository, digest)
	if err != nil {
		return err
	}
	return k.copy(a, depth)
}

// publish links the blobs of the artifact to the target and publishes it there.
func (k copying) publish(a core.Artifact, children []core.Child) error {
	p := publication{session: k.session, project: k.project, repository: k.to}
	p.artifact = core.Artifact{RepositoryID: k.repositoryID, ProjectID: k.project.ID, Digest: a.Digest}
	if _, err := k.ManifestID(k.repositoryID, a.Digest); err != store.ErrNoRow {
		return err
	}
	blobs, err := k.ManifestBlobs(a.ID)
	if err != nil {
		return err
	}
	p.manifest = core.Manifest{Digest: a.Digest, MediaType: a.MediaType, ArtifactType: a.ArtifactType, Config: a.Config, Kind: a.Kind,
		Size: a.Size, Subject: a.Subject, Annotations: a.Annotations, Platform: a.Platform}
	for _, blob := range blobs {
		if blob.Digest == a.Digest {
			continue
		}
		if err := k.LinkBlob(k.repositoryID, blob.ID, k.Now().Add(leaseTime)); err != nil {
			return err
		}
		p.manifest.Blobs = append(p.manifest.Blobs, core.Descriptor{Digest: blob.Digest})
	}
	for _, child := range children {
		p.manifest.Children = append(p.manifest.Children, core.Descriptor{Digest: child.Digest, Platform: child.Platform, Annotations: child.Annotations})
	}
	_, err = p.create(core.Blob{Digest: a.Digest})
	if errors.Is(err, ErrFileVanished) {
		return damaged(a.Digest)
	}
	return err
}

// name gives the copy its tag and writes the audit row.
func (k copying) name(reference, digest, from string) error {
	resource := k.to + "@" + digest
	if !isDigest(reference) {
		if err := k.point(reference, digest); err != nil {
			return err
		}
		resource = k.to + ":" + reference
	}
	return k.audit(act{operation: "create", resourceType: "artifact", resource: resource, project: k.project.ID, digest: digest,
		description: "copied from " + core.Clip(from, 255)})
}
