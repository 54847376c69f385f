// Package llmtest holds models for tests and measurements. None of them needs a
// network beyond loopback, and each is deterministic.
//
// There are two, for two depths:
//
//   - [Script] is an llm.Client in memory. It reads its answers from a list and
//     keeps the requests it was sent. Use it to test what sits on top of a
//     Client: the agent's loop, retries, the API.
//   - [Upstream] is an HTTP server on loopback that speaks the chat completions
//     API, JSON and server-sent events, as real providers do. Use it to test a
//     client of the wire, or whole processes. [Handler] is the same without the
//     listener, for a program of one's own.
//
// An Upstream asks a function for each answer:
//
//	up := llmtest.NewUpstream(func(call llmtest.Call) llmtest.Reply {
//		if len(call.ToolResults()) > 0 {
//			return llmtest.Reply{Chunks: []string{"It says ", call.ToolResults()[0]}}
//		}
//		return llmtest.Reply{Calls: []llmtest.ToolCall{{Name: "terminal", Arguments: `{"command":"pwd"}`}}}
//	})
//	defer up.Close()
//	client := openaichat.New(openaichat.Options{BaseURL: up.URL + "/v1", …})
//
// A nil function means [Tiny], a small model that obeys plain commands in the
// last user message: "run `pwd`", "write notes.txt: hello", "stream 100".
//
// Faults are fields of a Reply: a status with Retry-After, an answer cut in the
// middle of its JSON, one that hangs until its client leaves, chunks that come
// one by one through a gate.
package llmtest
