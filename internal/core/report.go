package core

import (
	"slices"
	"time"
)

// The resources of scanning in the whole registry, in Harbor's words.
const (
	ResScanAll     Resource = "scan-all"
	ResSecurityHub Resource = "security-hub"
)

// ScanReport is the whole report of an image, of which ScanFact is the gist.
type ScanReport struct {
	Digest          string
	Images          []ReportedImage // it is about: those of an index, or the one
	Feed            string          // generation of the vulnerability data
	IndexedAt       time.Time       // when the layers were read
	MatchedAt       time.Time       // when it was last matched with the data
	OS              string          // pretty name of the distribution, empty for none
	Packages        int             // in the image
	Vulnerabilities []Vulnerability
}

// ReportedImage is an image that a report is about.
type ReportedImage struct {
	Digest   string
	Platform *Platform // nil where nothing tells it
}

// Join adds the reports of images. What several of them have alike is in it
// once, with the images that have it.
func (r *ScanReport) Join(parts ...ScanReport) {
	type key struct{ cve, name, pkg, version, fixed, place string }
	known := map[key]int{}
	for _, part := range parts {
		r.Feed, r.IndexedAt, r.MatchedAt, r.OS = part.Feed, part.IndexedAt, part.MatchedAt, part.OS
		r.Packages += part.Packages
		for _, v := range part.Vulnerabilities {
			k := key{v.CVE, v.Name, v.Package, v.Version, v.Fixed, v.Place}
			i, ok := known[k]
			if !ok {
				i = len(r.Vulnerabilities)
				known[k] = i
				r.Vulnerabilities = append(r.Vulnerabilities, v)
			}
			if in := &r.Vulnerabilities[i].Images; !slices.Contains(*in, part.Digest) {
				*in = append(*in, part.Digest)
			}
		}
	}
}

// Vulnerability is one vulnerability of one package of an image.
type Vulnerability struct {
	CVE            string // its id; that of the source where it has no CVE
	Name           string // the source's name for it, such as ELSA-2018-2439
	Source         string // of the data
	Severity       Severity
	SourceSeverity string  // the source's own word
	Score          float64 // CVSS base score, 0 for none
	Vector         string  // of the CVSS score
	EPSS           float64 // probability that it is exploited within 30 days, 0 for none
	KEV            bool    // in CISA's catalogue of exploited vulnerabilities
	Issued         time.Time
	Description    string
	Links          []string
	Package        string
	Version        string
	Arch           string
	Fixed          string   // the version without it, empty when there is none
	Layer          string   // digest of the layer that brought the package, empty when unknown
	Place          string   // the package database or file that names the package
	Images         []string // digests of those of the report's images that have it
}

// ImageVulnerability is a vulnerability and the image it is in.
type ImageVulnerability struct {
	Digest string
	Vulnerability
}

// VulnerabilityQuery selects vulnerabilities of many images; the zero value
// selects all.
type VulnerabilityQuery struct {
	Digests    []string // nil for all, empty for none
	CVE        string   // exact, in any case
	Package    string   // exact
	Severities []Severity
	Fixable    *bool
	KEV        *bool
	MinScore   float64 // CVSS base score, 0 for any
	MaxScore   float64 // 0 for any
	Offset     int
	Limit      int // 0 for all
}

// CVECount tells how many images a vulnerability is in.
type CVECount struct {
	CVE      string
	Severity Severity // the worst
	Score    float64  // the highest
	KEV      bool
	Images   int64
}

// ScanImage is an image that is to be scanned.
type ScanImage struct {
	Digest string
	Layers []string // digests, the lowest first
}
