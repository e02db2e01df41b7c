package web_test

import (
	"strings"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// sign publishes trust data of team/app in the name of the host.
func (s *server) sign(t *testing.T, host string) {
	t.Helper()
	err := s.store.Update(t.Context(), func(tx *store.Tx) error {
		project, err := tx.Project(core.ProjectRef{Name: "team"})
		if err != nil {
			return err
		}
		repository, err := tx.EnsureRepository(project.ID, "team/app")
		if err != nil {
			return err
		}
		if _, err := tx.PublishRepository(repository); err != nil {
			return err
		}
		g, err := tx.EnsureGUN(host+"/team/app", repository)
		if err != nil {
			return err
		}
		view := core.TUFView{RootKeys: []string{"0badc0de"}, Root: time.Now().Add(-time.Hour), Targets: time.Now().Add(time.Hour),
			Delegations: []core.TUFRole{{Name: "targets/alice", Keys: []string{"a11ce"}, Paths: []string{""}, Signed: 2, Expires: time.Now().Add(time.Hour)},
				{Name: "targets/mallory", Problem: "valid signatures did not meet threshold"}}}
		return tx.AdvanceGUN(g.ID, g.Revision, time.Now().Add(time.Hour), view)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// After the registry got another name the overview says what has to be signed
// again, until it is.
func TestSignAgainPage(t *testing.T) {
	s := newServer(t)
	s.app.SetTrustHosts("registry.test:8443")
	if _, err := s.app.CreateProject(t.Context(), system, app.NewProject{Name: "team"}); err != nil {
		t.Fatal(err)
	}
	admin := s.browser(t, "admin")
	admin.get(t, "/admin/signatures").want(200, "Nothing to sign again")
	s.sign(t, "former.test")
	admin.get(t, "/").want(200, "1 repository has to be signed again", "another name than registry.test:8443")
	admin.get(t, "/admin/signatures").want(200, "team/app")
	page := admin.get(t, "/projects/team/repositories/app/trust").want(200, "Sign this repository again", "former.test/team/app", "Expired",
		"alice", "Signs 2 tags; may sign any.", "mallory", "Does not count: Valid signatures did not meet threshold.",
		"docker trust sign registry.test:8443/team/app:latest")
	if strings.Contains(page.text(), "Signed tags") {
		t.Errorf("tags are signed: %s", page.text())
	}
	s.sign(t, "registry.test:8443")
	if text := admin.get(t, "/").text(); strings.Contains(text, "signed again") {
		t.Errorf("the overview still warns: %s", text)
	}
	admin.get(t, "/admin/signatures").want(200, "Nothing to sign again")
}
