package fsck

import (
	"context"
	"fmt"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/blobs"
	"github.com/breakwater-registry/breakwater/store"
)

// blobFiles compares every row of a blob with its file.
func (r *run) blobFiles(ctx context.Context) error {
	n, bytes, err := r.checks.CountBlobs(ctx)
	if err != nil {
		return err
	}
	if r.Fast {
		r.Progress.Phase("blobs", n, false)
	} else {
		r.Progress.Phase("blobs", bytes, true)
	}
	return each(ctx, r, r.checks.Blobs, func(b store.CheckedBlob) int64 { return b.ID }, r.blob)
}

func (r *run) blob(ctx context.Context, b store.CheckedBlob) error {
	found, err := r.look(ctx, b)
	if err != nil {
		return err
	}
	r.count(b.Size)
	if found.Whole() && found.Size == b.Size && !b.Damaged {
		return nil
	}
	if r.Beside {
		current, err := r.checks.IsCurrent(ctx, b)
		if err != nil || !current {
			return err
		}
	}
	switch {
	case !found.Whole():
		return r.damaged(ctx, b, found)
	case b.Damaged:
		return r.wholeAgain(ctx, b, found, "its file was found damaged, but is whole")
	}
	return r.wholeAgain(ctx, b, found, fmt.Sprintf("its row says %d bytes, its file has %d", b.Size, found.Size))
}

func (r *run) count(size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Blobs++
	r.result.Bytes += size
}

// look tells what the file is. A fast check reads only what looks wrong.
func (r *run) look(ctx context.Context, b store.CheckedBlob) (blobs.Finding, error) {
	file := fileOf(b.Blob)
	if r.Fast {
		r.Progress.Add(1)
		size, exists, err := r.Blobs.Stat(ctx, file)
		if err != nil || (exists && size == b.Size && !b.Damaged) {
			return blobs.Finding{Size: size}, err
		}
		return inspect(ctx, r.Blobs, b, nil)
	}
	return inspect(ctx, r.Blobs, b, func(_ context.Context, n int) error { r.Progress.Add(int64(n)); return nil })
}

// inspect is FileStore.Inspect with a fault that also tells of a wrong size.
func inspect(ctx context.Context, files *blobs.FileStore, b store.CheckedBlob, pace func(context.Context, int) error) (blobs.Finding, error) {
	found, err := files.Inspect(ctx, fileOf(b.Blob), pace)
	if found.Digest != "" && !found.Whole() && found.Size != b.Size {
		found.Fault = fmt.Sprintf("its file has %d bytes instead of %d", found.Size, b.Size)
	}
	return found, err
}

// wholeAgain handles a row that is wrong about a good file.
func (r *run) wholeAgain(ctx context.Context, b store.CheckedBlob, found blobs.Finding, text string) error {
	p := Problem{Subject: "blob " + b.Digest, Text: text}
	if r.Repair {
		b.Size = found.Size
		if err := r.checks.MarkWhole(ctx, b.Blob, "verified; "+text); err != nil {
			return err
		}
		p.Repair = "the row is corrected"
	}
	r.report(p)
	return nil
}

// damaged handles a file that is not what its row says: another copy takes its
// place where there is one.
func (r *run) damaged(ctx context.Context, b store.CheckedBlob, found blobs.Finding) (err error) {
	p := Problem{Subject: "blob " + b.Digest, Text: found.Fault}
	if b.Damaged {
		p.Text = "is damaged since an earlier check; push it again"
	}
	if p.Uses, p.More, err = r.checks.Uses(ctx, b.ID); err != nil {
		return err
	}
	if r.Repair {
		if p.Repair, err = r.mend(ctx, b, found); err != nil {
			return err
		}
	}
	r.report(p)
	return nil
}

// mend returns what it did; empty when the blob was out of the way before.
func (r *run) mend(ctx context.Context, b store.CheckedBlob, found blobs.Finding) (string, error) {
	if done, err := r.restore(ctx, b); done || err != nil {
		return "moved back from the quarantine, where it is whole", err
	}
	if spare, ok, err := r.spare(ctx, b.Digest); err != nil {
		return "", err
	} else if ok {
		spare.ID = b.ID
		if err := r.checks.MarkWhole(ctx, spare, found.Fault+"; another whole file of it takes its place"); err != nil {
			return "", err
		}
		return "another whole file of it takes its place", r.Blobs.Quarantine(ctx, fileOf(b.Blob))
	}
	return SetAside(ctx, r.checks, r.Blobs, b, found)
}

// marker is what SetAside needs of the database.
type marker interface {
	MarkDamaged(ctx context.Context, b core.Blob, fault string) (bool, error)
}

// SetAside marks a damaged blob, so that pulls are refused and a push makes it
// whole, and moves its file to the quarantine. It returns what it did; empty
// when that had been done before.
func SetAside(ctx context.Context, checks marker, files *blobs.FileStore, b store.CheckedBlob, found blobs.Finding) (string, error) {
	if !b.Damaged {
		marked, err := checks.MarkDamaged(ctx, b.Blob, found.Fault)
		if err != nil {
			return "", err
		}
		if !marked {
			return "it was pushed again or removed meanwhile", nil
		}
	}
	_, exists, err := files.Stat(ctx, fileOf(b.Blob))
	switch {
	case err != nil:
		return "", err
	case !exists && b.Damaged:
		return "", nil
	case !exists:
		return "marked as damaged; push one of the images again to make it whole", nil
	}
	return "its file is in the quarantine; push one of the images again to make it whole", files.Quarantine(ctx, fileOf(b.Blob))
}

// restore takes the blob's file back from the quarantine when it is whole: the
// disk, or the one who marked it, may have erred.
func (r *run) restore(ctx context.Context, b store.CheckedBlob) (bool, error) {
	found, err := r.Blobs.InspectQuarantined(ctx, fileOf(b.Blob))
	if err != nil || !found.Whole() {
		return false, err
	}
	if err := r.Blobs.Restore(ctx, fileOf(b.Blob)); err != nil {
		return false, err
	}
	b.Size = found.Size
	return true, r.checks.MarkWhole(ctx, b.Blob, "its file in the quarantine is whole and was moved back")
}

// spare returns a whole file with the digest that no row knew when the check began.
func (r *run) spare(ctx context.Context, digest string) (core.Blob, bool, error) {
	for _, f := range r.orphans[digest] {
		found, err := r.Blobs.Inspect(ctx, f, nil)
		if err != nil {
			return core.Blob{}, false, err
		}
		if found.Whole() {
			return core.Blob{Digest: digest, Generation: f.Generation, Size: found.Size}, true, nil
		}
	}
	return core.Blob{}, false, nil
}
