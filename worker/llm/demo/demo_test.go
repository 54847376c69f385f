package demo

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"hermes/worker/llm"
)

// offered makes tools of the given names, all of which know an argument "mode"
// and one "target".
func offered(names ...string) []llm.ToolSpec {
	var tools []llm.ToolSpec
	for _, name := range names {
		tools = append(tools, llm.ToolSpec{Name: name, Parameters: json.RawMessage(`{"type":"object","properties":{"mode":{},"target":{}}}`)})
	}
	return tools
}

func allTools() []llm.ToolSpec {
	return offered("terminal", "read_file", "write_file", "search_files", "patch", "memory")
}

// answer runs a turn as the agent does: every call is answered by result.
func answer(t *testing.T, client llm.Client, said string, tools []llm.ToolSpec, result func(llm.ToolCall) string) (calls []string, text string) {
	t.Helper()
	req := llm.Request{Messages: []llm.Message{llm.TextMessage(llm.System, "prompt"), llm.TextMessage(llm.User, said)}, Tools: tools}
	for range 30 {
		var emitted strings.Builder
		message, err := client.Stream(t.Context(), req, func(event llm.Event) error {
			var piece string
			if e, ok := event.(llm.Text); !ok || json.Unmarshal(e.JSON, &piece) != nil {
				t.Errorf("event %T %v is no text", event, event)
			}
			emitted.WriteString(piece)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if message.Text() != emitted.String() || message.Usage.Input == 0 || message.Usage.Output == 0 {
			t.Errorf("message %q with usage %+v, but emitted %q", message.Text(), message.Usage, emitted.String())
		}
		req.Messages = append(req.Messages, message)
		if len(message.ToolCalls) == 0 {
			if message.Finish != llm.FinishStop {
				t.Errorf("finish is %q", message.Finish)
			}
			return calls, message.Text()
		}
		if message.Finish != llm.FinishToolCalls {
			t.Errorf("finish is %q", message.Finish)
		}
		for _, call := range message.ToolCalls {
			calls = append(calls, call.Name+" "+call.Arguments)
			answered := llm.TextMessage(llm.Tool, result(call))
			answered.ToolCallID = call.ID
			req.Messages = append(req.Messages, answered)
		}
	}
	t.Fatal("the turn does not end")
	return nil, ""
}

func TestCommandsCallTools(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		said string
		want []string // the calls
		text string   // a part of the reply
	}{
		{"run in backticks", "run `pwd`", []string{`terminal {"command":"pwd"}`}, "run `pwd` gave:\n\n```\nresult of terminal\n```"},
		{"run without backticks", "Run  ls -la | wc -l ", []string{`terminal {"command":"ls -la | wc -l"}`}, "result of terminal"},
		{"run politely", "please run: `pwd`.", []string{`terminal {"command":"pwd"}`}, "result of terminal"},
		{"run many lines", "run `echo a\necho b`", []string{`terminal {"command":"echo a\necho b"}`}, "run echo a echo b gave:"},
		{"run a block", "run:\n```sh\necho `date`\nls\n```\n", []string{`terminal {"command":"echo ` + "`date`" + `\nls"}`}, "result of terminal"},
		{"run with two backticks", "run ``echo `date` ``", []string{`terminal {"command":"echo ` + "`date`" + `"}`}, "result of terminal"},
		{"run two", "run `pwd`, and `ls`", []string{`terminal {"command":"pwd"}`, `terminal {"command":"ls"}`}, "run `ls` gave"},
		{"backticks that could mean two things", "run echo `date`", nil, "I did not understand: “run echo `date`”"},
		{"read", "read notes.txt", []string{`read_file {"path":"notes.txt"}`}, "read notes.txt gave"},
		{"read in backticks", "read `my notes.txt`\r\n", []string{`read_file {"path":"my notes.txt"}`}, "result of read_file"},
		{"read, and more", "read notes.txt, and tell me what you think", []string{`read_file {"path":"notes.txt"}`}, "I did not understand: “and tell me what you think”"},
		{"write", "write notes.txt: hello: you\nand you", []string{`write_file {"path":"notes.txt","content":"hello: you\nand you"}`}, "write notes.txt gave"},
		{"write a block", "write a.py:\n```python\nprint(1)\n\nx = 2\n```\nrun `python3 a.py`", []string{`write_file {"path":"a.py","content":"print(1)\n\nx = 2\n"}`, `terminal {"command":"python3 a.py"}`}, "result of terminal"},
		{"write what no file is", "write a poem: now", nil, "I did not understand"},
		{"list", "list", []string{`search_files {"pattern":"*","target":"files"}`}, "result of search_files"},
		{"list files", "List all files", []string{`search_files {"pattern":"*","target":"files"}`}, "result of search_files"},
		{"list a pattern", "list *.go\nhelp", []string{`search_files {"pattern":"*.go","target":"files"}`}, "- read FILE"},
		{"search", "search for a.b(c", []string{`search_files {"pattern":"a\\.b\\(c","target":"content"}`}, "search a.b(c gave"},
		{"find", "find \"two words\"", []string{`search_files {"pattern":"two words","target":"content"}`}, "result of search_files"},
		{"replace", "replace old with new in a.txt", []string{`patch {"mode":"replace","path":"a.txt","old_string":"old","new_string":"new"}`}, "replace a.txt gave"},
		{"replace in backticks", "replace `a with b\nin c` with `` in `my file`", []string{`patch {"mode":"replace","path":"my file","old_string":"a with b\nin c","new_string":""}`}, "result of patch"},
		{"remember", "remember that I like tea", []string{`memory {"target":"memory","action":"add","content":"that I like tea"}`}, "remember that I like tea gave"},
		{"what it remembers", "What do you remember?", nil, "I remember nothing yet."},
		{"what it remembers, and more", "what do you remember about me\nread a", []string{`read_file {"path":"a"}`}, "I remember nothing yet."},
		{"several lines", "run `pwd`\n\nread a\nlist", []string{`terminal {"command":"pwd"}`, `read_file {"path":"a"}`, `search_files {"pattern":"*","target":"files"}`}, "result of search_files"},
		{"help", "help", nil, "- replace A with B in FILE"},
		{"a question", "What is the\nmeaning of life?", nil, "I did not understand: “What is the meaning of life?”"},
		{"a word like a command", "running `pwd`", nil, "I did not understand"},
		{"a command without its object", "read", nil, "I did not understand: “read”"},
		{"nothing", " ", nil, "What I understand, one command a line"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, profile := range []string{"", "default", "alice"} {
				calls, text := answer(t, New(Options{Profile: profile}), tt.said, allTools(), func(call llm.ToolCall) string { return "result of " + call.Name })
				if strings.Join(calls, "\n") != strings.Join(tt.want, "\n") {
					t.Errorf("calls are %q, want %q", calls, tt.want)
				}
				command := map[string]string{"alice": "hermes -p alice config set"}[profile]
				if command == "" {
					command = "\nhermes config set"
				}
				for _, want := range []string{tt.text, "No language model is configured", command + " model.base_url http", command + " OPENAI_API_KEY sk-"} {
					if !strings.Contains(text, want) {
						t.Errorf("reply %q lacks %q", text, want)
					}
				}
			}
		})
	}
}

