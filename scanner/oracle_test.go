package scanner_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/quay/claircore"
	"github.com/quay/claircore/datastore"
	"github.com/quay/claircore/datastore/postgres"
	"github.com/quay/claircore/indexer"

	"github.com/breakwater-registry/breakwater/internal/testenv"
	"github.com/breakwater-registry/breakwater/scanner"
)

// system is an image with what must be found in it.
type system struct {
	name   string
	layers func(t testing.TB) [][]byte
	want   []string // CVE, severity, package and fixed version of findings; all of them when exact
	exact  bool
	e2e    bool // it needs what only the end-to-end tier has
}

const bookworm = "ID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"

var systems = []system{
	{name: "alpine 3.11",
		layers: func(t testing.TB) [][]byte {
			return [][]byte{gzipped(t, alpine(t, "openssl=1.1.1d-r0", "musl=1.1.24-r0", "busybox=1.31.1-r9", "curl=7.66.0-r0", "sqlite=3.30.0-r0",
				"git=2.24.0-r0", "libxml2=2.9.9-r0", "python3=3.8.0-r0", "apk-tools=2.10.4-r3"))}
		},
		want: []string{"CVE-2019-1551 Unknown openssl 1.1.1d-r3", "CVE-2019-1547 Unknown openssl 1.1.1d-r1", "CVE-2019-19604 Unknown git 2.24.1"}},
	{name: "debian bookworm", exact: true,
		layers: func(t testing.TB) [][]byte {
			return [][]byte{zstded(t, dpkg(t, bookworm, "bash 5.2.15-2+b2 bash 5.2.15-2", "libssl3 3.0.11-1~deb12u2 openssl", "openssl 3.0.11-1~deb12u2",
				"libc6 2.36-9+deb12u3 glibc", "perl-base 5.36.0-7+deb12u1 perl"))}
		},
		want: []string{
			"CVE-2007-6755 Low libssl3 ", "CVE-2007-6755 Low openssl ", // open, "unimportant"
			"CVE-2024-0727 Medium libssl3 3.0.13-1~deb12u1", "CVE-2024-0727 Medium openssl 3.0.13-1~deb12u1", // not rated by Debian, 5.5 by NVD
			"CVE-2023-4911 Critical libc6 2.36-9+deb12u4", "CVE-2011-4116 Low perl-base "}},
	{name: "ubuntu jammy", exact: true,
		layers: func(t testing.TB) [][]byte {
			return [][]byte{dpkg(t, "ID=ubuntu\nNAME=\"Ubuntu\"\nVERSION_ID=\"22.04\"\nVERSION=\"22.04.3 LTS (Jammy Jellyfish)\"\nVERSION_CODENAME=jammy\nPRETTY_NAME=\"Ubuntu 22.04.3 LTS\"\n",
				"libssl3 3.0.2-0ubuntu1.10 openssl", "openssl 3.0.2-0ubuntu1.14", "ovmf 2022.02-3 edk2")}
		},
		want: []string{"CVE-2024-0727 Low libssl3 0:3.0.2-0ubuntu1.14", "CVE-2024-0727 Low ovmf "}},
	{name: "oracle linux 7", exact: true,
		layers: func(t testing.TB) [][]byte {
			return [][]byte{gzipped(t, rpms(t, []file{{"etc/os-release", "NAME=\"Oracle Linux Server\"\nVERSION=\"7.4\"\nID=\"ol\"\nVERSION_ID=\"7.4\"\nPRETTY_NAME=\"Oracle Linux Server 7.4\"\n"}},
				"microcode_ctl 2 2.1 22.el7 x86_64", "bash 0 4.2.46 29.el7_4 x86_64"))}
		},
		want: []string{"CVE-2017-5715 High microcode_ctl 2:2.1-22.2.el7", "ELSA-2018-4018 High microcode_ctl 2:2.1-22.5.0.3.el7_4"}},
	{name: "rhel vex", exact: true,
		layers: func(t testing.TB) [][]byte {
			return [][]byte{gzipped(t, rpms(t, []file{
				{"etc/os-release", "NAME=\"Red Hat Enterprise Linux\"\nVERSION=\"9.4 (Plow)\"\nID=\"rhel\"\nVERSION_ID=\"9.4\"\nPRETTY_NAME=\"Red Hat Enterprise Linux 9.4 (Plow)\"\nCPE_NAME=\"cpe:/o:redhat:enterprise_linux:9::baseos\"\n"},
				{"root/buildinfo/content_manifests/x.json", `{"metadata":{"image_layer_index":0},"content_sets":["rhocp-4.16-for-rhel-9-aarch64-rpms"]}`}},
				"cri-tools 0 1.28.0 1.el9 aarch64", "bash 0 5.1.8 9.el9 aarch64"))}
		},
		want: []string{"CVE-2024-24786 Medium cri-tools 0:1.29.0-3.1.el9"}},
	{name: "go binary", e2e: true,
		layers: func(t testing.TB) [][]byte {
			path, err := exec.LookPath("containerd")
			must(t, err)
			return [][]byte{gzipped(t, layer(t, file{"usr/bin/containerd", string(read(t, path))}))}
		}},
	{name: "bookworm by debootstrap", e2e: true,
		layers: func(t testing.TB) [][]byte { return [][]byte{gzipped(t, debootstrap(t))} },
		want:   []string{"CVE-2011-4116 Low perl-base "}},
	{name: "oracle linux 7, 435 packages in Berkeley DB", e2e: true,
		layers: func(t testing.TB) [][]byte {
			return [][]byte{layer(t, file{"etc/os-release", "NAME=\"Oracle Linux Server\"\nVERSION=\"7.4\"\nID=\"ol\"\nVERSION_ID=\"7.4\"\nPRETTY_NAME=\"Oracle Linux Server 7.4\"\n"},
				file{"var/lib/rpm/Packages", string(read(t, claircoreDir(t), "internal", "rpm", "bdb", "testdata", "CLAIRDEV-229.Packages"))})}
		}},
}

