package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// MissingContentError tells that a manifest names content which its repository
// does not hold.
type MissingContentError struct{ Digest string }

// Error names the digest and what to do.
func (e *MissingContentError) Error() string {
	return fmt.Sprintf("the manifest refers to %s, which is not in this repository; push that first", e.Digest)
}

// PutManifest publishes a manifest, and the tags when there are any. file is
// the manifest's own durable file, taken when no live one exists: used tells.
// It fails with a *MissingContentError, or with CodeDenied when the quota does
// not allow it, and then changes nothing.
func (a *App) PutManifest(ctx context.Context, c core.Caller, repository string, m core.Manifest, tags []string, file core.Blob) (used bool, err error) {
	err = a.update(ctx, c, func(s *session) error {
		project, err := s.pushable(repository)
		if err != nil {
			return err
		}
		repositoryID, err := s.EnsureRepository(project.ID, repository)
		if err != nil {
			return err
		}
		p := publication{session: s, project: project, repository: repository, manifest: m}
		p.artifact = core.Artifact{RepositoryID: repositoryID, ProjectID: project.ID, Digest: m.Digest}
		p.artifact.ID, err = s.ManifestID(repositoryID, m.Digest)
		switch {
		case errors.Is(err, store.ErrNoRow):
			used, err = p.create(file)
		case err == nil:
			used, err = p.again(file, len(tags) == 0)
		}
		if err != nil {
			return err
		}
		return p.tag(tags)
	})
	return used && err == nil, err
}

// publication is one manifest on its way into a repository.
type publication struct {
	*session
	project    core.Project
	repository string
	manifest   core.Manifest
	artifact   core.Artifact
	blobs      []core.Blob // distinct, the manifest's own first
	charge     int64       // bytes that the project does not pay for yet
}

// create adds the manifest with all it refers to.
func (p *publication) create(file core.Blob) (used bool, err error) {
	if used, err = p.ownBlob(file); err != nil {
		return false, err
	}
	if err := p.gather(); err != nil {
		return false, err
	}
	if err := p.pay(); err != nil {
		return false, err
	}
	if err := p.insert(); err != nil {
		return false, err
	}
	if err := p.manifestSigned(p.artifact); err != nil {
		return false, err
	}
	if err := p.scanPushed(); err != nil {
		return false, err
	}
	if err := p.billPushed(); err != nil {
		return false, err
	}
	return used, p.announce()
}

// pay charges the project with what it does not pay for yet.
func (p *publication) pay() error {
	fits, err := p.AddUsage(p.project.ID, p.charge)
	if err == nil && !fits {
		err = quotaExceeded(p.charge, p.project.QuotaUsed, p.project.QuotaHard)
	}
	return err
}

// again is the push of a manifest that the repository has. It makes whole what
// was damaged; hold keeps it from the garbage collection.
func (p *publication) again(file core.Blob, hold bool) (used bool, err error) {
	if _, used, err = p.ownFile(file); err != nil || !hold {
		return used, err
	}
	// An index that lists it may follow; until then nothing else holds it.
	return used, p.HoldManifest(p.artifact.ID, p.Now())
}

// ownFile finds the row of the manifest's own file, or makes it of file.
func (p *publication) ownFile(file core.Blob) (blob core.Blob, used bool, err error) {
	blob, used, err = p.takeFile(file)
	if errors.Is(err, store.ErrNoRow) {
		err = ErrFileVanished
	}
	return blob, used, err
}

// ownBlob is ownFile for a manifest that is new to the repository.
func (p *publication) ownBlob(file core.Blob) (used bool, err error) {
	blob, used, err := p.ownFile(file)
	if err != nil {
		return false, err
	}
	charged, err := p.ChargedInProject(p.project.ID, blob.ID)
	if err != nil {
		return false, err
	}
	if !charged {
		p.charge += blob.Size
	}
	p.artifact.Blob, p.artifact.TotalSize, p.blobs = blob, blob.Size, []core.Blob{blob}
	return used, nil
}

// ErrFileVanished asks the transport to write the file and try again: the live
// file that it had seen was collected, or found damaged, meanwhile.
var ErrFileVanished = core.Errorf(core.CodeUnavailable, "the manifest's file was removed during the push; push again")

// gather finds the blobs that the manifest refers to, and what they cost.
func (p *publication) gather() error {
	seen := map[string]bool{p.manifest.Digest: true}
	for _, d := range p.manifest.Blobs {
		if seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		blob, err := p.BlobForManifest(p.artifact.RepositoryID, p.project.ID, d.Digest)
		if errors.Is(err, store.ErrNoRow) {
			return &MissingContentError{Digest: d.Digest}
		}
		if err != nil {
			return err
		}
		if !blob.Charged {
			p.charge += blob.Size
		}
		p.artifact.TotalSize += blob.Size
		p.blobs = append(p.blobs, blob.Blob)
	}
	return nil
}

// insert writes the rows of the manifest.
func (p *publication) insert() (err error) {
	m := p.manifest
	a := &p.artifact
	a.MediaType, a.ArtifactType, a.Config, a.Kind, a.Size = m.MediaType, m.ArtifactType, m.Config, m.Kind, m.Size
	a.Subject, a.Annotations, a.Platform, a.PushedBy = m.Subject, m.Annotations, m.Platform, p.username
	if a.ID, err = p.CreateManifest(*a); err != nil {
		return err
	}
	for _, blob := range p.blobs {
		if err := p.UseBlob(*a, blob.ID); err != nil {
			return err
		}
	}
	for _, d := range m.Children {
		child, err := p.ManifestID(a.RepositoryID, d.Digest)
		if errors.Is(err, store.ErrNoRow) {
			return &MissingContentError{Digest: d.Digest}
		}
		if err != nil {
			return err
		}
		if err := p.AddChild(a.ID, child, d); err != nil {
			return err
		}
	}
	return nil
}

// announce makes a new repository visible, and journals what is new.
func (p *publication) announce() error {
	published, err := p.PublishRepository(p.artifact.RepositoryID)
	if err != nil {
		return err
	}
	if published {
		p.Record(core.JournalEntry{Op: core.JournalPutRepository, Repository: p.repository, Actor: p.username})
	}
	p.Record(core.JournalEntry{Op: core.JournalPutManifest, Repository: p.repository, Digest: p.manifest.Digest,
		MediaType: p.manifest.MediaType, Actor: p.username})
	return p.CountArtifacts(p.artifact.RepositoryID, 1)
}

// tag lets the tags point at the manifest, and writes the audit row of the push.
func (p *publication) tag(tags []string) error {
	resource := p.repository + "@" + p.manifest.Digest
	for i, name := range tags {
		moved, err := p.pointTag(p.project.ID, p.artifact.RepositoryID, p.repository, p.artifact.ID, name)
		if err != nil {
			return err
		}
		if moved {
			p.Record(core.JournalEntry{Op: core.JournalPutTag, Repository: p.repository, Tag: name, Digest: p.manifest.Digest, Actor: p.username})
		}
		if i == 0 {
			resource = p.repository + ":" + name
		}
	}
	return p.audit(act{operation: "create", resourceType: "artifact", resource: resource, project: p.project.ID,
		digest: p.manifest.Digest, description: "push"})
}
