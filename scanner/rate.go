package scanner

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/quay/claircore"
	"github.com/quay/claircore/enricher"
	"github.com/quay/claircore/libvuln/driver"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/scanner/scandb"
)

// The enrichments that are asked for, by claircore's names of their updaters.
const (
	CVSSUpdater = "clair.cvss"
	KEVUpdater  = "clair.kev"
	EPSSUpdater = "clair.epss"
)

// rate turns what claircore matched into findings: one for each package and
// CVE, with the effective severity. What a source says not to be affected is
// not among what claircore lists as a package's vulnerabilities.
func (o *opened) rate(ctx context.Context, report *claircore.VulnerabilityReport) ([]scandb.Finding, error) {
	ids := map[string][]string{} // of each vulnerability
	all := map[string]bool{}
	for _, list := range report.PackageVulnerabilities {
		for _, id := range list {
			v := report.Vulnerabilities[id]
			if v == nil || ids[id] != nil {
				continue
			}
			ids[id] = cveIDs(v)
			for _, cve := range ids[id] {
				all[cve] = true
			}
		}
	}
	extras, err := o.extras(ctx, slices.Sorted(maps.Keys(all)))
	if err != nil {
		return nil, err
	}
	found := map[findingKey]scandb.Finding{}
	for packageID, list := range report.PackageVulnerabilities {
		base, err := packageFinding(report, packageID)
		if err != nil {
			return nil, err
		}
		for _, id := range list {
			v := report.Vulnerabilities[id]
			if v == nil || v.Invert {
				continue
			}
			for _, cve := range ids[id] {
				f := base
				f.Advisory, f.Fixed = advisory(v, cve, extras[cve]), fixedVersion(v)
				key := findingKey{base.Package.ID, cve}
				if known, ok := found[key]; !ok || worse(&f, &known) {
					found[key] = f
				}
			}
		}
	}
	return slices.SortedFunc(maps.Values(found), inOrder), nil
}

type findingKey struct {
	pkg int64
	cve string
}

// worse says whether a should stand for a CVE and package instead of b; it
// always decides the same way.
func worse(a, b *scandb.Finding) bool {
	return cmp.Or(cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Fixed, b.Fixed), cmp.Compare(b.Advisory.Name, a.Advisory.Name),
		cmp.Compare(b.Updater, a.Updater), cmp.Compare(b.Description, a.Description)) > 0
}

// inOrder sorts the worst first.
func inOrder(a, b scandb.Finding) int {
	return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.CVE, a.CVE), cmp.Compare(a.Package.Name, b.Package.Name), cmp.Compare(a.Package.ID, b.Package.ID))
}

// packageFinding is what all findings of a package have in common.
func packageFinding(report *claircore.VulnerabilityReport, id string) (f scandb.Finding, err error) {
	p := report.Packages[id]
	if p == nil {
		return f, fmt.Errorf("the report has vulnerabilities of a package %s that it does not have", id)
	}
	f.Package = scandb.Package{Name: p.Name, Version: p.Version, Arch: p.Arch}
	if f.Package.ID, err = strconv.ParseInt(id, 10, 64); err != nil {
		return f, fmt.Errorf("id of package %s: %w", p.Name, err)
	}
	for _, env := range report.Environments[id] {
		layer := env.IntroducedIn.String()
		if f.Place == "" || env.PackageDB < f.Place {
			f.Layer, f.Place = layer, env.PackageDB
		}
	}
	return f, nil
}

// cveIDs are the CVEs that a vulnerability is about: those of its name, else
// those of its aliases, else those it links to, else its own name.
func cveIDs(v *claircore.Vulnerability) []string {
	if ids := findCVEs(v.Name); len(ids) > 0 {
		return ids
	}
	var aliases strings.Builder
	for _, a := range append([]claircore.Alias{v.Self}, v.Aliases...) {
		if a.Valid() {
			aliases.WriteString(a.String() + " ")
		}
	}
	if ids := findCVEs(aliases.String()); len(ids) > 0 {
		return ids
	}
	if ids := findCVEs(v.Links); len(ids) > 0 {
		return ids
	}
	name, _, _ := strings.Cut(strings.TrimSpace(v.Name), " ")
	return []string{strings.TrimSuffix(name, ":")}
}

