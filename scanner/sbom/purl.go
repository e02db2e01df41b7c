package sbom

import (
	"path"
	"strings"

	"github.com/package-url/packageurl-go"
	"github.com/quay/claircore"
)

// database is where a package is registered in an image.
type database struct {
	kind    string // of package URL
	path    string
	library bool
}

// packageDatabase reads claircore's name of a package database: a file, or a
// kind, a colon and a path.
func packageDatabase(name string) database {
	kind, at, ok := strings.Cut(name, ":")
	if !ok {
		switch {
		case strings.Contains(name, "lib/dpkg/"):
			return database{kind: packageurl.TypeDebian, path: name}
		case strings.HasSuffix(name, "lib/apk/db/installed"):
			return database{kind: packageurl.TypeApk, path: name}
		}
		return database{path: name}
	}
	switch kind {
	case "sqlite", "bdb", "ndb":
		return database{kind: packageurl.TypeRPM, path: at}
	case "go":
		return database{packageurl.TypeGolang, at, true}
	case "python":
		return database{packageurl.TypePyPi, at, true}
	case "maven", "jar", "file":
		return database{packageurl.TypeMaven, at, true}
	case "ruby":
		return database{packageurl.TypeGem, at, true}
	case "nodejs":
		return database{packageurl.TypeNPM, at, true}
	}
	return database{path: at}
}

// packageURL writes what the package is called where it comes from (purl-spec),
// nil when that is not known. Claircore's own writers are not used: they write
// distributions and Go modules in ways that other tools do not read.
func packageURL(p *claircore.Package, d *claircore.Distribution, db database) *packageurl.PackageURL {
	u := &packageurl.PackageURL{Type: db.kind, Name: p.Name, Version: p.Version}
	qualifiers := map[string]string{}
	switch db.kind {
	case packageurl.TypeDebian, packageurl.TypeApk, packageurl.TypeRPM:
		if d == nil || d.DID == "" {
			return nil // without the distribution the name says nothing
		}
		u.Namespace = namespaceOf(d)
		qualifiers["arch"] = p.Arch
		qualifiers["distro"] = strings.TrimSuffix(d.DID+"-"+releaseOf(d), "-")
		if epoch, rest, ok := strings.Cut(p.Version, ":"); ok && db.kind == packageurl.TypeRPM {
			u.Version, qualifiers["epoch"] = rest, epoch
		}
	case packageurl.TypeGolang:
		u.Namespace, u.Name = splitPath(p.Name)
	case packageurl.TypeMaven:
		if group, artifact, ok := strings.Cut(p.Name, ":"); ok {
			u.Namespace, u.Name = group, artifact
		}
	case packageurl.TypeNPM:
		if strings.HasPrefix(p.Name, "@") {
			u.Namespace, u.Name = splitPath(p.Name)
		}
	case packageurl.TypePyPi, packageurl.TypeGem:
	default:
		return nil
	}
	for name, value := range qualifiers {
		if value == "" || (name == "epoch" && value == "0") {
			delete(qualifiers, name)
		}
	}
	u.Qualifiers = packageurl.QualifiersFromMap(qualifiers)
	if u.Normalize() != nil {
		return nil
	}
	return u
}

func splitPath(name string) (namespace, last string) {
	folder, last := path.Split(name)
	return strings.TrimSuffix(folder, "/"), last
}

// namespaceOf is the vendor of a distribution in package URLs.
func namespaceOf(d *claircore.Distribution) string {
	known := map[string]string{"rhel": "redhat", "ol": "oracle", "sles": "suse", "opensuse-leap": "opensuse"}
	if vendor := known[d.DID]; vendor != "" {
		return vendor
	}
	return d.DID
}
