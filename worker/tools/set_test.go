package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hermes/worker/llm"
)

// A schema is read when its tool is called first, which is too late to find that it
// is none.
func TestEverySchemaCanBeRead(t *testing.T) {
	t.Parallel()
	pages, err := texts.ReadDir(".")
	if err != nil || len(pages) == 0 {
		t.Fatalf("there are no tools: %v", err)
	}
	for _, page := range pages {
		name := strings.TrimSuffix(page.Name(), ".md")
		s, err := parseSchema(mustSpec(name).Parameters)
		if err != nil {
			t.Errorf("%s: %v", page.Name(), err)
			continue
		}
		for _, f := range s.fields {
			if f.schema.Type == "" && len(f.schema.Enum) == 0 {
				t.Errorf("%s: the argument %s has no type", page.Name(), f.name)
			}
		}
	}
}

// Every request carries all schemas, so they are kept short.
func TestSpecsAreShortAndStable(t *testing.T) {
	t.Parallel()
	set, _ := newSet(t)
	again, _ := newSet(t)
	var names []string
	total, commands := 0, 0
	for i, spec := range set.Specs() {
		names = append(names, spec.Name)
		size := len(spec.Name) + len(spec.Description) + len(spec.Parameters)
		t.Logf("%-13s %4d tokens", spec.Name, size/4)
		total += size
		if spec.Name == "terminal" || spec.Name == "process" {
			commands += size
		}
		if other := again.Specs()[i]; spec.Description != other.Description || !bytes.Equal(spec.Parameters, other.Parameters) {
			t.Errorf("%s differs between two sets", spec.Name)
		}
		if !json.Valid(spec.Parameters) || bytes.ContainsAny(spec.Parameters, "\n") || spec.Description == "" {
			t.Errorf("%s: %s, %s", spec.Name, spec.Description, spec.Parameters)
		}
	}
	t.Logf("all           %4d tokens", total/4)
	if total/4 > 3000 {
		t.Errorf("the tools take %d tokens of each request, more than 3000", total/4)
	}
	if commands/4 > 450 {
		t.Errorf("terminal and process take %d tokens of each request, more than 450", commands/4)
	}
	if want := []string{"clarify", "delegate_task", "memory", "patch", "process", "read_file", "search_files", "session_search", "skill_manage", "skill_view", "skills_list", "terminal", "todo", "web_extract", "web_search", "write_file"}; !slices.Equal(names, want) {
		t.Errorf("the tools are %q, want %q", names, want)
	}
}

