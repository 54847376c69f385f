package openaichat

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"hermes/worker/llm"
	"hermes/worker/llm/upstream"
)

// replayed are the fields of a message that go back to where they came from.
// The plain "reasoning" of some providers is not among them: Groq refuses it.
func replayed() []string {
	return []string{"extra_content", "reasoning_content", "reasoning_details"}
}

// encoder writes a request. Keys come in a fixed order, and equal requests give
// equal bytes, so that the provider's cache of prefixes can work.
type encoder struct {
	b     []byte
	to    *target
	known quirks
}

// encode returns the body of a request.
func (c *Client) encode(to *target, req llm.Request, known quirks) []byte {
	e := encoder{b: make([]byte, 0, size(req)), to: to, known: known}
	e.raw(`{"model":`).text(to.model).raw(`,"messages":[`)
	for i, m := range req.Messages {
		if i > 0 {
			e.raw(",")
		}
		e.message(m)
	}
	e.raw("]")
	e.tools(req)
	e.sampling(req)
	if c.streaming {
		e.raw(`,"stream":true`)
		if known&noStreamOptions == 0 {
			e.raw(`,"stream_options":{"include_usage":true}`)
		}
	}
	return e.raw("}").b
}

// size guesses how long a request will be, a little too long for most.
func size(req llm.Request) int {
	n := 1024
	for _, m := range req.Messages {
		n += 128 + len(m.Reasoning)
		for _, p := range m.Parts {
			n += 64 + len(p.Text) + len(p.Text)/16 + len(p.ImageURL)
		}
		for _, call := range m.ToolCalls {
			n += 128 + len(call.Arguments) + len(call.Arguments)/8
		}
	}
	for _, t := range req.Tools {
		n += 128 + len(t.Description) + len(t.Parameters)
	}
	return n
}

func (e *encoder) raw(s string) *encoder {
	e.b = append(e.b, s...)
	return e
}

func (e *encoder) text(s string) *encoder {
	e.b = upstream.AppendQuoted(e.b, s)
	return e
}

func (e *encoder) json(raw json.RawMessage) *encoder {
	e.b = append(e.b, raw...)
	return e
}

func (e *encoder) message(m llm.Message) {
	e.raw(`{"role":`).text(string(m.Role))
	if m.Role == llm.Tool {
		e.raw(`,"tool_call_id":`).text(m.ToolCallID)
	}
	e.raw(`,"content":`)
	e.content(m)
	own := m.Origin != "" && m.Origin == e.to.origin
	if len(m.ToolCalls) > 0 {
		e.raw(`,"tool_calls":[`)
		for i, call := range m.ToolCalls {
			if i > 0 {
				e.raw(",")
			}
			e.call(call, own)
		}
		e.raw("]")
	}
	if own {
		for _, key := range replayed() {
			if key == "reasoning_content" && e.known&noReasoning != 0 {
				continue
			}
			if raw := m.Extras[key]; len(raw) > 0 {
				e.raw(",").text(key).raw(":").json(raw)
			}
		}
	}
	e.raw("}")
}

// content writes a string where it can: many servers take a list of parts from
// the user only, and only for images.
func (e *encoder) content(m llm.Message) {
	images := slices.ContainsFunc(m.Parts, func(p llm.Part) bool { return p.ImageURL != "" })
	switch {
	case !images && len(m.Parts) == 0 && len(m.ToolCalls) > 0:
		e.raw("null")
	case !images && (len(m.Parts) < 2 || m.Role != llm.User):
		e.text(m.Text())
	default:
		e.raw("[")
		for i, p := range m.Parts {
			if i > 0 {
				e.raw(",")
			}
			e.part(p)
		}
		e.raw("]")
	}
}

func (e *encoder) part(p llm.Part) {
	if p.ImageURL == "" {
		e.raw(`{"type":"text","text":`).text(p.Text).raw("}")
		return
	}
	e.raw(`{"type":"image_url","image_url":{"url":`).text(p.ImageURL)
	if p.Detail != "" {
		e.raw(`,"detail":`).text(p.Detail)
	}
	e.raw("}}")
}

func (e *encoder) call(call llm.ToolCall, own bool) {
	e.raw(`{"id":`).text(call.ID).raw(`,"type":"function","function":{"name":`).text(call.Name)
	e.raw(`,"arguments":`).text(call.Arguments).raw("}")
	if own {
		for _, key := range toolExtras() {
			if raw := call.Extras[key]; len(raw) > 0 {
				e.raw(",").text(key).raw(":").json(raw)
			}
		}
	}
	e.raw("}")
}

func (e *encoder) tools(req llm.Request) {
	if len(req.Tools) == 0 {
		return
	}
	e.raw(`,"tools":[`)
	for i, t := range req.Tools {
		if i > 0 {
			e.raw(",")
		}
		e.raw(`{"type":"function","function":{"name":`).text(t.Name).raw(`,"description":`).text(t.Description)
		e.raw(`,"parameters":`)
		if len(t.Parameters) == 0 {
			e.raw(`{"type":"object","properties":{}}`)
		} else {
			e.json(t.Parameters)
		}
		e.raw("}}")
	}
	e.raw("]")
	switch choice := req.ToolChoice; choice {
	case "":
	case "auto", "none", "required":
		e.raw(`,"tool_choice":`).text(choice)
	default:
		e.raw(`,"tool_choice":{"type":"function","function":{"name":`).text(choice).raw("}}")
	}
}

func (e *encoder) sampling(req llm.Request) {
	e.float("temperature", req.Temperature)
	e.float("top_p", req.TopP)
	if req.MaxTokens > 0 {
		e.raw(",").text(e.maxTokens()).raw(":").raw(strconv.Itoa(req.MaxTokens))
	}
	if len(req.Stop) > 0 {
		e.raw(`,"stop":[`)
		for i, stop := range req.Stop {
			if i > 0 {
				e.raw(",")
			}
			e.text(stop)
		}
		e.raw("]")
	}
	if req.ReasoningEffort != "" {
		e.raw(`,"reasoning_effort":`).text(req.ReasoningEffort)
	}
	if len(req.ResponseFormat) > 0 {
		e.raw(`,"response_format":`).json(req.ResponseFormat)
	}
	if req.User != "" {
		e.raw(`,"user":`).text(req.User)
	}
}

// maxTokens is the name of the token limit. OpenAI's reasoning models know only
// the newer one, other servers often only the older.
func (e *encoder) maxTokens() string {
	if e.to.newMaxTokens != (e.known&otherMaxTokens != 0) {
		return "max_completion_tokens"
	}
	return "max_tokens"
}

func (e *encoder) float(key string, value *float64) {
	if value == nil || math.IsNaN(*value) || math.IsInf(*value, 0) {
		return
	}
	e.raw(",").text(key).raw(":")
	e.b = strconv.AppendFloat(e.b, *value, 'g', -1, 64)
}
