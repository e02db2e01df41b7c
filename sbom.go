package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/quay/claircore"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/jobs"
	"github.com/breakwater-registry/breakwater/scanner/sbom"
)

// makeSBOM does the jobs that list what is in an image, in both formats. The
// bills say that they were made when the image was pushed: the same image has
// the same bills.
func (s *server) makeSBOM(ctx context.Context, run *jobs.Run) error {
	var job app.SBOMJob
	if err := run.Bind(&job); err != nil {
		return err
	}
	found, err := s.app.ImageOfSBOM(ctx, job)
	if core.IsNotFound(err) {
		return nil // it was deleted meanwhile
	}
	if err != nil {
		return err
	}
	report, err := s.indexed(ctx, run, job.Digest)
	if err != nil {
		return err
	}
	image := sbom.Image{Repository: hostOf(s.cfg.ExternalURL) + "/" + job.Repository, Digest: found.Digest, Size: found.Size,
		MediaType: found.MediaType, Created: found.PushedAt, Version: version}
	for _, format := range []struct {
		kind  string
		write func() ([]byte, error)
	}{
		{sbom.TypeSPDX, func() ([]byte, error) { return sbom.SPDX(report, image) }},
		{sbom.TypeCycloneDX, func() ([]byte, error) { return sbom.CycloneDX(report, image) }},
	} {
		content, err := format.write()
		if err != nil {
			return err
		}
		artifact, err := sbom.NewArtifact(format.kind, content, image)
		if err != nil {
			return err
		}
		if err := s.images.PutArtifact(ctx, theSystem, job.Repository, artifact.Manifest, artifact.Blobs...); err != nil {
			return err
		}
		run.Logf("%s: %d bytes, %s", format.kind, len(content), artifact.Digest)
	}
	return nil
}

// indexed returns what is in an image, which is scanned first if it never was.
func (s *server) indexed(ctx context.Context, run *jobs.Run, digest string) (*claircore.IndexReport, error) {
	report, err := s.scanner.IndexReport(ctx, digest)
	if !core.IsNotFound(err) {
		return report, err
	}
	scan := core.Job{ID: run.ID, Kind: app.JobScan, Trigger: core.JobTriggerManual, Parameters: fmt.Sprintf(`{"digest":%q}`, digest)}
	if err := s.app.RunScan(ctx, scan, func(_ app.ScanProgress, line string) { run.Logf("%s", line) }); err != nil {
		return nil, err
	}
	report, err = s.scanner.IndexReport(ctx, digest)
	if core.IsNotFound(err) {
		err = core.Errorf(core.CodePrecondition, "nothing in this image can be read, so there is nothing to list; the log of this job tells why")
	}
	return report, err
}

// hostOf is the host and port of an origin.
func hostOf(url string) string {
	_, host, _ := strings.Cut(url, "://")
	return host
}
