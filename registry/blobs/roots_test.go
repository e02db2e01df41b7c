package blobs_test

import (
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"testing"
)

// roots are store folders that earlier tests have emptied. Making the 256
// folders of an algorithm costs a tenth of a second on ext4.
var roots []string

func TestMain(m *testing.M) {
	code := m.Run()
	for _, root := range roots {
		if err := os.RemoveAll(root); err != nil {
			log.Print(err)
			code = 1
		}
	}
	os.Exit(code)
}

// emptyRoot returns a folder for a store that has no files in it.
func emptyRoot(t testing.TB) string {
	t.Helper()
	var root string
	if n := len(roots); n > 0 {
		root, roots = roots[n-1], roots[:n-1]
	} else {
		var err error
		if root, err = os.MkdirTemp("", "blobs-test-"); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := removeFiles(root); err != nil {
			t.Error(err)
		}
		roots = append(roots, root)
	})
	return root
}

func removeFiles(root string) error {
	return filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return os.Remove(name)
	})
}
