package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// ErrTUFMoved tells that another change of the GUN was first: what was judged
// by the older state has to be judged again.
var ErrTUFMoved = errors.New("the trust data has changed in the meantime")

// keptVersions is how many versions of each role are kept, for clients that are
// just reading the older ones. All versions of the root are: clients go from
// one to the next.
const keptVersions = 10

// TUFUpdate is a change of a GUN, judged by package trust/notary.
type TUFUpdate struct {
	Revision  int64          // of the state that it was judged by
	Files     []core.TUFFile // new versions
	UsedKeys  []string       // ids of the registry's keys that signed
	Retired   []string       // ids of the registry's keys that the root names no more
	RefreshAt time.Time
	Facts     []core.TrustFact // about what is signed now, all of them
	View      core.TUFView
	Summary   string // for the audit log
}

// PublishTUF makes a change of a GUN that the caller may sign. ErrTUFMoved means
// that nothing was changed.
func (a *App) PublishTUF(ctx context.Context, c core.Caller, gun string, u TUFUpdate) error {
	return a.update(ctx, c, func(s *session) error {
		collection, err := s.signable(gun)
		if err != nil {
			return err
		}
		if err := s.app.writable(); err != nil && s.caller.Kind != core.KindSystem {
			return err
		}
		if collection.ID == 0 {
			return ErrTUFMoved // its keys went with it
		}
		change, err := s.applyTUF(collection.GUN, u)
		if err != nil || (change == "" && len(u.Files) == 0) {
			return err
		}
		return s.audit(act{operation: "update", resourceType: "trust", resource: gun, project: collection.project.ID,
			description: withChange(u.Summary, change)})
	})
}

// applyTUF returns what changed for people.
func (s *session) applyTUF(g core.GUN, u TUFUpdate) (string, error) {
	if err := s.AdvanceGUN(g.ID, u.Revision, u.RefreshAt, u.View); err != nil {
		return "", moved(err)
	}
	for _, file := range u.Files {
		if err := s.AddTUFFile(g.ID, file); err != nil {
			return "", moved(err)
		}
		if err := s.afterTUFFile(g, file); err != nil {
			return "", err
		}
	}
	for _, id := range u.UsedKeys {
		if err := s.UseTUFKey(g.ID, id); err != nil {
			return "", err
		}
	}
	for _, id := range u.Retired {
		if err := s.DeleteTUFKey(g.ID, id); err != nil {
			return "", err
		}
	}
	return s.setTUFFacts(g, u.Facts)
}

func moved(err error) error {
	if errors.Is(err, store.ErrNoRow) || errors.Is(err, store.ErrDuplicate) {
		return ErrTUFMoved
	}
	return err
}

func (s *session) afterTUFFile(g core.GUN, file core.TUFFile) error {
	if file.Role == "timestamp" {
		err := s.AddTUFChange(core.TUFChange{GUN: g.Name, Version: file.Version, SHA256: file.SHA256, Category: core.TUFUpdated})
		if err != nil {
			return err
		}
	}
	if file.Role == "root" {
		return nil
	}
	return s.PruneTUFFiles(g.ID, file.Role, keptVersions)
}

// OfferTUFKey keeps a new key of the registry for a role of the GUN and returns
// it, or the one that has been offered and not been used yet. rotate says that
// the client asks for another key than the one in use, for which it needs the
// right to delete the repository.
func (a *App) OfferTUFKey(ctx context.Context, c core.Caller, gun string, key core.TUFKey, rotate bool) (offered core.TUFKey, err error) {
	action := core.ActPush
	if rotate {
		action = core.ActDelete
	}
	err = a.update(ctx, c, func(s *session) error {
		collection, err := s.onGUN(gun, action)
		if err != nil {
			return err
		}
		if err := s.app.writable(); err != nil {
			return err
		}
		host, _, _ := core.SplitGUN(gun)
		if err := s.ownHost(host, false); err != nil {
			return err
		}
		offered, err = s.offerTUFKey(collection, gun, key)
		return err
	})
	return offered, err
}