func TestEnabled(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		enabled []string
		want    string // names, or a part of the error
	}{
		{"nothing said", nil, "clarify delegate_task memory patch process read_file search_files session_search skill_manage skill_view skills_list terminal todo web_extract web_search write_file"},
		{"all", []string{"all"}, "clarify delegate_task memory patch process read_file search_files session_search skill_manage skill_view skills_list terminal todo web_extract web_search write_file"},
		{"all and one", []string{"terminal", "all"}, "clarify delegate_task memory patch process read_file search_files session_search skill_manage skill_view skills_list terminal todo web_extract web_search write_file"},
		{"some", []string{"terminal", "read_file"}, "read_file terminal"},
		{"none", []string{}, ""},
		{"unknown", []string{"terminal", "browser"}, `there is no tool "browser"; the tools are clarify, delegate_task, memory, patch, process, read_file, search_files, session_search, skill_manage, skill_view, skills_list, terminal, todo, web_extract, web_search, write_file, or all`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			set, err := NewSet(kept(Options{Workspace: t.TempDir(), Sandbox: box, Enabled: test.enabled}))
			if err != nil {
				if err.Error() != test.want {
					t.Errorf("error %q, want %q", err, test.want)
				}
				return
			}
			defer set.Close()
			var names []string
			for _, spec := range set.Specs() {
				names = append(names, spec.Name)
			}
			if got := strings.Join(names, " "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestNewSetMakesWhatIsMissing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	set, err := NewSet(kept(Options{Workspace: filepath.Join(dir, "a", "work"), Home: filepath.Join(dir, "b", "home"), Sandbox: box}))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	expect(t, call(t.Context(), t, set, "terminal", args{"command": "pwd; cd && pwd"}), false, "/a/work\n")
	put(t, dir, "file", "")
	if _, err := NewSet(kept(Options{Workspace: filepath.Join(dir, "file"), Sandbox: box})); err == nil || !strings.Contains(err.Error(), "make workspace: ") {
		t.Errorf("a workspace that is a file: %v", err)
	}
}

func TestToolNames(t *testing.T) {
	t.Parallel()
	set, _ := newSet(t)
	tests := []struct{ name, want string }{
		{" terminal ", ""},
		{"Read_File", ""},
		{"functions.read_file", ""},
		{"readFile", ""},
		{"read-file", ""},
		{"bash", ""},
		{"grep", ""},
		{"apply_patch", ""},
		{"process_manage", ""},
		{"WebSearch", ""},
		{"web_fetch", ""},
		{"termnial", "There is no tool termnial. Did you mean terminal? The tools are clarify, delegate_task, memory, patch, process, read_file, search_files, session_search, skill_manage, skill_view, skills_list, terminal, todo, web_extract, web_search, write_file."},
		{"write_fil", "Did you mean write_file?"},
		{"browser_open", "There is no tool browser_open. The tools are clarify, delegate_task, memory, patch, process, read_file, search_files, session_search, skill_manage, skill_view, skills_list, terminal, todo, web_extract, web_search, write_file."},
		{"", "The call names no tool, so nothing was run. The tools are"},
		{"functions.read_file:0", ""},
		{strings.Repeat("x", 10_000), "…. The tools are"},
	}
	for _, test := range tests {
		t.Run(shorten(test.name), func(t *testing.T) {
			t.Parallel()
			result := call(t.Context(), t, set, test.name, args{"command": "true", "path": "x", "pattern": "x", "action": "list"})
			if unknown := strings.Contains(result.Text, "The tools are"); unknown != (test.want != "") || !strings.Contains(result.Text, test.want) {
				t.Errorf("got %s", result.Text)
			}
		})
	}
	none, err := NewSet(kept(Options{Workspace: t.TempDir(), Sandbox: box, Enabled: []string{}}))
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	expect(t, call(t.Context(), t, none, "terminal", args{}), true, "There is no tool terminal: no tool is enabled.")
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	set, _ := newSet(t)
	v4a := "*** Begin Patch\n*** Update File: a.go\n@@\n-a\n+b\n*** Add File: b.go\n+x\n*** End Patch"
	tests := []struct {
		tool, arguments, want string
	}{
		{"terminal", `{"command":"pwd"}`, "💻 pwd"},
		{"bash", `{"command":"\n  cd  /tmp &&\tls\nmore"}`, "💻 cd /tmp && ls"},
		{"terminal", `{"command":"echo ` + strings.Repeat("größe ", 30) + `"}`, "💻 echo " + strings.Repeat("größe ", 8) + "größe…"},
		{"terminal", `{"command":"` + strings.Repeat("x", 100) + `"}`, "💻 " + strings.Repeat("x", 59) + "…"},
		{"terminal", `{"command":""}`, "💻 terminal"},
		{"terminal", `{"command":"ls\nrm -rf /"}`, "💻 denied: rm -rf /"},
		{"terminal", `{"command":"cd .. && rm -rf x","workdir":"a/b"}`, "💻 cd .. && rm -rf x"},
		{"terminal", `{"command":"cd ../.. && rm -rf *","workdir":"a"}`, "💻 denied: rm -rf *"},
		{"terminal", `{"comm`, "💻 terminal"},
		{"terminal", ``, "💻 terminal"},
		{"process", `{"action":"list"}`, "⚙️ list"},
		{"process", `{"action":"wait","session_id":"job_ab","timeout":"30"}`, "⚙️ wait job_ab 30s"},
		{"process", `{"action":"submit","session_id":"job_ab","data":"sesame"}`, "⚙️ submit job_ab"},
		{"process", `{"action":"dance"}`, "⚙️ process"},
		{"read_file", `{"path":"src/a.go"}`, "📖 src/a.go"},
		{"read_file", `{"path":"a.go","offset":"10","limit":31}`, "📖 a.go L10-40"},
		{"write_file", `{"path":"a.go","content":"x"}`, "✍️ a.go"},
		{"write_file", `{"path":["a"],"content":"x"}`, `✍️ ["a"]`},
		{"patch", `{"path":"a.go","old_string":"a","new_string":"b"}`, "🔧 a.go"},
		{"patch", `{"patch":` + quoted(v4a) + `}`, "🔧 a.go + 1 more"},
		{"patch", `{"mode":"patch","patch":"x"}`, "🔧 patch"},
		{"search_files", `{"pattern":"func .*\\("}`, `🔎 func .*\(`},
		{"web_search", `{"query":" go  1.26 "}`, "🔍 go 1.26"},
		{"web_search", `{"query":""}`, "🔍 web_search"},
		{"web_extract", `{"urls":["https://go.dev/doc"]}`, "📄 https://go.dev/doc"},
		{"web_extract", `{"urls":"https://go.dev/doc"}`, "📄 https://go.dev/doc"},
		{"web_extract", `{"urls":["https://go.dev/doc","https://go.dev"]}`, "📄 https://go.dev/doc + 1 more"},
		{"web_extract", `{"urls":[]}`, "📄 web_extract"},
		{"memory", `{"target":"user","action":"add","content":"Likes green tea in the morning, and coffee"}`, `🧠 +user: "Likes green tea in the mo…"`},
		{"memory", `{"target":"memory","operations":[{"action":"Remove","old_text":"x"},{"action":"add","content":"y"}]}`, `🧠 -memory: "x" + 1 more`},
		{"memory", `{"target":"memory","operations":"[{\"action\":\"replace\",\"old_text\":\"x\",\"content\":\"y\"}]"}`, `🧠 ~memory: "y"`},
		{"skills_list", `{}`, "📚 all skills"},
		{"skills_list", `{"category":"writing"}`, "📚 writing"},
		{"skill_view", `{"name":"letters"}`, "📚 letters"},
		{"load_skill", `{"name":"letters","file_path":"references/a.md"}`, "📚 letters → references/a.md"},
		{"skill_manage", `{"action":"create","name":"letters","content":"x"}`, "📝 create letters"},
		{"skill_manage", `{"action":"write_file","name":"letters","file_path":"assets/a"}`, "📝 write_file letters → assets/a"},
		{"session_search", `{"query":"a \"cat\""}`, `🔎 recall: "a \"cat\""`},
		{"session_search", `{"session_id":"s1"}`, "🔎 recall: s1"},
		{"session_search", `{}`, "🔎 recall: latest sessions"},
		{"todo", `{"todos":[{"id":"1"},{"id":"2"},{"id":"3"}]}`, "📋 planning 3 task(s)"},
		{"todo", `{}`, "📋 reading the tasks"},
		{"clarify", `{"question":"Red\nor blue?"}`, "❓ Red or blue?"},
		{"delegate_task", `{"goal":"look at\nthe logs"}`, "👥 look at the logs"},
		{"delegate_task", `{"tasks":[{"goal":"a"},{"goal":"b"},{"goal":"c"}]}`, "👥 3 tasks: a | b | c"},
		{"delegate_task", `{"tasks":3}`, "👥 delegate_task"},
		{"no_such", `{"a":1}`, "⚡ no_such"},
	}
	for _, test := range tests {
		t.Run(test.tool+" "+shorten(test.arguments), func(t *testing.T) {
			t.Parallel()
			emoji, label := set.Describe(t.Context(), llm.ToolCall{Name: test.tool, Arguments: test.arguments})
			if got := emoji + " " + label; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// quoted is text as a JSON string.
func quoted(text string) string {
	encoded, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string always encodes
	}
	return string(encoded)
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	set, _ := newSet(t)
	for name, want := range map[string]bool{
		"read_file": true, "search_files": true, " Read_File": true, "grep": true, "web_search": true, "web_extract": true, "WebFetch": true,
		"terminal": false, "process": false, "write_file": false, "patch": false, "no_such": false,
	} {
		if got := set.Concurrent(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// broken is a tool that panics.
type broken struct{ *readFile }

func (broken) Run(context.Context, json.RawMessage) (Result, error) { panic("oh") }

func TestPanicOfAToolIsToldAndLogged(t *testing.T) {
	t.Parallel()
	set, _ := newSet(t)
	var log bytes.Buffer
	set.log = slog.New(slog.NewTextHandler(&log, nil))
	set.tools["read_file"].tool = broken{&readFile{spec: set.tools["read_file"].tool.Spec()}}
	expect(t, call(t.Context(), t, set, "read_file", args{"path": "a"}), true, "read_file broke while it ran")
	if !strings.Contains(log.String(), "panic=oh") || !strings.Contains(log.String(), "set_test.go") {
		t.Errorf("logged: %s", log.String())
	}
}
