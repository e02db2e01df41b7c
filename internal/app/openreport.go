package app

import (
	"context"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const (
	// maxIndexReports bounds how many images of an index are in its report.
	maxIndexReports = 20
	// maxReportTags bounds how many tags of an artifact its report names.
	maxReportTags = 20
	// reportBatch is how many artifacts one read of an export takes.
	reportBatch = 50
)

// OpenedReport is the report of an artifact, of an index that of all the images
// in it, with what the project does not count.
type OpenedReport struct {
	core.ScanReport
	Repository string     // full name
	Tags       []core.Tag // of the artifact, without those after many
	Fact       core.ScanFact
	Missing    int             // images that it is about and says nothing of
	Allowed    map[string]bool // the vulnerabilities that do not count in the project now
}

// OpenReport returns the report of an artifact. CodeNotFound when there is none
// yet; where the scan was no success, it has no vulnerabilities.
func (a *App) OpenReport(ctx context.Context, c core.Caller, full, reference string) (opened OpenedReport, err error) {
	err = a.view(ctx, c, func(s *session) error {
		project, _, err := s.repository(full, core.ResArtifactAddition, core.ActRead)
		if err != nil {
			return err
		}
		found, err := s.find(full, reference)
		if err != nil {
			return err
		}
		list, err := s.allowlistOf(project)
		if err != nil {
			return err
		}
		state, err := s.scanState(found)
		if err != nil {
			return err
		}
		if opened, err = s.reportOf(found, state.Fact, list); err == nil && opened.Fact.Status == "" {
			err = core.Errorf(core.CodeNotFound, "there is no vulnerability report of %s; scan it first", core.Clip(reference, 160))
		}
		return err
	})
	if err != nil {
		return opened, err
	}
	return opened, a.readReports(ctx, &opened)
}

// reportOf is what is known of the artifact's report without the scanner: its
// vulnerabilities are missing.
func (s *session) reportOf(artifact core.Artifact, fact core.ScanFact, list core.CVEAllowlist) (opened OpenedReport, err error) {
	opened.Repository, opened.Digest, opened.Fact, opened.Allowed = artifact.Repository, artifact.Digest, fact, map[string]bool{}
	for _, f := range opened.Fact.Findings {
		if list.Allows(f.CVE, s.Now()) {
			opened.Allowed[f.CVE] = true
		}
	}
	if opened.Tags, _, err = s.TagPageOf(artifact.ID, core.Window{Size: maxReportTags}); err != nil {
		return opened, err
	}
	known, err := s.ManifestPullFacts(artifact.ID, false)
	if known.Platform == nil {
		known.Platform = artifact.Platform // no index tells that of an image of its own
	}
	opened.Images = imagesWithin(known)
	return opened, err
}

// readReports adds what the scanner found in the images of a report.
func (a *App) readReports(ctx context.Context, opened *OpenedReport) error {
	engine, err := a.scanning()
	if err != nil || opened.Fact.Status != core.ScanSuccess {
		return err
	}
	var parts []core.ScanReport
	for _, image := range opened.Images[:min(len(opened.Images), maxIndexReports)] {
		part, err := engine.Report(ctx, image.Digest)
		if core.IsNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		parts = append(parts, part)
	}
	opened.Join(parts...)
	opened.Missing = len(opened.Images) - len(parts)
	return nil
}

// ExportFindings calls write with the report of every image and index of a
// project that has one, by repository; latest takes the last pushed one of each
// repository only. No transaction is open meanwhile, and the rights are read
// again for some at a time. That it was done is audited.
func (a *App) ExportFindings(ctx context.Context, c core.Caller, ref core.ProjectRef, latest bool, write func(OpenedReport) error) error {
	w := core.Window{Size: reportBatch}
	for {
		var batch []OpenedReport
		var ends core.Ends
		err := a.view(ctx, c, func(s *session) error {
			project, err := s.onProject(ref, core.ResExportCVE, core.ActCreate)
			if err != nil {
				return err
			}
			if batch, ends, err = s.reportsOf(project, latest, w); err == nil && w.Cursor == "" {
				a.events.add(s.event(act{operation: "export", resourceType: string(core.ResExportCVE), resource: project.Name, project: project.ID}))
			}
			return err
		})
		if err != nil {
			return err
		}
		for _, opened := range batch {
			if err := a.readReports(ctx, &opened); err != nil {
				return err
			}
			if err := write(opened); err != nil {
				return err
			}
		}
		if w.Cursor = ends.Next; w.Cursor == "" {
			return nil
		}
	}
}

// reportsOf is reportOf of a page of the images of a project that were scanned
// with success.
func (s *session) reportsOf(project core.Project, latest bool, w core.Window) (batch []OpenedReport, ends core.Ends, err error) {
	list, err := s.allowlistOf(project)
	if err != nil {
		return nil, ends, err
	}
	images, ends, err := s.ImagePage(project.ID, latest, w)
	if err != nil {
		return nil, ends, err
	}
	children, err := s.ChildrenOf(artifactIDs(images))
	if err != nil {
		return nil, ends, err
	}
	facts, err := s.scanFacts(images, children)
	if err != nil {
		return nil, ends, err
	}
	for _, image := range images {
		fact := facts[image.Digest]
		if fact.Status != core.ScanSuccess {
			continue
		}
		opened, err := s.reportOf(image, fact, list)
		if err != nil {
			return nil, ends, err
		}
		batch = append(batch, opened)
	}
	return batch, ends, nil
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
