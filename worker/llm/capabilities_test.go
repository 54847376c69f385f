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

// A model of which nobody knows whether it sees gets what a tool shows. When it
// refuses, the turn goes on with a note, and the next one does not try again.
func TestChainLearnsThatAModelDoesNotSee(t *testing.T) {
	t.Parallel()
	shown := llm.Message{Role: llm.Tool, ToolCallID: "a", Parts: []llm.Part{{Text: "a.png is a png image"}, {ImageURL: "data:image/png;base64,AA=="}}}
	req := llm.Request{Messages: []llm.Message{llm.TextMessage(llm.User, "look"), shown}}
	refusal := func(words string) llmtest.Answer {
		return llmtest.Fail(&llm.Error{Class: llm.BadRequest, Status: 400, Message: words})
	}
	tests := []struct {
		name, words string
		learned     bool
	}{
		{"no vision", "image_url is not supported by this model", true},
		{"one image is bad", "Could not process image", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			script := llmtest.NewScript(refusal(test.words), llmtest.Say("one"), llmtest.Say("two"))
			chain := llm.Retrying(llm.Options{Clients: []llm.Named{{Name: "a", Client: script}}})
			for range 2 {
				if _, err := chain.Stream(t.Context(), req, func(llm.Event) error { return nil }); err != nil {
					t.Fatal(err)
				}
			}
			got := script.Requests()
			for i, sees := range []bool{true, false, !test.learned} {
				part := got[i].Messages[1].Parts[1]
				if (part.ImageURL != "") != sees || (part.Text != "") == sees {
					t.Errorf("request %d holds %+v", i, part)
				}
			}
		})
	}
	// What a person sends is not left out behind their back.
	script := llmtest.NewScript(refusal("no images"))
	chain := llm.Retrying(llm.Options{Clients: []llm.Named{{Name: "a", Client: script}}})
	own := llm.Request{Messages: []llm.Message{{Role: llm.User, Parts: []llm.Part{{ImageURL: "data:image/png;base64,AA=="}}}}}
	if _, err := chain.Stream(t.Context(), own, func(llm.Event) error { return nil }); err == nil {
		t.Error("the refusal of a person's image was swallowed")
	}
}

// Of what tools have shown, a request holds the newest.
func TestOldToolImagesFade(t *testing.T) {
	t.Parallel()
	script := llmtest.NewScript(llmtest.Say("ok"))
	chain := llm.Retrying(llm.Options{Clients: []llm.Named{{Name: "a", Client: script}}})
	var req llm.Request
	for range 30 {
		req.Messages = append(req.Messages, llm.Message{Role: llm.Tool, ToolCallID: "a", Parts: []llm.Part{{Text: "t"}, {ImageURL: "data:image/png;base64,AA=="}}})
	}
	if _, err := chain.Stream(t.Context(), req, func(llm.Event) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for i, m := range script.Requests()[0].Messages {
		if seen := m.Parts[1].ImageURL != ""; seen != (i >= 10) {
			t.Errorf("image %d is there: %v", i, seen)
		}
		if req.Messages[i].Parts[1].ImageURL == "" {
			t.Fatal("the transcript itself has changed")
		}
	}
}
