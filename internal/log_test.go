package internal_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var logsWithoutContext = regexp.MustCompile(`\.[lL]og\.(Debug|Info|Warn|Error)\(`)

// The packages that answer requests log with the context of the request, which
// puts the request's id on the line (httpx.LogHandler).
func TestRequestsLogWithTheirContext(t *testing.T) {
	for _, dir := range []string{"../web", "../registry"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has the files %v, %v", dir, files, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, call := range logsWithoutContext.FindAllString(string(source), -1) {
				t.Errorf("%s calls %s...): use the variant that takes the request's context", file, call)
			}
		}
	}
}
