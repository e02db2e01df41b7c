package fsck_test

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/fsck"
	"github.com/breakwater-registry/breakwater/registry/journal"
)

// rebuild loses the database and makes the images again.
func (w *world) rebuild(t *testing.T) (findings, fsck.Rebuilt) {
	t.Helper()
	w.reopen(t, func() { w.loseDatabase(t) })
	w.bootstrap(t)
	var found findings
	result, err := w.checker(&found).Rebuild(t.Context(), w.journal.Last(), 2)
	must(t, err)
	return found, result
}

// listing is what clients see: tags and referrers.
func (w *world) listing(t *testing.T, c collection) string {
	t.Helper()
	var all strings.Builder
	for _, path := range []string{"p/a/tags/list", "p/b/tags/list", "p/a/referrers/" + c.multi.digest()} {
		all.WriteString(w.expect(t, http.StatusOK, "GET", "/v2/"+path, "", nil))
	}
	return all.String()
}

// facts are rows that a rebuild makes again as they were.
func (w *world) facts(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, query := range []string{
		`SELECT r.name || m.digest || m.media_type || m.artifact_type || m.kind || m.total_size || m.platform || m.annotations || m.pushed_by || m.pushed_at
			FROM manifest m JOIN repository r ON r.id = m.repository_id ORDER BY 1`,
		`SELECT r.name || t.name || m.digest || t.pushed_at FROM tag t JOIN repository r ON r.id = t.repository_id JOIN manifest m ON m.id = t.manifest_id ORDER BY 1`,
		`SELECT name || artifact_count || published_at FROM repository ORDER BY 1`,
		`SELECT name || quota_used || public FROM project ORDER BY 1`,
		`SELECT p.digest || c.digest || x.platform FROM manifest_child x JOIN manifest p ON p.id = x.parent_id JOIN manifest c ON c.id = x.child_id ORDER BY 1`,
	} {
		rows, err := w.db.QueryContext(t.Context(), query)
		must(t, err)
		for rows.Next() {
			var text string
			must(t, rows.Scan(&text))
			all.WriteString(text + "\n")
		}
		must(t, errors.Join(rows.Err(), rows.Close()))
	}
	return all.String()
}

// settleTimes makes the times in the rows those of the journal, which is written
// a moment later.
func (w *world) settleTimes(t *testing.T) {
	t.Helper()
	must(t, journal.Replay(w.journalDir(), func(e core.JournalEntry) error {
		us := e.Time.UnixMicro()
		switch e.Op {
		case core.JournalPutRepository:
			_, err := w.db.ExecContext(t.Context(), `UPDATE repository SET published_at = ? WHERE name = ?`, us, e.Repository)
			return err
		case core.JournalPutManifest:
			_, err := w.db.ExecContext(t.Context(), `UPDATE manifest SET pushed_at = ? WHERE digest = ? AND repository_id = (SELECT id FROM repository WHERE name = ?)`, us, e.Digest, e.Repository)
			return err
		case core.JournalPutTag:
			_, err := w.db.ExecContext(t.Context(), `UPDATE tag SET pushed_at = ? WHERE name = ? AND repository_id = (SELECT id FROM repository WHERE name = ?)`, us, e.Tag, e.Repository)
			return err
		}
		return nil
	}))
}

