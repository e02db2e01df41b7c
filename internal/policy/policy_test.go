package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/policy"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// scanned is an image with these findings.
func scanned(findings ...core.Finding) policy.Facts {
	return policy.Facts{Name: "p/app:v1", Tag: "v1", Kind: core.KindImage, Scan: &core.ScanFact{Status: core.ScanSuccess, Findings: findings}}
}

func finding(s core.Severity) core.Finding { return core.Finding{CVE: "CVE-2026-1", Severity: s} }

func check(t *testing.T, f policy.Facts, p policy.Project, want policy.Reason) policy.Verdict {
	t.Helper()
	v := policy.Decide(f, p, now)
	if v.Reason != want {
		t.Errorf("verdict = %q %q, want %q", v.Reason, v.Message, want)
	}
	if v.Allowed() != (v.Message == "") {
		t.Errorf("verdict %q has the text %q", v.Reason, v.Message)
	}
	return v
}

// Each severity against each threshold. In Harbor 1.4 a critical or negligible
// finding counted as unknown and passed.
func TestEverySeverityMeetsEveryThreshold(t *testing.T) {
	for threshold := core.SeverityNone; threshold <= core.SeverityCritical; threshold++ {
		for _, severity := range core.Severities() {
			t.Run(fmt.Sprintf("%s at %s", severity, threshold), func(t *testing.T) {
				p := policy.Project{Prevent: true, Threshold: threshold, AllowUnknown: true}
				want := policy.Reason("")
				if severity >= threshold {
					want = policy.ReasonVulnerable
				}
				check(t, scanned(finding(severity)), p, want)
				p.AllowUnknown = false
				if severity == core.SeverityUnknown {
					want = policy.ReasonVulnerable
				}
				check(t, scanned(finding(severity)), p, want)
				check(t, scanned(), p, "")
			})
		}
	}
}

func TestTextOfVulnerableImage(t *testing.T) {
	f := scanned(core.Finding{CVE: "CVE-3", Severity: core.SeverityLow}, core.Finding{CVE: "CVE-2", Severity: core.SeverityMedium},
		core.Finding{CVE: "CVE-4", Severity: core.SeverityMedium, KEV: true}, core.Finding{CVE: "CVE-5", Severity: core.SeverityLow},
		core.Finding{CVE: "CVE-6", Severity: core.SeverityNegligible})
	v := check(t, f, policy.Project{Prevent: true, Threshold: core.SeverityLow}, policy.ReasonVulnerable)
	const want = `The severity of vulnerability of the image: "medium" is equal or higher than the threshold in project setting: "low".` +
		` CVE-4, CVE-2, CVE-3 and 1 more must be fixed or allowed by an administrator of the project; the report of p/app:v1 in the web interface lists all.`
	if v.Message != want {
		t.Errorf("text = %s\nwant   %s", v.Message, want)
	}
	v = check(t, scanned(finding(core.SeverityUnknown)), policy.Project{Prevent: true, Threshold: core.SeverityHigh}, policy.ReasonVulnerable)
	if !strings.Contains(v.Message, `image: "unknown"`) || !strings.HasSuffix(v.Message, "What is of unknown severity counts in this project.") {
		t.Errorf("text = %s", v.Message)
	}
}

func TestFindingsThatDoNotCount(t *testing.T) {
	fixable := core.Finding{CVE: "CVE-2026-2", Severity: core.SeverityHigh, Fixable: true}
	high := finding(core.SeverityHigh)
	list := core.CVEAllowlist{Items: []string{"CVE-2026-1"}}
	ended, ends := list, list
	ended.ExpiresAt, ends.ExpiresAt = now, now.Add(time.Second)
	for name, test := range map[string]struct {
		findings []core.Finding
		project  policy.Project
		want     policy.Reason
	}{
		"unfixed":               {[]core.Finding{high}, policy.Project{IgnoreUnfixed: true}, ""},
		"fixable":               {[]core.Finding{high, fixable}, policy.Project{IgnoreUnfixed: true}, policy.ReasonVulnerable},
		"unknown, unfixed":      {[]core.Finding{finding(core.SeverityUnknown)}, policy.Project{IgnoreUnfixed: true}, ""},
		"allowlisted":           {[]core.Finding{high}, policy.Project{Allowlist: list}, ""},
		"allowed till later":    {[]core.Finding{high}, policy.Project{Allowlist: ends}, ""},
		"allowed no more":       {[]core.Finding{high}, policy.Project{Allowlist: ended}, policy.ReasonVulnerable},
		"another on the list":   {[]core.Finding{fixable}, policy.Project{Allowlist: list}, policy.ReasonVulnerable},
		"one of two on it":      {[]core.Finding{high, fixable}, policy.Project{Allowlist: list}, policy.ReasonVulnerable},
		"unknown is not a pass": {[]core.Finding{finding(core.SeverityUnknown)}, policy.Project{Allowlist: core.CVEAllowlist{Items: []string{"CVE-2026-11"}}}, policy.ReasonVulnerable},
	} {
		t.Run(name, func(t *testing.T) {
			test.project.Prevent, test.project.Threshold = true, core.SeverityHigh
			check(t, scanned(test.findings...), test.project, test.want)
		})
	}
}

