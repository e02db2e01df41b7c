package main

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

// offered switches on what the conformance suite leaves off by default and this
// registry has.
var offered = []string{
	"OCI_API_BLOBS_DIGEST_HEADER=true", "OCI_API_BLOBS_UPLOAD_CANCEL=true",
	"OCI_API_MANIFESTS_DIGEST_HEADER=true", "OCI_API_MANIFESTS_TAG_PARAM=true",
}

// TestConformance runs the OCI distribution conformance suite as a user with a
// password, over TLS, against an ordinary private project.
func TestConformance(t *testing.T) {
	testenv.RequireE2E(t)
	srv := testenv.StartServer(t, testenv.ServerOptions{})
	as := func(path string, body any) {
		srv.JSON(t, http.MethodPost, path, srv.AdminUser, srv.AdminPassword, body, http.StatusCreated, nil)
	}
	as("/api/v2.0/projects", map[string]any{"project_name": "conformance"})
	as("/api/v2.0/users", map[string]string{"username": "suite", "password": "Password-1", "email": "suite@example.com", "realname": "suite"})
	as("/api/v2.0/projects/conformance/members", map[string]any{"role_id": 4, "member_user": map[string]string{"username": "suite"}})
	got := testenv.RunConformance(t, testenv.ConformanceOptions{
		Registry: srv.Addr, CA: srv.CA, User: "suite", Password: "Password-1",
		Repo1: "conformance/repo1", Repo2: "conformance/repo2", Env: offered,
	})
	t.Logf("%d tests, %d passed, %d failed, %d skipped, %d disabled", got.Tests, got.Passed, got.Failed, got.Skipped, got.Disabled)
	for _, failure := range got.Failures {
		t.Error(failure)
	}
	if got.Failed > 0 || got.Passed < 900 {
		t.Errorf("%d tests failed and %d passed; the report:\n%s", got.Failed, got.Passed, got.Report)
	}
	for line := range strings.Lines(got.Report) {
		if left := leftOut.FindStringSubmatch(line); left != nil && !slices.Contains(refused, left[1]) {
			t.Errorf("the suite left out: %s", left[1])
		}
	}
}

// leftOut matches the report's lines of what was not tested.
var leftOut = regexp.MustCompile(`^\s*(\S.*?)\.*:\s+(?:Skip|Disabled)$`)

// refused is what the specification lets a registry refuse, and this one does:
// to mount a blob from anywhere would tell who holds it, and an index must not
// name what is not there.
var refused = []string{
	"OCI Conformance Test/sha256 blobs/mount anonymous/blob-mount-anonymous",
	"OCI Conformance Test/sha512 blobs/mount anonymous/blob-mount-anonymous",
	"Blob anonymous mount", "Sparse Manifests",
}
