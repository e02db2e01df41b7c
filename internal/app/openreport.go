package app

import (
	"context"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// OpenedReport is the report of an artifact as a page shows it.
type OpenedReport struct {
	core.ScanReport
	Fact    core.ScanFact
	Allowed map[string]bool // the vulnerabilities that do not count in the project now
}

// OpenReport is VulnerabilityReport with what the project does not count.
func (a *App) OpenReport(ctx context.Context, c core.Caller, full, reference string) (opened OpenedReport, err error) {
	if opened.ScanReport, opened.Fact, err = a.VulnerabilityReport(ctx, c, full, reference); err != nil {
		return opened, err
	}
	opened.Allowed = map[string]bool{}
	err = a.view(ctx, c, func(s *session) error {
		project, _, err := s.repository(full, core.ResArtifactAddition, core.ActRead)
		if err != nil {
			return err
		}
		list, err := s.allowlistOf(project)
		for _, f := range opened.Fact.Findings {
			if list.Allows(f.CVE, s.Now()) {
				opened.Allowed[f.CVE] = true
			}
		}
		return err
	})
	return opened, err
}

// allowlistOf is the allowlist that counts in the project, whether or not it
// asks anything of pulls.
func (s *session) allowlistOf(project core.Project) (core.CVEAllowlist, error) {
	values, err := s.Tx.ProjectMetadata(project.ID)
	if err != nil {
		return core.CVEAllowlist{}, err
	}
	if values[project.ID][metaSystemAllowlist] != "false" {
		return *s.app.allowlist.Load(), nil
	}
	return s.Tx.CVEAllowlist(project.ID)
}
