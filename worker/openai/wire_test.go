package openai_test

import (
	"encoding/json"
	"testing"

	"hermes/worker/openai"
)

func TestExactKeysOnTheWire(t *testing.T) {
	t.Parallel()
	usage := &openai.Usage{PromptTokens: 5, CompletionTokens: 7, TotalTokens: 12}
	detailed := &openai.Usage{
		PromptTokens: 5, CompletionTokens: 7, TotalTokens: 12,
		PromptTokensDetails:     &openai.PromptTokensDetails{CachedTokens: 4},
		CompletionTokensDetails: &openai.CompletionTokensDetails{ReasoningTokens: 3},
	}
	tests := []struct {
		name  string
		value any
		want  string
	}{
		{
			"completion",
			openai.Completion{ID: "x", Object: openai.ObjectCompletion, Created: 9, Model: "m", Choices: []openai.Choice{{
				Message: openai.Answer{Role: "assistant", Content: openai.TextContent("")}, FinishReason: "stop",
			}}, Usage: usage},
			`{"id":"x","object":"chat.completion","created":9,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}`,
		},
		{
			"usage with details", detailed,
			`{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}`,
		},
		{"error", openai.ErrorBody{Error: openai.Error{Message: "no", Type: "t"}}, `{"error":{"message":"no","type":"t","param":null,"code":null}}`},
		{"error without null", openai.ErrorBody{Error: openai.Error{Message: "no", Type: "t", NoNull: true}}, `{"error":{"message":"no","type":"t","param":"","code":""}}`},
		{"error with all", openai.Error{Message: "no", Type: "t", Param: "p", Code: "c"}, `{"message":"no","type":"t","param":"p","code":"c"}`},
		{
			"request",
			openai.ChatRequest{Model: "m", Messages: []openai.Message{
				{Role: "user", Content: openai.Content{Kind: openai.Parted, Parts: []openai.Part{{Type: openai.PartText}, {Type: openai.PartImageURL, ImageURL: &openai.ImageURL{URL: "u"}}}}},
				{Role: "assistant", ToolCalls: []openai.ToolCall{{ID: "c", Type: "function", Function: openai.FunctionCall{Name: "f", Arguments: "{}"}}}},
				{Role: "tool", Content: openai.TextContent("ok"), ToolCallID: "c"},
			}},
			`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":""},{"type":"image_url","image_url":{"url":"u"}}]},{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","content":"ok","tool_call_id":"c"}]}`,
		},
		{"tool choice by name", openai.ToolChoice{Mode: "function", Name: "f"}, `{"function":{"name":"f"},"type":"function"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := json.Marshal(test.value)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestWhatServersSendIsRead(t *testing.T) {
	t.Parallel()
	t.Run("odd numbers", func(t *testing.T) {
		t.Parallel()
		for text, want := range map[string]openai.Number{
			`1`: 1, `1.9`: 1, `"7"`: 7, `1e3`: 1000, `null`: 0, `{}`: 0, `"x"`: 0, `1e300`: 0, `-3`: -3,
		} {
			var n openai.Number
			if err := json.Unmarshal([]byte(text), &n); err != nil || n != want {
				t.Errorf("%s is read as %d (%v), want %d", text, n, err, want)
			}
		}
	})
	t.Run("odd errors", func(t *testing.T) {
		t.Parallel()
		for text, want := range map[string]openai.Error{
			`"overloaded"`: {Message: "overloaded"},
			`{"message":"slow down","code":429,"type":null,"param":null}`: {Message: "slow down", Code: "429"},
			`{"message":{"a":1},"code":"x"}`:                              {Message: `{"a":1}`, Code: "x"},
			`{}`:                                                          {},
		} {
			var e openai.Error
			if err := json.Unmarshal([]byte(text), &e); err != nil || e != want {
				t.Errorf("%s is read as %+v (%v), want %+v", text, e, err, want)
			}
		}
	})
	t.Run("chunk", func(t *testing.T) {
		t.Parallel()
		var chunk openai.Chunk
		err := json.Unmarshal([]byte(`{"id":"x","created":1.5,"choices":[{"delta":{"content":null,"reasoning_content":"hm"},"finish_reason":null}],"usage":null}`), &chunk)
		if err != nil {
			t.Fatal(err)
		}
		choice := chunk.Choices[0]
		if chunk.Created != 1 || choice.Delta.ReasoningContent != "hm" || choice.FinishReason != "" || chunk.Usage != nil || chunk.Error != nil {
			t.Errorf("read as %+v", chunk)
		}
	})
}
