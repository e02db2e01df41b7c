package fsck_test

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/breakwater-registry/breakwater/registry/fsck"
)

// collection is what most tests start from.
type collection struct {
	base        []byte // a layer of both images
	amd, arm    image  // in the index
	multi, sbom image  // the index, and what refers to it
	other       image
}

func newCollection(t *testing.T, w *world) collection {
	t.Helper()
	c := collection{base: bytesOf("base", 3000)}
	c.amd, c.arm = newImage("amd", c.base, bytesOf("amd", 2000)), newImage("arm", c.base, bytesOf("arm", 1000))
	c.multi = newIndex(c.amd, c.arm)
	c.sbom = newReferrer("sbom", &c.multi, bytesOf("sbom", 100))
	c.other = newImage("other", bytesOf("other", 500))
	w.push(t, "p/a", "", c.amd)
	w.push(t, "p/a", "", c.arm)
	w.push(t, "p/a", "v1", c.multi)
	w.push(t, "p/a", "latest", c.multi)
	w.push(t, "p/a", "", c.sbom)
	w.push(t, "p/b", "1", c.amd)
	w.push(t, "p/b", "other", c.other)
	return c
}

func (c collection) pull(t *testing.T, w *world) {
	t.Helper()
	for _, i := range []image{c.amd, c.arm, c.sbom} {
		w.pull(t, "p/a", "", i)
	}
	w.pull(t, "p/a", "v1", c.multi)
	w.pull(t, "p/b", "1", c.amd)
	w.pull(t, "p/b", "other", c.other)
}

func TestCleanRegistry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newCollection(t, w)
	gone := newImage("gone", c.base)
	w.push(t, "p/c", "gone", gone)
	w.expect(t, http.StatusAccepted, "DELETE", "/v2/p/c/manifests/"+gone.digest(), "", nil)
	w.push(t, "p/b", "1", c.other)
	before := w.tables(t)
	w.clean(t)
	if after := w.tables(t); after != before {
		t.Errorf("checks changed the database:\n%s\n%s", before, after)
	}
	_, result := w.check(t, fsck.Options{})
	if result.Blobs != 16 || result.Manifests != 6 || result.Tags != 4 || result.JournalEntries == 0 || result.AuditRows == 0 || result.Bytes == 0 {
		t.Errorf("checked %+v", result)
	}
}

// ways are what can happen to a file.
var ways = map[string]struct {
	do   func(t *testing.T, name string)
	text string
	gone bool
	slow bool // a fast check does not find it
}{
	"bit flip":  {do: flip, text: "its content has the digest sha256:", slow: true},
	"truncated": {do: func(t *testing.T, name string) { must(t, os.Truncate(name, 7)) }, text: "its file has 7 bytes instead of "},
	"empty":     {do: func(t *testing.T, name string) { must(t, os.Truncate(name, 0)) }, text: "its file has 0 bytes instead of "},
	"grown":     {do: func(t *testing.T, name string) { must(t, os.Truncate(name, 9999)) }, text: "its file has 9999 bytes instead of "},
	"missing":   {do: func(t *testing.T, name string) { must(t, os.Remove(name)) }, text: "its file is missing", gone: true},
	"directory": {do: func(t *testing.T, name string) {
		must(t, os.Remove(name))
		must(t, os.Mkdir(name, 0o700))
	}, text: "its file cannot be read"},
}

// Whatever happens to a layer is found and named with the images it is part of,
// is set aside by a repair, and healed by a push of one of them.
func TestDamagedLayer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newCollection(t, w)
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			file := w.file(t, c.base)
			way.do(t, file)
			before := w.tables(t)
			for _, o := range []fsck.Options{{}, {Beside: true}, {Fast: true}} {
				found, _ := w.check(t, o)
				if o.Fast && way.slow {
					continue
				}
				p := found.has(t, "blob "+digestOf(c.base), way.text)
				if want := []string{"p/a:latest", "p/a:v1", "p/b:1"}; !slices.Equal(tagged(p.Uses), want) || p.Repair != "" || len(found) != 1 {
					t.Errorf("with %+v: the uses are %q, want %q; all:\n%s", o, p.Uses, want, found)
				}
			}
			if w.tables(t) != before {
				t.Error("a check without repair changed the database")
			}
			w.checkRepair(t, c, file, way.gone)
			w.checkHealed(t, c)
		})
		if t.Failed() {
			break // the other ways need a sound world
		}
	}
}

