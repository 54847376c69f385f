package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"hermes/worker/openai"
)

// chunk is a chunk of a stream as a strict client reads it, with the fields of
// tool progress.
type chunk struct {
	openai.Chunk
	Choices []struct {
		Index        *int                       `json:"index"`
		Delta        map[string]json.RawMessage `json:"delta"`
		FinishReason *string                    `json:"finish_reason"`
	} `json:"choices"`
	Event *struct {
		Type string `json:"type"`
		Data struct {
			Description string `json:"description"`
			Done        *bool  `json:"done"`
		} `json:"data"`
	} `json:"event"`
	Status     string `json:"status"`
	ToolCallID string `json:"tool_call_id"`
}

// tester is what checkStream needs of a test, be it a *testing.T or one of
// rapid's.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

var _ tester = (*testing.T)(nil)

// checkStream fails the test if body is no stream that every known client
// understands, and returns the text in it.
func checkStream(t tester, body string) string {
	t.Helper()
	var content strings.Builder
	var first *chunk
	finishes, usages, statuses, calls, failed := 0, 0, 0, 0, false
	lastDone := true
	events := strings.SplitAfter(body, "\n\n")
	if events[len(events)-1] != "" || len(events) < 4 && !strings.Contains(body, `"error"`) || events[len(events)-2] != "data: [DONE]\n\n" {
		t.Fatalf("the stream does not end in [DONE]:\n%s", body)
	}
	for i, event := range events[:len(events)-2] {
		if event == ": keepalive\n\n" {
			continue
		}
		data, ok := strings.CutPrefix(strings.TrimSuffix(event, "\n\n"), "data: ")
		if !ok || strings.ContainsAny(data, "\n\r") || len(event) >= 64<<10 {
			t.Fatalf("event %d is not one data line below 64 KiB: %.100q", i, event)
		}
		if failed || usages > 0 {
			t.Fatalf("an event follows the last one: %s", data)
		}
		var keys map[string]json.RawMessage
		if err := json.Unmarshal([]byte(data), &keys); err != nil {
			t.Fatalf("event %d is no JSON object: %v: %s", i, err, data)
		}
		if _, failed = keys["error"]; failed {
			if len(keys) != 1 || finishes > 0 {
				t.Fatalf("an error does not stand alone: %s", data)
			}
			continue
		}
		var c chunk
		if err := json.Unmarshal([]byte(data), &c); err != nil {
			t.Fatalf("event %d is no chunk: %v: %s", i, err, data)
		}
		if first == nil {
			first = &c
			if string(c.Choices[0].Delta["role"]) != `"assistant"` {
				t.Fatalf("the first chunk names no role: %s", data)
			}
		}
		if c.ID == "" || c.ID != first.ID || c.Created == 0 || c.Created != first.Created || c.Model == "" || c.Model != first.Model || c.Object != "chat.completion.chunk" {
			t.Fatalf("id, created, model or object changes: %s", data)
		}
		if _, ok := keys["usage"]; ok {
			usages++
			if c.Usage == nil || len(c.Choices) != 0 || finishes != 1 || c.Usage.TotalTokens != c.Usage.PromptTokens+c.Usage.CompletionTokens {
				t.Fatalf("usage is out of place: %s", data)
			}
			continue
		}
		if len(c.Choices) != 1 || c.Choices[0].Index == nil || *c.Choices[0].Index != 0 || c.Choices[0].Delta == nil || finishes > 0 {
			t.Fatalf("choices are wrong: %s", data)
		}
		choice := c.Choices[0]
		if choice.FinishReason != nil {
			finishes++
			if len(choice.Delta) != 0 {
				t.Fatalf("the last delta is not empty: %s", data)
			}
		}
		if c.Event != nil {
			statuses++
			lastDone = c.Event.Data.Done != nil && *c.Event.Data.Done
			if len(choice.Delta) != 0 || c.Event.Type != "status" || c.Event.Data.Done == nil || c.Status == "" {
				t.Fatalf("the event is wrong: %s", data)
			}
		}
		if _, ok := choice.Delta["tool_calls"]; ok {
			calls++
		}
		if choice.FinishReason != nil && (*choice.FinishReason == "tool_calls") != (calls > 0) {
			t.Fatalf("%d pieces of calls, but the end is %s", calls, data)
		}
		var piece string
		if raw, ok := choice.Delta["content"]; ok {
			if err := json.Unmarshal(raw, &piece); err != nil {
				t.Fatalf("content is no string: %s", data)
			}
			content.WriteString(piece)
		}
	}
	if failed == (finishes == 1) || finishes > 1 {
		t.Fatalf("%d finish chunks, failed: %v\n%s", finishes, failed, body)
	}
	if !lastDone {
		t.Fatalf("the last of %d status events is not done:\n%s", statuses, body)
	}
	return content.String()
}
