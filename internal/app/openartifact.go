package app

import (
	"context"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const (
	// maxReferrerDepth and maxReferrers bound the tree of what refers to an
	// artifact, as a page shows it.
	maxReferrerDepth = 4
	maxReferrers     = 200
)

// OpenedArtifact is an artifact as a page shows it.
type OpenedArtifact struct {
	ListedArtifact
	Repository OpenedRepository
	Parent     string // digest of an index that lists it; "" for none
	// ChildScans is where the entries of an index stand, by digest.
	ChildScans map[string]ScanState
	// ChildSigns is what signs the entries of an index, by digest.
	ChildSigns map[string]Signed
}

// OpenArtifact returns an artifact, with the caller's rights, by tag or digest.
func (a *App) OpenArtifact(ctx context.Context, c core.Caller, full, reference string) (opened OpenedArtifact, err error) {
	err = a.view(ctx, c, func(s *session) error {
		project, _, err := s.repository(full, core.ResArtifact, core.ActRead)
		if err != nil {
			return err
		}
		if opened.Repository, err = s.openedRepository(full); err != nil {
			return err
		}
		found, err := s.find(full, reference)
		if err != nil {
			return err
		}
		tag := reference
		if isDigest(reference) {
			tag = ""
		}
		list, err := s.listed(project, tag, found)
		if err != nil {
			return err
		}
		opened.ListedArtifact = list[0]
		if opened.ChildScans, err = s.childScans(opened.Children); err != nil {
			return err
		}
		if opened.ChildSigns, err = s.signChildren(opened.ListedArtifact); err != nil {
			return err
		}
		opened.Parent, err = s.ParentOf(found.ID)
		return err
	})
	return opened, err
}

// Referrer is a manifest that refers to another, with what refers to it.
type Referrer struct {
	core.Artifact
	Referrers []Referrer
}

// ReferrerTree returns what refers to an artifact, such as signatures and bills
// of materials, and what refers to that; whole says that nothing was left out.
func (a *App) ReferrerTree(ctx context.Context, c core.Caller, full, reference string) (tree []Referrer, whole bool, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if _, _, err := s.repository(full, core.ResAccessory, core.ActList); err != nil {
			return err
		}
		found, err := s.find(full, reference)
		if err != nil {
			return err
		}
		left := maxReferrers
		tree, whole, err = s.referrerTree(full, found.Digest, maxReferrerDepth, &left)
		return err
	})
	return tree, whole, err
}

func (s *session) referrerTree(full, digest string, depth int, left *int) (tree []Referrer, whole bool, err error) {
	rows, err := s.Tx.Referrers(full, digest, "", 0, *left+1)
	if err != nil || len(rows) == 0 {
		return nil, err == nil, err
	}
	rows, more := cut(rows, *left)
	whole = !more
	if depth == 0 {
		return nil, false, nil
	}
	*left -= len(rows)
	for _, row := range rows {
		below, all, err := s.referrerTree(full, row.Digest, depth-1, left)
		if err != nil {
			return nil, false, err
		}
		whole = whole && all
		tree = append(tree, Referrer{row, below})
	}
	return tree, whole, nil
}
