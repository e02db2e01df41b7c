package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// ErrDamaged is the cause of the CodeNotFound that content has whose file
// cannot be read. A push of the same content makes it whole again.
var ErrDamaged = errors.New("damaged")

func damaged(digest string) error {
	return &core.Error{Code: core.CodeNotFound, Message: fmt.Sprintf("the content of %s is damaged; push it again", digest), Err: ErrDamaged}
}

// whole refuses a blob whose file cannot be read.
func whole(blob store.LinkedBlob) error {
	if blob.Damaged {
		return damaged(blob.Digest)
	}
	return nil
}

// CheckPage is how many rows one read of a check takes.
const CheckPage = 200

// Checks is what registry/fsck reads and repairs in the database, in steps that
// are each a transaction. No caller is asked for its rights.
type Checks struct{ app *App }

// Checks returns the steps of a check.
func (a *App) Checks() Checks { return Checks{a} }

// read makes one read transaction of a list.
func read[T any](ctx context.Context, c Checks, list func(tx *store.Tx) (T, error)) (result T, err error) {
	err = c.app.store.View(ctx, func(tx *store.Tx) error {
		result, err = list(tx)
		return err
	})
	return result, err
}

// Integrity returns what the database engine finds wrong with its own file.
func (c Checks) Integrity(ctx context.Context) ([]store.Fault, error) {
	return c.app.store.Integrity(ctx)
}

// RemoveStrayLinks removes the links to what does not exist. What they stood
// for is found again in the manifests.
func (c Checks) RemoveStrayLinks(ctx context.Context) error {
	return c.app.store.Update(ctx, (*store.Tx).RemoveStrayLinks)
}

// Audit verifies the chain of the audit log and counts its rows.
func (c Checks) Audit(ctx context.Context) (int64, error) { return c.app.VerifyAudit(ctx) }

// CountBlobs returns how many blobs there are to check, and their bytes.
func (c Checks) CountBlobs(ctx context.Context) (n, bytes int64, err error) {
	err = c.app.store.View(ctx, func(tx *store.Tx) error {
		n, bytes, err = tx.CountBlobs()
		return err
	})
	return n, bytes, err
}

// Blobs lists the next blobs after the id.
func (c Checks) Blobs(ctx context.Context, after int64) ([]store.CheckedBlob, error) {
	return read(ctx, c, func(tx *store.Tx) ([]store.CheckedBlob, error) { return tx.BlobsToCheck(after, CheckPage) })
}

// IsCurrent says whether the blob is still as it was read: not collected and
// not pushed again.
func (c Checks) IsCurrent(ctx context.Context, b store.CheckedBlob) (bool, error) {
	now, err := read(ctx, c, func(tx *store.Tx) (store.CheckedBlob, error) { return tx.BlobOf(b.Digest) })
	if errors.Is(err, store.ErrNoRow) {
		return false, nil
	}
	return now == b, err
}

// maxUses bounds how many images are named that need a damaged blob.
const maxUses = 1000

// Uses names the images that need the blob, as PROJECT/REPOSITORY:TAG where
// there is a tag, else by their digest; more says that there are others.
func (c Checks) Uses(ctx context.Context, id int64) (names []string, more bool, err error) {
	err = c.app.store.View(ctx, func(tx *store.Tx) error {
		names, more, err = usesOf(tx, id)
		return err
	})
	return names, more, err
}

func usesOf(tx *store.Tx, id int64) (names []string, more bool, err error) {
	uses, err := tx.BlobUses(id, maxUses+1)
	for _, u := range uses {
		name := u.Repository + "@" + u.Digest
		if u.Tag != "" {
			name = u.Repository + ":" + u.Tag
		}
		names = append(names, name)
	}
	names, more = cut(names, maxUses)
	return names, more, err
}

// MarkDamaged has pulls of the blob refused until it is pushed again, and that
// audited. It says false where the blob was collected or pushed again meanwhile.
func (c Checks) MarkDamaged(ctx context.Context, b core.Blob, fault string) (marked bool, err error) {
	err = c.app.update(ctx, itself, func(s *session) error {
		if marked, err = s.MarkDamaged(b); err != nil || !marked {
			return err
		}
		uses, _, err := usesOf(s.Tx, b.ID)
		if err != nil {
			return err
		}
		return s.auditBlob(b, fmt.Sprintf("damaged: %s; it is part of %s", fault, someOf(uses)))
	})
	return marked, err
}

// MarkWhole gives the blob b.ID the file b, which holds its content.
func (c Checks) MarkWhole(ctx context.Context, b core.Blob, why string) error {
	return c.app.update(ctx, itself, func(s *session) error {
		found, err := s.MarkWhole(b)
		if err != nil || !found {
			return err
		}
		return s.auditBlob(b, why)
	})
}

func (s *session) auditBlob(b core.Blob, description string) error {
	return s.audit(act{operation: "update", resourceType: "blob", resource: "the registry", digest: b.Digest, description: core.Clip(description, 2000)})
}

