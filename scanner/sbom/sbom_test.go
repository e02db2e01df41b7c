package sbom_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	oci "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/quay/claircore"
	"github.com/quay/claircore/toolkit/types"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdxlib"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/scanner/sbom"
)

const (
	imageDigest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	layerDigest = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
)

var image = sbom.Image{Repository: "registry.test:8443/library/App", Digest: imageDigest, Size: 7, MediaType: oci.MediaTypeImageManifest,
	Created: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC), Version: "1.2.3"}

// report is an index report with one package of each kind.
func report() *claircore.IndexReport {
	r := &claircore.IndexReport{Success: true, Packages: map[string]*claircore.Package{}, Environments: map[string][]*claircore.Environment{},
		Distributions: map[string]*claircore.Distribution{
			"1": {ID: "1", DID: "debian", Name: "Debian GNU/Linux", VersionID: "12", PrettyName: "Debian GNU/Linux 12 (bookworm)"},
			"2": {ID: "2", DID: "alpine", Name: "Alpine Linux", Version: "3.20", PrettyName: "Alpine Linux v3.20"},
			"3": {ID: "3", DID: "ol", Name: "Oracle Linux Server", VersionID: "7.9"}}}
	add := func(id, name, version, arch, db, dist string, source *claircore.Package) {
		r.Packages[id] = &claircore.Package{ID: id, Name: name, Version: version, Arch: arch, Kind: types.BinaryPackage, Source: source}
		r.Environments[id] = append(r.Environments[id], &claircore.Environment{PackageDB: db, DistributionID: dist, IntroducedIn: claircore.MustParseDigest(layerDigest)})
	}
	add("10", "libssl3", "3.0.15-1~deb12u1", "amd64", "var/lib/dpkg/status", "1", &claircore.Package{ID: "11", Name: "openssl", Version: "3.0.15-1~deb12u1", Kind: types.SourcePackage})
	add("12", "musl", "1.2.5-r0", "x86_64", "lib/apk/db/installed", "2", nil)
	add("13", "microcode_ctl", "2:2.1-22.2.el7", "x86_64", "sqlite:var/lib/rpm", "3", nil)
	add("14", "github.com/gin-gonic/gin", "v1.5.0", "", "go:usr/bin/app", "", nil)
	add("15", "org.apache.logging.log4j:log4j-core", "2.14.1", "", "jar:app/app.jar", "", nil)
	add("16", "@angular/core", "17.0.0", "", "nodejs:app/package-lock.json", "", nil)
	add("17", "Django_Rest", "3.2", "", "python:usr/lib/python3/site-packages", "", nil)
	add("18", "rails", "7.0.0", "", "ruby:usr/share/gems/specifications", "", nil)
	add("19", "strange", "1", "", "somewhere", "", nil)
	r.Packages["11"] = &claircore.Package{ID: "11", Name: "openssl", Kind: types.SourcePackage}
	r.Environments["11"] = r.Environments["10"]
	r.Environments["14"] = append(r.Environments["14"], &claircore.Environment{PackageDB: "go:usr/bin/other"}, r.Environments["14"][0])
	return r
}

var purls = []string{
	"pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20",
	"pkg:deb/debian/libssl3@3.0.15-1~deb12u1?arch=amd64&distro=debian-12",
	"pkg:gem/rails@7.0.0",
	"pkg:golang/github.com/gin-gonic/gin@v1.5.0",
	"pkg:golang/github.com/gin-gonic/gin@v1.5.0",
	"pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1",
	"pkg:npm/%40angular/core@17.0.0",
	"pkg:oci/app@sha256%3A1111111111111111111111111111111111111111111111111111111111111111?repository_url=registry.test:8443/library/App",
	"pkg:pypi/django-rest@3.2",
	"pkg:rpm/oracle/microcode_ctl@2.1-22.2.el7?arch=x86_64&distro=ol-7.9&epoch=2",
}

