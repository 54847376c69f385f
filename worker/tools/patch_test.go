package tools

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestReplaceFindsByStrategy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file, old, with, want, how string
	}{
		{"exact", "a b c\n", "b", "x", "a x c\n", "exact"},
		{"exact, deletes", "a\nb\nc\n", "b\n", "", "a\nc\n", "exact"},
		{"exact, in the middle of lines", "foo(a,\n\tb)\n", "(a,\n\tb", "(c", "foo(c)\n", "exact"},
		{"exact wins over near ones", "foo \n" + "foo\n\n", "foo\n\n", "bar\n\n", "foo \nbar\n\n", "exact"},
		{"spaces at the end of lines", "one  \ntwo\t\nthree\n", "one\ntwo\n", "1\n2\n", "1\n2\nthree\n", "line-trimmed"},
		{"last line without an end", "one\ntwo", "two\n", "2\n", "one\n2", "line-trimmed"},
		{"deletes a line that is not exact", "one\ntwo  2\nthree\n", "two 2", "", "one\nthree\n", "whitespace-normalised"},
		{"columns", "a   int  // one\nbcd string\n", "a int // one\nbcd string\n", "a int\n", "a int\n", "whitespace-normalised"},
		{"tabs for spaces", "func f() {\n\tif x {\n\t\ty()\n\t}\n}\n", "    if x {\n        y()\n    }", "    if x {\n        z()\n        if w {\n            v()\n        }\n    }", "func f() {\n\tif x {\n\t\tz()\n\t\tif w {\n\t\t\tv()\n\t\t}\n\t}\n}\n", "indentation-flexible"},
		{"spaces for tabs", "if x:\n    y()\n", "if x:\n\ty()", "if x:\n\tif z:\n\t\ty()", "if x:\n    if z:\n        y()\n", "indentation-flexible"},
		{"not indented", "class A:\n  def f(self):\n    pass\n", "def f(self):\n  pass", "def f(self):\n  return 1\n\ndef g(self):\n  pass", "class A:\n  def f(self):\n    return 1\n\n  def g(self):\n    pass\n", "indentation-flexible"},
		{"indented too far", "a:\n  b: 1\n", "      b: 1", "      b: 2\n      c: 3", "a:\n  b: 2\n  c: 3\n", "indentation-flexible"},
		{"one line further in", "\tx := 1\n", "  x := 1", "  x := 2\n  if x {\n    y\n  }", "\tx := 2\n\tif x {\n\t\ty\n\t}\n", "indentation-flexible"},
		{"escaped once too often", "say(\"hi\")\nbye\n", `say(\"hi\")\nbye`, `say(\"ho\")\nbye`, "say(\"ho\")\nbye\n", "escape-normalised"},
		{"space around", "x = f(a)\n", "\n  f(a)  \n", "\n  g(a)  \n", "x = g(a)\n", "trimmed-boundary"},
		{"typographic quotes", "say “hi” — now…\n", "say \"hi\" - now...", "say \"ho\"", "say \"ho\"\n", "unicode-normalised"},
		{"typographic quotes of the model", "it's\n", "it’s", "it is", "it is\n", "unicode-normalised"},
		{"no-break space", "a\u00a0b c\n", "a b", "d", "d c\n", "unicode-normalised"},
		{"first and last line", "func f() {\n\ta := compute(1, 2)\n\tb := compute(3, 4)\n\treturn a + b\n}\n", "func f() {\n\ta := compute(1, 2)\n\tb := compute(3, 5)\n\treturn a + b\n}", "func f() {\n\treturn 10\n}", "func f() {\n\treturn 10\n}\n", "block-anchor"},
		{"first and last line, a line more", "func f() {\n\tfirst := compute(1, 2)\n\tsecond := compute(3, 4)\n\tthird := compute(5, 6)\n\treturn first\n}\n", "func f() {\n\tfirst := compute(1, 2)\n\tsecond := compute(3, 4)\n\treturn first\n}\n", "func f() {\n\treturn 10\n}\n", "func f() {\n\treturn 10\n}\n", "block-anchor"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r, problem := findReplacement(test.file, test.old, test.with, false)
			if problem != "" || r.done != "" {
				t.Fatalf("problem %q, done %q", problem, r.done)
			}
			if got := applyEdits(test.file, r.edits); got != test.want || r.how != test.how {
				t.Errorf("by %s:\n%q\nwant by %s:\n%q", r.how, got, test.how, test.want)
			}
		})
	}
}

