package agent_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
	"hermes/worker/tools"
)

func TestTurns(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		tools   map[string]toolFunc
		answers []llmtest.Answer
		want    []string
		finish  llm.Finish
		text    string
	}{
		{
			name:    "text only",
			answers: []llmtest.Answer{{Reasoning: []string{"hm"}, Text: []string{"Hello", "!"}}},
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`show reasoning "hm"`,
				`show text "Hello"`,
				`show text "!"`,
				`record answer "Hello!"`,
				`record end done`,
			},
			finish: llm.FinishStop,
			text:   "Hello!",
		},
		{
			name:  "one tool",
			tools: map[string]toolFunc{"look": says("a file")},
			answers: []llmtest.Answer{
				{Text: []string{"Let me look."}, Calls: []llm.ToolCall{call("c1", "look")}},
				llmtest.Say("There is a file."),
			},
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`show text "Let me look."`,
				`record answer "Let me look." c1`,
				`record start c1`,
				`show start c1 🔧 look {}`,
				`run look`,
				`record result c1 "a file"`,
				`show result c1 "a file"`,
				`ask "go" assistant(1) c1`,
				`show text "There is a file."`,
				`record answer "There is a file."`,
				`record end done`,
			},
			finish: llm.FinishStop,
			text:   "Let me look.\n\nThere is a file.",
		},
		{
			name:  "writers run one after the other",
			tools: map[string]toolFunc{"a": says("A"), "b": says("B")},
			answers: []llmtest.Answer{
				llmtest.Use(call("c1", "a"), call("c2", "b")),
				llmtest.Say("done"),
			},
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`record answer "" c1 c2`,
				`record start c1`,
				`show start c1 🔧 a {}`,
				`run a`,
				`record result c1 "A"`,
				`show result c1 "A"`,
				`record start c2`,
				`show start c2 🔧 b {}`,
				`run b`,
				`record result c2 "B"`,
				`show result c2 "B"`,
				`ask "go" assistant(2) c1 c2`,
				`show text "done"`,
				`record answer "done"`,
				`record end done`,
			},
			finish: llm.FinishStop,
			text:   "done",
		},
		{
			name:  "broken arguments and unknown tools are the model's to mend",
			tools: map[string]toolFunc{"look": says("a file")},
			answers: []llmtest.Answer{
				llmtest.Use(llm.ToolCall{ID: "c1", Name: "look", Arguments: `{"pa`}),
				llmtest.Use(call("c2", "lock")),
				llmtest.Say("sorry"),
			},
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`record answer "" c1`,
				`record start c1`,
				`show start c1 🔧 look {"pa`,
				`run look`,
				`record result c1 "the arguments are no JSON"`,
				`show result c1 "the arguments are no JSON"`,
				`ask "go" assistant(1) c1`,
				`record answer "" c2`,
				`record start c2`,
				`show start c2 🔧 lock {}`,
				`run lock`,
				`record result c2 "there is no tool lock"`,
				`show result c2 "there is no tool lock"`,
				`ask "go" assistant(1) c1 assistant(1) c2`,
				`show text "sorry"`,
				`record answer "sorry"`,
				`record end done`,
			},
			finish: llm.FinishStop,
			text:   "sorry",
		},
		{
			name:  "ids are made and mended, calls that come with stop are calls",
			tools: map[string]toolFunc{"a": says("A")},
			answers: []llmtest.Answer{
				{Calls: []llm.ToolCall{call("", "a"), call("0", "a")}, Finish: llm.FinishStop},
				{Calls: []llm.ToolCall{call("0", "a")}},
				llmtest.Say("done"),
			},
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`record answer "" call_id3 0`,
				`record start call_id3`,
				`show start call_id3 🔧 a {}`,
				`run a`,
				`record result call_id3 "A"`,
				`show result call_id3 "A"`,
				`record start 0`,
				`show start 0 🔧 a {}`,
				`run a`,
				`record result 0 "A"`,
				`show result 0 "A"`,
				`ask "go" assistant(2) call_id3 0`,
				`record answer "" call_id4`,
				`record start call_id4`,
				`show start call_id4 🔧 a {}`,
				`run a`,
				`record result call_id4 "A"`,
				`show result call_id4 "A"`,
				`ask "go" assistant(2) call_id3 0 assistant(1) call_id4`,
				`show text "done"`,
				`record answer "done"`,
				`record end done`,
			},
			finish: llm.FinishStop,
			text:   "done",
		},
		{
			name:    "an answer at its length",
			answers: []llmtest.Answer{{Text: []string{"too lo"}, Finish: llm.FinishLength}},
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`show text "too lo"`,
				`record answer "too lo"`,
				`record end done`,
			},
			finish: llm.FinishLength,
			text:   "too lo",
		},
		{
			name:    "nothing but thoughts until the length is reached",
			answers: []llmtest.Answer{{Reasoning: []string{"hm"}, Finish: llm.FinishLength}},
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`show reasoning "hm"`,
				`record answer ""`,
				`record end done`,
			},
			finish: llm.FinishLength,
		},
		{
			name:    "calls of a filtered answer are not run",
			answers: []llmtest.Answer{{Text: []string{"I"}, Calls: []llm.ToolCall{call("c1", "a")}, Finish: llm.FinishContentFilter}},
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`show text "I"`,
				`record answer "I"`,
				`record end done`,
			},
			finish: llm.FinishContentFilter,
			text:   "I",
		},
		{
			name:    "an empty answer is asked about",
			answers: []llmtest.Answer{{}, llmtest.Say(" \n"), llmtest.Say("Here.")},
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`ask "go" "Your last reply was empty. Answer the person, or call a tool."`,
				`show text " \n"`,
				`ask "go" "Your last reply was empty. Answer the person, or call a tool."`,
				`show text "Here."`,
				`record answer "Here."`,
				`record end done`,
			},
			finish: llm.FinishStop,
			text:   "Here.",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(test.tools, test.answers...)
			result, err := s.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			s.expect(t, test.want...)
			if result.Finish != test.finish || result.Text() != test.text || result.Cut {
				t.Errorf("finish %s, text %q, cut %v; want %s, %q", result.Finish, result.Text(), result.Cut, test.finish, test.text)
			}
			if last := result.Messages[len(result.Messages)-1]; !reflect.DeepEqual(last, result.Message) {
				t.Errorf("the answer %+v is not the last message %+v", result.Message, last)
			}
		})
	}
}

