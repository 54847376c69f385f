package hermes_test

import (
	"go/ast"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hermes/configs"
	"hermes/supervisor/sandbox"
	"hermes/worker/memory"
	"hermes/worker/policy"
	"hermes/worker/skills"
	"hermes/worker/tools"
)

// longest is how many lines a file may have that is no test. Split a longer one
// by noun.
const longest = 400

func TestFilesAndPackagesKeepTheHabits(t *testing.T) {
	t.Parallel()
	vague := []string{"utils", "util", "common", "types", "helpers", "helper", "pkg", "misc", "shared", "base"}
	for _, s := range load(t) {
		for part := range strings.SplitSeq(s.dir+"/"+strings.TrimSuffix(s.file.Name.Name, "_test"), "/") {
			if slices.Contains(vague, part) {
				t.Errorf("%s: a package called %s holds anything; name it after what it does", s.path, part)
			}
		}
		if s.lines > longest && !s.test {
			t.Errorf("%s has %d lines, %d are the limit: split it by noun", s.path, s.lines, longest)
		}
		for _, decl := range s.file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if ok && fn.Recv == nil && fn.Name.Name == "init" && s.dir != "early" {
				t.Errorf("%s: init runs before main can say anything; let a constructor do it", s.at(fn))
			}
		}
		checkCalls(t, s)
	}
}

// checkCalls looks for calls that share a process's state or wait by the clock.
func checkCalls(t *testing.T, s source) {
	t.Helper()
	ast.Inspect(s.file, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if name := selector.Sel.Name; strings.HasPrefix(name, "Set") && strings.HasSuffix(name, "Template") {
			t.Errorf("%s: %s links text/template, with which the linker keeps every method of every type", s.at(node), name)
		}
		pkg, ok := selector.X.(*ast.Ident)
		if !ok {
			return true
		}
		switch call := pkg.Name + "." + selector.Sel.Name; call {
		case "os.Setenv", "os.Unsetenv", "os.Clearenv", "os.Chdir":
			// Where a process comes to belong to one profile, it enters its directory.
			if call == "os.Chdir" && s.dir == "supervisor/handoff" {
				return true
			}
			t.Errorf("%s: %s changes the whole process, and with it every profile; hand the value on", s.at(node), call)
		case "time.Sleep":
			// In a bubble of synctest it takes no time, and is how time passes.
			if _, bubble := s.imports()["testing/synctest"]; !s.test || !bubble {
				t.Errorf("%s: time.Sleep cannot be cancelled, and makes tests slow or wrong; wait for what is waited for", s.at(node))
			}
		}
		return true
	})
}

func TestEveryPackageIsDocumentedOnce(t *testing.T) {
	t.Parallel()
	docs := map[string][]string{}
	for _, s := range load(t) {
		if s.test && s.dir != "." {
			continue
		}
		if _, known := docs[s.dir]; !known {
			docs[s.dir] = nil
		}
		if s.file.Doc == nil {
			continue
		}
		docs[s.dir] = append(docs[s.dir], s.path)
		text := s.file.Doc.Text()
		want := "Package " + s.file.Name.Name + " "
		if s.file.Name.Name == "main" {
			want = "Command " + path.Base(s.dir) + " "
		}
		if !strings.HasPrefix(text, want) {
			t.Errorf("%s: the comment of the package should begin with %q", s.path, want)
		}
	}
	for dir, files := range docs {
		if len(files) != 1 {
			t.Errorf("package %s should have its comment in one file, it has %d: %v", dir, len(files), files)
		}
	}
}

// A regular expression of a package that is made when the process starts costs every
// process, for whatever it was started. One that is made later must be found wrong
// here.
func TestRegularExpressionsAreMadeWhenTheyAreUsed(t *testing.T) {
	t.Parallel()
	found := 0
	for _, s := range load(t) {
		if s.test {
			continue
		}
		for _, decl := range s.file.Decls {
			vars, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range vars.Specs {
				if values, ok := spec.(*ast.ValueSpec); ok && slices.ContainsFunc(values.Values, makesPattern) && !strings.HasPrefix(s.dir, "scripts/") {
					t.Errorf("%s: this is compiled in every process; write sync.OnceValue(func() *regexp.Regexp { … })", s.at(spec))
				}
			}
		}
		ast.Inspect(s.file, func(node ast.Node) bool {
			expr, ok := node.(ast.Expr)
			if !ok || !makesPattern(expr) {
				return true
			}
			literal, ok := expr.(*ast.CallExpr).Args[0].(*ast.BasicLit)
			if !ok {
				return true
			}
			found++
			pattern, err := strconv.Unquote(literal.Value)
			if err == nil {
				_, err = regexp.Compile(pattern)
			}
			if err != nil {
				t.Errorf("%s: %v", s.at(node), err)
			}
			return true
		})
	}
	if found < 20 {
		t.Errorf("only %d regular expressions were found", found)
	}
}

