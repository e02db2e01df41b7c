package registry

import (
	"encoding/json"
	"mime"
	"slices"
	"strings"

	"github.com/distribution/distribution/v3/manifest/manifestlist"
	"github.com/distribution/distribution/v3/manifest/schema2"
	"github.com/distribution/distribution/v3/registry/api/errcode"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// document holds the fields of every manifest type, to find those that are in
// the wrong one (CVE-2021-41190).
type document struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        *wireDescriptor   `json:"config"`
	Layers        []wireDescriptor  `json:"layers"`
	Manifests     []wireDescriptor  `json:"manifests"`
	FSLayers      []json.RawMessage `json:"fsLayers"`
	Subject       *wireDescriptor   `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
}

type wireDescriptor struct {
	core.Descriptor
	URLs []string `json:"urls"`
}

const (
	// maxReferences bounds the layers of an image and the entries of an index.
	maxReferences = 10_000
	mediaHelm     = "application/vnd.cncf.helm.config.v1+json"
	mediaCNAB     = "application/vnd.cnab.config.v1+json"
	mediaWASM     = "application/vnd.wasm.config.v1+json"
	mediaWASM0    = "application/vnd.wasm.config.v0+json"
	// mediaForeign was docker's mark of a layer that lives elsewhere.
	mediaForeign  = schema2.MediaTypeForeignLayer
	foreignPrefix = "application/vnd.oci.image.layer.nondistributable.v1."
)

func invalid(format string, args ...any) error {
	return fail(errcode.ErrorCodeManifestInvalid, format, args...)
}

// ParseManifest reads a manifest or an index of docker or OCI. contentType is
// the header it came with, which must agree with the document.
func ParseManifest(body []byte, contentType string) (core.Manifest, error) {
	if err := core.CheckJSON(body); err != nil {
		return core.Manifest{}, invalid("the manifest cannot be used: %s", err)
	}
	var doc document
	if err := json.Unmarshal(body, &doc); err != nil {
		return core.Manifest{}, invalid("the manifest is not a JSON document of the image specification")
	}
	mediaType, err := doc.mediaType(contentType)
	if err != nil {
		return core.Manifest{}, err
	}
	m := core.Manifest{MediaType: mediaType, ArtifactType: doc.ArtifactType, Size: int64(len(body)), Annotations: doc.Annotations}
	if doc.Subject != nil {
		if err := doc.Subject.check("the subject"); err != nil {
			return core.Manifest{}, err
		}
		m.Subject = doc.Subject.Digest
	}
	if isIndex(mediaType) {
		err = doc.index(&m)
	} else {
		err = doc.image(&m)
	}
	return m, err
}

// mediaType decides what the document is, and refuses one that could be read
// as two things.
func (doc document) mediaType(contentType string) (string, error) {
	header := ""
	if contentType != "" {
		parsed, _, err := mime.ParseMediaType(contentType)
		if err != nil {
			return "", invalid("the Content-Type %q is malformed", core.Clip(contentType, 64))
		}
		header = parsed
	}
	mediaType := doc.MediaType
	if mediaType == "" {
		mediaType = header
	}
	if header != "" && header != mediaType {
		return "", invalid("the manifest says it is %q, but was sent as %q", core.Clip(mediaType, 64), core.Clip(header, 64))
	}
	if !isIndex(mediaType) && mediaType != v1.MediaTypeImageManifest && mediaType != schema2.MediaTypeManifest {
		return "", invalid("%q is not a manifest type that this registry takes: docker schema 2 and OCI manifests and indexes", core.Clip(mediaType, 64))
	}
	if doc.SchemaVersion != 2 {
		return "", invalid("the manifest has schemaVersion %d; only 2 is taken", doc.SchemaVersion)
	}
	return mediaType, nil
}

func isIndex(mediaType string) bool {
	return mediaType == v1.MediaTypeImageIndex || mediaType == manifestlist.MediaTypeManifestList
}

// IsImageConfig says whether a config of that media type tells a platform.
func IsImageConfig(mediaType string) bool {
	return mediaType == v1.MediaTypeImageConfig || mediaType == schema2.MediaTypeImageConfig
}

func (doc document) image(m *core.Manifest) error {
	if doc.Manifests != nil || doc.FSLayers != nil {
		return invalid("an image manifest must not have manifests or fsLayers")
	}
	if doc.Config == nil {
		return invalid("the manifest has no config")
	}
	if len(doc.Layers) > maxReferences {
		return invalid("the manifest has more than %d layers", maxReferences)
	}
	m.ConfigType, m.Config = doc.Config.MediaType, doc.Config.Digest
	if m.ArtifactType == "" {
		m.ArtifactType = doc.Config.MediaType
	}
	m.Kind = doc.kind(m.MediaType)
	if err := doc.Config.check("the config"); err != nil {
		return err
	}
	m.Blobs = append(m.Blobs, doc.Config.Descriptor)
	for _, layer := range doc.Layers {
		if err := layer.check("a layer"); err != nil {
			return err
		}
		if !layer.elsewhere() {
			m.Blobs = append(m.Blobs, layer.Descriptor)
		}
	}
	return nil
}

func (doc document) index(m *core.Manifest) error {
	if doc.Config != nil || doc.Layers != nil || doc.FSLayers != nil {
		return invalid("an index must not have config, layers or fsLayers")
	}
	if len(doc.Manifests) > maxReferences {
		return invalid("the index has more than %d entries", maxReferences)
	}
	m.Kind = core.KindImage
	if doc.ArtifactType != "" {
		m.Kind = kindOf("", doc.ArtifactType)
	}
	for _, child := range doc.Manifests {
		if err := child.check("an entry of the index"); err != nil {
			return err
		}
		m.Children = append(m.Children, child.Descriptor)
	}
	return nil
}

func (d wireDescriptor) check(what string) error {
	if _, err := parseDigest(d.Digest); err != nil {
		return invalid("%s has %q for a digest", what, core.Clip(d.Digest, 160))
	}
	if d.Size < 0 {
		return invalid("%s has a negative size", what)
	}
	return nil
}

// elsewhere says whether the layer is one that a registry need not hold.
func (d wireDescriptor) elsewhere() bool {
	return d.MediaType == mediaForeign || strings.HasPrefix(d.MediaType, foreignPrefix)
}

// imageConfigs are the types of a config that clients run as an image. docker
// takes the last four for one too, as old tools wrote them.
var imageConfigs = []string{v1.MediaTypeImageConfig, schema2.MediaTypeImageConfig, "application/octet-stream", "application/json", "text/html", ""}

// runs says whether a client may run the manifest as an image, whatever else
// it calls itself: docker runs every schema 2 manifest, and looks at no
// artifact type. Policies about images depend on it.
func (doc document) runs(mediaType string) bool {
	return mediaType == schema2.MediaTypeManifest || slices.Contains(imageConfigs, doc.Config.MediaType)
}

// companionOf names what a document of that type is about another artifact,
// "" when it is none.
func companionOf(mediaType string) string {
	media, _, _ := strings.Cut(mediaType, ";")
	if strings.HasPrefix(media, "application/vnd.dev.sigstore.bundle") {
		return core.KindSignature
	}
	return companions[media]
}

// companions are the types of the layers, and of the artifacts, that are about
// another artifact, with what they are: of cosign, in-toto, notation, SBOMs.
var companions = map[string]string{
	"application/vnd.dev.cosign.simplesigning.v1+json": core.KindSignature,
	"application/vnd.dev.cosign.artifact.sig.v1+json":  core.KindSignature,
	"application/vnd.cncf.notary.signature":            core.KindSignature,
	"application/vnd.dsse.envelope.v1+json":            core.KindAttestation,
	"application/vnd.in-toto+json":                     core.KindAttestation,
	"application/vnd.cyclonedx":                        core.KindSBOM,
	"application/vnd.cyclonedx+json":                   core.KindSBOM,
	"application/vnd.cyclonedx+xml":                    core.KindSBOM,
	"application/vnd.syft+json":                        core.KindSBOM,
	"application/spdx+json":                            core.KindSBOM,
	"text/spdx":                                        core.KindSBOM,
	"text/spdx+json":                                   core.KindSBOM,
	"text/spdx+xml":                                    core.KindSBOM,
}

// kind names the artifact, an image manifest, in Harbor's words.
func (doc document) kind(mediaType string) string {
	if doc.runs(mediaType) {
		if kind := doc.companion(); kind != "" {
			return kind
		}
		return core.KindImage
	}
	return kindOf(doc.Config.MediaType, doc.ArtifactType)
}

// companion is what the layers are, where none of them is part of an image:
// cosign and BuildKit put their documents into what else looks like one.
func (doc document) companion() string {
	if len(doc.Layers) == 0 {
		return ""
	}
	for _, layer := range doc.Layers {
		if companionOf(layer.MediaType) == "" {
			return ""
		}
	}
	return companionOf(doc.Layers[0].MediaType)
}

// kindOf names an artifact that nobody runs as an image.
func kindOf(configType, artifactType string) string {
	if artifactType == "" {
		artifactType = configType
	}
	switch {
	case companionOf(artifactType) != "":
		return companionOf(artifactType)
	case slices.ContainsFunc([]string{"spdx", "cyclonedx", "sbom"}, func(word string) bool { return strings.Contains(artifactType, word) }):
		return core.KindSBOM
	case configType == mediaHelm:
		return core.KindChart
	case configType == mediaCNAB:
		return core.KindCNAB
	case configType == mediaWASM, configType == mediaWASM0:
		return core.KindWASM
	}
	return core.KindUnknown
}
