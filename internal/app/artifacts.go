package app

import (
	"context"
	"encoding/json"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// Artifact is a manifest with what hangs on it.
type Artifact struct {
	core.Artifact
	Tags     []core.Tag
	Children []core.Child
	Trust    []core.TrustFact // verified signatures, those that have ended too
	Labels   []core.Label
	Scan     ScanState // of an image or index
}

// Artifacts lists the artifacts of a repository; tagged selects those with or
// without a tag, nil both.
func (a *App) Artifacts(ctx context.Context, c core.Caller, full string, tagged *bool, q core.Query) (list []Artifact, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		_, repo, err := s.repository(full, core.ResArtifact, core.ActList)
		if err != nil {
			return err
		}
		plain, n, err := s.Tx.Artifacts(repo.ID, tagged, q)
		if err != nil {
			return err
		}
		total = n
		list, err = s.complete(plain)
		return err
	})
	return list, total, err
}

// ProjectArtifacts lists the artifacts of all repositories of a project; latest
// selects the last pushed one of each.
func (a *App) ProjectArtifacts(ctx context.Context, c core.Caller, ref core.ProjectRef, tagged *bool, latest bool, q core.Query) (list []Artifact, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResArtifact, core.ActList)
		if err != nil {
			return err
		}
		plain, n, err := s.Tx.ProjectArtifacts(project.ID, tagged, latest, q)
		if err != nil {
			return err
		}
		total = n
		list, err = s.complete(plain)
		return err
	})
	return list, total, err
}

func artifactIDs(artifacts []core.Artifact) []int64 {
	ids := make([]int64, len(artifacts))
	for i, a := range artifacts {
		ids[i] = a.ID
	}
	return ids
}

// complete adds tags, children, verified signatures and the state of the scan to
// artifacts.
func (s *session) complete(plain []core.Artifact) ([]Artifact, error) {
	ids := artifactIDs(plain)
	tags, err := s.TagsOf(ids)
	if err != nil {
		return nil, err
	}
	children, err := s.ChildrenOf(ids)
	if err != nil {
		return nil, err
	}
	trust, err := s.trustOf(plain)
	if err != nil {
		return nil, err
	}
	labels, err := s.LabelsOf(ids)
	if err != nil {
		return nil, err
	}
	scans, err := s.scanStates(plain, children)
	if err != nil {
		return nil, err
	}
	list := make([]Artifact, len(plain))
	byRepository := map[string]core.Immutability{}
	for i, p := range plain {
		rules, known := byRepository[p.Repository]
		if !known {
			if rules, err = s.immutability(p.ProjectID, p.Repository); err != nil {
				return nil, err
			}
			byRepository[p.Repository] = rules
		}
		markImmutable(rules, tags[p.ID])
		markSigned(trust[p.ID], tags[p.ID], s.Now())
		list[i] = Artifact{Artifact: p, Tags: tags[p.ID], Children: children[p.ID], Trust: trust[p.ID], Labels: labels[p.ID], Scan: scans[p.Digest]}
	}
	return list, nil
}

// find returns the artifact that a tag or digest names.
func (s *session) find(full, reference string) (core.Artifact, error) {
	digest := reference
	if !isDigest(reference) {
		m, err := s.ManifestByTag(full, reference)
		if err != nil {
			return core.Artifact{}, absent(err, full, reference)
		}
		digest = m.Digest
	}
	found, err := s.ArtifactByDigest(full, digest)
	return found, absent(err, full, reference)
}

func absent(err error, full, reference string) error {
	if err == store.ErrNoRow {
		return core.Errorf(core.CodeNotFound, "artifact %s not found in %s", core.Clip(reference, 160), full)
	}
	return err
}

// Artifact returns one artifact by tag or digest.
func (a *App) Artifact(ctx context.Context, c core.Caller, full, reference string) (artifact Artifact, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if _, _, err := s.repository(full, core.ResArtifact, core.ActRead); err != nil {
			return err
		}
		found, err := s.find(full, reference)
		if err != nil {
			return err
		}
		list, err := s.complete([]core.Artifact{found})
		if err == nil {
			artifact = list[0]
		}
		return err
	})
	return artifact, err
}

