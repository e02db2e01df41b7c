package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/breakwater-registry/breakwater"

// arrows states which packages of the house each one may import. They point
// inward; a new arrow is a decision, to be made here.
var arrows = map[string][]string{
	"internal/core":    {},
	"internal/auth":    {"internal/core"},
	"store":            {"internal/core"},
	"internal/policy":  {"internal/core"},
	"internal/app":     {"internal/core", "internal/auth", "internal/policy", "store"},
	"internal/httpx":   {"internal/core"},
	"internal/config":  {"internal/core"},
	"internal/certs":   {"internal/core"},
	"internal/systemd": {},
	"internal/metrics": {"internal/core", "internal/httpx"},
	"registry/blobs":   {"internal/core"},
	"registry/journal": {"internal/core"},
	// signin is what every machine route asks who is calling.
	"internal/signin": {"internal/core", "internal/auth", "internal/app", "internal/httpx"},
	"registry":        {"internal/core", "internal/auth", "internal/app", "internal/httpx", "internal/signin", "registry/blobs"},
	"registry/gc":     {"internal/core", "internal/app", "registry/blobs"},
	// fsck reads manifests as the registry does, and rows as the store has them.
	"registry/fsck": {"internal/core", "internal/app", "registry", "registry/blobs", "registry/journal", "store"},
	"internal/disk": {},
	// The scanner and its two files: the feeds, and what is known of the images.
	"scanner":        {"internal/core", "scanner/scandb", "scanner/vulndb"},
	"scanner/dbfile": {"internal/core"},
	"scanner/scandb": {"internal/core", "scanner/dbfile"},
	"scanner/vulndb": {"scanner/dbfile"},
	// seal encrypts secrets for the database; who holds the key passes the box.
	"internal/seal": {"internal/core"},
	"trust/notary":  {"internal/core", "internal/app", "internal/httpx", "internal/seal", "internal/signin"},
	"internal/jobs": {"internal/core", "internal/app"},
	"scanner/feeds": {"internal/core"},
	"scanner/sbom":  {"internal/core"},
	"web":           {"internal/core", "internal/app", "internal/disk", "internal/httpx", "assets", "assets/licences", "web/ui", "web/ui/i18n"},
	"web/ui":        {"internal/core", "assets", "web/ui/i18n"},
	"web/ui/i18n":   {},
	"assets":        {},
	// licences is written by its generate, a program of its own.
	"assets/licences":          {},
	"assets/licences/generate": {"assets/licences"},
	// bench is a program of its own, which starts the binary; the benchmark of the
	// scanner has the same synthetic data.
	"internal/bench":           {"internal/bench/synthetic"},
	"internal/bench/synthetic": {},
	// signature gets what it verifies with, and hands back what it found.
	"trust/signature": {"internal/core"},
	// testenv is for tests, which are not looked at here: nothing imports it.
	"internal/testenv":          {},
	"internal/testenv/sigstore": {},
	".": {"internal/app", "internal/auth", "internal/certs", "internal/config", "internal/core", "internal/disk", "internal/httpx",
		"internal/jobs", "internal/metrics", "internal/seal", "internal/signin", "internal/systemd", "registry", "registry/blobs", "registry/fsck", "registry/gc", "registry/journal", "scanner", "scanner/feeds", "scanner/sbom", "scanner/scandb", "scanner/vulndb", "store", "trust/notary", "trust/signature", "web"},
}

// standardOnly are the packages that import nothing from outside.
var standardOnly = map[string]bool{"internal/core": true, "internal/httpx": true, "internal/policy": true}

func TestArrowsPointInward(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir("..", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "testdata" || (strings.HasPrefix(entry.Name(), ".") && entry.Name() != "..")) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go") {
			pkg := path.Dir(strings.TrimPrefix(filepath.ToSlash(file), "../"))
			seen[pkg] = true
			checkFile(t, pkg, file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range arrows {
		if !seen[pkg] {
			t.Errorf("the package %s is in the table but not in the tree", pkg)
		}
	}
}

func checkFile(t *testing.T, pkg, file string) {
	t.Helper()
	allowed, ok := arrows[pkg]
	if !ok {
		t.Errorf("%s: the package %s is not in the table of arrows", file, pkg)
		return
	}
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range parsed.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		inside, ours := strings.CutPrefix(name, module+"/")
		if ours && !slices.Contains(allowed, inside) {
			t.Errorf("%s imports %s, an arrow that is not allowed", file, inside)
		}
		if !ours && standardOnly[pkg] && strings.Contains(strings.Split(name, "/")[0], ".") {
			t.Errorf("%s imports %s; the package uses the standard library only", file, name)
		}
	}
}
