// Package tools holds what an agent can do: run commands, read and change files
// in its workspace. Each tool is one .go file and one .md file; the .md file is
// what the model reads.
package tools

import (
	"context"
	"encoding/json"

	"hermes/worker/llm"
)

// Tool is one thing that a model may ask for. Tools are built once per worker
// and used by many turns at once, so they hold no state of a turn.
type Tool interface {
	// Spec is what the model is told. It never changes.
	Spec() llm.ToolSpec
	// Run does the work. Input has been checked against the Spec's schema and
	// its defaults are filled in. What the model should know of a failure goes
	// into a Result with Failed set; an error ends the whole turn.
	Run(ctx context.Context, input json.RawMessage) (Result, error)
	// Label says in a few words what this call does, for a person who watches:
	// the command, the file. Input may be anything, even no JSON.
	Label(input json.RawMessage) string
	// Emoji is the sign in front of the label.
	Emoji() string
}

// Concurrent is implemented by tools whose calls may run beside each other,
// because they only read.
type Concurrent interface{ Concurrent() bool }

// Result is what a tool call gives back to the model.
type Result struct {
	Text string
	// Failed marks a result that tells of a failure.
	Failed bool
	// Misused names the tool that was not run because its arguments are not what it
	// takes.
	Misused string
	// Question ends the turn: it is put to the person as the end of the answer, and
	// their next message is what the model gets to read next. Other calls of the
	// same step run before.
	Question string
	// Tasks is the list of tasks as it is now, nil if the call was not about it.
	Tasks []Task
	// Images are shown to a model that sees, beside the text. A model that does not
	// gets a note in the place of each, so the text has to say what they are.
	Images []Image
}

// Image is a picture in a result.
type Image struct {
	MIME string // image/png, image/jpeg, image/gif or image/webp
	Data []byte
}

// Failure makes a Result that tells the model what went wrong.
func Failure(text string) Result { return Result{Text: text, Failed: true} }
