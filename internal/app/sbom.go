package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// JobSBOM is the kind of the jobs that make the SBOMs of an image.
const JobSBOM = "SBOM_GENERATE"

// SBOMJob are the parameters of such a job.
type SBOMJob struct {
	Repository string `json:"repository"`
	Digest     string `json:"digest"`
}

func (j SBOMJob) parameters() string {
	text, _ := json.Marshal(j) // texts always become JSON
	return string(text)
}

// GenerateSBOM has the SBOMs of an image made; they become its accessories.
// CodeBadRequest for what is no image.
func (a *App) GenerateSBOM(ctx context.Context, c core.Caller, full, reference string) error {
	return a.update(ctx, c, func(s *session) error {
		project, found, err := s.billed(full, reference, core.ActCreate)
		if err != nil {
			return err
		}
		if err := s.queueSBOM(project, SBOMJob{full, found.Digest}, core.JobTriggerManual); err != nil {
			return err
		}
		return s.audit(act{operation: "create", resourceType: string(core.ResSBOM), resource: full + "@" + found.Digest, project: project.ID, digest: found.Digest})
	})
}

func (s *session) queueSBOM(project core.Project, job SBOMJob, trigger core.JobTrigger) error {
	_, err := s.queue(newJob{kind: JobSBOM, target: project.ID, trigger: trigger, parameters: job})
	return err
}

// billed returns an image of which the caller may do something with the SBOMs.
func (s *session) billed(full, reference string, action core.Action) (core.Project, core.Artifact, error) {
	project, _, err := s.repository(full, core.ResSBOM, action)
	if err != nil {
		return project, core.Artifact{}, err
	}
	if _, err := s.app.scanning(); err != nil {
		return project, core.Artifact{}, err
	}
	found, err := s.find(full, reference)
	if err == nil && (found.Kind != core.KindImage || found.Config == "") {
		err = core.Errorf(core.CodeBadRequest, "%s is no image of one platform, so there is nothing to list; name an image of the index by its digest", core.Clip(reference, 160))
	}
	return project, found, err
}

// StopSBOM stops the making of an image's SBOMs that waits or runs.
// CodeBadRequest when there is none.
func (a *App) StopSBOM(ctx context.Context, c core.Caller, full, reference string) error {
	return a.update(ctx, c, func(s *session) error {
		project, found, err := s.billed(full, reference, core.ActStop)
		if err != nil {
			return err
		}
		stopped, err := s.stopOpen([]string{JobSBOM}, SBOMJob{full, found.Digest}.parameters())
		if err != nil {
			return err
		}
		if !stopped {
			return core.Errorf(core.CodeBadRequest, "no SBOM of %s is being made", core.Clip(reference, 160))
		}
		return s.audit(act{operation: "stop", resourceType: string(core.ResSBOM), resource: full + "@" + found.Digest, project: project.ID, digest: found.Digest})
	})
}

// billPushed has SBOMs made of an image that was pushed to a project which wants
// that.
func (p *publication) billPushed() error {
	rules, err := p.app.policyOf(p.project)
	if err != nil || !rules.SBOMOnPush || !p.scannable() {
		return err
	}
	return p.queueSBOM(p.project, SBOMJob{p.repository, p.artifact.Digest}, core.JobTriggerEvent)
}

// ImageOfSBOM returns the image that a job is about; CodeNotFound when it was
// deleted meanwhile. It is for the job itself.
func (a *App) ImageOfSBOM(ctx context.Context, job SBOMJob) (found core.Artifact, err error) {
	err = a.view(ctx, itself, func(s *session) error {
		found, err = s.find(job.Repository, job.Digest)
		return err
	})
	return found, err
}

const (
	// maxSBOM bounds an SBOM that is shown, in bytes.
	maxSBOM = 64 << 20
	// maxSBOMManifest bounds its manifest.
	maxSBOMManifest = 4 << 20
)

// SBOM returns the newest SBOM of an image that is of the artifact type;
// CodeNotFound when there is none.
func (a *App) SBOM(ctx context.Context, c core.Caller, full, reference, artifactType string) (content []byte, err error) {
	var manifest core.Blob
	err = a.view(ctx, c, func(s *session) error {
		if _, _, err := s.repository(full, core.ResArtifactAddition, core.ActRead); err != nil {
			return err
		}
		found, err := s.find(full, reference)
		if err != nil {
			return err
		}
		bills, err := s.Tx.Referrers(full, found.Digest, artifactType, 0, maxAccessories)
		if err != nil {
			return err
		}
		if len(bills) == 0 {
			return core.Errorf(core.CodeNotFound, "%s has no SBOM of the type %s yet; have one made", core.Clip(reference, 160), artifactType)
		}
		manifest = bills[len(bills)-1].Blob
		return nil
	})
	if err != nil {
		return nil, err
	}
	text, err := a.content.ReadBlob(ctx, manifest, maxSBOMManifest)
	if err != nil {
		return nil, err
	}
	layer, err := a.onlyLayer(ctx, text)
	if err != nil {
		return nil, err
	}
	return a.content.ReadBlob(ctx, layer, maxSBOM)
}

// onlyLayer finds the blob of a manifest that has one.
func (a *App) onlyLayer(ctx context.Context, manifest []byte) (layer core.Blob, err error) {
	var named struct{ Layers []core.Descriptor }
	if err := json.Unmarshal(manifest, &named); err != nil {
		return layer, fmt.Errorf("manifest of an SBOM: %w", err)
	}
	if len(named.Layers) != 1 {
		return layer, core.Errorf(core.CodeNotFound, "the SBOM is not of the kind that this registry reads: it has %d files; pull it with a client", len(named.Layers))
	}
	err = a.store.View(ctx, func(tx *store.Tx) error {
		layer, err = tx.LiveBlob(named.Layers[0].Digest)
		return err
	})
	if errors.Is(err, store.ErrNoRow) {
		err = core.Errorf(core.CodeNotFound, "the content of the SBOM is missing; have it made again")
	}
	return layer, err
}
