package feeds

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/quay/claircore/alpine"
	"github.com/quay/claircore/aws"
	"github.com/quay/claircore/debian"
	"github.com/quay/claircore/enricher/epss"
	"github.com/quay/claircore/enricher/kev"
	"github.com/quay/claircore/libvuln/driver"
	"github.com/quay/claircore/oracle"
	"github.com/quay/claircore/photon"
	"github.com/quay/claircore/rhel/vex"
	"github.com/quay/claircore/suse"
	"github.com/quay/claircore/ubuntu"
	"github.com/quay/claircore/updater/osv"
)

// factories make the updaters of each feed of core.FeedSets.
var factories = map[string]func(context.Context) (driver.UpdaterSetFactory, error){
	"alpine": func(ctx context.Context) (driver.UpdaterSetFactory, error) { return alpine.NewFactory(ctx) },
	"amazon": static(driver.UpdaterSetFactoryFunc(aws.UpdaterSet)),
	"debian": func(ctx context.Context) (driver.UpdaterSetFactory, error) { return debian.NewFactory(ctx) },
	"epss":   func(context.Context) (driver.UpdaterSetFactory, error) { return epss.NewFactory(), nil },
	"kev":    func(context.Context) (driver.UpdaterSetFactory, error) { return kev.NewFactory(), nil },
	"nvd":    func(context.Context) (driver.UpdaterSetFactory, error) { return newNVD(), nil },
	"oracle": static(driver.UpdaterSetFactoryFunc(oracle.UpdaterSet)),
	"osv":    func(context.Context) (driver.UpdaterSetFactory, error) { return new(osv.Factory), nil },
	"photon": static(driver.UpdaterSetFactoryFunc(photon.UpdaterSet)),
	"redhat": func(context.Context) (driver.UpdaterSetFactory, error) { return new(vex.Factory), nil },
	"suse":   func(context.Context) (driver.UpdaterSetFactory, error) { return new(suse.Factory), nil },
	"ubuntu": func(ctx context.Context) (driver.UpdaterSetFactory, error) { return ubuntu.NewFactory(ctx) },
}

func static(f driver.UpdaterSetFactory) func(context.Context) (driver.UpdaterSetFactory, error) {
	return func(context.Context) (driver.UpdaterSetFactory, error) { return f, nil }
}

// vexTimeout is what claircore allows for Red Hat's archive; Limits bound it.
const vexTimeout = "3h"

// settings are what claircore's updaters are told. Their addresses stay those
// upstream, which the gate leads elsewhere: not all of them can be set.
func settings(feed string) driver.ConfigUnmarshaler {
	return func(into any) error {
		if c, ok := into.(*vex.FactoryConfig); ok && feed == "redhat" {
			return c.CompressedFileTimeout.UnmarshalText([]byte(vexTimeout))
		}
		return nil
	}
}

// updaters looks for the parts of a feed and returns them in the order of
// their names. Claircore leaves out what it cannot reach; here that is an error.
func updaters(ctx context.Context, feed string, client *http.Client, w *watch) ([]driver.Updater, error) {
	build, ok := factories[feed]
	if !ok {
		return nil, fmt.Errorf("the feed %s has no updater", feed)
	}
	factory, err := build(ctx)
	if err != nil {
		return nil, err
	}
	if f, ok := factory.(driver.Configurable); ok {
		if err := f.Configure(ctx, settings(feed), client); err != nil {
			return nil, err
		}
	}
	w.forget()
	set, err := factory.UpdaterSet(ctx)
	if failure, missing := w.cause(); failure != nil {
		return nil, failure
	} else if err != nil {
		return nil, explain(err, missing)
	}
	all := set.Updaters()
	slices.SortFunc(all, func(a, b driver.Updater) int { return strings.Compare(a.Name(), b.Name()) })
	for _, u := range all {
		if c, ok := u.(driver.Configurable); ok {
			if err := c.Configure(ctx, settings(feed), client); err != nil {
				return nil, fmt.Errorf("%s: %w", u.Name(), err)
			}
		}
	}
	if len(all) == 0 {
		return nil, explain(errors.New("the source offers no data of a kind that is known here"), missingOf(w))
	}
	return all, nil
}

func missingOf(w *watch) error {
	_, missing := w.cause()
	return missing
}

// explain adds the request that was answered with 404, if any, to err.
func explain(err, missing error) error {
	if missing == nil || strings.Contains(err.Error(), missing.Error()) {
		return err
	}
	return fmt.Errorf("%w (%w)", err, missing)
}
