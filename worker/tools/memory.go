package tools

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"hermes/worker/llm"
	"hermes/worker/memory"
)

// maxOperations is how many operations one call may have.
const maxOperations = 50

// memoryTool is the tool that saves what later sessions are to know.
type memoryTool struct {
	spec   llm.ToolSpec
	memory *memory.Memory
}

func newMemory(m *memory.Memory) *memoryTool { return &memoryTool{mustSpec("memory"), m} }

func (t *memoryTool) Spec() llm.ToolSpec { return t.spec }

func (t *memoryTool) Emoji() string { return "🧠" }

// memoryArguments are the arguments of memory: one operation, or several.
type memoryArguments struct {
	Target memory.Target `json:"target"`
	memory.Operation
	Operations []memory.Operation `json:"operations"`
}

// Label is the sign of what is done, the target, and the first words of the entry.
func (t *memoryTool) Label(input json.RawMessage) string {
	arguments, err := decode[memoryArguments](input)
	if err != nil {
		return ""
	}
	first, rest := arguments.Operation, 0
	if len(arguments.Operations) > 0 {
		first, rest = arguments.Operations[0], len(arguments.Operations)-1
	}
	sign := map[string]string{"add": "+", "replace": "~", "remove": "-"}[plainAction(first.Action)]
	text := strings.Join(strings.Fields(cmp.Or(first.Content, first.OldText)), " ")
	if short := firstOf(text, 25); short != text {
		text = short + "…"
	}
	label := fmt.Sprintf("%s%s: %q", sign, arguments.Target, text)
	if rest > 0 {
		label += fmt.Sprintf(" + %d more", rest)
	}
	return label
}

// plainAction is the action of an operation as it is meant.
func plainAction(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

func (t *memoryTool) Run(ctx context.Context, input json.RawMessage) (Result, error) {
	arguments, err := decode[memoryArguments](input)
	if err != nil {
		return Result{}, err
	}
	operations := arguments.Operations
	switch {
	case arguments.Action == "" && len(operations) == 0:
		return Failure("The argument action is missing; it must be add, replace or remove."), nil
	case arguments.Action != "" && len(operations) > 0:
		return Failure("Give either action or operations, not both."), nil
	case len(operations) > maxOperations:
		return Failure(fmt.Sprintf("These are %d operations; one call may have %d.", len(operations), maxOperations)), nil
	case len(operations) == 0:
		operations = []memory.Operation{arguments.Operation}
	}
	for i := range operations {
		operations[i].Action = plainAction(operations[i].Action)
	}
	outcome, err := t.memory.Apply(ctx, arguments.Target, operations)
	if refused, ok := errors.AsType[*memory.RefusedError](err); ok {
		return Failure("Nothing was saved. " + refused.Text), nil
	}
	switch {
	case ctx.Err() != nil && err != nil:
		return Result{}, context.Cause(ctx)
	case err != nil:
		return Failure("Nothing was saved: " + err.Error() + "."), nil
	}
	return Result{Text: told(arguments.Target, outcome)}, nil
}

// told says what became of a call, and what the person has to hear of it.
func told(target memory.Target, o memory.Outcome) string {
	var did []string
	for _, part := range []struct {
		n    int
		what string
	}{{o.Added, "added"}, {o.Replaced, "replaced"}, {o.Removed, "removed"}, {o.Known, "there already"}} {
		if part.n > 0 {
			did = append(did, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	entries := "1 entry"
	if o.Entries != 1 {
		entries = fmt.Sprint(o.Entries, " entries")
	}
	text := fmt.Sprintf("%s: %s. It holds %s now, %d of %d characters. Your prompt shows it from the next session on.",
		target, strings.Join(did, ", "), entries, o.Characters, o.Limit)
	if len(o.Archived) == 0 {
		return text
	}
	text += "\nIt was full: the oldest entries were moved to memories/ARCHIVE.jsonl. Tell the person that you will no longer have these in mind:"
	const most = 20
	for _, entry := range o.Archived[:min(len(o.Archived), most)] {
		line := strings.Join(strings.Fields(memory.Safe(entry)), " ")
		if short := firstOf(line, 200); short != line {
			line = short + "…"
		}
		text += "\n- " + line
	}
	if n := len(o.Archived) - most; n > 0 {
		text += fmt.Sprintf("\n… and %d more", n)
	}
	return text
}
