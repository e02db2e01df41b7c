package main

import (
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

// Vulnerable images are prevented by clicking: docker's pull is refused with the
// reason that the page shows, until the vulnerability is allowed by clicking.
func TestBrowserVulnerablePull(t *testing.T) {
	srv, b := startUI(t)
	importFeed(t, srv, feedOfFlaws(flaws))
	newProject(t, srv, "payments", false)
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Goto("/projects/payments")
	b.Click("Policies")
	b.Choose("Scan images on push")
	b.Choose("Prevent vulnerable images from running")
	b.Fill("Severity", "high")
	b.Fill("Wait for the first scan, in seconds", "1000")
	b.Click("Save changes")
	b.See("Enter a number from 0 to 120.")
	b.Shot("scan-policies-wrong")
	b.Fill("Wait for the first scan, in seconds", "60")
	b.Click("Save changes")
	b.See("The policies were saved")
	b.Shot("scan-policies")

	docker := testenv.StartDockerd(t, testenv.DockerdOptions{})
	docker.TrustCA(t, srv.Addr, srv.CA)
	cli := docker.CLI()
	cli.Login(t, srv.Addr, srv.AdminUser, srv.AdminPassword)
	image := srv.Addr + "/payments/shell:1.0"
	docker.ImportImage(t, image, map[string]string{"etc/os-release": osRelease, apkFile: installed("busybox=1.36.1-r0")})
	b.Goto("/projects/payments")
	cli.Run(t, "push", image)
	b.Goto("/projects/payments/repositories/shell")
	b.See("1 finding in the way")
	cli.Run(t, "rmi", image)
	out, err := cli.Try(t.Context(), "pull", image)
	const refusal = `The severity of vulnerability of the image: "high" is equal or higher than the threshold in project setting: "high".`
	if err == nil || !strings.Contains(out, "unknown: "+refusal) {
		t.Errorf("docker pull: %v %s", err, out)
	}
	b.Click("1.0")
	b.See(refusal)
	b.Click("CVE-2026-1003")
	b.See("1 to 1 of 1")
	b.Click("CVE-2026-1003")
	b.Click("Allow in this project")
	b.See("A list of its own")
	b.Fill("Vulnerabilities", "CVE-2026-1003, no id")
	b.Click("Save changes")
	b.See("is no id of a vulnerability")
	b.Shot("scan-allowlist-wrong")
	b.Fill("Vulnerabilities", "cve-2026-1003 CVE-2026-1002")
	b.Fill("Last day", "2099-12-31")
	b.Click("Save changes")
	b.See("A list of its own with 2 vulnerabilities counts until 2099-12-31.")
	cli.Run(t, "pull", image)
	b.Goto("/projects/payments/repositories/shell")
	b.See("Allowed")
	b.Click("1.0")
	b.Click("Report")
	b.See("Allowlisted")
	b.Shot("scan-report-allowed")
}