// someOf names the first few of the uses.
func someOf(uses []string) string {
	const shown = 10
	if len(uses) == 0 {
		return "no image"
	}
	text := strings.Join(uses[:min(shown, len(uses))], ", ")
	if len(uses) > shown {
		text += " and more"
	}
	return text
}

// Manifests lists the next manifests after the id.
func (c Checks) Manifests(ctx context.Context, after int64) ([]store.CheckedManifest, error) {
	return read(ctx, c, func(tx *store.Tx) ([]store.CheckedManifest, error) { return tx.ManifestsToCheck(after, CheckPage) })
}

// Manifest reads one manifest again; CodeNotFound when it is gone.
func (c Checks) Manifest(ctx context.Context, id int64) (store.CheckedManifest, error) {
	m, err := read(ctx, c, func(tx *store.Tx) (store.CheckedManifest, error) { return tx.ManifestToCheck(id) })
	return m, c.app.result(itself, err)
}

// Detached lists the manifests whose row does not name their content.
func (c Checks) Detached(ctx context.Context) ([]store.DetachedManifest, error) {
	return read(ctx, c, (*store.Tx).DetachedManifests)
}

// Attach has the row of the manifest name its content: the blob that there is,
// else the file spare, else one that a push makes whole.
func (c Checks) Attach(ctx context.Context, m store.DetachedManifest, spare Spare) error {
	return c.app.update(ctx, itself, func(s *session) error {
		id, err := s.findBlob(m.Digest, m.Size, spare)
		if err != nil {
			return err
		}
		return s.AttachManifest(m.ID, id)
	})
}

// Spare returns a whole file of the digest that no row knows, if there is one.
type Spare func(digest string) (core.Blob, bool)

// CorrectManifest writes what the content m of the manifest says into its row,
// and links what it refers to. left are the digests of entries of an index that are not there.
func (c Checks) CorrectManifest(ctx context.Context, id int64, m core.Manifest, spare Spare) (left []string, err error) {
	err = c.app.update(ctx, itself, func(s *session) error {
		row, err := s.ManifestToCheck(id)
		if err != nil {
			return err
		}
		k := correction{session: s, row: row, manifest: m, spare: spare}
		left, err = k.run()
		return err
	})
	return left, err
}

// correction is one manifest whose row does not say what its content does.
type correction struct {
	*session
	row      store.CheckedManifest
	manifest core.Manifest
	spare    Spare
}

func (k correction) run() (left []string, err error) {
	if err := k.blobs(); err != nil {
		return nil, err
	}
	if left, err = k.children(); err != nil {
		return nil, err
	}
	a, m := k.row.Artifact, k.manifest
	a.MediaType, a.ArtifactType, a.Config, a.Kind, a.Size = m.MediaType, m.ArtifactType, m.Config, m.Kind, m.Size
	a.Subject, a.Annotations, a.TotalSize = m.Subject, m.Annotations, 0
	used, err := k.ManifestBlobs(a.ID)
	for _, b := range used {
		a.TotalSize += b.Size
	}
	if err != nil {
		return nil, err
	}
	return left, k.Tx.CorrectManifest(a)
}

// blobs has the manifest use the blobs that it names, and no others.
func (k correction) blobs() error {
	used := map[string]int64{}
	for _, b := range k.row.Blobs {
		used[b.Digest] = b.ID
	}
	wanted := map[string]int64{k.row.Digest: k.row.Size}
	for _, d := range k.manifest.Blobs {
		wanted[d.Digest] = d.Size
	}
	for _, digest := range slices.Sorted(maps.Keys(wanted)) {
		if _, ok := used[digest]; ok {
			continue
		}
		id, err := k.findBlob(digest, wanted[digest], k.spare)
		if err != nil {
			return err
		}
		if err := k.UseBlob(k.row.Artifact, id); err != nil {
			return err
		}
		if err := k.LinkBlob(k.row.RepositoryID, id, k.Now().Add(leaseTime)); err != nil {
			return err
		}
	}
	for digest, id := range used {
		if _, ok := wanted[digest]; ok {
			continue
		}
		if err := k.UnuseBlob(k.row.ID, id); err != nil {
			return err
		}
	}
	return nil
}

// findBlob returns the row of the blob, which is made where it was missing: of
// a spare file, or damaged so that a push makes it whole.
func (s *session) findBlob(digest string, size int64, spare Spare) (int64, error) {
	b, err := s.BlobOf(digest)
	if err == nil && !b.Damaged || err != nil && !errors.Is(err, store.ErrNoRow) {
		return b.ID, err
	}
	if file, ok := spare(digest); ok {
		return s.CreateBlob(file)
	}
	if b.Damaged {
		return b.ID, nil
	}
	return s.CreateDamagedBlob(digest, size)
}

