package agent

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDigest(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("compiling something\n", 40)
	for _, test := range []struct{ name, text, want string }{
		{"short stays", "error: no\n[exit code 1]\n", "error: no\n[exit code 1]\n"},
		{"plain", long, "[Old result of make left out to save room: 800 bytes]"},
		{
			"how it ended", long + "[exit code 2]\n[the whole output is in .hermes/output/x.txt]\n",
			"[Old result of make left out to save room: 860 bytes; exit code 2; the whole output is in .hermes/output/x.txt]",
		},
		{
			"first error", long + "main.go:3: ERROR: no such thing\nerror: second\n[exit code 1]\n",
			"[Old result of make left out to save room: 860 bytes; exit code 1; first error: main.go:3: ERROR: no such thing]",
		},
		{"a class of error", long + "ValueError: x\n", "[Old result of make left out to save room: 814 bytes; first error: ValueError: x]"},
		{"a word that only holds one", long + "terrorism and defaults\n", "[Old result of make left out to save room: 823 bytes]"},
		{"an error far behind", strings.Repeat("é", 300) + " panic: gone", "[Old result of make left out to save room: 612 bytes; first error: " + strings.Repeat("é", 39) + " panic: gone]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := digest("make", test.text); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func FuzzDigest(f *testing.F) {
	f.Add(strings.Repeat("x", 500) + "\nError: é\n[exit code 1]")
	f.Fuzz(func(t *testing.T, text string) {
		short := digest("terminal", text)
		if len(short) > len(text) {
			t.Errorf("%d bytes became %d", len(text), len(short))
		}
		if utf8.ValidString(text) && !utf8.ValidString(short) {
			t.Errorf("%q is not valid any more", short)
		}
		if cut := cutMiddle(text, 300); utf8.ValidString(text) && (!utf8.ValidString(cut) || len(cut) > max(len(text), 380)) {
			t.Errorf("%d bytes became %d", len(text), len(cut))
		}
	})
}
