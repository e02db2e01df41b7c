package main

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/testenv"
	"github.com/breakwater-registry/breakwater/registry/journal"
	"github.com/breakwater-registry/breakwater/store"
)

// pushImage pushes a small image as the administrator; image is PROJECT/NAME:TAG.
func pushImage(t *testing.T, srv *testenv.Server, image string) {
	t.Helper()
	ref, err := name.ParseReference(srv.Addr + "/" + image)
	if err != nil {
		t.Fatal(err)
	}
	content, err := random.Image(20_000, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, content, remoteAs(t, srv)...); err != nil {
		t.Fatal(err)
	}
}

// pullImage pulls what pushImage pushed.
func pullImage(t *testing.T, srv *testenv.Server, image string) {
	t.Helper()
	ref, err := name.ParseReference(srv.Addr + "/" + image)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Get(ref, remoteAs(t, srv)...); err != nil {
		t.Fatal(err)
	}
}

func remoteAs(t *testing.T, srv *testenv.Server) []remote.Option {
	return []remote.Option{remote.WithContext(t.Context()), remote.WithTransport(srv.Client.Transport),
		remote.WithAuth(&authn.Basic{Username: srv.AdminUser, Password: srv.AdminPassword})}
}

// newProject makes a project by the API.
func newProject(t *testing.T, srv *testenv.Server, project string, public bool) {
	t.Helper()
	body := map[string]any{"project_name": project, "public": public}
	srv.JSON(t, "POST", "/api/v2.0/projects", srv.AdminUser, srv.AdminPassword, body, 201, nil)
}

// pastWeeks has the audit log tell of a month of pulls and pushes, which a test
// cannot wait for. The server is stopped meanwhile.
func pastWeeks(t *testing.T, srv *testenv.Server) {
	t.Helper()
	writeStore(t, srv, func(tx *store.Tx) error {
		for day := 60; day > 0; day-- {
			at := tx.Now().Add(-time.Duration(day) * 24 * time.Hour)
			work := 1.0
			if weekday := at.Weekday(); weekday == time.Saturday || weekday == time.Sunday {
				work = 0.15
			}
			wave := 1 + 0.4*math.Sin(float64(day)/5)
			for operation, many := range map[string]float64{"pull": 1400, "create": 38} {
				event := core.AuditEvent{Time: at, Actor: "user:1", Username: "admin", Operation: operation, ResourceType: "artifact",
					Resource: "team-a/web:1.0", Repeats: int64(many * wave * (0.35 + work)), Success: true}
				if err := tx.AppendAudit(event); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// writeStore writes into the database of the server, which is stopped meanwhile.
func writeStore(t *testing.T, srv *testenv.Server, fn func(*store.Tx) error) {
	t.Helper()
	srv.Stop(t)
	j, err := journal.Open(filepath.Join(srv.Data, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), filepath.Join(srv.Data, databaseFile), j)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	srv.Restart(t)
}
