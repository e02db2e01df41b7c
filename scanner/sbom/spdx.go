package sbom

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/quay/claircore"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

const noAssertion = "NOASSERTION"

// SPDX writes the bill of an image in SPDX 2.3.
func SPDX(report *claircore.IndexReport, image Image) ([]byte, error) {
	if err := check(report); err != nil {
		return nil, err
	}
	doc := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT", DocumentName: image.Repository + "@" + image.Digest,
		DocumentNamespace: "https://spdx.org/spdxdocs/" + image.name() + "-" + image.id("spdx"),
		CreationInfo: &spdx.CreationInfo{Created: image.Created.UTC().Format(time.RFC3339),
			Creators: []common.Creator{{CreatorType: "Tool", Creator: toolName + "-" + image.Version}}},
	}
	root := spdxPackage("Image", image.name(), image.Digest)
	root.PrimaryPackagePurpose = "CONTAINER"
	if algorithm, sum, ok := strings.Cut(image.Digest, ":"); ok {
		root.PackageChecksums = []common.Checksum{{Algorithm: common.ChecksumAlgorithm(strings.ToUpper(algorithm)), Value: sum}}
	}
	root.PackageExternalReferences = []*spdx.PackageExternalReference{reference("PACKAGE-MANAGER", "purl", imageURL(image))}
	doc.Packages = []*spdx.Package{root}
	relate(doc, "DOCUMENT", "DESCRIBES", "Image")
	for _, d := range distributions(report) {
		system := spdxPackage(common.ElementID("OperatingSystem-"+d.ID), d.DID, releaseOf(d))
		system.PrimaryPackagePurpose, system.PackageSummary = "OPERATING-SYSTEM", d.PrettyName
		doc.Packages = append(doc.Packages, system)
		relate(doc, "Image", "CONTAINS", system.PackageSPDXIdentifier)
	}
	for _, i := range items(report) {
		p := spdxItem(i)
		doc.Packages = append(doc.Packages, p)
		relate(doc, "Image", "CONTAINS", p.PackageSPDXIdentifier)
	}
	return json.MarshalIndent(doc, "", " ")
}

func spdxPackage(id common.ElementID, name, version string) *spdx.Package {
	return &spdx.Package{PackageSPDXIdentifier: id, PackageName: name, PackageVersion: version, PackageDownloadLocation: noAssertion,
		PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: noAssertion, PackageCopyrightText: noAssertion,
		IsFilesAnalyzedTagPresent: true}
}

func spdxItem(i item) *spdx.Package {
	p := spdxPackage(common.ElementID("Package-"+i.id), i.name, i.version)
	p.PrimaryPackagePurpose = "APPLICATION"
	if i.isLibrary {
		p.PrimaryPackagePurpose = "LIBRARY"
	}
	var told []string
	for _, part := range []struct{ what, is string }{{"found in", i.path}, {"built from source package", i.source}, {"layer", i.layer}} {
		if part.is != "" {
			told = append(told, part.what+" "+part.is)
		}
	}
	p.PackageSourceInfo = strings.Join(told, "; ")
	if i.purl != "" {
		p.PackageExternalReferences = append(p.PackageExternalReferences, reference("PACKAGE-MANAGER", "purl", i.purl))
	}
	if i.cpe != "" {
		p.PackageExternalReferences = append(p.PackageExternalReferences, reference("SECURITY", "cpe23Type", i.cpe))
	}
	return p
}

func reference(category, kind, locator string) *spdx.PackageExternalReference {
	return &spdx.PackageExternalReference{Category: category, RefType: kind, Locator: locator}
}

func relate(doc *spdx.Document, from common.ElementID, how string, to common.ElementID) {
	doc.Relationships = append(doc.Relationships, &spdx.Relationship{
		RefA: common.MakeDocElementID("", string(from)), RefB: common.MakeDocElementID("", string(to)), Relationship: how})
}

// imageURL is the package URL of an image (purl-spec, type oci).
func imageURL(i Image) string {
	return fmt.Sprintf("pkg:oci/%s@%s?repository_url=%s", strings.ToLower(i.name()), strings.ReplaceAll(i.Digest, ":", "%3A"), i.Repository)
}
