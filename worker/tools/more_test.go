package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"hermes/worker/llm"
)

// foreign is a tool of somebody else: it gives back its input.
type foreign struct{ spec llm.ToolSpec }

func (f foreign) Spec() llm.ToolSpec { return f.spec }

func (f foreign) Emoji() string { return "⚡" }

func (f foreign) Label(input json.RawMessage) string { return "label of " + f.spec.Name }

func (f foreign) Run(_ context.Context, input json.RawMessage) (Result, error) {
	if strings.HasSuffix(f.spec.Name, "_long") {
		return Result{Text: strings.Repeat("line\n", 20_000)}, nil
	}
	return Result{Text: f.spec.Name + " " + string(input)}, nil
}

// shelf is a More that tests fill.
type shelf struct {
	mu    sync.Mutex
	tools []Tool
	asked int // how often Tools was called
}

func (s *shelf) put(specs ...llm.ToolSpec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tools = nil
	for _, spec := range specs {
		s.tools = append(s.tools, foreign{spec})
	}
}

func (s *shelf) Tools(context.Context) []Tool {
	s.mu.Lock()
	s.asked++
	s.mu.Unlock()
	return s.Known()
}

func (s *shelf) Known() []Tool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tools)
}

func (s *shelf) Servers() []string { return []string{"github", "files"} }

func spec(name, description, schema string) llm.ToolSpec {
	return llm.ToolSpec{Name: name, Description: description, Parameters: json.RawMessage(schema)}
}

