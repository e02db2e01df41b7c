package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

func TestTrustAnchors(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		p, other := twoProjects(t, s)
		key := core.TrustAnchor{ProjectID: p, Type: core.AnchorKey, Name: "ci", Content: "PEM", KeyID: "sha256:1", ExpiresAt: day.UTC(), CreatedBy: "ann"}
		var id int64
		update(t, s, func(tx *store.Tx) (err error) {
			id, err = tx.CreateTrustAnchor(key)
			return err
		})
		for _, same := range []core.TrustAnchor{{Name: "ci", KeyID: "sha256:2"}, {Name: "cd", KeyID: "sha256:1"}} {
			same.ProjectID, same.Type = p, core.AnchorKey
			if err := s.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.CreateTrustAnchor(same); return err }); !errors.Is(err, store.ErrDuplicate) {
				t.Errorf("a second %s %s: %v", same.Name, same.KeyID, err)
			}
		}
		view(t, s, func(tx *store.Tx) error {
			got, err := tx.TrustAnchor(p, id)
			if err != nil {
				return err
			}
			key.ID, key.CreatedAt = id, got.CreatedAt
			if got != key || got.CreatedAt.IsZero() {
				t.Errorf("anchor = %+v, want %+v", got, key)
			}
			if _, err := tx.TrustAnchor(other, id); err != store.ErrNoRow {
				t.Errorf("the anchor of another project: %v", err)
			}
			list, total, err := tx.ListTrustAnchors(p, core.Query{Page: 1, PageSize: 10, Filters: []core.Filter{{Field: "type", Values: []string{"cosign-key"}}}})
			if total != 1 || len(list) != 1 {
				t.Errorf("anchors = %+v, %d", list, total)
			}
			return err
		})
		update(t, s, func(tx *store.Tx) error {
			changed := key
			changed.Name, changed.KeyID, changed.ExpiresAt = "cd", "sha256:3", time.Time{}
			foreign := changed
			foreign.ProjectID = other
			if err := tx.UpdateTrustAnchor(foreign); err != store.ErrNoRow {
				t.Errorf("change in another project: %v", err)
			}
			if err := tx.UpdateTrustAnchor(changed); err != nil {
				return err
			}
			if got, err := tx.TrustAnchor(p, id); err != nil || got != changed {
				t.Errorf("anchor = %+v, %v, want %+v", got, err, changed)
			}
			if err := tx.DeleteTrustAnchor(other, id); err != store.ErrNoRow {
				t.Errorf("delete in another project: %v", err)
			}
			return tx.DeleteTrustAnchor(p, id)
		})
	})
}

// newSignature publishes a manifest that refers to another one.
func newSignature(t *testing.T, s *store.Store, projectID int64, repository, digest, subject, kind string) {
	t.Helper()
	update(t, s, func(tx *store.Tx) error {
		repositoryID, err := tx.EnsureRepository(projectID, repository)
		if err != nil {
			return err
		}
		a := core.Artifact{RepositoryID: repositoryID, ProjectID: projectID, Digest: digest, Kind: kind, Subject: subject}
		if a.Blob.ID, err = tx.CreateBlob(core.Blob{Digest: digest, Generation: 1}); err != nil {
			return err
		}
		_, err = tx.CreateManifest(a)
		return err
	})
}

func TestSignaturesBecomeDueAndAreFound(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		p, _ := twoProjects(t, s)
		signed := "sha256:" + strings.Repeat("ab", 32)
		newManifest(t, s, p, "p/app", signed)
		newSignature(t, s, p, "p/app", "sha256:referrer", signed, core.KindSignature)
		newSignature(t, s, p, "p/app", "sha256:sbom", signed, core.KindSBOM)
		newSignature(t, s, p, "p/else", "sha256:elsewhere", signed, core.KindSignature)
		tagged := newManifest(t, s, p, "p/app", "sha256:tagged")
		var repository int64
		update(t, s, func(tx *store.Tx) (err error) {
			if repository, err = tx.EnsureRepository(p, "p/app"); err != nil {
				return err
			}
			if _, err = tx.SetTag(repository, tagged, core.SignatureTag(signed)); err != nil {
				return err
			}
			return tx.SetProjectSignaturesDue(p)
		})
		var due []store.DueSignatures
		update(t, s, func(tx *store.Tx) error {
			for {
				d, err := tx.NextDueSignatures()
				if err == store.ErrNoRow {
					return nil
				}
				if err != nil {
					return err
				}
				due = append(due, d)
				if ended, err := tx.EndDueSignatures(d); err != nil || !ended {
					t.Fatalf("end %+v: %t, %v", d, ended, err)
				}
			}
		})
		if len(due) != 2 || !due[0].Anew || due[0].Subject != signed || due[0].ProjectID != p {
			t.Fatalf("due = %+v, want those of two repositories", due)
		}
		view(t, s, func(tx *store.Tx) error {
			list, err := tx.SignatureManifests(repository, signed, 10)
			if err != nil {
				return err
			}
			if len(list) != 2 || list[0].Digest != "sha256:tagged" || list[1].Digest != "sha256:referrer" {
				t.Errorf("manifests = %+v", list)
			}
			if found, err := tx.HasSignatureManifests(repository, "sha256:tagged"); found || err != nil {
				t.Errorf("a signature of a signature: %t, %v", found, err)
			}
			// Neither is an artifact of its own.
			artifacts, _, err := tx.Artifacts(repository, nil, core.Query{Page: 1, PageSize: 10})
			if len(artifacts) != 1 || artifacts[0].Digest != signed {
				t.Errorf("artifacts = %+v", artifacts)
			}
			accessories, total, err2 := tx.Accessories(repository, signed, core.Query{Page: 1, PageSize: 10})
			if total != 3 || len(accessories) != 3 {
				t.Errorf("accessories = %+v", accessories)
			}
			byDigest, err3 := tx.AccessoriesOf(repository, []string{signed, "sha256:none"}, 10)
			if len(byDigest) != 1 || len(byDigest[signed]) != 3 {
				t.Errorf("accessories by digest = %+v", byDigest)
			}
			return errors.Join(err, err2, err3)
		})
	})
}

