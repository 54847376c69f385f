package tools

import (
	"bufio"
	"context"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
)

// walker visits the files below a directory that are worth a look: not those that
// a .gitignore names, and not .git itself.
type walker struct {
	workspace *workspace
	start     string
	// rules are the ignore rules that hold in a directory, by its path.
	rules map[string][]gitignore.Pattern
}

func newWalker(w *workspace, start string) *walker {
	walker := &walker{workspace: w, start: start, rules: make(map[string][]gitignore.Pattern)}
	if start != "." && walker.ignoredFrom(".", start, true) {
		// It was asked for by name, so what is said about it above does not count.
		walker.rules[start] = walker.read(start)
	}
	return walker
}

// walk visits the files in the order of their names, directory by directory. It
// does not follow symbolic links.
func (w *walker) walk(ctx context.Context, visit func(path string, kind fs.FileMode) error) error {
	return w.dir(ctx, w.start, visit)
}

func (w *walker) dir(ctx context.Context, dir string, visit func(path string, kind fs.FileMode) error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	entries, err := w.workspace.list(dir, -1)
	if err != nil {
		if dir == w.start {
			return err
		}
		return nil // it has gone since, or may not be read
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if w.ignored(path, entry.IsDir()) {
			continue
		}
		if entry.IsDir() {
			err = w.dir(ctx, path, visit)
		} else {
			err = visit(path, entry.Type())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ignored reports whether path, whose directory is not ignored, is.
func (w *walker) ignored(path string, isDir bool) bool {
	if filepath.Base(path) == ".git" {
		return true
	}
	rules := w.in(filepath.Dir(path))
	return len(rules) > 0 && gitignore.NewMatcher(rules).Match(strings.Split(path, string(filepath.Separator)), isDir)
}

// ignoredFrom reports whether path, or a directory on the way to it from dir, is
// ignored.
func (w *walker) ignoredFrom(dir, path string, isDir bool) bool {
	if path == dir || path == "." {
		return false
	}
	return w.ignoredFrom(dir, filepath.Dir(path), true) || w.ignored(path, isDir)
}

// in returns the rules that hold in a directory: its own come last and win.
func (w *walker) in(dir string) []gitignore.Pattern {
	rules, ok := w.rules[dir]
	if ok {
		return rules
	}
	if dir != "." {
		rules = slices.Clip(w.in(filepath.Dir(dir)))
	}
	rules = append(rules, w.read(dir)...)
	w.rules[dir] = rules
	return rules
}

// maxRules bounds what is read of one .gitignore.
const maxRules = 10_000

// read reads the .gitignore of a directory.
func (w *walker) read(dir string) []gitignore.Pattern {
	file, _, problem := w.workspace.open(filepath.Join(dir, ".gitignore"))
	if problem != "" {
		return nil
	}
	defer file.Close()
	var domain []string
	if dir != "." {
		domain = strings.Split(dir, string(filepath.Separator))
	}
	var rules []gitignore.Pattern
	scanner := bufio.NewScanner(file)
	for scanner.Scan() && len(rules) < maxRules {
		line := strings.TrimSuffix(scanner.Text(), "\r")
		if line != "" && !strings.HasPrefix(line, "#") && strings.TrimSpace(line) != "" {
			rules = append(rules, gitignore.ParsePattern(line, domain))
		}
	}
	return rules
}
