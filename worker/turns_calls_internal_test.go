package worker

import (
	"strings"

	"hermes/worker/llm/llmtest"
)

// callStories are about calls that are not as they should be. None is dropped, and
// none runs with other arguments than the model meant.
func callStories() []story {
	second := func(first llmtest.Reply) []llmtest.Reply {
		return []llmtest.Reply{first, use("read_file", `{"path":"notes.txt"}`), llmtest.Text("Milk and eggs.")}
	}
	once := func(first llmtest.Reply) []llmtest.Reply {
		return []llmtest.Reply{first, llmtest.Text("Milk and eggs.")}
	}
	play := func(s *scene) { s.say("What do I need?") }
	return []story{
		{
			name: "bad-arguments", about: "Arguments with the wrong name: the model is told which is missing, with what it sent, and tries again.",
			answers: second(use("read_file", `{"file":"notes.txt"}`)), play: play,
		},
		{
			name: "unknown-tool", about: "A tool that does not exist: the model is told which ones do, and which it may have meant.",
			answers: second(use("read_fyle", `{"path":"notes.txt"}`)), play: play,
		},
		{
			name: "truncated-arguments", about: "Arguments that stop in the middle of a text: nothing is guessed.",
			answers: second(use("write_file", `{"path":"notes.txt","content":"milk, eg`)), play: play,
		},
		{
			name: "wrong-twice", about: "The same tool is called wrongly twice: the third time the model is made to call it, so that the server holds it to the schema.",
			answers: []llmtest.Reply{
				use("read_file", `{"file":"notes.txt"}`), use("read_file", `{"filename":"notes.txt"}`), use("read_file", `{"path":"notes.txt"}`), llmtest.Text("Milk and eggs."),
			},
			play: play,
		},
		{
			name: "call-as-text", about: "A model whose server does not know its form writes a call as text. It is not run; the model is asked once to make it.",
			answers: []llmtest.Reply{
				llmtest.Text("<tool_call>\n{\"name\": \"read_file\", \"arguments\": {\"path\": \"notes.txt\"}}\n</tool_call>"),
				use("read_file", `{"path":"notes.txt"}`), llmtest.Text("Milk and eggs."), llmtest.Text("Two."),
			},
			play: func(s *scene) {
				s.say("What do I need?")
				s.say("How many?")
			},
		},
		{
			name: "encoded-twice", about: "Arguments that are a JSON string with the object in it are understood.",
			answers: once(use("read_file", `"{\"path\":\"notes.txt\"}"`)), play: play,
		},
		{
			name: "arguments-as-object", about: "Arguments that are an object on the wire, where a string belongs, are understood.",
			answers: once(llmtest.Reply{Raw: wire(
				`{"tool_calls":[{"index":0,"id":"c1a","type":"function","function":{"name":"read_file","arguments":{"path":"notes.txt"}}}]}`)}), play: play,
		},
		{
			name: "calls-without-index", about: "Parallel calls that carry no index, as some servers send them, are told apart by their ids.",
			answers: once(llmtest.Reply{Raw: wire(
				`{"tool_calls":[{"id":"c1a","type":"function","function":{"name":"read_file","arguments":"{\"path\":"}}]}`,
				`{"tool_calls":[{"function":{"arguments":"\"notes.txt\"}"}}]}`,
				`{"tool_calls":[{"id":"c1b","type":"function","function":{"name":"search_files","arguments":"{\"pattern\":\"milk\"}"}}]}`)}), play: play,
		},
	}
}

// wire is a stream with these deltas, as a server sends it that ends its tool calls
// with stop.
func wire(deltas ...string) string {
	var out strings.Builder
	for _, delta := range deltas {
		out.WriteString(`data: {"choices":[{"index":0,"delta":` + delta + `,"finish_reason":null}]}` + "\n\n")
	}
	out.WriteString(`data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":10}}` + "\n\n")
	out.WriteString("data: [DONE]\n\n")
	return out.String()
}
