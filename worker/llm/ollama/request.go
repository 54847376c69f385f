package ollama

import (
	"encoding/json"
	"strings"

	"hermes/worker/llm"
	"hermes/worker/llm/upstream"
)

// keepAlive is how long the model stays in memory after a request. Ollama's own
// five minutes are shorter than a person's pause, after which the first answer
// would take as long as loading the model does.
const keepAlive = "30m"

// task is one request on its way to the model.
type task struct {
	llm.Request
	model     string
	origin    string // see llm.Message.Origin
	thinks    llm.Support
	context   int // tokens that the model is loaded with, 0 leaves it to the server
	streaming bool
}

// encode returns the body of the request.
func (t task) encode() ([]byte, error) {
	e := upstream.NewEncoder(t.Request)
	e.Raw(`{"model":`).Text(t.model).Raw(`,"messages":`)
	names := map[string]string{} // of the tools that were called
	var failed error
	e.List(len(t.Messages), func(i int) {
		if err := t.message(&e, t.Messages[i], names); err != nil {
			failed = err
		}
	})
	if failed != nil {
		return nil, failed
	}
	t.tools(&e)
	t.thinking(&e)
	t.format(&e)
	e.Raw(`,"keep_alive":"` + keepAlive + `"`)
	t.options(&e)
	if t.streaming {
		e.Raw(`,"stream":true`)
	} else {
		e.Raw(`,"stream":false`)
	}
	return e.Raw("}").B, nil
}

// message writes a message. Of a tool's result Ollama wants the tool's name.
func (t task) message(e *upstream.Encoder, m llm.Message, names map[string]string) error {
	e.Raw(`{"role":`).Text(string(m.Role)).Raw(`,"content":`).Text(m.Text())
	var images []string
	for _, p := range m.Parts {
		if p.ImageURL == "" {
			continue
		}
		image, ok := inline(p.ImageURL)
		if !ok {
			return &llm.Error{Class: llm.BadRequest, Message: "Ollama takes an image only with its content in the message (a data URI), not by its address"}
		}
		images = append(images, image)
	}
	if len(images) > 0 {
		e.Raw(`,"images":`)
		e.List(len(images), func(i int) { e.Text(images[i]) })
	}
	if m.Reasoning != "" && len(m.ToolCalls) > 0 && m.Origin == t.origin {
		e.Raw(`,"thinking":`).Text(m.Reasoning) // what led to the calls
	}
	if len(m.ToolCalls) > 0 {
		e.Raw(`,"tool_calls":`)
		e.List(len(m.ToolCalls), func(i int) {
			call := m.ToolCalls[i]
			names[call.ID] = call.Name
			e.Raw(`{"id":`).Text(call.ID).Raw(`,"function":{"name":`).Text(upstream.ToolName(call.Name))
			e.Raw(`,"arguments":`).Raw(upstream.Arguments(call.Arguments)).Raw("}}")
		})
	}
	if m.Role == llm.Tool {
		if name := names[m.ToolCallID]; name != "" {
			e.Raw(`,"tool_name":`).Text(name)
		}
		e.Raw(`,"tool_call_id":`).Text(m.ToolCallID)
	}
	e.Raw("}")
	return nil
}

// inline is the base64 content of a data URI.
func inline(address string) (string, bool) {
	head, data, found := strings.Cut(address, ",")
	head = strings.ToLower(head)
	return data, found && strings.HasPrefix(head, "data:") && strings.HasSuffix(head, ";base64")
}

// tools writes the tools. Ollama knows no choice among them: none are left out,
// and of a choice of one only that is offered.
func (t task) tools(e *upstream.Encoder) {
	tools := t.Tools
	switch t.ToolChoice {
	case "", "auto", "required":
	case "none":
		tools = nil
	default:
		for _, tool := range t.Tools {
			if tool.Name == t.ToolChoice {
				tools = []llm.ToolSpec{tool}
			}
		}
	}
	if len(tools) == 0 {
		return
	}
	e.Raw(`,"tools":`)
	e.List(len(tools), func(i int) {
		tool := tools[i]
		e.Raw(`{"type":"function","function":{"name":`).Text(tool.Name).Raw(`,"description":`).Text(tool.Description).Raw(`,"parameters":`)
		if len(tool.Parameters) == 0 {
			e.Raw(`{"type":"object","properties":{}}`)
		} else {
			e.JSON(tool.Parameters)
		}
		e.Raw("}}")
	})
}

// thinking writes whether the model is to think. Models that cannot refuse the
// field; gpt-oss takes a level, and cannot be stopped from thinking.
func (t task) thinking(e *upstream.Encoder) {
	if t.thinks != llm.Supported || t.ReasoningEffort == "" {
		return
	}
	levels := strings.Contains(t.model, "gpt-oss")
	switch effort := t.ReasoningEffort; {
	case levels && (effort == "none" || effort == "minimal"):
		e.Raw(`,"think":"low"`)
	case levels && (effort == "low" || effort == "medium" || effort == "high"):
		e.Raw(`,"think":"` + effort + `"`)
	case levels:
		e.Raw(`,"think":"high"`)
	case effort == "none":
		e.Raw(`,"think":false`)
	default:
		e.Raw(`,"think":true`)
	}
}

// format writes the format of the answer: a schema, or any JSON.
func (t task) format(e *upstream.Encoder) {
	var format struct {
		Type   string `json:"type"`
		Schema struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"json_schema"`
	}
	if len(t.ResponseFormat) == 0 || json.Unmarshal(t.ResponseFormat, &format) != nil {
		return
	}
	switch {
	case format.Type == "json_schema" && !upstream.Absent(format.Schema.Schema):
		e.Raw(`,"format":`).JSON(format.Schema.Schema)
	case format.Type == "json_object", format.Type == "json_schema":
		e.Raw(`,"format":"json"`)
	}
}

// options writes the parameters of the model.
func (t task) options(e *upstream.Encoder) {
	// Until the model is done; so it is by default, unless a Modelfile bounds it.
	predict := -1
	if t.MaxTokens > 0 {
		predict = t.MaxTokens
	}
	e.Raw(`,"options":{"num_predict":`).Int(predict)
	if t.context > 0 {
		e.Raw(`,"num_ctx":`).Int(t.context)
	}
	e.Float("temperature", t.Temperature)
	e.Float("top_p", t.TopP)
	e.Float("presence_penalty", t.PresencePenalty)
	e.Float("frequency_penalty", t.FrequencyPenalty)
	if len(t.Stop) > 0 {
		e.Raw(`,"stop":`)
		e.List(len(t.Stop), func(i int) { e.Text(t.Stop[i]) })
	}
	e.Raw("}")
}