var allFeeds = []string{"alpine", "debian", "ubuntu", "oracle", "redhat", "osv", "nvd", "kev"}

// claircoreDir is where the source of claircore is, with its test data.
func claircoreDir(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/quay/claircore").Output()
	must(t, err)
	return strings.TrimSpace(string(out))
}

// debootstrap makes a small Debian system and returns it as an archive.
func debootstrap(t testing.TB) []byte {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	must(t, os.Mkdir(root, 0o755))
	for _, command := range [][]string{
		{"debootstrap", "--variant=minbase", "bookworm", root},
		{"tar", "-C", root, "--exclude=./dev/*", "--exclude=./proc/*", "--exclude=./sys/*", "--exclude=./var/cache/apt/*", "-cf", root + ".tar", "."}} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command[0], err, out)
		}
	}
	content := read(t, root+".tar")
	must(t, os.RemoveAll(root), os.Remove(root+".tar"))
	return content
}

// What is found in systems of every family, with feeds in their real formats.
func TestSystems(t *testing.T) {
	m := newFeedMirror(t)
	e, b := engine(t)
	db, err := e.Vulnerabilities(t.Context())
	must(t, err)
	m.load(t, db, e.MappingDir(), allFeeds...)
	for _, s := range systems {
		if s.e2e {
			continue
		}
		t.Run(s.name, func(t *testing.T) { checkSystem(t, s, scan(t, e, b.image(s.layers(t)...))) })
	}
}

func checkSystem(t *testing.T, s system, r *scanner.Result) {
	t.Helper()
	var got []string
	for _, f := range r.Report.Findings {
		got = append(got, fmt.Sprintf("%s %s %s %s", f.CVE, f.Severity, f.Package.Name, f.Fixed))
	}
	for _, want := range s.want {
		if !slices.Contains(got, want) {
			t.Errorf("missing: %q", want)
		}
	}
	if s.exact && len(got) != len(s.want) {
		t.Errorf("found %d, not %d: %q", len(got), len(s.want), got)
	}
	t.Logf("%d packages, %d findings", r.Report.Packages, len(got))
}

