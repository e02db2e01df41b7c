package app

import (
	"context"
	"maps"
	"slices"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// VulnerabilitySearch selects vulnerabilities and the images they are in.
type VulnerabilitySearch struct {
	core.VulnerabilityQuery
	Images store.ImageFilter // what is empty selects nothing
}

// FoundVulnerability is a vulnerability in an image, in one of its repositories.
type FoundVulnerability struct {
	core.Vulnerability
	store.Holder
}

// SearchVulnerabilities lists the vulnerabilities of all images that match, and
// counts them.
func (a *App) SearchVulnerabilities(ctx context.Context, c core.Caller, search VulnerabilitySearch) (list []FoundVulnerability, total int64, err error) {
	err = a.view(ctx, c, func(s *session) (err error) {
		if err := s.onSystem(core.ResSecurityHub, core.ActList); err != nil {
			return err
		}
		search.Digests, err = s.searched(search.Images)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return a.search(ctx, search)
}

// searched returns the digests of the images that are selected, nil for all.
func (s *session) searched(images store.ImageFilter) ([]string, error) {
	if images.Empty() {
		return nil, nil
	}
	digests, err := s.FilteredImages(images)
	if digests == nil {
		digests = []string{} // none, which is not all
	}
	return digests, err
}

func (a *App) search(ctx context.Context, search VulnerabilitySearch) ([]FoundVulnerability, int64, error) {
	engine, err := a.scanning()
	if err != nil {
		return nil, 0, err
	}
	page, total, err := engine.Search(ctx, search.VulnerabilityQuery)
	if err != nil {
		return nil, 0, err
	}
	digests := map[string]bool{}
	for _, v := range page {
		digests[v.Digest] = true
	}
	var holders map[string]store.Holder
	err = a.store.View(ctx, func(tx *store.Tx) (err error) {
		holders, err = tx.Holders(slices.Collect(maps.Keys(digests)), search.Images)
		return err
	})
	list := make([]FoundVulnerability, 0, len(page))
	for _, v := range page {
		holder := holders[v.Digest] // empty where it was deleted just now
		holder.Digest = v.Digest
		list = append(list, FoundVulnerability{v.Vulnerability, holder})
	}
	return list, total, err
}