// newMoreSet makes a Set of two tools and those of a shelf.
func newMoreSet(t *testing.T, more *shelf, window int) (set *Set, dir string) {
	t.Helper()
	dir = t.TempDir()
	set, err := NewSet(kept(Options{
		Workspace: dir, Sandbox: box, Enabled: []string{"todo", "clarify"}, More: more,
		Window: func(ctx context.Context) int {
			if ctx.Err() != nil {
				return 0 // a provider that was not asked
			}
			return window
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Close)
	return set, dir
}

func specNames(specs []llm.ToolSpec) string {
	var names []string
	for _, spec := range specs {
		names = append(names, spec.Name)
	}
	return strings.Join(names, " ")
}

const openSchema = `{"type":"object","properties":{}}`

// A session has the same tools in all of its requests, also when others come and
// go; a new one has those that there are then.
func TestSessionKeepsItsTools(t *testing.T) {
	t.Parallel()
	more := &shelf{}
	more.put(spec("mcp_a_x", "X.", openSchema), spec("mcp_a_y", "Y.", openSchema))
	set, _ := newMoreSet(t, more, 100_000)
	first := set.SessionSpecs(t.Context(), "one")
	if got := specNames(first); got != "clarify mcp_a_x mcp_a_y todo" {
		t.Fatalf("got %s", got)
	}
	more.put(spec("mcp_a_y", "Y, but better.", openSchema), spec("mcp_a_z", "Z.", openSchema))
	if got := set.SessionSpecs(t.Context(), "one"); !sameSpecs(got, first) {
		t.Errorf("the session now has %s", specNames(got))
	}
	second := set.SessionSpecs(t.Context(), "two")
	if got := specNames(second); got != "clarify mcp_a_y mcp_a_z todo" || second[1].Description != "Y, but better." {
		t.Errorf("a new session has %s", got)
	}
	if got := specNames(set.Specs()); got != specNames(second) {
		t.Errorf("there are %s", got)
	}
	for _, name := range []string{"mcp_a_x", "mcp_a_z", "MCP-A-Z"} {
		if got := call(t.Context(), t, set, name, args{}); got.Failed {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if emoji, label := set.Describe(t.Context(), toolCall("mcp_a_x", `{}`)); emoji != "⚡" || label != "label of mcp_a_x" {
		t.Errorf("it is shown as %s %s", emoji, label)
	}
	expectAll(t, call(t.Context(), t, set, "mcp_a_q", args{}), true, "Did you mean mcp_a_y?")
	for i := range pinnedSessions {
		set.SessionSpecs(t.Context(), fmt.Sprint("session ", i))
	}
	if n := len(set.more.offers); n != pinnedSessions {
		t.Errorf("%d sessions are remembered", n)
	}
}

// expectAll checks a result, and that it holds all texts.
func expectAll(t *testing.T, got Result, failed bool, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if got.Failed != failed || !strings.Contains(got.Text, want) {
			t.Errorf("got %t %s, want %t %s", got.Failed, got.Text, failed, want)
		}
	}
}

// many are tools whose schemas take about 70 tokens each.
func many(n int) []llm.ToolSpec {
	var specs []llm.ToolSpec
	for i := range n {
		specs = append(specs, spec(fmt.Sprintf("mcp_files_tool_%03d", i), "Does number "+fmt.Sprint(i)+" "+strings.Repeat("indeed ", 20),
			`{"type":"object","properties":{"path":{"type":"string"},"count":{"type":"integer"}},"required":["path"]}`))
	}
	return append(specs, spec("mcp_github_create_issue", "Open a new issue in a repository.",
		`{"type":"object","properties":{"title":{"type":"string"},"labels":{"type":"array","items":{"type":"string"}}},"required":["title"]}`),
		spec("mcp_github_list_issues", "List the issues of a repository.", openSchema))
}

func TestManyToolsAreLookedFor(t *testing.T) {
	t.Parallel()
	more := &shelf{}
	more.put(many(100)...)
	set, _ := newMoreSet(t, more, 32_000)
	specs := set.SessionSpecs(t.Context(), "one")
	if got := specNames(specs); got != "clarify mcp_call todo tool_search" {
		t.Fatalf("requests have %s", got)
	}
	if !strings.HasSuffix(specs[3].Description, "The servers: github, files.") {
		t.Errorf("tool_search says %q", specs[3].Description)
	}
	found := call(t.Context(), t, set, "tool_search", args{"query": "creating issues", "limit": 1})
	expectAll(t, found, false, "## mcp_github_create_issue\nOpen a new issue in a repository.\nSchema of its arguments: {\"type\":\"object\"", "[1 more fit: mcp_github_list_issues]")
	found = call(t.Context(), t, set, "tool_search", args{"query": "create an issue"})
	if before, _, _ := strings.Cut(found.Text, "\n"); before != "## mcp_github_create_issue" {
		t.Errorf("the first is %s", before)
	}
	expectAll(t, call(t.Context(), t, set, "tool_search", args{"query": "zebra"}), false, "No tool fits these words. There are 102:\nmcp_files_tool_000, ", " and 2 more")
	for _, arguments := range []any{args{"title": "T"}, `{"title": "T"}`} {
		got := call(t.Context(), t, set, "mcp_call", args{"name": "mcp_github_create_issue", "arguments": arguments})
		expectAll(t, got, false, `mcp_github_create_issue {"title":"T"}`)
	}
	expectAll(t, call(t.Context(), t, set, "mcp_call", args{"name": "mcp_github_create_issue"}), true,
		"mcp_github_create_issue was not run: the argument title is missing", `The schema of its arguments: {"type":"object"`)
	expectAll(t, call(t.Context(), t, set, "mcp_github_create_issue", args{"title": "T"}), false, `{"title":"T"}`) // as models call it that have seen the name
	for _, name := range []string{"nonsense", "todo", "mcp_call", "tool_search"} {
		expectAll(t, call(t.Context(), t, set, "mcp_call", args{"name": name}), true, "There is no tool "+name+" of an MCP server")
	}
	if emoji, label := set.Describe(t.Context(), toolCall("mcp_call", `{"name":"mcp_github_create_issue"}`)); emoji != "⚡" || label != "label of mcp_github_create_issue" {
		t.Errorf("it is shown as %s %s", emoji, label)
	}
	more.put(append(many(100), spec("mcp_github_zebra", "A zebra.", openSchema))...)
	expectAll(t, call(t.Context(), t, set, "tool_search", args{"query": "zebra"}), false, "## mcp_github_zebra")
	expectAll(t, call(t.Context(), t, set, "mcp_call", args{"name": "mcp_github_zebra"}), false, "mcp_github_zebra {}")
	if got := set.SessionSpecs(t.Context(), "one"); !sameSpecs(got, specs) {
		t.Error("the requests of the session have changed")
	}
}

func TestWindowDecides(t *testing.T) {
	t.Parallel()
	for window, deferred := range map[int]bool{0: true, 32_000: true, 200_000: false} {
		more := &shelf{}
		more.put(many(100)...)
		set, _ := newMoreSet(t, more, window)
		set.Specs() // a look before anybody could ask the provider decides nothing
		if got := strings.Contains(specNames(set.SessionSpecs(t.Context(), "one")), "tool_search"); got != deferred {
			t.Errorf("window %d: %t", window, got)
		}
	}
}

func TestLongResultsOfOthersAreKept(t *testing.T) {
	t.Parallel()
	more := &shelf{}
	more.put(spec("mcp_a_long", "", openSchema))
	set, dir := newMoreSet(t, more, 0)
	set.SessionSpecs(t.Context(), "one")
	for _, result := range []Result{call(t.Context(), t, set, "mcp_a_long", args{}), call(t.Context(), t, set, "mcp_call", args{"name": "mcp_a_long"})} {
		_, rest, found := strings.Cut(result.Text, "read_file pages through ")
		file, _, _ := strings.Cut(rest, " ")
		if len(result.Text) > maxCommandOutput+200 || !found {
			t.Fatalf("got %d bytes", len(result.Text))
		}
		if got := content(t, dir, file); len(got) != 100_000 {
			t.Errorf("%s has %d bytes", file, len(got))
		}
	}
}

// Arguments are checked by schemas that others wrote, as far as these can be used.
func TestArgumentsOfForeignTools(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, schema, sent, want, problem string }{
		{"plain", `{"type":"object","properties":{"a":{"type":"string"}}}`, `{"a":"x"}`, `{"a":"x"}`, ""},
		{"unknown ones pass", `{"type":"object","properties":{}}`, `{"b":{"c":[1]}}`, `{"b":{"c":[1]}}`, ""},
		{"large numbers", `{"type":"object"}`, `{"id":12345678901234567890}`, `{"id":12345678901234567890}`, ""},
		{"not allowed", `{"type":"object","properties":{},"additionalProperties":false}`, `{"b":1}`, "", "do not fit its schema"},
		{"missing", `{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`, `{}`, "", "the argument a is missing"},
		{"number as text", `{"type":"object","properties":{"n":{"type":"integer"}}}`, `{"n":"3"}`, `{"n":3}`, ""},
		{"wrong type", `{"type":"object","properties":{"n":{"type":"integer"}}}`, `{"n":"three"}`, "", "do not fit its schema"},
		{"list of one", `{"type":"object","properties":{"l":{"type":"array","items":{"type":"string"}}}}`, `{"l":"a"}`, `{"l":["a"]}`, ""},
		{"object as text", `{"type":"object","properties":{"o":{"type":"object"}}}`, `{"o":"{\"a\":1}"}`, `{"o":{"a":1}}`, ""},
		{"capitals of an enum stay", `{"type":"object","properties":{"s":{"type":"string","enum":["OPEN","closed"]}}}`, `{"s":"OPEN"}`, `{"s":"OPEN"}`, ""},
		{"null is left out", `{"type":"object","properties":{"s":{"type":"string"}}}`, `{"s":null}`, `{}`, ""},
		{"null that is meant", `{"type":"object","properties":{"s":{"type":["string","null"]}}}`, `{"s":null}`, `{"s":null}`, ""},
		{"references", `{"type":"object","properties":{"a":{"$ref":"#/$defs/A"}},"$defs":{"A":{"type":"integer"}}}`, `{"a":"x"}`, "", "do not fit its schema"},
		{"references of draft 7", `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"a":{"$ref":"#/definitions/A"}},"definitions":{"A":{"type":"integer"}}}`, `{"a":1}`, `{"a":1}`, ""},
		{"references to nowhere", `{"type":"object","properties":{"a":{"$ref":"https://example.com/x.json"}}}`, `{"a":1}`, `{"a":1}`, ""},
		{"patterns of JavaScript", `{"type":"object","properties":{"a":{"type":"string","pattern":"^(?!x).*$"}}}`, `{"a":"y"}`, `{"a":"y"}`, ""},
		{"old draft", `{"$schema":"http://json-schema.org/draft-04/schema#","type":"object","properties":{"a":{"type":"integer","minimum":1,"exclusiveMinimum":true}}}`, `{"a":1}`, `{"a":1}`, ""},
		{"a default that does not fit", `{"type":"object","properties":{"a":{"type":"integer","default":"x"}}}`, `{}`, `{}`, ""},
		{"no schema at all", `[]`, `{"a":1}`, `{"a":1}`, ""},
		{"endless", `{"type":"object","properties":{"a":{"$ref":"#/$defs/A"}},"$defs":{"A":{"$ref":"#/$defs/A"}}}`, `{"a":1}`, `{"a":1}`, ""},
		{"endless in two steps", `{"type":"object","properties":{"a":{"anyOf":[{"$ref":"#/properties/b"}]},"b":{"not":{"$ref":"#/properties/a"}}}}`, `{"a":1}`, `{"a":1}`, ""},
		{"itself", `{"type":"object","properties":{"a":{"$ref":"#/properties/a"}}}`, `{"a":1}`, `{"a":1}`, ""},
		{"a tree", `{"type":"object","properties":{"a":{"$ref":"#"},"n":{"type":"integer"}}}`, `{"a":{"a":{"n":"x"}}}`, "", "do not fit its schema"},
		{"references that multiply", multiplying(), `{"a":1}`, `{"a":1}`, ""},
		{"nothing", `{"type":"object"}`, ``, `{}`, ""},
		{"no JSON", `{"type":"object"}`, `nonsense`, "", "no JSON object"},
	} {
		got, err := parseForeignSchema(json.RawMessage(test.schema)).prepare(test.sent)
		if string(got) != test.want || (err == nil) != (test.problem == "") || err != nil && !strings.Contains(err.Error(), test.problem) {
			t.Errorf("%s: %s, %v; want %s %q", test.name, got, err, test.want, test.problem)
		}
	}
}

func FuzzForeignSchema(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"$ref":"#/$defs/A"}},"$defs":{"A":{"$ref":"#/$defs/A"}}}`, `{"a":1}`)
	f.Add(`{"properties":{"a":null},"required":["a"],"patternProperties":{"(":{}}}`, `{"a":null}`)
	f.Fuzz(func(t *testing.T, schema, sent string) {
		got, err := parseForeignSchema(json.RawMessage(schema)).prepare(sent)
		if err == nil && !json.Valid(got) {
			t.Errorf("%s, %s: %s", schema, sent, got)
		}
	})
}

// multiplying is a schema by which a value is checked 2^40 times.
func multiplying() string {
	var b strings.Builder
	b.WriteString(`{"type":"object","properties":{"a":{"$ref":"#/$defs/d0"}},"$defs":{`)
	for i := range 40 {
		fmt.Fprintf(&b, `"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]},`, i, i+1, i+1)
	}
	b.WriteString(`"d40":{}}}`)
	return b.String()
}

func TestWordsOfASearch(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"createIssue":         "creat issu",
		"create_issues":       "creat issu",
		"Creating an ISSUE":   "creat an issu",
		"listed lists":        "list list", //nolint:dupword // that is the point
		"class pass":          "class pass",
		"HTTP-Größe 12":       "http größ 12",
		"":                    "",
		"mcp_gitHub_readFile": "mcp git hub read file",
	} {
		if got := strings.Join(searchWords(text), " "); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
}

// Helpers have these tools too, unless others were named for them.
func TestHelpersHaveMoreTools(t *testing.T) {
	t.Parallel()
	more := &shelf{}
	more.put(spec("mcp_a_x", "X.", openSchema), spec("mcp_a_y", "Y.", openSchema))
	set, _ := newMoreSet(t, more, 100_000)
	set.SessionSpecs(t.Context(), "parent")
	for _, test := range []struct {
		wanted []string
		want   string
	}{
		{nil, "mcp_a_x mcp_a_y todo"},
		{[]string{"mcp_a_y"}, "mcp_a_y"},
		{[]string{"todo", "mcp_a_x"}, "todo mcp_a_x"},
	} {
		child, problem := set.forChild(test.wanted)
		if problem != "" {
			t.Fatalf("%v: %s", test.wanted, problem)
		}
		if got := specNames(child.SessionSpecs(t.Context(), "child")); got != test.want {
			t.Errorf("%v: a helper has %s, want %s", test.wanted, got, test.want)
		}
		if strings.Contains(test.want, "mcp_a_y") {
			if got := call(t.Context(), t, child, "mcp_a_y", args{}); got.Failed {
				t.Errorf("%v: %+v", test.wanted, got)
			}
		}
	}
}

// A helper looks for tools as its agent does when there are many, and gets those that it
// is told to have.
func TestHelpersLookForManyTools(t *testing.T) {
	t.Parallel()
	more := &shelf{}
	more.put(many(100)...)
	set, _ := newMoreSet(t, more, 32_000)
	set.SessionSpecs(t.Context(), "parent")
	for _, test := range []struct {
		wanted []string
		want   string
	}{
		{nil, "mcp_call todo tool_search"},
		{[]string{"mcp_github_create_issue"}, "mcp_github_create_issue"},
		{[]string{"tool_search", "mcp_call"}, "mcp_call tool_search"},
	} {
		child, problem := set.forChild(test.wanted)
		if problem != "" {
			t.Fatalf("%v: %s", test.wanted, problem)
		}
		if got := specNames(child.SessionSpecs(t.Context(), "child")); got != test.want {
			t.Errorf("%v: a helper has %s, want %s", test.wanted, got, test.want)
		}
		if !strings.Contains(test.want, "mcp_call") {
			expectAll(t, call(t.Context(), t, child, "mcp_github_create_issue", args{"title": "T"}), false, `{"title":"T"}`)
			continue
		}
		expectAll(t, call(t.Context(), t, child, "tool_search", args{"query": "create an issue"}), false, "## mcp_github_create_issue")
		expectAll(t, call(t.Context(), t, child, "mcp_call", args{"name": "mcp_github_create_issue", "arguments": args{"title": "T"}}), false, `mcp_github_create_issue {"title":"T"}`)
	}
}
