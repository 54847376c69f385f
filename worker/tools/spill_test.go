package tools

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// spilled returns the name of the one file with the whole of an output.
func spilled(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, spillDir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the files are %q, %v", files, err)
	}
	return spillDir + "/" + filepath.Base(files[0])
}

func TestLongOutputCanBePaged(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	call(t.Context(), t, set, "terminal", args{"command": "seq 1 5000"})
	if _, err := os.Stat(filepath.Join(dir, hermesDir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("short output left something: %v", err)
	}
	got := call(t.Context(), t, set, "terminal", args{"command": "seq 1 100000"})
	name := spilled(t, dir)
	expect(t, got, false, "bytes left out; read_file pages through "+name+" …]\n")
	expect(t, call(t.Context(), t, set, "read_file", args{"path": name, "offset": 50_000, "limit": 1}), false, "50000|50000\n[lines 50000 to 50000 of 100000;")
	expect(t, call(t.Context(), t, set, "search_files", args{"pattern": "^77777$"}), false, "Nothing found.")
	info, err := os.Stat(filepath.Join(dir, name))
	if err != nil || info.Mode().Perm() != 0o600 || content(t, dir, ".hermes/.gitignore") != "*\n" {
		t.Errorf("got %v, %v", info, err)
	}
}

func TestBinaryOutputIsText(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	got := call(t.Context(), t, set, "terminal", args{"command": `head -c 200000 /dev/urandom; printf '\033[31mred\377\000'`})
	if got.Failed || !utf8.ValidString(got.Text) || strings.ContainsAny(got.Text, "\x00\x1b") || len(got.Text) > maxCommandOutput+300 {
		t.Errorf("failed %v, %d bytes", got.Failed, len(got.Text))
	}
	expect(t, call(t.Context(), t, set, "read_file", args{"path": spilled(t, dir), "limit": 1}), false, "1|")
}

func TestAFloodIsBounded(t *testing.T) {
	set, dir := newSet(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := call(t.Context(), t, set, "terminal", args{"command": "echo first; head -c 200000000 /dev/zero | tr '\\0' x; echo; echo last"})
	runtime.ReadMemStats(&after)
	name := spilled(t, dir)
	if !strings.HasPrefix(got.Text, "first\nxxx") || !strings.HasSuffix(got.Text, "xxx\nlast\n") || len(got.Text) > maxCommandOutput+300 {
		t.Errorf("%d bytes: %.20q", len(got.Text), got.Text)
	}
	expect(t, got, false, "read_file pages through "+name+", which has the first 4 MiB …]")
	if size := len(content(t, dir, name)); size != maxSpill {
		t.Errorf("the file has %d bytes", size)
	}
	if live := int64(after.HeapAlloc) - int64(before.HeapAlloc); live > 32<<20 {
		t.Errorf("200 MB of output left %d bytes of memory", live)
	}
}

func TestOldOutputGoes(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	s := newSpills(set.workspace, set.log)
	long := s.create("long") // is written to all the time, and stays
	for i := range maxSpillFiles + 5 {
		s.create(fmt.Sprint(i)).close()
		at := time.Unix(int64(i), 0)
		if err := os.Chtimes(filepath.Join(dir, spillDir, fmt.Sprint(i)+".txt"), at, at); err != nil {
			t.Fatal(err)
		}
	}
	names := func() (all []string) {
		entries, err := os.ReadDir(filepath.Join(dir, spillDir))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			all = append(all, entry.Name())
		}
		return all
	}
	has := strings.Join(names(), " ") + " "
	if len(names()) != maxSpillFiles || !strings.Contains(has, "long.txt ") || strings.Contains(has, " 5.txt ") || !strings.Contains(has, " 6.txt ") {
		t.Errorf("%d files: %s", len(names()), has)
	}
	for i := range maxSpillTotal/maxSpill + 5 {
		sp := s.create(fmt.Sprint("full", i))
		sp.write(make([]byte, maxSpill+1))
		if !sp.cut || sp.left != 0 {
			t.Errorf("it is %+v", sp)
		}
		sp.close()
	}
	total := int64(0)
	for _, name := range names() {
		info, err := os.Stat(filepath.Join(dir, spillDir, name))
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > maxSpillTotal || total < maxSpillTotal-3*maxSpill {
		t.Errorf("%d bytes in %d files", total, len(names()))
	}
	long.close()
}

// Where the file cannot be made the command does not suffer.
func TestOutputWithoutAFile(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	for name, block := range map[string]func(dir string) error{
		"a file in the way":  func(dir string) error { return os.WriteFile(filepath.Join(dir, hermesDir), nil, 0o600) },
		"a link that leaves": func(dir string) error { return os.Symlink(outside, filepath.Join(dir, hermesDir)) },
	} {
		set, dir := newSet(t)
		if err := block(dir); err != nil {
			t.Fatal(err)
		}
		got := call(t.Context(), t, set, "terminal", args{"command": "seq 1 100000"})
		expect(t, got, false, "bytes left out …]\n")
		if left := tree(t, outside); strings.Count(left, "\n") != 1 {
			t.Errorf("%s: outside there is now\n%s", name, left)
		}
	}
}
