// The program generate writes licences.json.gz: the licences of the modules that
// are linked into the binary on any of the systems it is made for, from the
// module cache, and of the few files that come from elsewhere.
package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"

	"github.com/breakwater-registry/breakwater/assets/licences"
)

const own = "github.com/breakwater-registry/breakwater"

// legal are the names of files that have to go along with a binary.
var legal = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|copyright|unlicense)([.-].*)?$`)

// certain is the share of a text, in percent, that must be a licence's.
const certain = 75

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "generate licences:", err)
		os.Exit(1)
	}
}

func run() error {
	root, err := output("go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return err
	}
	folders, err := linked(root)
	if err != nil {
		return err
	}
	var book licences.Book
	for _, key := range slices.Sorted(maps.Keys(folders)) {
		space := strings.LastIndexByte(key, ' ')
		if err := add(&book, key[:space], key[space+1:], folders[key]); err != nil {
			return err
		}
	}
	slices.SortStableFunc(book.Works, func(a, b licences.Work) int { return cmp.Compare(rank(a), rank(b)) })
	return write(book)
}

// rank puts the product before what it is made of.
func rank(w licences.Work) int {
	if w.Path == own {
		return 0
	}
	return 1
}

// linked returns the folders of all that is linked, by path and version.
func linked(root string) (map[string]string, error) {
	folders := map[string]string{own + " ": root, "htmx.org 4.0.1": filepath.Join(root, "assets")}
	goroot, err := output("go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	folders["Go standard library "] = goroot
	for _, system := range []string{"linux", "darwin", "windows"} {
		list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}", ".")
		list.Dir, list.Stderr = root, os.Stderr
		list.Env = append(os.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED=0")
		out, err := list.Output()
		if err != nil {
			return nil, fmt.Errorf("list the modules for %s: %w", system, err)
		}
		for line := range strings.Lines(string(out)) {
			key, folder, ok := strings.Cut(strings.TrimSpace(line), "\t")
			if ok && strings.TrimSpace(key) != own {
				folders[key] = folder
			}
		}
	}
	return folders, nil
}

func output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// add reads the legal files of one work. One without a licence may not be
// passed on, so it ends the program.
func add(book *licences.Book, path, version, folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	work, names := licences.Work{Path: path, Version: version}, map[string]bool{}
	for _, entry := range entries {
		if entry.IsDir() || !legal.MatchString(entry.Name()) || strings.HasSuffix(entry.Name(), ".go") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			return err
		}
		text := strings.TrimSpace(strings.ReplaceAll(string(content), "\r\n", "\n"))
		i := slices.Index(book.Texts, text)
		if i < 0 {
			i, book.Texts = len(book.Texts), append(book.Texts, text)
		}
		work.Texts = append(work.Texts, i)
		if cover := licensecheck.Scan(content); cover.Percent >= certain || strings.Contains(strings.ToLower(entry.Name()), "notice") {
			for _, match := range cover.Match {
				names[match.ID] = true
			}
		}
	}
	if len(work.Texts) == 0 {
		return fmt.Errorf("%s has no licence in %s", path, folder)
	}
	work.Names = strings.Join(slices.Sorted(maps.Keys(names)), ", ")
	book.Works = append(book.Works, work)
	return nil
}

func write(book licences.Book) error {
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(w).Encode(book); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile("licences.json.gz", buf.Bytes(), 0o644)
}
