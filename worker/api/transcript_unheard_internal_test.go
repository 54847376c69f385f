package api

import (
	"strings"
	"testing"

	"hermes/worker/llm"
)

// What a crash broke off takes the place of what its client has of it, unless the
// client has something else there.
func TestBrokenTurnsArePutBack(t *testing.T) {
	t.Parallel()
	works := llm.TextMessage(llm.Assistant, "Let me look. ")
	works.ToolCalls = []llm.ToolCall{{ID: "c"}}
	result := llm.TextMessage(llm.Tool, "found")
	result.ToolCallID = "c"
	broken := brokenTurn{messages: []llm.Message{works, result}}
	user, answer := llm.TextMessage(llm.User, "task"), func(text string) llm.Message { return llm.TextMessage(llm.Assistant, text) }
	next := llm.TextMessage(llm.User, "next")
	show := func(history []llm.Message) string {
		var shown []string
		for _, message := range history {
			shown = append(shown, string(message.Role)+":"+message.Text())
		}
		return strings.Join(shown, "|")
	}
	for _, test := range []struct {
		name    string
		history []llm.Message
		known   bool
		want    string
	}{
		{"nothing of it", []llm.Message{user}, false, "user:task|assistant:Let me look. |tool:found"},
		{"nothing of it, and the next", []llm.Message{user, next}, false, "user:task|assistant:Let me look. |tool:found|user:next"},
		{"a part", []llm.Message{user, answer("Let\nme"), next}, false, "user:task|assistant:Let me look. |tool:found|user:next"},
		{"with a marker", []llm.Message{user, answer("Let me look.\n`💻 pwd`\n"), next}, false, "user:task|assistant:Let me look. |tool:found|user:next"},
		{"more than was recorded", []llm.Message{user, answer("Let me look. It is größer"), next}, false, "user:task|assistant:Let me look. |tool:found|assistant:It is größer|user:next"},
		{"another answer", []llm.Message{user, answer("No."), next}, false, "user:task|assistant:No.|user:next"},
		{"an answer that is known", []llm.Message{user, answer("Let me"), next}, true, "user:task|assistant:Let me|user:next"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := show(broken.putBack(test.history, 0, test.known)); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
	last := []llm.Message{works, result, answer("The end.")}
	if got := show(withoutLastWords(last)); got != "assistant:Let me look. |tool:found" {
		t.Errorf("without its last words it is %s", got)
	}
	if got := withoutLastWords(last[2:]); got != nil {
		t.Errorf("nothing but words: %s", show(got))
	}
}
