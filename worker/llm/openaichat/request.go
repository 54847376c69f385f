package openaichat

import (
	"slices"

	"hermes/worker/llm"
	"hermes/worker/llm/upstream"
)

// replayed are the fields of a message that go back to where they came from.
// The plain "reasoning" of some providers is not among them: Groq refuses it.
func replayed() []string {
	return []string{"extra_content", "reasoning_content", "reasoning_details"}
}

// encoder writes a request.
type encoder struct {
	upstream.Encoder
	to    *target
	known quirks
}

// encode returns the body of a request.
func (c *Client) encode(to *target, req llm.Request, known quirks) []byte {
	e := encoder{upstream.NewEncoder(req), to, known}
	e.Raw(`{"model":`).Text(to.model).Raw(`,"messages":`)
	messages := behindResults(req.Messages)
	e.List(len(messages), func(i int) { e.message(messages[i]) })
	e.tools(req)
	e.sampling(req)
	if c.streaming {
		e.Raw(`,"stream":true`)
		if known&noStreamOptions == 0 {
			e.Raw(`,"stream_options":{"include_usage":true}`)
		}
	}
	return e.Raw("}").B
}

func (e *encoder) message(m llm.Message) {
	e.Raw(`{"role":`).Text(string(m.Role))
	if m.Role == llm.Tool {
		e.Raw(`,"tool_call_id":`).Text(m.ToolCallID)
	}
	e.Raw(`,"content":`)
	e.content(m)
	own := m.Origin != "" && m.Origin == e.to.origin
	if len(m.ToolCalls) > 0 {
		e.Raw(`,"tool_calls":`)
		e.List(len(m.ToolCalls), func(i int) { e.call(m.ToolCalls[i], own) })
	}
	if own {
		for _, key := range replayed() {
			if key == "reasoning_content" && e.known&noReasoning != 0 {
				continue
			}
			if raw := m.Extras[key]; len(raw) > 0 {
				e.Raw(",").Text(key).Raw(":").JSON(raw)
			}
		}
	}
	e.Raw("}")
}

// content writes a string where it can: many servers take a list of parts from
// the user only, and only for images.
func (e *encoder) content(m llm.Message) {
	images := slices.ContainsFunc(m.Parts, func(p llm.Part) bool { return p.ImageURL != "" })
	switch {
	case !images && len(m.Parts) == 0 && len(m.ToolCalls) > 0:
		e.Raw("null")
	case !images && (len(m.Parts) < 2 || m.Role != llm.User):
		e.Text(m.Text())
	default:
		e.List(len(m.Parts), func(i int) { e.part(m.Parts[i]) })
	}
}

func (e *encoder) part(p llm.Part) {
	if p.ImageURL == "" {
		e.Raw(`{"type":"text","text":`).Text(p.Text).Raw("}")
		return
	}
	e.Raw(`{"type":"image_url","image_url":{"url":`).Text(p.ImageURL)
	if p.Detail != "" {
		e.Raw(`,"detail":`).Text(p.Detail)
	}
	e.Raw("}}")
}

func (e *encoder) call(call llm.ToolCall, own bool) {
	e.Raw(`{"id":`).Text(call.ID).Raw(`,"type":"function","function":{"name":`).Text(upstream.ToolName(call.Name))
	e.Raw(`,"arguments":`).Text(upstream.Arguments(call.Arguments)).Raw("}")
	if own {
		for _, key := range toolExtras() {
			if raw := call.Extras[key]; len(raw) > 0 {
				e.Raw(",").Text(key).Raw(":").JSON(raw)
			}
		}
	}
	e.Raw("}")
}

func (e *encoder) tools(req llm.Request) {
	if len(req.Tools) == 0 {
		return
	}
	e.Raw(`,"tools":`)
	e.List(len(req.Tools), func(i int) {
		t := req.Tools[i]
		e.Raw(`{"type":"function","function":{"name":`).Text(t.Name).Raw(`,"description":`).Text(t.Description)
		e.Raw(`,"parameters":`)
		if len(t.Parameters) == 0 {
			e.Raw(`{"type":"object","properties":{}}`)
		} else {
			e.JSON(t.Parameters)
		}
		e.Raw("}}")
	})
	switch choice := req.ToolChoice; choice {
	case "":
	case "auto", "none", "required":
		e.Raw(`,"tool_choice":`).Text(choice)
	default:
		e.Raw(`,"tool_choice":{"type":"function","function":{"name":`).Text(choice).Raw("}}")
	}
}

func (e *encoder) sampling(req llm.Request) {
	e.Float("temperature", req.Temperature)
	e.Float("top_p", req.TopP)
	e.Float("presence_penalty", req.PresencePenalty)
	e.Float("frequency_penalty", req.FrequencyPenalty)
	if req.MaxTokens > 0 {
		e.Raw(",").Text(e.maxTokens()).Raw(":").Int(req.MaxTokens)
	}
	if len(req.Stop) > 0 {
		e.Raw(`,"stop":`)
		e.List(len(req.Stop), func(i int) { e.Text(req.Stop[i]) })
	}
	if req.ReasoningEffort != "" {
		e.Raw(`,"reasoning_effort":`).Text(req.ReasoningEffort)
	}
	if len(req.ResponseFormat) > 0 {
		e.Raw(`,"response_format":`).JSON(req.ResponseFormat)
	}
	if req.User != "" {
		e.Raw(`,"user":`).Text(req.User)
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
