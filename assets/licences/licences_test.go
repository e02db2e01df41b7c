package licences_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/assets/licences"
)

// Each module that is linked is in the book in just that version, with a
// licence that was recognised.
func TestBookIsComplete(t *testing.T) {
	book, err := licences.Read()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, work := range book.Works {
		known[work.Path+" "+work.Version] = true
		if work.Names == "" || len(work.Texts) == 0 || slices.Max(work.Texts) >= len(book.Texts) {
			t.Errorf("the licence of %s is not known: look at it, and at whether it may be linked", work.Path)
		}
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}}{{end}}", "../..")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		module := strings.TrimSuffix(line, "\n")
		if strings.TrimSpace(module) != "" && !known[module] {
			t.Errorf("%s is not in the book: run go generate ./assets/licences", module)
			known[module] = true
		}
	}
}
