package main

import (
	"testing"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

// A whole set-up by clicking, as people know it from Harbor: two users, a
// project with both of them, the registry's certificate; then docker works with
// their passwords as their roles say.
func TestBrowserSetUp(t *testing.T) {
	srv, b := startUI(t)
	signIn(b, srv.AdminUser, srv.AdminPassword)
	for _, name := range []string{"developer", "guest"} {
		b.Click("Users")
		b.Click("New user")
		b.Fill("User name", name)
		b.Fill("Password", accountPassword)
		b.Click("Create user")
		b.See("User " + name + " was created")
	}
	b.Click("Projects")
	b.Click("New project")
	b.Fill("Project name", "testproject")
	b.Choose("Private")
	b.Click("Create project")
	b.See("Project testproject was created")
	for name, role := range map[string]string{"developer": "Developer", "guest": "Guest"} {
		b.Click("Members")
		b.Click("Add member")
		b.Fill("Search users", name)
		b.Press("\r") // as without a script
		b.See("Only accounts that are no members yet can be chosen.")
		b.Choose(name)
		b.Choose(role)
		b.Click("Add member")
		b.See("The member was added")
	}
	b.Shot("set-up-members")

	var certificate string
	b.Click(srv.AdminUser)
	b.Click("Registry certificate")
	b.See("The root certificate")
	b.Evaluate(`fetch(document.querySelector("a[download]").href).then((r) => r.text())`, &certificate)
	if certificate != string(srv.CA) {
		t.Fatalf("the certificate to download is %q", certificate)
	}
	docker := testenv.StartDockerd(t, testenv.DockerdOptions{})
	docker.TrustCA(t, srv.Addr, []byte(certificate))
	image := srv.Addr + "/testproject/hello:1.0"
	docker.ImportImage(t, image)
	cli := docker.CLI()
	cli.Login(t, srv.Addr, "developer", accountPassword)
	cli.Run(t, "push", image)
	cli.Run(t, "logout", srv.Addr)
	cli.Login(t, srv.Addr, "guest", accountPassword)
	cli.Run(t, "rmi", image)
	cli.Run(t, "pull", image)
	cli.Run(t, "tag", image, srv.Addr+"/testproject/hello:2.0")
	if out, err := cli.Try(t.Context(), "push", srv.Addr+"/testproject/hello:2.0"); err == nil {
		t.Errorf("a guest pushes: %s", out)
	}
	b.Goto("/projects/testproject")
	b.Click("hello")
	b.See("1.0")
	b.See("developer")
	b.Shot("set-up-repository")
}
