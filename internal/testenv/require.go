package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// RequireE2E skips the test unless BREAKWATER_E2E=1 asks for the end-to-end
// tier. When it is asked for, the test fails unless it runs as root on Linux,
// which namespaces and a docker daemon need.
func RequireE2E(t testing.TB) {
	t.Helper()
	if !e2e() {
		t.Skip("end-to-end test: set BREAKWATER_E2E=1 and run as root on Linux, or use .ci/test")
	}
	if runtime.GOOS != "linux" {
		t.Fatalf("end-to-end tests run on Linux only, not on %s; unset BREAKWATER_E2E", runtime.GOOS)
	}
	if os.Geteuid() != 0 {
		t.Fatal("end-to-end tests need root for namespaces and dockerd; run them as root or unset BREAKWATER_E2E")
	}
}

// Skopeo returns the path of Debian's skopeo.
func Skopeo(t testing.TB) string {
	t.Helper()
	return tool(t, "skopeo", "skopeo")
}

func e2e() bool { return os.Getenv("BREAKWATER_E2E") == "1" }

// mustHave says whether a missing tool is a failure and not a reason to skip.
func mustHave() bool {
	return e2e() || (os.Getenv("CI") == "true" && runtime.GOOS == "linux" && os.Geteuid() == 0)
}

// lacking ends the test: a failure where everything has to be there, else a skip.
func lacking(t testing.TB, what, remedy string) {
	t.Helper()
	if mustHave() {
		t.Fatalf("%s is missing: %s", what, remedy)
	}
	t.Skipf("%s is missing: %s", what, remedy)
}

// tool finds a program on PATH or in the folders of system programs, which are
// often not on PATH, and names the Debian package that brings it.
func tool(t testing.TB, name, debianPackage string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/bin", "/bin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	lacking(t, name, "apt-get install "+debianPackage)
	return ""
}
