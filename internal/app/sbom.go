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

// GenerateSBOM has the SBOMs of an image made; they become its accessories.
// CodeBadRequest for what is no image.
func (a *App) GenerateSBOM(ctx context.Context, c core.Caller, full, reference string) error {
	return a.update(ctx, c, func(s *session) error {
		project, _, err := s.repository(full, core.ResSBOM, core.ActCreate)
		if err != nil {
			return err
		}
		found, err := s.find(full, reference)
		if err != nil {
			return err
		}
		if found.Kind != core.KindImage || found.Config == "" {
			return core.Errorf(core.CodeBadRequest, "%s is no image of one platform, so there is nothing to list; name an image of the index by its digest", core.Clip(reference, 160))
		}
		if _, err := s.queue(newJob{kind: JobSBOM, target: project.ID, trigger: core.JobTriggerManual, parameters: SBOMJob{full, found.Digest}}); err != nil {
			return err
		}
		return s.audit(act{operation: "create", resourceType: string(core.ResSBOM), resource: full + "@" + found.Digest, project: project.ID, digest: found.Digest})
	})
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
