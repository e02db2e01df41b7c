package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// The versions of the tools built from modules.
const (
	craneModule       = "github.com/google/go-containerregistry/cmd/crane@v0.22.1"
	cosignModule      = "github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3"
	conformanceModule = "github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260831232431-97274622c111"
)

// buildBinary is Binary's work, done once in a test process.
var buildBinary = sync.OnceValues(func() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	out := filepath.Join(cacheDir(), strings.ReplaceAll(strings.Trim(root, "/"), "/", "_"), "breakwater")
	return out, locked(out, func() error {
		return goTool(root, nil, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version=0.0.0-test", "-o", out, ".")
	})
})

// Binary returns the path of the static breakwater binary, built from this tree
// as it is released, or the one that BREAKWATER_TEST_BINARY names.
func Binary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("BREAKWATER_TEST_BINARY"); path != "" {
		return path
	}
	path, err := buildBinary()
	if err != nil {
		t.Fatalf("build the breakwater binary: %v", err)
	}
	return path
}

// Crane returns the path of crane, built from its module when it is not cached.
func Crane(t testing.TB) string {
	t.Helper()
	return installed(t, "crane", craneModule)
}

// Cosign returns the path of cosign, built from its module when it is not
// cached; that takes some minutes.
func Cosign(t testing.TB) string {
	t.Helper()
	return installed(t, "cosign", cosignModule)
}

// Conformance returns the path of the OCI distribution conformance suite, built
// from its module when it is not cached.
func Conformance(t testing.TB) string {
	t.Helper()
	return installed(t, "conformance", conformanceModule)
}

// installed runs go install for a module's main program, unless the cache has it.
func installed(t testing.TB, name, module string) string {
	t.Helper()
	_, version, _ := strings.Cut(module, "@")
	out := filepath.Join(cacheDir(), "tools", name+"@"+version, name)
	err := locked(out, func() error {
		if _, err := os.Stat(out); err == nil {
			return nil
		}
		return goTool(os.TempDir(), []string{"GOBIN=" + filepath.Dir(out)}, "install", module)
	})
	if err != nil {
		lacking(t, name, fmt.Sprintf("go install %s failed: %v", module, err))
	}
	return out
}

// goTool runs the go command in dir, for this machine and without cgo.
func goTool(dir string, env []string, args ...string) error {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// moduleRoot returns the folder of the module under test.
func moduleRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// cacheDir is where built tools stay between test runs.
func cacheDir() string {
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "breakwater-test")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("breakwater-test-%d", os.Getuid()))
}

// locked makes the folder of path and runs f while no other test process works
// on the same path.
func locked(path string, f func() error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	return f()
}
