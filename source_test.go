// Package hermes_test holds the rules of this repository that a compiler does
// not know: which room may import which, what every package owes its readers,
// and that the pages for people say what the code does.
package hermes_test

import (
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// source is a Go file of this module, for whatever system it is.
type source struct {
	path  string // from the root, with slashes
	dir   string // its package's import path below the module, "." for the root
	test  bool
	lines int
	file  *ast.File
	set   *token.FileSet
}

// sources parses the module once for all tests.
var sources = sync.OnceValues(func() ([]source, error) {
	var all []source
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() {
			if name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "node_modules" || base == "bin") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") {
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, content, parser.ParseComments)
		if err != nil {
			return err
		}
		if neverBuilt(file) {
			return nil
		}
		name = filepath.ToSlash(name)
		all = append(all, source{
			path: name, dir: path.Dir(name), test: strings.HasSuffix(base, "_test.go"),
			lines: strings.Count(string(content), "\n"), file: file, set: set,
		})
		return nil
	})
	return all, err
})

// neverBuilt says whether a file is left out on every system that hermes is
// built for.
func neverBuilt(file *ast.File) bool {
	for _, group := range file.Comments {
		if group.Pos() > file.Package {
			break
		}
		for _, comment := range group.List {
			expr, err := constraint.Parse(comment.Text)
			if err != nil {
				continue
			}
			for _, system := range []string{"linux", "darwin"} {
				if expr.Eval(func(tag string) bool { return tag == system || tag == "unix" }) {
					return false
				}
			}
			return true
		}
	}
	return false
}

// load returns the module's files.
func load(t *testing.T) []source {
	t.Helper()
	all, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("only %d Go files were found; this test belongs at the root of the module", len(all))
	}
	return all
}

// at is where a node stands, for messages.
func (s source) at(node ast.Node) string { return s.set.Position(node.Pos()).String() }

// imports returns what the file imports, with the node of each.
func (s source) imports() map[string]ast.Node {
	all := map[string]ast.Node{}
	for _, spec := range s.file.Imports {
		all[strings.Trim(spec.Path.Value, `"`)] = spec
	}
	return all
}
