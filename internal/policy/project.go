// Package policy decides whether an artifact may be pulled. It is pure: what is
// known of the artifact and what its project asks for go in, a verdict comes
// out. It fails closed: what is not known refuses.
package policy

import (
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Project is what pulls from one project must meet. Its JSON is kept with the
// project. The zero value asks for nothing.
type Project struct {
	// Prevent refuses images with a finding of at least Threshold.
	Prevent   bool          `json:"prevent,omitempty"`
	Threshold core.Severity `json:"threshold,omitempty"`
	// IgnoreUnfixed leaves out findings that no newer version mends.
	IgnoreUnfixed bool `json:"ignore_unfixed,omitempty"`
	// AllowUnknown ranks findings of unknown severity below Negligible;
	// without it they are at or above every threshold.
	AllowUnknown bool `json:"allow_unknown,omitempty"`
	// AllowUnscannable lets images pass in which the scanner can read nothing.
	AllowUnscannable bool `json:"allow_unscannable,omitempty"`
	// RefuseOthers refuses what is no image and cannot be scanned: charts, WASM.
	RefuseOthers bool `json:"refuse_others,omitempty"`
	// ScanOnPush has images scanned that are pushed.
	ScanOnPush bool `json:"scan_on_push,omitempty"`
	// SBOMOnPush has bills of materials made of images that are pushed.
	SBOMOnPush bool `json:"sbom_on_push,omitempty"`
	// Quarantine keeps images for project admins until a scan passes.
	Quarantine bool `json:"quarantine,omitempty"`
	// ScanWait is how long a pull waits for the first scan of an image.
	ScanWait time.Duration `json:"scan_wait,omitempty"`
	// Allowlist names findings that do not count.
	Allowlist core.CVEAllowlist `json:"allowlist,omitzero"`
	// SystemAllowlist has the registry's list count instead of Allowlist.
	SystemAllowlist bool `json:"system_allowlist,omitempty"`
	// Trust is which signatures count; without any, none is asked for.
	Trust Trust `json:"trust,omitempty"`
}

// Trust names the kinds of signature that count, one of which an artifact needs,
// each with whose: an empty list is everyone's that verified.
type Trust map[core.TrustKind][]Signer

// Signer is an owner of keys whose signatures count. Of KeyID and Name, those
// that are set must be the signature's; Title is what people read.
type Signer struct {
	KeyID string `json:"key_id,omitempty"`
	Name  string `json:"name,omitempty"`
	Title string `json:"title,omitempty"`
}

// Enforces says whether the project asks for anything at all.
func (p Project) Enforces() bool { return p.Prevent || p.Quarantine || len(p.Trust) > 0 }

// Scans says whether what the project asks for needs scans.
func (p Project) Scans() bool { return p.Prevent || p.Quarantine }