func TestReplaceRefuses(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("x = 1\n", 7)
	block := "func f() {\n\ta := compute(1, 2)\n\tb := compute(3, 4)\n\treturn a + b\n}\n"
	tests := []struct {
		name, file, old, with string
		all                   bool
		want                  string
	}{
		{"not there", "one\ntwo\n", "three", "3", false, "old_string is not there.\nRead the file again and copy the text as it is."},
		{"something like it", "alpha beta gamma\nother\n", "alpha beta delta gamma", "x", false, "These lines resemble its first one:\nL1: alpha beta gamma\nRead the file again"},
		{"several times", many, "x = 1", "x = 2", false, "old_string is there 7 times:\nL1: x = 1\nL2: x = 1\nL3: x = 1\nL4: x = 1\nL5: x = 1\n… and 2 more\nGive more lines around it, or set replace_all."},
		{"several times, nearly", "\tx\n" + "\n\t\tx\n", "x \n", "y \n", false, "old_string is there 2 times:\nL1: x\nL3: x\n"},
		{"part of a word", "foobar\n", " foo ", "x", false, "old_string is not there."},
		{"other structure", "if a:\n  b\nc\n", "if a:\n    b\n    c", "x", false, "old_string is not there."},
		{"only blanks", "a\n\n\n\nb\n", "\n \n", "x", false, "old_string is not there."},
		{"guesses are no replace_all", block, strings.Replace(block, "4", "5", 1), "x", true, "old_string is not there."},
		{"two guesses", block + block, strings.Replace(block, "4", "5", 1), "x", false, "old_string is there 2 times:\nL1: func f() {\nL6: func f() {\n"},
		{"the middle is something else", "{\n\tsomething quite different here\n}\n", "{\n\tfoo(bar)\n}", "x", false, "old_string is not there."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r, problem := findReplacement(test.file, test.old, test.with, test.all)
			if len(r.edits) > 0 || !strings.Contains(problem, test.want) {
				t.Errorf("edits %v by %s, problem %q", r.edits, r.how, problem)
			}
		})
	}
}

func TestReplaceIsDoneAlready(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	file := "func f() {\n\treturn compute(2)\n}\n"
	put(t, dir, "a.go", file)
	expect(t, call(t.Context(), t, set, "patch", args{"path": "a.go", "old_string": "\treturn compute(1)\n", "new_string": "\treturn compute(2)\n"}),
		false, "a.go is unchanged: old_string is not there, and new_string is there already, at line 2.")
	expect(t, call(t.Context(), t, set, "patch", args{"path": "a.go", "old_string": "func f() {\n  return compute(2)\n}", "new_string": "func f() {\n  return compute(2)\n}\n"}),
		false, "a.go is unchanged: the file has this text already.")
	expect(t, call(t.Context(), t, set, "patch", args{"path": "a.go", "old_string": "g()", "new_string": "}"}), true, "old_string is not there.")
	if got := content(t, dir, "a.go"); got != file {
		t.Errorf("the file holds %q", got)
	}
}

