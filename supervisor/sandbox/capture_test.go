package sandbox

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"empty", "", ""},
		{"plain", "a\tb\r\nc\n", "a\tb\r\nc\n"},
		{"other scripts", "größe 大小 💻\n", "größe 大小 💻\n"},
		{"colour", "\x1b[1;31mred\x1b[0m", "red"},
		{"private mode", "\x1b[?25lx\x1b[?25h", "x"},
		{"title", "\x1b]0;title\ax", "x"},
		{"link", "\x1b]8;;http://a\x1b\\text\x1b]8;;\x1b\\", "text"},
		{"charset", "\x1b(Bx", "x"},
		{"keypad", "\x1b=x\x1b>", "x"},
		{"cut short", "x\x1b[1;3", "x"},
		{"lone escape", "x\x1b", "x"},
		{"title without an end", "\x1b]0;title\nx", "0;title\nx"},
		{"long title without an end", "\x1b]" + strings.Repeat("t", 5000), strings.Repeat("t", 5000)},
		{"controls", "a\ab\bc\x7fd\u0085e\ufeff", "abcde\ufeff"},
		{"NUL", "a\x00b", "a\ufffdb"},
		{"invalid", "a\xff\xfe\x80b\xffc", "a\ufffdb\ufffdc"},
		{"invalid with text between", "\xffa\xff", "\ufffda\ufffd"},
		{"cut rune", "a\xe5\xa4", "a\ufffd"},
		{"replacement itself", "a\ufffd\ufffdb", "a\ufffd\ufffdb"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := clean([]byte(test.in)); got != test.want {
				t.Errorf("clean(%q) = %q, want %q", test.in, got, test.want)
			}
			for size := range 5 {
				if got := cleaned(t, []byte(test.in), size+1); got != oneGarble(test.want) {
					t.Errorf("by %d it becomes %q, want %q", size+1, got, test.want)
				}
			}
		})
	}
}

// cleaned is what a Cleaner makes of p when it comes in pieces of a size.
func cleaned(t *testing.T, p []byte, size int) string {
	t.Helper()
	var text strings.Builder
	cleaner := &Cleaner{To: &text}
	for piece := range slices.Chunk(p, size) {
		if n, err := cleaner.Write(piece); n != len(piece) || err != nil {
			t.Errorf("wrote %d of %d: %v", n, len(piece), err)
		}
		if len(cleaner.held) > maxString {
			t.Errorf("%d bytes are held back", len(cleaner.held))
		}
	}
	if err := cleaner.Flush(); err != nil {
		t.Error(err)
	}
	return oneGarble(text.String())
}

// oneGarble makes one of several replacement characters: where a Cleaner gets
// its pieces, one follows the other.
func oneGarble(text string) string {
	return regexp.MustCompile("\ufffd+").ReplaceAllString(text, "\ufffd")
}

func TestCleanerOfATerminal(t *testing.T) {
	t.Parallel()
	for size := range 4 {
		var text strings.Builder
		cleaner := &Cleaner{To: &text, Terminal: true}
		for piece := range slices.Chunk([]byte("a\r\nb\rc\r\n\r"), size+1) {
			_, _ = cleaner.Write(piece)
		}
		_ = cleaner.Flush()
		if text.String() != "a\nb\rc\n\r" {
			t.Errorf("by %d it becomes %q", size+1, text.String())
		}
	}
}

func TestCapture(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, want string
		limit          int
	}{
		{name: "empty", limit: 10},
		{name: "fits to the byte", limit: 10, in: "0123456789", want: "0123456789"},
		{name: "one too many", limit: 10, in: "0123456789A", want: "0123\n[… 1 bytes left out …]\n56789A"},
		{name: "between lines", limit: 20, in: "one\ntwo\nthree\nfour\nfive\nsix\n", want: "one\ntwo\n[… 11 bytes left out …]\nfive\nsix\n"},
		{name: "between runes", limit: 10, in: "äöüäöüäöü", want: "äö\n[… 8 bytes left out …]\näöü"},
		{name: "cut runes go", limit: 10, in: "xäöüäöüäöüx", want: "xä\n[… 12 bytes left out …]\nöüx"},
	}
	for _, test := range tests {
		for _, chunk := range []int{1, 2, 3, 7, 100} {
			t.Run(fmt.Sprintf("%s by %d", test.name, chunk), func(t *testing.T) {
				t.Parallel()
				capture := newCapture(test.limit)
				for rest := test.in; rest != ""; {
					n := min(chunk, len(rest))
					if _, err := capture.Write([]byte(rest[:n])); err != nil {
						t.Fatal(err)
					}
					rest = rest[n:]
				}
				if got, _ := capture.text(); got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
			})
		}
	}
}

func FuzzOutput(f *testing.F) {
	for _, seed := range []string{"plain", "\x1b[31mred", "\x1b]0;t\a", "ä\xff\x00", strings.Repeat("line\n", 20)} {
		f.Add([]byte(seed), 16, 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, limit, chunk int) {
		capture := newCapture(1 + max(limit, -limit)%100)
		chunk = 1 + max(chunk, 0)%50
		for rest := data; len(rest) > 0; {
			n := min(chunk, len(rest))
			_, _ = capture.Write(rest[:n])
			rest = rest[n:]
		}
		text, omitted := capture.text()
		if !utf8.ValidString(text) || strings.ContainsRune(text, escape) || omitted < 0 || omitted > int64(len(data)) {
			t.Errorf("%q gives %q, %d left out", data, text, omitted)
		}
		if got, want := cleaned(t, data, chunk), oneGarble(clean(data)); got != want && len(data) < maxString {
			t.Errorf("%q by %d gives %q, want %q", data, chunk, got, want)
		}
	})
}
