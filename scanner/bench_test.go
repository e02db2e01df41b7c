package scanner_test

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quay/claircore"
	"github.com/quay/claircore/datastore"
	"github.com/quay/claircore/indexer"
	"github.com/quay/claircore/libvuln/driver"
	"github.com/quay/claircore/toolkit/types"

	"github.com/breakwater-registry/breakwater/internal/bench/synthetic"
	"github.com/breakwater-registry/breakwater/scanner"
	"github.com/breakwater-registry/breakwater/scanner/vulndb"
)

// pair is both stores, and what was measured with each.
type pair struct {
	b     *testing.B
	alone bool // only this project's store, where the other would take too long
}

// measure runs fn for both stores, one after the other, and notes the times and
// their ratio; more is better for this project's store.
func (p *pair) measure(what string, fn func(theirs bool) time.Duration) {
	p.b.Helper()
	ours, theirs := fn(false), time.Duration(0)
	if !p.alone {
		theirs = fn(true)
	}
	p.note(what, ours.Seconds()*1000, theirs.Seconds()*1000, "ms")
}

func (p *pair) note(what string, ours, theirs float64, unit string) {
	fmt.Printf("%-48s %12.1f %12.1f %-4s %6.2fx\n", what, ours, theirs, unit, theirs/ours)
}

// median of some runs.
func median(n int, fn func() time.Duration) time.Duration {
	times := make([]time.Duration, n)
	for i := range times {
		times[i] = fn()
	}
	slices.Sort(times)
	return times[n/2]
}

// BenchmarkStores puts the same work on this project's stores and claircore's
// on PostgreSQL, which here does not even sync to the disk. SCANBENCH_ROWS is
// how many rows the large part has, 2 million by default; SCANBENCH_IMAGE names
// a packed root file system to index, else debootstrap makes one. With
// SCANBENCH_ALONE=1 the large part is measured without PostgreSQL.
func BenchmarkStores(b *testing.B) {
	p := &pair{b: b}
	theirScans, theirVulns, size := postgresStores(b) // first: its user may not read the engine's folder for temporary files
	e, blobs := engine(b)
	scans, vulns, err := e.Stores(b.Context())
	must(b, err)
	fmt.Printf("\n%-48s %12s %12s\n", "", "SQLite", "PostgreSQL")
	stores := func(theirs bool) (indexer.Store, datastore.MatcherStore) {
		if theirs {
			return theirScans, theirVulns
		}
		return scans, vulns
	}
	p.index(e, blobs, stores)
	p.load(stores)
	p.note("size after that", float64(vulns.Size())/(1<<20), float64(size())/(1<<20), "MiB")
	p.match(e, blobs, stores)
	clear(blobs.content) // their memory is not the stores'
	p.large(stores, vulns, size)
}

func (p *pair) index(e *scanner.Engine, blobs *blobs, stores func(bool) (indexer.Store, datastore.MatcherStore)) {
	b := p.b
	var content []byte
	if name := os.Getenv("SCANBENCH_IMAGE"); name != "" {
		content = read(b, name)
	} else {
		content = gzipped(b, debootstrap(b))
	}
	image := blobs.image(content)
	p.measure(fmt.Sprintf("index an image of %d MB", len(content)/1_000_000), func(theirs bool) time.Duration {
		store, _ := stores(theirs)
		report, took, err := e.IndexWith(b.Context(), store, image)
		must(b, err)
		if len(report.Packages) == 0 {
			b.Fatal("there is nothing in the image")
		}
		return took
	})
	p.measure("index it again", func(theirs bool) time.Duration {
		store, _ := stores(theirs)
		return median(5, func() time.Duration {
			_, took, err := e.IndexWith(b.Context(), store, image)
			must(b, err)
			return took
		})
	})
}

func (p *pair) load(stores func(bool) (indexer.Store, datastore.MatcherStore)) {
	const rows = 70_000
	p.measure(fmt.Sprintf("load %d rows", rows), func(theirs bool) time.Duration {
		_, store := stores(theirs)
		began := time.Now()
		_, err := store.UpdateVulnerabilitiesIter(p.b.Context(), "bench", "1", synthetic.Vulnerabilities("bench", rows, 0))
		must(p.b, err)
		return time.Since(began)
	})
	p.measure("load them again", func(theirs bool) time.Duration {
		_, store := stores(theirs)
		began := time.Now()
		_, err := store.UpdateVulnerabilitiesIter(p.b.Context(), "bench", "2", synthetic.Vulnerabilities("bench", rows, 0))
		must(p.b, err)
		return time.Since(began)
	})
}

