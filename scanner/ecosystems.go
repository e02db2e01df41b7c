package scanner

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/quay/claircore/alpine"
	"github.com/quay/claircore/dpkg"
	"github.com/quay/claircore/gobin"
	"github.com/quay/claircore/indexer"
	"github.com/quay/claircore/java"
	"github.com/quay/claircore/nodejs"
	"github.com/quay/claircore/python"
	"github.com/quay/claircore/rhel"
	"github.com/quay/claircore/rhel/rhcc"
	"github.com/quay/claircore/rpm"
	"github.com/quay/claircore/ruby"
)

// ecosystems are all that claircore knows, nodejs included, which it does not
// turn on itself. Each scanner is made and configured once, and guarded.
func (e *Engine) ecosystems(ctx context.Context) ([]*indexer.Ecosystem, error) {
	list := []*indexer.Ecosystem{
		dpkg.NewEcosystem(ctx), alpine.NewEcosystem(ctx), rhel.NewEcosystem(ctx), rpm.NewEcosystem(ctx), python.NewEcosystem(ctx),
		java.NewEcosystem(ctx), rhcc.NewEcosystem(ctx), gobin.NewEcosystem(ctx), ruby.NewEcosystem(ctx), nodejs.NewEcosystem(ctx),
	}
	for i, eco := range list {
		guarded, err := e.guardEcosystem(ctx, eco)
		if err != nil {
			return nil, err
		}
		list[i] = guarded
	}
	return list, nil
}

// scannerSettings are for the scanners that would ask the network otherwise, by
// their names.
func (e *Engine) scannerSettings() map[string]any {
	return map[string]any{
		"java":                    java.ScannerConfig{DisableAPI: true},
		"rhel-repository-scanner": rhel.RepositoryScannerConfig{Repo2CPEMappingFile: e.mappingFile(RepositoryMapping)},
		"rhel_containerscanner":   rhcc.ScannerConfig{Name2ReposMappingFile: e.mappingFile(ContainerMapping)},
	}
}

// configure gives a scanner its settings, in either of the two ways there are.
func (e *Engine) configure(ctx context.Context, s indexer.VersionedScanner) error {
	settings := func(v any) error {
		given, ok := e.scannerSettings()[s.Name()]
		if !ok {
			return nil
		}
		text, err := json.Marshal(given)
		if err != nil {
			return err
		}
		return json.Unmarshal(text, v)
	}
	var err error
	switch c := s.(type) {
	case indexer.RPCScanner:
		err = c.Configure(ctx, settings, offline)
	case indexer.ConfigurableScanner:
		err = c.Configure(ctx, settings)
	}
	if err != nil {
		return fmt.Errorf("configure the scanner %s: %w", s.Name(), err)
	}
	return nil
}

// guardEcosystem configures all scanners of an ecosystem and guards them.
func (e *Engine) guardEcosystem(ctx context.Context, eco *indexer.Ecosystem) (*indexer.Ecosystem, error) {
	packages, err := guardAll(ctx, e, eco.PackageScanners, guardPackages)
	if err != nil {
		return nil, err
	}
	dists, err := guardAll(ctx, e, eco.DistributionScanners, func(s indexer.DistributionScanner) indexer.DistributionScanner { return guardedDists{s} })
	if err != nil {
		return nil, err
	}
	repos, err := guardAll(ctx, e, eco.RepositoryScanners, func(s indexer.RepositoryScanner) indexer.RepositoryScanner { return guardedRepos{s} })
	if err != nil {
		return nil, err
	}
	files, err := guardAll(ctx, e, eco.FileScanners, func(s indexer.FileScanner) indexer.FileScanner { return guardedFiles{s} })
	if err != nil {
		return nil, err
	}
	return &indexer.Ecosystem{Name: eco.Name, PackageScanners: packages, DistributionScanners: dists, RepositoryScanners: repos, FileScanners: files,
		Coalescer: func(ctx context.Context) (indexer.Coalescer, error) {
			c, err := eco.Coalescer(ctx)
			return guardedCoalescer{c}, err
		}}, nil
}

// guardAll makes the scanners now, and returns what claircore calls for them.
func guardAll[S indexer.VersionedScanner](ctx context.Context, e *Engine, scanners func(context.Context) ([]S, error), guard func(S) S) (func(context.Context) ([]S, error), error) {
	var all []S
	if scanners != nil {
		made, err := scanners(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range made {
			if err := e.configure(ctx, s); err != nil {
				return nil, err
			}
			all = append(all, guard(s))
		}
	}
	return func(context.Context) ([]S, error) { return slices.Clone(all), nil }, nil
}
