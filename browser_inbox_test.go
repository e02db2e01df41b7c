package main

import (
	"fmt"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// The bell counts what is new; the inbox is read page by page and marked.
func TestBrowserInbox(t *testing.T) {
	srv, b := startUI(t)
	newProject(t, srv, "payments", false)
	pushImage(t, srv, "payments/gateway:1.0")
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Click("Notifications")
	b.See("Nothing has happened")
	var artifacts []struct{ Digest string }
	srv.JSON(t, "GET", "/api/v2.0/projects/payments/repositories/gateway/artifacts", srv.AdminUser, srv.AdminPassword, nil, 200, &artifacts)
	writeStore(t, srv, func(tx *store.Tx) error {
		for i := range 30 {
			n := core.Notification{Kind: core.NotifyWorse, ProjectID: 2, Resource: "payments/gateway", Digest: artifacts[0].Digest, Text: fmt.Sprintf("new since the last scan: CVE-2026-%04d (Critical)", 1000+i)}
			if err := tx.AddNotification(n); err != nil {
				return err
			}
		}
		return nil
	})
	b.Goto("/")
	b.Click("Notifications, 30 new")
	b.SeeTitle("Notifications")
	b.See("CVE-2026-1029")
	b.Shot("inbox")
	b.Click("Next")
	b.See("CVE-2026-1004")
	b.Click("Read up to here")
	b.See("The notifications were marked as read")
	b.Goto("/notifications")
	b.Click("Notifications, 25 new")
	b.Click("Mark all as read")
	b.See("The notifications were marked as read")
	b.Gone("Mark all as read")
	b.Click("payments/gateway")
	b.See("payments")
}
