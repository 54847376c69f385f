package tools

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWriteFile(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, before, content, want string
	}{
		{"new", "", "a\nb\n", "Created f: 4 bytes, 2 lines."},
		{"new and empty", "", "", "Created f: 0 bytes, 0 lines."},
		{"over another", "old\n", "new", "Overwrote f: 3 bytes, 1 lines."},
		{"CRLF is lost", "a\r\nb\r\n", "a\nc\n", "Overwrote f: 4 bytes, 2 lines. Note: its lines ended with CRLF before, with LF now."},
		{"CRLF comes", "a\nb\n", "a\r\nc\r\n", "Overwrote f: 6 bytes, 2 lines. Note: its lines ended with LF before, with CRLF now."},
		{"CRLF stays", "a\r\nb\r\n", "a\r\nc\r\n", "Overwrote f: 6 bytes, 2 lines."},
		{"over a binary file", "\x00\xff", "text", "Overwrote f: 4 bytes, 1 lines."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			set, dir := newSet(t)
			if test.before != "" {
				put(t, dir, "f", test.before)
			}
			got := call(t.Context(), t, set, "write_file", args{"path": "f", "content": test.content})
			if got.Failed || got.Text != test.want {
				t.Errorf("got %+v, want %s", got, test.want)
			}
			if now := content(t, dir, "f"); now != test.content {
				t.Errorf("the file holds %q", now)
			}
			if all := tree(t, dir); strings.Count(all, "\n") != 2 {
				t.Errorf("something else is left:\n%s", all)
			}
		})
	}
}

func TestWriteFileMakesDirectoriesAndKeepsModes(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	expect(t, call(t.Context(), t, set, "write_file", args{"path": "a/b/c.txt", "content": "x"}), false, "Created a/b/c.txt")
	put(t, dir, "run.sh", "old")
	if err := os.Chmod(filepath.Join(dir, "run.sh"), 0o751); err != nil {
		t.Fatal(err)
	}
	expect(t, call(t.Context(), t, set, "write_file", args{"path": "run.sh", "content": "new"}), false, "Overwrote")
	for name, want := range map[string]os.FileMode{"a/b/c.txt": 0o644, "run.sh": 0o751} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v", name, info.Mode(), err)
		}
	}
}

func TestWriteFileRespectsReadOnlyFilesAndLinks(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	put(t, dir, "fixed", "old")
	if err := os.Chmod(filepath.Join(dir, "fixed"), 0o444); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("fixed", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	expect(t, call(t.Context(), t, set, "write_file", args{"path": "fixed", "content": "new"}), true, "fixed is read-only (mode 0444).")
	expect(t, call(t.Context(), t, set, "write_file", args{"path": "link", "content": "new"}), true, "link is a symbolic link to fixed. Change the file that it points to.")
	expect(t, call(t.Context(), t, set, "patch", args{"path": "link", "old_string": "old", "new_string": "new"}), true, "link is a symbolic link to fixed.")
	if got := content(t, dir, "fixed"); got != "old" {
		t.Errorf("it holds %q", got)
	}
}

func TestWriteFileRefusesToLoseWhatTheTurnHasNotSeen(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	turn := WithReadLog(t.Context())
	put(t, dir, "f", "one\ntwo\n")
	touch := func(text string) {
		put(t, dir, "f", text)
		later := time.Now().Add(time.Minute) // the clock of the disk may be coarse
		if err := os.Chtimes(filepath.Join(dir, "f"), later, later); err != nil {
			t.Fatal(err)
		}
	}
	write := args{"path": "f", "content": "mine\n"}
	expect(t, call(turn, t, set, "read_file", args{"path": "f"}), false, "1|one")
	touch("one\n2\n")
	expect(t, call(turn, t, set, "write_file", write), true, "f has changed since you read it.")
	expect(t, call(turn, t, set, "patch", args{"path": "f", "old_string": " one", "new_string": "1"}), true, "f has changed since you read it")
	expect(t, call(turn, t, set, "patch", args{"patch": "*** Begin Patch\n*** Delete File: f\n*** End Patch"}), true, "f has changed since you read it.")
	expect(t, call(turn, t, set, "patch", args{"patch": "*** Begin Patch\n*** Update File: f\n-one \n+1\n*** End Patch"}), true, "f has changed since you read it")
	if got := content(t, dir, "f"); got != "one\n2\n" {
		t.Errorf("it holds %q", got)
	}
	// What is there exactly may be replaced, other turns do not matter, and what
	// the turn has written itself it has seen.
	expect(t, call(turn, t, set, "patch", args{"path": "f", "old_string": "one", "new_string": "1"}), false, "Changed f.")
	expect(t, call(turn, t, set, "write_file", write), false, "Overwrote f")
	touch("theirs\n")
	expect(t, call(WithReadLog(t.Context()), t, set, "write_file", write), false, "Overwrote f")
	expect(t, call(turn, t, set, "write_file", write), true, "f has changed since you read it.")
	expect(t, call(turn, t, set, "read_file", args{"path": "f"}), false, "1|mine")
	expect(t, call(turn, t, set, "write_file", write), false, "Overwrote f")
}

func TestApplyUndoesWhatItHasDone(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	put(t, dir, "a", "old a")
	put(t, dir, "b", "old b")
	put(t, dir, "busy/x", "")
	before := tree(t, dir)
	info := func(name string) os.FileInfo {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	tests := []struct {
		name string
		last change
		path string
	}{
		{"the last one cannot be put in place", change{path: "busy", content: []byte("x")}, "busy"},
		{"the last one was changed meanwhile", change{path: "b", content: []byte("x"), before: info("a")}, "b"},
		{"the last one cannot be written", change{path: "a/x", content: []byte("x")}, "a/x"},
	}
	for _, test := range tests {
		path, err := set.workspace.apply(t.Context(), []change{
			{path: "new/deep/file", content: []byte("new")},
			{path: "a", content: []byte("new a"), before: info("a"), like: info("a"), old: []byte("old a")},
			{path: "b", remove: true, before: info("b"), like: info("b"), old: []byte("old b")},
			test.last,
		})
		if err == nil || path != test.path {
			t.Errorf("%s: %q, %v", test.name, path, err)
		}
		if after := tree(t, dir); after != before {
			t.Errorf("%s: left\n%swant\n%s", test.name, after, before)
		}
	}
}