// Accessories lists the manifests that refer to an artifact or are named as its
// signatures, and counts all that match. It also returns the artifact's digest.
func (a *App) Accessories(ctx context.Context, c core.Caller, full, reference string, q core.Query) (digest string, list []core.Artifact, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		_, repo, err := s.repository(full, core.ResAccessory, core.ActList)
		if err != nil {
			return err
		}
		found, err := s.find(full, reference)
		if err != nil {
			return err
		}
		digest = found.Digest
		list, total, err = s.Tx.Accessories(repo.ID, digest, q)
		return err
	})
	return digest, list, total, err
}

// AccessoriesOf is Accessories of several artifacts, by their digests, without
// what comes after many of them.
func (a *App) AccessoriesOf(ctx context.Context, c core.Caller, full string, digests []string) (byDigest map[string][]core.Artifact, err error) {
	err = a.view(ctx, c, func(s *session) error {
		_, repo, err := s.repository(full, core.ResAccessory, core.ActList)
		if err != nil {
			return err
		}
		byDigest, err = s.Tx.AccessoriesOf(repo.ID, digests, maxAccessories)
		return err
	})
	return byDigest, err
}

// DeleteArtifact deletes an artifact by tag or digest with all its tags and, as
// Harbor does, with the children and referrers that nothing else holds.
func (a *App) DeleteArtifact(ctx context.Context, c core.Caller, full, reference string) error {
	return a.update(ctx, c, func(s *session) error {
		project, repo, err := s.deletable(full, core.ResArtifact)
		if err != nil {
			return err
		}
		found, err := s.find(full, reference)
		if err != nil {
			return err
		}
		parent, err := s.ParentOf(found.ID)
		if err != nil {
			return err
		}
		if parent != "" {
			return core.Errorf(core.CodePrecondition, "%s is part of the index %s; delete that first", found.Digest, parent)
		}
		if err := s.removeDeep(project, repo, found.ID, found.Digest); err != nil {
			return err
		}
		return s.audit(act{operation: "delete", resourceType: "artifact", resource: full + "@" + found.Digest, project: project.ID, digest: found.Digest})
	})
}

// removeDeep removes the manifest and then what only it held.
func (s *session) removeDeep(project core.Project, repo core.Repository, id int64, digest string) error {
	children, err := s.ChildrenOf([]int64{id})
	if err != nil {
		return err
	}
	referrers, err := s.Tx.Referrers(repo.Name, digest, "", 0, maxAccessories)
	if err != nil {
		return err
	}
	if err := s.removeManifest(project, repo, id, digest); err != nil {
		return err
	}
	signatures, err := s.releaseSignatures(project, repo, digest)
	if err != nil {
		return err
	}
	dependents := append(children[id], signatures...)
	for _, r := range referrers {
		dependents = append(dependents, core.Child{ID: r.ID, Digest: r.Digest})
	}
	for _, d := range dependents {
		detached, err := s.Detached(d.ID)
		if err != nil {
			return err
		}
		if detached {
			if err := s.removeDeep(project, repo, d.ID, d.Digest); err != nil {
				return err
			}
		}
	}
	return nil
}

// releaseSignatures takes the tag off cosign's signatures of a manifest that was
// removed, and returns what had it.
func (s *session) releaseSignatures(project core.Project, repo core.Repository, digest string) ([]core.Child, error) {
	tag, err := s.Tag(repo.ID, core.SignatureTag(digest))
	if err == store.ErrNoRow {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []core.Child{{ID: tag.ArtifactID, Digest: tag.Digest}}, s.removeTag(project, repo, tag)
}

// maxAccessories bounds how many referrers are handled with one artifact.
const maxAccessories = 10_000

// Tags lists the tags of an artifact.
func (a *App) Tags(ctx context.Context, c core.Caller, full, reference string, q core.Query) (tags []core.Tag, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if _, _, err := s.repository(full, core.ResTag, core.ActList); err != nil {
			return err
		}
		found, err := s.find(full, reference)
		if err != nil {
			return err
		}
		if tags, total, err = s.Tx.Tags(found.ID, q); err != nil {
			return err
		}
		rules, err := s.immutability(found.ProjectID, full)
		if err != nil {
			return err
		}
		markImmutable(rules, tags)
		trust, err := s.TrustFacts(found.RepositoryID, found.Digest)
		markSigned(trust, tags, s.Now())
		return err
	})
	return tags, total, err
}

