package app

import (
	"context"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Scanner finds vulnerabilities. It keeps the reports; what decides about a
// pull is kept by the use cases.
type Scanner interface {
	// Scan reads an image and matches it. Whatever is wrong with the image is
	// in the fact; an error is of the scanner itself, or ctx's.
	Scan(ctx context.Context, image core.ScanImage) (core.ScanFact, error)
	// Rematch matches all that Scan read before with the data of today, where it
	// was matched with other data. done is told of each image; progress, of how
	// many of how many are through.
	Rematch(ctx context.Context, done func(context.Context, core.ScanFact) error, progress func(done, total int)) error
	// Prune removes all that is known of the images, of those that were read,
	// that gone lists.
	Prune(ctx context.Context, gone func(ctx context.Context, digests []string) ([]string, error)) error
	// Report returns the report of an image; CodeNotFound when there is none.
	Report(ctx context.Context, digest string) (core.ScanReport, error)
	// Search returns the vulnerabilities that match and how many there are.
	Search(ctx context.Context, q core.VulnerabilityQuery) ([]core.ImageVulnerability, int64, error)
	// CommonCVEs returns those of the vulnerabilities that are in the most
	// images, at most n.
	CommonCVEs(ctx context.Context, q core.VulnerabilityQuery, n int) ([]core.CVECount, error)
}

// UseScanner gives the use cases their scanner. It must be called before the
// first request; without it nothing can be scanned.
func (a *App) UseScanner(s Scanner) { a.scanner = s }

// scanning returns the scanner.
func (a *App) scanning() (Scanner, error) {
	if a.scanner == nil {
		return nil, core.Errorf(core.CodeUnavailable, "this registry runs without its scanner; start it with breakwater serve")
	}
	return a.scanner, nil
}

// MaySeeScanner authorises to see which scanner there is: ActList or ActRead.
func (a *App) MaySeeScanner(ctx context.Context, c core.Caller, action core.Action) error {
	return a.view(ctx, c, func(s *session) error { return s.onSystem(core.ResScanner, action) })
}

// MayUseScanner authorises to see or choose the scanner of a project.
func (a *App) MayUseScanner(ctx context.Context, c core.Caller, ref core.ProjectRef, action core.Action) error {
	return a.view(ctx, c, func(s *session) error {
		_, err := s.onProject(ref, core.ResScanner, action)
		return err
	})
}
