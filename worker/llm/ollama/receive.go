package ollama

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"hermes/worker/llm"
	"hermes/worker/llm/upstream"
)

const (
	// lineBuffer holds some dozens of ordinary lines.
	lineBuffer = 16 << 10
	// maxLine is how many bytes one line may have; the longest are tool calls
	// that carry a whole file.
	maxLine = 8 << 20
)

// chunk is a line of a stream, or a whole answer.
type chunk struct {
	Error   json.RawMessage `json:"error"`
	Message *struct {
		Content   json.RawMessage `json:"content"`
		Thinking  json.RawMessage `json:"thinking"`
		ToolCalls []struct {
			ID       json.RawMessage `json:"id"`
			Function struct {
				Name      json.RawMessage `json:"name"`
				Arguments json.RawMessage `json:"arguments"`
			} `json:"function"`
		} `json:"tool_calls"`
	} `json:"message"`
	Done       bool            `json:"done"`
	DoneReason json.RawMessage `json:"done_reason"`
	Prompt     json.RawMessage `json:"prompt_eval_count"`
	Eval       json.RawMessage `json:"eval_count"`
}

// answer is a message while it comes in.
type answer struct {
	upstream.Answer
	origin string
	calls  []llm.ToolCall
	usage  llm.Usage
	done   bool
	reason string
}

// receive reads the body of an answer: JSON objects, one on each line.
func (c *Client) receive(a *answer, body io.Reader) error {
	lines := bufio.NewReaderSize(body, lineBuffer)
	a.Buffered = func() bool {
		ready, err := lines.Peek(lines.Buffered())
		return err == nil && bytes.IndexByte(ready, '\n') >= 0
	}
	var long []byte
	for {
		line, err := readLine(lines, &long)
		text := bytes.TrimSpace(line)
		switch {
		case len(text) == 0 && err != nil:
			return upstream.Early(err)
		case len(text) == 0:
			continue
		case text[0] == '<':
			return c.server.Page(io.MultiReader(bytes.NewReader(bytes.Clone(text)), lines))
		}
		var piece chunk
		switch failed := json.Unmarshal(text, &piece); {
		case failed != nil && err != nil:
			return upstream.Early(err)
		case failed != nil:
			return upstream.Malformed(text)
		case !upstream.Absent(piece.Error):
			return upstream.Failure(0, nil, text, c.server.Now())
		case piece.Message == nil && !piece.Done:
			return upstream.Malformed(text)
		}
		if err := a.take(piece); err != nil {
			return err
		}
		if a.done {
			return nil
		}
		if err := a.Settle(); err != nil {
			return err
		}
	}
}

// readLine returns the next line, or what there is of it together with the error
// that ended it. It is valid until the next call; long is a place to keep lines
// that are longer than the buffer.
func readLine(lines *bufio.Reader, long *[]byte) ([]byte, error) {
	line, err := lines.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	*long = (*long)[:0]
	for errors.Is(err, bufio.ErrBufferFull) {
		*long = append(*long, line...)
		if len(*long) > maxLine {
			return nil, &llm.Error{Class: llm.Malformed, Message: "the model server sent a line that is longer than 8 MiB"}
		}
		line, err = lines.ReadSlice('\n')
	}
	*long = append(*long, line...)
	return *long, err
}

// take takes in a piece that tells of no error.
func (a *answer) take(c chunk) error {
	if m := c.Message; m != nil {
		if upstream.IsText(m.Thinking) {
			if err := a.Think(m.Thinking); err != nil {
				return err
			}
		}
		if upstream.IsText(m.Content) {
			if err := a.Say(m.Content); err != nil {
				return err
			}
		}
		for _, call := range m.ToolCalls {
			if err := a.Grow(len(call.Function.Arguments)); err != nil {
				return err
			}
			if len(a.calls) == upstream.MaxToolCalls {
				return &llm.Error{Class: llm.Malformed, Message: "the model made too many tool calls at once"}
			}
			a.calls = append(a.calls, toolCall(upstream.Str(call.ID), upstream.Str(call.Function.Name), upstream.Str(call.Function.Arguments)))
		}
	}
	if !c.Done {
		return nil
	}
	a.done, a.reason = true, upstream.Str(c.DoneReason)
	a.usage = llm.Usage{Input: upstream.Number(c.Prompt), Output: upstream.Number(c.Eval)}
	if a.reason == "load" || a.reason == "unload" {
		return &llm.Error{Class: llm.Overloaded, Code: a.reason, Message: "Ollama loaded the model and did not answer"}
	}
	return nil
}

// toolCall makes a call. Ollama gave calls no ids for a long time. Arguments
// come as an object, and from some models as a text in which one is written.
func toolCall(id, name, arguments string) llm.ToolCall {
	if id == "" {
		id = "call_" + rand.Text()
	}
	if strings.TrimSpace(arguments) == "" {
		arguments = "{}"
	}
	return llm.ToolCall{ID: id, Name: name, Arguments: arguments}
}

// partial returns what has come so far, for an answer that failed.
func (a *answer) partial() llm.Message {
	m := llm.Message{Role: llm.Assistant, Reasoning: a.Thinking(), Origin: a.origin, Usage: a.usage}
	if text := a.Text(); text != "" {
		m.Parts = []llm.Part{{Text: text}}
	}
	return m
}

// message returns the finished message.
func (a *answer) message() (llm.Message, error) {
	m := a.partial()
	m.ToolCalls = a.calls
	switch {
	case a.reason == "length":
		m.Finish = llm.FinishLength
	case len(m.ToolCalls) > 0: // Ollama says stop here
		m.Finish = llm.FinishToolCalls
	default:
		m.Finish = llm.FinishStop
	}
	if len(m.Parts) == 0 && len(m.ToolCalls) == 0 && m.Reasoning == "" && m.Finish == llm.FinishStop {
		return m, &llm.Error{Class: llm.Empty, Message: "the model gave an empty answer"}
	}
	return m, nil
}
