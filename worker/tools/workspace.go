package tools

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// workspace is the directory that the file tools work in. They reach files only
// through root, which no symbolic link and no ".." leads out of, not even one
// that changes while a tool looks.
type workspace struct {
	root *os.Root
	// dirs are the absolute names of the directory: as it was configured, and
	// as pwd prints it.
	dirs []string
}

// openWorkspace opens the workspace, which it makes if it is missing.
func openWorkspace(dir string) (*workspace, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open workspace: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make workspace: %w", err)
	}
	physical, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("open workspace: %w", err)
	}
	root, err := os.OpenRoot(physical)
	if err != nil {
		return nil, fmt.Errorf("open workspace: %w", err)
	}
	return &workspace{root: root, dirs: slices.Compact([]string{physical, dir})}, nil
}

func (w *workspace) close() error { return w.root.Close() }

// dir is the absolute name of the directory rel.
func (w *workspace) dir(rel string) string { return filepath.Join(w.dirs[0], rel) }

// rel turns a path as the model wrote it into one below the root. The problem,
// if there is one, is a sentence for the model.
func (w *workspace) rel(path string) (rel, problem string) {
	path = strings.TrimSpace(path)
	switch {
	case path == "":
		return "", "The path is empty. Give one relative to the workspace."
	case strings.ContainsRune(path, 0):
		return "", "The path holds a NUL character."
	case path == "~", strings.HasPrefix(path, "~/"):
		return "", path + " is in HOME, outside the workspace. The file tools reach only the workspace; the terminal tool reaches HOME."
	}
	if filepath.IsAbs(path) {
		for _, dir := range w.dirs {
			if below, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(below) {
				return below, ""
			}
		}
		return "", fmt.Sprintf("%s is outside the workspace %s. The file tools reach only files in it.", path, w.dirs[0])
	}
	rel = filepath.Clean(path)
	if !filepath.IsLocal(rel) {
		return "", fmt.Sprintf("%s leads out of the workspace %s. The file tools reach only files in it.", path, w.dirs[0])
	}
	return rel, ""
}

// open opens a plain file to read it. The problem is a sentence for the model.
func (w *workspace) open(path string) (file *os.File, info fs.FileInfo, problem string) {
	info, err := w.root.Stat(path)
	if err != nil {
		return nil, nil, w.explain(path, err)
	}
	if problem := refuse(path, info.Mode()); problem != "" {
		return nil, nil, problem
	}
	// A pipe that takes the place of the file at this moment must not block.
	file, err = w.root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, w.explain(path, err)
	}
	if info, err = file.Stat(); err != nil {
		problem = w.explain(path, err)
	} else {
		problem = refuse(path, info.Mode())
	}
	if problem != "" {
		_ = file.Close() // it was only read
		return nil, nil, problem
	}
	return file, info, ""
}

// explain makes a sentence for the model out of the error of a file operation.
func (w *workspace) explain(path string, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return w.missing(path)
	case strings.HasSuffix(err.Error(), "path escapes from parent"): // os.Root has no name for this error
		return path + " is, or passes through, a symbolic link that leads out of the workspace. The file tools do not follow it."
	case errors.Is(err, fs.ErrPermission):
		return path + ": permission denied."
	case errors.Is(err, syscall.ENOTDIR):
		return path + " passes through something that is no directory."
	case errors.Is(err, syscall.EISDIR):
		return path + " is a directory."
	case errors.Is(err, syscall.ELOOP):
		return path + " passes through too many symbolic links."
	case errors.Is(err, syscall.ENAMETOOLONG):
		return path[:min(len(path), 60)] + "… is too long for a file name."
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return path + ": the disk is full."
	case errors.Is(err, syscall.EROFS):
		return path + " is on a file system that cannot be written to."
	default:
		if cause, ok := errors.AsType[*fs.PathError](err); ok {
			err = cause.Err // without the names of temporary files
		}
		return fmt.Sprintf("%s: %s.", path, err)
	}
}

// maxEntries is how many entries of a directory are looked at for its listing and
// for similar names.
const maxEntries = 10_000

// missing says that there is no such file, and which names are like it.
func (w *workspace) missing(path string) string {
	dir, base := filepath.Split(path)
	dir = filepath.Clean(dir)
	entries, err := w.list(dir, maxEntries)
	switch {
	case err != nil && dir == ".":
		return fmt.Sprintf("The workspace %s has been deleted.", w.dirs[0])
	case err != nil:
		return fmt.Sprintf("%s does not exist; the directory %s does not exist either.", path, dir)
	}
	type candidate struct {
		name     string
		distance int
	}
	var candidates []candidate
	for _, entry := range entries {
		a, b := strings.ToLower(entry.Name()), strings.ToLower(base)
		d := distance(a, b)
		if stem := strings.TrimSuffix(b, filepath.Ext(b)); stem != "" && strings.HasPrefix(a, stem) {
			d = min(d, 2)
		}
		if d <= max(2, len(base)/3) {
			candidates = append(candidates, candidate{filepath.Join(dir, entry.Name()), d})
		}
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return a.distance - b.distance })
	if len(candidates) == 0 {
		return path + " does not exist."
	}
	var names []string
	for _, c := range candidates[:min(len(candidates), 3)] {
		names = append(names, c.name)
	}
	return fmt.Sprintf("%s does not exist. Similar names: %s.", path, strings.Join(names, ", "))
}

// list reads a directory, sorted by name; limit entries at most if it is not -1.
func (w *workspace) list(dir string, limit int) ([]fs.DirEntry, error) {
	file, err := w.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	entries, err := file.ReadDir(limit)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// refuse says what keeps a file from being read or written as text: it is a
// directory, a device or the like. It is empty for a plain file.
func refuse(path string, mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return ""
	case mode.IsDir():
		return path + " is a directory."
	case mode&fs.ModeNamedPipe != 0:
		return path + " is a named pipe, not a file. The file tools do not touch it."
	case mode&fs.ModeSocket != 0:
		return path + " is a socket, not a file. The file tools do not touch it."
	case mode&fs.ModeDevice != 0:
		return path + " is a device, not a file. The file tools do not touch it."
	default:
		return path + " is no plain file. The file tools do not touch it."
	}
}
