package registry_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// faults are the ways a disk breaks, with what a client is told.
var faults = []struct {
	errno  syscall.Errno
	status int
	says   string
}{
	{syscall.ENOSPC, http.StatusInsufficientStorage, "disk is full"},
	{syscall.EDQUOT, http.StatusInsufficientStorage, "disk is full"},
	{syscall.EROFS, http.StatusServiceUnavailable, "read-only"},
	{syscall.EIO, http.StatusServiceUnavailable, "disk"},
}

// Each step of each way to upload fails in each way: the client is told, the
// blob is not there, nothing is kept, and the next try works.
func TestBlobDiskFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, s := range styles() {
		for _, op := range []string{"open uploads", "write uploads", "sync uploads", "rename uploads", "syncdir"} {
			for _, f := range faults {
				what := fmt.Sprintf("%s, %s: %v", s.name, op, f.errno)
				content := randomBytes(3000)
				w.content.breakDown(op, f.errno)
				s.send(t, w, content).refused(t, what, f.status, f.says)
				w.content.repair()
				w.absent(t, what, content)
				if left := w.files(t, "uploads"); len(left) > 0 && op != "write uploads" && s.name != "POST+PATCH+PATCH+PUT" && op != "open uploads" {
					t.Errorf("%s: an upload that has ended left %v", what, left)
				}
				w.reclaimed(t, what)
				if a := s.send(t, w, content); a.status != http.StatusCreated {
					t.Errorf("%s: then %d %s", what, a.status, a.body)
				}
				w.want(t, http.StatusCreated, http.MethodPost, "/v2/"+repo+"/blobs/uploads/?digest="+digestOf(content), content)
				if n := len(w.copies(t, content)); op != "syncdir" && n != 1 {
					t.Errorf("%s: %d files hold the blob", what, n)
				}
			}
		}
	}
}

// A manifest is written like a blob; its tag stays where it was.
func TestManifestDiskFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := randomBytes(100)
	w.push(t, "latest", old)
	for _, op := range []string{"open uploads", "write uploads", "sync uploads", "rename uploads", "syncdir"} {
		for _, f := range faults {
			what := fmt.Sprintf("%s: %v", op, f.errno)
			content := randomBytes(3000)
			w.want(t, http.StatusCreated, http.MethodPost, "/v2/"+repo+"/blobs/uploads/?digest="+digestOf(content), content)
			w.content.breakDown(op, f.errno)
			w.putManifest(t, "latest", document(content)).refused(t, what, f.status, f.says)
			w.content.repair()
			w.whole(t, "latest", old)
			w.want(t, http.StatusNotFound, http.MethodGet, "/v2/"+repo+"/manifests/"+digestOf(document(content)), nil)
			w.reclaimed(t, what)
			w.push(t, "latest", content)
			w.whole(t, "latest", content)
			old = content
		}
	}
}

// The journal comes before the commit: where it cannot be written, nothing
// happened.
func TestJournalDiskFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := randomBytes(100)
	w.push(t, "latest", old)
	for _, op := range []string{"write journal", "sync journal"} {
		for _, f := range faults {
			what := fmt.Sprintf("%s: %v", op, f.errno)
			content := randomBytes(500)
			w.want(t, http.StatusCreated, http.MethodPost, "/v2/"+repo+"/blobs/uploads/?digest="+digestOf(content), content)
			w.log.breakDown(op, f.errno)
			a := w.putManifest(t, "latest", document(content))
			w.log.repair()
			if op == "sync journal" {
				// The cut back failed as well: only a new start finds the end.
				a.refused(t, what, http.StatusServiceUnavailable, "restart")
				w.putManifest(t, "latest", document(content)).refused(t, what+", again", http.StatusServiceUnavailable, "restart")
				w.whole(t, "latest", old)
				w.restart(t)
			} else {
				status := f.status
				if f.errno == syscall.EROFS || f.errno == syscall.EIO {
					status = http.StatusServiceUnavailable
				}
				a.refused(t, what, status, "disk")
			}
			w.whole(t, "latest", old)
			w.want(t, http.StatusNotFound, http.MethodGet, "/v2/"+repo+"/manifests/"+digestOf(document(content)), nil)
			w.push(t, "latest", content)
			w.whole(t, "latest", content)
			old = content
		}
	}
	w.log.breakDown("write journal", syscall.EIO)
	w.do(t, http.MethodDelete, "/v2/"+repo+"/manifests/latest", nil).refused(t, "delete", http.StatusServiceUnavailable, "disk")
	w.log.repair()
	w.whole(t, "latest", old)
}