func TestPatchReplaces(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file string
		args       args
		want, text string
	}{
		{"one place", "a\nb\nc\n", args{"old_string": "b", "new_string": "x"}, "a\nx\nc\n", "Changed f.\n--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"},
		{"all places", "a b a\n" + "a\n", args{"old_string": "a", "new_string": "x", "replace_all": "true"}, "x b x\n" + "x\n", "Changed f in 3 places.\n"},
		{"all places, nearly", "\ta\n" + "  a\n", args{"old_string": "a ", "new_string": "x", "replace_all": true}, "\tx\n" + "  x\n", "Changed f in 2 places (old_string was not there exactly; found by indentation-flexible match).\n"},
		{"CRLF", "a\r\nb\r\nc\r\n", args{"old_string": "a\nb\n", "new_string": "x\ny\nz\n"}, "x\r\ny\r\nz\r\nc\r\n", "-a\n-b\n+x\n+y\n+z\n"},
		{"CRLF of the model", "a\nb\n", args{"old_string": "a\r\nb\r\n", "new_string": "x\r\n"}, "x\n", "Changed f.\n"},
		{"mixed line ends", "a\r\nb\nc\n", args{"old_string": "b", "new_string": "x"}, "a\r\nx\nc\n", "Changed f.\n"},
		{"byte order mark", "\ufeffa\n", args{"old_string": "a", "new_string": "b"}, "\ufeffb\n", "Changed f.\n"},
		{"no line end at the end", "a\nb", args{"old_string": "b", "new_string": "c"}, "a\nc", "Changed f.\n"},
		{"mode said", "a\n", args{"mode": "replace", "old_string": "a", "new_string": "b", "patch": "x"}, "b\n", "Changed f.\n"},
		{"to nothing", "a\n", args{"old_string": "a\n", "new_string": ""}, "", "Changed f.\n"},
		{"many places", strings.Repeat("a\n", 100), args{"old_string": "a", "new_string": "b", "replace_all": true}, strings.Repeat("b\n", 100), "[the diff shows the first of 100 places]\n"},
		{"long lines", strings.Repeat("a", 30_000) + "x\n", args{"old_string": "x", "new_string": "y"}, strings.Repeat("a", 30_000) + "y\n", "[the diff is longer]\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			set, dir := newSet(t)
			put(t, dir, "f", test.file)
			if err := os.Chmod(filepath.Join(dir, "f"), 0o640); err != nil {
				t.Fatal(err)
			}
			test.args["path"] = "f"
			result := call(t.Context(), t, set, "patch", test.args)
			expect(t, result, false, test.text)
			if got := content(t, dir, "f"); got != test.want {
				t.Errorf("the file holds %q, want %q", got, test.want)
			}
			if len(result.Text) > maxDiffBytes+500 {
				t.Errorf("%d bytes of result", len(result.Text))
			}
			if info, err := os.Stat(filepath.Join(dir, "f")); err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		})
	}
}

func TestPatchRefusesFiles(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	put(t, dir, "binary", "a\x00b")
	put(t, dir, "latin1", "gr\xf6\xdfe")
	put(t, dir, "large", "")
	if err := os.Truncate(filepath.Join(dir, "large"), maxPatchBytes+1); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"binary": "binary is a binary file", "latin1": "latin1 is not UTF-8 text", "large": "large is too large to be patched", "larg": "larg does not exist. Similar names: large.",
	} {
		expect(t, call(t.Context(), t, set, "patch", args{"path": path, "old_string": "a", "new_string": "b"}), true, "Nothing was changed. "+want)
	}
}

// A file and a text of equal lines are the worst case of a search for lines.
func TestReplaceIsNotSlow(t *testing.T) {
	t.Parallel()
	began := time.Now()
	same := strings.Repeat("\t}\n", 200_000)
	for _, old := range []string{strings.Repeat("  }\n", 100_000) + "x\n", strings.Repeat("}\n", 1000) + "x\n}\n", "}\nfoo\nbar\n}"} {
		if r, problem := findReplacement(same, old, "y", false); problem == "" {
			t.Errorf("found %d places by %s", len(r.edits), r.how)
		}
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("took %s", took)
	}
}