func TestImagesWithoutReport(t *testing.T) {
	p := policy.Project{Prevent: true, Threshold: core.SeverityHigh}
	f := scanned()
	f.Scan = nil
	if v := check(t, f, p, policy.ReasonUnscanned); !strings.Contains(v.Message, "pull again") {
		t.Errorf("the text does not say to retry: %s", v.Message)
	}
	f.Scan = &core.ScanFact{Status: core.ScanError, Message: "layer 2 is no tar archive."}
	if v := check(t, f, p, policy.ReasonScanFailed); !strings.Contains(v.Message, "failed: layer 2 is no tar archive. Scan") {
		t.Errorf("text = %s", v.Message)
	}
	f.Scan = &core.ScanFact{Status: core.ScanUnscannable, Message: "it is for Windows"}
	check(t, f, p, policy.ReasonUnscannable)
	p.AllowUnscannable = true
	check(t, f, p, "")
	f.Scan.Status = "Something new"
	check(t, f, p, policy.ReasonScanFailed)
	f.Scan = nil
	check(t, f, p, policy.ReasonUnscanned)
}

func TestOtherArtifacts(t *testing.T) {
	p := policy.Project{Prevent: true}
	for _, kind := range []string{core.KindChart, core.KindWASM, core.KindCNAB, core.KindUnknown} {
		check(t, policy.Facts{Kind: kind}, p, "")
	}
	p.RefuseOthers = true
	for _, kind := range []string{core.KindChart, core.KindWASM, core.KindCNAB, core.KindUnknown} {
		check(t, policy.Facts{Kind: kind}, p, policy.ReasonUnscannable)
	}
	p.Trust = policy.Trust{core.TrustNotary: nil}
	for _, kind := range []string{core.KindSignature, core.KindSBOM, core.KindAttestation} {
		check(t, policy.Facts{Kind: kind}, p, "")
		check(t, policy.Facts{Kind: kind, Index: true}, p, policy.ReasonUnsigned) // whatever such an index calls itself
	}
	check(t, policy.Facts{Kind: core.KindChart}, p, policy.ReasonUnsigned)
}

func TestIndexIsWhatItsPlatformsAre(t *testing.T) {
	p := policy.Project{Prevent: true, Threshold: core.SeverityHigh}
	good, bad := scanned(), scanned(finding(core.SeverityHigh))
	attestation := policy.Facts{Kind: core.KindImage, Attestation: true, Scan: good.Scan}
	index := func(children ...policy.Facts) policy.Facts {
		return policy.Facts{Name: "p/app:v1", Tag: "v1", Kind: core.KindImage, Index: true, Children: children}
	}
	check(t, index(bad, good), p, "")
	check(t, index(bad, index(bad, good)), p, "")
	check(t, index(bad, bad), p, policy.ReasonVulnerable)
	check(t, index(bad, attestation), p, policy.ReasonVulnerable)
	check(t, index(bad, policy.Facts{Kind: core.KindSignature}), p, policy.ReasonVulnerable)
	check(t, index(attestation), p, policy.ReasonUnscannable)
	check(t, index(attestation, policy.Facts{Kind: core.KindSignature}), p, policy.ReasonUnscannable)
	check(t, index(policy.Facts{Kind: core.KindSignature}, policy.Facts{Kind: core.KindSBOM}), p, "")
	check(t, index(), p, policy.ReasonUnscannable)
	check(t, index(), policy.Project{}, "")
	unscanned := scanned()
	unscanned.Scan = nil
	if v := check(t, index(bad, unscanned, bad), p, policy.ReasonUnscanned); !v.Unscanned {
		t.Error("a scan could open the index, and the verdict does not say so")
	}
}

func TestQuarantine(t *testing.T) {
	p := policy.Project{Quarantine: true, Threshold: core.SeverityHigh}
	fresh := scanned()
	fresh.Scan = nil
	if v := check(t, fresh, p, policy.ReasonQuarantine); !v.Unscanned {
		t.Error("a scan could end the quarantine, and the verdict does not say so")
	}
	check(t, scanned(finding(core.SeverityHigh)), p, policy.ReasonQuarantine)
	check(t, scanned(finding(core.SeverityLow)), p, "")
	fresh.Admin = true
	check(t, fresh, p, "")
	check(t, policy.Facts{Kind: core.KindImage, Index: true, Admin: true, Children: []policy.Facts{{Kind: core.KindImage}}}, p, "")
	p.Prevent = true // for everyone
	check(t, fresh, p, policy.ReasonUnscanned)
}