func TestWhatTheModelIsAsked(t *testing.T) {
	t.Parallel()
	s := newStage(nil, llmtest.Answer{Text: []string{"yes"}, Usage: llm.Usage{Input: 7, Output: 2, Cached: 1}})
	s.opts.Prompt = agent.NewPrompt(agent.PromptOptions{})
	warm := 0.7
	result, err := agent.New(s.opts).Run(t.Context(), agent.Turn{
		System:  "Speak like a pirate.",
		History: []llm.Message{llm.TextMessage(llm.User, "one"), llm.TextMessage(llm.Assistant, "two"), llm.TextMessage(llm.User, "three")},
		Params: agent.Params{
			Temperature: &warm, TopP: &warm, MaxTokens: 5, Stop: []string{"x"},
			ReasoningEffort: "low", ResponseFormat: []byte(`{"type":"json_object"}`),
		},
	}, s.show)
	if err != nil {
		t.Fatal(err)
	}
	s.expect(t,
		`record begin "three"`,
		`ask system "one" assistant(0) "three"`,
		`show text "yes"`,
		`record answer "yes"`,
		`record end done`,
	)
	req := s.script.Requests()[0]
	if !strings.HasSuffix(req.Messages[0].Text(), "Speak like a pirate.") {
		t.Error("the client's instructions are not the last of the prompt")
	}
	if *req.Temperature != warm || *req.TopP != warm || req.MaxTokens != 5 || req.Stop[0] != "x" ||
		req.ReasoningEffort != "low" || string(req.ResponseFormat) != `{"type":"json_object"}` {
		t.Errorf("the client's wishes did not arrive: %+v", req)
	}
	if result.Usage != (llm.Usage{Input: 7, Output: 2, Cached: 1}) {
		t.Errorf("usage %+v", result.Usage)
	}
}

