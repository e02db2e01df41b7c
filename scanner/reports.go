package scanner

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/quay/claircore"
	"github.com/quay/claircore/enricher/epss"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/scanner/scandb"
)

// Report returns the stored report of an image; core.CodeNotFound without one.
func (e *Engine) Report(ctx context.Context, digest string) (*scandb.Report, error) {
	o, err := e.open(ctx)
	if err != nil {
		return nil, err
	}
	return o.scans.Report(ctx, digest)
}

// Search returns a page of the findings that match and how many there are; see
// scandb.Store.Search.
func (e *Engine) Search(ctx context.Context, q scandb.Query) ([]scandb.Occurrence, int, error) {
	o, err := e.open(ctx)
	if err != nil {
		return nil, 0, err
	}
	return o.scans.Search(ctx, q)
}

// CommonCVEs returns those of the vulnerabilities that are in the most images.
func (e *Engine) CommonCVEs(ctx context.Context, q scandb.Query, limit int) ([]scandb.CVECount, error) {
	o, err := e.open(ctx)
	if err != nil {
		return nil, err
	}
	return o.scans.CommonCVEs(ctx, q, limit)
}

// IndexReport returns what was found in an image, for a list of its software;
// core.CodeNotFound when it was never indexed.
func (e *Engine) IndexReport(ctx context.Context, digest string) (*claircore.IndexReport, error) {
	o, err := e.open(ctx)
	if err != nil {
		return nil, err
	}
	hash, err := claircore.ParseDigest(digest)
	if err != nil {
		return nil, core.Errorf(core.CodeBadRequest, "%q is not the digest of an image", core.Clip(digest, 80))
	}
	index, ok, err := o.scans.IndexReport(ctx, hash)
	if err != nil {
		return nil, err
	}
	if !ok || index.State != indexFinished {
		return nil, core.Errorf(core.CodeNotFound, "the image %s has not been scanned yet; scan it first", digest)
	}
	return index, nil
}

// Exploitability is how likely it is, by FIRST's EPSS, that a vulnerability is
// exploited within 30 days.
type Exploitability struct {
	Probability float64 // 0 to 1
	Percentile  float64 // the part of all CVEs that are less likely, 0 to 1
}

// Exploitability looks up EPSS for those of the CVEs that have one. It changes
// every day, so it is no part of the reports.
func (e *Engine) Exploitability(ctx context.Context, cves []string) (map[string]Exploitability, error) {
	o, err := e.open(ctx)
	if err != nil {
		return nil, err
	}
	records, err := o.vulns.Enrichments(ctx, EPSSUpdater, cves)
	if err != nil {
		return nil, err
	}
	found := make(map[string]Exploitability, len(records))
	for cve, record := range records {
		var item epss.EPSSItem
		if err := json.Unmarshal(record.Enrichment, &item); err != nil {
			return nil, fmt.Errorf("EPSS of %s: %w", cve, err)
		}
		found[cve] = Exploitability{Probability: item.EPSS, Percentile: item.Percentile}
	}
	return found, nil
}
