package web

import (
	"cmp"
	"context"
	"encoding/csv"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// reportFilter selects and orders the findings of one report; its zero value
// is all, the worst first. It is written in the address of the page.
type reportFilter struct {
	severity string // a word of the scale, lower case
	show     string // fixable, unfixed, exploited or allowed
	pkg      string // exact
	text     string // in CVE, package or description
	sort     string // a key of reportSorts
	up       bool   // the lowest first
}

// reportSorts compare findings, the higher one being the worse.
var reportSorts = map[string]func(a, b core.Vulnerability) int{
	"severity": func(a, b core.Vulnerability) int { return cmp.Compare(a.Severity, b.Severity) },
	"cve":      func(a, b core.Vulnerability) int { return core.CompareVersions(a.CVE, b.CVE) },
	"package":  func(a, b core.Vulnerability) int { return cmp.Compare(b.Package, a.Package) },
	"cvss":     func(a, b core.Vulnerability) int { return cmp.Compare(a.Score, b.Score) },
	"epss":     func(a, b core.Vulnerability) int { return cmp.Compare(a.EPSS, b.EPSS) },
}

func readReportFilter(q url.Values) reportFilter {
	f := reportFilter{severity: strings.ToLower(q.Get("severity")), show: q.Get("show"), pkg: q.Get("package"), text: strings.TrimSpace(q.Get("q")),
		sort: q.Get("sort"), up: q.Get("order") == "up"}
	if s, err := core.ParseSeverity(f.severity); err != nil || s == core.SeverityNone {
		f.severity = ""
	}
	if !slices.Contains(reportShows, f.show) {
		f.show = ""
	}
	if reportSorts[f.sort] == nil {
		f.sort = ""
	}
	return f
}

// reportShows are the values of show.
var reportShows = []string{"", "fixable", "unfixed", "exploited", "allowed"}

func (f reportFilter) values() url.Values {
	v := url.Values{"severity": {f.severity}, "show": {f.show}, "package": {f.pkg}, "q": {f.text}, "sort": {f.sort}}
	if f.up {
		v.Set("order", "up")
	}
	return v
}

func (f reportFilter) takes(v core.Vulnerability, allowed bool) bool {
	contains := func(text string) bool { return strings.Contains(strings.ToLower(text), strings.ToLower(f.text)) }
	switch {
	case f.severity != "" && f.severity != strings.ToLower(v.Severity.String()):
	case f.pkg != "" && f.pkg != v.Package:
	case f.show == "fixable" && v.Fixed == "", f.show == "unfixed" && v.Fixed != "", f.show == "exploited" && !v.KEV, f.show == "allowed" && !allowed:
	case f.text != "" && !contains(v.CVE) && !contains(v.Package) && !contains(v.Description) && !contains(v.Name):
	default:
		return true
	}
	return false
}

// apply returns the findings that it selects in its order; those that are equal
// in it come the worst first.
func (f reportFilter) apply(r app.OpenedReport) []core.Vulnerability {
	var selected []core.Vulnerability
	for _, v := range r.Vulnerabilities {
		if f.takes(v, r.Allowed[v.CVE]) {
			selected = append(selected, v)
		}
	}
	by := reportSorts[cmp.Or(f.sort, "severity")]
	slices.SortStableFunc(selected, func(a, b core.Vulnerability) int {
		order := by(b, a)
		if f.up {
			order = -order
		}
		return cmp.Or(order, cmp.Compare(b.Severity, a.Severity), falseFirst(b.KEV, a.KEV), cmp.Compare(b.Score, a.Score), cmp.Compare(a.CVE, b.CVE), cmp.Compare(a.Package, b.Package))
	})
	return selected
}

func falseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// platformNames are the platforms of the images that have the finding. One of
// an index that tells none stands by its digest.
func platformNames(r core.ScanReport, v core.Vulnerability) []string {
	var names []string
	for _, image := range r.Images {
		name := image.Platform.String()
		if name == "" && len(r.Images) > 1 {
			name = image.Digest
		}
		if name != "" && slices.Contains(v.Images, image.Digest) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names) // an index may list them in any order
	return names
}

// platformsText says which platforms of an index have the finding; of one image
// that goes without saying.
func platformsText(ctx context.Context, r core.ScanReport, v core.Vulnerability) string {
	switch names := platformNames(r, v); {
	case len(r.Images) < 2:
		return ""
	case len(v.Images) == len(r.Images):
		return i18n.T(ctx, "report.all-platforms")
	case len(names) > maxPlatforms:
		return i18n.N(ctx, "report.more-platforms", int64(len(names)-maxPlatforms), strings.Join(names[:maxPlatforms], ", "))
	default:
		return strings.Join(names, ", ")
	}
}

// maxPlatforms is how many platforms a finding is shown with.
const maxPlatforms = 4

var reportColumns = []string{"repository", "tags", "digest", "platforms", "cve", "severity", "package", "version", "fixed_version", "cvss_v3_score", "cvss_v3_vector",
	"epss", "kev", "allowlisted", "layer", "path", "source", "advisory", "published", "links", "description"}

// writeFindings writes rows of the report's findings, in the columns of
// reportColumns.
func writeFindings(out *csv.Writer, r app.OpenedReport, findings []core.Vulnerability) error {
	tags := strings.Join(mapAll(r.Tags, func(t core.Tag) string { return t.Name }), " ")
	rows := mapAll(findings, func(v core.Vulnerability) []string {
		return []string{r.Repository, tags, r.Digest, strings.Join(platformNames(r.ScanReport, v), " "), v.CVE, v.Severity.String(), v.Package, v.Version, v.Fixed,
			decimal(v.Score), v.Vector, decimal(v.EPSS), strconv.FormatBool(v.KEV), strconv.FormatBool(r.Allowed[v.CVE]), v.Layer, v.Place, v.Source, v.Name,
			day(v.Issued), strings.Join(v.Links, " "), v.Description}
	})
	return writeRows(out, rows...)
}

// layerStep is the step of the build that made a layer.
type layerStep struct {
	number  int
	command string
}

// decimal is a number, empty for 0, which stands for none.
func decimal(x float64) string {
	if x == 0 {
		return ""
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}

func day(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.DateOnly)
}

// update is a package that a rebuild would bring to a version without findings.
type update struct {
	pkg, version, to string
	layer            string
	application      bool // no package of the distribution
	tally            core.Tally
}

// updates are what newer packages would mend: those of the distribution first,
// in the order of the build's steps, the worst first. An update reaches the highest of
// the versions that its findings name.
func updates(findings []core.Vulnerability, steps map[string]layerStep) []update {
	type key struct{ pkg, version, layer string }
	found := map[key]*update{}
	var order []*update
	for _, v := range findings {
		if v.Fixed == "" {
			continue
		}
		k := key{v.Package, v.Version, v.Layer}
		u := found[k]
		if u == nil {
			u = &update{pkg: v.Package, version: v.Version, to: v.Fixed, layer: v.Layer, application: !ofDistribution(v)}
			found[k], order = u, append(order, u)
		}
		if core.CompareVersions(v.Fixed, u.to) > 0 {
			u.to = v.Fixed
		}
		u.tally.Count(v.Severity, true, v.KEV)
	}
	slices.SortStableFunc(order, func(a, b *update) int {
		return cmp.Or(falseFirst(a.application, b.application), cmp.Compare(steps[a.layer].number, steps[b.layer].number),
			cmp.Compare(b.tally.Worst(), a.tally.Worst()), cmp.Compare(b.tally.Total(), a.tally.Total()), cmp.Compare(a.pkg, b.pkg))
	})
	return mapAll(order, func(u *update) update { return *u })
}

// ofDistribution says whether the finding is in a package of the distribution,
// by the database that names it.
func ofDistribution(v core.Vulnerability) bool {
	for _, database := range []string{"dpkg/status", "apk/db", "lib/rpm", "sysimage/rpm"} {
		if strings.Contains(v.Place, database) {
			return true
		}
	}
	return false
}
