package main

import (
	"testing"
)

// Labels of all projects and of one are made, put on an image, filtered by and
// taken away by clicking.
func TestBrowserLabels(t *testing.T) {
	srv, b := startUI(t)
	newProject(t, srv, "payments", false)
	pushGateway(t, srv, "payments/gateway:2.14.1")
	pushImage(t, srv, "payments/gateway:2.13.0")
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Click("Labels")
	b.See("No labels yet")
	b.Shot("labels-empty")
	b.Click("New label")
	b.SeeTitle("New label")
	b.Fill("Name", "released")
	b.Fill("Description", "In use by customers")
	b.Choose("Green")
	b.Shot("label-new")
	b.Click("Create label")
	b.See("The label released was created")

	b.Goto("/projects/payments/labels")
	b.Click("New label")
	b.Fill("Name", "needs-review")
	b.Choose("Orange")
	b.Click("Create label")
	b.See("The label needs-review was created")
	b.Shot("project-labels")

	b.Goto("/projects/payments/repositories/gateway/artifacts/2.14.1/labels")
	b.Click("Add released")
	b.See("The label was added")
	b.Click("Add needs-review")
	b.See("There is no other label to add.")
	b.Click("Remove needs-review")
	b.See("The label was removed")
	b.Shot("artifact-labels")
	b.Goto("/projects/payments/repositories/gateway/artifacts/2.14.1")
	b.See("released")
	b.Shot("artifact-marked")
	b.Goto("/projects/payments/repositories/gateway")
	b.See("2.13.0")
	b.See("released")
	b.Evaluate(`(() => { const s = document.querySelector("select[name=label]"); s.value = [...s.options].find((o) => o.text === "released").value; s.dispatchEvent(new Event("change", {bubbles: true})); return true; })()`, new(bool))
	b.Gone("2.13.0")
	b.See("2.14.1")
	b.Shot("artifacts-by-label")

	b.Goto("/admin/labels")
	b.Shot("labels")
	b.Click("Delete released")
	b.See("Delete the label released?")
	b.Click("Delete label")
	b.See("The label released was deleted")
}
