package upstream

import (
	"fmt"

	"hermes/worker/llm"
)

// MaxAnswer is how many bytes one answer may have, its thinking and tool calls
// included. It guards the memory against a model that never stops.
const MaxAnswer = 32 << 20

// MaxToolCalls is how many calls one message may make.
const MaxToolCalls = 256

// Answer is what all answers have while they come in: text and thinking, which
// are handed out as they arrive and gathered for the message.
type Answer struct {
	Emit func(llm.Event) error
	// Buffered reports whether another event of the upstream waits already.
	Buffered func() bool

	text, thinking Pieces
	// owed says that the last event promised more. When the upstream then falls
	// silent without anything to show, an empty text keeps the promise.
	owed bool
	size int
}

// Plain takes in a piece of text that is known to be clean: no escape in it may
// be half of a character.
func (a *Answer) Plain(literal []byte) error {
	if a.text.Pending() {
		return a.Say(literal)
	}
	if len(literal) <= 2 {
		return nil
	}
	a.text.Add(literal[1 : len(literal)-1])
	return a.show(llm.Text{JSON: literal, More: a.Buffered()}, len(literal))
}

// Say takes in a piece of text.
func (a *Answer) Say(literal []byte) error {
	literal = a.text.Take(literal)
	if len(literal) <= 2 {
		return nil
	}
	return a.show(llm.Text{JSON: literal, More: a.Buffered()}, len(literal))
}

// Think takes in a piece of thinking.
func (a *Answer) Think(literal []byte) error {
	literal = a.thinking.Take(literal)
	if len(literal) <= 2 {
		return nil
	}
	return a.show(llm.Reasoning{JSON: literal, More: a.Buffered()}, len(literal))
}

// show hands an event out.
func (a *Answer) show(event llm.Event, size int) error {
	switch e := event.(type) {
	case llm.Text:
		a.owed = e.More
	case llm.Reasoning:
		a.owed = e.More
	case llm.Retry:
	}
	if err := a.Grow(size); err != nil {
		return err
	}
	return a.hand(event)
}

// hand calls Emit, and marks its error.
func (a *Answer) hand(event llm.Event) error {
	if err := a.Emit(event); err != nil {
		return &EmitError{err}
	}
	return nil
}

// Settle is called when an event of the upstream has been dealt with: what was
// promised by More and did not come must not keep a flush waiting.
func (a *Answer) Settle() error {
	if !a.owed || a.Buffered() {
		return nil
	}
	a.owed = false
	return a.hand(llm.Text{JSON: []byte(`""`)})
}

// Grow counts bytes that the answer holds, and fails when they are too many.
func (a *Answer) Grow(size int) error {
	a.size += size
	if a.size > MaxAnswer {
		return &llm.Error{Class: llm.Malformed, Message: fmt.Sprintf("the model's answer is longer than %d MiB", MaxAnswer>>20)}
	}
	return nil
}

// Text returns all text so far.
func (a *Answer) Text() string { return a.text.Text() }

// Thinking returns all thinking so far.
func (a *Answer) Thinking() string { return a.thinking.Text() }