func TestUsageIsSummedOverAllCalls(t *testing.T) {
	t.Parallel()
	s := newStage(map[string]toolFunc{"a": says("A")},
		llmtest.Answer{Calls: []llm.ToolCall{call("c1", "a")}, Usage: llm.Usage{Input: 10, Output: 1}},
		llmtest.Answer{Usage: llm.Usage{Input: 20, Output: 2}},
		llmtest.Answer{Text: []string{"x"}, Usage: llm.Usage{Input: 30, Output: 3}, Err: &llm.Error{Class: llm.Network}},
	)
	result, err := s.run(t.Context())
	if err == nil {
		t.Fatal("no error")
	}
	if result.Usage != (llm.Usage{Input: 60, Output: 6}) {
		t.Errorf("usage %+v, want that of all three calls", result.Usage)
	}
}

func TestTurnWithoutMessage(t *testing.T) {
	t.Parallel()
	s := newStage(nil)
	if _, err := agent.New(s.opts).Run(t.Context(), agent.Turn{}, s.show); err == nil {
		t.Error("a turn without a message was run")
	}
	s.expect(t)
}

func TestAgentWithoutTools(t *testing.T) {
	t.Parallel()
	s := newStage(nil, llmtest.Use(call("c1", "terminal")), llmtest.Say("none"))
	s.opts.Tools = nil
	if _, err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.expect(t,
		`record begin "go"`,
		`ask "go" without tools`,
		`record answer "" c1`,
		`record start c1`,
		`show start c1 ⚡ terminal`,
		`record result c1 "There is no tool terminal: this agent has no tools."`,
		`show result c1 "There is no tool terminal: this agent has no tools."`,
		`ask "go" assistant(1) c1 without tools`,
		`show text "none"`,
		`record answer "none"`,
		`record end done`,
	)
}

func TestSecretsAreTakenOut(t *testing.T) {
	t.Parallel()
	const secret = "sk-12345"
	tool := func(context.Context, llm.ToolCall) (tools.Result, error) {
		return tools.Result{Text: "the key is " + secret}, nil
	}
	s := newStage(map[string]toolFunc{"a": tool},
		llmtest.Use(llm.ToolCall{ID: "c1", Name: "a", Arguments: `{"key":"` + secret + `"}`}),
		llmtest.Fail(&llm.Error{Class: llm.Auth, Message: "bad key " + secret, Err: errors.New(secret)}),
	)
	s.opts.Redact = func(text string) string { return strings.ReplaceAll(text, secret, "[redacted]") }
	s.emit = func(event agent.Event) error {
		if started, ok := event.(agent.ToolStarted); ok && strings.Contains(started.Call.Arguments, secret) {
			t.Error("the call that is shown holds the secret")
		}
		return nil
	}
	_, err := s.run(t.Context())
	failed, ok := errors.AsType[*llm.Error](err)
	if !ok || failed.Class != llm.Auth || failed.Message != "bad key [redacted]" || strings.Contains(failed.Err.Error(), secret) {
		t.Errorf("got %#v, want the same error without its secret", err)
	}
	s.expect(t,
		`record begin "go"`,
		`ask "go"`,
		`record answer "" c1`,
		`record start c1`,
		`show start c1 🔧 a {"key":"[redacted]"}`,
		`run a`,
		`record result c1 "the key is sk-12345"`,
		`show result c1 "the key is [redacted]"`,
		`ask "go" assistant(1) c1`,
		`record end failed: bad key [redacted]`,
	)
}
