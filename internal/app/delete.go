package app

import (
	"context"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// DeleteManifest deletes a manifest by its digest, with all its tags. One that
// an index lists is refused with CodeConflict: the index goes first.
func (a *App) DeleteManifest(ctx context.Context, c core.Caller, repository, digest string) error {
	return a.update(ctx, c, func(s *session) error {
		project, repo, err := s.deletable(repository, core.ResArtifact)
		if err != nil {
			return err
		}
		id, err := s.ManifestID(repo.ID, digest)
		if err != nil {
			return err
		}
		parent, err := s.ParentOf(id)
		if err != nil {
			return err
		}
		if parent != "" {
			return core.Errorf(core.CodeConflict, "%s is part of the index %s; delete that first", digest, parent)
		}
		if err := s.removeManifest(project, repo, id, digest); err != nil {
			return err
		}
		return s.audit(act{operation: "delete", resourceType: "artifact", resource: repository + "@" + digest, project: project.ID, digest: digest})
	})
}

// deletable authorises the removal of something of the repository.
func (s *session) deletable(repository string, resource core.Resource) (core.Project, core.Repository, error) {
	project, repo, err := s.repository(repository, resource, core.ActDelete)
	if err != nil {
		return project, repo, err
	}
	return project, repo, s.app.writable()
}

// removeManifest removes the manifest and its tags, journals that, and gives
// the project back the bytes that nothing of it uses any more.
func (s *session) removeManifest(project core.Project, repo core.Repository, id int64, digest string) error {
	tags, err := s.RemoveTags(id)
	if err != nil {
		return err
	}
	if err := s.keepImmutable(project.ID, repo.Name, cannotDelete, tags...); err != nil {
		return err
	}
	for _, name := range tags {
		s.Record(core.JournalEntry{Op: core.JournalDeleteTag, Repository: repo.Name, Tag: name, Actor: s.username})
	}
	if err := s.unsign(repo.ID, id, digest, tags); err != nil {
		return err
	}
	blobs, err := s.ManifestBlobs(id)
	if err != nil {
		return err
	}
	if err := s.Tx.DeleteManifest(id); err != nil {
		return err
	}
	if _, err := s.ForgetScan(digest); err != nil {
		return err
	}
	s.Record(core.JournalEntry{Op: core.JournalDeleteManifest, Repository: repo.Name, Digest: digest, Actor: s.username})
	if err := s.refund(project.ID, blobs); err != nil {
		return err
	}
	return s.CountArtifacts(repo.ID, -1)
}

func (s *session) refund(projectID int64, blobs []core.Blob) error {
	var freed int64
	for _, blob := range blobs {
		charged, err := s.ChargedInProject(projectID, blob.ID)
		if err != nil {
			return err
		}
		if !charged {
			freed += blob.Size
		}
	}
	_, err := s.AddUsage(projectID, -freed)
	return err
}

// DeleteTag removes a tag; the artifact stays.
func (a *App) DeleteTag(ctx context.Context, c core.Caller, repository, tag string) error {
	return a.update(ctx, c, func(s *session) error {
		project, repo, err := s.deletable(repository, core.ResTag)
		if err != nil {
			return err
		}
		found, err := s.Tag(repo.ID, tag)
		if err != nil {
			return err
		}
		return s.removeTag(project, repo, found)
	})
}

func (s *session) removeTag(project core.Project, repo core.Repository, tag core.Tag) error {
	if err := s.keepImmutable(project.ID, repo.Name, cannotDelete, tag.Name); err != nil {
		return err
	}
	if err := s.Tx.DeleteTag(repo.ID, tag.Name); err != nil {
		return err
	}
	if err := s.tagSigned(repo.ID, tag.Name); err != nil {
		return err
	}
	s.Record(core.JournalEntry{Op: core.JournalDeleteTag, Repository: repo.Name, Tag: tag.Name, Actor: s.username})
	return s.audit(act{operation: "delete", resourceType: "tag", resource: repo.Name + ":" + tag.Name, project: project.ID, digest: tag.Digest})
}

// DeleteRepository removes a repository with all its artifacts and tags.
func (a *App) DeleteRepository(ctx context.Context, c core.Caller, repository string) error {
	return a.update(ctx, c, func(s *session) error {
		project, repo, err := s.deletable(repository, core.ResRepository)
		if err != nil {
			return err
		}
		digests, err := s.ArtifactDigests(repo.ID)
		if err != nil {
			return err
		}
		if err := s.UnlinkChildren(repo.ID); err != nil {
			return err
		}
		for _, digest := range digests {
			id, err := s.ManifestID(repo.ID, digest)
			if err != nil {
				return err
			}
			if err := s.removeManifest(project, repo, id, digest); err != nil {
				return err
			}
		}
		if err := s.deleteTrust(repo); err != nil {
			return err
		}
		if err := s.Tx.DeleteRepository(repo.ID); err != nil {
			return err
		}
		s.Record(core.JournalEntry{Op: core.JournalDeleteRepository, Repository: repository, Actor: s.username})
		return s.audit(act{operation: "delete", resourceType: "repository", resource: repository, project: project.ID})
	})
}

// isDigest tells a digest from a tag: only a digest holds a colon.
func isDigest(reference string) bool { return strings.Contains(reference, ":") }