// A digest that does not fit ends the upload, and its space comes back.
func TestWrongDigest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content, other := randomBytes(1000), randomBytes(1000)
	for _, algorithm := range []string{"", "sha512:" + strings.Repeat("0", 128)} {
		want := algorithm
		if want == "" {
			want = digestOf(other)
		}
		a := w.do(t, http.MethodPost, "/v2/"+repo+"/blobs/uploads/?digest="+want, content)
		a.refused(t, "POST", http.StatusBadRequest, "DIGEST_INVALID")
		location := w.want(t, http.StatusAccepted, http.MethodPost, "/v2/"+repo+"/blobs/uploads/", nil).header.Get("Location")
		w.want(t, http.StatusAccepted, http.MethodPatch, location, content)
		w.do(t, http.MethodPut, location+"?digest="+want, nil).refused(t, "PUT", http.StatusBadRequest, "DIGEST_INVALID")
		w.do(t, http.MethodPut, location+"?digest="+digestOf(content), nil).refused(t, "PUT again", http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN")
	}
	if left := w.files(t, "uploads"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	w.absent(t, "content", content)
	w.absent(t, "other", other)
	a := w.putManifest(t, digestOf(other), document(content))
	a.refused(t, "manifest", http.StatusBadRequest, "DIGEST_INVALID")
}

// Many push one blob at once: one file is left, and all are served.
func TestSameBlobAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for round := range 5 {
		content := randomBytes(200_000)
		var group sync.WaitGroup
		for i := range 9 {
			group.Go(func() {
				if a := styles()[i%3].send(t, w, content); a.status != http.StatusCreated {
					t.Errorf("round %d: %d %s", round, a.status, a.body)
				}
			})
		}
		group.Wait()
		if files := w.copies(t, content); len(files) != 1 {
			t.Errorf("round %d: the blob is in %d files", round, len(files))
		}
		if a := w.want(t, http.StatusOK, http.MethodGet, "/v2/"+repo+"/blobs/"+digestOf(content), nil); a.body != string(content) {
			t.Error("the blob has other bytes")
		}
	}
	if left := w.files(t, "uploads"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// Many move one tag at once: it names one of the images, and all are whole.
func TestSameTagAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 3 {
		var contents [8][]byte
		var group sync.WaitGroup
		for i := range contents {
			contents[i] = randomBytes(2000)
			group.Go(func() { w.push(t, "latest", contents[i]) })
		}
		group.Wait()
		named := 0
		tagged := w.want(t, http.StatusOK, http.MethodGet, "/v2/"+repo+"/manifests/latest", nil).body
		for _, content := range contents {
			if tagged == string(document(content)) {
				named++
			}
			w.whole(t, digestOf(document(content)), content)
		}
		if named != 1 {
			t.Errorf("the tag names %d of the images", named)
		}
	}
}

// One manifest is pushed many times at once: it is counted and charged once.
func TestSameManifestAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := randomBytes(2000)
	w.want(t, http.StatusCreated, http.MethodPost, "/v2/"+repo+"/blobs/uploads/?digest="+digestOf(content), content)
	before := w.used(t)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			if a := w.putManifest(t, fmt.Sprintf("t%d", i%2), document(content)); a.status != http.StatusCreated {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	group.Wait()
	if charged := w.used(t) - before; charged != int64(len(content)+len(document(content))) {
		t.Errorf("the project was charged %d bytes for %d", charged, len(content)+len(document(content)))
	}
	if files := w.copies(t, document(content)); len(files) != 1 {
		t.Errorf("the manifest is in %d files", len(files))
	}
}

// The clock went back an hour: all that is stored is from the future. What is
// there is served, and everything goes on.
func TestClockGoesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, gone := randomBytes(1000), randomBytes(1000)
	w.push(t, "latest", first)
	w.push(t, "gone", gone)
	hour := time.Hour.Microseconds()
	for _, change := range []string{
		`UPDATE blob SET created_at = created_at + $1`, `UPDATE blob_link SET leased_until = leased_until + $1`,
		`UPDATE repository SET published_at = published_at + $1, updated_at = updated_at + $1`,
		`UPDATE manifest SET pushed_at = pushed_at + $1`, `UPDATE tag SET pushed_at = pushed_at + $1`,
		`UPDATE project SET created_at = created_at + $1, updated_at = updated_at + $1`,
		`UPDATE account SET created_at = created_at + $1, updated_at = updated_at + $1`,
	} {
		w.edit(t, change, hour)
	}
	w.restart(t)
	w.whole(t, "latest", first)
	w.want(t, http.StatusOK, http.MethodHead, "/v2/"+repo+"/blobs/"+digestOf(first), nil)
	second := randomBytes(1000)
	w.push(t, "latest", second)
	w.whole(t, "latest", second)
	w.whole(t, digestOf(document(first)), first)
	w.want(t, http.StatusAccepted, http.MethodDelete, "/v2/"+repo+"/manifests/"+digestOf(document(gone)), nil)
	w.push(t, "gone", gone)
	w.whole(t, "gone", gone)
	if rows, err := w.app.VerifyAudit(t.Context()); err != nil || rows == 0 {
		t.Errorf("the audit log has %d rows: %v", rows, err)
	}
}

// used is what the project is charged, in bytes.
func (w *world) used(t *testing.T) int64 {
	t.Helper()
	quota, err := w.app.Quota(t.Context(), system, w.project)
	if err != nil {
		t.Fatal(err)
	}
	return quota.QuotaUsed
}