// tagged are the uses that have a tag.
func tagged(uses []string) []string {
	return slices.DeleteFunc(slices.Clone(uses), func(u string) bool { return strings.Contains(u, "@") })
}

// checkRepair sets the damaged base layer aside.
func (w *world) checkRepair(t *testing.T, c collection, file string, gone bool) {
	t.Helper()
	const audited = `SELECT COUNT(*) FROM audit WHERE digest = ? AND description LIKE 'damaged: %p/a:latest%'`
	before := w.number(t, audited, digestOf(c.base))
	found, result := w.check(t, fsck.Options{Repair: true})
	if p := found.has(t, digestOf(c.base), ""); p.Repair == "" || result.Repaired != 1 {
		t.Errorf("it was not set aside: %+v", p)
	}
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the damaged file is still there: %v", err)
	}
	kept := filepath.Join(w.data, "quarantine", strings.ReplaceAll(digestOf(c.base), ":", ".")+filepath.Ext(file))
	if _, err := os.Lstat(kept); (err == nil) == gone {
		t.Errorf("in the quarantine: %v", err)
	}
	for _, method := range []string{"GET", "HEAD"} {
		body := w.expect(t, http.StatusNotFound, method, "/v2/p/a/blobs/"+digestOf(c.base), "", nil)
		if method == "GET" && (!strings.Contains(body, "BLOB_UNKNOWN") || !strings.Contains(body, "is damaged; push it again")) {
			t.Errorf("a pull answers %s", body)
		}
	}
	again, _ := w.check(t, fsck.Options{Repair: true})
	if p := again.has(t, digestOf(c.base), "damaged since an earlier check"); p.Repair != "" || len(p.Uses) == 0 {
		t.Errorf("the second repair did %q", p.Repair)
	}
	if n := w.number(t, audited, digestOf(c.base)); n != before+1 {
		t.Errorf("there are %d new audit rows about it", n-before)
	}
}

// checkHealed pushes one image and demands that all are whole.
func (w *world) checkHealed(t *testing.T, c collection) {
	t.Helper()
	used := w.number(t, `SELECT quota_used FROM project`)
	w.push(t, "p/b", "1", c.amd)
	c.pull(t, w)
	w.clean(t)
	if now := w.number(t, `SELECT quota_used FROM project`); now != used {
		t.Errorf("the project pays for %d bytes, before the push for %d", now, used)
	}
}

// The same for the content of a manifest, which is healed by a push to another
// repository, by digest or by tag.
func TestDamagedManifest(t *testing.T) {
	t.Parallel()
	for _, tag := range []string{"", "2"} {
		t.Run("tag "+tag, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := newCollection(t, w)
			flip(t, w.file(t, c.amd.manifest))
			fast, _ := w.check(t, fsck.Options{Fast: true})
			fast.has(t, "p/a@"+c.amd.digest(), "check without --fast")
			found, _ := w.check(t, fsck.Options{Repair: true})
			if p := found.has(t, c.amd.digest(), "its content has the digest"); !slices.Equal(tagged(p.Uses), []string{"p/a:latest", "p/a:v1", "p/b:1"}) || len(found) != 1 {
				t.Errorf("the uses are %q; all:\n%s", p.Uses, found)
			}
			for _, path := range []string{"p/b/manifests/1", "p/a/manifests/" + c.amd.digest()} {
				body := w.expect(t, http.StatusNotFound, "GET", "/v2/"+path, "", nil)
				if !strings.Contains(body, "MANIFEST_UNKNOWN") || !strings.Contains(body, "is damaged; push it again") {
					t.Errorf("a pull of %s answers %s", path, body)
				}
			}
			w.expect(t, http.StatusNotFound, "HEAD", "/v2/p/b/manifests/1", "", nil)
			w.push(t, "p/b", tag, c.amd)
			c.pull(t, w)
			w.clean(t)
		})
	}
}

