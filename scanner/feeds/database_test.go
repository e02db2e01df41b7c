package feeds_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
	"github.com/quay/claircore"
	"github.com/quay/claircore/datastore"
	"github.com/quay/claircore/libvuln/driver"
	"github.com/quay/claircore/toolkit/types"

	"github.com/breakwater-registry/breakwater/scanner/feeds"
	"github.com/breakwater-registry/breakwater/scanner/vulndb"
)

func openDatabase(t testing.TB) *vulndb.Store {
	t.Helper()
	s, err := vulndb.Open(context.Background(), filepath.Join(t.TempDir(), "cve.db"), vulndb.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func intoDatabase(s *vulndb.Store) feeds.Importer {
	return feeds.Importer{Begin: func(context.Context) (feeds.Batch, error) { return s.Begin(), nil }, Mappings: mappings{}, Log: slog.New(slog.DiscardHandler)}
}

// found lists what matches a source package of Debian 12.
func found(t *testing.T, s *vulndb.Store, pkg string) (names []string) {
	t.Helper()
	record := &claircore.IndexRecord{
		Package:      &claircore.Package{ID: "1", Name: "x", Kind: types.BinaryPackage, Source: &claircore.Package{Name: pkg, Kind: types.SourcePackage}},
		Distribution: &claircore.Distribution{DID: "debian", Name: "Debian GNU/Linux", VersionID: "12"}, Repository: &claircore.Repository{}}
	result, err := s.Get(t.Context(), []*claircore.IndexRecord{record}, datastore.GetOpts{Matchers: []driver.MatchConstraint{
		driver.DistributionDID, driver.DistributionName, driver.DistributionVersionID}})
	must(t, err)
	for _, v := range result["1"] {
		names = append(names, v.Name)
	}
	return names
}

// TestDatabase fetches all feeds into the real database, and imports a bundle of
// them into another; a damaged bundle leaves that as it is.
func TestDatabase(t *testing.T) {
	m := newMirror(t)
	connected, s := openDatabase(t), newSite(t)
	s.Store = connected
	for _, name := range []string{"debian", "redhat", "nvd"} {
		if text := s.update(t, m.feed(name), false).Summary(); text != "" {
			t.Fatal(text)
		}
	}
	must(t, s.Clean(t.Context(), nil))
	if names := found(t, connected, "openssl"); len(names) != 2 {
		t.Errorf("openssl of the connected registry: %v", names)
	}
	bundle, _ := exported(t, m)
	path := filepath.Join(t.TempDir(), "bundle")
	must(t, os.WriteFile(path, bundle, 0o600))
	island := openDatabase(t)
	importer := intoDatabase(island)
	for range 2 {
		_, err := importer.Import(t.Context(), path, nil, nil)
		must(t, err)
		if names := found(t, island, "openssl"); len(names) != 2 {
			t.Errorf("openssl of the island: %v", names)
		}
	}
	generation, err := island.Generation(t.Context())
	must(t, err)
	must(t, os.WriteFile(path, bytes.Clone(bundle)[:len(bundle)*9/10], 0o600))
	if _, err := importer.Import(t.Context(), path, nil, nil); err == nil {
		t.Error("a bundle that was cut was taken")
	}
	if now, err := island.Generation(t.Context()); err != nil || now != generation || len(found(t, island, "openssl")) != 2 {
		t.Errorf("after a bundle that was cut: generation %d, was %d, %v", now, generation, err)
	}
}

var benchRows = flag.Int("rows", 70_000, "records of BenchmarkImport")

// BenchmarkImport imports synthetic records and tells the most memory that the
// process had meanwhile.
func BenchmarkImport(b *testing.B) {
	path := filepath.Join(b.TempDir(), "bundle")
	writeRecords(b, path, *benchRows)
	for b.Loop() {
		s := openDatabase(b)
		importer := intoDatabase(s)
		resetPeak(b)
		began := time.Now()
		if _, err := importer.Import(b.Context(), path, nil, nil); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(*benchRows)/time.Since(began).Seconds(), "records/s")
		b.ReportMetric(float64(peak(b))/(1<<20), "peak-MiB")
		b.ReportMetric(float64(s.Size())/float64(*benchRows), "bytes/record")
	}
}

func writeRecords(b *testing.B, path string, n int) {
	b.Helper()
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	z, err := zstd.NewWriter(file, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		b.Fatal(err)
	}
	enc := json.NewEncoder(z)
	ref := uuid.New()
	for i := range n {
		cve := fmt.Sprintf("CVE-%d-%d", 2015+i/40%10, 1000+i/40)
		v := &claircore.Vulnerability{Updater: "rhel-vex", Name: cve, Description: strings.Repeat("A flaw was found in number "+cve+". ", 6),
			Issued: time.Unix(int64(1_600_000_000+i/40), 0).UTC(), Links: "https://access.redhat.com/security/cve/" + cve + " https://nvd.nist.gov/vuln/detail/" + cve,
			Severity: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", NormalizedSeverity: claircore.High, FixedInVersion: fmt.Sprintf("0:%d.%d-1.el9", i%40, i%977),
			Package: &claircore.Package{Name: fmt.Sprintf("package-%d", i%5003), Kind: types.BinaryPackage, Arch: "x86_64|aarch64"}, ArchOperation: claircore.OpPatternMatch,
			Repo: &claircore.Repository{Name: fmt.Sprintf("cpe:/a:redhat:rhel:%d", i%40), Key: "rhel-cpe-repository"}}
		if err := enc.Encode(map[string]any{"Updater": "rhel-vex", "Fingerprint": "x", "Date": time.Now(), "Ref": ref, "Vuln": v, "Kind": driver.VulnerabilityKind}); err != nil {
			b.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	if err := file.Close(); err != nil {
		b.Fatal(err)
	}
}

// resetPeak begins a new measurement of the most memory (proc(5), clear_refs).
func resetPeak(b *testing.B) {
	b.Helper()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600); err != nil {
		b.Skip(err)
	}
}

// peak is the most memory since resetPeak, in bytes.
func peak(b *testing.B) (n int64) {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		b.Fatal(err)
	}
	return n << 10
}
