package sbom

import (
	"bytes"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/quay/claircore"
)

// CycloneDX writes the bill of an image in CycloneDX 1.6.
func CycloneDX(report *claircore.IndexReport, image Image) ([]byte, error) {
	if err := check(report); err != nil {
		return nil, err
	}
	root := imageURL(image)
	bom := cdx.NewBOM()
	bom.SerialNumber = "urn:uuid:" + image.id("cyclonedx")
	bom.Metadata = &cdx.Metadata{
		Timestamp: image.Created.UTC().Format(time.RFC3339),
		Tools:     &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: toolName, Version: image.Version}}},
		Component: &cdx.Component{BOMRef: root, Type: cdx.ComponentTypeContainer, Name: image.Repository, Version: image.Digest, PackageURL: root},
	}
	components, refs := []cdx.Component{}, []string{}
	for _, d := range distributions(report) {
		components = append(components, cdx.Component{BOMRef: "os-" + d.ID, Type: cdx.ComponentTypeOS, Name: d.DID, Version: releaseOf(d), Description: d.PrettyName})
	}
	for _, i := range items(report) {
		components = append(components, cdxItem(i))
	}
	for _, c := range components {
		refs = append(refs, c.BOMRef)
	}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: root, Dependencies: &refs}}
	var b bytes.Buffer
	if err := cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func cdxItem(i item) cdx.Component {
	c := cdx.Component{BOMRef: "package-" + i.id, Type: cdx.ComponentTypeApplication, Name: i.name, Version: i.version, PackageURL: i.purl, CPE: i.cpe}
	if i.isLibrary {
		c.Type = cdx.ComponentTypeLibrary
	}
	var told []cdx.Property
	for _, part := range []cdx.Property{{Name: "breakwater:path", Value: i.path}, {Name: "breakwater:source", Value: i.source}, {Name: "breakwater:layer", Value: i.layer}} {
		if part.Value != "" {
			told = append(told, part)
		}
	}
	if len(told) > 0 {
		c.Properties = &told
	}
	return c
}
