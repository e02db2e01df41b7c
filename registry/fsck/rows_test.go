package fsck_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/registry/fsck"
)

// wrong is a change of the database behind the registry's back: a statement
// with up to two digests.
type wrong struct {
	statement string
	arguments func(c collection) []any
	subject   string // what is found, and about what
	text      string
}

func none(collection) []any { return nil }

func ofAMD(c collection) []any  { return []any{c.amd.digest()} }
func ofSBOM(c collection) []any { return []any{c.sbom.digest()} }
func ofBase(c collection) []any { return []any{digestOf(c.base)} }

const (
	useOfBase   = `blob_id = (SELECT id FROM blob WHERE digest = $1)`
	inRepoA     = `repository_id = (SELECT id FROM repository WHERE name = 'p/a')`
	manifestInA = `digest = $1 AND ` + inRepoA
)

// wrongRows are repaired as if they had never been.
var wrongRows = map[string]wrong{
	"quota":           {`UPDATE project SET quota_used = quota_used + 5`, none, "project p", "pays for "},
	"artifact count":  {`UPDATE repository SET artifact_count = 0 WHERE name = 'p/a'`, none, "repository p/a", "counts 0 artifacts, but has 4"},
	"link":            {`DELETE FROM blob_link WHERE ` + inRepoA + ` AND ` + useOfBase, ofBase, "", "has no link"},
	"use":             {`DELETE FROM manifest_blob WHERE ` + useOfBase, ofBase, "", "uses the blob"},
	"own use":         {`DELETE FROM manifest_blob WHERE ` + useOfBase, ofAMD, "", "uses the blob"},
	"use too many":    {`INSERT INTO manifest_blob (manifest_id, blob_id, project_id, repository_id) SELECT m.id, b.id, 1, m.repository_id FROM manifest m, blob b WHERE m.digest = $1 AND b.digest = $2`, func(c collection) []any { return []any{c.multi.digest(), digestOf(c.base)} }, "", "its rows say that it uses the blob"},
	"use elsewhere":   {`UPDATE manifest_blob SET project_id = 9, repository_id = 9 WHERE ` + useOfBase, ofBase, "", "is counted for another repository"},
	"media type":      {`UPDATE manifest SET media_type = 'application/vnd.docker.distribution.manifest.v2+json' WHERE ` + manifestInA, ofAMD, "", "media type"},
	"artifact type":   {`UPDATE manifest SET artifact_type = 'x' WHERE ` + manifestInA, ofAMD, "", "artifact type"},
	"config":          {`UPDATE manifest SET config = '' WHERE ` + manifestInA, ofAMD, "", "config"},
	"kind":            {`UPDATE manifest SET kind = 'CHART' WHERE ` + manifestInA, ofAMD, "", `the type "CHART"`},
	"subject":         {`UPDATE manifest SET subject = '' WHERE digest = $1`, ofSBOM, "", "subject"},
	"size":            {`UPDATE manifest SET size = 1 WHERE ` + manifestInA, ofAMD, "", "size"},
	"total size":      {`UPDATE manifest SET total_size = 1 WHERE ` + manifestInA, ofAMD, "", "total size 1"},
	"annotations":     {`UPDATE manifest SET annotations = '{"seed":"forged"}' WHERE ` + manifestInA, ofAMD, "", "annotations"},
	"child":           {`DELETE FROM manifest_child WHERE child_id = (SELECT id FROM manifest WHERE ` + manifestInA + `)`, ofAMD, "", "lists the manifest"},
	"child too many":  {`INSERT INTO manifest_child (parent_id, child_id, platform, annotations) SELECT p.id, c.id, '', '' FROM manifest p, manifest c WHERE p.digest = $1 AND c.digest = $2`, func(c collection) []any { return []any{c.multi.digest(), c.sbom.digest()} }, "", "its rows say that it lists the manifest"},
	"blob size":       {`UPDATE blob SET size = 1 WHERE digest = $1`, ofBase, "", "its row says 1 bytes, its file has 3000"},
	"damage":          {`UPDATE blob SET damaged_at = 5 WHERE digest = $1`, ofBase, "", "its file was found damaged, but is whole"},
	"hidden":          {`UPDATE repository SET published_at = 0 WHERE name = 'p/b'`, none, "repository p/b", "is not shown"},
	"blob row":        {`DELETE FROM blob WHERE digest = $1`, ofBase, "database", "refers to a row of blob that does not exist"},
	"own blob row":    {`DELETE FROM blob WHERE digest = $1`, ofAMD, "", "its row names no content"},
	"foreign content": {`UPDATE manifest SET blob_id = (SELECT id FROM blob WHERE digest = $2) WHERE digest = $1`, func(c collection) []any { return []any{c.other.digest(), c.amd.digest()} }, "", "that of another manifest"},
	"tag elsewhere":   {`UPDATE tag SET manifest_id = (SELECT id FROM manifest WHERE digest = $1 AND repository_id <> tag.repository_id) WHERE name = '1'`, ofAMD, "p/b:1", "of another repository"},
	"tag not put":     {`INSERT INTO tag (repository_id, manifest_id, name, pushed_at, pulled_at) SELECT repository_id, id, 'forged', 1, 0 FROM manifest WHERE digest = $1`, ofSBOM, "p/a:forged", "is not in the journal"},
	"tag moved":       {`UPDATE tag SET manifest_id = (SELECT id FROM manifest WHERE digest = $1) WHERE name = 'latest'`, ofSBOM, "p/a:latest", "is not in the journal as it is"},
}

func TestWrongRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newCollection(t, w)
	w.gone(t)
	for name, tt := range wrongRows {
		t.Run(name, func(t *testing.T) {
			w.sql(t, tt.statement, tt.arguments(c)...)
			found, result := w.check(t, fsck.Options{})
			found.has(t, tt.subject, tt.text)
			if result.Repaired != 0 {
				t.Errorf("repaired unasked:\n%s", found)
			}
			repaired, _ := w.check(t, fsck.Options{Repair: true})
			for _, p := range repaired {
				if p.Repair == "" && p.Subject != "database" { // whose lines other repairs take away
					t.Errorf("%s is not repaired: %s", p.Subject, p.Text)
				}
			}
			w.clean(t)
			c.pull(t, w)
		})
		if t.Failed() {
			break
		}
	}
}

// gone makes a repository without anything, as all deleted artifacts leave it.
func (w *world) gone(t *testing.T) {
	t.Helper()
	i := newImage("gone")
	w.token = w.tokenFor(t, "p/gone")
	w.push(t, "p/gone", "x", i)
	w.expect(t, http.StatusAccepted, "DELETE", "/v2/p/gone/manifests/"+i.digest(), "", nil)
	w.sql(t, `DELETE FROM blob_link WHERE repository_id = (SELECT id FROM repository WHERE name = 'p/gone')`)
}

