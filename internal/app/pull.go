package app

import (
	"context"
	"errors"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// Manifest returns the file of a manifest that the caller may pull, by tag or,
// when reference holds a colon, by digest. A pull is counted and audited when
// it is one: a GET, not a HEAD. A HEAD by digest of one who may push holds the
// manifest: the client may be about to push an index that lists it.
func (a *App) Manifest(ctx context.Context, c core.Caller, repository, reference string, counted bool) (store.ManifestFile, error) {
	var m store.ManifestFile
	hold := false
	look := func() error {
		return a.look(ctx, c, func(s *session) error {
			project, err := s.onRepository(repository, core.ResRepository, core.ActPull)
			if err != nil {
				return err
			}
			what := pulled{project: project, repository: repository}
			if isDigest(reference) {
				m, err = s.ManifestByDigest(repository, reference)
			} else {
				what.tag = reference
				m, err = s.ManifestByTag(repository, reference)
			}
			if err != nil {
				return err
			}
			if m.Damaged {
				return damaged(m.Digest)
			}
			if counted {
				return s.pull(what, m)
			}
			hold, err = s.stat(what, reference, m)
			return err
		})
	}
	err := a.afterScan(ctx, look)
	if err != nil || !hold {
		return m, a.result(c, err)
	}
	err = a.update(ctx, c, func(s *session) error {
		var err error
		if m, err = s.ManifestByDigest(repository, reference); err != nil {
			return err
		}
		return s.HoldManifest(m.ArtifactID, s.Now().Add(-leaseTime/2))
	})
	return m, err
}

// pull is the GET of a manifest: it is judged, counted and audited.
func (s *session) pull(what pulled, m store.ManifestFile) error {
	purpose, err := s.mayRead(what, m.ArtifactID)
	if err != nil {
		return err
	}
	event := s.event(act{operation: "pull", resourceType: "artifact", resource: what.name(m.Digest), project: what.project.ID, digest: m.Digest,
		description: purpose})
	s.app.events.addPull(event, pull{m.RepositoryID, m.ArtifactID, m.TagID})
	return nil
}

// stat is the HEAD of a manifest. It is judged like a GET, but not for the
// bearer of a token to push: containerd asks before it pushes and gives up when
// refused, so that nobody could push the fix over a blocked tag.
func (s *session) stat(what pulled, reference string, m store.ManifestFile) (hold bool, err error) {
	if !s.pushing(what.repository) {
		if _, err := s.mayRead(what, m.ArtifactID); err != nil {
			return false, err
		}
	}
	return s.needsHold(what.repository, reference, m)
}

// mayRead is mayPull for a manifest alone. A client that signs reads it first,
// and must get it of an image that may not be pulled for want of a signature:
// then purpose says so. The client only claims to be one, so it must be one's
// who may push, and gets nothing that runs: the blobs stay closed.
func (s *session) mayRead(what pulled, manifestID int64) (purpose string, err error) {
	err = s.mayPull(what, manifestID)
	if _, refused := errors.AsType[*refusal](err); !refused || !s.signs(what.project) {
		return "", err
	}
	return "to sign it", nil
}

// signs says whether the client calls itself one that signs, and the caller may
// push to the project, whatever the token was made for.
func (s *session) signs(project core.Project) bool {
	client := s.caller.Origin.Client
	if !strings.HasPrefix(client, "cosign/") && !strings.HasPrefix(client, "notation/") {
		return false
	}
	_, denied := s.onProject(core.ProjectRef{ID: project.ID}, core.ResRepository, core.ActPush)
	return denied == nil
}

// pushing says whether the caller has shown a token made for pushing to the
// repository, and may.
func (s *session) pushing(repository string) bool {
	if !s.caller.Limited {
		return false
	}
	_, denied := s.onRepository(repository, core.ResRepository, core.ActPush)
	return denied == nil
}

// needsHold says whether the manifest is asked for by one who may push, and
// nothing has kept it from the garbage collection for a while.
func (s *session) needsHold(repository, reference string, m store.ManifestFile) (bool, error) {
	if !isDigest(reference) {
		return false, nil
	}
	if _, denied := s.onRepository(repository, core.ResRepository, core.ActPush); denied != nil {
		return false, nil
	}
	held, err := s.HeldManifest(m.ArtifactID, s.Now().Add(-leaseTime/2))
	return !held, err
}

// HasRepository says whether the caller may pull from the repository and it is
// published: nil, CodeNotFound, or the denial.
func (a *App) HasRepository(ctx context.Context, c core.Caller, repository string) error {
	return a.view(ctx, c, func(s *session) error {
		_, _, err := s.repository(repository, core.ResRepository, core.ActPull)
		return err
	})
}

// TagNames returns at most n tag names of the repository that come after last,
// in lexical order; more says that others follow.
func (a *App) TagNames(ctx context.Context, c core.Caller, repository, last string, n int) (names []string, more bool, err error) {
	err = a.view(ctx, c, func(s *session) error {
		_, repo, err := s.repository(repository, core.ResRepository, core.ActPull)
		if err != nil {
			return err
		}
		names, err = s.TagNames(repo.ID, last, n+1)
		return err
	})
	names, more = cut(names, n)
	return names, more, err
}

func cut[T any](list []T, n int) ([]T, bool) {
	if len(list) > n {
		return list[:n], true
	}
	return list, false
}

// Catalog returns at most n repository names that the caller may see, after
// last, in lexical order; more says that others follow.
func (a *App) Catalog(ctx context.Context, c core.Caller, last string, n int) (names []string, more bool, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.signedIn("list the repositories"); err != nil {
			return err
		}
		if !c.Admits("registry", "catalog", "*") {
			return core.Errorf(core.CodeUnauthorized, "the token was not issued for registry:catalog:*")
		}
		visible := s.visibleRepositories()
		visible.All = visible.All || s.onSystem(core.ResCatalog, core.ActRead) == nil
		names, err = s.Catalog(visible, last, n+1)
		return err
	})
	names, more = cut(names, n)
	return names, more, err
}

