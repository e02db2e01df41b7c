package web_test

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// many is how many repositories the project big has, and how many tags, each of
// an image of its own, the repository big/many.
const many = 10_000

func fillBig(b *testing.B, s *server) {
	b.Helper()
	project, err := s.app.CreateProject(b.Context(), system, app.NewProject{Name: "big"})
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; i < many; i += 500 {
		err := s.store.Update(b.Context(), func(tx *store.Tx) error {
			for j := i; j < i+500; j++ {
				if err := fillBigOne(tx, project, j); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func fillBigOne(tx *store.Tx, project int64, i int) error {
	id, err := tx.EnsureRepository(project, fmt.Sprintf("big/r%05d", i))
	if err != nil {
		return err
	}
	if _, err := tx.PublishRepository(id); err != nil {
		return err
	}
	if id, err = tx.EnsureRepository(project, "big/many"); err != nil {
		return err
	}
	if _, err := tx.PublishRepository(id); err != nil {
		return err
	}
	digest := fmt.Sprintf("sha256:%064x", i)
	blob, err := tx.CreateBlob(core.Blob{Digest: digest, Generation: 1, Size: 1})
	if err != nil {
		return err
	}
	manifest, err := tx.CreateManifest(core.Artifact{RepositoryID: id, Digest: digest, Kind: core.KindImage, Blob: core.Blob{ID: blob}})
	if err != nil {
		return err
	}
	_, err = tx.SetTag(id, manifest, fmt.Sprintf("v%05d", i))
	return err
}

// BenchmarkListPages answers the first, the middle and the last page of lists
// of 10,000, on the pages and over the API, however they can be sorted.
func BenchmarkListPages(b *testing.B) {
	s := newServer(b)
	fillBig(b, s)
	cookie, err := s.app.SignIn(b.Context(), "admin", password, core.Origin{})
	if err != nil {
		b.Fatal(err)
	}
	get := func(path string) string {
		r := request(b, http.MethodGet, path, "", nil)
		if strings.HasPrefix(path, "/api/") {
			r = request(b, http.MethodGet, path, "admin", nil)
		}
		r.AddCookie(&http.Cookie{Name: "__Host-breakwater", Value: cookie})
		w := s.serve(r)
		if w.Code != http.StatusOK {
			b.Fatalf("%s = %d %s", path, w.Code, w.Body)
		}
		return w.Body.String()
	}
	run := func(name, path string) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				get(path)
			}
		})
	}
	next := regexp.MustCompile(`href="([^"]*at=a\.[^"]*)"`)
	for _, path := range []string{"/projects/big", "/projects/big?sort=updated", "/projects/big/repositories/many", "/projects/big/repositories/many/tags"} {
		middle, last := path, path
		for n := 0; ; n++ {
			found := next.FindStringSubmatch(get(last))
			if found == nil {
				break
			}
			last = html.UnescapeString(found[1])
			if n == many/25/2 {
				middle = last
			}
		}
		run(path+"#first", path)
		run(path+"#middle", middle)
		run(path+"#last", last)
	}
	for list, sorts := range map[string][]string{"repositories": {"name", "-name", "update_time", "-update_time", "pull_count"},
		"repositories/many/artifacts": {"push_time", "-push_time", "size"}, "repositories/many/artifacts/" + fmt.Sprintf("sha256:%064x", 1) + "/tags": {"name", "-name"}} {
		for _, sort := range sorts {
			path := "/api/v2.0/projects/big/" + list + "?page_size=25&sort=" + sort
			for name, page := range map[string]int{"first": 1, "middle": many / 50, "last": many / 25} {
				run(path+"#"+name, fmt.Sprintf("%s&page=%d", path, page))
			}
		}
	}
}
