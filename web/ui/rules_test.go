package ui_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func sources(t *testing.T, root, ending string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ending) {
			return err
		}
		text, err := os.ReadFile(path)
		all[path] = string(text)
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("no %s file: %v", ending, err)
	}
	return all
}

// What the content security policy would block, or would let a text become
// code, is in no template. htmx would need eval for some of it, and stop.
func TestTemplatesKeepThePolicy(t *testing.T) {
	forbidden := map[string]*regexp.Regexp{
		"an inline style":         regexp.MustCompile(`(?i)\sstyle\s*=|<style|^\s*css \w+\(`),
		"an event handler":        regexp.MustCompile(`(?i)\son[a-z]+\s*=|hx-on`),
		"an inline script":        regexp.MustCompile(`(?i)<script(?:\s+[^>]*)?>\s*[^<\s]|^\s*script \w+\(|<script>`),
		"code in htmx":            regexp.MustCompile(`(?i)js:|javascript:|hx-trigger="[^"]*\[`),
		"HTML that is not marked": regexp.MustCompile(`templ\.Raw|@templ\.HTML|templ\.JSFuncCall|templ\.ComponentScript`),
		"an address elsewhere":    regexp.MustCompile(`(?i)(?:href|src|action)="(?:https?:)?//`),
		"a data address":          regexp.MustCompile(`(?i)data:`),
	}
	for path, text := range sources(t, ".", ".templ") {
		for i, line := range strings.Split(text, "\n") {
			for what, pattern := range forbidden {
				if found := pattern.FindString(line); found != "" {
					t.Errorf("%s:%d has %s: %s", path, i+1, what, found)
				}
			}
		}
	}
}

// Every form that changes something is sent by POST, and no link does.
func TestFormsArePosts(t *testing.T) {
	forms := regexp.MustCompile(`<form\b[^>]*>`)
	for path, text := range sources(t, ".", ".templ") {
		for _, form := range forms.FindAllString(text, -1) {
			if strings.Contains(form, "method=") && !strings.Contains(form, `method="post"`) {
				t.Errorf("%s: %s", path, form)
			}
		}
	}
}
