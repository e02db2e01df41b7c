package policy

import (
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Facts is what is known of an artifact that is to be pulled.
type Facts struct {
	Name  string // as people read it: PROJECT/REPOSITORY:TAG or ...@DIGEST
	Tag   string // by which it is pulled; empty: by digest
	Kind  string // as that of core.Artifact
	Index bool
	// Attestation is a child that runs nowhere: its platform is unknown/unknown.
	Attestation bool
	Scan        *core.ScanFact   // nil: not scanned yet
	Trust       []core.TrustFact // of this artifact in its repository
	IndexTrust  []core.TrustFact // of the indexes there that list it
	Children    []Facts          // of an index
	Admin       bool             // the caller administers the project
}

// Reason is why a pull is refused.
type Reason string

// The reasons.
const (
	ReasonUnsigned    Reason = "unsigned"
	ReasonVulnerable  Reason = "vulnerable"
	ReasonUnscanned   Reason = "unscanned"
	ReasonScanFailed  Reason = "scan-failed"
	ReasonUnscannable Reason = "unscannable"
	ReasonQuarantine  Reason = "quarantine"
)

// Verdict is the decision. A refusal has a reason and a text for the client.
type Verdict struct {
	Reason    Reason
	Message   string
	Unscanned bool           // a first scan may change the decision
	Findings  []core.Finding // that are in the way, the worst first
}

// Allowed says whether the artifact may be pulled.
func (v Verdict) Allowed() bool { return v.Reason == "" }

var allowed = Verdict{}

func refuse(reason Reason, message string) Verdict { return Verdict{Reason: reason, Message: message} }

// Decide says whether the artifact may be pulled at that time. An index may
// when one of the platforms in it may, which are decided each by its own facts;
// the signature of an index counts for all that is in it.
func Decide(f Facts, p Project, now time.Time) Verdict {
	return decide(f, p, now, false)
}

func decide(f Facts, p Project, now time.Time, signed bool) Verdict {
	if !p.Enforces() || f.companion() {
		return allowed
	}
	signed = signed || p.Trust.signed(f, now)
	if f.Index {
		return decideIndex(f, p, now, signed)
	}
	if len(p.Trust) > 0 && !signed {
		return refuse(ReasonUnsigned, p.Trust.text(f, now))
	}
	if p.Prevent {
		if v := p.vulnerable(f, now); !v.Allowed() {
			return v
		}
	}
	if p.Quarantine && !f.Admin {
		if v := p.vulnerable(f, now); !v.Allowed() {
			v.Reason, v.Message = ReasonQuarantine, quarantineText(f, v)
			return v
		}
	}
	return allowed
}

// companion says whether the artifact is about another one: a signature, an
// SBOM or an attestation. It runs nowhere, and policies need it to be readable.
func (f Facts) companion() bool {
	return !f.Index && (f.Kind == core.KindSignature || f.Kind == core.KindSBOM || f.Kind == core.KindAttestation)
}

// decideIndex looks for a platform that may be pulled. Where none may, the
// first refusal speaks for all, before others one that a scan may lift. An index of signatures is as open as they are.
func decideIndex(f Facts, p Project, now time.Time, signed bool) Verdict {
	first, platforms, companions := allowed, 0, 0
	for _, child := range f.Children {
		switch {
		case child.companion():
			companions++
			continue
		case child.Attestation:
			continue
		}
		platforms++
		v := decide(f.platform(child), p, now, signed)
		if v.Allowed() {
			return allowed
		}
		if first.Allowed() || (v.Unscanned && !first.Unscanned) {
			first = v
		}
	}
	if platforms > 0 || (companions > 0 && companions == len(f.Children)) {
		return first
	}
	nothing := f
	nothing.Index, nothing.Kind = false, core.KindImage
	nothing.Scan = &core.ScanFact{Status: core.ScanUnscannable, Message: "nothing in it runs anywhere"}
	return decide(nothing, p, now, signed)
}

// platform is the child as part of the index that is asked for. What a tag is
// signed for is the index alone: its parts are vouched for under that name only
// when they are asked for themselves.
func (f Facts) platform(child Facts) Facts {
	child.Tag, child.Admin = f.Tag, f.Admin
	child.Trust, child.IndexTrust = withoutTag(child.Trust, f.Tag), withoutTag(child.IndexTrust, f.Tag)
	return child
}

// vulnerable decides by the last scan.
func (p Project) vulnerable(f Facts, now time.Time) Verdict {
	if f.Kind != core.KindImage {
		if p.RefuseOthers {
			return refuse(ReasonUnscannable, otherText(f))
		}
		return allowed
	}
	switch {
	case f.Scan == nil:
		return Verdict{Reason: ReasonUnscanned, Message: unscannedText(f), Unscanned: true}
	case f.Scan.Status == core.ScanUnscannable && p.AllowUnscannable:
		return allowed
	case f.Scan.Status == core.ScanUnscannable:
		return refuse(ReasonUnscannable, unscannableText(f))
	case f.Scan.Status != core.ScanSuccess:
		return refuse(ReasonScanFailed, failedText(f))
	}
	if counting := p.Counting(f.Scan.Findings, now); len(counting) > 0 {
		return Verdict{Reason: ReasonVulnerable, Message: vulnerableText(f, p, counting), Findings: counting}
	}
	return allowed
}

// Counting returns the findings that refuse a pull at that time, the worst
// first.
func (p Project) Counting(findings []core.Finding, now time.Time) []core.Finding {
	var counting []core.Finding
	for _, finding := range findings {
		if p.counts(finding) && !p.Allowlist.Allows(finding.CVE, now) {
			counting = append(counting, finding)
		}
	}
	core.SortFindings(counting)
	return counting
}

func (p Project) counts(f core.Finding) bool {
	switch {
	case p.IgnoreUnfixed && !f.Fixable:
		return false
	case f.Severity <= core.SeverityUnknown && !p.AllowUnknown:
		return true
	}
	return f.Severity >= p.Threshold
}
