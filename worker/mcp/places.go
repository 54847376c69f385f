package mcp

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Places are what a server that is a command sees of the machine beside what commands
// see, for who has to make that visible before anything is started. Of one whose
// program is not there it is nothing.
func (c Config) Places(workspace string, environ []string) (reads, writes []string) {
	if c.Command == "" {
		return nil, nil
	}
	program, err := lookUp(c.Command, environment(environ, c.Env))
	if err != nil {
		return nil, nil
	}
	return places(program, c.Args, c.directory(workspace))
}

// directory is where the server runs.
func (c Config) directory(workspace string) string {
	if filepath.IsAbs(c.Dir) {
		return c.Dir
	}
	return filepath.Join(workspace, c.Dir)
}

// places are what a server sees of the machine beside what commands see: whatever
// its settings name. Directories among its arguments, and the one it runs in, are to
// be written to; of programs and scripts it sees what they are a part of.
func places(program string, args []string, dir string) (reads, writes []string) {
	home, _ := os.UserHomeDir()
	reads, writes = around(program, home), []string{dir}
	for _, arg := range args {
		if !filepath.IsAbs(arg) {
			continue
		}
		info, err := os.Stat(arg)
		switch {
		case err != nil:
		case info.IsDir():
			writes = append(writes, filepath.Clean(arg))
		default:
			reads = append(reads, around(arg, home)...)
		}
	}
	return reads, writes
}

// around is a file and what it is a part of; also where a link leads to. A home, and
// what holds homes, is too much to show for a file in it.
func around(file, home string) []string {
	var found []string
	files := []string{file}
	if target, err := filepath.EvalSymlinks(file); err == nil && target != file {
		files = append(files, target)
	}
	for _, file := range files {
		found = append(found, file)
		for _, dir := range []string{filepath.Dir(file), project(filepath.Dir(file))} {
			inHome := filepath.Dir(dir) == home && strings.HasPrefix(filepath.Base(dir), ".") // such as ~/.local
			if dir != "/" && dir != home && dir != filepath.Dir(home) && !inHome && !slices.Contains(found, dir) {
				found = append(found, dir)
			}
		}
	}
	return found
}

// project is the directory above the topmost node_modules, or the nearest one that
// says that it is the root of something; else dir itself.
func project(dir string) string {
	if above, _, found := strings.Cut(dir, "/node_modules/"); found {
		return filepath.Join(above, "node_modules")
	}
	at := dir
	for range 4 {
		for _, mark := range []string{"package.json", "pyproject.toml", "pyvenv.cfg", "go.mod", ".git"} {
			if _, err := os.Stat(filepath.Join(at, mark)); err == nil {
				return at
			}
		}
		at = filepath.Dir(at)
	}
	return dir
}
