package feeds_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/quay/claircore"
	"github.com/quay/claircore/libvuln/driver"
	"github.com/quay/claircore/libvuln/jsonblob"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/scanner/feeds"
)

// exported is a bundle of all feeds of a mirror.
func exported(t *testing.T, m *mirror) (bundle []byte, results []core.FeedResult) {
	t.Helper()
	s := newSite(t)
	var wishes []feeds.Wish
	for _, set := range core.FeedSets() {
		wishes = append(wishes, feeds.Wish{Feed: m.feed(set.Name)})
	}
	var b bytes.Buffer
	results, err := feeds.Export(t.Context(), &b, *s.Runner, wishes, nil)
	must(t, err)
	return b.Bytes(), results
}

// island is a registry without internet.
type island struct {
	feeds.Importer
	store    *memory
	mappings mappings
	notes    []string
}

func newIsland() *island {
	i := &island{store: newMemory(), mappings: mappings{}}
	i.Importer = feeds.Importer{Begin: i.store.begin, Mappings: i.mappings, Log: slog.New(slog.DiscardHandler)}
	return i
}

func (i *island) load(t *testing.T, content []byte) ([]core.FeedResult, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bundle")
	must(t, os.WriteFile(path, content, 0o600))
	return i.Import(t.Context(), path, nil, func(text string) { i.notes = append(i.notes, text) })
}

// TestExportAndImport carries all feeds to a registry without internet, which
// then has what a connected one has.
func TestExportAndImport(t *testing.T) {
	m := newMirror(t)
	bundle, results := exported(t, m)
	for _, result := range results {
		if text := result.Summary(); text != "" {
			t.Errorf("%s: %s", result.Feed, text)
		}
	}
	noFilesLeft(t)
	connected := newSite(t)
	for _, set := range core.FeedSets() {
		connected.update(t, m.feed(set.Name), false)
	}
	i := newIsland()
	imported, err := i.load(t, bundle)
	must(t, err)
	sameLines(t, "the island", content(i.store), "the connected registry", content(connected.store))
	if len(i.mappings) != 2 || len(imported) != len(core.FeedSets()) {
		t.Errorf("mappings %v, results %+v", i.mappings, imported)
	}
	for _, result := range imported {
		if text := result.Summary(); text != "" || result.Origin != core.FeedImported || time.Since(result.ReadAt) > time.Minute {
			t.Errorf("%+v: %s", result, text)
		}
		n := int64(0)
		for _, part := range result.Parts {
			n += part.Records
		}
		want := int64(0)
		for _, records := range wanted[result.Feed].parts {
			want += records
		}
		if n != want {
			t.Errorf("%s has %d records, want %d", result.Feed, n, want)
		}
	}
	if _, err := i.load(t, bundle); err != nil {
		t.Errorf("the same bundle again: %v", err)
	}
}

