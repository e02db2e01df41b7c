package app

import (
	"context"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// trustHostsKey is the setting that remembers in whose names the facts of the
// database were judged.
const trustHostsKey = "trust_hosts"

// NoteTrustHosts has all trust data judged again when the registry has got
// another name since the last time, or other aliases.
func (a *App) NoteTrustHosts(ctx context.Context) error {
	hosts := strings.Join(a.trustHosts, " ")
	return a.store.Update(ctx, func(tx *store.Tx) error {
		settings, err := tx.Settings()
		if err != nil || settings[trustHostsKey] == hosts {
			return err
		}
		if err := tx.AllGUNsDue(); err != nil {
			return err
		}
		return tx.SetSetting(trustHostsKey, hosts)
	})
}

// Collection is a trusted collection of a repository.
type Collection struct {
	core.GUN
	core.TUFView
	Decides bool // its signatures are those of the repository
	Current bool // it is in the name that the registry has now
}

// RepositoryTrust is who signs a repository with notary, and what.
type RepositoryTrust struct {
	Canonical   string // the GUN that clients should sign by
	Collections []Collection
	Facts       []core.TrustFact // notary's, by tag; expired ones too
}

// RepositoryTrust returns who signs a repository with notary, and what, to all
// who may pull from it: they may read the metadata themselves, too.
func (a *App) RepositoryTrust(ctx context.Context, c core.Caller, full string) (trust RepositoryTrust, err error) {
	err = a.view(ctx, c, func(s *session) error {
		_, repo, err := s.repository(full, core.ResRepository, core.ActPull)
		if err != nil {
			return err
		}
		trust.Canonical = a.canonicalHost() + "/" + full
		if trust.Collections, err = s.collections(repo.ID); err != nil {
			return err
		}
		trust.Facts, err = s.TrustFactsOfKind(repo.ID, core.TrustNotary)
		return err
	})
	return trust, err
}

func (s *session) collections(repositoryID int64) ([]Collection, error) {
	guns, err := s.GUNsOf(repositoryID)
	if err != nil {
		return nil, err
	}
	deciding, err := s.deciding(repositoryID)
	if err != nil {
		return nil, err
	}
	var all []Collection
	for _, g := range guns {
		if !g.Published() {
			continue
		}
		view, err := s.TUFView(g.ID)
		if err != nil {
			return nil, err
		}
		host, _, _ := core.SplitGUN(g.Name)
		all = append(all, Collection{GUN: g, TUFView: view, Decides: g.ID == deciding, Current: host == s.app.canonicalHost()})
	}
	return all, nil
}

// SignAgain lists the repositories that are signed only in other names than the
// registry's own, after it has got another one: whoever signed them has to do it
// again. It is for system administrators.
func (a *App) SignAgain(ctx context.Context, c core.Caller) (names []string, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResConfiguration, core.ActRead); err != nil {
			return err
		}
		names, err = s.SignedElsewhere(a.canonicalHost())
		return err
	})
	return names, err
}