// makesPattern says whether an expression compiles a regular expression.
func makesPattern(expr ast.Expr) bool {
	call, ok := expr.(*ast.CallExpr)
	if !ok {
		return false
	}
	function, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := function.X.(*ast.Ident)
	return ok && pkg.Name == "regexp" && function.Sel.Name == "MustCompile"
}

// A tool is a .go file with a Spec, and beside it the text that a model reads.
func TestEveryToolSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	tools := 0
	for _, s := range load(t) {
		if s.test || s.dir != "worker/tools" || !hasMethod(s.file, "Spec") {
			continue
		}
		tools++
		page := strings.TrimSuffix(s.path, ".go") + ".md"
		if text, err := os.ReadFile(page); err != nil || len(strings.TrimSpace(string(text))) < 20 {
			t.Errorf("%s: the model has nothing to read in %s (%v)", s.path, page, err)
		}
	}
	if tools == 0 {
		t.Error("no tool was found in worker/tools")
	}
}

// hasMethod says whether a file gives some type a method of that name.
func hasMethod(file *ast.File, name string) bool {
	return slices.ContainsFunc(file.Decls, func(decl ast.Decl) bool {
		fn, ok := decl.(*ast.FuncDecl)
		return ok && fn.Recv != nil && fn.Name.Name == name
	})
}

// configs cannot import worker/policy, so it checks rules by itself; here the two
// are held against each other.
func TestSettingsTakeTheRulesThatThePolicyTakes(t *testing.T) {
	t.Parallel()
	var classes []string
	for _, info := range policy.Classes() {
		if !info.Floor {
			classes = append(classes, string(info.Class))
		}
	}
	if got := configs.RuleClasses(); !slices.Equal(got, classes) {
		t.Errorf("the rules of configs know %q, the policy has %q", got, classes)
	}
	rules := []string{"", "docker *", "git push --force*", "*-prod deploy", "a/b c=d:e @f %g +h ~/i", "*", "** x", "a\tb", "class:", "class:power", "class:x", "class:packages *"}
	for _, class := range classes {
		rules = append(rules, "class:"+class)
	}
	for _, c := range "\"'`\\$|&;<>(){}[]!#?^€" {
		rules = append(rules, "x"+string(c)+"y")
	}
	for _, rule := range rules {
		_, err := policy.New(policy.Options{Deny: []string{rule}})
		if problem := configs.CheckRule(rule); (err == nil) != (problem == nil) {
			t.Errorf("rule %q: the policy says %v, configs says %v", rule, err, problem)
		}
	}
}

// configs cannot import the tools, so the names that agent.tools may hold stand
// in its table; here they are held against the tools that there are.
func TestSettingsNameEveryTool(t *testing.T) {
	t.Parallel()
	set, err := tools.NewSet(tools.Options{
		Workspace: t.TempDir(), Sandbox: sandbox.New(sandbox.Options{}),
		Memory: memory.New(memory.Options{Dir: t.TempDir()}), Skills: skills.New(t.TempDir()),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	want := []string{tools.All}
	for _, spec := range set.Specs() {
		want = append(want, spec.Name)
	}
	keys := configs.Keys()
	i := slices.IndexFunc(keys, func(key configs.Key) bool { return key.Key == "agent.tools" })
	got := slices.Clone(keys[i].Allowed)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("agent.tools may be %q, the tools are %q", got, want)
	}
}

// What is built does not belong into the repository: it stays in its history for ever.
func TestNoFileIsLarge(t *testing.T) {
	t.Parallel()
	const most = 256 << 10
	list, err := exec.CommandContext(t.Context(), "git", "ls-files", "-z").Output()
	if err != nil {
		t.Skip("this is no checkout of git: ", err)
	}
	for name := range strings.SplitSeq(strings.Trim(string(list), "\x00"), "\x00") {
		if info, err := os.Stat(name); err == nil && info.Size() > most {
			t.Errorf("%s has %d bytes; a file may have %d", name, info.Size(), most)
		}
	}
}
