package openaichat

import (
	"encoding/json"
	"slices"

	"hermes/worker/llm"
	"hermes/worker/llm/upstream"
)

// chunk is one event of a stream, or a whole answer. Servers disagree about the
// types of many fields, so those stay raw until somebody asks for them: a
// creation time of 1.5 must not cost the answer. All members that are not named
// here mean nothing; plainContent relies on that.
type chunk struct {
	Object  json.RawMessage `json:"object"`
	Choices []choice        `json:"choices"`
	Usage   json.RawMessage `json:"usage"`
	Error   json.RawMessage `json:"error"`
	// Message and Detail are how some servers report an error instead of choices.
	Message json.RawMessage `json:"message"`
	Detail  json.RawMessage `json:"detail"`
}

// choice is one of a chunk's choices. Message stands in whole answers.
type choice struct {
	Index        json.RawMessage `json:"index"`
	Delta        *delta          `json:"delta"`
	Message      *delta          `json:"message"`
	FinishReason json.RawMessage `json:"finish_reason"`
	Error        json.RawMessage `json:"error"`
}

// failed reports whether the chunk tells of an error.
func (c chunk) failed() bool {
	if isError(c.Error) || upstream.Str(c.Object) == "error" {
		return true
	}
	if len(c.Choices) == 0 && upstream.Absent(c.Usage) && (upstream.IsText(c.Message) || !upstream.Absent(c.Detail)) {
		return true
	}
	return slices.ContainsFunc(c.Choices, func(c choice) bool { return isError(c.Error) })
}

// isError reports whether an error field says something. An empty object does.
func isError(raw json.RawMessage) bool {
	return !upstream.Absent(raw) && string(raw) != `""` && string(raw) != "false"
}

// delta is what a chunk adds to the message, or the message itself.
type delta struct {
	Content          json.RawMessage `json:"content"`
	Refusal          json.RawMessage `json:"refusal"`
	Reasoning        json.RawMessage `json:"reasoning"`         // OpenRouter, vLLM, Ollama
	ReasoningContent json.RawMessage `json:"reasoning_content"` // DeepSeek, llama.cpp
	ReasoningDetails json.RawMessage `json:"reasoning_details"` // OpenRouter
	ToolCalls        []toolDelta     `json:"tool_calls"`
	FunctionCall     *functionDelta  `json:"function_call"` // before there were tools
	ExtraContent     json.RawMessage `json:"extra_content"` // Gemini
}

// toolDelta is a piece of a tool call.
type toolDelta struct {
	Index            json.RawMessage `json:"index"`
	ID               json.RawMessage `json:"id"`
	Function         functionDelta   `json:"function"`
	ExtraContent     json.RawMessage `json:"extra_content"`
	ThoughtSignature json.RawMessage `json:"thought_signature"`
}

// functionDelta is a piece of a called function. Arguments is a string in which
// JSON is written, or, with some servers, the JSON itself.
type functionDelta struct {
	Name      json.RawMessage `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

// part is one element of a content that is a list.
type part struct {
	Type     string          `json:"type"`
	Text     json.RawMessage `json:"text"`
	Thinking json.RawMessage `json:"thinking"` // a string, or a list of parts
}

// usage is the upstream's count. Cached tokens have a second name with DeepSeek.
type usage struct {
	Prompt        json.RawMessage `json:"prompt_tokens"`
	Completion    json.RawMessage `json:"completion_tokens"`
	CacheHit      json.RawMessage `json:"prompt_cache_hit_tokens"`
	PromptDetails struct {
		Cached json.RawMessage `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	CompletionDetails struct {
		Reasoning json.RawMessage `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

// tokens reads a usage object. The zero Usage means that there was none.
func tokens(raw json.RawMessage) llm.Usage {
	var u usage
	if upstream.Absent(raw) || json.Unmarshal(raw, &u) != nil {
		return llm.Usage{}
	}
	return llm.Usage{
		Input:     upstream.Number(u.Prompt),
		Output:    upstream.Number(u.Completion),
		Cached:    max(upstream.Number(u.PromptDetails.Cached), upstream.Number(u.CacheHit)),
		Reasoning: upstream.Number(u.CompletionDetails.Reasoning),
	}
}

// first reports whether the choice is the one that counts: requests ask for one
// answer, and servers that send more number them.
func (c choice) first() bool { return upstream.Number(c.Index) == 0 }

// parts takes the text and the thinking out of a content that is a list. Their
// literals are handed to the two functions.
func parts(raw json.RawMessage, text, thinking func(literal []byte) error) error {
	var list []json.RawMessage
	_ = json.Unmarshal(raw, &list) // what is no list has no parts
	for _, element := range list {
		if upstream.IsText(element) {
			if err := text(element); err != nil {
				return err
			}
			continue
		}
		var p part
		if json.Unmarshal(element, &p) != nil {
			continue
		}
		if err := p.handOut(text, thinking); err != nil {
			return err
		}
	}
	return nil
}

// handOut gives a part's literals to the function that wants them.
func (p part) handOut(text, thinking func(literal []byte) error) error {
	switch {
	case upstream.IsText(p.Thinking):
		return thinking(p.Thinking)
	case !upstream.Absent(p.Thinking):
		return parts(p.Thinking, thinking, thinking)
	case upstream.IsText(p.Text) && (p.Type == "thinking" || p.Type == "reasoning"):
		return thinking(p.Text)
	case upstream.IsText(p.Text):
		return text(p.Text)
	default:
		return nil
	}
}