// CreateTag gives an artifact another name; CodeConflict when it is taken.
func (a *App) CreateTag(ctx context.Context, c core.Caller, full, reference, tag string) error {
	return a.update(ctx, c, func(s *session) error {
		project, repo, err := s.repository(full, core.ResTag, core.ActCreate)
		if err != nil {
			return err
		}
		if err := s.app.writable(); err != nil {
			return err
		}
		if err := core.ValidateTag(tag); err != nil {
			return err
		}
		found, err := s.find(full, reference)
		if err != nil {
			return err
		}
		if _, err := s.Tag(repo.ID, tag); err != store.ErrNoRow {
			if err != nil {
				return err
			}
			return core.Errorf(core.CodeConflict, "tag %s already exists in %s; delete it first to give it to another artifact", tag, full)
		}
		if _, err := s.SetTag(repo.ID, found.ID, tag); err != nil {
			return err
		}
		if err := s.tagSigned(repo.ID, tag); err != nil {
			return err
		}
		s.Record(core.JournalEntry{Op: core.JournalPutTag, Repository: full, Tag: tag, Digest: found.Digest, Actor: s.username})
		return s.audit(act{operation: "create", resourceType: "tag", resource: full + ":" + tag, project: project.ID, digest: found.Digest})
	})
}

// RemoveTagOf removes a tag that must belong to the artifact named before it.
func (a *App) RemoveTagOf(ctx context.Context, c core.Caller, full, reference, tag string) error {
	return a.update(ctx, c, func(s *session) error {
		project, repo, err := s.deletable(full, core.ResTag)
		if err != nil {
			return err
		}
		artifact, err := s.find(full, reference)
		if err != nil {
			return err
		}
		found, err := s.Tag(repo.ID, tag)
		if err == store.ErrNoRow || (err == nil && found.ArtifactID != artifact.ID) {
			return core.Errorf(core.CodeNotFound, "tag %s not found on %s", core.Clip(tag, 128), core.Clip(reference, 160))
		}
		if err != nil {
			return err
		}
		return s.removeTag(project, repo, found)
	})
}

// HistoryEntry is one step of how an image was built (image specification,
// "Image Configuration").
type HistoryEntry struct {
	Created    *time.Time `json:"created,omitempty"`
	CreatedBy  string     `json:"created_by,omitempty"`
	Author     string     `json:"author,omitempty"`
	Comment    string     `json:"comment,omitempty"`
	EmptyLayer bool       `json:"empty_layer,omitempty"`
}

// maxConfig is the largest image config that is read, in bytes.
const maxConfig = 4 << 20

// BuildHistory returns how an image was built, as its config tells;
// CodeBadRequest for other artifacts.
func (a *App) BuildHistory(ctx context.Context, c core.Caller, full, reference string) ([]HistoryEntry, error) {
	var config core.Blob
	err := a.view(ctx, c, func(s *session) error {
		if _, _, err := s.repository(full, core.ResArtifactAddition, core.ActRead); err != nil {
			return err
		}
		found, err := s.find(full, reference)
		if err != nil {
			return err
		}
		if found.Config == "" || found.Kind != core.KindImage {
			return core.Errorf(core.CodeBadRequest, "%s is no image with a build history", core.Clip(reference, 160))
		}
		config, err = s.LiveBlob(found.Config)
		return err
	})
	if err != nil {
		return nil, err
	}
	text, err := a.content.ReadBlob(ctx, config, maxConfig)
	if err != nil {
		return nil, err
	}
	var image struct {
		History []HistoryEntry `json:"history"`
	}
	if err := json.Unmarshal(text, &image); err != nil {
		return nil, &core.Error{Code: core.CodeBadRequest, Message: "the image's config cannot be read as JSON", Err: err}
	}
	return image.History, nil
}
