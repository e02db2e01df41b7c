package vulndb_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/quay/claircore"
	"github.com/quay/claircore/datastore"
	"github.com/quay/claircore/libvuln/driver"

	"github.com/breakwater-registry/breakwater/scanner/vulndb"
)

func rows(all ...*claircore.Vulnerability) datastore.VulnerabilityIter {
	return func(yield func(*claircore.Vulnerability, error) bool) {
		for _, v := range all {
			if !yield(v, nil) {
				return
			}
		}
	}
}

func records(data string) datastore.EnrichmentIter {
	return func(yield func(*driver.EnrichmentRecord, error) bool) {
		yield(&driver.EnrichmentRecord{Tags: []string{"CVE-1"}, Enrichment: []byte(data)}, nil)
	}
}

func enriched(t *testing.T, s *vulndb.Store) string {
	t.Helper()
	found, err := s.GetEnrichment(t.Context(), "scores", []string{"CVE-1"})
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, r := range found {
		text += string(r.Enrichment)
	}
	return text
}

// fill puts two updates and an enrichment into the batch.
func fill(t *testing.T, b *vulndb.Batch) {
	t.Helper()
	_, one := b.UpdateVulnerabilitiesIter(t.Context(), updater, "f", rows(vuln("CVE-2", "new"), vuln("CVE-3", "kept")))
	_, two := b.UpdateVulnerabilitiesIter(t.Context(), "second", "f", rows(vuln("CVE-4", "second")))
	_, three := b.UpdateEnrichmentsIter(t.Context(), "scores", "f", records(`{"new":1}`))
	if err := errors.Join(one, two, three); err != nil {
		t.Fatal(err)
	}
}

func before(t *testing.T, s *vulndb.Store) {
	t.Helper()
	update(t, s, vuln("CVE-1", "old"), vuln("CVE-3", "kept"))
	if _, err := s.UpdateEnrichmentsIter(t.Context(), "scores", "f", records(`{"old":1}`)); err != nil {
		t.Fatal(err)
	}
}

func shows(t *testing.T, s *vulndb.Store, what string, isNew bool) {
	t.Helper()
	want := map[string][]string{"old": {"CVE-1"}, "kept": {"CVE-3"}, "new": {}, "second": {}}
	score := `{"old":1}`
	if isNew {
		want = map[string][]string{"old": {}, "kept": {"CVE-3"}, "new": {"CVE-2"}, "second": {"CVE-4"}}
		score = `{"new":1}`
	}
	for pkg, list := range want {
		expect(t, what+": "+pkg, names(t, s, pkg), list)
	}
	expect(t, what+": enrichment", enriched(t, s), score)
}

func TestBatchIsSeenAtOnce(t *testing.T) {
	s := openStore(t)
	before(t, s)
	b := s.Begin()
	fill(t, b)
	shows(t, s, "before the commit", false)
	if _, err := b.UpdateVulnerabilitiesIter(t.Context(), updater, "f", rows()); err == nil {
		t.Error("an updater was taken twice")
	}
	cleaned := make(chan error, 1)
	go func() { _, err := s.GC(context.Background(), 1); cleaned <- err }()
	if _, err := b.UpdateVulnerabilitiesIter(t.Context(), "third", "f", rows(vuln("CVE-5", "third"))); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-cleaned; err != nil {
		t.Fatal(err)
	}
	shows(t, s, "after the commit", true)
	if err := errors.Join(b.Rollback()); err != nil {
		t.Error(err)
	}
	shows(t, s, "after a rollback that is too late", true)
}

func TestBatchIsTakenBack(t *testing.T) {
	s := openStore(t)
	before(t, s)
	b := s.Begin()
	fill(t, b)
	broken := errors.New("the file ends here")
	_, err := b.UpdateVulnerabilitiesIter(t.Context(), "third", "f", func(yield func(*claircore.Vulnerability, error) bool) {
		_ = yield(vuln("CVE-5", "third"), nil) && yield(nil, broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("a broken iterator: %v", err)
	}
	if err := b.Rollback(); err != nil {
		t.Fatal(err)
	}
	shows(t, s, "after the rollback", false)
	expect(t, "third", names(t, s, "third"), []string{})
	again := s.Begin()
	fill(t, again)
	if err := again.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	shows(t, s, "the same again", true)
}

// A batch that never ended, as after a kill: the file is opened again.
func TestBatchOfADeadProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cve.db")
	open := func() *vulndb.Store {
		s, err := vulndb.Open(t.Context(), path, vulndb.Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	dead := open()
	before(t, dead)
	fill(t, dead.Begin())
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	s := open()
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	shows(t, s, "after the death", false)
	b := s.Begin()
	fill(t, b)
	if err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	shows(t, s, "after the second try", true)
	if _, err := s.GC(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	shows(t, s, "after cleaning", true)
}

// An import may be held up at every row, when it is read and when it is written,
// and so may be what cleans up after it.
func TestImportsAskForEveryRow(t *testing.T) {
	asked := 0
	s, err := vulndb.Open(t.Context(), filepath.Join(t.TempDir(), "cve.db"),
		vulndb.Options{Pace: func(context.Context) { asked++ }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // nothing reads it again
	for _, step := range []struct {
		what string
		do   func()
		want int
	}{
		{"two rows", func() { update(t, s, vuln("CVE-1", "a"), vuln("CVE-2", "b")) }, 4},
		{"one row less, of two that are compared", func() { update(t, s, vuln("CVE-1", "a")) }, 2 + 2 + 1},
		{"an enrichment", func() {
			if _, err := s.UpdateEnrichmentsIter(t.Context(), "scores", "f", records(`{"a":1}`)); err != nil {
				t.Fatal(err)
			}
		}, 2},
		// The row is looked at, then its advisory and its package, then it goes.
		{"cleaning", func() {
			if _, err := s.GC(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
		}, 4},
	} {
		asked = 0
		if step.do(); asked != step.want {
			t.Errorf("%s: it asks %d times, not %d", step.what, asked, step.want)
		}
	}
}
