package scanner

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/quay/claircore"
	"github.com/quay/claircore/indexer"
	"github.com/quay/claircore/libvuln/driver"
	"github.com/quay/claircore/matchers/registry"
	"github.com/quay/claircore/nodejs"

	_ "github.com/quay/claircore/matchers/defaults" // registers what guardedMatchers lists
)

// What images hold is whatever somebody pushed, and claircore runs its parsers
// in goroutines of its own, where a panic would end the whole registry. So each
// parser is wrapped: a panic fails one scan.

// guard turns a panic into an error.
func guard(what string, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s failed over the content of the image: %v\n%s", what, p, debug.Stack())
	}
}

type guardedPackages struct{ indexer.PackageScanner }

func (g guardedPackages) Scan(ctx context.Context, l *claircore.Layer) (found []*claircore.Package, err error) {
	defer guard("the scanner "+g.Name(), &err)
	return g.PackageScanner.Scan(ctx, l)
}

// guardedRepoPackages is for scanners that also know where their packages come from.
type guardedRepoPackages struct {
	guardedPackages
	indexer.DefaultRepoScanner
}

func guardPackages(s indexer.PackageScanner) indexer.PackageScanner {
	if r, ok := s.(indexer.DefaultRepoScanner); ok {
		return guardedRepoPackages{guardedPackages{s}, r}
	}
	return guardedPackages{s}
}

type guardedDists struct{ indexer.DistributionScanner }

func (g guardedDists) Scan(ctx context.Context, l *claircore.Layer) (found []*claircore.Distribution, err error) {
	defer guard("the scanner "+g.Name(), &err)
	return g.DistributionScanner.Scan(ctx, l)
}

type guardedRepos struct{ indexer.RepositoryScanner }

func (g guardedRepos) Scan(ctx context.Context, l *claircore.Layer) (found []*claircore.Repository, err error) {
	defer guard("the scanner "+g.Name(), &err)
	return g.RepositoryScanner.Scan(ctx, l)
}

type guardedFiles struct{ indexer.FileScanner }

func (g guardedFiles) Scan(ctx context.Context, l *claircore.Layer) (found []claircore.File, err error) {
	defer guard("the scanner "+g.Name(), &err)
	return g.FileScanner.Scan(ctx, l)
}

type guardedCoalescer struct{ indexer.Coalescer }

func (g guardedCoalescer) Coalesce(ctx context.Context, artifacts []*indexer.LayerArtifacts) (report *claircore.IndexReport, err error) {
	defer guard("putting the layers together", &err)
	return g.Coalescer.Coalesce(ctx, artifacts)
}

type guardedMatcher struct{ driver.Matcher }

func (g guardedMatcher) Vulnerable(ctx context.Context, record *claircore.IndexRecord, v *claircore.Vulnerability) (yes bool, err error) {
	defer guard("the matcher "+g.Name(), &err)
	return g.Matcher.Vulnerable(ctx, record, v)
}

// guardedFilter is for matchers that leave comparing versions to the database.
type guardedFilter struct {
	guardedMatcher
	authoritative bool
}

// An embedded VersionFilter would hide its method of the same name.
var _ driver.VersionFilter = (*guardedFilter)(nil)

func (*guardedFilter) VersionFilter()               {}
func (g *guardedFilter) VersionAuthoritative() bool { return g.authoritative }

// guardedMatchers are claircore's matchers, nodejs included, which it does not
// turn on itself.
func guardedMatchers(ctx context.Context) ([]driver.Matcher, error) {
	all := []driver.Matcher{&nodejs.Matcher{}}
	for name, factory := range registry.Registered() {
		made, err := factory.Matcher(ctx)
		if err != nil {
			return nil, fmt.Errorf("matcher %s: %w", name, err)
		}
		all = append(all, made...)
	}
	for i, m := range all {
		if _, ok := m.(driver.RemoteMatcher); ok {
			return nil, fmt.Errorf("matcher %s asks the network", m.Name())
		}
		if f, ok := m.(driver.VersionFilter); ok {
			all[i] = &guardedFilter{guardedMatcher{m}, f.VersionAuthoritative()}
		} else {
			all[i] = &guardedMatcher{m} // claircore wants pointers
		}
	}
	return all, nil
}