func TestMissingToolsAreNamed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		said  string
		tools []llm.ToolSpec
		calls int
		want  string
	}{
		{"no memory", "remember the milk", offered("terminal"), 0, "I cannot remember that: the tool `memory`"},
		{"no terminal", "run `pwd`\nread a", offered("read_file"), 1, "run `pwd` was not done: the tool `terminal` is not available here."},
		{"help without it", "help", offered("read_file"), 0, "one command a line:\n\n- read FILE\n- help\n"},
		{"none at all", "hello", nil, 0, "there is nothing that I can do"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			calls, text := answer(t, New(Options{}), tt.said, tt.tools, func(llm.ToolCall) string { return "ok" })
			if len(calls) != tt.calls || !strings.Contains(text, tt.want) {
				t.Errorf("calls %q, reply %q, want %d calls and %q", calls, text, tt.calls, tt.want)
			}
		})
	}
}

func TestArgumentsThatAToolDoesNotKnowAreLeftOut(t *testing.T) {
	t.Parallel()
	tools := []llm.ToolSpec{{Name: "patch", Parameters: json.RawMessage(`{"properties":{"path":{}}}`)}, {Name: "search_files"}}
	calls, _ := answer(t, New(Options{}), "replace a with b in c\nlist", tools, func(llm.ToolCall) string { return "" })
	want := `patch {"path":"c","old_string":"a","new_string":"b"}` + "\n" + `search_files {"pattern":"*"}`
	if got := strings.Join(calls, "\n"); got != want {
		t.Errorf("calls are %s, want %s", got, want)
	}
}

