package main

import (
	"testing"
)

// A robot account of the system is made for two projects, given rights of
// another kind in a third place, and loses some again.
func TestBrowserSystemRobots(t *testing.T) {
	srv, b := startUI(t)
	newProject(t, srv, "payments", false)
	newProject(t, srv, "team-a", false)
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Click("Robot accounts")
	b.See("No robot accounts yet")
	b.Shot("system-robots-empty")
	b.Click("New robot account")
	b.Fill("Name", "deploy")
	b.Choose("Some projects")
	b.Click("Create robot account")
	b.See("Name at least one project.")
	b.Shot("system-robot-new")
	b.Fill("Names of the projects", "payments nowhere")
	b.Click("Create robot account")
	b.See("There is no project nowhere.")
	b.Fill("Names of the projects", "payments, team-a")
	b.Click("Create robot account")
	b.See("This is the secret. It is shown only now.")
	b.See("In the project team-a")
	b.Click("In the registry")
	b.SeeTitle("In the registry")
	b.Click("Save changes")
	b.See("Tick at least one permission below.")
	b.Evaluate(`document.querySelector("input[value='catalog:read']").click()`, nil)
	b.Shot("system-robot-access")
	b.Click("Save changes")
	b.See("The permissions of robot$deploy were saved")
	b.Shot("system-robot")
	var robots []struct {
		Permissions []struct{ Kind, Namespace string }
	}
	srv.JSON(t, "GET", "/api/v2.0/robots", srv.AdminUser, srv.AdminPassword, nil, 200, &robots)
	if len(robots) != 1 || len(robots[0].Permissions) != 3 {
		t.Errorf("the API knows %+v", robots)
	}
	b.Goto("/admin/robots/1/access?kind=project&in=payments")
	b.Click("Remove permissions")
	b.See("Remove these permissions?")
	b.Evaluate(`document.querySelector("dialog[open] button[type=submit]").click()`, nil)
	b.See("The permissions of robot$deploy were saved")
	b.Gone("In the project payments")
	b.Goto("/admin/robots")
	b.See("robot$deploy")
	b.Shot("system-robots")
}