// The database is lost, and everything is as before: what was acknowledged is
// there byte by byte, and what was deleted stays deleted.
func TestRebuild(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newCollection(t, w)
	w.gone(t)
	removed := newImage("removed", c.base, bytesOf("removed", 800))
	w.push(t, "p/b", "removed", removed)
	w.push(t, "p/b", "moves", removed)
	w.push(t, "p/b", "moves", c.other)
	w.push(t, "p/b", "untagged", c.other)
	w.expect(t, http.StatusAccepted, "DELETE", "/v2/p/b/manifests/untagged", "", nil)
	w.expect(t, http.StatusAccepted, "DELETE", "/v2/p/b/manifests/"+removed.digest(), "", nil)
	must(t, w.app.DeleteRepository(t.Context(), system, "p/a"))
	w.push(t, "p/a", "again", c.other)
	c = newCollection(t, w)
	if _, err := w.app.CreateProject(t.Context(), system, app.NewProject{Name: "q", StorageLimit: -1}); err != nil {
		t.Fatal(err)
	}
	w.push(t, "q/d/e", "deep", c.amd)
	w.settleTimes(t)
	listing, facts := w.listing(t, c), w.facts(t)

	found, result := w.rebuild(t)
	if len(found) != 0 || result.Problems != 0 || result.Kept != 0 || result.Manifests != 8 || result.Tags != 7 || result.Projects != 2 || result.Repositories != 4 {
		t.Errorf("rebuilt %+v with\n%s", result, found)
	}
	if position, known, err := w.app.Checks().JournalPosition(t.Context()); position != w.journal.Last() || !known || err != nil {
		t.Errorf("the database is at %d of the journal, %v, %v; want %d", position, known, err, w.journal.Last())
	}
	c.pull(t, w)
	w.pull(t, "p/a", "again", c.other)
	w.pull(t, "p/b", "moves", c.other)
	w.pull(t, "q/d/e", "deep", c.amd)
	if now := w.listing(t, c); now != listing {
		t.Errorf("the lists were\n%s, and are\n%s", listing, now)
	}
	if now := w.facts(t); now != facts {
		t.Errorf("the rows were\n%s, and are\n%s", facts, now)
	}
	for _, path := range []string{"manifests/removed", "manifests/untagged", "manifests/" + removed.digest(), "blobs/" + digestOf(removed.parts[2])} {
		w.expect(t, http.StatusNotFound, "GET", "/v2/p/b/"+path, "", nil)
	}
	w.clean(t)
	w.push(t, "p/c", "1", newImage("after", c.base))
	w.reopen(t, func() {})
	w.clean(t)
}

// What cannot be made whole is named and left out, and its parts stay, also
// past a garbage collection, so that they are there when the rest is found.
func TestRebuildLeavesDamagedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newCollection(t, w)
	layer, lost := w.file(t, c.arm.parts[2]), w.file(t, c.other.manifest)
	whole, err := os.ReadFile(layer)
	must(t, err)
	flip(t, layer)
	must(t, os.Rename(lost, lost+".away"))
	found, result := w.rebuild(t)
	if p := found.has(t, "p/a@"+c.arm.digest(), "left out: the blob "+digestOf(c.arm.parts[2])+" is damaged: its content has the digest"); len(p.Uses) != 0 {
		t.Errorf("uses: %q", p.Uses)
	}
	if p := found.has(t, "p/a@"+c.multi.digest(), "left out: the manifest "+c.arm.digest()+", which it lists, is missing"); len(p.Uses) != 2 {
		t.Errorf("uses: %q", p.Uses)
	}
	if p := found.has(t, "p/b@"+c.other.digest(), "left out: its content is missing"); len(p.Uses) != 1 || p.Uses[0] != "p/b:other" {
		t.Errorf("uses: %q", p.Uses)
	}
	found.has(t, "blob "+digestOf(c.arm.parts[2]), "its content has the digest")
	if len(found) != 4 || result.Manifests != 3 || result.Kept != 5 {
		t.Errorf("rebuilt %+v with\n%s", result, found)
	}
	w.pull(t, "p/b", "1", c.amd)
	if _, err := os.Stat(layer); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the damaged file is in place: %v", err)
	}

	// The rest is found, in a backup perhaps, and the rebuild made again.
	kept := filepath.Join(w.data, "quarantine", "sha256."+filepath.Base(layer))
	must(t, os.WriteFile(kept, whole, 0o640))
	must(t, os.Rename(lost+".away", lost))
	found, result = w.rebuild(t)
	if len(found) != 0 || result.Manifests != 6 {
		t.Errorf("rebuilt %+v with\n%s", result, found)
	}
	c.pull(t, w)
	w.clean(t)
}

// Of several files of a blob the newest that is whole is taken, and only one is
// kept.
func TestRebuildChoosesAmongFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newCollection(t, w)
	file := w.file(t, c.base)
	stem := strings.TrimSuffix(file, filepath.Ext(file))
	must(t, os.WriteFile(stem+".17", c.base, 0o640))
	must(t, os.WriteFile(stem+".9999999999999999", c.base[1:], 0o640))
	found, _ := w.rebuild(t)
	found.has(t, "blob "+digestOf(c.base), "its content has the digest")
	if w.file(t, c.base) != file || len(found) != 1 {
		t.Errorf("the blob has the file %s:\n%s", w.file(t, c.base), found)
	}
	for _, name := range []string{stem + ".17", stem + ".9999999999999999"} {
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	c.pull(t, w)
	w.clean(t)
}

func TestRebuildRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var found findings
	rebuild := func() error {
		_, err := w.checker(&found).Rebuild(t.Context(), w.journal.Last(), 1)
		return err
	}
	if err := rebuild(); core.ErrorCode(err) != core.CodePrecondition || !strings.Contains(err.Error(), "empty") {
		t.Errorf("over a database with a project: %v", err)
	}
	w.reopen(t, func() { w.loseDatabase(t) })
	w.bootstrap(t)
	if err := rebuild(); core.ErrorCode(err) != core.CodePrecondition || !strings.Contains(err.Error(), "journal") {
		t.Errorf("with an empty journal: %v", err)
	}
	_, _, err := w.journal.Append([]core.JournalEntry{{Op: core.JournalPutRepository, Repository: "noproject"}, {Op: core.JournalPutRepository, Repository: "p/a"}})
	must(t, err)
	before := w.tables(t)
	if err := rebuild(); err == nil || !strings.Contains(err.Error(), "noproject") {
		t.Errorf("with a foreign entry: %v", err)
	}
	if w.tables(t) != before {
		t.Error("a rebuild that failed left something")
	}
}

// A damaged journal is reported; a repair writes a new one, which is as good.
func TestDamagedJournal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newCollection(t, w)
	listing := w.listing(t, c)
	flip(t, filepath.Join(w.journalDir(), "000001.jsonl"))
	for _, o := range []fsck.Options{{}, {Beside: true}} {
		found, _ := w.check(t, o)
		if found.has(t, "journal", "the journal is damaged in "); len(found) != 1 {
			t.Errorf("found\n%s", found)
		}
	}
	w.close(t)
	problem, err := fsck.MendJournal(w.data, w.journalDir())
	must(t, err)
	if problem == nil || !strings.Contains(problem.Repair, "quarantine/journal.") {
		t.Fatalf("mended: %+v", problem)
	}
	w.open(t)
	must(t, w.app.Checks().SetJournalPosition(t.Context(), 0))
	found, result := w.check(t, fsck.Options{Repair: true})
	if result.Problems != 12 || result.Repaired != 12 { // 2 repositories, 6 manifests, 4 tags
		t.Errorf("%d of %d are recorded again:\n%s", result.Repaired, result.Problems, found)
	}
	w.clean(t)
	if problem, err := fsck.MendJournal(w.data, w.journalDir()); problem != nil || err != nil {
		t.Errorf("a whole journal is mended: %+v, %v", problem, err)
	}
	if found, _ := w.rebuild(t); len(found) != 0 {
		t.Errorf("found\n%s", found)
	}
	c.pull(t, w)
	if now := w.listing(t, c); now != listing {
		t.Errorf("the lists were\n%s, and are\n%s", listing, now)
	}
}

// A crash between journal and database leaves one batch that was not committed.
func TestUnsettled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newCollection(t, w)
	checks := w.app.Checks()
	position, known, err := checks.JournalPosition(t.Context())
	if err != nil || !known || position != w.journal.Last() {
		t.Fatalf("the database is at %d, %v, the journal at %d: %v", position, known, w.journal.Last(), err)
	}
	tail := func(position uint64) fsck.Tail {
		t.Helper()
		tail, err := fsck.Unsettled(t.Context(), checks, w.journalDir(), position)
		must(t, err)
		return tail
	}
	if got := tail(position); got != (fsck.Tail{}) {
		t.Errorf("nothing is open, but %+v", got)
	}
	move := core.JournalEntry{Op: core.JournalPutTag, Repository: "p/b", Tag: "1", Digest: c.other.digest()}
	from, to, err := w.journal.Append([]core.JournalEntry{move, move})
	must(t, err)
	if got := tail(position); got != (fsck.Tail{From: from, To: to}) {
		t.Errorf("after a crash %+v", got)
	}
	if found, _ := w.check(t, fsck.Options{}); len(found) != 0 {
		t.Errorf("what a crash leaves is a problem:\n%s", found)
	}
	if got := tail(1); !got.Foreign {
		t.Errorf("an older database is not known as such: %+v", got)
	}
	must(t, w.journal.Abort(from, to))
	if got := tail(position); got != (fsck.Tail{}) {
		t.Errorf("after the abort %+v", got)
	}
	w.sql(t, `UPDATE schema_version SET applied_at = applied_at + 3600000000 WHERE version = 1`)
	_, _, err = w.journal.Append([]core.JournalEntry{move})
	must(t, err)
	if got := tail(position); !got.Foreign {
		t.Errorf("a new database is not known as such: %+v", got)
	}
}
