package scanner

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/quay/claircore"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/scanner/scandb"
)

// Image is what is scanned: a manifest with layers.
type Image struct {
	Digest string
	Layers []string // digests of the layers, the lowest first
}

// Result is the outcome of a scan or of matching again.
type Result struct {
	Report  *scandb.Report
	Changed bool // the findings differ from those of the report before
}

// Findings are the report's vulnerabilities as the decision about a pull needs
// them: each once, sorted with core.SortFindings.
func (r *Result) Findings() []core.Finding {
	byCVE := map[string]core.Finding{}
	for _, f := range r.Report.Findings {
		known := byCVE[f.CVE]
		byCVE[f.CVE] = core.Finding{CVE: f.CVE, Severity: max(known.Severity, f.Severity), Fixable: known.Fixable || f.Fixed != "", KEV: known.KEV || f.KEV}
	}
	list := make([]core.Finding, 0, len(byCVE))
	for _, f := range byCVE {
		list = append(list, f)
	}
	core.SortFindings(list)
	return list
}

// Feed is the generation of the vulnerability data that made the report.
func (r *Result) Feed() string { return strconv.FormatInt(r.Report.Feed, 10) }

// Scan indexes an image, which reads only layers that are not known yet, and
// matches it with the feeds. It waits for its turn. The report is stored when
// it returns; the same image may be scanned again at any time.
//
// An error with ErrUnscannable in its chain is final. What is wrong with one
// image has no effect on others.
func (e *Engine) Scan(ctx context.Context, image Image) (*Result, error) {
	o, err := e.openToScan(ctx)
	if err != nil {
		return nil, err
	}
	select {
	case e.turns <- struct{}{}:
		defer func() { <-e.turns }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	limited, cancel := context.WithTimeout(ctx, e.options.Timeout)
	defer cancel()
	index, err := e.index(limited, o, image)
	if err != nil {
		return nil, explain(limited, image.Digest, e.options.Timeout, err)
	}
	result, err := o.rematch(limited, image.Digest, index, time.Now())
	if err == nil {
		err = o.scans.SetFeed(limited, image.Digest, result.Report.Feed)
	}
	if err != nil {
		return nil, explain(limited, image.Digest, e.options.Timeout, err)
	}
	return result, nil
}

const indexFinished = "IndexFinished"

// index finds out what is in the image.
func (e *Engine) index(ctx context.Context, o *opened, image Image) (*claircore.IndexReport, error) {
	manifest, err := claircoreManifest(image)
	if err != nil {
		return nil, err
	}
	report, err := o.index.Index(ctx, manifest)
	if err != nil {
		return nil, err
	}
	// A deadline that ends inside of a layer comes back without any error.
	if !report.Success || report.State != indexFinished {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("indexing ended in the state %s: %s", report.State, report.Err)
	}
	return report, nil
}

func claircoreManifest(image Image) (*claircore.Manifest, error) {
	hash, err := claircore.ParseDigest(image.Digest)
	if err != nil {
		return nil, core.Errorf(core.CodeBadRequest, "%q is not the digest of an image", core.Clip(image.Digest, 80))
	}
	if len(image.Layers) == 0 {
		return nil, &core.Error{Code: core.CodePrecondition, Err: ErrUnscannable, Message: "the image has no layers, so there is nothing to scan"}
	}
	m := &claircore.Manifest{Hash: hash}
	for _, digest := range image.Layers {
		hash, err := claircore.ParseDigest(digest)
		if err != nil {
			return nil, core.Errorf(core.CodeBadRequest, "%q is not the digest of a layer", core.Clip(digest, 80))
		}
		m.Layers = append(m.Layers, &claircore.Layer{Hash: hash})
	}
	return m, nil
}

// rematch matches an index report and stores the result, which stays stale until
// SetFeed. indexed is zero when the layers were not looked at.
func (o *opened) rematch(ctx context.Context, digest string, index *claircore.IndexReport, indexed time.Time) (*Result, error) {
	// Read first: what changes while matching goes on makes the report stale.
	generation, err := o.vulns.Generation(ctx)
	if err != nil {
		return nil, err
	}
	matched, err := o.match.Scan(ctx, index)
	if err != nil {
		return nil, fmt.Errorf("match: %w", err)
	}
	findings, err := o.rate(ctx, matched)
	if err != nil {
		return nil, err
	}
	report := &scandb.Report{Digest: digest, Feed: generation, IndexedAt: indexed, MatchedAt: time.Now(), OS: system(index),
		Packages: len(index.Packages), Findings: findings}
	changed, err := o.scans.SetReport(ctx, report)
	if err != nil {
		return nil, err
	}
	return &Result{Report: report, Changed: changed}, nil
}

// system names the distribution of an image, "" for none.
func system(index *claircore.IndexReport) string {
	name := ""
	for _, d := range index.Distributions {
		this := d.PrettyName
		if this == "" {
			this = d.Name + " " + d.Version
		}
		if name == "" || this < name { // the same of several at every scan
			name = this
		}
	}
	return name
}

// rematchPage is how many images Rematch looks up at once.
const rematchPage = 100

// Rematch matches every stored index report again that was matched with other
// data than there is now. No layer is read. done is called for each image, also
// for those whose findings stay, in order; while it has not returned nil for
// one, that image is matched again the next time. progress, if not nil, is told
// how many of how many images are through.
//
// An image that cannot be matched is logged and passed over.
func (e *Engine) Rematch(ctx context.Context, done func(context.Context, *Result) error, progress func(done, total int)) error {
	o, err := e.open(ctx)
	if err != nil {
		return err
	}
	generation, err := o.vulns.Generation(ctx)
	if err != nil {
		return err
	}
	total, err := o.scans.CountStale(ctx, generation)
	if err != nil {
		return err
	}
	var through int
	var after string
	for {
		digests, err := o.scans.Stale(ctx, generation, after, rematchPage)
		if err != nil || len(digests) == 0 {
			return err
		}
		for _, digest := range digests {
			if err := e.rematchOne(ctx, o, digest, done); err != nil {
				return err
			}
			through++
			if progress != nil {
				progress(through, max(through, total))
			}
		}
		after = digests[len(digests)-1]
	}
}

// rematchOne returns only errors that concern all images.
func (e *Engine) rematchOne(ctx context.Context, o *opened, digest string, done func(context.Context, *Result) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	hash, err := claircore.ParseDigest(digest)
	if err != nil {
		return fmt.Errorf("match %s again: %w", digest, err)
	}
	limited, cancel := context.WithTimeout(ctx, e.options.Timeout)
	defer cancel()
	index, ok, err := o.scans.IndexReport(limited, hash)
	if err != nil || !ok || index.State != indexFinished {
		e.options.Log.Warn("an image could not be matched again; it waits for its next scan", "digest", digest, "error", err)
		return nil
	}
	result, err := o.rematch(limited, digest, index, time.Time{})
	if err != nil && ctx.Err() == nil {
		e.options.Log.Error("an image could not be matched again", "digest", digest, "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	if err := done(ctx, result); err != nil {
		return err
	}
	return o.scans.SetFeed(ctx, digest, result.Report.Feed)
}
