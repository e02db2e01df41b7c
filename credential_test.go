package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

// The master key that systemd passes as a credential seals the keys of the trust
// server, and is kept nowhere in the data folder.
func TestMasterKeyFromCredential(t *testing.T) {
	credentials, data := t.TempDir(), filepath.Join(t.TempDir(), "data")
	secret := newMasterKey(t, credentials)
	options := testenv.ServerOptions{Data: data, Env: []string{"CREDENTIALS_DIRECTORY=" + credentials}}
	srv := testenv.StartServer(t, options)
	newProject(t, srv, "team", false)
	offerKey(t, srv)
	if _, err := os.Stat(filepath.Join(data, "keys", "master")); err == nil {
		t.Error("a master key is in the data folder, too")
	}
	holdsNoSecret(t, data, secret)
	srv.Stop(t)
	srv.Restart(t)
	awaitReady(t, srv, 2)
	if strings.Contains(srv.Log(), "cannot be opened") {
		t.Errorf("the keys cannot be opened after a restart:\n%s", srv.Log())
	}
	srv.Stop(t)
	newMasterKey(t, credentials) // another one
	srv.Restart(t)
	awaitReady(t, srv, 3)
	becomes(t, "the registry tells that it cannot open the keys", soon, func() bool {
		return strings.Contains(srv.Log(), "keys of the trust server cannot be opened")
	})
}

// So does one from the environment.
func TestMasterKeyFromEnvironment(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	secret := newMasterKey(t, t.TempDir())
	srv := testenv.StartServer(t, testenv.ServerOptions{Data: data, Env: []string{"BREAKWATER_MASTER_KEY=" + secret}})
	newProject(t, srv, "team", false)
	offerKey(t, srv)
	if _, err := os.Stat(filepath.Join(data, "keys", "master")); err == nil {
		t.Error("a master key is in the data folder, too")
	}
	holdsNoSecret(t, data, secret)
	if strings.Contains(srv.Log(), secret) {
		t.Error("the log holds the master key")
	}
}

// awaitReady waits until all that begins with the server's n-th start has begun.
func awaitReady(t *testing.T, srv *testenv.Server, n int) {
	t.Helper()
	becomes(t, "the server is ready", soon, func() bool { return strings.Count(srv.Log(), " msg=ready ") >= n })
}

func newMasterKey(t *testing.T, folder string) string {
	t.Helper()
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		t.Fatal(err)
	}
	text := base64.StdEncoding.EncodeToString(key)
	if err := os.WriteFile(filepath.Join(folder, "master-key"), []byte(text+"\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	return text
}

// offerKey has the registry make a key for a repository that nobody has signed.
func offerKey(t *testing.T, srv *testenv.Server) {
	t.Helper()
	srv.JSON(t, http.MethodGet, "/v2/"+srv.Addr+"/team/app/_trust/tuf/timestamp.key", srv.AdminUser, srv.AdminPassword, nil, http.StatusOK, nil)
}

func holdsNoSecret(t *testing.T, folder, secret string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil && bytes.Contains(content, []byte(secret)) {
			t.Errorf("%s holds the master key", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
