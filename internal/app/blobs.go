package app

import (
	"context"
	"errors"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// leaseTime is how long a repository may use a blob that no manifest of it
// uses yet: the time a push has to finish.
const leaseTime = 24 * time.Hour

// lease extends the right to use the blob where less than half of it is left,
// so that a HEAD before every push does not write each time.
func (s *session) lease(repositoryID, blobID int64, until time.Time) error {
	if until.After(s.Now().Add(leaseTime / 2)) {
		return nil
	}
	return s.LinkBlob(repositoryID, blobID, s.Now().Add(leaseTime))
}

// MayPush says, before any content is read, whether the caller may push to the
// repository. The right is checked again in the transaction that publishes.
func (a *App) MayPush(ctx context.Context, c core.Caller, repository string) error {
	_, err := a.MayPushBlob(ctx, c, repository, "")
	return err
}

// MayPushBlob is MayPush for a client that announces what it pushes: has says
// whether the registry holds a live file of the digest, which LinkExisting then
// may find. An empty digest is none.
func (a *App) MayPushBlob(ctx context.Context, c core.Caller, repository, digest string) (has bool, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if _, err := s.pushable(repository); err != nil {
			return err
		}
		var err error
		has, err = s.hasFile(digest)
		return err
	})
	return has, err
}

// hasFile says whether there is a live file of the digest; there is none of "".
func (s *session) hasFile(digest string) (bool, error) {
	if digest == "" {
		return false, nil
	}
	_, err := s.LiveBlob(digest)
	if errors.Is(err, store.ErrNoRow) {
		return false, nil
	}
	return err == nil, err
}

// pushable authorises a push.
func (s *session) pushable(repository string) (core.Project, error) {
	project, err := s.onRepository(repository, core.ResRepository, core.ActPush)
	if err != nil {
		return core.Project{}, err
	}
	return project, s.app.writable()
}

// Blob returns the file of a blob that the caller may pull from the
// repository. One that no manifest of the repository uses yet is shown only to
// those who may push there.
func (a *App) Blob(ctx context.Context, c core.Caller, repository, digest string) (core.Blob, error) {
	var blob store.LinkedBlob
	err := a.view(ctx, c, func(s *session) (err error) {
		blob, err = s.pullableBlob(repository, digest, true)
		return err
	})
	return blob.Blob, err
}

// pullableBlob returns a blob that the caller may pull from the repository;
// judged says whether the policy of the project decides too.
func (s *session) pullableBlob(repository, digest string, judged bool) (store.LinkedBlob, error) {
	project, err := s.onRepository(repository, core.ResRepository, core.ActPull)
	if err != nil {
		return store.LinkedBlob{}, err
	}
	blob, err := s.LinkedBlob(repository, digest)
	if err != nil {
		return store.LinkedBlob{}, err
	}
	if !blob.Referenced {
		// The account must be one that may push; its token need not say so,
		// because reading is all that it is used for here.
		if _, err := s.onProject(core.ProjectRef{ID: project.ID}, core.ResRepository, core.ActPush); err != nil {
			return store.LinkedBlob{}, store.ErrNoRow
		}
	} else if judged {
		if err := s.mayPullBlob(pulled{project: project, repository: repository}, blob); err != nil {
			return store.LinkedBlob{}, err
		}
	}
	return blob, whole(blob)
}

// ManifestFiles looks up what the push of a manifest needs: whether the registry
// holds a live file of its digest, and the file of the config that it names. That
// is the zero Blob where config is empty or the repository does not have it. It
// asks for the right to push, not to pull: a robot account may have only the first.
func (a *App) ManifestFiles(ctx context.Context, c core.Caller, repository, digest, config string) (has bool, file core.Blob, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if _, err := s.pushable(repository); err != nil {
			return err
		}
		var err error
		if has, err = s.hasFile(digest); err != nil || config == "" {
			return err
		}
		blob, err := s.LinkedBlob(repository, config)
		if errors.Is(err, store.ErrNoRow) {
			return nil
		}
		if err == nil {
			err = whole(blob)
		}
		file = blob.Blob
		return err
	})
	return has, file, err
}

// StatBlob is Blob for a client that may be about to push: for one with the
// right to do so it also extends the lease on the blob.
func (a *App) StatBlob(ctx context.Context, c core.Caller, repository, digest string) (core.Blob, error) {
	var blob store.LinkedBlob
	renew := false
	err := a.view(ctx, c, func(s *session) (err error) {
		if blob, err = s.pullableBlob(repository, digest, !s.pushing(repository)); err != nil {
			return err
		}
		_, denied := s.onRepository(repository, core.ResRepository, core.ActPush)
		renew = denied == nil && blob.LeasedUntil.Before(s.Now().Add(leaseTime/2))
		return nil
	})
	if err != nil || !renew {
		return blob.Blob, err
	}
	err = a.lease(ctx, c, func(s *session) (err error) {
		if blob, err = s.pullableBlob(repository, digest, !s.pushing(repository)); err != nil {
			return err
		}
		return s.lease(blob.RepositoryID, blob.ID, blob.LeasedUntil)
	})
	return blob.Blob, err
}

