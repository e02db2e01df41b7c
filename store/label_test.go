package store_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// Artifacts are found by their labels, all of which they must have.
func TestArtifactsByLabel(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		repository := fill(t, s, 6)
		var even, third int64
		if err := s.Update(t.Context(), func(tx *store.Tx) (err error) {
			if even, err = tx.CreateLabel(core.Label{Name: "even", Color: "#0E7C9F"}); err != nil {
				return err
			}
			if third, err = tx.CreateLabel(core.Label{Name: "third"}); err != nil {
				return err
			}
			for i := range 6 {
				a, err := tx.ArtifactByDigest("p/app", fmt.Sprintf("sha256:%064x", i))
				if err == nil && i%2 == 0 {
					err = tx.AddLabel(a.ID, even)
				}
				if err == nil && i%3 == 0 {
					err = tx.AddLabel(a.ID, third)
				}
				if err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		view(t, s, func(tx *store.Tx) error {
			page, _, err := tx.ArtifactPage(repository, core.ArtifactFilter{Label: even}, core.Window{Size: 10})
			if err != nil || len(page) != 3 {
				t.Errorf("the page by one label has %d artifacts, %v", len(page), err)
			}
			for values, want := range map[string]int{fmt.Sprint(even): 3, fmt.Sprint(third): 2, fmt.Sprint(even, third): 1, "999": 0} {
				q, err := core.ParseQuery("labels=("+values+")", "", "", "")
				if err != nil {
					return err
				}
				list, total, err := tx.Artifacts(repository, nil, q)
				if err != nil || len(list) != want || total != int64(want) {
					t.Errorf("labels=(%s) finds %d of %d, want %d: %v", values, len(list), total, want, err)
				}
			}
			for _, bad := range []string{"labels={" + strconv.FormatInt(even, 10) + "}", "labels=~even", "labels=(even)"} {
				q, err := core.ParseQuery(bad, "", "", "")
				if err != nil {
					return err
				}
				if _, _, err := tx.Artifacts(repository, nil, q); core.ErrorCode(err) != core.CodeBadRequest {
					t.Errorf("%s: %v", bad, err)
				}
			}
			return nil
		})
	})
}
