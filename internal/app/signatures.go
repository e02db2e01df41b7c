package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// JobSignatures is the kind of job that verifies the signatures of cosign and
// notation which came, went or have to be looked at anew.
const JobSignatures = "SIGNATURES"

const (
	// maxSignatureManifests bounds how many manifests with signatures of one
	// other count, the newest; each push of one verifies only that.
	maxSignatureManifests = 1000
	// retrySignatures is how long a failure to read waits for the next try.
	retrySignatures = time.Minute
)

// signaturesChanged has the signatures of a manifest looked at once the
// transaction is durable.
func (s *session) signaturesChanged(repositoryID int64, subject string) error {
	if err := s.SetSignaturesDue(repositoryID, subject); err != nil {
		return err
	}
	return s.queueSignatures()
}

func (s *session) queueSignatures() error {
	_, err := s.queue(newJob{kind: JobSignatures, trigger: core.JobTriggerEvent, parameters: struct{}{}})
	return err
}

// tagSigned is signaturesChanged for a tag that came, went or moved; all but
// cosign's are of no interest.
func (s *session) tagSigned(repositoryID int64, tag string) error {
	if subject := core.SignedByTag(tag); subject != "" {
		return s.signaturesChanged(repositoryID, subject)
	}
	return nil
}

// manifestSigned is signaturesChanged for a manifest that is new: it may be a
// signature, and it may be signed already.
func (s *session) manifestSigned(a core.Artifact) error {
	if a.Subject != "" && a.Kind == core.KindSignature {
		if err := s.signaturesChanged(a.RepositoryID, a.Subject); err != nil {
			return err
		}
	}
	signed, err := s.HasSignatureManifests(a.RepositoryID, a.Digest)
	if err != nil || !signed {
		return err
	}
	return s.signaturesChanged(a.RepositoryID, a.Digest)
}

// unsign forgets the signatures of a manifest that is being removed, with its
// tags, and notes those that were in it.
func (s *session) unsign(repositoryID, manifestID int64, digest string, tags []string) error {
	for _, tag := range tags {
		if err := s.tagSigned(repositoryID, tag); err != nil {
			return err
		}
	}
	if err := s.DeleteSignatures(repositoryID, digest, ""); err != nil {
		return err
	}
	for _, kind := range []core.TrustKind{core.TrustCosign, core.TrustNotation} {
		if err := s.ReplaceTrustFacts(repositoryID, kind, digest, nil); err != nil {
			return err
		}
	}
	subject, err := s.SignedBy(manifestID)
	if err != nil || subject == "" {
		return err
	}
	return s.signaturesChanged(repositoryID, subject)
}

// Signatures lists what is known of the signatures of an artifact, also of
// those that do not verify, and counts all that match.
func (a *App) Signatures(ctx context.Context, c core.Caller, full, reference string, q core.Query) (list []core.Signature, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		_, repo, err := s.repository(full, core.ResAccessory, core.ActList)
		if err != nil {
			return err
		}
		found, err := s.find(full, reference)
		if err != nil {
			return err
		}
		list, total, err = s.ListSignatures(repo.ID, found.Digest, q)
		return err
	})
	return list, total, err
}

// trustOf returns the facts about artifacts by their id: a signature counts in
// its own repository only.
func (s *session) trustOf(plain []core.Artifact) (map[int64][]core.TrustFact, error) {
	digests := map[int64][]string{}
	for _, p := range plain {
		digests[p.RepositoryID] = append(digests[p.RepositoryID], p.Digest)
	}
	byRepository := map[int64]map[string][]core.TrustFact{}
	for id, list := range digests {
		facts, err := s.TrustFactsOf(id, list)
		if err != nil {
			return nil, err
		}
		byRepository[id] = facts
	}
	trust := make(map[int64][]core.TrustFact, len(plain))
	for _, p := range plain {
		trust[p.ID] = byRepository[p.RepositoryID][p.Digest]
	}
	return trust, nil
}

// markSigned notes on each tag of an artifact whether a signature counts for it.
func markSigned(trust []core.TrustFact, tags []core.Tag, now time.Time) {
	for i := range tags {
		tags[i].Signed = slices.ContainsFunc(trust, func(f core.TrustFact) bool {
			return (f.Tag == "" || f.Tag == tags[i].Name) && f.Valid(now)
		})
	}
}

// The rest is for the job that verifies; no caller is asked for its rights.

