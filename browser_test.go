package main

import (
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

// maxFirstPage bounds what a browser with an empty cache receives for a page.
const maxFirstPage = 100_000

// startUI starts the registry and a browser for it, without anybody signed in.
func startUI(t *testing.T) (*testenv.Server, *testenv.Chrome) {
	t.Helper()
	testenv.RequireE2E(t)
	srv := testenv.StartServer(t, testenv.ServerOptions{})
	return srv, testenv.Browser(t, srv.URL)
}

// signIn signs in at the browser, from wherever it is.
func signIn(b *testenv.Chrome, user, password string) {
	b.Goto("/login")
	b.Fill("User name", user)
	b.Fill("Password", password)
	b.Click("Sign in")
	b.SeeTitle("Overview")
}

func TestBrowserFrame(t *testing.T) {
	srv, b := startUI(t)
	b.Goto("/projects")
	b.SeeTitle("Sign in")
	b.Shot("login")
	b.Fill("User name", srv.AdminUser)
	b.Fill("Password", "Wrong-Horse-1")
	b.Click("Sign in")
	b.See("The user name or the password is wrong")
	b.Shot("login-wrong")
	b.Fill("Password", srv.AdminPassword)
	b.Click("Sign in")
	b.SeeTitle("Projects")
	b.Shot("projects-empty")
	b.Forget()
	b.Goto("/")
	b.SeeTitle("Overview")
	if n := b.Received(); n == 0 || n > maxFirstPage {
		t.Errorf("the first page is %d bytes, want at most %d", n, maxFirstPage)
	}
	b.Shot("overview-empty")

	b.Click("New project")
	b.SeeTitle("New project")
	b.Shot("project-new")
	b.Fill("Project name", "Team A")
	b.Fill("Storage limit in GiB", "ten")
	b.Click("Create project")
	b.See("2 fields need a change")
	b.Shot("project-new-wrong")
	b.Fill("Project name", "team-a")
	b.Fill("Storage limit in GiB", "20")
	b.Choose("Public")
	b.Click("Create project")
	b.See("Project team-a was created")
	b.SeeTitle("team-a")
	b.Goto("/projects")
	b.SeeTitle("Projects")
	b.Shot("projects")

	b.Fill("Filter projects", "nothing-like-it")
	b.See("No project matches")
	if path := b.Path(); !strings.Contains(path, "name=nothing-like-it") {
		t.Errorf("the filter is not in the address: %s", path)
	}
	b.Shot("projects-none")
	b.Goto("/no/such/page")
	b.SeeTitle("There is nothing here")
	b.Shot("error-404")
}

// The "/" key goes to the filter, and a second click does not send a form again.
func TestBrowserConveniences(t *testing.T) {
	srv, b := startUI(t)
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Goto("/projects/new")
	b.Fill("Project name", "twice")
	b.Evaluate(`(() => { const b = [...document.querySelectorAll("button")].find((e) => e.innerText === "Create project"); b.click(); b.click(); return true; })()`, new(bool))
	b.See("Project twice was created")
	b.Goto("/projects")
	b.SeeTitle("Projects")
	b.Click("admin")
	b.Click("Deutsch")
	b.SeeTitle("Projekte")
	b.Click("admin")
	b.Click("Dunkel")
	b.SeeTitle("Projekte")
	var theme string
	b.Evaluate(`document.documentElement.dataset.theme`, &theme)
	if theme != "dark" {
		t.Errorf("the theme is %q", theme)
	}
	b.Click("admin")
	b.Shot("menu-german")
	b.Click("Abmelden")
	b.See("Sie sind abgemeldet")
	b.Shot("login-german")
}

func TestBrowserOverview(t *testing.T) {
	srv, b := startUI(t)
	newProject(t, srv, "team-a", true)
	newProject(t, srv, "payments", false)
	for _, image := range []string{"team-a/web:1.0", "team-a/tools/build:7", "payments/gateway:2.14.1"} {
		pushImage(t, srv, image)
		pullImage(t, srv, image)
	}
	pastWeeks(t, srv)
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.See("docker push " + srv.Addr + "/")
	b.Shot("overview")
	b.Click("Show as table")
	b.See("Day pulls pushes")
	b.Click("90 days")
	b.See("in the last 90 days")

	srv.JSON(t, "POST", "/api/v2.0/users", srv.AdminUser, srv.AdminPassword,
		map[string]string{"username": "guest", "password": "Guest-Pass-1", "email": "guest@example.com", "realname": "guest"}, 201, nil)
	b.Click(srv.AdminUser)
	b.Click("Sign out")
	b.See("You are signed out")
	signIn(b, "guest", "Guest-Pass-1")
	b.See("Create a project first")
	b.Shot("overview-guest")
	srv.JSON(t, "PUT", "/api/v2.0/configurations", srv.AdminUser, srv.AdminPassword, map[string]string{"project_creation_restriction": "adminonly"}, 200, nil)
	b.Goto("/projects/new")
	b.SeeTitle("You may not do that")
	b.Shot("error-403")
}

// The checks of the browser itself can fail: what must not happen is noticed.
func TestBrowserNotices(t *testing.T) {
	_, b := startUI(t)
	b.Goto("/login")
	b.SeeTitle("Sign in")
	b.Evaluate(`document.body.setAttribute("style", "color: red")`, nil)
	b.Evaluate(`console.error("an error of a page")`, nil)
	b.Evaluate(`setTimeout(() => { throw new Error("thrown by a page"); })`, nil)
	b.Evaluate(`fetch("https://elsewhere.example/").catch(() => null)`, nil)
	b.Expect("inline style")
	b.Expect("an error of a page")
	b.Expect("thrown by a page")
	b.Expect("violates the document's Content Security Policy")
	b.Expect("elsewhere.example")
}