// The same images and feeds with this project's stores and with claircore's
// own: both report the same, whatever numbers they use inside.
func TestReportsAreThoseOfClaircore(t *testing.T) {
	testenv.RequireE2E(t)
	m := newFeedMirror(t)
	m.files["/oracle/oval/com.oracle.elsa-2018.xml.bz2"] = bzipped(t, read(t, claircoreDir(t), "oracle", "testdata", "com.oracle.elsa-2018.xml"))
	theirScans, theirVulns, _ := postgresStores(t) // first: its user may not read the engine's folder for temporary files
	e, b := engine(t)
	scans, vulns, err := e.Stores(t.Context())
	must(t, err)
	m.load(t, vulns, e.MappingDir(), allFeeds...)
	m.load(t, theirVulns, t.TempDir(), allFeeds...)
	for _, s := range systems {
		t.Run(s.name, func(t *testing.T) {
			image := b.image(s.layers(t)...)
			ours := report(t, e, scans, vulns, image)
			theirs := report(t, e, theirScans, theirVulns, image)
			compare(t, ours, theirs)
			if !strings.Contains(s.name, "435") && !slices.ContainsFunc(ours, func(l string) bool { return strings.HasPrefix(l, "vulnerable: ") }) {
				t.Error("there is nothing to compare")
			}
			if len(s.want) > 0 && !strings.HasPrefix(s.name, "oracle") { // there are more with all of Oracle's data
				checkSystem(t, s, scan(t, e, image))
			}
		})
	}
}

// bzipped packs with the tool, because Go's library only unpacks.
func bzipped(t *testing.T, content []byte) []byte {
	t.Helper()
	command := exec.Command("bzip2", "-c")
	command.Stdin = strings.NewReader(string(content))
	out, err := command.Output()
	must(t, err)
	return out
}

// postgresStores are claircore's own stores, and the bytes that the matcher's has.
func postgresStores(t testing.TB) (indexer.Store, datastore.MatcherStore, func() int64) {
	t.Helper()
	ctx := t.Context()
	scans, err := postgres.Connect(ctx, testenv.Postgres(t), "index")
	must(t, err)
	t.Cleanup(scans.Close)
	vulns, err := postgres.Connect(ctx, testenv.Postgres(t), "match")
	must(t, err)
	t.Cleanup(vulns.Close)
	index, err := postgres.InitPostgresIndexerStore(ctx, scans, true)
	must(t, err)
	match, err := postgres.InitPostgresMatcherStore(ctx, vulns, true)
	must(t, err)
	return index, match, func() (size int64) {
		must(t, vulns.QueryRow(t.Context(), `SELECT pg_database_size(current_database())`).Scan(&size))
		return size
	}
}

// report writes all that the two libraries report of an image as sorted lines
// without the numbers of the store.
func report(t *testing.T, e *scanner.Engine, scans indexer.Store, vulns datastore.MatcherStore, image scanner.Image) []string {
	t.Helper()
	index, indexing, err := e.IndexWith(t.Context(), scans, image)
	must(t, err)
	again, ok, err := scans.IndexReport(t.Context(), index.Hash)
	if !ok || err != nil {
		t.Fatalf("stored report: %v, %v", ok, err)
	}
	r, matching, err := scanner.MatchWith(t.Context(), vulns, again)
	must(t, err)
	t.Logf("%T: indexed in %v, matched in %v", scans, indexing, matching)
	lines := indexLines(index)
	for id, list := range r.PackageVulnerabilities {
		for _, v := range list {
			lines = append(lines, "vulnerable: "+packageLine(r.Packages[id])+" | "+vulnLine(t, r, v))
		}
	}
	for id, list := range r.PackageNotVulnerable {
		for _, v := range list {
			lines = append(lines, "not vulnerable: "+packageLine(r.Packages[id])+" | "+vulnLine(t, r, v))
		}
	}
	slices.Sort(lines)
	return lines
}