func FuzzFuzzyReplace(f *testing.F) {
	f.Add("a\nb\n", "b", "c", false)
	f.Add("\tif x {\n\t\ty()\n\t}\n", "if x {\n  y()\n}", "if z {\n  y()\n}\n", false)
	f.Add("say “hi”…\n", "say \"hi\"...", "", true)
	f.Add("a\\nb", `a\nb`, `\"x`, true)
	f.Add("{\na 1 2\nb 3 4\n}", "{\na 1 2\nb 3 5\n}", "x\n", false)
	f.Add("  x\r\n\xff", "\tx ", "\ny", true)
	f.Fuzz(func(t *testing.T, file, old, with string, all bool) {
		r, problem := findReplacement(file, old, with, all)
		if problem != "" {
			return
		}
		end := 0
		for _, e := range r.edits {
			if e.start < end || e.end < e.start || e.end > len(file) {
				t.Fatalf("edits %v by %s do not fit into %q", r.edits, r.how, file)
			}
			end = e.end
		}
		if len(r.edits) > 1 && !all {
			t.Errorf("%d edits", len(r.edits))
		}
		changed := applyEdits(file, r.edits)
		if r.done != "" && changed != file {
			t.Errorf("%s, yet %q", r.done, changed)
		}
		picture := diff("f", "f", file, r.edits)
		if len(r.edits) > 0 && changed != file && picture == "" {
			t.Errorf("no diff of %q to %q by %s", file, changed, r.how)
		}
	})
}

// patchText wraps the lines of a patch.
func patchText(lines ...string) string {
	return "*** Begin Patch\n" + strings.Join(lines, "\n") + "\n*** End Patch"
}