// What cannot be repaired is said, with what to do, and is whole after that.
func TestWrongRowsThatOnlyAPushRepairs(t *testing.T) {
	t.Parallel()
	t.Run("tag of nothing", func(t *testing.T) {
		w := newWorld(t)
		c := newCollection(t, w)
		w.sql(t, `UPDATE tag SET manifest_id = 999 WHERE name = '1'`)
		found, _ := w.check(t, fsck.Options{Repair: true})
		found.has(t, "p/b:1", "points at a manifest that does not exist; push it again or delete it")
		found.has(t, "database", "refers to a row of manifest")
		w.push(t, "p/b", "1", c.amd)
		w.clean(t)
	})
	t.Run("blob without row and file", func(t *testing.T) {
		w := newWorld(t)
		c := newCollection(t, w)
		must(t, os.Remove(w.file(t, c.base)))
		w.sql(t, `DELETE FROM blob WHERE digest = $1`, digestOf(c.base))
		w.sql(t, `DELETE FROM blob_link WHERE NOT EXISTS (SELECT 1 FROM blob WHERE id = blob_id)`)
		w.sql(t, `DELETE FROM manifest_blob WHERE NOT EXISTS (SELECT 1 FROM blob WHERE id = blob_id)`)
		w.check(t, fsck.Options{Repair: true})
		found, _ := w.check(t, fsck.Options{})
		p := found.has(t, digestOf(c.base), "damaged since an earlier check")
		if len(tagged(p.Uses)) != 3 || len(found) != 1 {
			t.Errorf("after the repair:\n%s", found)
		}
		w.push(t, "p/b", "1", c.amd)
		c.pull(t, w)
		w.clean(t)
	})
	t.Run("entry of an index", func(t *testing.T) {
		w := newWorld(t)
		c := newCollection(t, w)
		w.sql(t, `DELETE FROM manifest_child WHERE child_id IN (SELECT id FROM manifest WHERE `+manifestInA+`)`, c.arm.digest())
		w.expect(t, http.StatusAccepted, "DELETE", "/v2/p/a/manifests/"+c.arm.digest(), "", nil)
		found, _ := w.check(t, fsck.Options{Repair: true})
		p := found.has(t, c.multi.digest(), "push "+c.arm.digest()+" again")
		if p.Repair != "" {
			t.Errorf("repaired: %q", p.Repair)
		}
		w.push(t, "p/a", "", c.arm)
		w.check(t, fsck.Options{Repair: true})
		c.pull(t, w)
		w.clean(t)
	})
}

// What only the journal has is told, and not taken for deleted.
func TestJournalAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newCollection(t, w)
	w.gone(t)
	w.sql(t, `DELETE FROM tag WHERE name = 'latest'`)
	w.sql(t, `DELETE FROM repository WHERE name = 'p/gone'`)
	entries := w.journal.Last()
	for _, o := range []fsck.Options{{}, {Repair: true}} {
		found, _ := w.check(t, o)
		p := found.has(t, "journal", "tells of what the database does not have")
		if want := []string{"p/a:latest", "repository p/gone"}; !slices.Equal(p.Uses, want) || p.Repair != "" || len(found) != 1 {
			t.Errorf("uses %q, want %q:\n%s", p.Uses, want, found)
		}
	}
	if w.journal.Last() != entries {
		t.Error("the journal was changed")
	}
	// As told: a new journal for the database as it is.
	w.reopen(t, func() { must(t, os.Rename(w.journalDir(), w.journalDir()+".away")) })
	w.check(t, fsck.Options{Repair: true})
	w.clean(t)
	w.rebuild(t)
	w.expect(t, http.StatusNotFound, "GET", "/v2/p/a/manifests/latest", "", nil)
	c.pull(t, w)
}

func TestBrokenAuditChain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	newCollection(t, w)
	w.sql(t, `UPDATE audit SET username = 'nobody' WHERE id = 3`)
	found, result := w.check(t, fsck.Options{Repair: true})
	if p := found.has(t, "audit log", "broken at row 3"); p.Repair != "" || !result.AuditBroken {
		t.Errorf("a changed audit row was repaired: %q", p.Repair)
	}
}

// A page of the database's file is overwritten.
func TestDamagedDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	newCollection(t, w)
	w.sqlAny(t, `CREATE TABLE victim (v TEXT)`)
	w.sqlAny(t, `INSERT INTO victim SELECT hex(randomblob(500)) FROM audit`)
	w.sqlAny(t, `CREATE INDEX victim_v ON victim (v)`)
	w.sqlAny(t, `PRAGMA writable_schema = 1; UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'victim_v') WHERE name = 'tag_of_manifest'`)
	w.reopen(t, func() {})
	var found findings
	_, err := w.checker(&found).Run(t.Context(), fsck.Options{})
	if len(found) == 0 || !strings.Contains(found[0].Subject, "database") {
		t.Errorf("found %s, %v", found, err)
	}
}
