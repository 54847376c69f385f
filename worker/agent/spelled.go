package agent

import (
	"encoding/json"
	"slices"
	"strings"

	"hermes/worker/llm"
)

// spelledNote is said to a model that wrote a tool call into its answer.
const spelledNote = "Your reply above has a tool call written into it as text, so nothing was run. Make the call with the tool interface, " +
	"not as text. If you meant no call, or cannot make one, answer the person in plain words."

// markers begin a tool call in the text of models whose server does not know the
// form that they were trained with: Qwen, Hermes, GLM and MiniMax, Llama, Mistral,
// Kimi and Granite, DeepSeek, gpt-oss, Claude, Gemma.
func markers() []string {
	return []string{
		"<tool_call", "<minimax:tool_call", "<function=", "<function_call", "<|python_tag|>", "[TOOL_CALLS]",
		"<|tool_call", "<｜tool▁call", "<|channel|>commentary to=", "<invoke name=", "<start_function_call>",
	}
}

// spelled reports whether an answer has a call of one of the tools written into it:
// all of it is one in JSON, or a line outside of code begins with a marker and the
// name of a tool follows. It does not try to read the call: half of one, or an
// example, would run as something that nobody asked for.
func spelled(text string, specs []llm.ToolSpec) bool {
	text = strings.TrimSpace(text)
	if rest, fenced := strings.CutPrefix(text, "```"); fenced && strings.Count(text, "```") == 2 && strings.HasSuffix(rest, "```") {
		_, rest, _ = strings.Cut(rest, "\n")
		text = strings.TrimSpace(strings.TrimSuffix(rest, "```"))
	}
	known := func(name string) bool {
		name = name[strings.LastIndexByte(name, '.')+1:]
		return slices.ContainsFunc(specs, func(spec llm.ToolSpec) bool { return spec.Name == name })
	}
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[{") {
		return spelledJSON(text, known)
	}
	code, at := false, 0
	for line := range strings.Lines(text) {
		start := strings.TrimSpace(line)
		if strings.HasPrefix(start, "```") {
			code = !code
		}
		if !code && slices.ContainsFunc(markers(), func(marker string) bool { return strings.HasPrefix(start, marker) }) {
			return slices.ContainsFunc(specs, func(spec llm.ToolSpec) bool { return strings.Contains(text[at:], spec.Name) })
		}
		at += len(line)
	}
	return false
}

// spelledCall is a call in JSON, as some write it.
type spelledCall struct {
	Name       string          `json:"name"`
	Function   json.RawMessage `json:"function"` // its name, or an object like this one
	Arguments  json.RawMessage `json:"arguments"`
	Parameters json.RawMessage `json:"parameters"`
}

// spelledJSON reports whether a text is a call in JSON, or a list of them.
func spelledJSON(text string, known func(name string) bool) bool {
	var calls []spelledCall
	if strings.HasPrefix(text, "{") {
		text = "[" + text + "]"
	}
	if json.Unmarshal([]byte(text), &calls) != nil || len(calls) == 0 {
		return false
	}
	for _, call := range calls {
		var inner spelledCall
		if json.Unmarshal(call.Function, &inner) == nil && inner.Name != "" {
			call = inner
		} else if call.Name == "" {
			_ = json.Unmarshal(call.Function, &call.Name) // no name is not known either
		}
		if !known(call.Name) || len(call.Arguments)+len(call.Parameters) == 0 {
			return false
		}
	}
	return true
}

// wroteCall reports whether a message is to be asked about. A client that wants JSON
// may want just such an object.
func (l *loop) wroteCall(message llm.Message, last bool) bool {
	return !last && !l.toldToCall && len(message.ToolCalls) == 0 && message.Finish != llm.FinishContentFilter &&
		len(l.params.ResponseFormat) == 0 && spelled(message.Text(), l.specs)
}

// askToCall gives a model that wrote a call as text the chance to make it, once in a
// turn. What it wrote has been shown, so it stays: as the beginning of its next
// message, since many templates take no two messages of the model in a row.
func (l *loop) askToCall(message llm.Message) phase {
	l.agent.opts.Log.Debug("tool call written as text", "run_id", l.result.RunID)
	l.toldToCall, l.lead, l.note = true, message.Text(), spelledNote
	return l.model
}

// part puts a blank line between what was written before a message and its own first
// words.
func (l *loop) part(text llm.Text) error {
	if l.lead == "" || l.parted || string(text.JSON) == `""` {
		return nil
	}
	l.parted = true
	return l.send(Text{JSON: []byte(`"\n\n"`), More: true})
}

// led is a message with what was written before it.
func (l *loop) led(message llm.Message) llm.Message {
	if l.lead == "" {
		return message
	}
	if l.parted {
		l.lead += "\n\n"
	}
	message.Parts = slices.Concat([]llm.Part{{Text: l.lead}}, message.Parts)
	l.lead = ""
	return message
}
