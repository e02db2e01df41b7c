package testenv_test

import (
	"debug/elf"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

// TestServerLives starts the real binary outside and inside a namespace and
// takes it through every way of stopping.
func TestServerLives(t *testing.T) {
	testenv.RequireE2E(t)
	cases := map[string]testenv.ServerOptions{
		"machine":   {},
		"namespace": {Netns: testenv.NewNetns(t), Hostname: "registry.example.com"},
	}
	for name, opts := range cases {
		t.Run(name, func(t *testing.T) {
			srv := testenv.StartServer(t, opts)
			checkServer(t, srv)
			srv.Stop(t)
			srv.Restart(t)
			checkServer(t, srv)
			srv.Kill(t)
			srv.Restart(t)
			checkServer(t, srv)
			srv.Restart(t) // of a running one
			checkServer(t, srv)
		})
	}
}

// checkServer demands that the administrator is known and a wrong password is not.
func checkServer(t *testing.T, srv *testenv.Server) {
	t.Helper()
	var me struct {
		Username string `json:"username"`
		Admin    bool   `json:"sysadmin_flag"`
	}
	srv.JSON(t, http.MethodGet, "/api/v2.0/users/current", srv.AdminUser, srv.AdminPassword, nil, http.StatusOK, &me)
	if me.Username != srv.AdminUser || !me.Admin {
		t.Errorf("the current user is %+v", me)
	}
	if res := srv.Do(t, http.MethodGet, "/api/v2.0/users/current", srv.AdminUser, "wrong", nil); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong password answers %s", res.Status)
	}
	if strings.Contains(srv.Log(), srv.AdminPassword) {
		t.Error("the log holds the administrator's password")
	}
}

// TestSkopeoTrustsServer shows that CADir is what skopeo wants.
func TestSkopeoTrustsServer(t *testing.T) {
	testenv.RequireE2E(t)
	srv := testenv.StartServer(t, testenv.ServerOptions{})
	out, err := exec.CommandContext(t.Context(), testenv.Skopeo(t), "login", "--authfile", t.TempDir()+"/auth.json",
		"--cert-dir", srv.CADir, "--username", srv.AdminUser, "--password", srv.AdminPassword, srv.Addr).CombinedOutput()
	if err != nil {
		t.Errorf("skopeo login: %v\n%s", err, out)
	}
}

// TestBinaryIsBuilt builds from this tree, whatever binary the other tests use,
// and demands one that runs without libraries.
func TestBinaryIsBuilt(t *testing.T) {
	testenv.RequireE2E(t)
	t.Setenv("BREAKWATER_TEST_BINARY", "")
	path := testenv.Binary(t)
	program, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if libraries, err := program.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("the binary needs libraries: %q, %v", libraries, err)
	}
	out, err := exec.CommandContext(t.Context(), path, "version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "0.0.0-test") {
		t.Errorf("breakwater version printed %q, %v", out, err)
	}
}
