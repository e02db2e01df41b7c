package app

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// maxManifestRead is the largest manifest that is read, in bytes.
const maxManifestRead = 4 << 20

// Contents is what the files of an artifact hold.
type Contents struct {
	Config core.Descriptor // empty for an index
	Layers []core.Descriptor
	Image  *ImageConfig // nil where the config is no image's
}

// ImageConfig is how an image runs and how it was built (image specification,
// "Image Configuration").
type ImageConfig struct {
	Created      *time.Time     `json:"created"`
	Author       string         `json:"author"`
	Architecture string         `json:"architecture"`
	OS           string         `json:"os"`
	Variant      string         `json:"variant"`
	Config       ImageRun       `json:"config"`
	History      []HistoryEntry `json:"history"`
}

// ImageRun is the part of an image's config that containers start with.
type ImageRun struct {
	User         string
	Env          []string
	Entrypoint   []string
	Cmd          []string
	WorkingDir   string
	StopSignal   string
	ExposedPorts map[string]struct{}
	Volumes      map[string]struct{}
	Labels       map[string]string
}

// Contents reads the manifest and the config of an artifact. What is no valid
// JSON of the expected form is left out: it was pushed like that.
func (a *App) Contents(ctx context.Context, c core.Caller, full, reference string) (found Contents, err error) {
	var file, config core.Blob
	var isImage bool
	err = a.view(ctx, c, func(s *session) error {
		if _, _, err := s.repository(full, core.ResArtifactAddition, core.ActRead); err != nil {
			return err
		}
		artifact, err := s.find(full, reference)
		if err != nil {
			return err
		}
		file, isImage = artifact.Blob, artifact.Kind == core.KindImage && artifact.Config != ""
		if isImage {
			if config, err = s.LiveBlob(artifact.Config); errors.Is(err, store.ErrNoRow) {
				isImage, err = false, nil
			}
		}
		return err
	})
	if err != nil {
		return found, err
	}
	if err := a.readManifest(ctx, file, &found); err != nil || !isImage {
		return found, err
	}
	text, err := a.content.ReadBlob(ctx, config, maxConfig)
	if err != nil {
		return found, err
	}
	var image ImageConfig
	if json.Unmarshal(text, &image) == nil {
		found.Image = &image
	}
	return found, nil
}

func (a *App) readManifest(ctx context.Context, file core.Blob, found *Contents) error {
	text, err := a.content.ReadBlob(ctx, file, maxManifestRead)
	if err != nil {
		return err
	}
	var manifest struct {
		Config core.Descriptor   `json:"config"`
		Layers []core.Descriptor `json:"layers"`
	}
	if json.Unmarshal(text, &manifest) == nil {
		found.Config, found.Layers = manifest.Config, manifest.Layers
	}
	return nil
}
