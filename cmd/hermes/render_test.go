package main

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
)

// sgr matches the sequences that a renderer makes.
var sgr = regexp.MustCompile("\x1b\\[[0-9;]*m")

// drawn draws a text that comes in one piece, with names in the place of SGR
// sequences.
func drawn(text string) string {
	var r renderer
	return strings.NewReplacer("\x1b[0m", "</>", "\x1b[1m", "<b>", "\x1b[2m", "<dim>", "\x1b[3m", "<i>", "\x1b[4m", "<u>", "\x1b[36m", "<c>",
		"\x1b[1;36m", "<bc>", "\x1b[1;3m", "<bi>", "\x1b[4;36m", "<uc>").Replace(r.write(text) + r.flush())
}

func TestRendererDrawsMarkdown(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"plain", "hello, wörld\n", "hello, wörld\n"},
		{"heading", "## The `end`\ntext", "<b>The </><bc>end</>\ntext"},
		{"no heading", "#hash ####### x\n#######\n", "#hash ####### x\n#######\n"},
		{"strong", "a **b c** d", "a <b>b c</> d"},
		{"emphasis", "*a* _b_ c", "<i>a</> <i>b</> c"},
		{"emphasis in strong", "**a *b* c**", "<b>a </><bi>b</><b> c</>"},
		{"code in strong", "**a `*` b**", "<b>a </><bc>*</><b> b</>"},
		{"strong twice", "**a** and **b**", "<b>a</> and <b>b</>"},
		{"not closed", "rm *.txt or **x\nnext", "rm *.txt or **x\nnext"},
		{"snake case", "my_var_name and 2*3*4", "my_var_name and 2*3*4"},
		{"a star between spaces", "2 * 3 * 4", "2 * 3 * 4"},
		{"code", "run `ls -l *` now", "run <c>ls -l *</> now"},
		{"code with backticks", "``a ` b``", "<c>a ` b</>"},
		{"code not closed", "a ``b` c", "a ``b` c"},
		{"link", "see [the **page**](https://a.b/c_d_e) now", "see <u>the </>\x1b[4;1mpage</> (https://a.b/c_d_e) now"},
		{"link to what it says", "[https://a.b](https://a.b)", "<u>https://a.b</>"},
		{"no link", "a[0] and [x] (y) [z", "a[0] and [x] (y) [z"},
		{"escaped", `\*a\* \x`, `*a* \x`},
		{"list", "- a\n  * **b**\n1. c\n+ d", "• a\n  • <b>b</>\n1. c\n• d"},
		{"rule", "a\n---\n* * *\n--x", "a\n<dim>---</>\n<dim>* * *</>\n--x"},
		{"quote", "> a *b*\n> > c", "<dim>│</> a <i>b</>\n<dim>│ │</> c"},
		{"heading in a quote", "> # a", "<dim>│</> <b>a</>"},
		{"code block", "a\n```go\nx := *p // `c`\n\n# y\n```\n**b**", "a\n<dim>```go</>\n<c>x := *p // `c`</>\n\n<c># y</>\n<dim>```</>\n<b>b</>"},
		{"longer fence", "````\n```\n````\na", "<dim>````</>\n<c>```</>\n<dim>````</>\na"},
		{"tilde fence", "~~~\na\n~~~~\nb", "<dim>~~~</>\n<c>a</>\n<dim>~~~~</>\nb"},
		{"code that looks like a fence", "```a``` b", "<c>a</> b"},
		{"block that is not closed", "```\na *b*", "<dim>```</>\n<c>a *b*</>"},
		{"table", "| a | **b** |\n|---|---|", "| a | **b** |\n|---|---|"},
		{"escapes", "a\x1b[31mb\x1b]0;t\x07\u009b2J\u202e\rc", "a[31mb]0;t2J c"},
		{"emoji", "👩‍💻 **ok** ✔️", "👩‍💻 <b>ok</> ✔️"},
		{"no UTF-8", "a\xffb\xe2", "a\uFFFDb\uFFFD"},
		{"a marker long before its end", "**" + strings.Repeat("a", 500) + "**", "**" + strings.Repeat("a", 500) + "**"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := drawn(test.text); got != test.want {
				t.Errorf("%q is drawn\n%q, want\n%q", test.text, got, test.want)
			}
		})
	}
}

// Text is shown when it comes: only what a marker leaves open waits.
func TestRendererHoldsBackOnlyWhatIsOpen(t *testing.T) {
	t.Parallel()
	var r renderer
	for _, step := range []struct{ piece, want string }{
		{"Hel", "Hel"}, {"lo w", "lo w"}, {"orld **bo", "orld "}, {"ld", ""}, {"** a", "\x1b[1mbold\x1b[0m a"}, {"\n-", "\n"}, {" x", "• x"},
	} {
		if got := r.write(step.piece); got != step.want {
			t.Errorf("after %q came %q, want %q", step.piece, got, step.want)
		}
	}
}

// A line of markers must not take long, however hostile it is.
func TestRendererIsQuickWithMarkers(t *testing.T) {
	t.Parallel()
	began := time.Now()
	for _, unit := range []string{"*a ", "`", "``a", "[a](", "**a_b ", "> ", "[", "_*", "\\*a*b "} {
		drawn(strings.Repeat(unit, 20_000))
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

// signs drops all that a renderer may drop or put in.
func signs(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || strings.ContainsRune("*_`~#>-+•│[]()\\", r) {
			return -1
		}
		return r
	}, text)
}

func FuzzRenderer(f *testing.F) {
	for _, text := range []string{
		"# a\n**b** *c* `d` [e](f)\n```go\nx\n```\n> q\n- l\n| t |\n---\n", "**a *b** c*", "a\x1b[2J\xff\u009b", "``` a ` b\n", "[**a](b)**", "> - # `x", "\\", "1. __x__",
	} {
		f.Add(text, 3, 5)
	}
	f.Fuzz(func(t *testing.T, text string, first, second int) {
		var whole, parts, bytewise renderer
		want := whole.write(text) + whole.flush()
		i := min(max(first, 0), len(text))
		k := min(max(second, i), len(text))
		if got := parts.write(text[:i]) + parts.write(text[i:k]) + parts.write(text[k:]) + parts.flush(); got != want {
			t.Errorf("%q in pieces is drawn\n%q, whole\n%q", text, got, want)
		}
		var got strings.Builder
		for i := range len(text) {
			got.WriteString(bytewise.write(text[i : i+1]))
		}
		if got.WriteString(bytewise.flush()); got.String() != want {
			t.Errorf("%q byte by byte is drawn\n%q, whole\n%q", text, got.String(), want)
		}
		left := sgr.ReplaceAllString(want, "")
		if printable(left) != left {
			t.Errorf("%q is drawn with what is not to be: %q", text, want)
		}
		if strings.Count(want, "\n") != strings.Count(text, "\n") {
			t.Errorf("%q is drawn with other lines: %q", text, want)
		}
		if last := sgr.FindAllString(want, -1); len(last) > 0 && last[len(last)-1] != "\x1b[0m" {
			t.Errorf("%q leaves the terminal in a style: %q", text, want)
		}
		// An address that is what the link says is shown once.
		if !strings.Contains(text, "](") && signs(left) != signs(printable(text)) {
			t.Errorf("%q is drawn with other text: %q", text, left)
		}
	})
}
