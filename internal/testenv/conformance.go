package testenv

import (
	"context"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// ConformanceOptions says which registry the OCI conformance suite tests.
type ConformanceOptions struct {
	Registry     string   // host:port
	CA           []byte   // PEM of the certificate authority to trust; empty: plain HTTP
	User         string   // empty: no login
	Password     string   // the user's password
	Repo1, Repo2 string   // the repositories to fill; empty: conformance/repo1 and repo2
	Netns        *Netns   // where to run; nil: where the test runs
	Env          []string // more of the suite's settings, such as OCI_DATA_SHA512=false
}

// ConformanceResult is what the suite found; Tests is the sum of the other counts.
type ConformanceResult struct {
	Tests, Passed, Failed, Skipped, Disabled int

	// Failures names the failed leaves of the tree of tests, each with what was
	// wrong. A failure of a branch itself is counted but only seen in Report.
	Failures []string
	// Report is what the suite printed: the tree of tests, each with Pass or FAIL
	// and why, the settings, and the outcome by API and by kind of data.
	Report string
	// Dir holds report.html (every request and answer), results.yaml and junit.xml
	// until the test ends.
	Dir string
}

// conformanceLimit bounds one run of the suite, which takes seconds.
const conformanceLimit = 5 * time.Minute

// RunConformance runs the OCI distribution conformance suite for specification
// version 1.1 against a registry. Failures of the registry are in the result;
// the test fails when the suite itself could not run.
func RunConformance(t testing.TB, opts ConformanceOptions) ConformanceResult {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), conformanceLimit)
	defer cancel()
	cmd := inNetns(ctx, opts.Netns, Conformance(t))
	cmd.Dir = dir
	cmd.Env = plainEnv(dir, conformanceEnv(t, dir, opts)...)
	out, runErr := cmd.CombinedOutput() // exit code 1: a test failed
	report, err := os.ReadFile(filepath.Join(dir, "junit.xml"))
	if err != nil {
		t.Fatalf("the conformance suite left no report: %v (%v)\n%s", err, runErr, out)
	}
	result := parseJUnit(t, report)
	result.Dir, result.Report = dir, string(out)
	return result
}

func conformanceEnv(t testing.TB, dir string, opts ConformanceOptions) []string {
	t.Helper()
	env := []string{
		"OCI_VERSION=1.1", "OCI_LOG=error", "OCI_RESULTS_DIR=" + dir, "OCI_REGISTRY=" + opts.Registry,
		"OCI_USERNAME=" + opts.User, "OCI_PASSWORD=" + opts.Password,
	}
	if opts.Repo1 != "" {
		env = append(env, "OCI_REPO1="+opts.Repo1)
	}
	if opts.Repo2 != "" {
		env = append(env, "OCI_REPO2="+opts.Repo2)
	}
	if len(opts.CA) == 0 {
		return append(append(env, "OCI_TLS=disabled"), opts.Env...)
	}
	ca := filepath.Join(dir, "ca.crt")
	if err := os.WriteFile(ca, opts.CA, 0o644); err != nil {
		t.Fatal(err)
	}
	// The suite uses Go's default transport, which takes its roots from this file.
	return append(append(env, "OCI_TLS=enabled", "SSL_CERT_FILE="+ca), opts.Env...)
}

// junitReport is the part of the suite's junit.xml that is counted.
type junitReport struct {
	Suites []struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Skipped  int `xml:"skipped,attr"`
		Disabled int `xml:"disabled,attr"`
		Cases    []struct {
			Name   string `xml:"name,attr"`
			Status string `xml:"status,attr"`
			Output string `xml:"system-out"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

func parseJUnit(t testing.TB, report []byte) ConformanceResult {
	t.Helper()
	var parsed junitReport
	if err := xml.Unmarshal(report, &parsed); err != nil {
		t.Fatalf("read the conformance report: %v", err)
	}
	var r ConformanceResult
	for _, suite := range parsed.Suites {
		r.Tests += suite.Tests
		r.Failed += suite.Failures + suite.Errors
		r.Skipped += suite.Skipped
		r.Disabled += suite.Disabled
		for _, c := range suite.Cases {
			if c.Status == "failure" || c.Status == "error" {
				r.Failures = append(r.Failures, c.Name+": "+strings.TrimSpace(c.Output))
			}
		}
	}
	r.Passed = r.Tests - r.Failed - r.Skipped - r.Disabled
	if r.Tests == 0 {
		t.Fatal("the conformance suite ran no test; see results.yaml for its settings")
	}
	slices.Sort(r.Failures)
	return r
}

// inNetns returns a command for the namespace, or for here when ns is nil.
func inNetns(ctx context.Context, ns *Netns, args ...string) *exec.Cmd {
	if ns != nil {
		return ns.Exec(ctx, args...)
	}
	return exec.CommandContext(ctx, args[0], args[1:]...)
}
