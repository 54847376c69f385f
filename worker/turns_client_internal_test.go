package worker

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"hermes/worker/openai"
)

// say sends the next message of a person in a chat that the client keeps, as
// frontends do: it sends back what it has shown.
func (s *scene) say(text string, tools ...openai.Tool) {
	s.t.Helper()
	s.chat = append(s.chat, openai.Message{Role: "user", Content: openai.TextContent(text)})
	s.send("user: "+text, tools...)
}

// result sends what the client's own tool gave.
func (s *scene) result(id, text string, tools ...openai.Tool) {
	s.t.Helper()
	s.chat = append(s.chat, openai.Message{Role: "tool", ToolCallID: id, Content: openai.TextContent(text)})
	s.send("tool "+id+": "+text, tools...)
}

// newChat begins a chat that knows nothing of the one before.
func (s *scene) newChat() { s.chat = nil }

// send asks for the answer to the chat, and adds it.
func (s *scene) send(last string, tools ...openai.Tool) {
	s.t.Helper()
	s.journal.section("the client asks, for a stream of chat completions")
	s.journal.history(len(s.chat) - 1)
	s.journal.lines(last)
	for _, tool := range tools {
		s.journal.lines("with a tool of its own: " + tool.Function.Name)
	}
	stream := s.post(tools)
	defer stream.Close()
	shown, calls := s.show(stream)
	s.chat = append(s.chat, openai.Message{Role: "assistant", Content: openai.TextContent(shown), ToolCalls: calls})
}

// post sends the chat and returns the stream that comes back.
func (s *scene) post(tools []openai.Tool) io.ReadCloser {
	s.t.Helper()
	return s.request("/v1/chat/completions", openai.ChatRequest{
		Model: "alice", Messages: s.chat, Tools: tools, Stream: true, StreamOptions: &openai.StreamOptions{IncludeUsage: true},
	})
}

// request posts a body as JSON.
func (s *scene) request(path string, body any) io.ReadCloser {
	s.t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.address+path, bytes.NewReader(encoded))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := s.http.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.Body
}

// show reads a stream to its end, and tells what a person saw of it.
func (s *scene) show(stream io.Reader) (text string, calls []openai.ToolCall) {
	s.t.Helper()
	var ending []string
	var shown strings.Builder
	lines := bufio.NewScanner(stream)
	for lines.Scan() {
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found || data == "[DONE]" {
			continue
		}
		var chunk openai.Chunk
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			s.t.Fatalf("%s: %v", data, err)
		}
		if chunk.Error != nil {
			ending = append(ending, "error: "+chunk.Error.Message)
		}
		for _, choice := range chunk.Choices {
			shown.WriteString(choice.Delta.Content.String())
			for _, call := range choice.Delta.ToolCalls { // each is whole
				calls = append(calls, call.ToolCall)
				ending = append(ending, fmt.Sprintf("calls %s %s (%s)", call.Function.Name, call.Function.Arguments, call.ID))
			}
			if choice.FinishReason != "" {
				ending = append(ending, "finish reason: "+choice.FinishReason)
			}
		}
		if chunk.Usage != nil {
			ending = append(ending, fmt.Sprintf("tokens: %v in, %v out", chunk.Usage.PromptTokens, chunk.Usage.CompletionTokens))
		}
	}
	if err := lines.Err(); err != nil {
		s.t.Fatal(err)
	}
	s.journal.section("the client sees")
	s.journal.shown(shown.String())
	s.journal.section("and is told")
	s.journal.lines(ending...)
	return shown.String(), calls
}

// respond sends a person's message as a response that follows on the one before, and
// returns its id. Here the server keeps the history.
func (s *scene) respond(text, previous string) (id string) {
	s.t.Helper()
	s.journal.section("the client asks, for a stream of a response")
	body := map[string]any{"model": "alice", "input": text, "stream": true}
	if previous != "" {
		body["previous_response_id"] = previous
		s.journal.lines("(the response before)")
	}
	s.journal.lines("user: " + text)
	stream := s.request("/v1/responses", body)
	defer stream.Close()
	var seen []string
	lines := bufio.NewScanner(stream)
	for lines.Scan() {
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found || data == "[DONE]" {
			continue
		}
		var event struct {
			Type, Delta, Arguments string
			Item                   struct {
				Type, Status, Name, Output string
				CallID                     string `json:"call_id"`
			}
			Response struct{ ID, Status string }
		}
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			s.t.Fatalf("%s: %v", data, err)
		}
		fields := []string{event.Type, event.Item.Type, event.Item.Status, event.Item.CallID, event.Item.Name, event.Response.Status}
		for _, text := range []string{event.Delta, event.Arguments, event.Item.Output} {
			if text != "" {
				fields = append(fields, fmt.Sprintf("%q", text))
			}
		}
		seen = append(seen, strings.Join(strings.Fields(strings.Join(fields, " ")), " "))
		id = cmp.Or(event.Response.ID, id)
	}
	if err := lines.Err(); err != nil {
		s.t.Fatal(err)
	}
	s.journal.section("the client sees")
	s.journal.lines(seen...)
	return id
}
