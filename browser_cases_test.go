package main

import (
	"strings"
	"testing"
)

// The session ends while somebody fills in a form: the sign-in says so and leads
// back to the form.
func TestBrowserLostSession(t *testing.T) {
	srv, b := startUI(t)
	newAccount(t, srv, "developer")
	newProject(t, srv, "open", true)
	signIn(b, "developer", accountPassword)
	b.Goto("/projects/new")
	b.Fill("Project name", "mine")
	var ended int
	b.Evaluate(`fetch("/api/v2.0/users/current", {headers: {Accept: "application/json"}}).then((r) => r.status)`, &ended)
	if ended != 200 {
		t.Fatalf("the session is not there before it ends: %d", ended)
	}
	srv.JSON(t, "PUT", "/api/v2.0/users/2/password", srv.AdminUser, srv.AdminPassword, map[string]string{"new_password": accountPassword + "2"}, 200, nil)
	b.Click("Create project")
	b.See("Your session has ended")
	b.Shot("login-ended")
	b.Fill("User name", "developer")
	b.Fill("Password", accountPassword+"2")
	b.Click("Sign in")
	b.SeeTitle("New project")
	if path := b.Path(); path != "/projects/new" {
		t.Errorf("after the sign-in the browser is at %s", path)
	}
	// A list that is filtered while one types leads to the sign-in as a whole.
	b.Goto("/projects")
	srv.JSON(t, "PUT", "/api/v2.0/users/2/password", srv.AdminUser, srv.AdminPassword, map[string]string{"new_password": accountPassword + "3"}, 200, nil)
	b.Fill("Filter projects", "x")
	b.SeeTitle("Sign in")
	if path := b.Path(); !strings.HasPrefix(path, "/login") {
		t.Errorf("the sign-in is at %s", path)
	}
}

// A project is deleted by somebody else while another is on its pages, and so
// is what they were about to change in it.
func TestBrowserDeletedProject(t *testing.T) {
	srv, b := startUI(t)
	newProject(t, srv, "payments", false)
	newAccount(t, srv, "developer")
	srv.JSON(t, "POST", "/api/v2.0/projects/payments/members", srv.AdminUser, srv.AdminPassword,
		map[string]any{"role_id": 1, "member_user": map[string]string{"username": "developer"}}, 201, nil)
	signIn(b, "developer", accountPassword)
	b.Goto("/projects/payments/labels/new")
	b.Fill("Name", "released")
	srv.JSON(t, "DELETE", "/api/v2.0/projects/payments", srv.AdminUser, srv.AdminPassword, nil, 200, nil)
	b.Click("Create label")
	b.SeeTitle("You may not do that") // as for a project that one may not see
	b.Shot("error-deleted")
	b.Click("Back to the overview")
	b.SeeTitle("Overview")
	b.Goto("/projects")
	b.See("No projects yet")
}

// The keyboard alone is enough: Tab comes to the skip link first, then follows
// the order of the page, and always shows where one is.
func TestBrowserKeyboard(t *testing.T) {
	srv, b := startUI(t)
	newProject(t, srv, "payments", false)
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Goto("/projects")
	b.SeeTitle("Projects")
	b.Press("/")
	var focused string
	b.Evaluate(`document.activeElement.name`, &focused)
	if focused != "q" {
		t.Errorf("/ goes to the field %q", focused)
	}
	b.Goto("/projects")
	b.SeeTitle("Projects")
	var seen []string
	for range 14 {
		b.Press("\t")
		var here struct {
			Name    string
			Visible bool
		}
		b.Evaluate(`(() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
			return {Name: (e.getAttribute("aria-label") || e.labels?.[0]?.innerText || e.innerText || "").replace(/\s+/g, " ").trim(),
				Visible: r.width > 0 && (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0 || s.boxShadow !== "none")}; })()`, &here)
		seen = append(seen, here.Name)
		if !here.Visible {
			t.Errorf("nothing shows that the focus is on %q", here.Name)
		}
	}
	order := strings.Join(seen, " | ")
	if !strings.HasPrefix(order, "Skip to content | Breakwater | Overview | Projects | Vulnerabilities | Users | ") {
		t.Errorf("Tab goes to %s", order)
	}
	b.Goto("/projects")
	b.SeeTitle("Projects")
	b.Press("\t")
	b.Press("\r")
	b.Press("\t")
	b.Evaluate(`document.activeElement.closest("main") ? document.activeElement.innerText.trim() : "outside of the content"`, &focused)
	if focused != "New project" {
		t.Errorf("behind the skip link Tab goes to %q", focused)
	}
}
