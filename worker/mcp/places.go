package mcp

import (
	"os"
	"path/filepath"
)

// places are what a server sees of the machine beside what commands see: whatever
// its settings name. Directories among its arguments, and the one it runs in, are to
// be written to; of programs and scripts it sees what lies beside them.
func places(program string, args []string, dir string) (reads, writes []string) {
	reads, writes = beside(program), []string{dir}
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
			reads = append(reads, beside(arg)...)
		}
	}
	return reads, writes
}

// beside is a file and the directory that it lies in, or the one above if that is
// called bin, as with the environments of Python; also where links lead to. A home is
// too much to show for a file in it.
func beside(file string) []string {
	var found []string
	files := []string{file}
	if real, err := filepath.EvalSymlinks(file); err == nil && real != file {
		files = append(files, real)
	}
	home, _ := os.UserHomeDir()
	for _, file := range files {
		found = append(found, file)
		dir := filepath.Dir(file)
		if filepath.Base(dir) == "bin" {
			dir = filepath.Dir(dir)
		}
		if dir != home && dir != filepath.Dir(home) {
			found = append(found, dir)
		}
	}
	return found
}
