package app

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// ScanRun is a scan of a project or of one of its repositories.
type ScanRun struct {
	core.Job
	Repository string // empty: the whole project
	Progress   ScanProgress
}

func scanRunOf(job core.Job) (run ScanRun, err error) {
	run.Job = job
	var images imagesToScan
	if err := json.Unmarshal([]byte(job.Parameters), &images); err != nil {
		return run, fmt.Errorf("parameters of job %d: %w", job.ID, err)
	}
	run.Repository = images.Repository
	if err := json.Unmarshal([]byte(job.Progress), &run.Progress); err != nil {
		return run, fmt.Errorf("progress of job %d: %w", job.ID, err)
	}
	return run, nil
}

// OpenScanRun returns the scan that waits or runs of a project or, where full is
// not empty, of that repository or else of its whole project. One without an
// id: there is none.
func (a *App) OpenScanRun(ctx context.Context, c core.Caller, ref core.ProjectRef, full string) (found ScanRun, err error) {
	err = a.view(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResScan, core.ActRead)
		if err != nil {
			return err
		}
		runs, err := s.openScanRuns(project.ID)
		for _, run := range runs {
			if run.Repository == full || (run.Repository == "" && found.ID == 0) {
				found = run
			}
		}
		return err
	})
	return found, err
}

func (s *session) openScanRuns(projectID int64) ([]ScanRun, error) {
	jobs, err := s.OpenJobsAbout(JobScanProject, projectID)
	if err != nil {
		return nil, err
	}
	runs := make([]ScanRun, len(jobs))
	for i, job := range jobs {
		if runs[i], err = scanRunOf(job); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// StopProjectScan stops the scans of a whole project that wait or run.
// CodeBadRequest when there is none.
func (a *App) StopProjectScan(ctx context.Context, c core.Caller, ref core.ProjectRef) error {
	return a.update(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResScan, core.ActStop)
		if err != nil {
			return err
		}
		return s.stopScanRuns(project, project.Name, "")
	})
}

// StopRepositoryScan is StopProjectScan for the scans of one repository.
func (a *App) StopRepositoryScan(ctx context.Context, c core.Caller, full string) error {
	return a.update(ctx, c, func(s *session) error {
		project, _, err := s.repository(full, core.ResScan, core.ActStop)
		if err != nil {
			return err
		}
		return s.stopScanRuns(project, full, full)
	})
}

func (s *session) stopScanRuns(project core.Project, what, repository string) error {
	runs, err := s.openScanRuns(project.ID)
	if err != nil {
		return err
	}
	stopped := false
	for _, run := range runs {
		if run.Repository != repository {
			continue
		}
		stopped = true
		if _, err := s.stopJob(JobScanProject, run.ID); err != nil {
			return err
		}
	}
	if !stopped {
		return core.Errorf(core.CodeBadRequest, "no scan of %s waits or runs", core.Clip(what, 255))
	}
	return s.audit(act{operation: "stop", resourceType: "scan", resource: what, project: project.ID})
}
