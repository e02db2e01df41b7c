package core

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// Blob is one file of content. Its path holds the generation, so that a path
// is never used twice.
type Blob struct {
	ID         int64
	Digest     string
	Generation int64
	Size       int64
}

// Artifact is a manifest in a repository with what its content says.
type Artifact struct {
	ID           int64
	RepositoryID int64
	ProjectID    int64
	Repository   string // full name
	Digest       string
	MediaType    string
	ArtifactType string // as the referrers API shows it
	Config       string // digest of the config, of an image manifest
	Kind         string // Harbor's artifact type: IMAGE, CHART, ...
	Size         int64  // of the manifest, bytes
	TotalSize    int64  // with config and layers, bytes
	Subject      string // digest of the manifest this one refers to
	Annotations  map[string]string
	Platform     *Platform
	PushedBy     string
	PushedAt     time.Time
	PulledAt     time.Time // zero: never
	Blob         Blob      // the manifest's own file
}

// Platform is what an image runs on, as the image specification names it.
type Platform struct {
	Architecture string   `json:"architecture"`
	OS           string   `json:"os"`
	OSVersion    string   `json:"os.version,omitempty"`
	OSFeatures   []string `json:"os.features,omitempty"`
	Variant      string   `json:"variant,omitempty"`
}

// maxPlatformName bounds the name of a platform, which comes with what is pushed.
const maxPlatformName = 80

// String is the name of the platform, such as linux/arm64/v8.
func (p *Platform) String() string {
	if p == nil {
		return ""
	}
	parts := slices.DeleteFunc([]string{p.OS, p.Architecture, p.Variant}, func(part string) bool { return part == "" })
	return Clip(strings.Join(parts, "/"), maxPlatformName)
}

// Child is one entry of an index.
type Child struct {
	ID          int64 // of the artifact
	Digest      string
	Size        int64 // of its manifest, bytes
	TotalSize   int64 // with config and layers, bytes
	Platform    *Platform
	Annotations map[string]string
}

// Tag is a name of an artifact.
type Tag struct {
	ID           int64
	RepositoryID int64
	ArtifactID   int64
	Digest       string
	Name         string
	PushedAt     time.Time
	PulledAt     time.Time // zero: never
	Immutable    bool      // a rule of the project keeps it; not stored, set where it is shown
	Signed       bool      // a signature of what it names counts now; not stored, set where it is shown
}

// The kinds of artifact, in Harbor's words but for signatures and
// attestations, which Harbor shows as accessories.
const (
	KindImage       = "IMAGE"
	KindChart       = "CHART"
	KindCNAB        = "CNAB"
	KindWASM        = "WASM"
	KindSBOM        = "SBOM"
	KindSignature   = "SIGNATURE"
	KindAttestation = "ATTESTATION"
	KindUnknown     = "UNKNOWN"
)

// Descriptor points at content, as in the image specification.
type Descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	Platform     *Platform         `json:"platform,omitempty"`
}

// Manifest is what the registry read in a manifest that is being pushed.
type Manifest struct {
	Digest       string
	MediaType    string
	ArtifactType string
	ConfigType   string // media type of the config, of an image manifest
	Config       string // digest of the config, of an image manifest
	Kind         string
	Size         int64
	Subject      string
	Annotations  map[string]string
	Platform     *Platform    // of an image, from its config
	Blobs        []Descriptor // config and layers that the registry must hold
	Children     []Descriptor // of an index
}

var tagGrammar = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

// ValidateTag checks a tag by the grammar of the distribution specification.
func ValidateTag(tag string) error {
	if !tagGrammar.MatchString(tag) {
		return Errorf(CodeBadRequest, "the tag %q must have 1 to 128 letters, digits, '_', '.' or '-', and begin with none of the last two", Clip(tag, 64))
	}
	return nil
}
