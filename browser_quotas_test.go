package main

import (
	"strings"
	"testing"
)

// What the projects store is seen in one list, from where each limit is changed.
func TestBrowserQuotas(t *testing.T) {
	srv, b := startUI(t)
	newProject(t, srv, "payments", false)
	newProject(t, srv, "team-a", true)
	pushImage(t, srv, "payments/gateway:1.0")
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Click("Quotas")
	b.SeeTitle("Quotas")
	b.See("New projects: no limit.")
	if text := b.Text(); strings.Index(text, "payments") > strings.Index(text, "team-a") {
		t.Error("what is used most is not first")
	}
	b.Click("Change the limit of payments")
	b.Fill("Storage limit in GiB", "0.0001")
	b.Click("Save changes")
	b.See("The storage limit was saved")
	b.Click("Quotas")
	b.SeeTitle("Quotas")
	b.See("of its limit")
	b.Shot("quotas")
	var sorted string
	b.Evaluate(`[...document.querySelectorAll("th a")].find((e) => e.innerText.trim() === "Project").getAttribute("href")`, &sorted)
	b.Goto(sorted)
	b.SeeTitle("Quotas")
	b.Evaluate(`document.querySelector("th[aria-sort]").innerText.trim()`, &sorted)
	if sorted != "Project" {
		t.Errorf("the list is sorted by %q", sorted)
	}
	b.Click("Change")
	b.SeeTitle("Configuration")
}