func TestSPDX(t *testing.T) {
	text, err := sbom.SPDX(report(), image)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := spdxjson.Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := spdxlib.ValidateDocument(doc); err != nil {
		t.Error(err)
	}
	var found []string
	for _, p := range doc.Packages {
		for _, ref := range p.PackageExternalReferences {
			found = append(found, ref.Locator)
		}
		if p.PackageName == "libssl3" && p.PackageSourceInfo != "found in var/lib/dpkg/status; built from source package openssl 3.0.15-1~deb12u1; layer "+layerDigest {
			t.Errorf("source info %q", p.PackageSourceInfo)
		}
	}
	slices.Sort(found)
	if !slices.Equal(found, purls) {
		t.Errorf("package URLs\n%s\nwant\n%s", strings.Join(found, "\n"), strings.Join(purls, "\n"))
	}
	if doc.SPDXVersion != "SPDX-2.3" || len(doc.Packages) != 14 || len(doc.Relationships) != 14 || !described(doc) {
		t.Errorf("%s: %d packages, %d relationships", doc.SPDXVersion, len(doc.Packages), len(doc.Relationships))
	}
	for _, field := range []string{`"filesAnalyzed": false`, `"name": "registry.test:8443/library/App@` + imageDigest, `"created": "2026-11-27T12:00:00Z"`, `"Tool: breakwater-1.2.3"`, `"algorithm": "SHA256"`} {
		if !bytes.Contains(text, []byte(field)) {
			t.Errorf("no %s in %s", field, text)
		}
	}
	if again, err := sbom.SPDX(report(), image); err != nil || !bytes.Equal(again, text) {
		t.Error("the same image gives another bill")
	}
}

func described(doc *spdx.Document) bool {
	return slices.ContainsFunc(doc.Relationships, func(r *spdx.Relationship) bool {
		return r.Relationship == "DESCRIBES" && r.RefA.ElementRefID == "DOCUMENT" && r.RefB.ElementRefID == "Image"
	})
}

func TestCycloneDX(t *testing.T) {
	text, err := sbom.CycloneDX(report(), image)
	if err != nil {
		t.Fatal(err)
	}
	bom := new(cdx.BOM)
	if err := cdx.NewBOMDecoder(bytes.NewReader(text), cdx.BOMFileFormatJSON).Decode(bom); err != nil {
		t.Fatal(err)
	}
	if bom.SpecVersion != cdx.SpecVersion1_6 || bom.Metadata.Component.Type != cdx.ComponentTypeContainer || bom.Metadata.Component.Version != imageDigest {
		t.Errorf("head of the bill: %s %+v", bom.SpecVersion, bom.Metadata.Component)
	}
	found := []string{bom.Metadata.Component.PackageURL}
	refs := map[string]bool{bom.Metadata.Component.BOMRef: true}
	for _, c := range *bom.Components {
		if refs[c.BOMRef] {
			t.Errorf("the reference %s is there twice", c.BOMRef)
		}
		refs[c.BOMRef] = true
		if c.PackageURL != "" {
			found = append(found, c.PackageURL)
		}
	}
	slices.Sort(found)
	if !slices.Equal(found, purls) {
		t.Errorf("package URLs\n%s\nwant\n%s", strings.Join(found, "\n"), strings.Join(purls, "\n"))
	}
	for _, dependency := range *(*bom.Dependencies)[0].Dependencies {
		if !refs[dependency] {
			t.Errorf("it depends on %s, which is not there", dependency)
		}
	}
	if again, err := sbom.CycloneDX(report(), image); err != nil || !bytes.Equal(again, text) {
		t.Error("the same image gives another bill")
	}
}

func TestNoBillWithoutIndex(t *testing.T) {
	for _, r := range []*claircore.IndexReport{nil, {}} {
		if _, err := sbom.SPDX(r, image); core.ErrorCode(err) != core.CodeNotFound {
			t.Errorf("SPDX: %v", err)
		}
		if _, err := sbom.CycloneDX(r, image); core.ErrorCode(err) != core.CodeNotFound {
			t.Errorf("CycloneDX: %v", err)
		}
	}
	text, err := sbom.SPDX(&claircore.IndexReport{Success: true}, image)
	if err != nil || !bytes.Contains(text, []byte(`"DESCRIBES"`)) {
		t.Errorf("the bill of an image without packages: %v", err)
	}
}

func TestArtifact(t *testing.T) {
	a, err := sbom.NewArtifact(sbom.TypeSPDX, []byte(`{"spdxVersion":"SPDX-2.3"}`), image)
	if err != nil {
		t.Fatal(err)
	}
	var m oci.Manifest
	if err := json.Unmarshal(a.Manifest, &m); err != nil {
		t.Fatal(err)
	}
	if m.ArtifactType != sbom.TypeSPDX || m.Subject.Digest.String() != imageDigest || m.Subject.Size != 7 || m.Config.MediaType != oci.MediaTypeEmptyJSON ||
		len(a.Blobs) != 2 || string(a.Blobs[0]) != "{}" || m.Layers[0].Size != int64(len(a.Blobs[1])) || m.Config.Size != 2 {
		t.Errorf("manifest %s, %d blobs", a.Manifest, len(a.Blobs))
	}
}
