package app

import (
	"context"
	"fmt"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// keptNotifications is how long notifications stay.
const keptNotifications = 90 * 24 * time.Hour

// recordScan keeps what a scan found, and says whether that differs from what
// was known. A change is audited in every project that has the image; where new
// data says worse of it, its people are told. asked says that somebody waits
// for this scan, so that its time is kept even where nothing changed.
func (a *App) recordScan(ctx context.Context, fact core.ScanFact, asked bool) (changed bool, err error) {
	core.SortFindings(fact.Findings)
	err = a.update(ctx, itself, func(s *session) error {
		facts, err := s.ScanFacts(fact.Digest)
		if err != nil {
			return err
		}
		before, known := facts[fact.Digest]
		changed = !known || !before.SameOutcome(fact)
		if !changed && !asked {
			return nil
		}
		if fact.Status == core.ScanError && before.Status == core.ScanSuccess {
			changed = false // the image is what it was: what is known of it holds
			return nil
		}
		if fact.ScannedAt.IsZero() {
			fact.ScannedAt = s.Now()
		}
		holders, err := s.ArtifactsByDigest(fact.Digest, maxHolders)
		if err != nil || len(holders) == 0 {
			return err // it was deleted meanwhile
		}
		if err := s.SetScanFact(fact); err != nil {
			return err
		}
		s.AfterCommit(a.scanned.announce)
		if !changed {
			return nil
		}
		worse := ""
		if !asked && known {
			worse = gotWorse(before, fact)
		}
		return s.tellOfScan(holders, fact, worse)
	})
	return changed, err
}

// tellOfScan audits the outcome in each project and, where it got worse,
// notifies.
func (s *session) tellOfScan(holders []core.Artifact, fact core.ScanFact, worse string) error {
	if worse != "" {
		if err := s.TrimNotifications(s.Now().Add(-keptNotifications)); err != nil {
			return err
		}
	}
	for _, holder := range holders {
		err := s.audit(act{operation: "scan", resourceType: "artifact", resource: holder.Repository + "@" + fact.Digest, project: holder.ProjectID,
			digest: fact.Digest, description: core.Clip(prefixed("worse: ", worse)+prefixed("; ", describeScan(fact)), 500)})
		if err != nil {
			return err
		}
		if worse == "" {
			continue
		}
		err = s.AddNotification(core.Notification{Kind: core.NotifyWorse, ProjectID: holder.ProjectID, Resource: holder.Repository, Digest: fact.Digest, Text: worse})
		if err != nil {
			return err
		}
	}
	return nil
}

// gotWorse tells what is new and bad: a worse severity than before, or findings
// of at least High that were not there or not as bad. It is empty otherwise.
func gotWorse(before, after core.ScanFact) string {
	if before.Status != core.ScanSuccess || after.Status != core.ScanSuccess {
		return ""
	}
	was := make(map[string]core.Finding, len(before.Findings))
	for _, f := range before.Findings {
		was[f.CVE] = f
	}
	floor := min(core.SeverityHigh, max(before.Severity()+1, core.SeverityNegligible))
	first, n := core.Finding{}, 0
	for _, f := range after.Findings { // the worst come first
		old, known := was[f.CVE]
		if f.Severity < floor || (known && old.Severity >= f.Severity && (old.KEV || !f.KEV)) {
			continue
		}
		if n++; n == 1 {
			first = f
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("%s (%s)", first.CVE, first.Severity)
	}
	return fmt.Sprintf("%s (%s) and %d more", first.CVE, first.Severity, n-1)
}