func indexLines(index *claircore.IndexReport) []string {
	var lines []string
	for id, p := range index.Packages {
		lines = append(lines, "package: "+packageLine(p)+" from "+packageLine(p.Source))
		for _, env := range index.Environments[id] {
			line := fmt.Sprintf("in: %s | %s %s %s", packageLine(p), env.PackageDB, env.IntroducedIn, distLine(index.Distributions[env.DistributionID]))
			for _, repo := range env.RepositoryIDs {
				line += " " + repoLine(index.Repositories[repo])
			}
			lines = append(lines, line)
		}
	}
	for _, d := range index.Distributions {
		lines = append(lines, "distribution: "+distLine(d))
	}
	for _, r := range index.Repositories {
		lines = append(lines, "repository: "+repoLine(r))
	}
	return lines
}

// Which scanner found a package is left out: two of claircore's read an RPM
// database, and the one that ends last is named.
func packageLine(p *claircore.Package) string {
	if p == nil {
		return "none"
	}
	return fmt.Sprintf("%s %s %s %s %s %v", p.Name, p.Version, p.Kind, p.Arch, p.Module, p.NormalizedVersion)
}

func distLine(d *claircore.Distribution) string {
	if d == nil {
		return "none"
	}
	return fmt.Sprintf("%q %q %q %q %q %q %q %q", d.DID, d.Name, d.Version, d.VersionCodeName, d.VersionID, d.Arch, d.CPE.String(), d.PrettyName)
}

func repoLine(r *claircore.Repository) string {
	if r == nil {
		return "none"
	}
	return fmt.Sprintf("%q %q %q %q", r.Name, r.Key, r.URI, r.CPE.String())
}

func vulnLine(t *testing.T, r *claircore.VulnerabilityReport, id string) string {
	t.Helper()
	v := r.Vulnerabilities[id]
	aliases := make([]string, len(v.Aliases))
	for i, a := range v.Aliases {
		aliases[i] = a.String()
	}
	slices.Sort(aliases)
	self := ""
	if v.Self.Valid() {
		self = v.Self.String()
	}
	return fmt.Sprintf("%s %s %q %s %s %q %v %s %v %v %s %v %s | %s | %s | %s", v.Name, v.Updater, v.FixedInVersion, v.Severity, v.NormalizedSeverity, v.Links, v.Issued.UTC(),
		packageLine(v.Package), v.ArchOperation, v.Invert, self, aliases, v.Description, distLine(v.Dist), repoLine(v.Repo), enrichmentLine(t, r, id))
}

// enrichmentLine is what CVSS and KEV say of a vulnerability.
func enrichmentLine(t *testing.T, r *claircore.VulnerabilityReport, id string) string {
	t.Helper()
	var all []string
	for kind, list := range r.Enrichments {
		for _, text := range list {
			var byID map[string][]json.RawMessage
			must(t, json.Unmarshal(text, &byID))
			for _, one := range byID[id] {
				var value any
				must(t, json.Unmarshal(one, &value)) // PostgreSQL writes JSON in its own way
				all = append(all, fmt.Sprint(kind, value))
			}
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// compare fails at the first lines that differ.
func compare(t *testing.T, ours, theirs []string) {
	t.Helper()
	t.Logf("%d lines", len(theirs))
	for i := range max(len(ours), len(theirs)) {
		a, b := "nothing", "nothing"
		if i < len(ours) {
			a = ours[i]
		}
		if i < len(theirs) {
			b = theirs[i]
		}
		if a != b {
			t.Fatalf("line %d of %d and %d\n  ours:   %s\n  theirs: %s", i, len(ours), len(theirs), a, b)
		}
	}
}