// What becomes due again while it is looked at must be looked at again.
func TestSignaturesThatBecomeDueAgain(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		p, _ := twoProjects(t, s)
		newManifest(t, s, p, "p/app", "sha256:a")
		update(t, s, func(tx *store.Tx) error {
			repository, err := tx.EnsureRepository(p, "p/app")
			if err != nil {
				return err
			}
			if err := tx.SetSignaturesDue(repository, "sha256:a"); err != nil {
				return err
			}
			d, err := tx.NextDueSignatures()
			if err != nil || d.Anew {
				t.Errorf("due = %+v, %v", d, err)
			}
			if err := tx.SetSignaturesDue(repository, "sha256:a"); err != nil {
				return err
			}
			if ended, err := tx.EndDueSignatures(d); ended || err != nil {
				t.Errorf("what became due again was ended: %t, %v", ended, err)
			}
			if err := tx.PutOffSignatures(d, time.Hour.Microseconds()); err != nil {
				return err
			}
			if due, err := tx.HasDueSignatures(); due || err != nil {
				t.Errorf("what was put off is due: %t, %v", due, err)
			}
			return nil
		})
	})
}

func TestSignatureRows(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		p, _ := twoProjects(t, s)
		newManifest(t, s, p, "p/app", "sha256:a")
		bad := core.Signature{Subject: "sha256:a", Manifest: "sha256:m", Kind: core.TrustCosign, Format: "f", Reason: "wrong key", SignedAt: day.UTC()}
		good := core.Signature{Subject: "sha256:a", Manifest: "sha256:n", Entry: 3, Kind: core.TrustNotation, Verified: true, KeyID: "k", Signer: "s",
			SignedAt: day.UTC(), ValidUntil: day.Add(time.Hour).UTC()}
		update(t, s, func(tx *store.Tx) (err error) {
			if bad.RepositoryID, err = tx.EnsureRepository(p, "p/app"); err != nil {
				return err
			}
			good.RepositoryID = bad.RepositoryID
			return errors.Join(tx.AddSignature(bad), tx.AddSignature(good))
		})
		update(t, s, func(tx *store.Tx) error {
			list, total, err := tx.ListSignatures(good.RepositoryID, "sha256:a", core.Query{Page: 1, PageSize: 10})
			if err != nil || total != 2 || list[0].CheckedAt.IsZero() {
				t.Fatalf("signatures = %+v, %d, %v", list, total, err)
			}
			good.ID, good.CheckedAt = list[0].ID, list[0].CheckedAt
			if list[0] != good || list[1].Reason != bad.Reason || list[1].Verified {
				t.Errorf("signatures = %+v", list)
			}
			counts, err := tx.InvalidSignatures(good.RepositoryID, []string{"sha256:a", "sha256:b"})
			if err != nil || len(counts) != 1 || counts["sha256:a"] != 1 {
				t.Errorf("invalid signatures = %v, %v", counts, err)
			}
			if err := tx.DeleteSignatures(good.RepositoryID, "sha256:a", "sha256:m"); err != nil {
				return err
			}
			if list, err := tx.Signatures(good.RepositoryID, "sha256:a"); err != nil || len(list) != 1 {
				t.Errorf("signatures = %+v, %v", list, err)
			}
			return tx.DeleteSignatures(good.RepositoryID, "sha256:a", "")
		})
	})
}
