package app

import (
	"context"
	"fmt"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Rebuilding makes the images of a lost database again, in one transaction. It
// is for registry/fsck, which brings things in an order in which each finds
// what it needs.
type Rebuilding struct {
	*session
	owner        core.User
	projects     map[string]core.Project
	repositories map[string]int64
}

// Rebuild runs fn over a database that holds no image, and commits all that it
// made. position is the last entry of the journal. A database with images is
// CodePrecondition; one without an administrator, to own the projects, CodeNotFound.
func (a *App) Rebuild(ctx context.Context, position uint64, fn func(*Rebuilding) (description string, err error)) error {
	return a.update(ctx, itself, func(s *session) error {
		if err := s.mustBeEmpty(); err != nil {
			return err
		}
		r := &Rebuilding{session: s, projects: map[string]core.Project{}, repositories: map[string]int64{}}
		var err error
		if r.owner, err = s.FirstAdmin(); err != nil {
			return err
		}
		description, err := fn(r)
		if err != nil {
			return err
		}
		if err := s.SetJournalPosition(position); err != nil {
			return err
		}
		return s.audit(act{operation: "create", resourceType: "integrity", resource: "the registry", description: description})
	})
}

// Rebuildable says whether Rebuild would find an empty database.
func (a *App) Rebuildable(ctx context.Context) error {
	return a.view(ctx, itself, (*session).mustBeEmpty)
}

func (s *session) mustBeEmpty() error {
	some, err := s.HasImages()
	if err == nil && some {
		return core.Errorf(core.CodePrecondition,
			"the database holds projects or images; they are only made again in an empty one. Move breakwater.db, breakwater.db-wal and breakwater.db-shm out of the data folder first, and keep them")
	}
	return err
}

// Blob adds a file that is whole, without anything that uses it.
func (r *Rebuilding) Blob(b core.Blob) error {
	_, err := r.CreateBlob(b)
	return err
}

// Repository adds a repository, and its project, private, where that is new.
func (r *Rebuilding) Repository(full string, made time.Time) error {
	name, _, ok := core.SplitRepository(full)
	if !ok {
		return fmt.Errorf("the journal names a repository %q without a project", full)
	}
	project, ok := r.projects[name]
	if !ok {
		project = core.Project{Name: name, OwnerID: r.owner.ID, OwnerName: r.owner.Username, QuotaHard: -1}
		var err error
		if project.ID, err = r.Tx.CreateProject(project); err != nil {
			return err
		}
		r.projects[name] = project
	}
	id, err := r.EnsureRepository(project.ID, full)
	if err != nil {
		return err
	}
	if _, err := r.PublishRepository(id); err != nil {
		return err
	}
	r.repositories[full] = id
	return r.SetPublished(id, made)
}

// Manifest adds a manifest, whose blobs and children must be there, as the
// entry e of the journal recorded it.
func (r *Rebuilding) Manifest(e core.JournalEntry, m core.Manifest) error {
	as := *r.session
	as.username = e.Actor
	name, _, _ := core.SplitRepository(e.Repository)
	p := publication{session: &as, project: r.projects[name], repository: e.Repository, manifest: m}
	p.artifact = core.Artifact{RepositoryID: r.repositories[e.Repository], ProjectID: p.project.ID, Digest: m.Digest}
	if _, err := p.ownBlob(core.Blob{Digest: m.Digest}); err != nil {
		return err
	}
	for _, d := range m.Blobs {
		blob, err := r.LiveBlob(d.Digest)
		if err != nil {
			return err
		}
		if err := r.LinkBlob(p.artifact.RepositoryID, blob.ID, r.Now().Add(leaseTime)); err != nil {
			return err
		}
	}
	for _, step := range []func() error{p.gather, p.pay, p.insert} {
		if err := step(); err != nil {
			return err
		}
	}
	if err := r.CountArtifacts(p.artifact.RepositoryID, 1); err != nil {
		return err
	}
	return r.SetManifestPushed(p.artifact.ID, e.Time)
}

// Tag lets a tag point at a manifest that is there.
func (r *Rebuilding) Tag(e core.JournalEntry) error {
	repositoryID := r.repositories[e.Repository]
	id, err := r.ManifestID(repositoryID, e.Digest)
	if err != nil {
		return err
	}
	if _, err := r.SetTag(repositoryID, id, e.Tag); err != nil {
		return err
	}
	return r.SetTagPushed(repositoryID, e.Tag, e.Time)
}

// Projects returns how many projects were made.
func (r *Rebuilding) Projects() int { return len(r.projects) }
