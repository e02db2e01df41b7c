package app

import (
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/policy"
)

// The metadata that say what pulls from a project must meet. The first are
// Harbor's.
const (
	metaPrevent         = "prevent_vul"
	metaSeverity        = "severity"
	metaSystemAllowlist = "reuse_sys_cve_allowlist" // true is the default
	metaAutoScan        = "auto_scan"               // scan what is pushed
	metaAutoSBOM        = "auto_sbom_generation"    // make SBOMs of what is pushed
	metaTrust           = "enable_content_trust"
	metaTrustCosign     = "enable_content_trust_cosign"

	metaTrustNotation   = "enable_content_trust_notation"
	metaIgnoreUnfixed   = "ignore_unfixed"     // what no newer version mends does not count
	metaUnknownSeverity = "unknown_severity"   // refuse or allow what has no known severity
	metaUnscannable     = "unscannable_images" // refuse or allow
	metaOtherArtifacts  = "other_artifacts"    // refuse or allow charts, WASM and the like
	metaQuarantine      = "quarantine"         // images are for project admins until a scan passes
	metaScanWait        = "scan_wait_seconds"  // how long a pull waits for the first scan
)

const (
	defaultThreshold = core.SeverityLow
	defaultScanWait  = 10 * time.Second
	maxScanWait      = 120 // seconds
)

// The values of the metadata that choose.
const (
	valueRefuse = "refuse"
	valueAllow  = "allow"
)

func checkFlag(key string) func(string) error {
	return func(value string) error {
		if value != "true" && value != "false" {
			return core.Errorf(core.CodeBadRequest, "metadata.%s should only be 'true' or 'false', but got: '%s'", key, core.Clip(value, 64))
		}
		return nil
	}
}

func checkChoice(key string) func(string) error {
	return func(value string) error {
		if value != valueRefuse && value != valueAllow {
			return core.Errorf(core.CodeBadRequest, "metadata.%s should only be '%s' or '%s', but got: '%s'", key, valueRefuse, valueAllow, core.Clip(value, 64))
		}
		return nil
	}
}

// checkThreshold takes Harbor's words; empty is the default.
func checkThreshold(value string) error {
	if value == "" {
		return nil
	}
	_, err := core.ParseSeverity(value)
	return err
}

func checkScanWait(value string) error {
	if n, err := strconv.Atoi(value); err != nil || n < 0 || n > maxScanWait {
		return core.Errorf(core.CodeBadRequest, "metadata.%s must be a number of seconds from 0 to %d, but got: '%s'", metaScanWait, maxScanWait, core.Clip(value, 64))
	}
	return nil
}

// projectPolicy makes a policy of metadata that were checked, and of what the
// project has beside them.
func projectPolicy(values map[string]string, list core.CVEAllowlist, anchors []core.TrustAnchor) (policy.Project, error) {
	p := policy.Project{
		Prevent:          values[metaPrevent] == "true",
		Threshold:        defaultThreshold,
		IgnoreUnfixed:    values[metaIgnoreUnfixed] == "true",
		AllowUnknown:     values[metaUnknownSeverity] == valueAllow,
		AllowUnscannable: values[metaUnscannable] == valueAllow,
		RefuseOthers:     values[metaOtherArtifacts] == valueRefuse,
		ScanOnPush:       values[metaAutoScan] == "true" || values[metaQuarantine] == "true",
		SBOMOnPush:       values[metaAutoSBOM] == "true",
		Quarantine:       values[metaQuarantine] == "true",
		ScanWait:         defaultScanWait,
		SystemAllowlist:  values[metaSystemAllowlist] != "false",
		Trust:            trustPolicy(values, anchors),
	}
	if !p.SystemAllowlist {
		p.Allowlist = list
	}
	var err error
	if word := values[metaSeverity]; word != "" {
		if p.Threshold, err = core.ParseSeverity(word); err != nil {
			return p, err
		}
	}
	if text := values[metaScanWait]; text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil {
			return p, err
		}
		p.ScanWait = time.Duration(seconds) * time.Second
	}
	return p, nil
}

// trustPolicy is which kinds of signature count, each with whose.
func trustPolicy(values map[string]string, anchors []core.TrustAnchor) policy.Trust {
	trust := policy.Trust{}
	if values[metaTrust] == "true" {
		trust[core.TrustNotary] = nil
	}
	for key, kind := range map[string]core.TrustKind{metaTrustCosign: core.TrustCosign, metaTrustNotation: core.TrustNotation} {
		if values[key] == "true" {
			trust[kind] = signers(anchors, kind)
		}
	}
	return trust
}

// applyPolicy makes anew what pulls from the project must meet, after a change
// of its metadata, allowlist or trust anchors.
func (s *session) applyPolicy(projectID int64) error {
	values, err := s.Tx.ProjectMetadata(projectID)
	if err != nil {
		return err
	}
	list, err := s.Tx.CVEAllowlist(projectID)
	if err != nil {
		return err
	}
	anchors, err := s.Tx.TrustAnchors(projectID)
	if err != nil {
		return err
	}
	p, err := projectPolicy(values[projectID], list, anchors)
	if err != nil {
		return err
	}
	text := ""
	if p.Enforces() || p.ScanOnPush || p.SBOMOnPush {
		encoded, err := json.Marshal(p)
		if err != nil {
			return err
		}
		text = string(encoded)
	}
	return s.SetProjectPolicy(projectID, text)
}

// policies keeps the policies that were read, by project, with the JSON that
// they were read from.
type policies struct {
	read sync.Map // int64 to readPolicy
}

type readPolicy struct {
	text   string
	policy policy.Project
}

// policyOf reads what pulls from the project must meet. The text was made by
// this program; where it cannot be read, nothing may be pulled.
func (a *App) policyOf(project core.Project) (policy.Project, error) {
	if project.Policy == "" {
		return policy.Project{}, nil
	}
	known, _ := a.policies.read.Load(project.ID)
	read, ok := known.(readPolicy)
	if !ok || read.text != project.Policy {
		read = readPolicy{text: project.Policy}
		if err := json.Unmarshal([]byte(project.Policy), &read.policy); err != nil {
			return policy.Project{}, fmt.Errorf("policy of project %d: %w", project.ID, err)
		}
		a.policies.read.Store(project.ID, read)
	}
	p := read.policy
	if p.SystemAllowlist {
		p.Allowlist = *a.allowlist.Load()
	}
	return p, nil
}
