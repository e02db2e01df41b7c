package store_test

import (
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// shelf fills two repositories of one project, and one of another, with
// artifacts named by their digest; a later one is pushed later.
func shelf(t *testing.T, s *store.Store) (project int64) {
	t.Helper()
	p, q := twoProjects(t, s)
	for _, m := range []struct {
		project                     int64
		repository, digest, subject string
		parent                      string
		tags                        []string
	}{
		{p, "p/a", "old", "", "", []string{"v1", "Stable"}},
		{p, "p/a", "child", "", "", nil},
		{p, "p/a", "index", "", "child", []string{"v2"}},
		{p, "p/a", "signature", "index", "", nil},
		{p, "p/b", "loose", "", "", nil},
		{q, "q/a", "foreign", "", "", []string{"v1"}},
	} {
		update(t, s, func(tx *store.Tx) error {
			repository, err := tx.EnsureRepository(m.project, m.repository)
			if err != nil {
				return err
			}
			a := core.Artifact{RepositoryID: repository, Digest: m.digest, Kind: core.KindImage}
			a.Subject = m.subject
			if a.Blob.ID, err = tx.CreateBlob(core.Blob{Digest: m.digest, Generation: 1}); err != nil {
				return err
			}
			if a.ID, err = tx.CreateManifest(a); err != nil {
				return err
			}
			for _, tag := range m.tags {
				if _, err := tx.SetTag(repository, a.ID, tag); err != nil {
					return err
				}
			}
			if m.parent == "" {
				return nil
			}
			child, err := tx.ManifestID(repository, m.parent)
			if err != nil {
				return err
			}
			return tx.AddChild(a.ID, child, core.Descriptor{})
		})
	}
	return p
}

func TestArtifactsOfAProject(t *testing.T) {
	yes, no := true, false
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		p := shelf(t, s)
		for _, tt := range []struct {
			name   string
			tagged *bool
			latest bool
			q      string
			want   string
		}{
			{name: "all", want: "loose index old"},
			{name: "with a tag", tagged: &yes, want: "index old"},
			{name: "without a tag", tagged: &no, want: "loose"},
			{name: "the last of each repository", latest: true, want: "loose index"},
			{name: "the last of each, with a tag", latest: true, tagged: &yes, want: "index"},
			{name: "by tag", q: "tags=v1", want: "old"},
			{name: "by a part of a tag, in any case", q: "tags=~STAB", want: "old"},
			{name: "by several tags", q: "tags={v1 v2}", want: "index old"},
			{name: "by tag and column", q: "tags=~v,digest=index", want: "index"},
			{name: "by another tag", q: "tags=v", want: ""},
		} {
			q, err := core.ParseQuery(tt.q, "", "1", "10")
			if err != nil {
				t.Fatal(err)
			}
			view(t, s, func(tx *store.Tx) error {
				list, total, err := tx.ProjectArtifacts(p, tt.tagged, tt.latest, q)
				var names []string
				for _, a := range list {
					names = append(names, a.Digest)
				}
				if got := strings.Join(names, " "); got != tt.want || total != int64(len(names)) {
					t.Errorf("%s: %q of %d, want %q", tt.name, got, total, tt.want)
				}
				return err
			})
		}
		view(t, s, func(tx *store.Tx) error {
			repository, err := tx.RepositoryByName("p/a")
			if err != nil {
				return err
			}
			list, total, err := tx.Artifacts(repository.ID, nil, core.Query{Page: 2, PageSize: 1, Filters: []core.Filter{{Field: "tags", Match: core.MatchFuzzy, Values: []string{"v"}}}})
			if total != 2 || len(list) != 1 || list[0].Digest != "old" {
				t.Errorf("the second page of one repository: %v of %d", list, total)
			}
			return err
		})
	})
}