// match is an Alpine system with every package that its SecDB knows, all too old.
func (p *pair) match(e *scanner.Engine, blobs *blobs, stores func(bool) (indexer.Store, datastore.MatcherStore)) {
	b := p.b
	m := newFeedMirror(b)
	var secdb struct {
		Packages []struct {
			Pkg struct {
				Name string `json:"name"`
			} `json:"pkg"`
		} `json:"packages"`
	}
	must(b, json.Unmarshal(m.files["/alpine/secdb/v3.11/main.json"], &secdb))
	var packages []string
	for _, p := range secdb.Packages {
		packages = append(packages, p.Pkg.Name+"=0.0.1-r0")
	}
	image := blobs.image(alpine(b, packages...))
	var found [2]int
	for i, theirs := range []bool{false, true} {
		scans, vulns := stores(theirs)
		m.load(b, vulns, e.MappingDir(), "alpine", "nvd", "kev")
		index, _, err := e.IndexWith(b.Context(), scans, image)
		must(b, err)
		report, _, err := scanner.MatchWith(b.Context(), vulns, index)
		must(b, err)
		for _, list := range report.PackageVulnerabilities {
			found[i] += len(list)
		}
	}
	if found[0] != found[1] || found[0] == 0 {
		b.Fatalf("%d and %d findings", found[0], found[1])
	}
	p.measure(fmt.Sprintf("match %d packages, %d findings", len(packages), found[0]), func(theirs bool) time.Duration {
		scans, vulns := stores(theirs)
		index, _, err := e.IndexWith(b.Context(), scans, image)
		must(b, err)
		return median(9, func() time.Duration {
			_, took, err := scanner.MatchWith(b.Context(), vulns, index)
			must(b, err)
			return took
		})
	})
}

// large is feeds of the size of all distributions together.
func (p *pair) large(stores func(bool) (indexer.Store, datastore.MatcherStore), ours *vulndb.Store, size func() int64) {
	b := p.b
	rows := 2_000_000
	if text := os.Getenv("SCANBENCH_ROWS"); text != "" {
		var err error
		rows, err = strconv.Atoi(text)
		must(b, err)
	}
	p.alone = os.Getenv("SCANBENCH_ALONE") != ""
	var peaks [2]float64
	load := func(fingerprint string, changed int) func(bool) time.Duration {
		return func(theirs bool) time.Duration {
			_, store := stores(theirs)
			runtime.GC()
			debug.FreeOSMemory()
			must(b, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0))
			began := time.Now()
			_, err := store.UpdateVulnerabilitiesIter(b.Context(), "large", driver.Fingerprint(fingerprint), synthetic.Vulnerabilities("large", rows, changed))
			must(b, err)
			peaks[map[bool]int{false: 0, true: 1}[theirs]] = memory(b, "VmHWM")
			return time.Since(began)
		}
	}
	runtime.GC()
	debug.FreeOSMemory()
	before := memory(b, "VmRSS")
	p.note("memory of this process before", before, before, "MiB")
	p.measure(fmt.Sprintf("load %d rows", rows), load("a", 0))
	p.note("  peak memory of this process", peaks[0], peaks[1], "MiB")
	p.note("  size", float64(ours.Size())/(1<<20), float64(size())/(1<<20), "MiB")
	p.measure("load them again, 0.5 % changed", load("b", rows/200))
	p.note("  peak memory of this process", peaks[0], peaks[1], "MiB")
	p.note("  size with two updates", float64(ours.Size())/(1<<20), float64(size())/(1<<20), "MiB")
	records := probe(400)
	p.measure("look up 400 packages among them", func(theirs bool) time.Duration {
		_, store := stores(theirs)
		return median(9, func() time.Duration {
			began := time.Now()
			found, err := store.Get(b.Context(), records, datastore.GetOpts{Matchers: []driver.MatchConstraint{driver.PackageModule, driver.RepositoryKey}})
			must(b, err)
			if len(found) == 0 {
				b.Fatal("nothing is found")
			}
			return time.Since(began)
		})
	})
	p.measure("garbage collection", func(theirs bool) time.Duration {
		_, store := stores(theirs)
		began := time.Now()
		for remaining := int64(1); remaining > 0; {
			var err error
			remaining, err = store.GC(b.Context(), 1)
			must(b, err)
		}
		return time.Since(began)
	})
}

// memory is one of the figures that the kernel has of this process, in MiB:
// VmRSS now, VmHWM the most since that was reset.
func memory(b *testing.B, figure string) float64 {
	b.Helper()
	for _, line := range strings.Split(string(read(b, "/proc/self/status")), "\n") {
		if text, ok := strings.CutPrefix(line, figure+":"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(text)[0], 64)
			must(b, err)
			return kib / 1024
		}
	}
	b.Fatalf("the kernel does not tell %s", figure)
	return 0
}

// probe is n packages of a product.
func probe(n int) []*claircore.IndexRecord {
	records := make([]*claircore.IndexRecord, n)
	for i := range records {
		records[i] = &claircore.IndexRecord{
			Package:      &claircore.Package{ID: strconv.Itoa(i), Name: fmt.Sprintf("package-%d", i*7%synthetic.Packages), Kind: types.BinaryPackage, Source: &claircore.Package{}},
			Distribution: &claircore.Distribution{}, Repository: &claircore.Repository{Key: synthetic.Repository}}
	}
	return records
}
