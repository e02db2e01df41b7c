// Package sbom writes software bills of materials of images from what the
// scanner's index found: SPDX 2.3 and CycloneDX 1.6, both in JSON. The same
// input gives the same bytes.
package sbom

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/quay/claircore"
	"github.com/quay/claircore/toolkit/types"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// The artifact types under which SBOMs are kept as referrers; they are the media
// types of the two formats (IANA).
const (
	TypeSPDX      = "application/spdx+json"
	TypeCycloneDX = "application/vnd.cyclonedx+json"
)

// Image is what a bill is about.
type Image struct {
	Repository string // full name, with the registry's host before it
	Digest     string // of the manifest
	Size       int64  // of the manifest in bytes
	MediaType  string // of the manifest
	// Created is when the bill is said to be made.
	Created time.Time
	// Version is that of this product.
	Version string
}

const toolName = "breakwater"

// name is the last part of the repository's name.
func (i Image) name() string { return i.Repository[strings.LastIndexByte(i.Repository, '/')+1:] }

// id is a UUID that belongs to the bill of this image in the format.
func (i Image) id(format string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(format+" "+i.Repository+"@"+i.Digest)).String()
}

// item is one package of an image.
type item struct {
	id        string // unique within the bill
	name      string
	version   string
	purl      string
	cpe       string
	source    string // name and version of the source package, "" when it is the same or unknown
	path      string // where the image says that it is installed
	layer     string // digest of the layer that brought it
	isLibrary bool   // of a programming language
}

// items lists the packages of an image in the order of their names. A package
// that is there several times is told once for each place.
func items(report *claircore.IndexReport) []item {
	var all []item
	for _, p := range report.Packages {
		if p.Kind == types.SourcePackage || p.Name == "" {
			continue // what a package was built from is told with it
		}
		for _, env := range report.Environments[p.ID] {
			all = append(all, newItem(report, p, env))
		}
	}
	slices.SortFunc(all, func(a, b item) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.version, b.version), cmp.Compare(a.purl, b.purl),
			cmp.Compare(a.path, b.path), cmp.Compare(a.layer, b.layer), cmp.Compare(a.id, b.id))
	})
	all = slices.CompactFunc(all, func(a, b item) bool { a.id = b.id; return a == b })
	for i := range all {
		all[i].id = uniqueID(all[:i], all[i].id)
	}
	return all
}

func newItem(report *claircore.IndexReport, p *claircore.Package, env *claircore.Environment) item {
	db := packageDatabase(env.PackageDB)
	i := item{id: p.ID, name: p.Name, version: p.Version, path: db.path, layer: env.IntroducedIn.String(), isLibrary: db.library}
	if env.IntroducedIn.Checksum() == nil {
		i.layer = ""
	}
	if u := packageURL(p, report.Distributions[env.DistributionID], db); u != nil {
		i.purl = u.ToString()
	}
	if text := p.CPE.String(); p.CPE.Valid() == nil {
		i.cpe = text
	}
	if s := p.Source; s != nil && s.Name != "" && (s.Name != p.Name || s.Version != p.Version) {
		i.source = strings.TrimSpace(s.Name + " " + s.Version)
	}
	return i
}

// uniqueID tells the places of one package apart.
func uniqueID(before []item, id string) string {
	n := 0
	for _, other := range before {
		if other.id == id || strings.HasPrefix(other.id, id+".") {
			n++
		}
	}
	if n == 0 {
		return id
	}
	return id + "." + strings.Repeat("x", n)
}

// distributions lists the operating systems of an image, usually one.
func distributions(report *claircore.IndexReport) []*claircore.Distribution {
	var all []*claircore.Distribution
	for _, d := range report.Distributions {
		if d.Name != "" || d.DID != "" {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b *claircore.Distribution) int {
		return cmp.Or(cmp.Compare(a.DID, b.DID), cmp.Compare(a.VersionID, b.VersionID), cmp.Compare(a.ID, b.ID))
	})
	return all
}

func releaseOf(d *claircore.Distribution) string { return cmp.Or(d.VersionID, d.Version) }

// check refuses a report of an index that did not come to its end.
func check(report *claircore.IndexReport) error {
	if report == nil || !report.Success {
		return core.Errorf(core.CodeNotFound, "the image was not indexed; scan it first")
	}
	return nil
}
