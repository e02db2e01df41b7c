package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

func TestUsersAtTheBrowser(t *testing.T) {
	s := newServer(t)
	b := s.browser(t, "admin")
	page := b.get(t, "/users").want(200, "admin", "(you)", "Administrator").click("New user").want(200)
	page = page.submit("Create user", url.Values{"User name": {"a/b"}, "Password": {"short"}, "E-mail address": {"nobody"}}).
		want(422, "3 fields need a change")
	if name := page.field("User name"); attr(name, "value") != "a/b" || attr(name, "aria-invalid") != "true" {
		t.Errorf("the name is not kept: %v", name.Attr)
	}
	if attr(page.field("Password"), "value") != "" {
		t.Error("the password is sent back")
	}
	page = page.submit("Create user", url.Values{"User name": {"amy"}, "Password": {password}, "E-mail address": {"amy@example.com"}, "Real name": {"Amy A"}}).
		want(200, "User amy was created", "Amy A", "amy@example.com")
	b.get(t, "/users/new").submit("Create user", url.Values{"User name": {"AMY"}, "Password": {password}}).want(422, "in use already")
	b.get(t, "/users/new").submit("Create user", url.Values{"User name": {"System"}, "Password": {password}}).want(422, "This name is reserved")

	page = page.click("amy").want(200, "Amy A", "nowhere")
	page = page.submit("Save changes", url.Values{"Real name": {"Amy B"}}).want(200, "The changes of amy were saved")
	page.submit("Set password", url.Values{"Password": {"x"}}).want(422, "needs 8 to 128 characters")
	amy := s.browser(t, "amy")
	page = page.submit("Set password", url.Values{"Password": {password + "2"}}).want(200, "The password of amy was set")
	amy.get(t, "/").want(200, "Your session has ended")
	s.browser(t, "").get(t, "/login").submit("Sign in", url.Values{"User name": {"amy"}, "Password": {password + "2"}}).want(200, "Overview")

	page = b.get(t, page.path).want(200, "in 1 browser").submit("Sign out everywhere", nil).want(200, "amy is signed out everywhere")
	page = inDialog(t, page, "dialog-admin").want(200, "amy is a system administrator")
	b.get(t, "/users?show=admins").want(200, "amy")
	page = inDialog(t, page, "dialog-admin").want(200, "amy is no system administrator any more")
	page = inDialog(t, page, "dialog-disable").want(200, "amy is disabled", "Enable")
	b.get(t, "/users?show=disabled").want(200, "amy", "1 shown")
	s.browser(t, "").get(t, "/login").submit("Sign in", url.Values{"User name": {"amy"}, "Password": {password + "2"}}).want(403, "This account is disabled")
	page = page.submit("Enable", nil).want(200, "amy is enabled")
	inDialog(t, page, "dialog-delete").want(200, "User amy was deleted")
	b.get(t, "/users?name=amy").want(200, "No user matches").click("Show all users").want(200, "admin")
	b.get(t, page.path).want(404, "There is nothing here")
	b.get(t, "/users/1").want(200, "This is your own account").click("Go to your profile").want(200, "Profile")
}

// inDialog presses the verb of the dialog with that id.
func inDialog(t *testing.T, page *screen, id string) *screen {
	t.Helper()
	for _, form := range page.all(func(n *html.Node) bool { return n.Data == "form" && attr(n.Parent, "id") == id }) {
		return page.browser.open(t, http.MethodPost, attr(form, "action"), page.successful(form).Encode())
	}
	t.Fatalf("%s has no dialog %s", page.path, id)
	return nil
}

// A list that begins at a name: every account is on exactly one page, forth and
// back.
func TestUsersPages(t *testing.T) {
	s := newServer(t)
	for i := range 60 {
		s.addUser(t, fmt.Sprintf("User%02d", i))
	}
	b := s.browser(t, "admin")
	names := func(page *screen) (all []string) {
		for _, a := range page.all(func(n *html.Node) bool {
			return n.Data == "a" && strings.HasPrefix(attr(n, "href"), "/users/") && attr(n.Parent, "class") == "cell-title"
		}) {
			all = append(all, textOf(a))
		}
		return all
	}
	page := b.get(t, "/users")
	first, all := names(page), names(page)
	for page.role("a", "Next") != nil {
		page = page.click("Next")
		all = append(all, names(page)...)
	}
	if len(all) != 61 || all[0] != "admin" || all[60] != "User59" {
		t.Errorf("%d accounts: %v", len(all), all)
	}
	for page.role("a", "Previous") != nil {
		page = page.click("Previous")
	}
	if got := names(page); fmt.Sprint(got) != fmt.Sprint(first) {
		t.Errorf("back at the first page there are %v, want %v", got, first)
	}
	b.get(t, "/users?name=user1").want(200, "10 shown", "User19")
	for _, odd := range []string{"?at=a.zzz", "?at=b." + strings.Repeat("x", 600), "?at=b.a", "?show=evil", "?name=%25_!"} {
		b.get(t, "/users"+odd).want(200)
	}
}

func TestProfile(t *testing.T) {
	s := newServer(t)
	s.addUser(t, "amy")
	b, other := s.browser(t, "amy"), s.browser(t, "amy")
	other.get(t, "/").want(200)
	page := b.get(t, "/").click("Profile").want(200, "You are signed in as amy", "this browser")
	page.submit("Save changes", url.Values{"E-mail address": {"x"}}).want(422, "1 field needs a change")
	page.submit("Save changes", url.Values{"E-mail address": {"admin@example.com"}, "Real name": {"Amy"}}).want(200, "Your profile was saved")

	page = b.get(t, "/profile").submit("Make a CLI secret", nil).want(200, "Your new CLI secret", "docker login -u amy registry.test:8443")
	secret := textOf(page.all(func(n *html.Node) bool { return n.Data == "code" })[0])
	r := request(t, http.MethodGet, "/api/v2.0/users/current", "", nil)
	r.SetBasicAuth("amy", secret)
	if w := s.serve(r); w.Code != 200 {
		t.Errorf("the secret %q = %d", secret, w.Code)
	}
	if strings.Contains(b.get(t, "/profile").text(), secret) {
		t.Error("the secret is shown twice")
	}
	page = inDialog(t, b.get(t, "/profile"), "dialog-remove").want(200, "The CLI secret was removed")
	if w := s.serve(r); w.Code != 401 {
		t.Errorf("the removed secret = %d", w.Code)
	}

	page = page.submit("Sign out all others", nil).want(200, "All other sessions have ended")
	other.get(t, "/").want(200, "Your session has ended")
	page.submit("Change password", url.Values{"Current password": {"Wrong-Horse-1"}, "New password": {password + "2"}}).want(422, "That is not your current password")
	page.submit("Change password", url.Values{"Current password": {password}, "New password": {"x"}}).want(422, "needs 8 to 128 characters")
	page.submit("Change password", url.Values{"Current password": {password}, "New password": {password + "2"}}).want(200, "Your password was changed", "Sign in")
	b.get(t, "/").want(200, "Your session has ended")
}