func (s *session) offerTUFKey(c collection, gun string, key core.TUFKey) (core.TUFKey, error) {
	repositoryID, err := s.EnsureRepository(c.project.ID, c.repository)
	if err != nil {
		return key, err
	}
	g, err := s.EnsureGUN(gun, repositoryID)
	if err != nil {
		return key, err
	}
	keys, err := s.TUFKeys(g.ID)
	if err != nil {
		return key, err
	}
	pending := slices.IndexFunc(keys, func(k core.TUFKey) bool { return k.Role == key.Role && k.UsedAt.IsZero() })
	if pending >= 0 {
		return keys[pending], nil
	}
	if err := s.AddTUFKey(g.ID, key); err != nil {
		return key, err
	}
	return key, s.audit(act{operation: "create", resourceType: "trust", resource: gun, project: c.project.ID,
		description: "offered the " + key.Role + " key " + key.ID})
}

// DeleteTUF removes all trust data of a GUN, of which there need be none. It
// takes the right to delete the repository.
func (a *App) DeleteTUF(ctx context.Context, c core.Caller, gun string) error {
	return a.update(ctx, c, func(s *session) error {
		collection, err := s.onGUN(gun, core.ActDelete)
		if err != nil {
			return err
		}
		if err := s.app.writable(); err != nil {
			return err
		}
		if collection.ID == 0 {
			return nil
		}
		return s.deleteGUN(collection.GUN, collection.project.ID)
	})
}

func (s *session) deleteGUN(g core.GUN, projectID int64) error {
	published, err := s.DeleteGUN(g.ID)
	if err != nil {
		return err
	}
	// Where the same repository is signed in another name, that counts soon.
	if err := s.ReplaceTrustFacts(g.RepositoryID, core.TrustNotary, "", nil); err != nil {
		return err
	}
	if err := s.GUNsDue(g.RepositoryID); err != nil {
		return err
	}
	if published {
		if err := s.AddTUFChange(core.TUFChange{GUN: g.Name, Category: core.TUFDeleted}); err != nil {
			return err
		}
	}
	return s.audit(act{operation: "delete", resourceType: "trust", resource: g.Name, project: projectID})
}

// deleteTrust removes the trust data of a repository that is being deleted.
func (s *session) deleteTrust(repo core.Repository) error {
	guns, err := s.GUNsOf(repo.ID)
	if err != nil {
		return err
	}
	for _, g := range guns {
		if err := s.deleteGUN(g, repo.ProjectID); err != nil {
			return err
		}
	}
	return nil
}

// DueGUNs returns at most n GUNs that have to be looked at again before then.
func (a *App) DueGUNs(ctx context.Context, before time.Time, n int) (names []string, err error) {
	err = a.store.View(ctx, func(tx *store.Tx) error {
		names, err = tx.DueGUNs(before, n)
		return err
	})
	return names, err
}

// resealBatch is how many keys one transaction seals anew.
const resealBatch = 200

// ResealTUFKeys has every key of the registry sealed anew that reseal returns
// another sealing for. reseal gets the GUN and the key.
func (a *App) ResealTUFKeys(ctx context.Context, reseal func(gun string, key core.TUFKey) ([]byte, error)) error {
	var after store.SealedKey
	for {
		var page []store.SealedKey
		err := a.store.View(ctx, func(tx *store.Tx) (err error) {
			page, err = tx.SealedKeys(after, resealBatch)
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		if err := a.reseal(ctx, page, reseal); err != nil {
			return err
		}
		after = page[len(page)-1]
	}
}

func (a *App) reseal(ctx context.Context, page []store.SealedKey, reseal func(string, core.TUFKey) ([]byte, error)) error {
	changed := map[int][]byte{}
	for i, k := range page {
		sealed, err := reseal(k.GUN, k.Key)
		if err != nil {
			return err
		}
		if sealed != nil {
			changed[i] = sealed
		}
	}
	if len(changed) == 0 {
		return nil
	}
	return a.store.Update(ctx, func(tx *store.Tx) error {
		for i, sealed := range changed {
			if err := tx.ReplaceSealed(page[i].GUNID, page[i].Key.ID, sealed); err != nil {
				return err
			}
		}
		return nil
	})
}
