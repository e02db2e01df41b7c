package feeds_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quay/claircore"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/scanner/feeds"
)

// newRunner makes a runner whose limits are small enough to be met in a test.
func newRunner(t *testing.T, store *memory) *feeds.Runner {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	limits := feeds.DefaultLimits()
	limits.Answer, limits.Stall = 1<<20, 200*time.Millisecond
	return &feeds.Runner{Store: store, Mappings: mappings{}, Agent: "Breakwater/test", Limits: limits, Log: slog.New(slog.DiscardHandler)}
}

// mappings keeps Red Hat's mapping files.
type mappings map[string]string

func (m mappings) SetMapping(_ context.Context, name string, content []byte) (changed bool, err error) {
	changed = m[name] != string(content)
	m[name] = string(content)
	return changed, nil
}

// site is a database with what app remembers of the parts of one feed.
type site struct {
	*feeds.Runner
	store *memory
	parts map[string]core.FeedPart
}

func newSite(t *testing.T) *site {
	t.Helper()
	store := newMemory()
	return &site{newRunner(t, store), store, map[string]core.FeedPart{}}
}

func (s *site) update(t *testing.T, feed core.Feed, force bool) core.FeedResult {
	t.Helper()
	result, err := s.Update(t.Context(), feeds.Wish{Feed: feed, Known: slices.Collect(maps.Values(s.parts)), Force: force}, nil)
	must(t, err)
	for _, part := range result.Parts {
		if part.Changed {
			s.parts[part.Name] = core.FeedPart{Name: part.Name, Records: part.Records, Fingerprint: part.Fingerprint}
		}
	}
	return result
}

// wanted says of each feed what a whole run finds, and which file of its mirror
// the faults are tried on.
var wanted = map[string]struct {
	parts   map[string]int64 // records of parts that have some
	file    string
	samples []string // some rows: name, package, fixed in, severity
}{
	"alpine": {map[string]int64{"alpine-main-v3.3-updater": 8, "alpine-main-v3.4-updater": 8}, "/alpine/secdb/v3.4/main.json", nil},
	"amazon": {map[string]int64{"aws-AL1-updater": 2, "aws-AL2-updater": 2, "aws-AL2023-updater": 2}, "/amazon/cdn/2/core/2.0/x86_64/221a4af0/repodata/updateinfo.xml.gz", nil},
	"debian": {map[string]int64{"debian/updater": 5}, "/debian/json", []string{
		"CVE-2022-3715 bash Debian GNU/Linux 12 (bookworm) 5.2~rc2-2 Low", "CVE-2024-0727 openssl Debian GNU/Linux 11 (bullseye)  Medium"}},
	"epss":   {map[string]int64{"clair.epss": 29}, "/epss/scores/epss_scores-" + time.Now().AddDate(0, 0, -1).Format(time.DateOnly) + ".csv.gz", nil},
	"kev":    {map[string]int64{"clair.kev": 2}, "/kev/known_exploited_vulnerabilities.json", nil},
	"nvd":    {map[string]int64{"clair.cvss": 2}, "/nvd/cve/nvdcve-2.0-2024.json.gz", nil},
	"oracle": {map[string]int64{"oracle-2018-updater": 2}, "/oracle/oval/com.oracle.elsa-2018.xml.bz2", nil},
	"osv":    {map[string]int64{"osv/go": 2}, "/osv/osv/Go/all.zip", nil},
	"photon": {map[string]int64{"photon-updater-1.0": 2, "photon-updater-2.0": 2, "photon-updater-3.0": 2, "photon-updater-4.0": 2, "photon-updater-5.0": 2},
		"/photon/oval/com.vmware.phsa-photon3.xml", nil},
	"redhat": {map[string]int64{"rhel-vex": 2, "rhel-mapping-files": 2}, "/redhat/vex/csaf_vex_2024-10-01.tar.zst", nil},
	"suse":   {map[string]int64{"suse-updater-opensuse.leap.15.6": 2}, "/suse/oval/opensuse.leap.15.6.xml.gz", nil},
	"ubuntu": {map[string]int64{"ubuntu/updater/jammy": 3, "ubuntu/updater/noble": 3}, "/ubuntu/oval/com.ubuntu.jammy.cve.oval.xml", []string{
		"CVE-2024-0727 on Ubuntu 22.04 LTS (jammy) - low libssl3 Ubuntu 22.04 0:3.0.2-0ubuntu1.14 Low"}},
}

func describe(v *claircore.Vulnerability) string {
	dist := ""
	if v.Dist != nil {
		dist = v.Dist.PrettyName
	}
	return fmt.Sprintf("%s %s %s %s %s", v.Name, v.Package.Name, dist, v.FixedInVersion, v.NormalizedSeverity)
}