// QueueSignatures queues the job when anything waits for it, such as after a
// failure.
func (a *App) QueueSignatures(ctx context.Context) error {
	return a.update(ctx, itself, func(s *session) error {
		due, err := s.HasDueSignatures()
		if err != nil || !due {
			return err
		}
		return s.queueSignatures()
	})
}

// SignatureWork is one manifest whose signatures are to be verified.
type SignatureWork struct {
	store.DueSignatures
	Anchors   []core.TrustAnchor // that its project trusts
	Manifests []SignatureSource  // to be verified
	target    core.Descriptor
	present   []string // digests of all manifests that may hold signatures
}

// SignatureSource is a manifest that may hold signatures.
type SignatureSource struct {
	core.Artifact
	blobs map[string]core.Blob
}

// NextSignatures returns what is to be verified next, nil when nothing is.
func (a *App) NextSignatures(ctx context.Context) (work *SignatureWork, err error) {
	err = a.view(ctx, itself, func(s *session) error {
		due, err := s.NextDueSignatures()
		if errors.Is(err, store.ErrNoRow) {
			return nil
		}
		if err != nil {
			return err
		}
		work = &SignatureWork{DueSignatures: due}
		return s.prepare(work)
	})
	return work, err
}

// prepare finds what may be a signature and is not known yet or, after a change
// of what is trusted, all. The signatures of what is gone are none.
func (s *session) prepare(w *SignatureWork) (err error) {
	target, err := s.ArtifactByDigest(w.Repository, w.Subject)
	if errors.Is(err, store.ErrNoRow) {
		return nil
	}
	if err != nil {
		return err
	}
	w.target = core.Descriptor{MediaType: target.MediaType, Digest: target.Digest, Size: target.Size}
	if w.Anchors, err = s.Tx.TrustAnchors(w.ProjectID); err != nil {
		return err
	}
	known, err := s.Tx.Signatures(w.RepositoryID, w.Subject)
	if err != nil {
		return err
	}
	manifests, err := s.SignatureManifests(w.RepositoryID, w.Subject, maxSignatureManifests)
	if err != nil {
		return err
	}
	for _, m := range manifests {
		w.present = append(w.present, m.Digest)
		if !w.Anew && slices.ContainsFunc(known, func(k core.Signature) bool { return k.Manifest == m.Digest }) {
			continue
		}
		source, err := s.source(m)
		if err != nil {
			return err
		}
		w.Manifests = append(w.Manifests, source)
	}
	return nil
}

func (s *session) source(m core.Artifact) (SignatureSource, error) {
	source := SignatureSource{Artifact: m, blobs: map[string]core.Blob{}}
	blobs, err := s.ManifestBlobs(m.ID)
	for _, b := range blobs {
		source.blobs[b.Digest] = b
	}
	return source, err
}

// maxSignatureManifest is the largest manifest with signatures that is read,
// in bytes; the registry takes no larger ones.
const maxSignatureManifest = 4 << 20

// SignatureManifest reads a manifest of the work.
func (a *App) SignatureManifest(ctx context.Context, w *SignatureWork, source SignatureSource) (core.SignatureManifest, error) {
	body, err := a.content.ReadBlob(ctx, source.Blob, maxSignatureManifest)
	return core.SignatureManifest{Digest: source.Digest, ArtifactType: source.ArtifactType, Subject: w.target, Body: body}, err
}

// ReadSignature reads a blob of at most max bytes that the manifest uses;
// CodeNotFound for every other one.
func (a *App) ReadSignature(ctx context.Context, source SignatureSource, digest string, max int64) ([]byte, error) {
	blob, ok := source.blobs[digest]
	if !ok {
		return nil, core.Errorf(core.CodeNotFound, "the manifest %s does not use the blob %s", source.Digest, core.Clip(digest, 80))
	}
	return a.content.ReadBlob(ctx, blob, max)
}

// PutOffSignatures has what could not be verified tried again a little later.
func (a *App) PutOffSignatures(ctx context.Context, w *SignatureWork) error {
	return a.update(ctx, itself, func(s *session) error {
		return s.Tx.PutOffSignatures(w.DueSignatures, retrySignatures.Microseconds())
	})
}

// SetSignatures keeps what was found about the manifests of the work, and makes
// the facts of it. Where more became due meanwhile, it stays due.
func (a *App) SetSignatures(ctx context.Context, w *SignatureWork, found []core.Signature) error {
	return a.update(ctx, itself, func(s *session) error {
		known, err := s.Tx.Signatures(w.RepositoryID, w.Subject)
		if err != nil {
			return err
		}
		kept, err := s.keepSignatures(w, known)
		if err != nil {
			return err
		}
		for _, each := range found {
			if each, err = s.addSignature(w, each); err != nil {
				return err
			}
			kept = append(kept, each)
		}
		if err := s.setSignatureFacts(w, kept); err != nil {
			return err
		}
		_, err = s.EndDueSignatures(w.DueSignatures)
		return err
	})
}

