package main

import (
	"strconv"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

// newAccount makes a user account by the API.
func newAccount(t *testing.T, srv *testenv.Server, name string) {
	t.Helper()
	srv.JSON(t, "POST", "/api/v2.0/users", srv.AdminUser, srv.AdminPassword, map[string]string{"username": name, "password": accountPassword,
		"email": name + "@example.com", "realname": name}, 201, nil)
}

// accountPassword is that of every account that newAccount makes.
const accountPassword = "Harbour-Wall-7"

func TestBrowserMembers(t *testing.T) {
	srv, b := startUI(t)
	newProject(t, srv, "payments", false)
	for _, name := range []string{"developer", "dev-lead", "guest"} {
		newAccount(t, srv, name)
	}
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Goto("/projects/payments/members")
	b.Click("Add member")
	b.See("Whom do you want to add?")
	b.Shot("member-search")
	b.Fill("Search users", "dev")
	b.See("dev-lead")
	b.Choose("developer")
	b.Choose("Developer")
	b.Shot("member-new")
	b.Click("Add member")
	b.See("The member was added")
	b.Goto("/projects/payments/members/new?user=guest")
	b.Choose("Guest")
	b.Click("Add member")
	b.See("The member was added")
	b.Shot("members")

	// Two administrators at once: the second one is told.
	b.Goto("/projects/payments/members?name=guest")
	var members []struct {
		ID   int64  `json:"id"`
		Name string `json:"entity_name"`
	}
	srv.JSON(t, "GET", "/api/v2.0/projects/payments/members?entityname=guest", srv.AdminUser, srv.AdminPassword, nil, 200, &members)
	srv.JSON(t, "PUT", "/api/v2.0/projects/payments/members/"+strconv.FormatInt(members[0].ID, 10), srv.AdminUser, srv.AdminPassword, map[string]int{"role_id": 5}, 200, nil)
	b.Click("Change")
	b.See("Somebody has changed the role of guest meanwhile")
	b.Shot("members-conflict")

	b.Goto("/projects/payments/members")
	b.Click("Remove guest")
	b.See("Remove guest from payments?")
	b.Shot("member-remove")
	b.Click("Remove member")
	b.See("The member was removed")

	// A guest sees no button that needs another role.
	b.Click(srv.AdminUser)
	b.Click("Sign out")
	b.See("You are signed out")
	signIn(b, "developer", accountPassword)
	b.Goto("/projects/payments/members")
	b.See("dev")
	if text := b.Text(); strings.Contains(text, "Add member") || strings.Contains(text, "Change") {
		t.Errorf("a developer is offered to change members:\n%s", text)
	}
	b.Goto("/projects/payments/members/new")
	b.SeeTitle("You may not do that")
}

func TestBrowserRobots(t *testing.T) {
	srv, b := startUI(t)
	newProject(t, srv, "payments", false)
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Goto("/projects/payments/robots")
	b.See("No robot accounts yet")
	b.Shot("robots-empty")
	b.Click("New robot account")
	b.Fill("Name", "CI Push")
	b.Choose("Choose each")
	b.Click("Create robot account")
	b.See("2 fields need a change")
	b.Shot("robot-new-wrong")
	b.Fill("Name", "ci-push")
	b.Choose("Pull and push images")
	b.Evaluate(`(() => { const b = [...document.querySelectorAll("button")].find((e) => e.innerText === "Create robot account"); b.click(); b.click(); return true; })()`, new(bool))
	b.See("This is the secret. It is shown only now.")
	b.See("bwr_")
	b.Shot("robot-secret")
	b.Click("New secret")
	b.Click("Cancel")
	b.Click("Disable")
	b.See("robot$payments+ci-push was disabled")
	b.Goto("/projects/payments/robots")
	b.Shot("robots")
	b.Click("robot$payments+ci-push")
	b.Click("Delete")
	b.See("It is out at its next request.")
	b.Click("Delete robot account")
	b.See("No robot accounts yet")
}

func TestBrowserPolicies(t *testing.T) {
	srv, b := startUI(t)
	newProject(t, srv, "payments", false)
	for _, tag := range []string{"1.0", "1.1", "1.2", "nightly"} {
		pushImage(t, srv, "payments/gateway:"+tag)
	}
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Goto("/projects/payments/policies")
	b.Fill("Remove after days", "soon")
	b.Click("Save changes")
	b.See("1 field needs a change")
	b.Fill("Remove after days", "14")
	b.Choose("Public")
	b.Click("Save changes")
	b.See("The policies were saved")
	b.Click("Add rule")
	b.SeeTitle("New immutability rule")
	b.Fill("Pattern of tags", "1.*")
	b.Shot("immutability-new")
	b.Click("Add rule")
	b.See("The rule was added")
	b.Shot("policies")

	// Two administrators at once: the second one is told, and loses nothing.
	b.Goto("/projects/payments/policies")
	srv.JSON(t, "PUT", "/api/v2.0/projects/payments", srv.AdminUser, srv.AdminPassword, map[string]any{"metadata": map[string]string{"public": "false"}}, 200, nil)
	b.Fill("Remove after days", "21")
	b.Click("Save changes")
	b.See("Someone else changed this meanwhile")
	b.Shot("policies-conflict")
	b.Click("Save changes")
	b.See("The policies were saved")

	b.Click("Rules and runs")
	b.SeeTitle("Tag retention")
	b.Click("Add rule")
	b.Fill("How many artifacts, or days", "none")
	b.Click("Add rule")
	b.See("1 field needs a change")
	b.Fill("How many artifacts, or days", "1")
	b.Shot("retention-new")
	b.Click("Add rule")
	b.See("the 1 artifact pushed last")
	b.Click("Dry run")
	b.See("Would go")
	b.See("gateway")
	b.Shot("retention-run")
	b.Click("gateway")
	b.See("Kept: immutable tag")
	b.Shot("retention-result")
	b.Goto("/projects/payments/policies/retention")
	b.Shot("retention")
}

func TestBrowserProjectSettings(t *testing.T) {
	srv, b := startUI(t)
	newProject(t, srv, "payments", false)
	pushImage(t, srv, "payments/gateway:1.0")
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Goto("/projects/payments/settings")
	b.See("A project can be deleted once it is empty.")
	b.Fill("Storage limit in GiB", "a lot")
	b.Click("Save changes")
	b.See("1 field needs a change")
	b.Fill("Storage limit in GiB", "20")
	b.Click("Save changes")
	b.See("The storage limit was saved")
	b.See("of 20 GiB")
	b.Shot("project-settings")
	b.Click("Logs")
	b.See("storage:")
	b.Fill("User", "nobody")
	b.Click("Filter")
	b.See("Nothing is logged")
	b.Click("Show all")
	b.See("gateway")
	b.Shot("project-logs")
	srv.JSON(t, "DELETE", "/api/v2.0/projects/payments/repositories/gateway", srv.AdminUser, srv.AdminPassword, nil, 200, nil)
	b.Click("Settings")
	b.Click("Delete project")
	b.See("Delete the project payments?")
	b.Shot("project-delete")
	b.Evaluate(`(() => { const b = [...document.querySelectorAll("dialog button")].find((e) => e.innerText === "Delete project"); b.click(); return true; })()`, new(bool))
	b.See("The project payments was deleted")
	b.Goto("/projects/payments")
	b.SeeTitle("There is nothing here")
}
