package registry

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const (
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
	ociConfig   = "application/vnd.oci.image.config.v1+json"
)

var (
	sumA = "sha256:" + strings.Repeat("a", 64)
	sumB = "sha512:" + strings.Repeat("b", 128)
)

func TestParseManifest(t *testing.T) {
	image := `{"schemaVersion":2,"mediaType":"` + ociManifest + `","config":{"mediaType":"` + ociConfig + `","digest":"` + sumA + `","size":2},
		"layers":[{"mediaType":"x","digest":"` + sumB + `","size":3},
		{"mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip","digest":"sha256:` + strings.Repeat("c", 64) + `","size":3}],
		"subject":{"mediaType":"y","digest":"` + sumA + `","size":1},"annotations":{"k":"v"}}`
	m, err := ParseManifest([]byte(image), ociManifest)
	if err != nil {
		t.Fatal(err)
	}
	if m.Kind != core.KindImage || m.ArtifactType != ociConfig || m.Subject != sumA || m.Annotations["k"] != "v" || m.Config != sumA {
		t.Errorf("parsed as %+v", m)
	}
	if len(m.Blobs) != 2 || m.Blobs[0].Digest != sumA || m.Blobs[1].Digest != sumB {
		t.Errorf("the blobs are %v; a non-distributable layer must not be among them", m.Blobs)
	}
	index := `{"schemaVersion":2,"manifests":[{"mediaType":"` + ociManifest + `","digest":"` + sumA + `","size":1,"platform":{"architecture":"arm64","os":"linux"}}]}`
	m, err = ParseManifest([]byte(index), ociIndex+"; charset=utf-8")
	if err != nil || len(m.Children) != 1 || m.Children[0].Platform.Architecture != "arm64" {
		t.Errorf("index parsed as %+v, %v", m, err)
	}
}

func TestParseManifestRefuses(t *testing.T) {
	config := `"config":{"mediaType":"x","digest":"` + sumA + `","size":2}`
	tests := map[string]struct{ body, contentType string }{
		"no JSON":               {`{`, ociManifest},
		"trailing data":         {`{"schemaVersion":2,` + config + `} {}`, ociManifest},
		"a key twice":           {`{"schemaVersion":2,"layers":[],"layers":[],` + config + `}`, ociManifest},
		"invalid UTF-8":         {"{\"schemaVersion\":2,\"a\":\"\xff\"," + config + `}`, ociManifest},
		"schema 1":              {`{"schemaVersion":1,"fsLayers":[]}`, "application/vnd.docker.distribution.manifest.v1+json"},
		"wrong version":         {`{"schemaVersion":3,` + config + `}`, ociManifest},
		"two types":             {`{"schemaVersion":2,"mediaType":"` + ociIndex + `","manifests":[]}`, ociManifest},
		"image with manifests":  {`{"schemaVersion":2,` + config + `,"manifests":[]}`, ociManifest},
		"index with layers":     {`{"schemaVersion":2,"manifests":[],"layers":[]}`, ociIndex},
		"no config":             {`{"schemaVersion":2,"layers":[]}`, ociManifest},
		"bad digest":            {`{"schemaVersion":2,"config":{"digest":"sha256:../../etc/passwd"}}`, ociManifest},
		"negative size":         {`{"schemaVersion":2,"config":{"digest":"` + sumA + `","size":-1}}`, ociManifest},
		"unknown type":          {`{"schemaVersion":2}`, "application/json"},
		"malformed type":        {`{"schemaVersion":2,` + config + `}`, "a b c"},
		"bad subject":           {`{"schemaVersion":2,` + config + `,"subject":{"digest":"x"}}`, ociManifest},
		"numbers for strings":   {`{"schemaVersion":2,"mediaType":5,` + config + `}`, ociManifest},
		"nested beyond measure": {strings.Repeat("[", 100000), ociManifest},
	}
	for name, tt := range tests {
		_, err := ParseManifest([]byte(tt.body), tt.contentType)
		if err == nil || problemOf(err).code != "MANIFEST_INVALID" {
			t.Errorf("%s: %v, want MANIFEST_INVALID", name, err)
		}
	}
}

// Whatever is accepted names its content by valid digests only.
func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"`+sumA+`"},"layers":[]}`), ociManifest)
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"digest":"`+sumA+`"}]}`), ociIndex)
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		m, err := ParseManifest(body, contentType)
		if err != nil {
			return
		}
		for _, d := range append(m.Blobs, m.Children...) {
			if _, err := parseDigest(d.Digest); err != nil {
				t.Errorf("accepted the digest %q", d.Digest)
			}
		}
		if !json.Valid(body) {
			t.Error("accepted a document that is not JSON")
		}
	})
}

// What a client runs as an image is one for the policies, whatever it calls
// itself.
func TestKinds(t *testing.T) {
	const (
		layer  = "application/vnd.oci.image.layer.v1.tar+gzip"
		cosign = "application/vnd.dev.cosign.simplesigning.v1+json"
		schema = "application/vnd.docker.distribution.manifest.v2+json"
	)
	for name, test := range map[string]struct{ media, config, artifact, layers, want string }{
		"image":                            {ociManifest, ociConfig, "", layer, core.KindImage},
		"image with an artifact type":      {ociManifest, ociConfig, "application/vnd.cncf.notary.signature", layer, core.KindImage},
		"image that says it is an SBOM":    {ociManifest, ociConfig, "application/spdx+json", layer, core.KindImage},
		"image without layers":             {ociManifest, ociConfig, "", "", core.KindImage},
		"image with a signature in it":     {ociManifest, ociConfig, "", cosign + " " + layer, core.KindImage},
		"config that docker takes for one": {ociManifest, "application/octet-stream", "", layer, core.KindImage},
		"config without a type":            {ociManifest, "", "", layer, core.KindImage},
		"chart in a docker manifest":       {schema, mediaHelm, "", layer, core.KindImage},
		"chart":                            {ociManifest, mediaHelm, "", "application/vnd.cncf.helm.chart.content.v1.tar+gzip", core.KindChart},
		"signature as cosign tags it":      {ociManifest, ociConfig, "", cosign, core.KindSignature},
		"signature of cosign":              {ociManifest, "application/vnd.oci.empty.v1+json", "application/vnd.dev.sigstore.bundle.v0.3+json", "x", core.KindSignature},
		"signature of notation":            {ociManifest, "application/vnd.cncf.notary.signature", "", "application/jose+json", core.KindSignature},
		"attestation of BuildKit":          {ociManifest, ociConfig, "", "application/vnd.in-toto+json application/vnd.in-toto+json", core.KindAttestation},
		"SBOM":                             {ociManifest, "application/vnd.oci.empty.v1+json", "application/vnd.cyclonedx+json", "x", core.KindSBOM},
		"WASM":                             {ociManifest, mediaWASM, "", "application/wasm", core.KindWASM},
		"model":                            {ociManifest, "application/vnd.cncf.model.config.v1+json", "", "x", core.KindUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			var layers []string
			for _, media := range strings.Fields(test.layers) {
				layers = append(layers, `{"mediaType":"`+media+`","digest":"`+sumA+`","size":1}`)
			}
			m, err := ParseManifest([]byte(`{"schemaVersion":2,"mediaType":"`+test.media+`","artifactType":"`+test.artifact+`","config":{"mediaType":"`+
				test.config+`","digest":"`+sumA+`","size":2},"layers":[`+strings.Join(layers, ",")+`]}`), test.media)
			if err != nil || m.Kind != test.want {
				t.Errorf("kind = %s, %v; want %s", m.Kind, err, test.want)
			}
		})
	}
}