func TestLongOutputIsCutAndCannotBreakTheReply(t *testing.T) {
	t.Parallel()
	_, text := answer(t, New(Options{}), "run `x`", allTools(), func(llm.ToolCall) string { return strings.Repeat("é", 10_000) })
	if len(text) > 6000 || !strings.Contains(text, "bytes are not shown)") || !strings.Contains(text, "é…\n") {
		t.Errorf("reply has %d bytes: %.100q…", len(text), text)
	}
	_, text = answer(t, New(Options{}), "run `x`", allTools(), func(llm.ToolCall) string { return "```\nsee\n````" })
	if !strings.Contains(text, "`````\n```\nsee\n````\n`````") {
		t.Errorf("reply %q lets the output end its block", text)
	}
	_, text = answer(t, New(Options{}), "run `x`", allTools(), func(llm.ToolCall) string { return "" })
	if !strings.Contains(text, "(nothing)") {
		t.Errorf("reply is %q", text)
	}
}

// TestTheLastStep offers no tools and adds a message, as agents do when a turn
// has used up its steps.
func TestTheLastStep(t *testing.T) {
	t.Parallel()
	asked := llm.Message{Role: llm.Assistant, ToolCalls: []llm.ToolCall{{ID: "a", Name: "terminal", Arguments: `{"command":"pwd"}`}}}
	result := llm.TextMessage(llm.Tool, "/work")
	result.ToolCallID = "a"
	message, err := New(Options{}).Stream(t.Context(), llm.Request{Messages: []llm.Message{
		llm.TextMessage(llm.User, "run `pwd`\nread a"), asked, result, llm.TextMessage(llm.User, "This turn has reached its limit."),
	}}, func(llm.Event) error { return nil })
	if err != nil || !strings.Contains(message.Text(), "```\n/work\n```") || !strings.Contains(message.Text(), "read a was not done") {
		t.Errorf("reply is %q, %v", message.Text(), err)
	}
}

func TestItRemembersWhatThePromptSays(t *testing.T) {
	t.Parallel()
	prompt := "You are Hermes.\n\n# Memory\n\nSaved earlier.\n\n- Likes tea.\n\n# Project instructions\n\nNone."
	message, err := New(Options{}).Stream(t.Context(), llm.Request{Tools: allTools(), Messages: []llm.Message{
		llm.TextMessage(llm.System, prompt), llm.TextMessage(llm.User, "what do you remember"),
	}}, func(llm.Event) error { return nil })
	if err != nil || !strings.Contains(message.Text(), "my memory held:\n\n```\nSaved earlier.\n\n- Likes tea.\n```") {
		t.Errorf("reply is %q, %v", message.Text(), err)
	}
}

func TestEarlierTurnsAreLeftAlone(t *testing.T) {
	t.Parallel()
	asked := llm.Message{Role: llm.Assistant, ToolCalls: []llm.ToolCall{{ID: "demo_2", Name: "terminal", Arguments: `{"command":"pwd"}`}}}
	result := llm.TextMessage(llm.Tool, "old")
	result.ToolCallID = "demo_2"
	message, err := New(Options{}).Stream(t.Context(), llm.Request{Tools: allTools(), Messages: []llm.Message{
		llm.TextMessage(llm.User, "run `pwd`"), asked, result, llm.TextMessage(llm.User, "run `pwd`"),
	}}, func(llm.Event) error { return nil })
	if err != nil || len(message.ToolCalls) != 1 || message.ToolCalls[0].ID == "demo_2" {
		t.Errorf("answer is %+v, %v, want a new call", message, err)
	}
}

func TestLeavingEndsTheReply(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	req := llm.Request{Messages: []llm.Message{llm.TextMessage(llm.User, "hello")}}
	emitted := 0
	message, err := New(Options{}).Stream(t.Context(), req, func(llm.Event) error {
		if emitted++; emitted == 3 {
			return gone
		}
		return nil
	})
	if !errors.Is(err, gone) || emitted != 3 || message.Text() == "" {
		t.Errorf("after %d pieces: %q, %v", emitted, message.Text(), err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err = New(Options{}).Stream(ctx, req, func(llm.Event) error { cancel(gone); return nil })
	if !errors.Is(err, gone) {
		t.Errorf("after the context's end: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"run `pwd`", "write a: b\n```\nc\n```", "replace a with b in c", "run ```\nx\n```", "list\nread `", "please"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, said string) {
		commands, rest := parse(said)
		if len(commands) >= 2*maxCommands || len(rest) > len(said) {
			t.Errorf("%d commands, rest %q", len(commands), rest)
		}
		for _, c := range commands {
			if !json.Valid([]byte(c.arguments(llm.ToolSpec{}))) {
				t.Errorf("arguments %s are no JSON", c.arguments(llm.ToolSpec{}))
			}
		}
	})
}