// content is all that a store shows.
func content(store *memory) string {
	var lines []string
	for name, o := range store.part {
		lines = append(lines, fmt.Sprintf("%s: %s", name, o.fingerprint))
		for _, row := range o.rows {
			lines = append(lines, name+": "+describe(row))
		}
		for _, record := range o.records {
			lines = append(lines, fmt.Sprint(name, ": ", record.Tags, string(record.Enrichment)))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

// TestFeeds runs every feed against a mirror: whole, unchanged, with each kind
// of broken answer, which must leave the data alone and say what happened, and
// whole again.
func TestFeeds(t *testing.T) {
	for _, set := range core.FeedSets() {
		t.Run(set.Name, func(t *testing.T) {
			m, s := newMirror(t), newSite(t)
			feed, want := m.feed(set.Name), wanted[set.Name]
			wholeRun(t, s.update(t, feed, false), want.parts)
			hasRows(t, s.store, want.samples)
			before := content(s.store)
			for _, part := range s.update(t, feed, false).Parts {
				if part.Changed || part.Error != "" {
					t.Errorf("nothing changed, but %+v", part)
				}
			}
			for _, fault := range []string{"unavailable", "garbage", "short", "cut", "slow", "large", "endless"} {
				if fault == "endless" && (set.Name == "redhat" || set.Name == "epss") {
					continue // they see that what follows is nothing
				}
				t.Run(fault, func(t *testing.T) { brokenRun(t, m, s, feed, want.file, fault) })
				if got := content(s.store); got != before {
					t.Fatalf("%s changed the data:\n%s\nbefore:\n%s", fault, got, before)
				}
			}
			m.change(set.Name, want.file)
			result := s.update(t, feed, false)
			if text := result.Summary(); text != "" {
				t.Errorf("after the faults: %s", text)
			}
			noFilesLeft(t)
		})
	}
}

func wholeRun(t *testing.T, result core.FeedResult, parts map[string]int64) {
	t.Helper()
	if text := result.Summary(); text != "" {
		t.Fatalf("a whole run: %s", text)
	}
	found := map[string]int64{}
	for _, part := range result.Parts {
		if !part.Changed {
			t.Errorf("part %s is not new", part.Name)
		}
		if part.Records > 0 {
			found[part.Name] = part.Records
		}
	}
	if !maps.Equal(found, parts) {
		t.Errorf("records: %v, want %v", found, parts)
	}
}

func hasRows(t *testing.T, store *memory, samples []string) {
	t.Helper()
	all := content(store)
	for _, sample := range samples {
		if !strings.Contains(all, sample+"\n") {
			t.Errorf("no row %q in\n%s", sample, all)
		}
	}
}

// change makes the source say that the file has changed.
func (m *mirror) change(feed, name string) {
	m.touch(name)
	switch feed {
	case "amazon":
		m.fillAmazon(fmt.Sprintf("%04d", time.Now().UnixNano()%10000))
	case "nvd":
		m.putNVD(2024, append(testdata(m.t, "nvd/nvdcve.json"), ' '))
	case "alpine":
		m.touch("/alpine/secdb/last-update")
	}
}

func brokenRun(t *testing.T, m *mirror, s *site, feed core.Feed, name, fault string) {
	m.fault(name, fault)
	defer m.fault(name, "")
	result := s.update(t, feed, true)
	text := result.Summary()
	if text == "" {
		t.Fatalf("no error: %+v", result)
	}
	clear := map[string]string{
		"unavailable": "503 Service Unavailable",
		"cut":         "the answer ends after",
		"slow":        "no data came for 200ms",
		"large":       "the answer is larger than the limit of 1048576 bytes",
		"endless":     "the answer is larger than the limit of 1048576 bytes",
	}[fault]
	if !strings.Contains(text, clear) {
		t.Errorf("the error does not say what happened: %s", text)
	}
	if clear != "" && !strings.Contains(text, m.URL+name) {
		t.Errorf("the error does not say where: %s", text)
	}
	t.Log(text)
	for _, part := range result.Parts {
		if part.Error != "" && part.Changed {
			t.Errorf("a part both failed and changed: %+v", part)
		}
	}
}

// noFilesLeft says that nothing is left of what was downloaded.
func noFilesLeft(t *testing.T) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "*"))
	must(t, err)
	if len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
}

func TestStoppedRun(t *testing.T) {
	m, store := newMirror(t), newMemory()
	r := newRunner(t, store)
	r.Limits.Stall = time.Minute
	m.fault("/debian/json", "slow")
	ctx, cancel := context.WithCancel(t.Context())
	result, err := r.Update(ctx, feeds.Wish{Feed: m.feed("debian")}, func(p feeds.Progress) {
		if p.Step == feeds.StepDownload && p.Bytes > 0 && p.Part != "" {
			cancel()
		}
	})
	if err == nil || len(store.part) > 0 {
		t.Errorf("a stopped run: %+v, %v", result, err)
	}
}