// Referrers returns at most n manifests of the repository whose subject is
// digest, by id after the given one, of one artifact type unless it is empty.
func (a *App) Referrers(ctx context.Context, c core.Caller, repository, digest, artifactType string, after int64, n int) (referrers []core.Artifact, more bool, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if _, err := s.onRepository(repository, core.ResRepository, core.ActPull); err != nil {
			return err
		}
		referrers, err = s.Referrers(repository, digest, artifactType, after, n+1)
		return err
	})
	referrers, more = cut(referrers, n)
	return referrers, more, err
}

// Grant returns what of the wanted scopes the caller may do now. A token made
// for it is an upper bound: the rights are read again at every request. An
// unknown or hidden project gets no action, like a forbidden one.
func (a *App) Grant(ctx context.Context, c core.Caller, wanted []core.Scope) ([]core.Scope, error) {
	granted := make([]core.Scope, 0, len(wanted))
	err := a.store.View(ctx, func(tx *store.Tx) error {
		s, err := a.session(tx, c)
		if err != nil {
			return err
		}
		for _, scope := range wanted {
			actions, err := s.grantable(scope)
			if err != nil {
				return err
			}
			granted = append(granted, core.Scope{Type: scope.Type, Name: scope.Name, Actions: actions})
		}
		return nil
	})
	return granted, err
}

func (s *session) grantable(scope core.Scope) ([]string, error) {
	if scope.Type == "registry" && scope.Name == "catalog" && s.signedIn("") == nil {
		return []string{"*"}, nil
	}
	if scope.Type != "repository" {
		return []string{}, nil
	}
	actions := []string{}
	for _, action := range scope.Actions {
		for _, each := range expandAction(action) {
			err := s.scoped(scope.Name, each)
			if err == nil {
				actions = append(actions, each)
			} else if core.ErrorCode(err) == core.CodeInternal {
				return nil, err
			}
		}
	}
	return actions, nil
}

// scoped authorises an action of a token on what its scope names: a repository,
// or a GUN, which begins with a host. A name can be read as both; the token
// carries it as it is, and each route reads it in its own way.
func (s *session) scoped(name, action string) error {
	p := scopePermissions[action]
	_, err := s.onRepository(name, p.Resource, p.Action)
	if err == nil || core.ErrorCode(err) == core.CodeInternal {
		return err
	}
	if _, _, ok := core.SplitGUN(name); !ok {
		return err
	}
	_, err = s.onGUN(name, p.Action)
	return err
}

// scopePermissions is the right that stands behind each action of a token.
var scopePermissions = map[string]core.Permission{
	"pull":   {Resource: core.ResRepository, Action: core.ActPull},
	"push":   {Resource: core.ResRepository, Action: core.ActPush},
	"delete": {Resource: core.ResArtifact, Action: core.ActDelete},
}

// expandAction turns "*" into all it stands for and an unknown action into none.
func expandAction(action string) []string {
	if action == "*" {
		return []string{"pull", "push", "delete"}
	}
	if _, ok := scopePermissions[action]; ok {
		return []string{action}
	}
	return nil
}
