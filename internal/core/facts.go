package core

import (
	"cmp"
	"slices"
	"time"
)

// ScanStatus is how the last scan of an image ended.
type ScanStatus string

// The ends of a scan. An image with none of them has not been scanned yet.
const (
	ScanSuccess     ScanStatus = "Success"
	ScanError       ScanStatus = "Error"       // it can be tried again
	ScanUnscannable ScanStatus = "Unscannable" // nothing in it that the scanner can read
)

// Finding is one vulnerability of an image, in however many of its packages.
type Finding struct {
	CVE      string   // its id; that of the source where it has no CVE id
	Severity Severity // the effective one: of the distribution or, where that gives none, of NVD's CVSS score
	Fixable  bool     // a version without it exists, for at least one of the packages
	KEV      bool     // in CISA's catalogue of exploited vulnerabilities
}

// ScanFact is what the decision about a pull needs to know of the last scan of
// a manifest. The whole report is the scanner's; it may be lost, a fact stays.
type ScanFact struct {
	Digest    string
	Status    ScanStatus
	Engine    string // name and version of what scanned
	Feed      string // the generation of the vulnerability data
	Message   string // why there are no findings, of Error and Unscannable
	Findings  []Finding
	ScannedAt time.Time
	Duration  time.Duration
}

// Severity returns the worst severity of the findings, SeverityNone without any.
func (f ScanFact) Severity() Severity {
	worst := SeverityNone
	for _, finding := range f.Findings {
		worst = max(worst, finding.Severity)
	}
	return worst
}

// SameOutcome says whether another scan found the same; engine, feed and time
// may differ.
func (f ScanFact) SameOutcome(other ScanFact) bool {
	return f.Status == other.Status && f.Message == other.Message && slices.Equal(f.Findings, other.Findings)
}

// SortFindings puts the worst first: by severity, then the exploited, then the
// fixable, then by id.
func SortFindings(findings []Finding) {
	slices.SortFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), trueFirst(a.KEV, b.KEV), trueFirst(a.Fixable, b.Fixable), cmp.Compare(a.CVE, b.CVE))
	})
}

func trueFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// TrustKind is a way to sign images.
type TrustKind string

// The ways to sign.
const (
	TrustNotary   TrustKind = "notary"
	TrustCosign   TrustKind = "cosign"
	TrustNotation TrustKind = "notation"
)

// TrustFact is one verified signature of a manifest in a repository.
type TrustFact struct {
	RepositoryID int64
	Tag          string // the signed tag; empty when the signature names none
	Digest       string
	Kind         TrustKind
	KeyID        string // fingerprint or identity of the key that verified
	Signer       string // as people know the owner of the key
	SignedAt     time.Time
	ValidUntil   time.Time // zero: no end
}

// Valid says whether the signature counts at that time.
func (f TrustFact) Valid(now time.Time) bool {
	return f.ValidUntil.IsZero() || now.Before(f.ValidUntil)
}
