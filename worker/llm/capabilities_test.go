package llm_test

import (
	"context"
	"reflect"
	"testing"

	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
)

func TestCapabilitiesAddUp(t *testing.T) {
	t.Parallel()
	set := llm.Capabilities{ContextLength: 1000, Vision: llm.Unsupported}
	told := llm.Capabilities{ContextLength: 2000, OutputLimit: 10, Vision: llm.Supported, Tools: llm.Supported}
	want := llm.Capabilities{ContextLength: 1000, OutputLimit: 10, Vision: llm.Unsupported, Tools: llm.Supported}
	if got := set.Or(told); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := want.String(); got != "context 1000 tokens, tools, no images" {
		t.Errorf("got %q", got)
	}
	if got := (llm.Capabilities{}).String(); got != "" {
		t.Errorf("nothing known is %q", got)
	}
}

func TestKnownModels(t *testing.T) {
	t.Parallel()
	for model, want := range map[string]int{
		"claude-sonnet-5-5": 1_000_000, "anthropic/claude-opus-4-1-20250805": 200_000, "claude-3-5-haiku-20241022": 200_000,
		"gpt-5-mini": 400_000, "openai/GPT-OSS-120b": 131_072, "gemini-flash-latest": 1_048_576, "qwen3:8b": 0, "": 0,
	} {
		if got := llm.Known(model).ContextLength; got != want {
			t.Errorf("%s has a context of %d, want %d", model, got, want)
		}
	}
	if got := llm.Known("claude-3-5-haiku-20241022").OutputLimit; got != 8_192 {
		t.Errorf("an answer may have %d tokens", got)
	}
}

// sighted is a client of which it is known whether it sees.
type sighted struct {
	*llmtest.Script
	vision llm.Support
}

func (s sighted) Capabilities(context.Context) llm.Capabilities {
	return llm.Capabilities{ContextLength: 7, Vision: s.vision}
}

// TestChainShowsImagesToThoseThatSee lets the first of two models fail, so that
// both get the same request.
func TestChainShowsImagesToThoseThatSee(t *testing.T) {
	t.Parallel()
	image := llm.Message{Role: llm.User, Parts: []llm.Part{{Text: "look"}, {ImageURL: "https://x.example/a.png"}}}
	for _, vision := range []llm.Support{llm.Unknown, llm.Supported, llm.Unsupported} {
		first, second := sighted{llmtest.NewScript(fails(llm.Auth)), vision}, sighted{llmtest.NewScript(llmtest.Say("ok")), llm.Supported}
		chain := llm.Retrying(llm.Options{Clients: []llm.Named{{Name: "a", Client: first}, {Name: "b", Client: second}}})
		if got := chain.Capabilities(t.Context()); got.ContextLength != 7 || got.Vision != vision {
			t.Errorf("the chain can %+v", got)
		}
		messages := []llm.Message{llm.TextMessage(llm.User, "before"), image}
		if _, err := chain.Stream(t.Context(), llm.Request{Messages: messages}, func(llm.Event) error { return nil }); err != nil {
			t.Fatal(err)
		}
		got, untouched := first.Requests()[0].Messages[1], second.Requests()[0].Messages[1]
		if seen := reflect.DeepEqual(got, image); seen == (vision == llm.Unsupported) {
			t.Errorf("with vision %d the first model got %+v", vision, got)
		}
		if vision == llm.Unsupported && (len(got.Parts) != 2 || got.Parts[1].ImageURL != "" || got.Parts[1].Text == "") {
			t.Errorf("in the place of the image stands %+v", got.Parts)
		}
		if !reflect.DeepEqual(untouched, image) || messages[1].Parts[1].ImageURL == "" {
			t.Errorf("the second model got %+v", untouched)
		}
	}
	if got := llm.Retrying(llm.Options{}).Capabilities(t.Context()); got != (llm.Capabilities{}) {
		t.Errorf("no model can %+v", got)
	}
}
