package app

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// trustHosts are the hosts, with their ports, in whose names trust data is
// taken: the canonical one first, then the aliases.
type trustHosts []string

// SetTrustHosts says in whose names repositories may be signed: canonical as in
// external-url, HOST[:PORT], and others. It is to be called before the first
// request.
func (a *App) SetTrustHosts(canonical string, aliases ...string) {
	a.trustHosts = append(trustHosts{canonical}, aliases...)
}

// canonicalHost is the name that clients should call the registry by.
func (a *App) canonicalHost() string {
	if len(a.trustHosts) == 0 {
		return ""
	}
	return a.trustHosts[0]
}

// collection is a GUN with the repository that it is about. Its ID is 0 where
// nothing is kept yet.
type collection struct {
	core.GUN
	project    core.Project
	repository string
}

// onGUN authorises action on the repository of a GUN: the right is the one to
// the repository, and a token must have been made for the GUN. A GUN of a host
// that is not ours (any more) is only read and deleted.
func (s *session) onGUN(gun string, action core.Action) (collection, error) {
	c := collection{}
	host, repository, ok := core.SplitGUN(gun)
	if !ok {
		return c, core.Errorf(core.CodeBadRequest, "%q is not a name to sign; use HOST/PROJECT/NAME", core.Clip(gun, 160))
	}
	name, _, _ := core.SplitRepository(repository)
	project, err := s.onProject(core.ProjectRef{Name: name}, core.ResRepository, action)
	if err != nil {
		return c, err
	}
	c = collection{project: project, repository: repository}
	if c.GUN, err = s.Tx.GUN(gun); err != nil && !errors.Is(err, store.ErrNoRow) {
		return c, err
	}
	if err := s.ownHost(host, c.ID != 0 && action != core.ActPush); err != nil {
		return c, err
	}
	if !s.caller.Admits("repository", gun, scopeAction(action)) {
		return c, core.Errorf(core.CodeUnauthorized, "the token was not issued for %s of %s", scopeAction(action), gun)
	}
	return c, nil
}

// ownHost refuses hosts that the registry does not keep trust data for; kept
// says that it did before.
func (s *session) ownHost(host string, kept bool) error {
	if kept || slices.Contains(s.app.trustHosts, host) {
		return nil
	}
	return core.Errorf(core.CodeBadRequest,
		"this registry keeps no trust data for %s, only for %s: name the image by that, or have the administrator add the other name with --trust-alias",
		core.Clip(host, 160), strings.Join(s.app.trustHosts, ", "))
}

// TUFPick selects a version of a role's metadata: by its SHA-256 or by its
// number, else the newest.
type TUFPick struct {
	SHA256  string
	Version int64
}

// TUFFile returns metadata of a GUN, which the caller must be allowed to pull,
// with the state of the GUN; CodeNotFound when there is none such.
func (a *App) TUFFile(ctx context.Context, c core.Caller, gun, role string, pick TUFPick) (file core.TUFFile, state core.GUN, err error) {
	err = a.view(ctx, c, func(s *session) error {
		collection, err := s.onGUN(gun, core.ActPull)
		if err != nil {
			return err
		}
		state = collection.GUN
		switch {
		case pick.SHA256 != "":
			file, err = s.Tx.TUFFileSum(state.ID, role, pick.SHA256)
		case pick.Version != 0:
			file, err = s.Tx.TUFFileVersion(state.ID, role, pick.Version)
		default:
			file, err = s.Tx.TUFFile(state.ID, role)
		}
		return err
	})
	return file, state, err
}

// TUFState is all that a change of a GUN is judged by, at one moment.
type TUFState struct {
	core.GUN
	Files []core.TUFFile // the newest of each role
	Keys  []core.TUFKey
}

// TUFState returns the state of a GUN to one who may sign there, or to the
// registry itself. A GUN that nothing is kept of has the revision 0.
func (a *App) TUFState(ctx context.Context, c core.Caller, gun string) (state TUFState, err error) {
	err = a.view(ctx, c, func(s *session) error {
		collection, err := s.signable(gun)
		if err != nil {
			return err
		}
		state.GUN = collection.GUN
		state.Name = gun
		if state.Files, err = s.Tx.TUFFiles(state.ID); err != nil {
			return err
		}
		state.Keys, err = s.Tx.TUFKeys(state.ID)
		return err
	})
	return state, err
}

// signable authorises signing. The registry itself may look after what it keeps
// in the name of any host.
func (s *session) signable(gun string) (collection, error) {
	if s.caller.Kind == core.KindSystem {
		return s.onGUN(gun, core.ActPull)
	}
	return s.onGUN(gun, core.ActPush)
}

// TUFChanges returns entries of notary's changefeed, the oldest first: at most n
// after the id or, where back, before it (0 for the end); of one GUN, or of all
// when it is empty, which is for system administrators.
func (a *App) TUFChanges(ctx context.Context, c core.Caller, gun string, id int64, n int, back bool) (changes []core.TUFChange, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.feedReadable(gun); err != nil {
			return err
		}
		if back {
			changes, err = s.Tx.TUFChangesBefore(gun, id, n)
		} else {
			changes, err = s.Tx.TUFChangesAfter(gun, id, n)
		}
		return err
	})
	return changes, err
}

func (s *session) feedReadable(gun string) error {
	if gun != "" {
		_, err := s.onGUN(gun, core.ActPull)
		return err
	}
	if err := s.onSystem(core.ResCatalog, core.ActRead); err != nil {
		return err
	}
	if !s.caller.Admits("registry", "catalog", "*") {
		return core.Errorf(core.CodeUnauthorized, "the token was not issued for registry:catalog:*")
	}
	return nil
}

// MaySign says whether the caller may sign in the name of the GUN now: nil or
// why not.
func (a *App) MaySign(ctx context.Context, c core.Caller, gun string) error {
	return a.view(ctx, c, func(s *session) error {
		if _, err := s.onGUN(gun, core.ActPush); err != nil {
			return err
		}
		return a.writable()
	})
}
