package main

import (
	"testing"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

func TestBrowserConfiguration(t *testing.T) {
	srv, b := startUI(t)
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Click("Configuration")
	b.SeeTitle("Configuration")
	b.Shot("configuration")
	b.Fill("Idle time of a browser session, in minutes", "0")
	b.Fill("Proxy", "proxy.example.com:3128")
	b.Click("Save changes")
	b.See("2 fields need a change")
	b.Shot("configuration-wrong")
	// Somebody else is faster.
	srv.JSON(t, "PUT", "/api/v2.0/configurations", srv.AdminUser, srv.AdminPassword, map[string]any{"banner_message": "Maintenance tonight at 22:00 UTC."}, 200, nil)
	b.Fill("Idle time of a browser session, in minutes", "30")
	b.Fill("Proxy", "http://proxy.example.com:3128")
	b.Click("Save changes")
	b.See("Somebody else changed the configuration meanwhile")
	b.Shot("configuration-conflict")
	b.Click("Save changes")
	b.See("The configuration was saved")
}

// A collection is started, watched while it runs, and found in the history.
func TestBrowserGarbageCollection(t *testing.T) {
	srv, b := startUI(t)
	newProject(t, srv, "team-a", false)
	pushImage(t, srv, "team-a/web:1.0")
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Click("Garbage collection")
	b.SeeTitle("Garbage collection")
	b.Shot("gc-empty")
	b.Click("Dry run")
	b.See("dry run, nothing was changed")
	b.See("Done") // the stream says so: nobody loads the page again
	b.Shot("gc-job")
	b.Goto("/admin/gc")
	b.Click("Start")
	b.See("Done")
	b.Goto("/admin/gc")
	b.Shot("gc")
	b.Click("Jobs")
	b.SeeTitle("Jobs")
	b.Shot("jobs")
}

func TestBrowserAuditAndCertificate(t *testing.T) {
	srv, b := startUI(t)
	newProject(t, srv, "team-a", false)
	pushImage(t, srv, "team-a/web:1.0")
	pullImage(t, srv, "team-a/web:1.0")
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Click("Audit log")
	b.SeeTitle("Audit log")
	b.See("team-a/web")
	b.Click("More about row 1")
	b.Shot("audit")
	b.Fill("Object", "nothing-like-it")
	b.See("Nothing matches")
	b.Shot("audit-none")
	b.Goto("/admin/audit")
	b.Click("Certificate")
	b.SeeTitle("Certificate")
	b.Shot("certificate")
	b.Click("How clients trust it")
	b.SeeTitle("Trust this registry")
	b.See("/etc/docker/certs.d/" + srv.Addr + "/ca.crt")
	b.Shot("certificate-trust")
	anonymous := testenv.Browser(t, srv.URL)
	anonymous.Goto("/login")
	anonymous.Click("Registry certificate")
	anonymous.SeeTitle("Trust this registry")
	anonymous.Shot("certificate-anonymous")
}
