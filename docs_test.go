package hermes_test

import (
	"flag"
	"fmt"
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hermes/configs"
)

var update = flag.Bool("update", false, "write the parts of README.md that follow from the code")

// pages are what people read, at the root and in scripts.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"*.md", "scripts/*.md"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.ToSlash(name)] = string(content)
		}
	}
	if len(all) < 5 {
		t.Fatalf("only %d pages were found", len(all))
	}
	return all
}

// README.md lists the settings between two markers; the list is made from the
// table in configs, so that neither can grow without the other.
func TestReadmeListsTheSettings(t *testing.T) {
	t.Parallel()
	const begin, end = "<!-- settings:begin -->\n", "<!-- settings:end -->"
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(readme), begin)
	listed, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("README.md has no %q or no %q", begin, end)
	}
	want := settingsTable(configs.Keys())
	if listed == want {
		return
	}
	if !*update {
		t.Fatalf("the settings in README.md are not those of configs/keys.go; write them with: go test . -update\ngot\n%s\nwant\n%s", listed, want)
	}
	if err := os.WriteFile("README.md", []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// settingsTable has a row for each setting that does something.
func settingsTable(keys []configs.Key) string {
	var b strings.Builder
	b.WriteString("| setting | default | what it does |\n|---|---|---|\n")
	for _, key := range keys {
		if key.Unused {
			continue
		}
		value := "none"
		if key.Default != "" {
			value = "`" + key.Default + "`"
		}
		help := key.Help
		if len(key.Allowed) > 0 {
			help += " One of " + strings.Join(quoted(key.Allowed), ", ") + "."
			if key.Kind == configs.Words {
				help = strings.Replace(help, " One of ", " A list of ", 1)
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", key.Name(), value, strings.ReplaceAll(help, "|", `\|`))
	}
	return b.String()
}

func quoted(words []string) []string {
	all := slices.Clone(words)
	for i, word := range all {
		all[i] = "`" + word + "`"
	}
	return all
}

// A link to a file of this repository leads to one.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for page, text := range pages(t) {
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			target := path.Join(path.Dir(page), match[1])
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, target)
			}
		}
	}
}

// What a page tells people to run from scripts is there and can be run.
func TestScriptsThatPagesNameExist(t *testing.T) {
	t.Parallel()
	command := regexp.MustCompile(`(?m)^[ \t]*(?:sh )?(scripts/[a-z]+)(?:\s|$)`)
	named := 0
	for page, text := range pages(t) {
		for _, match := range command.FindAllStringSubmatch(text, -1) {
			named++
			if info, err := os.Stat(match[1]); err != nil || info.Mode()&0o100 == 0 {
				t.Errorf("%s says to run %s, which is no program (%v)", page, match[1], err)
			}
		}
	}
	if named < 2 {
		t.Errorf("only %d commands were found; README.md begins with two", named)
	}
}

// Every module that hermes asks for by itself has its reason in DESIGN.md.
var testNames = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z][A-Za-z0-9]+\b`)

// A page that says what shows something names a test that there is.
func TestTestsThatPagesNameExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, s := range load(t) {
		if !s.test {
			continue
		}
		for _, decl := range s.file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				known[f.Name.Name] = true
			}
		}
	}
	named := 0
	for path, text := range pages(t) {
		for _, name := range testNames.FindAllString(text, -1) {
			if named++; !known[name] {
				t.Errorf("%s names the test %s, which does not exist", path, name)
			}
		}
	}
	if named < 50 {
		t.Errorf("pages name %d tests", named)
	}
}

func TestModulesHaveReasons(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	design := pages(t)["DESIGN.md"]
	module := regexp.MustCompile(`(?m)^\t(\S+) v\S+$`) // a line without "// indirect"
	found := 0
	for _, match := range module.FindAllStringSubmatch(string(mod), -1) {
		found++
		if !mentions(design, match[1]) {
			t.Errorf("%s has no row in DESIGN.md section 6", match[1])
		}
	}
	if found < 6 {
		t.Errorf("only %d modules were found in go.mod", found)
	}
}

// mentions says whether the text names a module by its path, or by the last
// words of it, as in "golang.org/x/{sync,sys}", "echo v4" and "goleak".
func mentions(text, module string) bool {
	if strings.Contains(text, module) {
		return true
	}
	parts := strings.Split(module, "/")
	last := parts[len(parts)-1]
	if regexp.MustCompile(`^v\d+$`).MatchString(last) {
		last = parts[len(parts)-2]
	}
	return regexp.MustCompile(`[ {,]` + regexp.QuoteMeta(last) + `[ },]`).MatchString(text)
}
