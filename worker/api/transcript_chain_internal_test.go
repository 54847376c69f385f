package api

import (
	"testing"

	"hermes/worker/llm"
)

func nameOf(messages ...llm.Message) chain {
	var c chain
	for _, message := range messages {
		c.add(message)
	}
	return c
}

func TestTranscriptsThatLookTheSameHaveOneName(t *testing.T) {
	t.Parallel()
	said := func(text string) llm.Message { return llm.TextMessage(llm.Assistant, text) }
	asked := func(text string) llm.Message { return llm.TextMessage(llm.User, text) }
	const rag = "### Task:\nRespond to the user query using the provided context.\n\n<context>\n<source id=\"1\">x</source>\n</context>\n\n"
	calling := said("")
	calling.Parts, calling.ToolCalls = nil, []llm.ToolCall{{ID: "c1", Name: "f", Arguments: `{"a": 1}`}}
	anew := calling
	anew.ToolCalls = []llm.ToolCall{{ID: "c1", Name: "f", Arguments: `{"a":1}`}}
	other := calling
	other.ToolCalls = []llm.ToolCall{{ID: "c2", Name: "f", Arguments: `{"a":1}`}}
	seen := asked("what is it?")
	seen.Parts = append(seen.Parts, llm.Part{ImageURL: "https://x/a.png"})
	tests := []struct {
		name string
		a, b llm.Message
		same bool
	}{
		{"the same", said("Hello"), said("Hello"), true},
		{"other words", said("Hello"), said("Hallo"), false},
		{"other role", said("Hello"), asked("Hello"), false},
		{"white space", said("Let me look.\n\nYou are in\u00a0/x."), said("  Let me look. You are in /x.\n"), true},
		{"markers", said("Let me look.\n\n`💻 pwd`\n\nYou are in /x."), said("Let me look.\n\nYou are in /x."), true},
		{"a marker of a person", asked("`💻 pwd`"), asked(""), false},
		{"blocks of Open WebUI", said("<details type=\"tool_calls\" done=\"true\">\n<summary>pwd</summary>\n</details>\nYou are in /x."), said("You are in /x."), true},
		{"blocks of others", said("<details>\n<summary>Thought</summary>hm</details>You are in /x."), said("You are in /x."), true},
		{"thinking", said("<think>\nhm\n</think>\nYou are in /x."), said("You are in /x."), true},
		{"thinking in other words", said("<|begin_of_thought|>hm<|end_of_thought|>You are in /x."), said("You are in /x."), true},
		{"thinking with attributes", said("You are <think type=\"x\">hm</think>in /x."), said("You are in /x."), true},
		{"thinking in signs", said("◁think▷hm◁/think▷You are in /x."), said("You are in /x."), true},
		{"thinking that does not end", said("You are in /x. <think>hm\n</thinking>"), said("You are in /x."), true},
		{"a solution", said("<|begin_of_solution|>You are in /x.<|end_of_solution|>"), said("You are in /x."), true},
		{"a word of code", said("a <thinker> b"), said("a"), false},
		{"a block that does not end", said("a <details> b"), said("a"), false},
		{"a comparison", said("if a < b { think(a > b) }"), said("if a"), false},
		{"parts", llm.Message{Role: llm.User, Parts: []llm.Part{{Text: "a"}, {Text: "b"}}}, asked("ab"), true},
		{"documents", asked(rag + "what is it?"), asked("what is it?"), true},
		{"documents in the newer form", asked(rag + "<user_query>\nwhat is it?\n</user_query>"), asked("what is it?"), true},
		{"documents and nothing else", asked(rag), asked(""), false},
		{"a headline like theirs", asked("### Task:\nwrite"), asked("write"), false},
		{"image", seen, asked("what is it?"), false},
		{"arguments written anew", calling, anew, true},
		{"other calls", calling, other, false},
		{"calls left out", calling, said(""), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			before := asked("hi")
			if same := nameOf(before, test.a) == nameOf(before, test.b); same != test.same {
				t.Errorf("same: %v", same)
			}
			if nameOf(test.a) == nameOf(before, test.a) {
				t.Error("the beginning does not count")
			}
		})
	}
}
