package ui

import (
	"context"
	"net/url"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// worstInTheWay is how many findings a refusal shows.
const worstInTheWay = 3

func (v PullView) worst() []core.Finding { return v.Findings[:min(worstInTheWay, len(v.Findings))] }

func (v PullView) more() int64 { return int64(len(v.Findings) - len(v.worst())) }

// bySeverity is the report with the findings of one severity; "" without one.
func (v ArtifactScanView) bySeverity(s core.Severity) string {
	return v.Report + "?" + url.Values{"severity": {severityName(s)}}.Encode()
}

// query is what the part of the page that changes is asked with.
func (v ArtifactScanView) query() string {
	if v.Brief {
		return "?brief=true"
	}
	return ""
}

// pullState is blocked, waiting or quarantine.
func pullState(v PullView) string {
	switch v.Reason {
	case "unscanned":
		return "waiting"
	case "quarantine":
		return "quarantine"
	}
	return "blocked"
}

func pullWord(v PullView) string { return "scans." + pullState(v) }

func pullTone(v PullView) string {
	if pullState(v) == "waiting" {
		return "warn"
	}
	return "danger"
}

func pullIcon(v PullView) string {
	switch pullState(v) {
	case "waiting":
		return "clock"
	case "quarantine":
		return "lock"
	}
	return "stop"
}

// pullWhy is the reason of a refusal in a few words.
func pullWhy(ctx context.Context, v PullView) string {
	if len(v.Findings) > 0 {
		return n(ctx, "scans.why.findings", int64(len(v.Findings)))
	}
	return t(ctx, "scans.why."+v.Reason)
}

func scanVerb(ctx context.Context, s ScanState) string {
	if s == ScanNone {
		return t(ctx, "scans.now")
	}
	return t(ctx, "scans.again")
}

func runTitle(v *ScanRunView) string {
	if v.Waits {
		return "scans.run.waits"
	}
	return "scans.run"
}

func runText(ctx context.Context, v *ScanRunView) string {
	if v.Total == 0 {
		return ""
	}
	return t(ctx, "scans.run.done", i18n.Number(ctx, v.Done), i18n.Number(ctx, v.Total))
}

func runFailed(ctx context.Context, v *ScanRunView) string {
	if v.Failed == 0 {
		return ""
	}
	return n(ctx, "scans.failed", v.Failed)
}