// A new manifest may not refer to a damaged layer, until that is pushed again.
func TestDamagedLayerIsNotMountedOrReferred(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newCollection(t, w)
	flip(t, w.file(t, c.base))
	w.check(t, fsck.Options{Repair: true})
	d := digestOf(c.base)
	if rec := w.request("POST", "/v2/p/c/blobs/uploads/?from=p/a&mount="+d, "", nil); rec.Code != http.StatusAccepted {
		t.Errorf("a mount answers %d", rec.Code)
	}
	next := newImage("next", c.base)
	w.expect(t, http.StatusCreated, "POST", "/v2/p/a/blobs/uploads/?digest="+digestOf(next.parts[0]), "", next.parts[0])
	w.expect(t, http.StatusNotFound, "PUT", "/v2/p/a/manifests/next", manifestType, next.manifest)
	w.push(t, "p/c", "next", next)
	c.pull(t, w)
	w.clean(t)
}

// Another whole file of the content takes the place of a damaged one: left over
// from a push that did not end, or in the quarantine after all.
func TestRepairUsesAnotherCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newCollection(t, w)
	file := w.file(t, c.base)
	other := strings.TrimSuffix(file, filepath.Ext(file)) + ".17"
	must(t, os.WriteFile(other, c.base, 0o640))
	flip(t, file)
	found, result := w.check(t, fsck.Options{Repair: true})
	if p := found.has(t, digestOf(c.base), ""); !strings.Contains(p.Repair, "another whole file") || result.Repaired != 1 {
		t.Errorf("repaired: %q", p.Repair)
	}
	if w.file(t, c.base) != other {
		t.Error("the blob does not have the other file")
	}
	c.pull(t, w)
	w.clean(t)

	kept := filepath.Join(w.data, "quarantine", "sha256."+filepath.Base(other))
	must(t, os.Rename(other, kept))
	found, _ = w.check(t, fsck.Options{Repair: true})
	if p := found.has(t, digestOf(c.base), "missing"); !strings.Contains(p.Repair, "quarantine, where it is whole") {
		t.Errorf("repaired: %q", p.Repair)
	}
	c.pull(t, w)
	w.clean(t)
}

// What is not known to be wrong stays: a push may not be done yet.
func TestOrphansAreCountedOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := []byte("orphan")
	d := digest.FromBytes(content)
	dir := filepath.Join(w.data, "blobs", "sha256", d.Encoded()[:2])
	must(t, os.MkdirAll(dir, 0o750))
	for _, generation := range []string{"17", "9999999999999999"} {
		must(t, os.WriteFile(filepath.Join(dir, d.Encoded()+"."+generation), content, 0o640))
	}
	found, result := w.check(t, fsck.Options{Repair: true})
	if len(found) != 0 || result.Orphans != 1 || result.OrphanBytes != 6 || result.Older != 1 {
		t.Errorf("found %s%+v", found, result)
	}
	if _, result = w.check(t, fsck.Options{Beside: true}); result.Orphans != 0 || result.Older != 0 {
		t.Errorf("beside a registry, young files are taken for leftovers: %+v", result)
	}
}

func TestInterruptedRemovalIsEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newCollection(t, w)
	w.expect(t, http.StatusAccepted, "DELETE", "/v2/p/b/manifests/"+c.other.digest(), "", nil)
	layer := c.other.parts[1]
	file := w.file(t, layer)
	w.sql(t, `DELETE FROM blob_link WHERE blob_id = (SELECT id FROM blob WHERE digest = ?)`, digestOf(layer))
	w.sql(t, `UPDATE blob SET deleting = TRUE WHERE digest = ?`, digestOf(layer))
	if found, _ := w.check(t, fsck.Options{}); len(found) != 0 {
		t.Errorf("it is a problem:\n%s", found)
	}
	w.check(t, fsck.Options{Repair: true})
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
	if n := w.number(t, `SELECT COUNT(*) FROM blob WHERE deleting`); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}
