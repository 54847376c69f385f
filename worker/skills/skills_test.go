package skills_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hermes/worker/skills"
)

// put writes a SKILL.md, long enough ago that its time can be trusted.
func put(tb testing.TB, dir, skill, content string) {
	tb.Helper()
	path := filepath.Join(dir, skill)
	if err := os.MkdirAll(path, 0o700); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, skills.File), []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// age makes everything an hour old.
func age(tb testing.TB, dir string) {
	tb.Helper()
	old := time.Now().Add(-time.Hour)
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, old, old)
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func text(name, description string) string {
	return "---\nname: " + name + "\ndescription: " + description + "\n---\nText.\n"
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, content, want string }{
		{"plain", text("a", "Does  it."), "Does it."},
		{"all fields", "---\r\nname: a\r\ndescription: >\r\n  Does\r\n  it.\r\nlicense: MIT\r\ncompatibility: any\r\nmetadata: {x: [1]}\r\nallowed-tools: [terminal]\r\n---\r\n", "Does it."},
		{"no text", "---\nname: a\ndescription: x\n---", "x"},
		{"invisible", text("a", "x\u202ey"), "xy"},
		{"nothing", "", "error: it does not begin with ---"},
		{"no end", "---\nname: a\n", "error: its frontmatter does not end with ---"},
		{"no YAML", "---\nname: [\n---\n", "error: its frontmatter is no YAML"},
		{"a list", "---\n- a\n---\n", "error: its frontmatter is no YAML"},
		{"empty", "---\n---\n", "error: the name is missing"},
		{"no description", "---\nname: a\n---\n", "error: the description is missing"},
		{"long description", text("a", strings.Repeat("x", 1025)), "error: the description is longer than 1024"},
		{"long compatibility", "---\nname: a\ndescription: x\ncompatibility: " + strings.Repeat("x", 501) + "\n---\n", "error: compatibility"},
		{"another name", text("b", "x"), "error: its name b is not that of its directory a"},
		{"capitals", text("A", "x"), "error: the name \"A\" must be"},
		{"two hyphens", text("a--b", "x"), "error: the name"},
		{"hyphen first", text("-a", "x"), "error: the name"},
		{"long name", text(strings.Repeat("a", 65), "x"), "error: the name is longer"},
		{"no text at all", "---\nname: a\ndescription: \xff\n---\n", "error: it is not UTF-8"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := skills.Parse("a", []byte(test.content))
			if err != nil {
				got = "error: " + err.Error()
			}
			if got != test.want && (err == nil || !strings.HasPrefix(got, test.want)) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestListSeesEachChange(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "skills")
	library := skills.New(dir)
	expect := func(want string) {
		t.Helper()
		all, err := library.List()
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, skill := range all {
			lines = append(lines, fmt.Sprintf("%s|%s|%s|%s", skill.Dir, skill.Category, skill.Description, skill.Problem))
		}
		if got := strings.Join(lines, "\n"); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	expect("")
	put(t, dir, "x/deep/b", text("b", "one"))
	put(t, dir, "x/deep/b/references/c", text("c", "below a skill"))
	put(t, dir, ".archive/d", text("d", "deleted"))
	put(t, dir, "a", text("a", "two"))
	put(t, dir, "y/a", text("a", "three"))
	const twice = "a||two|\ny/a|y|three|another skill has the same name: a\n"
	expect(twice + "x/deep/b|x/deep|one|")
	age(t, dir)
	expect(twice + "x/deep/b|x/deep|one|")
	put(t, dir, "x/deep/b", text("b", "new"))
	expect(twice + "x/deep/b|x/deep|new|")
	put(t, dir, "x/deep/b", text("b", "old")) // at once, and just as long
	expect(twice + "x/deep/b|x/deep|old|")
	if err := os.RemoveAll(filepath.Join(dir, "x")); err != nil {
		t.Fatal(err)
	}
	expect(strings.TrimSpace(twice))
}

func TestIndexKeepsToItsBudget(t *testing.T) {
	t.Parallel()
	tests := []struct {
		n           int
		name, first string
		last        string
	}{
		{1, "s", "- s-0000: " + strings.Repeat("d", 99) + "…", "…"},
		{40, "s", "- s-0000: ddd", "- s-0039: " + strings.Repeat("d", 99) + "…"},
		{100, "s", "- s-0000: ddd", ", s-0098, s-0099."},
		{900, "skill-with-a-long-name", "Also: skill-with-a-long-name-0000, ", " more: use skills_list."},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.n), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			put(t, dir, "broken", "x")
			for i := range test.n {
				name := fmt.Sprintf("%s-%04d", test.name, i)
				put(t, dir, name, text(name, strings.Repeat("d", 300)))
			}
			index, err := skills.New(dir).Index()
			if err != nil || len(index) > 6000 {
				t.Errorf("%d bytes, %v", len(index), err)
			}
			_, list, _ := strings.Cut(index, "begin.\n\n")
			if !strings.HasPrefix(index, "# Skills\n") || !strings.HasPrefix(list, test.first) || !strings.HasSuffix(list, test.last) || strings.Contains(list, "broken") {
				t.Errorf("index:\n%s", index)
			}
			again, err := skills.New(dir).Index()
			if err != nil || again != index {
				t.Error("the index has other bytes the second time")
			}
		})
	}
}

// The index of 200 skills, read for the first time and looked at again. A session
// may wait 20 ms for the former.
func BenchmarkIndex(b *testing.B) {
	dir := b.TempDir()
	for i := range 200 {
		name := fmt.Sprintf("skill-%03d", i)
		put(b, dir, name, text(name, strings.Repeat("d", 300))+strings.Repeat("Text.\n", 500))
	}
	age(b, dir)
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			if _, err := skills.New(dir).Index(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("again", func(b *testing.B) {
		library := skills.New(dir)
		for b.Loop() {
			if _, err := library.Index(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