func TestPatchOfSeveralFiles(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	put(t, dir, "a.go", "package a\n\nfunc f() {\n\treturn 1\n}\n\nfunc g() {\n\treturn 1\n}\n")
	put(t, dir, "b.txt", "one\r\ntwo\r\n")
	put(t, dir, "old/c.txt", "x\ny\n")
	put(t, dir, "gone.txt", "bye\n")
	if err := os.Chmod(filepath.Join(dir, "old/c.txt"), 0o600); err != nil {
		t.Fatal(err)
	}
	result := call(t.Context(), t, set, "patch", args{"mode": "patch", "patch": patchText(
		"*** Update File: a.go", "@@ func g() {", "-\treturn 1", "+\treturn 2", " }",
		"*** Update File: b.txt", " one", "-two", "+2", "+3",
		"*** Update File: old/c.txt", "*** Move to: new/deep/d.txt", "@@", " x", "-y", "+z", "*** End of File",
		"*** Add File: add/e.txt", "+hello", "+", "+world",
		"*** Delete File: gone.txt",
	)})
	expect(t, result, false, "Changed a.go.\n--- a/a.go\n")
	for _, want := range []string{"-\treturn 1\n+\treturn 2\n", "Changed b.txt.\n", "Moved old/c.txt to new/deep/d.txt.\n--- a/old/c.txt\n+++ b/new/deep/d.txt\n", "Added add/e.txt: 3 lines.\n", "Deleted gone.txt.\n"} {
		expect(t, result, false, want)
	}
	for name, want := range map[string]string{
		"a.go":           "package a\n\nfunc f() {\n\treturn 1\n}\n\nfunc g() {\n\treturn 2\n}\n",
		"b.txt":          "one\r\n2\r\n3\r\n",
		"new/deep/d.txt": "x\nz\n",
		"add/e.txt":      "hello\n\nworld\n",
	} {
		if got := content(t, dir, name); got != want {
			t.Errorf("%s holds %q", name, got)
		}
	}
	for _, name := range []string{"old/c.txt", "gone.txt"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "new/deep/d.txt")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestFindChunks(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file string
		patch      []string
		want       string
		inexact    bool
	}{
		{"blank lines without their space", "a\n\nb\n", []string{" a", "", "-b", "+c"}, "a\n\nc\n", false},
		{"spaces at the ends", "a  \nb\n", []string{" a", "-b", "+c"}, "a  \nc\n", true},
		{"indentation", "if x {\n\ta\n\tb\n}\n", []string{"     a", "-    b", "+    c", "+        d"}, "if x {\n\ta\n\tc\n\t\td\n}\n", true},
		{"typography", "it’s\n", []string{"-it's", "+it is"}, "it is\n", true},
		{"blank line too many at the end", "a\nb\n", []string{" a", "-b", "+c", " "}, "a\nc\n", false},
		{"two chunks in order", "x\n1\nx\n2\n", []string{"-1", "+one", "@@", "-2", "+two"}, "x\none\nx\ntwo\n", false},
		{"header by a part of the line", "class A:\n  x = 1\nclass B(A):\n  x = 1\n", []string{"@@ class B", "-  x = 1", "+  x = 2"}, "class A:\n  x = 1\nclass B(A):\n  x = 2\n", false},
		{"two headers", "a:\n  f:\n    x\nb:\n  f:\n    x\n", []string{"@@ b:", "@@   f:", "-    x", "+    y"}, "a:\n  f:\n    x\nb:\n  f:\n    y\n", false},
		{"header of a unified diff", "a\nb\n", []string{"@@ -1,2 +1,2 @@", " a", "-b", "+c"}, "a\nc\n", false},
		{"behind a header", "a\nb\nc\n", []string{"@@ b", "+x"}, "a\nb\nx\nc\n", false},
		{"at the end", "a\n", []string{"+x", "+y"}, "a\nx\ny\n", false},
		{"at the end without a line end", "a", []string{"+x"}, "a\nx", false},
		{"into an empty file", "", []string{"+x"}, "x\n", false},
		{"end of file", "x\ny\nx\n", []string{"-x", "+z", "*** End of File"}, "x\ny\nz\n", false},
		{"no line end at the end", "a\nb", []string{" a", "-b", "+c"}, "a\nc", false},
		{"all lines go", "a\nb\n", []string{"-a", "-b"}, "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files, problem := parsePatch(patchText(append([]string{"*** Update File: f"}, test.patch...)...))
			if problem != "" {
				t.Fatal(problem)
			}
			edits, exact, problem := findChunks("f", test.file, files[0].chunks)
			if problem != "" {
				t.Fatal(problem)
			}
			if got := applyEdits(test.file, edits); got != test.want || exact == test.inexact {
				t.Errorf("exact %v: %q, want %q", exact, got, test.want)
			}
		})
	}
}

func TestPatchThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	good := []string{"*** Update File: a.txt", "-one", "+1", "*** Add File: new.txt", "+x"}
	tests := []struct {
		name  string
		patch string
		want  string
	}{
		{"no begin", "*** Update File: a.txt\n-one\n+1\n*** End Patch", "The patch does not begin with *** Begin Patch."},
		{"cut off", "*** Begin Patch\n*** Update File: a.txt\n-one\n+1", "does not end with *** End Patch; it may be cut off"},
		{"empty", patchText(), "The patch holds no *** Add File"},
		{"no file", patchText("-one", "+1"), `Line 2 of the patch: expected *** Add File, *** Update File or *** Delete File, got "-one".`},
		{"no name", patchText("*** Delete File:  "), "Line 2 of the patch: the name of the file is missing."},
		{"no change", patchText("*** Update File: a.txt"), "there is no change for a.txt."},
		{"bad line", patchText("*** Update File: a.txt", "one", "-one"), `Line 3 of the patch: each line of a change begins with a space, + or -, got "one".`},
		{"bad line of a new file", patchText("*** Add File: x", "+a", "b"), `Line 4 of the patch: each line of a new file begins with +, got "b".`},
		{"lines not there", patchText(append(good, "*** Update File: b.txt", " alpha betta", "-gamma", "+delta")...), "b.txt does not hold these lines of the patch after line 0:\nalpha betta\ngamma\nThese lines resemble the first one:\nL1: alpha beta\nRead the file again"},
		{"lines in the wrong order", patchText(append(good, "*** Update File: b.txt", "-two", "+2", "@@", "-alpha beta", "+a")...), "b.txt does not hold these lines of the patch after line 4:\nalpha beta"},
		{"header not there", patchText(append(good, "*** Update File: b.txt", "@@ class X", "-two", "+2")...), `b.txt has no line "class X" after line 0`},
		{"lines there twice", patchText(append(good, "*** Update File: b.txt", "-same", "+x")...), "b.txt holds these lines of the patch 2 times:\nL2: same\nL3: same\nGive more lines"},
		{"file not there", patchText(append(good, "*** Update File: c.txt", "-x", "+y")...), "c.txt does not exist."},
		{"deleted file not there", patchText(append(good, "*** Delete File: c.txt")...), "c.txt does not exist."},
		{"added file is there", patchText(append(good, "*** Add File: b.txt", "+x")...), "b.txt exists already."},
		{"moved onto a file", patchText(append(good, "*** Update File: b.txt", "*** Move to: a.txt")...), "a.txt exists already, so b.txt cannot be moved there."},
		{"twice the same file", patchText(append(good, "*** Delete File: ./a.txt")...), "a.txt is in the patch more than once."},
		{"added twice", patchText(append(good, "*** Add File: new.txt", "+y")...), "new.txt is in the patch more than once."},
		{"outside", patchText(append(good, "*** Add File: ../x", "+y")...), "../x leads out of the workspace"},
		{"below a file", patchText(append(good, "*** Add File: b.txt/x", "+y")...), "b.txt/x passes through something that is no directory."},
		{"directory", patchText(append(good, "*** Delete File: dir")...), "dir is a directory."},
		{"onto a name that is taken in the same patch", patchText(append(good, "*** Add File: new.txt/x", "+y")...), "new.txt"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			set, dir := newSet(t)
			put(t, dir, "a.txt", "one\ntwo\n")
			put(t, dir, "b.txt", "alpha beta\nsame\n"+"same\ntwo\n")
			put(t, dir, "dir/f", "")
			before := tree(t, dir)
			result := call(t.Context(), t, set, "patch", args{"patch": test.patch})
			if !result.Failed || !strings.HasPrefix(result.Text, "Nothing was changed. ") || !strings.Contains(result.Text, test.want) {
				t.Errorf("failed %v: %s", result.Failed, result.Text)
			}
			if after := tree(t, dir); after != before {
				t.Errorf("the workspace has changed:\n%s", after)
			}
		})
	}
}

func FuzzV4A(f *testing.F) {
	f.Add("a\nb\n", patchText("*** Update File: f", "@@ a", "-b", "+c"))
	f.Add("a\n\nb", patchText("*** Update File: f", " a", "", "-b", "+\tc", "*** End of File", "*** Delete File: g", "*** Add File: h", "+x"))
	f.Add("", patchText("*** Update File: f", "*** Move to: g", "@@ -1 +1 @@ x", "+a"))
	f.Add("\tx\n  y\n", "```\n"+patchText("*** Update File: f", " x", "-y ", "+z", "")+"\n```")
	f.Fuzz(func(t *testing.T, file, text string) {
		files, problem := parsePatch(text)
		if problem != "" {
			return
		}
		for _, one := range files {
			edits, _, problem := findChunks("f", file, one.chunks)
			if problem != "" {
				continue
			}
			end := 0
			for _, e := range edits {
				if e.start < end || e.end < e.start || e.end > len(file) {
					t.Fatalf("edits %v do not fit into %q", edits, file)
				}
				end = e.end
			}
			applyEdits(file, edits)
			diff("f", "f", file, edits)
		}
	})
}
