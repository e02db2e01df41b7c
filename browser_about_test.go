package main

import "testing"

// Everybody who has signed in can read whose work the registry is made of.
func TestBrowserAbout(t *testing.T) {
	srv, b := startUI(t)
	newAccount(t, srv, "guest")
	signIn(b, "guest", accountPassword)
	b.Click("guest")
	b.Click("About")
	b.SeeTitle("About")
	b.See("github.com/labstack/echo/v4")
	b.Shot("about")
	b.Click("MIT: the licence of github.com/labstack/echo/v4")
	b.See("Permission is hereby granted, free of charge")
	b.Shot("licence")
}