// sameLines compares two lists, but for the fingerprint that has the time of the
// run.
func sameLines(t *testing.T, a, textA, b, textB string) {
	t.Helper()
	all := map[string]int{}
	for line := range strings.Lines(textA) {
		all[line]++
	}
	for line := range strings.Lines(textB) {
		all[line]--
	}
	for line, n := range all {
		empty := strings.HasPrefix(line, "oracle-") && strings.Contains(line, "Etag") // of years without data
		if n != 0 && !empty && !(strings.HasPrefix(line, "rhel-vex: ") && strings.Contains(line, `\`)) {
			t.Errorf("only in %s: %s", map[bool]string{true: a, false: b}[n > 0], line)
		}
	}
}

// TestDamagedBundles changes nothing with a bundle that is not whole. Of the
// bits of a packed file some carry nothing: it unpacks to the same without them
// (an offset to other, equal bytes), and is then as good as before.
func TestDamagedBundles(t *testing.T) {
	m := newMirror(t)
	bundle, _ := exported(t, m)
	i := newIsland()
	if _, err := i.load(t, bundle); err != nil {
		t.Fatal(err)
	}
	before := content(i.store)
	try := func(what string, damaged []byte, want string) {
		t.Helper()
		if _, err := i.load(t, damaged); err == nil || core.ErrorCode(err) != core.CodeBadRequest || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
		if content(i.store) != before {
			t.Fatalf("%s changed the data", what)
		}
	}
	whole, err := unpacked(bundle)
	must(t, err)
	for part := 1; part < 60; part++ {
		at := len(bundle) * part / 60
		try("cut", bundle[:at], "")
		flipped := bytes.Clone(bundle)
		flipped[at] ^= 1 << (part % 8)
		if same, err := unpacked(flipped); err == nil && bytes.Equal(same, whole) {
			continue
		}
		try("flipped", flipped, "")
	}
	try("without its last byte", bundle[:len(bundle)-1], "")
	try("empty", nil, "the file is empty")
	try("text", []byte("hello, this is no bundle at all"), "neither a bundle")
	try("other JSON", []byte(`{"a":1}`+"\n"), "neither a bundle")
	try("other archive", tarred(t, map[string][]byte{"etc/passwd": []byte("root")}), "neither a bundle")
	try("two bundles", append(bytes.Clone(bundle), bundle...), "")
	for what, change := range map[string]func(name string, content []byte) (string, []byte){
		"a file with other content": func(name string, content []byte) (string, []byte) {
			return name, bytes.Replace(content, []byte("CVE-2024-0727"), []byte("CVE-2024-0728"), 1)
		},
		"a file that is missing": func(name string, content []byte) (string, []byte) {
			if strings.HasPrefix(name, "records/") {
				return "", nil
			}
			return name, content
		},
		"a file too many": func(name string, content []byte) (string, []byte) {
			if name == "manifest.json" {
				return "records/999999.jsonl", content
			}
			return name, content
		},
		"a later schema": func(name string, content []byte) (string, []byte) {
			return name, bytes.Replace(content, []byte(`"schema":1`), []byte(`"schema":2`), 1)
		},
	} {
		try(what, rewritten(t, bundle, change), "")
	}
	try("a later schema", rewritten(t, bundle, func(name string, content []byte) (string, []byte) {
		return name, bytes.Replace(content, []byte(`"schema":1`), []byte(`"schema":2`), 1)
	}), "schema version 2, and this registry reads version 1")
}

func unpacked(bundle []byte) ([]byte, error) {
	z, err := zstd.NewReader(nil)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return z.DecodeAll(bundle, nil)
}

// rewritten unpacks the bundle, has change look at each file, and packs it again.
func rewritten(t *testing.T, bundle []byte, change func(name string, content []byte) (string, []byte)) []byte {
	t.Helper()
	z, err := zstd.NewReader(bytes.NewReader(bundle))
	must(t, err)
	defer z.Close()
	var b bytes.Buffer
	packer, err := zstd.NewWriter(&b)
	must(t, err)
	out := tar.NewWriter(packer)
	for in := tar.NewReader(z); ; {
		entry, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		content, err := io.ReadAll(in)
		must(t, err)
		name, content := change(entry.Name, content)
		if name == "" {
			continue
		}
		must(t, out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}))
		_, err = out.Write(content)
		must(t, err)
	}
	must(t, out.Close(), packer.Close())
	return b.Bytes()
}

// TestClairctl imports files as clairctl export-updaters writes them: with
// claircore's own code, plain and packed.
func TestClairctl(t *testing.T) {
	rows := []*claircore.Vulnerability{
		{Updater: "debian/updater", Name: "CVE-1", Package: &claircore.Package{Name: "a"}, FixedInVersion: "1", NormalizedSeverity: claircore.High},
		{Updater: "debian/updater", Name: "CVE-2", Package: &claircore.Package{Name: `<b> "Ref":`}, NormalizedSeverity: claircore.Low},
	}
	blob, err := jsonblob.New()
	must(t, err)
	_, err = blob.UpdateVulnerabilities(t.Context(), "debian/updater", "", rows)
	must(t, err)
	_, err = blob.UpdateVulnerabilities(t.Context(), "alpine-main-v3.20-updater", "", rows[:1])
	must(t, err)
	_, err = blob.UpdateVulnerabilities(t.Context(), "somebody-elses", "x", rows)
	must(t, err)
	_, err = blob.UpdateEnrichments(t.Context(), "clair.cvss", "x", []driver.EnrichmentRecord{{Tags: []string{"CVE-1"}, Enrichment: json.RawMessage(`{"baseScore":9}`)}})
	must(t, err)
	var plain bytes.Buffer
	must(t, blob.Store(&plain))
	z, err := zstd.NewWriter(nil)
	must(t, err)
	for kind, file := range map[string][]byte{"plain": plain.Bytes(), "gzip": zipped(t, plain.Bytes()), "zstd": z.EncodeAll(plain.Bytes(), nil)} {
		t.Run(kind, func(t *testing.T) {
			i := newIsland()
			results, err := i.load(t, file)
			must(t, err)
			if len(results) != 3 || len(i.store.part) != 3 || len(i.notes) != 1 || !strings.Contains(i.notes[0], "somebody-elses") {
				t.Errorf("results %+v, notes %v", results, i.notes)
			}
			hasRows(t, i.store, []string{"debian/updater: CVE-2 <b> \"Ref\":   Low", `clair.cvss: [CVE-1]{"baseScore":9}`})
			if _, err := i.load(t, file); err != nil || i.store.get("debian/updater").written != 2 {
				t.Errorf("again: %v", err)
			}
			before := content(i.store)
			if _, err := i.load(t, file[:len(file)-5]); core.ErrorCode(err) != core.CodeBadRequest || content(i.store) != before {
				t.Errorf("a file that was cut: %v", err)
			}
			if _, err := i.load(t, append(bytes.Clone(file), file...)); core.ErrorCode(err) != core.CodeBadRequest || content(i.store) != before {
				t.Errorf("the same twice in one file: %v", err)
			}
		})
	}
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	_, err = w.Write([]byte(`{"Updater":"`))
	must(t, err)
	for range 40 {
		_, err = w.Write(bytes.Repeat([]byte("a"), 1<<20))
		must(t, err)
	}
	must(t, w.Close())
	if _, err := newIsland().load(t, bomb.Bytes()); err == nil || !strings.Contains(err.Error(), "a line has more than") {
		t.Errorf("a line without end: %v", err)
	}
}

// TestIncompleteExport tells on both sides what could not be exported.
func TestIncompleteExport(t *testing.T) {
	m := newMirror(t)
	m.fault("/debian/json", "cut")
	m.fault("/suse/oval/", "unavailable")
	bundle, results := exported(t, m)
	failed := 0
	for _, result := range results {
		if result.Summary() != "" {
			failed++
		}
	}
	i := newIsland()
	imported, err := i.load(t, bundle)
	must(t, err)
	var told []string
	for _, result := range imported {
		if text := result.Summary(); text != "" {
			told = append(told, result.Feed+": "+text)
		}
	}
	if failed != 2 || len(told) != 2 || !strings.HasPrefix(told[0], "debian: debian/updater: not exported: ") || !strings.HasPrefix(told[1], "suse: not exported: ") {
		t.Errorf("%d failed; the import tells %q", failed, told)
	}
	if i.store.get("debian/updater").written > 0 {
		t.Error("half of Debian's data was imported")
	}
}

// TestCheckIsPaced: each line of a file may be held up while it is checked.
func TestCheckIsPaced(t *testing.T) {
	blob, err := jsonblob.New()
	must(t, err)
	_, err = blob.UpdateEnrichments(t.Context(), "clair.cvss", "x", []driver.EnrichmentRecord{
		{Tags: []string{"CVE-1"}, Enrichment: json.RawMessage(`{"baseScore":9}`)}, {Tags: []string{"CVE-2"}, Enrichment: json.RawMessage(`{"baseScore":8}`)}})
	must(t, err)
	var file bytes.Buffer
	must(t, blob.Store(&file))
	i, asked := newIsland(), 0
	i.Pace = func(context.Context) { asked++ }
	if _, err := i.load(t, file.Bytes()); err != nil || asked != 2 {
		t.Errorf("asked %d times for two lines, %v", asked, err)
	}
}

// TestStoppedImport changes nothing.
func TestStoppedImport(t *testing.T) {
	bundle, _ := exported(t, newMirror(t))
	path := filepath.Join(t.TempDir(), "bundle")
	must(t, os.WriteFile(path, bundle, 0o600))
	for _, step := range []string{feeds.StepCheck, feeds.StepWrite} {
		i := newIsland()
		ctx, cancel := context.WithCancel(t.Context())
		_, err := i.Import(ctx, path, func(p feeds.Progress) {
			if p.Step == step {
				cancel()
			}
		}, nil)
		if !errors.Is(err, context.Canceled) || len(i.store.part) > 0 {
			t.Errorf("%s: %v, %d parts", step, err, len(i.store.part))
		}
		cancel()
	}
}
