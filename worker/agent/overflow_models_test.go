package agent_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
	"hermes/worker/tools"
)

// several are models of which one is asked.
type several struct {
	models map[string]*windowed
	asked  string
}

func (s *several) Capabilities(context.Context) llm.Capabilities {
	return llm.Capabilities{Upstream: s.asked}
}

func (s *several) Stream(ctx context.Context, req llm.Request, emit func(llm.Event) error) (llm.Message, error) {
	message, err := s.models[s.asked].Stream(ctx, req, emit)
	if failed, ok := errors.AsType[*llm.Error](err); ok {
		failed.Upstream = s.asked
	}
	return message, err
}

// What one model refuses is no limit of another one.
func TestLimitsAreThoseOfAModel(t *testing.T) {
	t.Parallel()
	says := func(llm.Request) llmtest.Answer { return llmtest.Say("Hi.") }
	models := &several{models: map[string]*windowed{
		"small": {window: 16_000, secret: true, answer: says}, "large": {window: 400_000, secret: true, answer: says},
	}}
	s := newWindowed(&windowed{}, nil)
	s.opts.Client = models
	a := agent.New(s.opts)
	for _, models.asked = range []string{"small", "large", "small"} {
		history := append(chatter(40, 3_000), user("go on"))
		if _, err := a.Run(t.Context(), agent.Turn{SessionID: models.asked, History: history}, s.show); err != nil {
			t.Fatalf("%s: %v", models.asked, err)
		}
	}
	if small := models.models["small"]; small.refused == 0 || small.refused > 4 {
		t.Errorf("the small model refused %d requests", small.refused)
	}
	if sent := fmt.Sprint(models.models["large"].requests[0].Messages); strings.Contains(sent, "left out to save room") {
		t.Errorf("the large model was sent %.500s", sent)
	}
}

// Images of the last step give way too when nothing else is left, and the model is told.
func TestImagesThatDoNotFitAreLeftOut(t *testing.T) {
	t.Parallel()
	shown := tools.Result{Text: "twelve pictures"}
	for range 12 {
		shown.Images = append(shown.Images, tools.Image{MIME: "image/png", Data: []byte("picture")})
	}
	for _, secret := range []bool{false, true} {
		model := &windowed{window: 8_000, secret: secret}
		model.answer = func(llm.Request) llmtest.Answer {
			if len(model.requests) == 1 {
				return llmtest.Use(llm.ToolCall{ID: "c1", Name: "look", Arguments: "{}"})
			}
			return llmtest.Say("Seen.")
		}
		s := newWindowed(model, map[string]toolFunc{"look": func(context.Context, llm.ToolCall) (tools.Result, error) { return shown, nil }})
		result, err := agent.New(s.opts).Run(t.Context(), agent.Turn{SessionID: "s", History: []llm.Message{user("what is on them?")}}, s.show)
		if err != nil || result.Text() != "Seen." {
			t.Fatalf("got %q and %v", result.Text(), err)
		}
		sent := model.requests[1].Messages
		if last := sent[len(sent)-1]; !strings.Contains(last.Text(), "twelve pictures") || !strings.Contains(last.Text(), "What was shown here is left out") {
			t.Errorf("the model was sent %.300v", last)
		}
		if kept := result.Messages[1]; len(kept.Parts) != 13 {
			t.Errorf("%d parts are left in the transcript", len(kept.Parts))
		}
	}
}
