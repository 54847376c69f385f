package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"hermes/worker/llm"
	"hermes/worker/openai"
	"hermes/worker/store"
)

// pastTurns returns the history that a chain of stored turns makes. Messages of
// the system stand where they were said.
func pastTurns(turns []store.Turn) ([]llm.Message, error) {
	var history []llm.Message
	for _, turn := range turns {
		if len(turn.Transcript) == 0 {
			continue
		}
		var messages []llm.Message
		if err := json.Unmarshal(turn.Transcript, &messages); err != nil {
			return nil, fmt.Errorf("read transcript of response %q: %w", turn.ResponseID, err)
		}
		history = append(history, messages...)
	}
	return history, nil
}

// transcribeItems takes the input of a request in after what came before, and
// returns the messages that it adds.
func transcribeItems(past []llm.Message, input openai.Items, files *fileReader) (added []llm.Message, err error) {
	t := itemTranscriber{transcriber: transcriber{files: files, history: slices.Clip(past), open: openCalls(past)}, past: len(past)}
	for i, item := range input {
		if err := t.item(item, fmt.Sprintf("input[%d]", i)); err != nil {
			return nil, err
		}
	}
	t.endOfOutputs()
	t.closeCalls()
	return t.history[len(past):], nil
}

// openCalls returns the ids of the calls at the end of a history that have no
// result: those that were left to the client.
func openCalls(history []llm.Message) []string {
	var open []string
	for _, message := range slices.Backward(history) {
		switch message.Role {
		case llm.Tool:
			open = append(open, message.ToolCallID)
			continue
		case llm.Assistant:
			calls := make([]string, 0, len(message.ToolCalls))
			for _, call := range message.ToolCalls {
				if !slices.Contains(open, call.ID) {
					calls = append(calls, call.ID)
				}
			}
			return calls
		case llm.User, llm.System:
		}
		break
	}
	return nil
}

// itemTranscriber is a transcriber of items, which are smaller than messages:
// what a model said and each of its calls are items of their own.
type itemTranscriber struct {
	transcriber
	past    int        // how many messages were there before
	thought string     // waits for the message that it belongs to
	shown   []llm.Part // images in outputs, which go to the model behind the last one
}

func (t *itemTranscriber) item(item openai.Item, at string) error {
	if _, ok := item.(openai.FunctionOutputItem); !ok {
		t.endOfOutputs()
	}
	switch item := item.(type) {
	case openai.MessageItem:
		return t.message(item, at)
	case openai.ReasoningItem:
		t.thought = openai.PartsText(item.Content)
		if t.thought == "" {
			t.thought = openai.PartsText(item.Summary)
		}
	case openai.FunctionCallItem:
		t.call(llm.ToolCall{ID: item.CallID, Name: item.Name, Arguments: item.Arguments})
	case openai.FunctionOutputItem:
		return t.output(item, at)
	case openai.MCPCallItem:
		t.call(llm.ToolCall{ID: item.ID, Name: item.Name, Arguments: item.Arguments})
		output := noResult
		switch {
		case item.Output != nil:
			output = *item.Output
		case item.Error != nil:
			output = item.Error.Text
		}
		t.result(item.ID, output)
	case openai.ReferenceItem: // they were resolved
		return fmt.Errorf("%s: item %q was not resolved", at, item.ID)
	}
	return nil
}

func (t *itemTranscriber) message(item openai.MessageItem, at string) error {
	t.closeCalls()
	switch item.Role {
	case openai.RoleUser:
		parts, err := t.parts(item.Content, at+".content")
		if err != nil {
			return err
		}
		if len(parts) == 0 {
			return invalid(at+".content", codeInvalidValue, "%s.content is an empty array. It must hold at least one part.", at)
		}
		t.history = append(t.history, llm.Message{Role: llm.User, Parts: parts})
		return nil
	case openai.RoleAssistant:
		text, err := itemText(item.Content, at)
		if err != nil {
			return err
		}
		if text = stripShown(text); text != "" {
			said := llm.TextMessage(llm.Assistant, text)
			said.Reasoning, t.thought = t.thought, ""
			t.history = append(t.history, said)
		}
		return nil
	default: // system and developer, as decoding has checked
		text, err := itemText(item.Content, at)
		if err == nil && text != "" {
			t.history = append(t.history, llm.TextMessage(llm.System, text))
		}
		return err
	}
}

