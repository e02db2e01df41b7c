package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// axePackage checks pages for what keeps people with disabilities from them.
const axePackage = "axe-core@4.14.1"

// axe returns the script of axe-core, from npm unless it is cached.
func axe(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(cacheDir(), "tools", axePackage)
	file := filepath.Join(dir, "package", "axe.min.js")
	err := locked(dir, func() error {
		if _, err := os.Stat(file); err == nil {
			return nil
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		pack := exec.Command(tool(t, "npm", "npm"), "pack", "--silent", axePackage)
		pack.Dir = dir
		out, err := pack.Output()
		if err != nil {
			return fmt.Errorf("npm pack: %w", err)
		}
		lines := strings.Fields(string(out))
		unpack := exec.Command("tar", "xzf", lines[len(lines)-1], "package/axe.min.js")
		unpack.Dir = dir
		if out, err := unpack.CombinedOutput(); err != nil {
			return fmt.Errorf("unpack axe-core: %w\n%s", err, out)
		}
		return nil
	})
	if err != nil {
		lacking(t, "axe-core", fmt.Sprintf("npm pack %s failed: %v", axePackage, err))
	}
	script, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}

// axeRun reports each violation in one line: the rule, its help and the first
// elements that break it.
const axeRun = `axe.run(document, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
	.then((r) => r.violations.map((v) => v.id + ": " + v.help + " " + v.nodes.slice(0, 4).map((n) => n.html.slice(0, 160) + " (" + n.failureSummary.slice(0, 200) + ")").join(" | ")))`

// wide are the elements that stick out of the window.
const wide = `[...document.querySelectorAll("body *")].filter((e) => {
		const r = e.getBoundingClientRect();
		return r.width > 1 && r.right > document.documentElement.clientWidth + 1 && !e.closest(".tabs, .login-art, .vh, .table-scroll, svg") && getComputedStyle(e).position !== "fixed";
	}).slice(0, 3).map((e) => e.outerHTML.slice(0, 160))`

// checkPage fails the test when the page, as it is dressed, excludes anyone.
func (b *Chrome) checkPage(name string) {
	b.t.Helper()
	var there bool
	b.Evaluate(`typeof axe === "object"`, &there)
	if !there {
		b.Evaluate(axe(b.t)+"\n;true", &there)
	}
	var violations, outside []string
	b.Evaluate(axeRun, &violations)
	for _, v := range violations {
		b.t.Errorf("%s: axe: %s", name, v)
	}
	b.Evaluate(wide, &outside)
	for _, e := range outside {
		b.t.Errorf("%s is wider than the window: %s", name, e)
	}
}