func findCVEs(text string) []string {
	var ids []string
	for _, id := range enricher.CVERegexp.FindAllString(text, -1) {
		id = strings.ToUpper(strings.ReplaceAll(id, "_", "-"))
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// extra is what the enrichments know of a CVE.
type extra struct {
	score  float64
	vector string
	rating core.Severity
	kev    bool
}

// nvdScore is the part of NVD's CVSS object that is used.
type nvdScore struct {
	Vector   string  `json:"vectorString"`
	Score    float64 `json:"baseScore"`
	Severity string  `json:"baseSeverity"`
}

func (o *opened) extras(ctx context.Context, cves []string) (map[string]extra, error) {
	scores, err := o.vulns.Enrichments(ctx, CVSSUpdater, cves)
	if err != nil {
		return nil, err
	}
	exploited, err := o.vulns.Enrichments(ctx, KEVUpdater, cves)
	if err != nil {
		return nil, err
	}
	extras := make(map[string]extra, len(scores))
	for cve, record := range scores {
		extras[cve] = rating(record)
	}
	for cve := range exploited {
		x := extras[cve]
		x.kev = true
		extras[cve] = x
	}
	return extras, nil
}

// rating reads a CVSS object; one that cannot be read rates nothing.
func rating(record driver.EnrichmentRecord) extra {
	var c nvdScore
	if err := json.Unmarshal(record.Enrichment, &c); err != nil {
		return extra{rating: core.SeverityUnknown}
	}
	return extra{score: c.Score, vector: c.Vector, rating: cvssSeverity(c)}
}

// cvssSeverity is the qualitative rating of a CVSS score (CVSS v3.1, section 5):
// the one given or, without, by the score. CVSS's "None" is Negligible: there is
// a finding.
func cvssSeverity(c nvdScore) core.Severity {
	if s, err := core.ParseSeverity(c.Severity); err == nil && s > core.SeverityUnknown {
		return s
	}
	switch {
	case c.Score >= 9:
		return core.SeverityCritical
	case c.Score >= 7:
		return core.SeverityHigh
	case c.Score >= 4:
		return core.SeverityMedium
	case c.Score > 0:
		return core.SeverityLow
	case strings.EqualFold(c.Severity, "none"):
		return core.SeverityNegligible
	}
	return core.SeverityUnknown
}

// severities turns claircore's scale into ours, which has Harbor's words.
var severities = map[claircore.Severity]core.Severity{
	claircore.Unknown: core.SeverityUnknown, claircore.Negligible: core.SeverityNegligible, claircore.Low: core.SeverityLow,
	claircore.Medium: core.SeverityMedium, claircore.High: core.SeverityHigh, claircore.Critical: core.SeverityCritical,
}

// effective is the severity that counts: that of the distribution, which knows
// how it uses the software, or NVD's where the distribution gives none.
func effective(source claircore.Severity, x extra) core.Severity {
	if s, ok := severities[source]; ok && s > core.SeverityUnknown {
		return s
	}
	return max(x.rating, core.SeverityUnknown)
}

func advisory(v *claircore.Vulnerability, cve string, x extra) scandb.Advisory {
	return scandb.Advisory{CVE: cve, Name: v.Name, Updater: v.Updater, Severity: effective(v.NormalizedSeverity, x), SourceSeverity: v.Severity,
		Score: x.score, Vector: x.vector, KEV: x.kev, Issued: v.Issued, Description: v.Description, Links: v.Links}
}

// fixedVersion is the version without the vulnerability, "" when there is none.
// OSV's sources write the ends of a range of versions as a query string.
func fixedVersion(v *claircore.Vulnerability) string {
	fixed := v.FixedInVersion
	if strings.Contains(fixed, "fixed=") || strings.Contains(fixed, "introduced=") || strings.Contains(fixed, "lastAffected=") {
		if values, err := url.ParseQuery(fixed); err == nil {
			return values.Get("fixed")
		}
	}
	return fixed
}
