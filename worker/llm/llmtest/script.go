package llmtest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"hermes/worker/llm"
)

// Answer is one answer of a Script. Its parts come in the order of its fields.
// The zero Answer is an empty message that ends with stop.
type Answer struct {
	// Before runs first, under the request's context. Its error becomes the
	// error of the call.
	Before func(ctx context.Context, req llm.Request) error
	// Reasoning and Text are emitted piece by piece.
	Reasoning []string
	Text      []string
	// Calls are the tools that the answer asks for.
	Calls []llm.ToolCall
	// Hang makes the call wait, after its text, until its context is done.
	Hang bool
	// Err ends the call after its text. What was said before is returned
	// beside it, as llm.Client promises.
	Err error

	// Finish is stop or tool_calls when it is empty, as fits Calls.
	Finish llm.Finish
	Usage  llm.Usage
}

// Say makes an Answer of text.
func Say(pieces ...string) Answer { return Answer{Text: pieces} }

// Use makes an Answer that asks for tools.
func Use(calls ...llm.ToolCall) Answer { return Answer{Calls: calls} }

// Fail makes an Answer that is an error.
func Fail(err error) Answer { return Answer{Err: err} }

// Script is an llm.Client that gives the answers of a list, one for each call.
// It may be used by many goroutines at once. The zero value has no answers.
type Script struct {
	mu       sync.Mutex
	answers  []Answer
	requests []llm.Request
}

// NewScript makes a Script. A call beyond its last answer fails with an error
// that is not temporary.
func NewScript(answers ...Answer) *Script { return &Script{answers: answers} }

// Stream gives the next answer.
func (s *Script) Stream(ctx context.Context, req llm.Request, emit func(llm.Event) error) (llm.Message, error) {
	answer, err := s.next(req)
	if err != nil {
		return llm.Message{}, err
	}
	if answer.Before != nil {
		if err := answer.Before(ctx, req); err != nil {
			return llm.Message{}, err
		}
	}
	message := llm.Message{Role: llm.Assistant, Usage: answer.Usage}
	if err := speak(ctx, answer, &message, emit); err != nil {
		return message, err
	}
	if answer.Hang {
		<-ctx.Done()
		return message, &llm.Error{Class: llm.Network, Err: context.Cause(ctx)}
	}
	if answer.Err != nil {
		return message, answer.Err
	}
	message.ToolCalls = slices.Clone(answer.Calls)
	message.Finish = answer.Finish
	if message.Finish == "" {
		message.Finish = llm.FinishStop
		if len(answer.Calls) > 0 {
			message.Finish = llm.FinishToolCalls
		}
	}
	return message, nil
}

// Requests returns what the script was asked so far, oldest first.
func (s *Script) Requests() []llm.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Left returns how many answers have not been given yet.
func (s *Script) Left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.answers)
}

func (s *Script) next(req llm.Request) (Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	req.Messages = slices.Clone(req.Messages) // the caller goes on appending to it
	s.requests = append(s.requests, req)
	if len(s.answers) == 0 {
		return Answer{}, &llm.Error{
			Class:   llm.BadRequest,
			Message: fmt.Sprintf("the script has no answer for call %d", len(s.requests)),
		}
	}
	answer := s.answers[0]
	s.answers = s.answers[1:]
	return answer, nil
}

// speak emits the answer's pieces and gathers them in message.
func speak(ctx context.Context, answer Answer, message *llm.Message, emit func(llm.Event) error) error {
	for _, piece := range answer.Reasoning {
		if err := ctx.Err(); err != nil {
			return &llm.Error{Class: llm.Network, Err: err}
		}
		message.Reasoning += piece
		if err := emit(llm.Reasoning{JSON: quote(piece)}); err != nil {
			return err
		}
	}
	var text strings.Builder
	for i, piece := range answer.Text {
		if err := ctx.Err(); err != nil {
			return &llm.Error{Class: llm.Network, Err: err}
		}
		text.WriteString(piece)
		message.Parts = []llm.Part{{Text: text.String()}}
		if err := emit(llm.Text{JSON: quote(piece), More: i < len(answer.Text)-1}); err != nil {
			return err
		}
	}
	return nil
}

// quote encodes a string, which cannot fail.
func quote(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return b
}