// call joins a call with what the model said before it, or with the call beside
// it, unless there are results in between.
func (t *itemTranscriber) call(call llm.ToolCall) {
	if n := len(t.history); n > t.past && t.history[n-1].Role == llm.Assistant {
		last := &t.history[n-1]
		last.ToolCalls = append(slices.Clip(last.ToolCalls), call)
	} else {
		t.closeCalls()
		t.history = append(t.history, llm.Message{Role: llm.Assistant, ToolCalls: []llm.ToolCall{call}, Reasoning: t.thought})
		t.thought = ""
	}
	t.open = append(t.open, call.ID)
}

// output takes in what a function gave back. Few models take anything but text
// as a result, so images follow in a message of their own.
func (t *itemTranscriber) output(item openai.FunctionOutputItem, at string) error {
	text := item.Output.Text
	if item.Output.Parts != nil {
		parts, err := t.parts(item.Output.Parts, at+".output")
		if err != nil {
			return err
		}
		var texts []string
		for _, part := range parts {
			if part.ImageURL != "" {
				t.shown = append(t.shown, part)
				part.Text = "[image, see below]"
			}
			texts = append(texts, part.Text)
		}
		text = strings.Join(texts, "\n")
	}
	if !t.result(item.CallID, text) {
		return invalid(at+".call_id", codeInvalidValue,
			"%s.call_id must be the id of a function_call before it that has no output yet, in the input or in the response that it follows.", at)
	}
	return nil
}

// endOfOutputs shows the images of the outputs before.
func (t *itemTranscriber) endOfOutputs() {
	if len(t.shown) == 0 {
		return
	}
	t.closeCalls()
	t.history = append(t.history, llm.Message{Role: llm.User, Parts: t.shown})
	t.shown = nil
}

// parts returns the text, images and files of a message.
func (t *itemTranscriber) parts(content []openai.ItemPart, at string) ([]llm.Part, error) {
	parts := make([]llm.Part, 0, len(content))
	for j, part := range content {
		where := fmt.Sprintf("%s[%d]", at, j)
		var read llm.Part
		var err error
		switch part.Type {
		case openai.PartInputImage:
			read, err = imageAt(part.ImageURL, part.Detail, where+".image_url", where+".detail")
		case openai.PartInputFile:
			read, err = t.files.part(part.Filename, part.FileData, where)
		default:
			read = llm.Part{Text: part.Text}
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, read)
	}
	return parts, nil
}

// itemText returns the text of a message that cannot hold anything else.
func itemText(content []openai.ItemPart, at string) (string, error) {
	var text strings.Builder
	for j, part := range content {
		switch part.Type {
		case openai.PartInputImage, openai.PartInputFile:
			where := fmt.Sprintf("%s.content[%d].type", at, j)
			return "", invalid(where, codeContentType, "%s must be text: a message of this role holds no %s.", where, noun(part.Type))
		case openai.PartRefusal:
		default:
			text.WriteString(part.Text)
		}
	}
	return text.String(), nil
}

// apartFromSystem takes the messages of the system out of a history and joins
// them, wherever they stand, behind the instructions.
func apartFromSystem(instructions string, history []llm.Message) (spoken []llm.Message, system string) {
	var systems []string
	if instructions != "" {
		systems = append(systems, instructions)
	}
	spoken = make([]llm.Message, 0, len(history))
	for _, message := range history {
		if message.Role == llm.System {
			systems = append(systems, message.Text())
		} else {
			spoken = append(spoken, message)
		}
	}
	return spoken, strings.Join(systems, "\n\n")
}
