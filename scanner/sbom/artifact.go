package sbom

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	specs "github.com/opencontainers/image-spec/specs-go"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/opencontainers/go-digest"
)

// Artifact is a bill as it is kept in a registry: a manifest that refers to the
// image (OCI image-spec 1.1), and the blobs that the manifest names.
type Artifact struct {
	Manifest []byte
	Digest   string   // of the manifest
	Blobs    [][]byte // the configuration, which is empty, and the bill
}

// NewArtifact wraps the content of a bill of the kind TypeSPDX or TypeCycloneDX.
func NewArtifact(kind string, content []byte, image Image) (Artifact, error) {
	manifest := oci.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    oci.MediaTypeImageManifest,
		ArtifactType: kind,
		Config:       oci.DescriptorEmptyJSON,
		Layers:       []oci.Descriptor{{MediaType: kind, Digest: digest.FromBytes(content), Size: int64(len(content))}},
		Subject:      &oci.Descriptor{MediaType: image.MediaType, Digest: digest.Digest(image.Digest), Size: image.Size},
		Annotations:  map[string]string{oci.AnnotationCreated: image.Created.UTC().Format(time.RFC3339)},
	}
	manifest.Config.Data = nil
	text, err := json.Marshal(manifest)
	if err != nil {
		return Artifact{}, err
	}
	sum := sha256.Sum256(text)
	return Artifact{Manifest: text, Digest: "sha256:" + hex.EncodeToString(sum[:]), Blobs: [][]byte{oci.DescriptorEmptyJSON.Data, content}}, nil
}
