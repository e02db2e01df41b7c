package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// fill adds n images to the repository p/app, each with a tag vN of its own;
// every tenth is untagged, and each has a signature that is in no list.
func fill(t testing.TB, s *store.Store, n int) (repository int64) {
	t.Helper()
	write := func(fn func(*store.Tx) error) {
		if err := s.Update(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	write(func(tx *store.Tx) error {
		project, err := tx.CreateProject(core.Project{Name: "p", QuotaHard: -1})
		if err != nil {
			return err
		}
		if repository, err = tx.EnsureRepository(project, "p/app"); err != nil {
			return err
		}
		_, err = tx.PublishRepository(repository)
		return err
	})
	for i := 0; i < n; i += 50 { // those of one transaction have the same time
		write(func(tx *store.Tx) error {
			for j := i; j < min(n, i+50); j++ {
				if err := fillOne(tx, repository, j); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return repository
}

func fillOne(tx *store.Tx, repository int64, i int) error {
	image := core.Artifact{RepositoryID: repository, Digest: fmt.Sprintf("sha256:%064x", i), Kind: core.KindImage}
	signature := core.Artifact{RepositoryID: repository, Digest: fmt.Sprintf("sha256:f%063x", i), Subject: image.Digest}
	for _, a := range []*core.Artifact{&image, &signature} {
		blob, err := tx.CreateBlob(core.Blob{Digest: a.Digest, Generation: 1, Size: 1})
		if err != nil {
			return err
		}
		a.Blob.ID = blob
		if a.ID, err = tx.CreateManifest(*a); err != nil {
			return err
		}
	}
	if i%10 == 9 {
		return nil
	}
	_, err := tx.SetTag(repository, image.ID, fmt.Sprintf("v%05d", i))
	return err
}

// walk reads a list to its end and back, and demands that both agree.
func walk(t *testing.T, read func(core.Window) ([]string, core.Ends, error)) []string {
	t.Helper()
	var there, back []string
	w := core.Window{Size: 7}
	for range 100 {
		page, ends, err := read(w)
		if err != nil {
			t.Fatal(err)
		}
		there = append(there, page...)
		if w.Cursor == "" && ends.Previous != "" {
			t.Error("there is something before the first page")
		}
		if ends.Next == "" {
			back = append(page, back...)
			w.Cursor = ends.Previous
			break
		}
		w.Cursor = ends.Next
	}
	for range 100 {
		if w.Cursor == "" {
			break
		}
		page, ends, err := read(w)
		if err != nil {
			t.Fatal(err)
		}
		back = append(slices.Clone(page), back...)
		w.Cursor = ends.Previous
	}
	// On the way back the first page is filled up with what was read already.
	back = slices.Compact(slices.Sorted(slices.Values(back)))
	if !slices.Equal(slices.Sorted(slices.Values(there)), back) {
		t.Errorf("there: %v\nback: %v", there, back)
	}
	return there
}

func TestListsByPosition(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		repository := fill(t, s, 40)
		view(t, s, func(tx *store.Tx) error {
			digests := func(f core.ArtifactFilter) []string {
				return walk(t, func(w core.Window) (names []string, ends core.Ends, err error) {
					page, ends, err := tx.ArtifactPage(repository, f, w)
					for _, a := range page {
						names = append(names, a.Digest)
					}
					return names, ends, err
				})
			}
			yes, no := true, false
			for _, test := range []struct {
				filter core.ArtifactFilter
				want   int
			}{
				{core.ArtifactFilter{}, 40}, {core.ArtifactFilter{Tagged: &yes}, 36}, {core.ArtifactFilter{Tagged: &no}, 4},
				{core.ArtifactFilter{Text: "V0001"}, 9}, {core.ArtifactFilter{Text: "sha256:" + strings.Repeat("0", 62)}, 40},
				{core.ArtifactFilter{Text: strings.Repeat("0", 62) + "1"}, 16}, {core.ArtifactFilter{Text: "%"}, 0},
			} {
				if got := digests(test.filter); len(got) != test.want || len(slices.Compact(slices.Sorted(slices.Values(got)))) != test.want {
					t.Errorf("%+v lists %d: %v", test.filter, len(got), got)
				}
			}
			if got := digests(core.ArtifactFilter{}); got[0] != fmt.Sprintf("sha256:%064x", 39) {
				t.Errorf("the newest comes not first: %s", got[0])
			}
			tags := walk(t, func(w core.Window) (names []string, ends core.Ends, err error) {
				page, ends, err := tx.TagPage(repository, "v", w)
				for _, tag := range page {
					names = append(names, tag.Name)
				}
				return names, ends, err
			})
			if len(tags) != 36 || !slices.IsSorted(tags) {
				t.Errorf("tags: %v", tags)
			}
			for _, cursor := range []string{"x", "a.", "a.1", "a.1,2,3", "b.'--,1", "a.1,x"} {
				if _, _, err := tx.ArtifactPage(repository, core.ArtifactFilter{}, core.Window{Cursor: cursor, Size: 7}); core.ErrorCode(err) != core.CodeBadRequest {
					t.Errorf("the cursor %q = %v", cursor, err)
				}
			}
			return nil
		})
	})
}

func TestRepositoriesByPosition(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		var project int64
		update(t, s, func(tx *store.Tx) (err error) {
			project, err = tx.CreateProject(core.Project{Name: "p", QuotaHard: -1})
			return err
		})
		for i := range 20 { // each in a moment of its own
			update(t, s, func(tx *store.Tx) error {
				id, err := tx.EnsureRepository(project, fmt.Sprintf("p/r%02d", (i*7)%20))
				if err != nil {
					return err
				}
				_, err = tx.PublishRepository(id)
				return err
			})
		}
		view(t, s, func(tx *store.Tx) error {
			read := func(f core.RepositoryFilter) []string {
				return walk(t, func(w core.Window) (names []string, ends core.Ends, err error) {
					page, ends, err := tx.RepositoryPage(project, f, w)
					for _, r := range page {
						names = append(names, r.Name)
					}
					return names, ends, err
				})
			}
			if got := read(core.RepositoryFilter{}); len(got) != 20 || !slices.IsSorted(got) {
				t.Errorf("by name: %v", got)
			}
			if got := read(core.RepositoryFilter{Recent: true}); len(got) != 20 || got[0] != "p/r13" || got[19] != "p/r00" {
				t.Errorf("by change: %v", got)
			}
			if got := read(core.RepositoryFilter{Text: "R1"}); len(got) != 10 {
				t.Errorf("with r1: %v", got)
			}
			return nil
		})
	})
}

// The last page of 10,000 must not cost more than the first.
func BenchmarkArtifactPage(b *testing.B) {
	s, err := store.Open(b.Context(), b.TempDir()+"/test.db", &memoryJournal{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	repository := fill(b, s, 10_000)
	var middle string
	read := func(f core.ArtifactFilter, cursor string) (ends core.Ends) {
		err := s.View(b.Context(), func(tx *store.Tx) (err error) {
			_, ends, err = tx.ArtifactPage(repository, f, core.Window{Cursor: cursor, Size: 25})
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		return ends
	}
	for range 360 {
		middle = read(core.ArtifactFilter{}, middle).Next
	}
	for _, bench := range []struct {
		name, cursor string
		filter       core.ArtifactFilter
	}{{"first", "", core.ArtifactFilter{}}, {"after 9000", middle, core.ArtifactFilter{}},
		{"no tag matches", "", core.ArtifactFilter{Text: "nothing"}}, {"every tag matches", middle, core.ArtifactFilter{Text: "v"}}} {
		b.Run(bench.name, func(b *testing.B) {
			for range b.N {
				read(bench.filter, bench.cursor)
			}
		})
	}
}

// The images of a project are those that stand for themselves, in whatever
// repository.
func TestImagesByPosition(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		p := shelf(t, s)
		newManifest(t, s, p, "p/c", "last")
		update(t, s, func(tx *store.Tx) error {
			repository, err := tx.RepositoryByName("p/c")
			if err != nil {
				return err
			}
			chart := core.Artifact{RepositoryID: repository.ID, Digest: "chart", Kind: "CHART"}
			if chart.Blob.ID, err = tx.CreateBlob(core.Blob{Digest: "chart", Generation: 1}); err != nil {
				return err
			}
			_, err = tx.CreateManifest(chart)
			return err
		})
		for latest, want := range map[bool]string{false: "old index loose last", true: "index loose last"} {
			got := walk(t, func(w core.Window) (digests []string, ends core.Ends, err error) {
				w.Size = 2
				err = s.View(t.Context(), func(tx *store.Tx) error {
					list, e, err := tx.ImagePage(p, latest, w)
					for _, a := range list {
						digests = append(digests, a.Digest)
					}
					ends = e
					return err
				})
				return digests, ends, err
			})
			if strings.Join(got, " ") != want {
				t.Errorf("latest %t: %v, want %s", latest, got, want)
			}
		}
	})
}
