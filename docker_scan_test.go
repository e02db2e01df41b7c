package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// apk makes an image that looks like Alpine's, with packages given as
// NAME=VERSION in its package database.
func (w *world) apk(ts *testscript.TestScript, s *script, neg bool, args []string) {
	refuse(ts, neg)
	need(ts, args, 2)
	var database strings.Builder
	for _, pkg := range args[1:] {
		name, version, ok := strings.Cut(pkg, "=")
		if !ok {
			ts.Fatalf("%s is not NAME=VERSION", pkg)
		}
		fmt.Fprintf(&database, "C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:%s\nV:%s\nA:x86_64\nS:1\nI:1\nT:test\nL:MIT\no:%s\nt:1\n\n", name, version, name)
	}
	w.docker.ImportImage(s.tb, args[0], map[string]string{
		"etc/os-release":       "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.18.4\nPRETTY_NAME=\"Alpine Linux v3.18\"\n",
		"lib/apk/db/installed": database.String(),
	})
}

// ctr runs containerd's own command line against the containerd of the daemon:
// it pushes with containerd's library.
func (w *world) ctr(ts *testscript.TestScript, s *script, neg bool, args []string) {
	need(ts, args, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	full := append([]string{"ctr", "--address", w.docker.Containerd(), "--namespace", ts.Getenv("P")}, args...)
	for i, arg := range full {
		if who, ok := strings.CutPrefix(arg, "--user="); ok {
			user, password := s.account(ts, who)
			full[i] = "--user=" + user + ":" + password
		}
	}
	cmd := w.beside(ctx, w.docker.CLI(), full...)
	finish(ts, neg, w.withLogins(cmd, ts.Getenv("WORK")), nil)
}

// save writes an image of the daemon into a file of the script's folder.
func (w *world) save(ts *testscript.TestScript, _ *script, neg bool, args []string) {
	refuse(ts, neg)
	need(ts, args, 2)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cli := w.docker.CLI()
	finish(ts, neg, w.beside(ctx, cli, cli.Path, "save", "--output", filepath.Join(ts.Getenv("WORK"), args[1]), args[0]), nil)
}