// children has the index list the entries that its content does, and no others.
func (k correction) children() (left []string, err error) {
	wanted := map[string]bool{}
	for _, d := range k.manifest.Children {
		if wanted[d.Digest] {
			continue
		}
		wanted[d.Digest] = true
		id, err := k.ManifestID(k.row.RepositoryID, d.Digest)
		if errors.Is(err, store.ErrNoRow) {
			left = append(left, d.Digest)
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := k.AddChild(k.row.ID, id, d); err != nil {
			return nil, err
		}
	}
	listed, err := k.ChildrenOf([]int64{k.row.ID})
	for _, child := range listed[k.row.ID] {
		if err == nil && !wanted[child.Digest] {
			err = k.RemoveChild(k.row.ID, child.ID)
		}
	}
	return left, err
}

// Sums are the figures and links that do not follow from the manifests.
type Sums struct {
	Quotas    []store.Drift // of projects, bytes
	Artifacts []store.Drift // of repositories
	Hidden    []core.Repository
	Links     []store.StrayUse // uses without a link
	Misplaced []store.StrayUse // uses under another repository
}

// Sums looks for what does not add up.
func (c Checks) Sums(ctx context.Context) (Sums, error) { return read(ctx, c, sums) }

func sums(tx *store.Tx) (s Sums, err error) {
	if s.Quotas, err = tx.WrongQuotas(); err != nil {
		return s, err
	}
	if s.Artifacts, err = tx.WrongArtifactCounts(); err != nil {
		return s, err
	}
	if s.Hidden, err = tx.HiddenRepositories(); err != nil {
		return s, err
	}
	if s.Links, err = tx.MissingLinks(); err != nil {
		return s, err
	}
	s.Misplaced, err = tx.MisplacedUses()
	return s, err
}

// CorrectSums recounts all of it, in one transaction.
func (c Checks) CorrectSums(ctx context.Context) error {
	return c.app.update(ctx, itself, func(s *session) error {
		wrong, err := sums(s.Tx)
		if err != nil {
			return err
		}
		for _, u := range wrong.Misplaced {
			if err := s.PlaceUse(u); err != nil {
				return err
			}
		}
		for _, u := range wrong.Links {
			if err := s.LinkBlob(u.RepositoryID, u.BlobID, s.Now().Add(leaseTime)); err != nil {
				return err
			}
		}
		for _, r := range wrong.Hidden {
			if _, err := s.PublishRepository(r.ID); err != nil {
				return err
			}
		}
		return s.recount()
	})
}

// recount corrects the figures, which depend on everything else.
func (s *session) recount() error {
	quotas, err := s.WrongQuotas()
	for _, d := range quotas {
		if err == nil {
			err = s.SetUsage(d.ID, d.Actual)
		}
	}
	if err != nil {
		return err
	}
	counts, err := s.WrongArtifactCounts()
	for _, d := range counts {
		if err == nil {
			err = s.SetArtifactCount(d.ID, d.Actual)
		}
	}
	return err
}

// Tags lists the next tags after the id.
func (c Checks) Tags(ctx context.Context, after int64) ([]store.CheckedTag, error) {
	return read(ctx, c, func(tx *store.Tx) ([]store.CheckedTag, error) { return tx.TagsToCheck(after, CheckPage) })
}

// CorrectTag lets a tag that points into another repository point at the same
// manifest in its own. It says false when its own does not have it.
func (c Checks) CorrectTag(ctx context.Context, t store.CheckedTag) (corrected bool, err error) {
	err = c.app.update(ctx, itself, func(s *session) error {
		id, err := s.ManifestID(t.RepositoryID, t.Digest)
		if errors.Is(err, store.ErrNoRow) {
			return nil
		}
		if err != nil {
			return err
		}
		corrected = true
		return s.PointTag(t.ID, id)
	})
	return corrected, err
}

// Repositories lists the next published repositories after the id.
func (c Checks) Repositories(ctx context.Context, after int64) ([]core.Repository, error) {
	return read(ctx, c, func(tx *store.Tx) ([]core.Repository, error) { return tx.PublishedRepositories(after, CheckPage) })
}

// JournalPosition returns the last entry of the journal that the database has
// taken in; known is false for a database that has taken in none.
func (c Checks) JournalPosition(ctx context.Context) (last uint64, known bool, err error) {
	last, err = read(ctx, c, (*store.Tx).JournalPosition)
	if errors.Is(err, store.ErrNoRow) {
		return 0, false, nil
	}
	return last, err == nil, err
}

// AmendJournal records changes that the database has and the journal lacks, or
// the other way round.
func (c Checks) AmendJournal(ctx context.Context, entries []core.JournalEntry) error {
	return c.app.store.Update(ctx, func(tx *store.Tx) error {
		tx.Record(entries...)
		return nil
	})
}

// Record writes the audit row of a run that repaired something.
func (c Checks) Record(ctx context.Context, success bool, description string) error {
	return c.app.update(ctx, itself, func(s *session) error {
		event := s.event(act{operation: "update", resourceType: "integrity", resource: "the registry", description: description})
		event.Success = success
		return s.AppendAudit(event)
	})
}

// SetJournalPosition notes that the database agrees with the journal up to the
// entry last.
func (c Checks) SetJournalPosition(ctx context.Context, last uint64) error {
	return c.app.store.Update(ctx, func(tx *store.Tx) error { return tx.SetJournalPosition(last) })
}

// DatabaseMade returns when the database was made.
func (c Checks) DatabaseMade(ctx context.Context) (time.Time, error) {
	return read(ctx, c, (*store.Tx).CreatedAt)
}