// LinkBlob lets the repository use a blob whose bytes the caller has proven to
// hold by uploading them: the live file when there is one, else file, which
// must be durable. The link is a lease until a manifest uses the blob. used says
// whether file was taken; otherwise it is garbage. A zero generation of file means
// that there is none: CodeNotFound then tells that no live file exists either.
func (a *App) LinkBlob(ctx context.Context, c core.Caller, repository string, file core.Blob) (used bool, err error) {
	err = a.lease(ctx, c, func(s *session) error {
		project, err := s.pushable(repository)
		if err != nil {
			return err
		}
		if err := s.checkQuota(project, file); err != nil {
			return err
		}
		var blob core.Blob
		if blob, used, err = s.takeFile(file); err != nil {
			return err
		}
		id, err := s.EnsureRepository(project.ID, repository)
		if err != nil {
			return err
		}
		return s.LinkBlob(id, blob.ID, s.Now().Add(leaseTime))
	})
	return used && err == nil, err
}

// takeFile records file, which must be durable, as the live one of its digest.
// Where there is one already, or file has no generation, it returns that instead:
// ErrNoRow when there is none.
func (s *session) takeFile(file core.Blob) (blob core.Blob, used bool, err error) {
	if file.Generation != 0 {
		file.ID, err = s.CreateBlob(file)
		if !errors.Is(err, store.ErrNoRow) {
			return file, err == nil, err
		}
	}
	blob, err = s.LiveBlob(file.Digest)
	return blob, false, err
}

// checkQuota refuses a blob that cannot fit, long before the manifest is
// refused for it. What the project already pays for costs nothing again.
func (s *session) checkQuota(project core.Project, file core.Blob) error {
	if project.QuotaHard < 0 || project.QuotaUsed+file.Size <= project.QuotaHard {
		return nil
	}
	blob, err := s.LiveBlob(file.Digest)
	if err == nil {
		charged, err := s.ChargedInProject(project.ID, blob.ID)
		if charged || err != nil {
			return err
		}
	} else if !errors.Is(err, store.ErrNoRow) {
		return err
	}
	return quotaExceeded(file.Size, project.QuotaUsed, project.QuotaHard)
}

// MountBlob links a blob of another repository that the caller may pull there.
// Its error is CodeNotFound when it may not or the blob is not there, and the
// client must upload instead; CodeUnauthorized asks for a token for both.
func (a *App) MountBlob(ctx context.Context, c core.Caller, repository, from, digest string) error {
	return a.lease(ctx, c, func(s *session) error {
		project, err := s.pushable(repository)
		if err != nil {
			return err
		}
		blob, err := s.pullableBlob(from, digest, true)
		if core.ErrorCode(err) == core.CodeUnauthorized && c.Kind != core.KindAnonymous {
			return err // the account may, but its token was made for less
		}
		if err != nil {
			return store.ErrNoRow
		}
		id, err := s.EnsureRepository(project.ID, repository)
		if err != nil {
			return err
		}
		return s.LinkBlob(id, blob.ID, s.Now().Add(leaseTime))
	})
}

// DeleteBlob takes a blob from the repository; one that a manifest there uses
// is refused with CodeConflict.
func (a *App) DeleteBlob(ctx context.Context, c core.Caller, repository, digest string) error {
	return a.update(ctx, c, func(s *session) error {
		project, err := s.onRepository(repository, core.ResArtifact, core.ActDelete)
		if err != nil {
			return err
		}
		if err := s.app.writable(); err != nil {
			return err
		}
		blob, err := s.LinkedBlob(repository, digest)
		if err != nil {
			return err
		}
		if blob.Referenced {
			return core.Errorf(core.CodeConflict, "a manifest of %s uses the blob %s; delete that first", repository, digest)
		}
		if err := s.UnlinkBlob(blob.RepositoryID, blob.ID); err != nil {
			return err
		}
		return s.audit(act{operation: "delete", resourceType: "blob", resource: repository, project: project.ID, digest: digest})
	})
}

// StoredBlob returns the live file of a digest; CodeNotFound when there is none.
// It is for the registry's own work: no client is told.
func (a *App) StoredBlob(ctx context.Context, digest string) (blob core.Blob, err error) {
	err = a.view(ctx, itself, func(s *session) error {
		blob, err = s.LiveBlob(digest)
		return err
	})
	return blob, err
}

// LinkExisting is LinkBlob where the registry holds a live file of the blob
// already; it says whether it does.
func (a *App) LinkExisting(ctx context.Context, c core.Caller, repository string, blob core.Blob) (bool, error) {
	blob.Generation = 0
	_, err := a.LinkBlob(ctx, c, repository, blob)
	if core.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}