// keepSignatures forgets the signatures that are gone or were looked at again,
// and returns the others.
func (s *session) keepSignatures(w *SignatureWork, known []core.Signature) ([]core.Signature, error) {
	var kept []core.Signature
	for _, k := range known {
		again := slices.ContainsFunc(w.Manifests, func(m SignatureSource) bool { return m.Digest == k.Manifest })
		if !again && slices.Contains(w.present, k.Manifest) {
			kept = append(kept, k)
			continue
		}
		if err := s.DeleteSignatures(w.RepositoryID, w.Subject, k.Manifest); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// addSignature keeps one signature. Where it does not tell when it was made,
// that is when it came.
func (s *session) addSignature(w *SignatureWork, each core.Signature) (core.Signature, error) {
	each.RepositoryID, each.Subject = w.RepositoryID, w.Subject
	if i := slices.IndexFunc(w.Manifests, func(m SignatureSource) bool { return m.Digest == each.Manifest }); i >= 0 && each.SignedAt.IsZero() {
		each.SignedAt = w.Manifests[i].PushedAt
	}
	return each, s.AddSignature(each)
}

// setSignatureFacts makes the facts of the signatures that verified: one for
// each key. It writes an audit row where something changed.
func (s *session) setSignatureFacts(w *SignatureWork, all []core.Signature) error {
	before, err := s.TrustFacts(w.RepositoryID, w.Subject)
	if err != nil {
		return err
	}
	for _, kind := range []core.TrustKind{core.TrustCosign, core.TrustNotation} {
		facts := signatureFacts(w, kind, all)
		old := slices.DeleteFunc(slices.Clone(before), func(f core.TrustFact) bool { return f.Kind != kind })
		if slices.EqualFunc(old, facts, sameFact) {
			continue
		}
		if err := s.ReplaceTrustFacts(w.RepositoryID, kind, w.Subject, facts); err != nil {
			return err
		}
		err := s.audit(act{operation: "update", resourceType: "signature", resource: w.Repository + "@" + w.Subject,
			project: w.ProjectID, digest: w.Subject, description: fmt.Sprintf("%s: %s", kind, factsText(facts))})
		if err != nil {
			return err
		}
	}
	return nil
}

// signatureFacts are the facts of one kind, by key. Of several signatures with
// one key that counts which counts longest.
func signatureFacts(w *SignatureWork, kind core.TrustKind, all []core.Signature) []core.TrustFact {
	byKey := map[string]core.TrustFact{}
	for _, each := range all {
		if !each.Verified || each.Kind != kind {
			continue
		}
		f := core.TrustFact{RepositoryID: w.RepositoryID, Digest: w.Subject, Kind: kind, KeyID: each.KeyID, Signer: each.Signer,
			SignedAt: each.SignedAt, ValidUntil: each.ValidUntil}
		if other, ok := byKey[each.KeyID]; !ok || longer(f, other) {
			byKey[each.KeyID] = f
		}
	}
	facts := make([]core.TrustFact, 0, len(byKey))
	for _, f := range byKey {
		facts = append(facts, f)
	}
	slices.SortFunc(facts, func(a, b core.TrustFact) int { return cmp.Compare(a.KeyID, b.KeyID) })
	return facts
}

// longer says whether the first counts for longer than the second.
func longer(a, b core.TrustFact) bool {
	return !b.ValidUntil.IsZero() && (a.ValidUntil.IsZero() || a.ValidUntil.After(b.ValidUntil))
}

func sameFact(a, b core.TrustFact) bool {
	return a.KeyID == b.KeyID && a.Signer == b.Signer && a.SignedAt.UnixMicro() == b.SignedAt.UnixMicro() &&
		a.ValidUntil.UnixMicro() == b.ValidUntil.UnixMicro()
}

func factsText(facts []core.TrustFact) string {
	if len(facts) == 0 {
		return "no signature verifies any more"
	}
	names := make([]string, len(facts))
	for i, f := range facts {
		names[i] = "verified, signed by " + core.Clip(f.Signer, 100)
	}
	return core.Clip(strings.Join(names, "; "), 500)
}
