package tools

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

// corpus fills a workspace with what a search meets.
func corpus(t *testing.T, dir string) {
	t.Helper()
	for name, text := range map[string]string{
		".gitignore":            "# built\n/build/\n*.log\n!keep.log\nnode_modules\r\nsub/secret/\n",
		".git/config":           "needle\n",
		".hidden/a.txt":         "needle hidden\n",
		"a-b.txt":               "needle a-b\n",
		"a/inner.txt":           "needle a/inner\n",
		"a.txt":                 "one needle\ntwo\nthree needle\n" + "needle four\nfive\nsix\nseven\nNEEDLE eight\n",
		"binary.bin":            "needle\x00\n",
		"build/out.txt":         "needle built\n",
		"crlf.txt":              "needle\r\nend of needle\r\n",
		"debug.log":             "needle log\n",
		"keep.log":              "needle kept\n",
		"latin1.txt":            "needle gr\xf6\xdfe\n",
		"main.go":               "package main\n\nfunc main() {\n\tneedle(1)\n}\n",
		"nul-later.txt":         "needle early\n" + strings.Repeat("x\n", sampleBytes) + "needle\x00\nneedle late\n",
		"other/node_modules/x":  "needle\n",
		"src/deep/er/main.go":   "// needle\npackage deep\n",
		"src/größe.txt":         "größe needle\n",
		"src/with space.txt":    "needle spaced\n",
		"sub/.gitignore":        "*.tmp\n",
		"sub/secret/x.txt":      "needle secret\n",
		"sub/x.tmp":             "needle tmp\n",
		"sub/x.txt":             "needle sub\n",
		"utf16.txt":             utf16Bytes("needle\n", false),
		"wide.txt":              strings.Repeat("ä", 1000) + "needle" + strings.Repeat("ö", 1000) + "\n",
		"bom.txt":               "\ufeffneedle bom\n",
		"-dash.txt":             "needle dash\n",
		"no-newline.txt":        "last needle",
		"empty.txt":             "",
		"words.txt":             "needles\nthe needle.\nEineneedleß\nx\u00a0needle\n",
		"regexp.txt":            "a+b (c) [d] \\d $5 {x}\n",
		"zz/zz/zz/zz/deep.txt":  "needle deep\n",
		"zz/zz.txt":             "needle zz\n",
		"src/deep/er/test.spec": "needle spec\n",
	} {
		put(t, dir, name, text)
	}
	for link, target := range map[string]string{"link.txt": "a.txt", "linkdir": "src"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSearchContent(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	corpus(t, dir)
	tests := []struct {
		name string
		args args
		want string
	}{
		{"lines of a file", args{"pattern": "needle", "path": "a.txt"}, "a.txt:1:one needle\na.txt:3:three needle\na.txt:4:needle four\n"},
		{"expression", args{"pattern": `(?i)^needle\s+\w+$`, "path": "a.txt"}, "a.txt:4:needle four\na.txt:8:NEEDLE eight\n"},
		{"context", args{"pattern": "two|seven", "path": "a.txt", "context": 1}, "a.txt-1-one needle\na.txt:2:two\na.txt-3-three needle\n--\na.txt-6-six\na.txt:7:seven\na.txt-8-NEEDLE eight\n"},
		{"context that overlaps", args{"pattern": "two|four", "path": "a.txt", "context": 1}, "a.txt-1-one needle\na.txt:2:two\na.txt-3-three needle\na.txt:4:needle four\na.txt-5-five\n"},
		{"limit", args{"pattern": "needle", "path": "a.txt", "limit": 2}, "a.txt:1:one needle\na.txt:3:three needle\n[results 1 to 2; there are more, from offset 2]\n"},
		{"offset", args{"pattern": "needle", "path": "a.txt", "limit": 2, "offset": 2}, "a.txt:4:needle four\n"},
		{"offset and context", args{"pattern": "two|four", "path": "a.txt", "context": 1, "offset": 1}, "a.txt-3-three needle\na.txt:4:needle four\na.txt-5-five\n"},
		{"offset beyond", args{"pattern": "needle", "path": "a.txt", "offset": 5}, "There are only 3 results; offset 5 is beyond them.\n"},
		{"nothing", args{"pattern": "no such text"}, "Nothing found.\n"},
		{"glob", args{"pattern": "needle", "file_glob": "*.go"}, "main.go:4:\tneedle(1)\nsrc/deep/er/main.go:1:// needle\n"},
		{"glob with a path", args{"pattern": "needle", "file_glob": "src/**/*.{go,spec}"}, "src/deep/er/main.go:1:// needle\nsrc/deep/er/test.spec:1:needle spec\n"},
		{"directory", args{"pattern": "needle", "path": "zz"}, "zz/zz/zz/zz/deep.txt:1:needle deep\nzz/zz.txt:1:needle zz\n"},
		{"directory, and glob from there", args{"pattern": "needle", "path": "zz", "file_glob": "zz/**/*.txt"}, "zz/zz/zz/zz/deep.txt:1:needle deep\nzz/zz.txt:1:needle zz\n"},
		{"ignored further up", args{"pattern": "needle", "path": "sub"}, "sub/x.txt:1:needle sub\n"},
		{"ignored, but asked for", args{"pattern": "needle", "path": "build"}, "build/out.txt:1:needle built\n"},
		{"ignored file, but asked for", args{"pattern": "needle", "path": "debug.log"}, "debug.log:1:needle log\n"},
		{"carriage returns", args{"pattern": "needle$", "path": "crlf.txt"}, "crlf.txt:1:needle\ncrlf.txt:2:end of needle\n"},
		{"no UTF-8", args{"pattern": "needle gr", "path": "latin1.txt"}, "latin1.txt:1:needle gr\ufffde\n"},
		{"names of files", args{"pattern": "needle", "path": "src", "output_mode": "files_only"}, "src/deep/er/main.go\nsrc/deep/er/test.spec\nsrc/größe.txt\nsrc/with space.txt\n"},
		{"names of files, a page", args{"pattern": "needle", "path": "src", "output_mode": "files_only", "limit": 1, "offset": 1}, "src/deep/er/test.spec\n[results 2 to 2; there are more, from offset 2]\n"},
		{"count", args{"pattern": "needle", "output_mode": "count", "file_glob": "a*.txt"}, ".hidden/a.txt:1\na-b.txt:1\na.txt:3\n"},
		{"long line", args{"pattern": "needle", "path": "wide.txt"}, "wide.txt:1:…" + strings.Repeat("ä", 75) + "needle" + strings.Repeat("ö", 218) + "…\n"},
		{"up to a NUL", args{"pattern": "needle", "path": "nul-later.txt"}, "nul-later.txt:1:needle early\n"},
		{"binary", args{"pattern": "needle", "path": "binary.bin"}, "Nothing found.\n"},
		{"byte order mark", args{"pattern": "^needle", "path": "bom.txt"}, "bom.txt:1:needle bom\n"},
		{"no line end", args{"pattern": "needle$", "path": "no-newline.txt"}, "no-newline.txt:1:last needle\n"},
		{"option as a pattern", args{"pattern": "--files"}, "Nothing found.\n"},
		{"line break", args{"pattern": `needle\ntwo`}, "Nothing found.\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, tool := range engines(t, set) {
				if got := runSearch(t, tool, test.args); got.Failed || got.Text != test.want {
					t.Errorf("with rg %q: failed %v, got\n%swant\n%s", tool.ripgrep, got.Failed, got.Text, test.want)
				}
			}
		})
	}
}

