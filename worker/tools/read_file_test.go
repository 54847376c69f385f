package tools

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// utf16Bytes is text in UTF-16 with a byte order mark.
func utf16Bytes(text string, big bool) string {
	var out strings.Builder
	for _, unit := range append([]uint16{0xfeff}, utf16.Encode([]rune(text))...) {
		low, high := byte(unit), byte(unit>>8)
		if big {
			low, high = high, low
		}
		out.Write([]byte{low, high})
	}
	return out.String()
}

// numbered is a text of n lines, each with its number.
func numbered(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintln(&out, i+1)
	}
	return out.String()
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, content string
		args          args
		want          string
		failed        bool
	}{
		{name: "all of it", content: "a\nb\n", want: "1|a\n2|b\n"},
		{name: "no line end at the end", content: "a\nb", want: "1|a\n2|b\n"},
		{name: "empty lines", content: "\n\nx\n", want: "1|\n2|\n3|x\n"},
		{name: "CRLF", content: "a\r\nb\r\n", want: "1|a\n2|b\n"},
		{name: "other scripts", content: "größe\n大小 💻\n", want: "1|größe\n2|大小 💻\n"},
		{name: "empty", content: "", want: "f is empty."},
		{name: "a page", content: numbered(10), args: args{"offset": 3, "limit": 2}, want: "3|3\n4|4\n[lines 3 to 4 of 10; read on with offset 5]\n"},
		{name: "the last page", content: numbered(10), args: args{"offset": 9, "limit": 2}, want: "9|9\n10|10\n"},
		{name: "beyond the end", content: numbered(10), args: args{"offset": 11}, want: "f has 10 lines; line 11 is beyond its end.", failed: true},
		{name: "offset zero", content: "a\n", args: args{"offset": 0}, want: "1|a\n"},
		{name: "offset below zero", content: "a\n", args: args{"offset": -5, "limit": -5}, want: "1|a\n"},
		{name: "default limit", content: numbered(600), want: "\n500|500\n[lines 1 to 500 of 600; read on with offset 501]\n"},
		{name: "limit too high", content: numbered(3000), args: args{"limit": 9999}, want: "\n2000|2000\n[lines 1 to 2000 of 3000; read on with offset 2001]\n"},
		{name: "long line", content: strings.Repeat("ä", 2500) + "\nb\n", want: "1|" + strings.Repeat("ä", 2000) + " [… 1000 more bytes]\n2|b\n"},
		{name: "line of the longest length", content: strings.Repeat("ä", 2000) + "\nb\n", want: "1|" + strings.Repeat("ä", 2000) + "\n2|b\n"},
		{name: "byte order mark", content: "\ufeffa\n", want: "1|a\n"},
		{name: "UTF-16, little", content: utf16Bytes("a\nü💻\n", false), want: "1|a\n2|ü💻\n"},
		{name: "UTF-16, big", content: utf16Bytes("a\r\nü💻", true), want: "1|a\n2|ü💻\n"},
		{name: "binary", content: "\x7fELF\x02\x01\x01\x00\x00", want: "f is a binary file (application/octet-stream, 9 bytes).", failed: true},
		{name: "picture", content: "\x89PNG\r\n\x1a\n\x00\x00", want: "f is a binary file (image/png, 10 bytes).", failed: true},
		{name: "archive without NUL", content: "\x1f\x8b\x08\xff\xff\xff", want: "f is a binary file (application/x-gzip, 6 bytes).", failed: true},
		{name: "Latin-1", content: "gr\xf6\xdfe\n", want: "f is not UTF-8 text (6 bytes). If it is text in another encoding, convert it first", failed: true},
		{name: "rune across the sample", content: strings.Repeat("x", sampleBytes-1) + "ä\n", want: " more bytes]\n"},
		{name: "garbled further on", content: strings.Repeat("x\n", sampleBytes) + "a\xffb\x00c\n", args: args{"offset": sampleBytes + 1}, want: fmt.Sprintf("%d|a\ufffdb\ufffdc\n", sampleBytes+1)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			set, dir := newSet(t)
			put(t, dir, "f", test.content)
			arguments := args{"path": "f"}
			maps.Copy(arguments, test.args)
			got := call(t.Context(), t, set, "read_file", arguments)
			found := strings.HasSuffix(got.Text, test.want) || test.failed && strings.HasPrefix(got.Text, test.want)
			if got.Failed != test.failed || !found {
				t.Errorf("failed %v, got …%s", got.Failed, got.Text[max(0, len(got.Text)-300):])
			}
			if !utf8.ValidString(got.Text) {
				t.Error("the text is not valid UTF-8")
			}
		})
	}
}

func TestReadFileIsBounded(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	put(t, dir, "wide", strings.Repeat(strings.Repeat("x", 1500)+"\n", 200))
	got := call(t.Context(), t, set, "read_file", args{"path": "wide"})
	expect(t, got, false, "of 200; read on with offset ")
	if len(got.Text) > maxReadBytes+3000 {
		t.Errorf("%d bytes", len(got.Text))
	}
}

func TestReadFileOfAHugeFile(t *testing.T) {
	set, dir := newSet(t)
	put(t, dir, "huge", "first\nsecond\n")
	path := filepath.Join(dir, "huge")
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(strings.Repeat("x", 99) + "\n")
	for range 100_000 {
		if _, err := file.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	// The rest is a hole: one line of two gigabytes.
	if err := file.Truncate(2 << 30); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	expect(t, call(t.Context(), t, set, "read_file", args{"path": "huge", "limit": 2}), false, "1|first\n2|second\n[lines 1 to 2 of ")
	expect(t, call(t.Context(), t, set, "read_file", args{"path": "huge", "offset": 100_001, "limit": 1}), false, "[lines 100001 to 100001 of ")
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("reading took %d bytes of memory", grown)
	}
}

func TestReadFileHelpsWithNames(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	for _, name := range []string{"README.md", "src/main.go", "src/main_test.go", "src/other.go", "config.yaml"} {
		put(t, dir, name, "x\n")
	}
	tests := []struct{ path, want string }{
		{"readme.md", "readme.md does not exist. Similar names: README.md."},
		{"src/mian.go", "src/mian.go does not exist. Similar names: src/main.go."},
		{"src/main.py", "Similar names: src/main.go, src/main_test.go."},
		{"config.yml", "Similar names: config.yaml."},
		{"nothing-like-it", "nothing-like-it does not exist."},
		{"no/such/dir", "no/such/dir does not exist; the directory no/such does not exist either."},
		{"src", "src is a directory. search_files with target files and path src lists all files below it. It holds: main.go, main_test.go, other.go"},
		{".", ". is a directory. search_files with target files and path . lists all files below it. It holds: README.md, config.yaml, src/"},
	}
	for _, test := range tests {
		got := call(t.Context(), t, set, "read_file", args{"path": test.path})
		if !got.Failed || !strings.HasSuffix(got.Text, test.want) {
			t.Errorf("%s: %s", test.path, got.Text)
		}
	}
}
