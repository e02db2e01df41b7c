package main

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// What scans found is shown wherever images are, and follows while they go on.
func TestBrowserScans(t *testing.T) {
	srv, b := startUI(t)
	importFeed(t, srv, feedOfFlaws(flaws))
	newProject(t, srv, "payments", false)
	pushAlpine(t, srv, "payments/gateway:2.14.1", alpine(t, true, oldPackages, olderCurl))
	pushAlpine(t, srv, "payments/gateway:2.15.0", alpine(t, false, freshPackages, []string{"curl=8.4.0-r0"}))
	broken, err := mutate.AppendLayers(empty.Image, static.NewLayer([]byte("no archive"), types.DockerUncompressedLayer))
	if err != nil {
		t.Fatal(err)
	}
	pushAlpine(t, srv, "payments/data:1", broken)
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Goto("/projects/payments")
	b.See("Not scanned")
	b.Shot("scan-project-before")
	b.Click("Scan images")
	b.See("The scan was queued")
	b.See("in 2 scanned images") // without loading the page again
	b.Shot("scan-project")
	b.Goto("/projects")
	b.See("7 of 11 fixable")
	b.Shot("scan-projects")

	srv.JSON(t, "PUT", "/api/v2.0/projects/payments", srv.AdminUser, srv.AdminPassword,
		map[string]any{"metadata": map[string]string{"prevent_vul": "true", "severity": "medium", "unknown_severity": "allow", "ignore_unfixed": "true"}}, 200, nil)
	b.Goto("/projects/payments/repositories/gateway")
	b.See("Blocked")
	b.See("Allowed")
	b.Shot("scan-repository")
	b.Click("2.14.1")
	b.See("The findings of this image block its pulls")
	b.See(`The severity of vulnerability of the image: "critical" is equal or higher than the threshold in project setting: "medium".`)
	b.Shot("scan-artifact")
	b.Goto("/projects/payments/repositories/data/artifacts/1")
	b.See("Cannot be scanned")
	b.Shot("scan-artifact-unsupported")
}
