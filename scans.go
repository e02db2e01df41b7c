package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/jobs"
	"github.com/breakwater-registry/breakwater/scanner"
	"github.com/breakwater-registry/breakwater/scanner/scandb"
)

// runScan does the jobs that scan.
func runScan(a *app.App) jobs.Handler {
	return func(ctx context.Context, run *jobs.Run) error {
		return a.RunScan(ctx, run.Job, func(progress app.ScanProgress, line string) {
			run.Progress(progress)
			if line != "" {
				run.Logf("%s", line)
			}
		})
	}
}

// scans is the scanner as the use cases know it.
type scans struct{ engine *scanner.Engine }

// Scan implements app.Scanner.
func (s scans) Scan(ctx context.Context, image core.ScanImage) (core.ScanFact, error) {
	began := time.Now()
	result, err := s.engine.Scan(ctx, scanner.Image{Digest: image.Digest, Layers: image.Layers})
	if err != nil {
		return scanProblem(image.Digest, err)
	}
	fact := factOf(result)
	fact.Duration = time.Since(began)
	return fact, nil
}

// scanProblem is the fact of an image that could not be scanned, if that is what
// the error tells of.
func scanProblem(digest string, err error) (core.ScanFact, error) {
	fact := core.ScanFact{Digest: digest, Status: core.ScanError, Message: core.ErrorMessage(err), Engine: engineName}
	switch {
	case errors.Is(err, scanner.ErrUnscannable):
		fact.Status = core.ScanUnscannable
	case core.ErrorCode(err) == core.CodeInternal:
		return core.ScanFact{}, err
	}
	return fact, nil
}

const engineName = scanner.Name + " " + scanner.Version

func factOf(r *scanner.Result) core.ScanFact {
	return core.ScanFact{Digest: r.Report.Digest, Status: core.ScanSuccess, Engine: engineName, Feed: r.Feed(), Findings: r.Findings(), ScannedAt: r.Report.MatchedAt}
}

// Rematch implements app.Scanner.
func (s scans) Rematch(ctx context.Context, done func(context.Context, core.ScanFact) error, progress func(done, total int)) error {
	return s.engine.Rematch(ctx, func(ctx context.Context, r *scanner.Result) error { return done(ctx, factOf(r)) }, progress)
}

// Prune implements app.Scanner.
func (s scans) Prune(ctx context.Context, gone func(context.Context, []string) ([]string, error)) error {
	return s.engine.Prune(ctx, gone)
}

// Report implements app.Scanner.
func (s scans) Report(ctx context.Context, digest string) (core.ScanReport, error) {
	r, err := s.engine.Report(ctx, digest)
	if err != nil {
		return core.ScanReport{}, err
	}
	report := core.ScanReport{Digest: r.Digest, Feed: (&scanner.Result{Report: r}).Feed(), IndexedAt: r.IndexedAt, MatchedAt: r.MatchedAt, OS: r.OS, Packages: r.Packages}
	cves := make([]string, len(r.Findings))
	for i, f := range r.Findings {
		cves[i] = f.CVE
	}
	odds, err := s.engine.Exploitability(ctx, cves)
	for _, f := range r.Findings {
		v := vulnerability(f)
		v.EPSS = odds[f.CVE].Probability
		report.Vulnerabilities = append(report.Vulnerabilities, v)
	}
	return report, err
}

func vulnerability(f scandb.Finding) core.Vulnerability {
	return core.Vulnerability{CVE: f.CVE, Name: f.Advisory.Name, Source: f.Updater, Severity: f.Severity, SourceSeverity: f.SourceSeverity,
		Score: f.Score, Vector: f.Vector, KEV: f.KEV, Issued: f.Issued, Description: f.Description, Links: strings.Fields(f.Links),
		Package: f.Package.Name, Version: f.Version, Arch: f.Arch, Fixed: f.Fixed, Layer: f.Layer, Place: f.Place}
}

// Search implements app.Scanner.
func (s scans) Search(ctx context.Context, q core.VulnerabilityQuery) ([]core.ImageVulnerability, int64, error) {
	page, total, err := s.engine.Search(ctx, findingQuery(q))
	list := make([]core.ImageVulnerability, len(page))
	for i, o := range page {
		list[i] = core.ImageVulnerability{Digest: o.Digest, Vulnerability: vulnerability(o.Finding)}
	}
	return list, int64(total), err
}

func findingQuery(q core.VulnerabilityQuery) scandb.Query {
	return scandb.Query{Digests: q.Digests, CVE: q.CVE, Package: q.Package, Severities: q.Severities,
		Fixable: q.Fixable, KEV: q.KEV, MinScore: q.MinScore, MaxScore: q.MaxScore, Offset: q.Offset, Limit: q.Limit}
}

// CommonCVEs implements app.Scanner.
func (s scans) CommonCVEs(ctx context.Context, q core.VulnerabilityQuery, n int) ([]core.CVECount, error) {
	counts, err := s.engine.CommonCVEs(ctx, findingQuery(q), n)
	list := make([]core.CVECount, len(counts))
	for i, c := range counts {
		list[i] = core.CVECount{CVE: c.CVE, Severity: c.Severity, Score: c.Score, KEV: c.KEV, Images: int64(c.Images)}
	}
	return list, err
}