// engines are the search tool without rg, and with it if there is one.
func engines(t *testing.T, set *Set) []*searchFiles {
	t.Helper()
	tool, ok := set.tools["search_files"].tool.(*searchFiles)
	if !ok {
		t.Fatal("search_files is another tool")
	}
	plain := *tool
	plain.ripgrep = ""
	if tool.ripgrep == "" {
		return []*searchFiles{&plain}
	}
	return []*searchFiles{&plain, tool}
}

// runSearch runs a search by one of the engines.
func runSearch(t *testing.T, tool *searchFiles, arguments args) Result {
	t.Helper()
	set := &Set{tools: map[string]*entry{"search_files": {tool: tool, schema: must(t, tool)}}, workspace: tool.workspace}
	return call(t.Context(), t, set, "search_files", arguments)
}

func must(t *testing.T, tool *searchFiles) *schema {
	t.Helper()
	s, err := parseSchema(tool.spec.Parameters)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Whether there is an rg must make no difference to what is found.
func TestSearchIsTheSameWithRipgrep(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	corpus(t, dir)
	tools := engines(t, set)
	if len(tools) < 2 {
		t.Skip("there is no rg in PATH")
	}
	for _, pattern := range []string{
		"needle", "^needle", "needle$", `\bneedle\b`, `\Bneedle`, `needle\B`, `\w+ needle`, `\W+needle`, `x\sneedle`, `[^\w\s]needle`, `needle\S`, `\d`, `\D+`,
		"(?i)NEEDLE", "n.*e", "(?s)n.e", "[[:alpha:]]+ß", `gr.*e`, "größe|four", `\Aneedle`, `needle\z`, `a\+b \(c\) \[d\]`, `\\d \$5 \{x\}`, `\x{df}`, `(?U)n.+e`, "()", "x{3,}", ".", "ä{5}n", `\pL{9}`, "[a-n]e{2}",
		`\Q(c)\E`, "needle\n", `[^x]$`, `^$`,
	} {
		for _, more := range []args{{}, {"limit": 3, "offset": 2}, {"context": 2}, {"output_mode": "files_only"}, {"output_mode": "count"}, {"path": "src"}, {"path": "sub"}, {"path": "build"}, {"file_glob": "*.txt"}} {
			arguments := args{"pattern": pattern, "limit": 500}
			maps.Copy(arguments, more)
			without, with := runSearch(t, tools[0], arguments), runSearch(t, tools[1], arguments)
			if without.Text != with.Text || without.Failed != with.Failed {
				t.Errorf("%v: without rg\n%swith rg\n%s", arguments, without.Text, with.Text)
			}
		}
	}
}

func TestSearchFilesByName(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	corpus(t, dir)
	tests := []struct {
		pattern, path, want string
	}{
		{"*.go", "", "main.go src/deep/er/main.go"},
		{"main", "", "main.go src/deep/er/main.go"},
		{"**/er/*", "", "src/deep/er/main.go src/deep/er/test.spec"},
		{"deep/**", "src", "src/deep/er/main.go src/deep/er/test.spec"},
		{"src/deep/", "", "src/deep/er/main.go src/deep/er/test.spec"},
		{"src/*", "", "src/größe.txt src/with space.txt"},
		{"./src/*", "", "src/größe.txt src/with space.txt"},
		{"/src/*", "", "src/größe.txt src/with space.txt"},
		{"*.{log,tmp}", "", "keep.log"},
		{"[ab].txt", "", ".hidden/a.txt a.txt"},
		{"*", "sub", "sub/.gitignore sub/x.txt"},
		{"*", "build", "build/out.txt"},
		{"link*", "", "link.txt linkdir"},
		{"a.txt", "a.txt", "a.txt"},
		{"*", "linkdir", "linkdir/deep/er/main.go linkdir/deep/er/test.spec linkdir/größe.txt linkdir/with space.txt"},
		{"no*such", "", "Nothing found."},
	}
	for _, test := range tests {
		t.Run(test.pattern+" "+test.path, func(t *testing.T) {
			t.Parallel()
			arguments := args{"pattern": test.pattern, "target": "files"}
			if test.path != "" {
				arguments["path"] = test.path
			}
			got := call(t.Context(), t, set, "search_files", arguments)
			if text := strings.ReplaceAll(strings.TrimSpace(got.Text), "\n", " "); got.Failed || text != test.want {
				t.Errorf("got %s, want %s", text, test.want)
			}
		})
	}
	all := call(t.Context(), t, set, "search_files", args{"pattern": "*", "target": "files", "limit": 500}).Text
	lines := strings.Split(strings.TrimSpace(all), "\n")
	if slices.Contains(lines, ".git/config") || slices.Contains(lines, "other/node_modules/x") || !slices.Contains(lines, ".hidden/a.txt") {
		t.Errorf("all files are\n%s", all)
	}
	// A directory is in its place among the files around it, as ls has it.
	if a := slices.Index(lines, "a/inner.txt"); lines[a-1] != ".hidden/a.txt" && lines[a-1] != "-dash.txt" && lines[a-1] != ".gitignore" || lines[a+1] != "a-b.txt" || lines[a+2] != "a.txt" {
		t.Errorf("the order is\n%s", all)
	}
}

func TestSearchExplainsBadPatterns(t *testing.T) {
	t.Parallel()
	set, _ := newSet(t)
	for pattern, want := range map[string]string{
		"(":        "The pattern is no valid regular expression: missing closing ): (. To search for the text as it is, write \\(",
		"a(?=b)":   "look-around and back references do not exist in RE2",
		"(?<!a)b":  "RE2",
		"*x":       "missing argument to repetition operator: *",
		"x{99999}": "invalid repeat count",
		"[z-a]":    "invalid character class range",
		`\8`:       "invalid escape sequence",
	} {
		expect(t, call(t.Context(), t, set, "search_files", args{"pattern": pattern}), true, want)
	}
	expect(t, call(t.Context(), t, set, "search_files", args{"pattern": "[a", "target": "files"}), true, "[a is no valid glob.")
	expect(t, call(t.Context(), t, set, "search_files", args{"pattern": "a", "file_glob": "{a"}), true, "{a is no valid glob.")
}

func TestSearchIsBounded(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	put(t, dir, "many.txt", strings.Repeat(strings.Repeat("x", 250)+"\n", 2000))
	put(t, dir, "huge.txt", strings.Repeat("y", 3<<20)+"needle\n"+"needle\n")
	for _, tool := range engines(t, set) {
		got := runSearch(t, tool, args{"pattern": "x", "limit": 9999})
		if len(got.Text) > maxFindings+1000 || !strings.Contains(got.Text, "there are more, from offset ") {
			t.Errorf("%d bytes: …%s", len(got.Text), got.Text[max(0, len(got.Text)-100):])
		}
		expect(t, runSearch(t, tool, args{"pattern": "y|needle", "path": "huge.txt"}), false, "y…\nhuge.txt:2:needle\n")
		if got := runSearch(t, tool, args{"pattern": "^", "path": "huge.txt"}); !utf8.ValidString(got.Text) || len(got.Text) > 1000 {
			t.Errorf("%d bytes", len(got.Text))
		}
	}
}

// rg only names candidates: whatever it says, this process looks for itself.
func TestSearchDoesNotTrustRipgrep(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, script, want string }{
		{"names what is not its business", `printf './a.txt\0../outside/secret.txt\0/etc/passwd\0no-such\0./ignored.txt\0'`, "a.txt:1:needle a\n"},
		{"finds nothing", "exit 1", "Nothing found.\n"},
		{"fails", "echo oh >&2; exit 2", "a.txt:1:needle a\nb.txt:1:needle b\n"},
		{"is no program", "\x7f", "a.txt:1:needle a\nb.txt:1:needle b\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bin := t.TempDir()
			put(t, bin, "rg", "#!/bin/sh\n"+test.script+"\n")
			if err := os.Chmod(filepath.Join(bin, "rg"), 0o755); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "workspace")
			set, err := NewSet(kept(Options{Workspace: dir, Sandbox: box, Environ: []string{"PATH=" + bin + ":/usr/bin:/bin"}}))
			if err != nil {
				t.Fatal(err)
			}
			defer set.Close()
			put(t, filepath.Dir(dir), "outside/secret.txt", "needle secret\n")
			for name, text := range map[string]string{"a.txt": "needle a\n", "b.txt": "needle b\n", "ignored.txt": "needle i\n", ".gitignore": "ignored.txt\n"} {
				put(t, dir, name, text)
			}
			if got := call(t.Context(), t, set, "search_files", args{"pattern": "needle"}); got.Text != test.want {
				t.Errorf("got\n%swant\n%s", got.Text, test.want)
			}
		})
	}
}

func TestSearchEndsWithItsTurn(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	fifo := filepath.Join(bin, "fifo")
	put(t, bin, "rg", "#!/bin/sh\ntrap '' TERM\necho >"+fifo+"\nexec sleep 98765.5\n")
	if err := errors.Join(os.Chmod(filepath.Join(bin, "rg"), 0o755), syscall.Mkfifo(fifo, 0o600)); err != nil {
		t.Fatal(err)
	}
	set, err := NewSet(kept(Options{Workspace: t.TempDir(), Sandbox: box, Environ: []string{"PATH=" + bin + ":/usr/bin:/bin"}}))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan time.Time, 1)
	go func() {
		_, _ = os.ReadFile(fifo)
		cancelled <- time.Now()
		cancel()
	}()
	_, err = set.Run(ctx, toolCall("search_files", `{"pattern":"x"}`))
	if took := time.Since(<-cancelled); took > 10*time.Second || !errors.Is(err, context.Canceled) {
		t.Errorf("took %s after the cancel, %v", took, err)
	}
}
