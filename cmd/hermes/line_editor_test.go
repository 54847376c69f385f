package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

func TestKeysThatArePastedBecomeOneLine(t *testing.T) {
	t.Parallel()
	paste := func(text string) string { return pasteBegins + text + pasteEnds }
	tests := []struct{ name, typed, want string }{
		{"typed", "hello\r", "hello\r"},
		{"arrows", "a\x1b[Ab\x1b[200x", "a\x1b[Ab\x1b[200x"},
		{"lines", paste("a\r\nb\rc\nd\n\n") + "\r", paste("a␤b␤c␤d␤␤") + "\r"},
		{"tab", "x" + paste("\ta"), "x" + paste("␉a")},
		{"escapes", paste("a\x1b[31mb\x1b\x1b]0;t\x07\x00\x7f"), paste("a[31mb]0;t")},
		{"C1 controls", paste("a\u009b2Jé\u00a0"), paste("a2Jé\u00a0")},
		{"almost the end", paste("a\x1b[201b\x1b[2"), paste("a[201b[2")},
		{"two", paste("a\n") + paste("b"), paste("a␤") + paste("b")},
		{"Ctrl-C in a paste", paste("a\x03b"), paste("ab")},
		{"Ctrl-C empties a line", "ab\x03c", "ab\x05\x15c"},
		{"Ctrl-C at an empty line", "\x03", "\x03"},
		{"Ctrl-C after a line", "a\r\x03", "a\r\x03"},
		{"Ctrl-C twice", "a\x03\x03", "a\x05\x15\x03"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for form, in := range map[string]io.Reader{
				"whole": strings.NewReader(test.typed), "byte by byte": iotest.OneByteReader(strings.NewReader(test.typed)),
			} {
				keys := &keyReader{in: in}
				got, err := io.ReadAll(iotest.OneByteReader(keys))
				if err != nil || string(got) != test.want {
					t.Errorf("%s: got %q, %v, want %q", form, got, err, test.want)
				}
				if want := strings.HasSuffix(test.want, "\x03"); keys.interrupted != want {
					t.Errorf("%s: interrupted is %t", form, keys.interrupted)
				}
			}
		})
	}
}

func FuzzKeyReader(f *testing.F) {
	f.Add("a\x1b[200~b\r\nc\x1b[201~\x03")
	f.Fuzz(func(t *testing.T, typed string) {
		whole, err := io.ReadAll(&keyReader{in: strings.NewReader(typed)})
		if err != nil {
			t.Fatal(err)
		}
		pieces, err := io.ReadAll(&keyReader{in: iotest.OneByteReader(strings.NewReader(typed))})
		if err != nil || string(pieces) != string(whole) {
			t.Errorf("%q byte by byte is %q, whole %q (%v)", typed, pieces, whole, err)
		}
		_, pasted, ok := strings.Cut(string(whole), pasteBegins)
		for ok {
			var rest string
			pasted, rest, _ = strings.Cut(pasted, pasteEnds)
			if i := strings.IndexFunc(pasted, func(r rune) bool { return r < ' ' || r == del }); i >= 0 {
				t.Errorf("%q: a paste holds a control character: %q", typed, pasted)
			}
			_, pasted, ok = strings.Cut(rest, pasteBegins)
		}
	})
}

func TestHistoryIsKeptAndBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "chat_history")
	open := func() *history {
		t.Helper()
		h, err := openHistory(path)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := open()
	for _, entry := range []string{"first", "first", " secret", "", "two␤lines", strings.Repeat("x", historyEntry+1)} {
		if h.Add(entry); h.err != nil {
			t.Fatal(h.err)
		}
	}
	again := open()
	if again.Len() != 2 || again.At(0) != "two␤lines" || again.At(1) != "first" {
		t.Errorf("kept %q", again.entries)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
	for i := range historyEntries + 50 {
		again.Add(strconv.Itoa(i))
	}
	h.Add("from another terminal")
	last := open()
	if last.Len() != historyEntries || last.At(0) != "from another terminal" || last.At(1) != strconv.Itoa(historyEntries+49) {
		t.Errorf("%d entries, the last ones %q, %q", last.Len(), last.At(0), last.At(1))
	}
	if data, err := os.ReadFile(path); err != nil || strings.Count(string(data), "\n") != historyEntries {
		t.Errorf("the file was not made short: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
}

func TestHistoryThatCannotBeKeptIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "data"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h := &history{path: filepath.Join(dir, "data", "chat_history")}
	if h.Add("x"); h.err == nil || h.Len() != 1 {
		t.Errorf("error %v, %d entries", h.err, h.Len())
	}
}

// The history lies where the worker may write. What that puts in its place is neither
// read nor written to, and keeps nobody waiting: whoever chats may be root.
func TestHistoryLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	const mine = "a file of the one who chats\n"
	for name, put := range map[string]func(path, elsewhere string) error{
		"a link":                func(path, elsewhere string) error { return os.Symlink(elsewhere, path) },
		"a link that leads off": func(path, elsewhere string) error { return os.Symlink(elsewhere+".new", path) },
		"a pipe":                func(path, _ string) error { return syscall.Mkfifo(path, 0o600) },
		"a directory":           func(path, _ string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			elsewhere, path := filepath.Join(dir, "profile"), filepath.Join(dir, "data", "chat_history")
			before := strings.Repeat(mine, 2*historyEntries) // so many that a history would be made short
			if err := errors.Join(os.WriteFile(elsewhere, []byte(before), 0o600), os.Mkdir(filepath.Dir(path), 0o700), put(path, elsewhere)); err != nil {
				t.Fatal(err)
			}
			done := make(chan *history, 1)
			go func() {
				h, _ := openHistory(path)
				h.Add("rm -rf ~")
				done <- h
			}()
			select {
			case h := <-done:
				if h.err == nil || h.Len() != 1 {
					t.Errorf("%d entries, and no word of why they are not kept", h.Len())
				}
			case <-time.After(10 * time.Second):
				t.Fatal("it is waited for")
			}
			if after, err := os.ReadFile(elsewhere); err != nil || string(after) != before {
				t.Errorf("the file elsewhere was changed (%v)", err)
			}
			if _, err := os.Lstat(elsewhere + ".new"); err == nil {
				t.Error("a file was made elsewhere")
			}
		})
	}
}
