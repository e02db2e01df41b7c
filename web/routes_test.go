package web

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// routeMethods returns the methods of api that return routes as the sources
// declare them, and all names that routes and rootRoutes mention.
func routeMethods(t *testing.T) (declared, mounted []string) {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv == nil {
				continue
			}
			if name := fn.Name.Name; strings.HasSuffix(name, "Routes") && name != "rootRoutes" {
				declared = append(declared, name)
			}
			if fn.Name.Name != "routes" && fn.Name.Name != "rootRoutes" {
				continue
			}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					mounted = append(mounted, s.Sel.Name)
				}
				return true
			})
		}
	}
	return declared, mounted
}

func TestEveryResourceIsMounted(t *testing.T) {
	declared, mounted := routeMethods(t)
	if len(declared) < 3 {
		t.Fatalf("only %v was found", declared)
	}
	for _, name := range declared {
		if !slices.Contains(mounted, name) {
			t.Errorf("%s is declared and not mounted in routes", name)
		}
	}
}

// Two handlers of one path and method would hide each other.
func TestRoutesAreUnique(t *testing.T) {
	h := &api{}
	seen := map[string]bool{}
	for _, r := range append(h.routes(), h.rootRoutes()...) {
		key := r.method + " " + r.path
		if seen[key] || r.handle == nil || r.path[0] != '/' {
			t.Errorf("%s is there twice or has no handler", key)
		}
		seen[key] = true
	}
}
